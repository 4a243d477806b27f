"""Where the items of a column stand from left to right, and how the lines within it run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from viz.columns import Column, Lineage
from viz.layered import Rows, arrange
from viz.paths import Pen, Point
from viz.sizes import Look, look_of

__all__ = ["ColumnDrawing", "Frame", "frame_of"]

TAP_ROOM = 16.0
CHANNEL, WIDEST_CHANNEL = 27.0, 46.0
CONSUMER_GAP = 17.0
SIDE_SPACING, PORT_SPACING, CIRCLE_SPACING = 8.0, 13.0, 17.0
HANGING = 0.15
STRETCH = 14.0
FIRST_TRACK, TRACK = 14.0, 8.0


@dataclass(frozen=True, slots=True)
class Frame:
    """The heights that all columns share: for each row its middle and extent, counted downwards from the panel's top."""

    middle: list[float]
    half: list[float]

    def top(self, row: int) -> float:
        """The upper edge of a row."""
        return self.middle[row] - self.half[row]

    def bottom(self, row: int) -> float:
        """The lower edge of a row."""
        return self.middle[row] + self.half[row]

    @property
    def height(self) -> float:
        """From 0 to the lower edge of the lowest row."""
        return self.bottom(0)


class ColumnDrawing:
    """The drawing of one kind of column; x counts from its left edge."""

    def __init__(self, column: Column, above: set[int], rows: int) -> None:
        self.column = column
        self.looks = [[look_of(item) for item in items] for items in column.items]
        self.look = self._common_looks()
        self.taps = sorted(column.taps)
        self._tap_row = {source: rows if source in above else -1 for source, _ in self.taps}
        n = len(self.look)
        arrivals = sorted(column.arrives, key=repr)
        links = [(u, v) for u, v in column.links if column.row[u] != column.row[v]]
        edges = [*links, *((n + k, item) for k, (_, item) in enumerate(self.taps))]
        rows_ = Rows(
            row=[*column.row, *(self._tap_row[source] for source, _ in self.taps)],
            extent=[*(look.width for look in self.look), *[TAP_ROOM] * len(self.taps)],
            edges=edges,
            before=self._side_lines(False),
            behind=self._side_lines(True),
            runs=column.highways,
            rank=[
                *(j + n * (item.role == "input") for j, item in enumerate(column.first)),
                *(k - len(self.taps) + (3 * n if source in above else 0) for k, (source, _) in enumerate(self.taps)),
            ],
            broad=[*(len(item.terms) > 0 for item in column.first), *[False] * len(self.taps)],
            weight=[*(HANGING if column.row[v] < column.row[u] else 1.0 for u, v in links), *[1.0] * len(self.taps)],
            gap=CONSUMER_GAP,
        )
        found = arrange(rows_)
        self.x = found.centre[:n]
        self.tap_x = found.centre[n:]
        self.order = {r: [v for v in members if v < n] for r, members in found.order.items()}
        self._bends = dict(zip([k for k, (u, v) in enumerate(column.links) if column.row[u] != column.row[v]], found.bends, strict=False))
        self._tap_bends = found.bends[len(links) :]
        self._sort_equal_taps()
        self._arrivals = arrivals
        self._stretch_broad(links, [*found.bends[: len(links)], *self._tap_bends])
        bent = [x + 4 for bends in (*self._bends.values(), *self._tap_bends) for _, x in bends]
        self.width = max([*(x + look.width / 2 for x, look in zip(self.x, self.look, strict=True)), *bent, *(x + 4 for x in self.tap_x)])
        self._ports = self._place_ports()

    def _sort_equal_taps(self) -> None:
        """Let the taps of one item stand in the order of their wires."""
        alike: dict[tuple[int, int], list[int]] = {}
        for k, (source, j) in enumerate(self.taps):
            alike.setdefault((j, self._tap_row[source]), []).append(k)
        for taps in alike.values():
            lines = sorted(((self.tap_x[k], self._tap_bends[k]) for k in taps), key=lambda line: line[0])
            for k, (x, bends) in zip(taps, lines, strict=True):
                self.tap_x[k], self._tap_bends[k] = x, bends

    def _stretch_broad(self, links: Sequence[tuple[int, int]], bends: Sequence[Sequence[tuple[int, float]]]) -> None:
        """Widen affine boxes until every line can meet them vertically, as far as their row has room."""
        row = self.column.row
        met: dict[int, list[float]] = {}
        occupied: dict[int, list[float]] = {r: [] for r in range(-1, max(row) + 2)}
        for (u, v), passed in zip([*links, *((-1 - k, j) for k, (_, j) in enumerate(self.taps))], bends, strict=True):
            start = self.x[u] if u >= 0 else self.tap_x[-1 - u]
            met.setdefault(u, []).append(passed[0][1] if passed else self.x[v])
            met.setdefault(v, []).append(passed[-1][1] if passed else start)
            for r, x in passed:
                occupied[r].append(x)
        for j, item in enumerate(self.column.first):
            if item.terms and j in met:
                half = self.look[j].width / 2
                edges = [e for k in self.order[row[j]] if k != j for e in (self.x[k] - self.look[k].width / 2, self.x[k] + self.look[k].width / 2)]
                edges += occupied[row[j]]
                left = min(self.x[j] - half, max([min(met[j]) - STRETCH, *(e + TAP_ROOM for e in edges if e < self.x[j])]))
                right = max(self.x[j] + half, min([max(met[j]) + STRETCH, *(e - TAP_ROOM for e in edges if e > self.x[j])]))
                self.x[j] = (left + right) / 2
                self.look[j] = replace(self.look[j], width=right - left)
        shift = -min(0.0, *(x - look.width / 2 for x, look in zip(self.x, self.look, strict=True)))
        if shift:
            self._shift(shift)

    def _shift(self, dx: float) -> None:
        self.x = [x + dx for x in self.x]
        self.tap_x = [x + dx for x in self.tap_x]
        self._bends = {k: [(r, x + dx) for r, x in bends] for k, bends in self._bends.items()}
        self._tap_bends = [[(r, x + dx) for r, x in bends] for bends in self._tap_bends]

    def _common_looks(self) -> list[Look]:
        """Of each item the size that holds it at every step; an affine box spans what is computed from it."""
        common = [
            replace(step_looks[0], width=max(l.width for l in step_looks), height=max(l.height for l in step_looks))
            for step_looks in zip(*self.looks, strict=True)
        ]
        for j, item in enumerate(self.column.first):
            if item.terms:
                users = {v for u, v in self.column.links if u == j and not self.column.first[v].terms}
                span = sum(common[v].width + CONSUMER_GAP for v in users) - CONSUMER_GAP
                ports = sum(v == j for _, v in [*self.column.links, *self.column.taps]) * (TAP_ROOM + CONSUMER_GAP)
                common[j] = replace(common[j], width=max(common[j].width, span, ports))
        return common

    def _side_lines(self, right: bool) -> list[float]:
        lines = [0.0] * (len(self.look) + len(self.taps))
        for _, j, from_right in self.column.arrives:
            lines[j] += from_right == right
        for j, to_right in self.column.leaves:
            lines[j] += to_right == right
        return lines

    def spans(self) -> dict[int, float]:
        """For each channel (the space above row r) how far sideways a line has to go in it."""
        widest: dict[int, float] = {}
        for k in self._bends:
            points = self._way(k)
            for (r0, x0), (r1, x1) in zip(points, points[1:], strict=False):
                widest[min(r0, r1)] = max(widest.get(min(r0, r1), 0.0), abs(x1 - x0))
        return widest

    def _way(self, k: int) -> list[tuple[int, float]]:
        u, v = self.column.links[k]
        row = self.column.row
        return [(row[u], self.port_x(("out", k), u)), *self._bends[k], (row[v], self.port_x(("in", k), v))]

    def is_outermost(self, j: int, right: bool) -> bool:
        """Whether nothing stands between an item and the edge of the column."""
        return self.order[self.column.row[j]][-1 if right else 0] == j

    def _place_ports(self) -> dict[tuple[object, ...], float]:
        """Where along the top or bottom of its items each line is attached, as distances from the middle."""
        sides: dict[tuple[int, bool], list[tuple[float, bool, tuple[object, ...]]]] = {}
        row = self.column.row
        for k, bends in self._bends.items():
            u, v = self.column.links[k]
            up = row[v] > row[u]
            far = [x for _, x in bends]
            sides.setdefault((u, up), []).append((far[0] if far else self.x[v], False, ("out", k)))
            sides.setdefault((v, not up), []).append((far[-1] if far else self.x[u], True, ("in", k)))
        for k, (source, j) in enumerate(self.taps):
            far = [x for _, x in self._tap_bends[k]]
            sides.setdefault((j, self._tap_row[source] > row[j]), []).append((far[-1] if far else self.tap_x[k], True, ("tap", k)))
        for lineage, j, from_right in self._arrivals:
            if not self.is_outermost(j, from_right):
                far_x = math.inf if from_right else -math.inf
                sides.setdefault((j, False), []).append((far_x, True, ("arrive", lineage, j, from_right)))
        for j, to_right in sorted(self.column.leaves):
            if not self.is_outermost(j, to_right):
                sides.setdefault((j, True), []).append((math.inf if to_right else -math.inf, False, ("leave", j, to_right)))
        ports: dict[tuple[object, ...], float] = {}
        for (j, _), attached in sorted(sides.items()):
            ports.update(self._spread(j, sorted(attached, key=lambda a: (a[0], repr(a[2])))))
        return ports

    def _spread(self, j: int, attached: Sequence[tuple[float, bool, tuple[object, ...]]]) -> dict[tuple[object, ...], float]:
        look = self.look[j]
        room = look.width / 2 - (2 if look.shape == "circle" else 8)
        spacing = CIRCLE_SPACING if look.shape == "circle" else PORT_SPACING
        wished = [far - self.x[j] for far, _, _ in attached]
        incoming = [arrives for _, arrives, _ in attached]
        if look.width > 80 or self.column.first[j].terms:
            offsets = pushed_apart([min(max(w, -room), room) for w in wished], 10.0, room)
        elif len(attached) == 1:
            offsets = [0.0 if abs(wished[0]) > 6 else max(min(wished[0], room), -room)]
        elif any(incoming) and not all(incoming):
            few = sum(incoming)
            centred = iter([(k - (few - 1) / 2) * spacing for k in range(few)])
            offsets = [next(centred) if arrives else math.copysign(room, w) for w, arrives in zip(wished, incoming, strict=True)]
        else:
            spacing = min(spacing, 2 * room / (len(attached) - 1))
            straight = next((k for k, w in enumerate(wished) if abs(w) < 1), (len(attached) - 1) / 2)
            offsets = [min(max((k - straight) * spacing, -room), room) for k in range(len(attached))]
        return {key: offset for (_, _, key), offset in zip(attached, offsets, strict=True)}

    def port_x(self, key: tuple[object, ...], j: int) -> float:
        """The x of a line's end at item j."""
        return self.x[j] + self._ports.get(key, 0.0)

    def port_y(self, frame: Frame, j: int, x: float, top: bool) -> float:
        """The y of the outline of item j at x."""
        look, middle = self.look[j], frame.middle[self.column.row[j]]
        half = look.height / 2
        if look.shape == "circle":
            half = math.sqrt(max(half * half - (x - self.x[j]) ** 2, 1.0))
        return middle - half if top else middle + half

    def link_path(self, frame: Frame, k: int) -> list[Point]:
        """The line of the k-th link within the column."""
        u, v = self.column.links[k]
        row = self.column.row
        if row[u] == row[v]:
            side = math.copysign(0.5, self.x[v] - self.x[u])
            y = frame.middle[row[u]]
            return Pen(self.x[u] + side * self.look[u].width, y).to(self.x[v] - side * self.look[v].width, y).points
        up = row[v] > row[u]
        start, end = self.port_x(("out", k), u), self.port_x(("in", k), v)
        pen = Pen(start, self.port_y(frame, u, start, up))
        self._through(pen, frame, self._bends[k], up)
        return pen.rise(end, self.port_y(frame, v, end, not up), self._aim(frame, v, end)).points

    def _aim(self, frame: Frame, j: int, x: float) -> Point | None:
        """The middle of a circle, for lines that meet it beside its lowest or highest point."""
        if self.look[j].shape != "circle" or abs(x - self.x[j]) < 1:
            return None
        return self.x[j], frame.middle[self.column.row[j]]

    def _through(self, pen: Pen, frame: Frame, bends: Sequence[tuple[int, float]], up: bool) -> None:
        for r, x in bends:
            near, far = (frame.bottom(r), frame.top(r)) if up else (frame.top(r), frame.bottom(r))
            pen.rise(x, near).to(x, far)

    def tap_path(self, frame: Frame, k: int, wire_y: float) -> list[Point]:
        """The line from a wire at ``wire_y`` to the item that uses what the wire carries."""
        source, j = self.taps[k]
        up = self._tap_row[source] < 0
        end = self.port_x(("tap", k), j)
        bends = self._tap_bends[k]
        first = bends[0][1] if bends else end
        pen = Pen(first, wire_y)
        self._through(pen, frame, bends, up)
        return pen.rise(end, self.port_y(frame, j, end, not up), self._aim(frame, j, end)).points

    def wire_x(self, k: int) -> float:
        """Where the k-th tap leaves its wire."""
        return self._tap_bends[k][0][1] if self._tap_bends[k] else self.port_x(("tap", k), self.taps[k][1])

    def arrival_path(self, frame: Frame, lineage: Lineage, j: int, from_right: bool) -> list[Point]:
        """The line from the edge of the column to item j, for what comes from another step."""
        edge = self.width if from_right else 0.0
        if self.is_outermost(j, from_right):
            y = frame.middle[self.column.row[j]] + self._side_offset(lineage, j, from_right)
            side = 0.5 if from_right else -0.5
            return Pen(edge, y).to(self.x[j] + side * self.look[j].width, y).points
        x = self.port_x(("arrive", lineage, j, from_right), j)
        row = self.column.row[j]
        y = frame.bottom(row) + FIRST_TRACK + TRACK * self._below(row).index((lineage, j))
        return Pen(edge, y).corner(x, self.port_y(frame, j, x, False), vertical_first=False).points

    def _below(self, row: int) -> list[tuple[Lineage, int]]:
        """What comes in below a row because it cannot come in at the side."""
        found = [(l, v) for l, v, right in self._arrivals if self.column.row[v] == row and not self.is_outermost(v, right)]
        return sorted(found, key=lambda arrival: (-self.x[arrival[1]], repr(arrival)))

    def tracks(self) -> dict[int, int]:
        """How many lines run sideways in each channel (the space above row r)."""
        return {r - 1: len(self._below(r)) for r in self.order}

    def _side_offset(self, lineage: Lineage, j: int, from_right: bool) -> float:
        """Lines that reach an item at one side in one step come in one below the other, the highest source on top."""
        rows = {item.lineage: r for item, r in zip(self.column.first, self.column.row, strict=True)}
        steps = {l: s for (l, v, right), s in self.column.arrives.items() if v == j and right == from_right}
        slots: list[list[Lineage]] = []
        for other in sorted(steps, key=lambda l: (-rows.get(l, 0), repr(l))):
            free = next((slot for slot in slots if all(steps[other].isdisjoint(steps[l]) for l in slot)), None)
            if free is None:
                slots.append([other])
            else:
                free.append(other)
        number = next(k for k, slot in enumerate(slots) if lineage in slot)
        return (number - (len(slots) - 1) / 2) * SIDE_SPACING

    def leaving_path(self, frame: Frame, j: int, to_right: bool) -> list[Point]:
        """The line from item j to the edge of the column, for what goes to another step."""
        edge, row = (self.width if to_right else 0.0), self.column.row[j]
        if self.is_outermost(j, to_right):
            side = 0.5 if to_right else -0.5
            return Pen(self.x[j] + side * self.look[j].width, frame.middle[row]).to(edge, frame.middle[row]).points
        x = self.port_x(("leave", j, to_right), j)
        return Pen(x, self.port_y(frame, j, x, True)).corner(edge, frame.top(row) - CHANNEL / 2, vertical_first=True).points


def pushed_apart(wished: Sequence[float], least: float, room: float) -> list[float]:
    """Sorted positions moved as little as simple pushing allows until they are ``least`` apart, within ±room."""
    if len(wished) < 2:
        return list(wished)
    least = min(least, 2 * room / (len(wished) - 1))
    placed = list(wished)
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + least)
    placed[-1] = min(placed[-1], room)
    for k in range(len(placed) - 2, -1, -1):
        placed[k] = min(placed[k], placed[k + 1] - least)
    return placed


def frame_of(drawings: Sequence[ColumnDrawing], rows: int) -> Frame:
    """Heights for so many rows, with more room where lines have far to go sideways."""
    half = [0.0] * rows
    spans, tracks = [0.0] * rows, [0] * rows
    for drawing in drawings:
        for look, r in zip(drawing.look, drawing.column.row, strict=True):
            half[r] = max(half[r], look.height / 2)
        for r, span in drawing.spans().items():
            if 0 <= r < rows:
                spans[r] = max(spans[r], span)
        for r, count in drawing.tracks().items():
            if 0 <= r < rows:
                tracks[r] = max(tracks[r], count)
    middle = [0.0] * rows
    y = 0.0
    for r in range(rows - 1, -1, -1):
        middle[r] = y + half[r]
        below, lines = (spans[r - 1], tracks[r - 1]) if r else (0.0, 0)
        y += 2 * half[r] + min(CHANNEL + 0.12 * below, WIDEST_CHANNEL) + TRACK * lines
    return Frame(middle, half)
