"""How the lines within a column run, and where they are attached to its items."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from ..paths import Pen, Point
from .column import ColumnDrawing, pushed_apart
from .columns import Lineage
from .frame import FIRST_TRACK, HALF_CHANNEL, TRACK, Frame
from .levels import LEVELS

__all__ = ["ColumnLines"]

EDGE = 8.0
BESIDE_ARRIVAL = 10.0
SIDE_SPACING, PORT_SPACING, CIRCLE_SPACING, BROAD_SPACING = 8.0, 13.0, 17.0, 10.0
NEARLY_STRAIGHT, STRAIGHT_END = 6.0, 11.0
TALL = 20.0
"""Lines go straight past so much of a row that is higher than their own end in it, lest they meet its other items."""


class Attached(NamedTuple):
    """The end of a line at the top or bottom of an item: where it goes, and whether it comes in."""

    far: float
    comes_in: bool
    key: tuple[Hashable, ...]


class ColumnLines:
    """The lines of one kind of column; x counts from its left edge."""

    def __init__(self, drawing: ColumnDrawing, frame: Frame, levels: Mapping[Lineage, float] | None = None) -> None:
        self._drawing = drawing
        self._frame = frame
        self._levels = levels or {}
        self._row = drawing.column.row
        self._ports = self._place_ports()

    def link(self, k: int) -> list[Point]:
        """The line of the k-th link of the column."""
        drawing, frame = self._drawing, self._frame
        u, v = drawing.column.links[k]
        if self._row[u] == self._row[v]:
            side = math.copysign(0.5, drawing.x[v] - drawing.x[u])
            start, end = drawing.x[u] + side * drawing.look[u].width, drawing.x[v] - side * drawing.look[v].width
            return Pen(start, frame.middle[self._row[u]]).to(end, frame.middle[self._row[v]]).points
        up = self._row[v] > self._row[u]
        x = self._port_x(("out", k), u)
        pen = Pen(x, self._outline(u, x, up))
        if abs(self._edge(u, up) - pen.here[1]) > TALL:
            pen.to(x, self._edge(u, up))
        return self._rise(pen, drawing.bends[k], ("in", k), v, up)

    def tap(self, k: int, wire_y: float) -> list[Point]:
        """The line from a wire at ``wire_y`` to the item that uses what the wire carries."""
        return self._rise(
            Pen(self.wire_x(k), wire_y),
            self._drawing.tap_bends[k],
            ("tap", k),
            self._drawing.taps[k][1],
            up=self._drawing.tap_row[k] < 0,
        )

    def wire_x(self, k: int) -> float:
        """Where the k-th tap leaves its wire."""
        bends = self._drawing.tap_bends[k]
        return bends[0][1] if bends else self._port_x(("tap", k), self._drawing.taps[k][1])

    def arrival(self, lineage: Lineage, j: int, from_right: bool) -> list[Point]:
        """The line from the edge of the column to item j, for what comes from another step.

        If other items are in the way, it comes in below the row.
        """
        drawing, frame, row = self._drawing, self._frame, self._row[j]
        edge = drawing.width if from_right else 0.0
        if drawing.is_outermost(j, from_right):
            y = self._level(lineage, j)
            y = frame.middle[row] + self._side_offset(lineage, j, from_right) if y is None else y
            return Pen(edge, y).to(drawing.x[j] + (0.5 if from_right else -0.5) * drawing.look[j].width, y).points
        x = self._port_x(("arrive", lineage, j, from_right), j)
        y = frame.bottom(row) + FIRST_TRACK + TRACK * drawing.comes_in_below(row).index((lineage, j))
        return Pen(edge, y).corner(x, self._outline(j, x, top=False), vertical_first=False).points

    def leaving(self, j: int, lineage: Lineage, to_right: bool) -> list[Point]:
        """The line from item j to the edge of the column, for what goes to another step; above the row if it must."""
        drawing, frame, row = self._drawing, self._frame, self._row[j]
        edge, level = (drawing.width if to_right else 0.0), self._level(lineage, j)
        y = frame.middle[row] if level is None else level
        if level is not None and (lineage, j, to_right) in drawing.column.arrives:
            y += BESIDE_ARRIVAL
        if drawing.is_outermost(j, to_right):
            return Pen(drawing.x[j] + (0.5 if to_right else -0.5) * drawing.look[j].width, y).to(edge, y).points
        x = self._port_x(("leave", j, lineage, to_right), j)
        return Pen(x, self._outline(j, x, top=True)).corner(edge, frame.top(row) - HALF_CHANNEL, vertical_first=True).points

    def _level(self, lineage: Lineage, j: int) -> float | None:
        """The height at which a state meets a closed cell or a fold, if it has one of its own; None for other items."""
        item, row = self._drawing.column.first[j], self._row[j]
        if not item.kind:
            return None
        y = self._levels.get(lineage, math.inf)
        return y if self._frame.top(row) + EDGE / 2 <= y <= self._frame.bottom(row) - EDGE / 2 else self._own_level(lineage, j)

    def _own_level(self, lineage: Lineage, j: int) -> float:
        """States that are known nowhere else meet an item one below the other."""
        item, middle = self._drawing.column.first[j], self._frame.middle[self._row[j]]
        if lineage not in item.ports:
            return middle
        return middle + (item.ports.index(lineage) - (len(item.ports) - 1) / 2) * LEVELS

    def _rise(self, pen: Pen, bends: Sequence[tuple[int, float]], key: tuple[Hashable, ...], j: int, up: bool) -> list[Point]:
        """Through the bends to item j: straight past every row, curved in the channels."""
        drawing, frame = self._drawing, self._frame
        for r, x in bends:
            near, far = (frame.bottom(r), frame.top(r)) if up else (frame.top(r), frame.bottom(r))
            pen.rise(x, near).to(x, far)
        x = self._port_x(key, j)
        beside = drawing.look[j].shape == "circle" and abs(x - drawing.x[j]) >= 1
        y = self._outline(j, x, not up)
        if abs(self._edge(j, not up) - y) > TALL:
            pen.rise(x, self._edge(j, not up))
        if beside:
            return pen.rise(x, y, centre=(drawing.x[j], frame.middle[self._row[j]])).points
        if abs(x - pen.here[0]) > NEARLY_STRAIGHT:
            pen.rise(x, y + (STRAIGHT_END if up else -STRAIGHT_END))
        return pen.rise(x, y).points

    def _edge(self, j: int, top: bool) -> float:
        """The upper or lower edge of the row of item j."""
        return self._frame.top(self._row[j]) if top else self._frame.bottom(self._row[j])

    def _port_x(self, key: tuple[Hashable, ...], j: int) -> float:
        return self._drawing.x[j] + self._ports.get(key, 0.0)

    def _outline(self, j: int, x: float, top: bool) -> float:
        """The y of the upper or lower outline of item j at x."""
        look, middle = self._drawing.look[j], self._frame.middle[self._row[j]]
        half = self._frame.half[self._row[j]] if self._drawing.column.first[j].kind else look.height / 2
        if look.shape == "circle":
            half = math.sqrt(max(half * half - (x - self._drawing.x[j]) ** 2, 1.0))
        return middle - half if top else middle + half

    def _place_ports(self) -> dict[tuple[Hashable, ...], float]:
        """Where along the top or bottom of its items each line is attached, as distances from the middle."""
        drawing, row = self._drawing, self._row
        sides: dict[tuple[int, bool], list[Attached]] = defaultdict(list)
        for k, bends in drawing.bends.items():
            u, v = drawing.column.links[k]
            up = row[v] > row[u]
            beyond_u, beyond_v = (bends[0][1], bends[-1][1]) if bends else self._seen_from_each_other(u, v)
            sides[u, up].append(Attached(beyond_u, False, ("out", k)))
            sides[v, not up].append(Attached(beyond_v, True, ("in", k)))
        for k, (_, j) in enumerate(drawing.taps):
            bends = drawing.tap_bends[k]
            sides[j, drawing.tap_row[k] > row[j]].append(
                Attached(bends[-1][1] if bends else drawing.tap_x[k], True, ("tap", k))
            )
        for lineage, j, from_right in drawing.column.arrives:
            if not drawing.is_outermost(j, from_right):
                arriving = ("arrive", lineage, j, from_right)
                sides[j, False].append(Attached(math.inf if from_right else -math.inf, True, arriving))
        for j, lineage, to_right in drawing.column.leaves:
            if not drawing.is_outermost(j, to_right):
                leaving = ("leave", j, lineage, to_right)
                sides[j, True].append(Attached(math.inf if to_right else -math.inf, False, leaving))
        ports: dict[tuple[Hashable, ...], float] = {}
        for (j, _), attached in sides.items():
            attached.sort(key=lambda end: (end.far, repr(end.key)))
            ports.update(zip([end.key for end in attached], self._spread(j, attached), strict=True))
        return ports

    def _is_met_anywhere(self, j: int) -> bool:
        """Whether lines meet an item wherever they come from: an affine expression, a closed cell, steps that are not shown."""
        item = self._drawing.column.first[j]
        return bool(item.terms or item.kind)

    def _seen_from_each_other(self, u: int, v: int) -> Point:
        """Where neighbours see each other: two broad boxes anywhere above one another, others at their middles."""
        x, look = self._drawing.x, self._drawing.look
        if self._is_met_anywhere(u) and self._is_met_anywhere(v):
            left = max(x[j] - look[j].width / 2 for j in (u, v)) + EDGE
            right = min(x[j] + look[j].width / 2 for j in (u, v)) - EDGE
            if left <= right:
                between = min(max((x[u] + x[v]) / 2, left), right)
                return between, between
        return x[v], x[u]

    def _spread(self, j: int, attached: Sequence[Attached]) -> list[float]:
        """Broad boxes are met where the lines come from; others near the middle, what goes out beside what comes in."""
        look, x = self._drawing.look[j], self._drawing.x[j]
        round_shape = look.shape == "circle"
        room = look.width / 2 - (2 if round_shape else EDGE)
        wished = [min(max(end.far - x, -room), room) for end in attached]
        if self._is_met_anywhere(j):
            return pushed_apart(wished, BROAD_SPACING, room)
        if len(attached) == 1:
            return [wished[0] if abs(attached[0].far - x) <= NEARLY_STRAIGHT else 0.0]
        spacing = CIRCLE_SPACING if round_shape else PORT_SPACING
        coming_in = sum(end.comes_in for end in attached)
        if 0 < coming_in < len(attached):
            centred = iter([(k - (coming_in - 1) / 2) * spacing for k in range(coming_in)])
            return [next(centred) if end.comes_in else math.copysign(room, w) for end, w in zip(attached, wished, strict=True)]
        spacing = min(spacing, 2 * room / (len(attached) - 1))
        straight = next((k for k, w in enumerate(wished) if abs(w) < 1), (len(attached) - 1) / 2)
        return [min(max((k - straight) * spacing, -room), room) for k in range(len(attached))]

    def _side_offset(self, lineage: Lineage, j: int, from_right: bool) -> float:
        """Lines that reach an item at one side in one step come in one below the other, the highest source on top."""
        column = self._drawing.column
        rows = {item.lineage: r for item, r in zip(column.first, column.row, strict=True)}
        at = {state: steps for (state, v, right), steps in column.arrives.items() if v == j and right == from_right}
        slots: list[list[Lineage]] = []
        for state in sorted(at, key=lambda state: (-rows.get(state, 0), repr(state))):
            free = next((slot for slot in slots if all(at[state].isdisjoint(at[other]) for other in slot)), None)
            if free is None:
                slots.append([state])
            else:
                free.append(state)
        number = next(k for k, slot in enumerate(slots) if lineage in slot)
        return (number - (len(slots) - 1) / 2) * SIDE_SPACING
