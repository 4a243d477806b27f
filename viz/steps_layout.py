"""The columns side by side: where each step stands, and the ends of the lines that join it with other places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from viz.column_layout import ColumnDrawing, frame_of
from viz.columns import Column, Lineage, columns_of, set_rows
from viz.diagram import Diagram, Item, Link
from viz.paths import Point, moved
from viz.sizes import Look

__all__ = ["Steps"]

PANEL_PADDING, PANEL_TOP, PANEL_BOTTOM = 13.0, 28.0, 13.0
LABEL_ROOM = 52.0
GUTTER = 24.0
ABOVE_INPUTS = 12.0


class Steps:
    """All columns of a diagram. Heights count from the top of the highest row, which is 0.

    Attributes:
        frame: the heights of the rows.
        fed_from_above: the items before the steps whose wires run above the columns.
        top, bottom: the upper and lower edges of the panels.
        floor: the lower edge of what belongs to the columns.
    """

    def __init__(self, diagram: Diagram, tracks: dict[int, int]) -> None:
        self.diagram = diagram
        columns = columns_of(diagram)
        rows = set_rows(columns)
        self.fed_from_above = _fed_from_above(diagram, columns, rows)
        drawings = [ColumnDrawing(column, self.fed_from_above, rows) for column in columns]
        self.frame = frame_of(drawings, rows)
        self._drawing: dict[int, ColumnDrawing] = {}
        self._local: dict[int, int] = {}
        for drawing in drawings:
            for step, items in zip(drawing.column.steps, drawing.column.items, strict=True):
                self._drawing[step] = drawing
                self._local.update((item.index, j) for j, item in enumerate(items))
        open_below = rows > 1 and all(
            item.role == "input" for d in drawings for item, r in zip(d.column.first, d.column.row, strict=True) if r == 0
        )
        self.top = -PANEL_TOP
        self.floor = self.frame.height
        self.bottom = self.frame.top(0) - ABOVE_INPUTS if open_below else self.floor + PANEL_BOTTOM
        self._left: list[float] = []
        x = 0.0
        for step in range(diagram.after):
            x += PANEL_PADDING + (GUTTER if step else 0.0) + tracks.get(step, 0)
            self._left.append(x)
            x += self._drawing[step].width + PANEL_PADDING
        self._number_of_link: dict[int, int] = {}
        self._number_of_tap: dict[tuple[int, int], int] = {}
        self._lines: dict[tuple[object, ...], list[Point]] = {}
        counts = [0] * diagram.after
        for k, link in enumerate(diagram.links):
            if self.is_within(link):
                place = diagram.items[link.target].place
                self._number_of_link[k] = counts[place]
                counts[place] += 1
        for drawing in drawings:
            for k, (source, j) in enumerate(drawing.taps):
                for items in drawing.column.items:
                    self._number_of_tap[source, items[j].index] = k

    def is_within(self, link: Link) -> bool:
        """Whether a link joins two items of one step."""
        return self.step_of(link.source) == self.step_of(link.target) is not None

    def step_of(self, item: int) -> int | None:
        """The step an item belongs to, if any."""
        return self.diagram.items[item].place if item in self._local else None

    def shift(self, dx: float) -> None:
        """Move all columns to the right."""
        self._left = [x + dx for x in self._left]

    def edges(self, step: int) -> tuple[float, float]:
        """The left and the right edge of a step's panel."""
        left = self._left[step]
        return left - PANEL_PADDING, left + self._drawing[step].width + PANEL_PADDING

    def inner_edge(self, step: int, right: bool) -> float:
        """The x at which lines enter or leave the items of a step."""
        return self._left[step] + (self._drawing[step].width if right else 0.0)

    def label_x(self, step: int) -> float:
        """Where the panel's label fits between the lines that come in from above."""
        drawing, left = self._drawing[step], self.edges(step)[0] + 10
        for x in sorted(self._left[step] + drawing.wire_x(k) for k, (s, _) in enumerate(drawing.taps) if s in self.fed_from_above):
            if x < left + LABEL_ROOM:
                left = max(left, x + 8)
        return left

    def middle(self, item: Item) -> Point:
        """The middle of an item."""
        drawing, j = self._drawing[item.place], self._local[item.index]
        return self._left[item.place] + drawing.x[j], self.frame.middle[drawing.column.row[j]]

    def size(self, item: Item) -> tuple[float, float]:
        """The width and height of an item, equal at all steps that look alike."""
        look = self._drawing[item.place].look[self._local[item.index]]
        return look.width, look.height

    def look(self, item: Item) -> Look:
        """What is drawn in an item."""
        drawing = self._drawing[item.place]
        return drawing.looks[drawing.column.steps.index(item.place)][self._local[item.index]]

    def line_within(self, k: int) -> list[Point]:
        """The line of link k, which joins two items of one step."""
        step = self.diagram.items[self.diagram.links[k].target].place
        drawing, number = self._drawing[step], self._number_of_link[k]
        return self._shifted(step, ("link", id(drawing), number), lambda: drawing.link_path(self.frame, number))

    def line_out(self, item: int, to_right: bool) -> list[Point]:
        """The line from an item to the edge of its column."""
        step = self.diagram.items[item].place
        drawing, j = self._drawing[step], self._local[item]
        return self._shifted(step, ("out", id(drawing), j, to_right), lambda: drawing.leaving_path(self.frame, j, to_right))

    def line_in(self, lineage: Lineage, item: int, from_right: bool) -> list[Point]:
        """The line from the edge of a column to one of its items."""
        step = self.diagram.items[item].place
        drawing, j = self._drawing[step], self._local[item]
        key = ("in", id(drawing), lineage, j, from_right)
        return self._shifted(step, key, lambda: drawing.arrival_path(self.frame, lineage, j, from_right))

    def tap_x(self, source: int, item: int) -> float:
        """Where the line that brings ``source`` to an item leaves its wire."""
        step = self.diagram.items[item].place
        return self._left[step] + self._drawing[step].wire_x(self._number_of_tap[source, item])

    def tap(self, source: int, item: int, wire_y: float) -> list[Point]:
        """The line from a wire to an item."""
        step = self.diagram.items[item].place
        drawing, number = self._drawing[step], self._number_of_tap[source, item]
        return self._shifted(step, ("tap", id(drawing), number), lambda: drawing.tap_path(self.frame, number, wire_y))

    def _shifted(self, step: int, key: tuple[object, ...], draw: Callable[[], list[Point]]) -> list[Point]:
        if key not in self._lines:
            self._lines[key] = draw()
        return moved(self._lines[key], self._left[step], 0.0)

    def row_y(self, lineage: Lineage, step: int) -> float | None:
        """The height of the item that plays a part at a step, if there is one."""
        column = self._drawing[step].column
        for item, row in zip(column.first, column.row, strict=True):
            if lineage == item.lineage:
                return self.frame.middle[row]
        return None


def _fed_from_above(diagram: Diagram, columns: Sequence[Column], rows: int) -> set[int]:
    """Parameters that only what leads to the output uses: their wires run above the columns if that is the shorter way.

    Parameters of what is carried from step to step always come from below.
    """
    from_below: dict[int, float] = {}
    for column in columns:
        carried = _leads_to_other_steps(column)
        for source, j in column.taps:
            longer = column.row[j] - (rows - 1 - column.row[j])
            from_below[source] = from_below.get(source, 0.0) + (-math.inf if j in carried else longer)
    above = {source for source, longer in from_below.items() if longer > 0 and diagram.items[source].head.is_leaf}
    feeds_others = {link.source for link in diagram.links if not 0 <= diagram.items[link.target].place < diagram.after}
    return above - feeds_others


def _leads_to_other_steps(column: Column) -> set[int]:
    """What a state is computed from, unless the state is a mere running total that nothing but itself reads."""
    read = {lineage for lineage, j, _ in column.arrives if not any(j in way for way in column.highways)}
    found = {j for j, item in enumerate(column.first) if item.lineage in read}
    for source, target in reversed(column.links):
        if target in found:
            found.add(source)
    return found
