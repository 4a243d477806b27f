"""The scene: what a picture shows, named, placed and coloured, for any writer to put on paper.

Coordinates grow to the right and downwards, in points. A scene knows no Tensors, no formats and no fonts.

What has a ``time`` belongs to that step; ``group`` names the sequence it is part of ("encoder", "layer 2") where there
are several; ``stage`` is the stage of the backward sweep that reaches it, an index into ``Scene.stages``, or None for
what is there from the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .palette import SOFT, Scale
from .paths import Point
from .tables import NO_TABLE, Table
from .text import Line

__all__ = ["Badge", "Bar", "Box", "Curve", "Edge", "Junction", "Panel", "Sample", "Scene", "Text", "Tile", "Wire"]


class Box(NamedTuple):
    """An item, around (x, y), with text in it.

    ``shape`` is "box", "circle", "cell" (a whole cell, closed) or "fold" (what stands for steps that are not shown).
    ``full_name`` is the name uncut, ``table`` what is printed below the lines about its numbers.
    """

    key: str
    role: str
    shape: str
    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]
    font: float
    fill: str
    time: int | None
    tooltip: str
    group: str = ""
    stage: int | None = None
    full_name: str = ""
    table: Table = NO_TABLE


class Edge(NamedTuple):
    """A line from one box to another, drawn in the direction in which values flow.

    ``magnitude`` is the norm of the gradient that flows back along it; None if gradients were not asked for or none
    flows there. A line that ends in a collecting wire has no arrow.
    """

    key: str
    source: str
    target: str
    points: tuple[Point, ...]
    colour: str
    width: float
    magnitude: float | None
    arrow: bool
    dashed: bool
    time: int | None
    tooltip: str
    group: str = ""
    stage: int | None = None


class Wire(NamedTuple):
    """What carries one value to all steps, or collects a value from all of them."""

    key: str
    source: str
    points: tuple[Point, ...]
    colour: str
    arrow: bool
    tooltip: str
    group: str = ""
    stage: int | None = None


class Junction(NamedTuple):
    """A dot where a line meets a wire."""

    x: float
    y: float
    colour: str
    time: int | None
    group: str = ""
    stage: int | None = None


class Panel(NamedTuple):
    """The rounded box around a step."""

    x: float
    y: float
    width: float
    height: float
    label: str
    label_x: float
    time: int
    group: str = ""
    stage: int | None = None


class Bar(NamedTuple):
    """A step's share of a parameter's gradient; (x, y) is the middle of its foot."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    value: float
    label: Line
    parameter: str
    time: int
    group: str = ""
    stage: int | None = None


class Badge(NamedTuple):
    """A small sign, at most 9 around (x, y): "nan" where NaN or infinity first appeared, "cut" where a line was cut."""

    key: str
    x: float
    y: float
    kind: str
    time: int | None
    tooltip: str
    group: str = ""
    stage: int | None = None


class Tile(NamedTuple):
    """A rectangle filled by the size of a number, with (x, y) at its upper left; strips and heat maps consist of them."""

    key: str
    x: float
    y: float
    width: float
    height: float
    colour: str
    time: int | None
    tooltip: str
    value: float | None = None
    group: str = ""
    stage: int | None = None


class Curve(NamedTuple):
    """A line of a chart: data, an axis or a tick; ``dash`` tells for how long it is there and not there, in turn."""

    key: str
    points: tuple[Point, ...]
    colour: str
    width: float
    dash: tuple[float, ...]
    tooltip: str
    group: str = ""
    time: int | None = None
    stage: int | None = None


class Text(NamedTuple):
    """A line of text; ``anchor`` is "start", "middle" or "end" and says what of it is at x.

    ``rotated`` text reads upwards.
    """

    x: float
    y: float
    line: Line
    size: float
    anchor: str = "start"
    bold: bool = False
    colour: str = SOFT
    key: str = ""
    group: str = ""
    rotated: bool = False


class Sample(NamedTuple):
    """A short piece of line in the legend, with what it means to the right of it."""

    x: float
    y: float
    colour: str
    width: float
    dashed: bool
    meaning: Line


@dataclass(slots=True)
class Scene:
    """Everything in a picture, in the order in which it is painted within its kind.

    ``stages`` says where the backward sweep is at each of its stages, in its order; ``notes`` says in short sentences
    what the picture leaves out.
    """

    title: str
    description: str
    width: float = 0.0
    height: float = 0.0
    panels: list[Panel] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    badges: list[Badge] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    scale: Scale | None = None
    scale_at: Point = (0.0, 0.0)
    samples: list[Sample] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def box(self, key: str) -> Box:
        """The box with that key."""
        return next(box for box in self.boxes if box.key == key)

    def edges_by_strength(self) -> list[Edge]:
        """The edges in the order of painting: where lines run together, the strongest is on top."""
        return sorted(self.edges, key=lambda edge: round(edge.width, 3))  # its last bits depend on the machine
