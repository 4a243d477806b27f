"""Where the items of a column stand from left to right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from .arranging import Rows, arrange
from .columns import Column, Lineage
from .sizes import Look, look_of

__all__ = ["ColumnDrawing"]

TAP_ROOM = 16.0
GAP = 17.0
STRETCH = 14.0
LINE_ROOM = 4.0
HANGING, STACKED = 0.15, 50.0
"""How strongly lines want to be straight that go down, and those between closed cells, which stand above one another."""

Bends = list[tuple[int, float]]


class ColumnDrawing:
    """One kind of column with its items placed; x counts from its left edge, rows from the bottom.

    Args:
        column: what stands in it.
        fed_from_above: the sources whose wires run above the columns.
        rows: how many rows there are in all columns.

    Attributes:
        looks: for each step, what is drawn in each item.
        look: for each item, the size that serves all steps.
        x: the middle of each item.
        order: for each row, its items from left to right.
        bends: for each link that changes rows, by its number, the (row, x) of its bends.
        taps: (source, item) for each line from a wire, with the row below or above all others in which it starts
            (``tap_row``), where it starts (``tap_x``), and its bends (``tap_bends``).
        width: from the left edge to the right.
    """

    def __init__(self, column: Column, fed_from_above: set[int], rows: int) -> None:
        self.column = column
        self.looks = [[look_of(item) for item in items] for items in column.items]
        self.look = self._common_looks()
        self.taps = sorted(column.taps)
        self.tap_row = [rows if source in fed_from_above else -1 for source, _ in self.taps]
        self._arrange()
        self._sort_equal_taps()
        self._stretch_broad()
        self._start_at_zero()
        bent = [x + LINE_ROOM for bends in (*self.bends.values(), *self.tap_bends) for _, x in bends]
        right = [x + look.width / 2 for x, look in zip(self.x, self.look, strict=True)]
        self.width = max([*right, *bent, *(x + LINE_ROOM for x in self.tap_x)])

    def _common_looks(self) -> list[Look]:
        """Of each item the size that holds it at every step; an affine box spans what is computed from it."""
        common = [
            alike[0]._replace(width=max(look.width for look in alike), height=max(look.height for look in alike))
            for alike in zip(*self.looks, strict=True)
        ]
        for j, item in enumerate(self.column.first):
            if item.terms:
                users = {v for u, v in self.column.links if u == j and not self.column.first[v].terms}
                span = sum(common[v].width + GAP for v in users) - GAP
                ports = sum(v == j for _, v in [*self.column.links, *self.column.taps]) * (TAP_ROOM + GAP)
                common[j] = common[j]._replace(width=max(common[j].width, span, ports))
        return common

    def _arrange(self) -> None:
        column, n, taps = self.column, len(self.look), self.taps
        row = column.row
        changing = [k for k, (u, v) in enumerate(column.links) if row[u] != row[v]]
        links = [column.links[k] for k in changing]
        from_above = [r > 0 for r in self.tap_row]
        found = arrange(
            Rows(
                row=[*row, *self.tap_row],
                extent=[*(look.width for look in self.look), *[TAP_ROOM] * len(taps)],
                edges=[*links, *((n + k, item) for k, (_, item) in enumerate(taps))],
                before=self._side_lines(right=False),
                behind=self._side_lines(right=True),
                runs=column.highways,
                broad=[*(len(item.terms) > 0 for item in column.first), *[False] * len(taps)],
                rank=[
                    *(j + n * (item.role == "input") for j, item in enumerate(column.first)),
                    *(k - len(taps) + 3 * n * above for k, above in enumerate(from_above)),
                ],
                weight=[*(self._weight(u, v) for u, v in links), *[1.0] * len(taps)],
                gap=GAP,
            )
        )
        self.x, self.tap_x = found.centre[:n], found.centre[n:]
        self.order = {r: [v for v in members if v < n] for r, members in found.order.items()}
        self.bends: dict[int, Bends] = dict(zip(changing, found.bends[: len(links)], strict=True))
        self.tap_bends: list[Bends] = found.bends[len(links) :]

    def _weight(self, u: int, v: int) -> float:
        if self.column.row[v] < self.column.row[u]:
            return HANGING
        return STACKED if all(self.column.first[j].ports for j in (u, v)) else 1.0

    def _side_lines(self, right: bool) -> list[float]:
        """How many lines join each item (and tap) with that edge of the column, at the step where they are most."""
        lines = [0.0] * (len(self.look) + len(self.taps))
        arriving = Counter((j, step) for (_, j, at), steps in self.column.arrives.items() if at == right for step in steps)
        for (j, _), count in arriving.items():
            lines[j] = max(lines[j], count)
        for j, _, to_right in self.column.leaves:
            lines[j] += to_right == right
        return lines

    def _sort_equal_taps(self) -> None:
        """Let the taps of one item stand in the order of their wires."""
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for k, (_, j) in enumerate(self.taps):
            alike[j, self.tap_row[k]].append(k)
        for taps in alike.values():
            lines = sorted(((self.tap_x[k], self.tap_bends[k]) for k in taps), key=lambda line: line[0])
            for k, (x, bends) in zip(taps, lines, strict=True):
                self.tap_x[k], self.tap_bends[k] = x, bends

    def _stretch_broad(self) -> None:
        """Widen affine boxes until every line can meet them vertically, as far as their row has room."""
        meeting: dict[int, list[float]] = defaultdict(list)
        bent: dict[int, list[float]] = defaultdict(list)
        for k, bends in self.bends.items():
            u, v = self.column.links[k]
            meeting[u].append(bends[0][1] if bends else self.x[v])
            meeting[v].append(bends[-1][1] if bends else self.x[u])
        for k, (_, j) in enumerate(self.taps):
            meeting[j].append(self.tap_bends[k][-1][1] if self.tap_bends[k] else self.tap_x[k])
        for bends in (*self.bends.values(), *self.tap_bends):
            for r, x in bends:
                bent[r].append(x)
        for j, item in enumerate(self.column.first):
            if not item.terms or not meeting[j]:
                continue
            x, half = self.x[j], self.look[j].width / 2
            row = self.column.row[j]
            sides = [self.x[k] + side * self.look[k].width / 2 for k in self.order[row] if k != j for side in (-1, 1)]
            left = max([min(meeting[j]) - STRETCH, *(e + TAP_ROOM for e in sides + bent[row] if e < x)])
            right = min([max(meeting[j]) + STRETCH, *(e - TAP_ROOM for e in sides + bent[row] if e > x)])
            left, right = min(left, x - half), max(right, x + half)
            self.x[j] = (left + right) / 2
            self.look[j] = self.look[j]._replace(width=right - left)

    def _start_at_zero(self) -> None:
        dx = -min(0.0, *(x - look.width / 2 for x, look in zip(self.x, self.look, strict=True)))
        if dx:
            self.x = [x + dx for x in self.x]
            self.tap_x = [x + dx for x in self.tap_x]
            self.bends = {k: [(r, x + dx) for r, x in bends] for k, bends in self.bends.items()}
            self.tap_bends = [[(r, x + dx) for r, x in bends] for bends in self.tap_bends]

    def is_outermost(self, j: int, right: bool) -> bool:
        """Whether nothing stands between an item and the edge of the column."""
        return self.order[self.column.row[j]][-1 if right else 0] == j

    def comes_in_below(self, row: int) -> list[tuple[Lineage, int]]:
        """What arrives below a row because it cannot come in at the side, the nearest line first."""
        found = [
            (lineage, j)
            for lineage, j, from_right in self.column.arrives
            if self.column.row[j] == row and not self.is_outermost(j, from_right)
        ]
        return sorted(found, key=lambda arrival: (-self.x[arrival[1]], repr(arrival)))

    def leaves_above(self, row: int) -> bool:
        """Whether something leaves above a row because it cannot leave at the side."""
        return any(self.column.row[j] == row and not self.is_outermost(j, right) for j, _, right in self.column.leaves)

    def sideways(self) -> dict[int, float]:
        """For each channel (below row r) how far sideways a line has to go in it, about."""
        widest: dict[int, float] = defaultdict(float)
        for k, bends in self.bends.items():
            u, v = self.column.links[k]
            row = self.column.row
            for (r0, x0), (r1, x1) in pairwise([(row[u], self.x[u]), *bends, (row[v], self.x[v])]):
                broad = self.column.first[u].terms or self.column.first[v].terms
                widest[max(r0, r1)] = max(widest[max(r0, r1)], 0.0 if broad else abs(x1 - x0))
        return dict(widest)


def pushed_apart(wished: Sequence[float], least: float, room: float) -> list[float]:
    """Sorted positions moved as little as simple pushing allows until they are ``least`` apart, within ±room.

    >>> pushed_apart([0.0, 1.0, 2.0], least=10.0, room=15.0)
    [-5.0, 5.0, 15.0]
    """
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
