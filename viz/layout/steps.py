"""The columns side by side: where each step stands, and the ends of the lines that join it with other places."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ..diagram.items import Diagram, Item
from ..paths import Point, moved
from .column import ColumnDrawing
from .column_lines import ColumnLines
from .columns import Column, Lineage, columns_of
from .frame import Frame, frame_of
from .levels import aligned_frame, levels_of
from .rows import reachable, set_rows
from .sizes import Look

__all__ = ["Steps"]

PANEL_PADDING, PANEL_TOP, PANEL_BOTTOM = 13.0, 28.0, 13.0
LINE_BELOW_LABEL = 12.0
LABEL_INDENT, LABEL_ROOM = 10.0, 42.0
GUTTER = 24.0
ABOVE_INPUTS = 12.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A kind of column, drawn: its items in place, and its lines, each computed once for all steps."""

    drawing: ColumnDrawing
    lines: ColumnLines
    frame: Frame
    known: dict[Hashable, list[Point]]

    def line(self, key: Hashable, draw: Callable[[], list[Point]]) -> list[Point]:
        """The line with that key."""
        if key not in self.known:
            self.known[key] = draw()
        return self.known[key]


class Steps:
    """All columns of a diagram. Heights count from the top of the highest row, which is 0.

    Args:
        diagram: with at least one step.
        room: how much wider the gap to the left of each step must be.

    Attributes:
        frame: the heights of the rows.
        fed_from_above: the items before the steps whose wires run above the columns.
        top, bottom: the upper and lower edges of the panels.
        floor: the lower edge of what belongs to the columns.
    """

    def __init__(self, diagram: Diagram, room: dict[int, float]) -> None:
        self.diagram = diagram
        columns = columns_of(diagram)
        kinds = {kind: [column for column in columns if column.kind == kind] for kind in ("", "cell", "fold")}
        main = next(alike for alike in kinds.values() if any(column.first for column in alike))
        rows = set_rows(main)
        self.fed_from_above = _fed_from_above(diagram, main, rows)
        drawings = [ColumnDrawing(column, self.fed_from_above, rows) for column in main]
        self.frame: Frame = frame_of(drawings, rows)
        aligned = [(drawing, self.frame) for drawing in drawings]
        for column in columns:
            if column not in main:
                own = set_rows([column])
                drawing = ColumnDrawing(column, self.fed_from_above, own)
                aligned.append((drawing, aligned_frame(drawing, own, drawings, self.frame)))
        self._levels = levels_of(aligned)
        self._drawn: dict[int, Drawn] = {}
        self._local: dict[int, int] = {}
        self._looks: dict[int, Look] = {}
        self._tap_number: dict[tuple[int, int], int] = {}
        for drawing, frame in aligned:
            drawn = Drawn(drawing, ColumnLines(drawing, frame, self._levels), frame, {})
            for step, items, looks in zip(drawing.column.steps, drawing.column.items, drawing.looks, strict=True):
                self._drawn[step] = drawn
                self._local.update((item.index, j) for j, item in enumerate(items))
                self._looks.update((item.index, look) for item, look in zip(items, looks, strict=True))
                self._tap_number.update(((source, items[j].index), k) for k, (source, j) in enumerate(drawing.taps))
        lowest = [item.role for d in drawings for item, r in zip(d.column.first, d.column.row, strict=True) if r == 0]
        self.top = -PANEL_TOP - LINE_BELOW_LABEL * any(d.leaves_above(rows - 1) for d in drawings)
        self.floor = max(frame.height for _, frame in aligned)
        inputs_only = rows > 1 and set(lowest) == {"input"}
        self.bottom = self.frame.top(0) - ABOVE_INPUTS if inputs_only else self.floor + PANEL_BOTTOM
        self._left = self._place(room)
        self._number = self._number_links()

    def _place(self, room: dict[int, float]) -> list[float]:
        left: list[float] = []
        x = 0.0
        for step in range(self.diagram.after):
            x += PANEL_PADDING + (GUTTER if step else 0.0) + room.get(step, 0.0)
            left.append(x)
            x += self._drawn[step].drawing.width + PANEL_PADDING
        return left

    def _number_links(self) -> dict[int, int]:
        """For each link within a step its number among those of the step."""
        number: dict[int, int] = {}
        counts = [0] * self.diagram.after
        for k, link in enumerate(self.diagram.links):
            step = self.step_of(link.target)
            if step is not None and step == self.step_of(link.source):
                number[k] = counts[step]
                counts[step] += 1
        return number

    def step_of(self, item: int) -> int | None:
        """The step an item belongs to, if any."""
        return self.diagram.items[item].place if item in self._local else None

    def shift(self, dx: float) -> None:
        """Move all columns to the right."""
        self._left = [x + dx for x in self._left]

    def edges(self, step: int) -> tuple[float, float]:
        """The left and the right edge of a step's panel."""
        left = self._left[step]
        return left - PANEL_PADDING, left + self._drawn[step].drawing.width + PANEL_PADDING

    def label_x(self, step: int) -> float:
        """Where the panel's label fits between the lines that come in from above."""
        drawn, left = self._drawn[step], self.edges(step)[0] + LABEL_INDENT
        taps = [k for k, (source, _) in enumerate(drawn.drawing.taps) if source in self.fed_from_above]
        for x in sorted(self._left[step] + drawn.lines.wire_x(k) for k in taps):
            if left - 8 < x < left + LABEL_ROOM:
                left = x + 8
        return left

    def row_y(self, lineage: Lineage, step: int) -> float | None:
        """The height of the item that plays a part at a step, or of the line to it, if there is one."""
        column = self._drawn[step].drawing.column
        rows = {item.lineage: row for item, row in zip(column.first, column.row, strict=True)}
        return self._drawn[step].frame.middle[rows[lineage]] if lineage in rows else self._levels.get(lineage)

    def middle(self, item: Item) -> Point:
        """The middle of an item."""
        drawn, j = self._drawn[item.place], self._local[item.index]
        return self._left[item.place] + drawn.drawing.x[j], drawn.frame.middle[drawn.drawing.column.row[j]]

    def size(self, item: Item) -> tuple[float, float]:
        """The width and height of an item, equal at all steps that look alike."""
        drawn, j = self._drawn[item.place], self._local[item.index]
        look = drawn.drawing.look[j]
        return look.width, 2 * drawn.frame.half[drawn.drawing.column.row[j]] if item.kind else look.height

    def look(self, item: Item) -> Look:
        """What is drawn in an item."""
        return self._looks[item.index]

    def line_within(self, k: int) -> list[Point]:
        """The line of link k, which joins two items of one step."""
        step, number = self.diagram.items[self.diagram.links[k].target].place, self._number[k]
        drawn = self._drawn[step]
        return moved(drawn.line(("link", number), lambda: drawn.lines.link(number)), self._left[step], 0.0)

    def line_out(self, item: int, lineage: Lineage, to_right: bool) -> list[Point]:
        """The line from an item to the edge of its column."""
        step, j = self.diagram.items[item].place, self._local[item]
        drawn = self._drawn[step]
        line = drawn.line(("out", j, lineage, to_right), lambda: drawn.lines.leaving(j, lineage, to_right))
        return moved(line, self._left[step], 0.0)

    def line_in(self, lineage: Lineage, item: int, from_right: bool) -> list[Point]:
        """The line from the edge of a column to one of its items."""
        step, j = self.diagram.items[item].place, self._local[item]
        drawn = self._drawn[step]
        line = drawn.line(("in", lineage, j, from_right), lambda: drawn.lines.arrival(lineage, j, from_right))
        return moved(line, self._left[step], 0.0)

    def tap(self, source: int, item: int, wire_y: float) -> list[Point]:
        """The line from a wire to an item."""
        step, k = self.diagram.items[item].place, self._tap_number[source, item]
        drawn = self._drawn[step]
        return moved(drawn.line(("tap", k), lambda: drawn.lines.tap(k, wire_y)), self._left[step], 0.0)


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
    states = {j for j, item in enumerate(column.first) if item.lineage in read or not read.isdisjoint(item.ports)}
    sources: dict[int, list[int]] = {}
    for source, target in column.links:
        sources.setdefault(target, []).append(source)
    return states | reachable(states, sources)
