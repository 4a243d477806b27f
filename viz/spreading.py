"""Room for numbers: a scene drawn larger, with its words as they were, until each box can hold the numbers of its value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from .paths import Point
from .scene import Box, Scene
from .text import LINE_HEIGHT, Line, Span, clean, line_width

__all__ = ["GAP", "PITCH", "SIZE", "Table", "spread", "table_of"]

SIZE, PITCH = 7.5, 8.6
GAP, MARGIN = 8.0, 6.0
BROAD = 90.0


class Table(NamedTuple):
    """The numbers of a box, in columns one beside the other, each a list of lines."""

    columns: list[list[Line]]

    @property
    def widths(self) -> list[float]:
        """How wide each column is."""
        return [max(line_width(line, SIZE) for line in column) for column in self.columns]

    @property
    def rows(self) -> int:
        """How many lines stand above one another."""
        return max(map(len, self.columns), default=0)


def table_of(box: Box) -> Table:
    """The numbers of a box: below one another, or side by side in a broad one. Those of a circle are told on hover alone."""
    columns = [_lines(value) for value in box.values] if box.shape != "circle" else []
    return Table(columns) if box.width > BROAD or not columns else Table([[line for column in columns for line in column]])


def _lines(value: str) -> list[Line]:
    """'value: min 0, mean 1, max 2' in four lines."""
    head, colon, numbers = clean(value).partition(": ")
    parts = numbers.split(", ") if colon else [head]
    return [*([(Span(head, soft=True),)] if colon else []), *((Span(part),) for part in parts)]


def _need(box: Box, table: Table) -> Point:
    """How many times wider and higher a box must be to hold its name and its numbers."""
    if not table.columns:
        return 1.0, 1.0
    width = sum(table.widths) + GAP * (len(table.columns) - 1) + MARGIN
    height = LINE_HEIGHT * len(box.lines) + PITCH * table.rows + MARGIN
    return width / box.width, height / box.height


def spread(scene: Scene) -> tuple[Scene, dict[str, Table]]:
    """The scene with room for the numbers of its boxes, and these, by the keys of the boxes.

    What stands above the graph (title, legend) keeps its size and goes along to the right.
    """
    tables = {box.key: table_of(box) for box in scene.boxes}
    needs = [(1.0, 1.0), *(_need(box, tables[box.key]) for box in scene.boxes)]
    across, down = max(x for x, _ in needs), max(y for _, y in needs)
    heading = scene.scale_at[1] + 30.0 if scene.scale is not None else 40.0
    wider = scene.width * (across - 1.0)

    def at(x: float, y: float) -> Point:
        return (x * across, y if y <= heading else heading + (y - heading) * down)

    def moved(part: Any) -> Any:
        changes: dict[str, Any] = {}
        if hasattr(part, "points"):
            changes["points"] = tuple(at(x, y) for x, y in part.points)
        if hasattr(part, "height"):
            changes |= {"width": part.width * across, "height": part.height * down}
        if hasattr(part, "label_x"):
            changes["label_x"] = part.x * across + (part.label_x - part.x)
        if hasattr(part, "x"):
            is_right = part.y <= heading and getattr(part, "anchor", "end") == "end"
            x, y = at(part.x, part.y)
            changes |= {"x": part.x + wider if is_right else part.x if part.y <= heading else x, "y": y}
        return replace(part, **changes)

    kinds = ("panels", "tiles", "wires", "curves", "edges", "junctions", "boxes", "badges", "bars", "texts", "samples")
    parts: dict[str, Any] = {kind: [moved(part) for part in getattr(scene, kind)] for kind in kinds}
    width, height = at(scene.width, scene.height)
    scale_at = (scene.scale_at[0] + wider, scene.scale_at[1])
    return replace(scene, width=width, height=height, scale_at=scale_at, **parts), tables
