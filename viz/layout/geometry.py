"""Positions and lines of a picture before it has colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..diagram.items import Item
from ..paths import Point
from .region import RegionDrawing
from .sizes import Look
from .steps import Steps

__all__ = ["Bus", "Layout", "Place", "Route"]


@dataclass(slots=True)
class Place:
    """The middle of an item, its size (which may be larger than its text needs), and what is drawn in it."""

    x: float
    y: float
    width: float
    height: float
    look: Look


@dataclass(slots=True)
class Route:
    """The line of a link. ``junction`` is where it meets a wire; a line that ends there has no arrow."""

    points: list[Point]
    arrow: bool = True
    junction: Point | None = None


@dataclass(slots=True)
class Bus:
    """A wire: the item whose value it carries to the steps, or for which it collects values from them."""

    item: int
    points: list[Point]
    collects: bool = False


@dataclass(slots=True)
class Layout:
    """Positions of items and lines of links, by their numbers in the diagram; heights may be negative.

    ``floor`` is the lower edge of all that is linked; ``steps`` is None for a graph without time steps.
    """

    places: dict[int, Place] = field(default_factory=dict)
    routes: dict[int, Route] = field(default_factory=dict)
    buses: list[Bus] = field(default_factory=list)
    steps: Steps | None = None
    ceiling: float = 0.0
    floor: float = 0.0
    right: float = 0.0

    def put_region(self, region: RegionDrawing, items: Sequence[Item], dx: float, dy: float) -> None:
        """Place the items of a region whose upper left corner is at (dx, dy)."""
        for j, item in enumerate(items):
            look = region.look[j]
            self.places[item.index] = Place(region.x[j] + dx, region.y[j] + dy, look.width, look.height, look)
