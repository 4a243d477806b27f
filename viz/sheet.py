"""What writers read: a sheet of marks, each made of rectangles, circles, lines and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .paths import Point, shortened
from .text import Line, line_width

__all__ = ["DASHED", "LAYERS", "Circle", "Mark", "Path", "Rectangle", "Shape", "Sheet", "Words", "arrow_size"]

DASHED = (4.0, 3.0)
"""For how long a dashed line is there and not there, in turn."""


class Rectangle(NamedTuple):
    """A rectangle, (x, y) its upper left corner; ``stroke`` None has no outline."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str | None = None
    stroke_width: float = 1.0
    radius: float = 0.0
    dashed: bool = False

    @property
    def middle(self) -> Point:
        """The point between its corners."""
        return self.x + self.width / 2, self.y + self.height / 2

    def holds(self, point: Point) -> bool:
        """Whether a point is in it."""
        return self.x <= point[0] <= self.x + self.width and self.y <= point[1] <= self.y + self.height


class Circle(NamedTuple):
    """A circle, or an ellipse, around (x, y); ``fill`` None is hollow."""

    x: float
    y: float
    r: float
    fill: str | None
    stroke: str | None = None
    vertical: float | None = None

    @property
    def radii(self) -> Point:
        """The half widths along x and y."""
        return self.r, self.r if self.vertical is None else self.vertical

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.x, self.y


class Path(NamedTuple):
    """A line of cubic Bézier pieces, which may end in an arrow; ``dash`` tells how long it is there and not there in turn."""

    points: Sequence[Point]
    stroke: str
    width: float
    dash: tuple[float, ...] = ()
    arrow: bool = False

    def stem_and_head(self) -> tuple[Sequence[Point], list[Point]]:
        """The line up to its arrow, and the corners of the arrow; no corners if there is none."""
        if not self.arrow:
            return self.points, []
        length, half = arrow_size(self.width)
        stem, (ux, uy) = shortened(self.points, length - 0.5)
        (x, y) = self.points[-1]
        bx, by = x - ux * length, y - uy * length
        return stem, [(x, y), (bx - uy * half, by + ux * half), (bx + uy * half, by - ux * half)]


class Words(NamedTuple):
    """A line of text on the base line y; ``anchor`` says what of it is at x: "start", "middle" or "end"."""

    x: float
    y: float
    line: Line
    size: float
    colour: str
    anchor: str = "start"
    bold: bool = False
    rotated: bool = False

    @property
    def start(self) -> float:
        """Where the line begins, as far as widths are known here."""
        width = line_width(self.line, self.size) * (1.1 if self.bold else 1.0)
        return self.x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]


Shape = Rectangle | Circle | Path | Words


class Mark(NamedTuple):
    """Shapes that belong together and have one hover text.

    ``layer`` is its kind; ``role`` that of an item; ``source`` and ``target`` the keys of the items that a line joins, or
    of the parameter of a bar.
    """

    layer: str
    key: str
    shapes: tuple[Shape, ...]
    tooltip: str = ""
    role: str = ""
    time: int | None = None
    stage: int | None = None
    group: str = ""
    source: str = ""
    target: str = ""


LAYERS = (
    "panels", "tiles", "wires", "curves", "edges", "junctions", "boxes", "badges", "bars", "texts", "legend",
)  # fmt: skip
"""The order of painting."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture as marks, in the order of painting, on a page of one colour."""

    title: str
    description: str
    width: float
    height: float
    page: str
    ink: str
    soft: str
    stages: tuple[str, ...]
    marks: tuple[Mark, ...]

    @property
    def name(self) -> str:
        """The title, or what stands in for it."""
        return self.title or self.description

    def layers(self) -> Iterator[tuple[str, list[Mark]]]:
        """The marks of each layer that has any."""
        found: dict[str, list[Mark]] = {layer: [] for layer in LAYERS}
        for mark in self.marks:
            found[mark.layer].append(mark)
        yield from ((layer, marks) for layer, marks in found.items() if marks)


def arrow_size(width: float) -> tuple[float, float]:
    """Length and half breadth of the arrow of a line so wide."""
    return 6.0 + 1.5 * width, 2.6 + 0.75 * width
