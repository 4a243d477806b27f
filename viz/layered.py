"""Layered drawing: in which order the members of each row stand, and where.

The method is Sugiyama's. Every vertex has a row; an edge that spans several rows is given a bend in each row between,
so that room is kept for it and no edge ever meets a box. Orders are improved by barycentres and by exchanging
neighbours; positions minimise the squares of the sideways lengths of the edges, one row at a time, which is an isotonic regression
and solved exactly by pooling; then whatever can be made exactly straight is.

Nothing here knows what a row is: the columns of an unrolled network are rows from bottom to top, what comes before and
after them is rows from left to right.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

__all__ = ["Arrangement", "Rows", "arrange"]

BEND = 4.0
BEND_GAP = 11.0
ROUNDS = 8
STARTS, SMALL = 24, 90
FEW_ROUNDS, FEW_SWEEPS, MEDIUM = 3, 12, 2000
OUT_OF_RANK = 0.001
SWEEPS = 60
STRAIGHTENED = 60.0


@dataclass(slots=True)
class Rows:
    """What is to be arranged.

    Attributes:
        row: the row of each vertex.
        extent: its size along the row.
        edges: pairs of vertices in different rows.
        before: how many lines reach each vertex from the start of its row (and so cross what stands before it).
        behind: how many lines leave it for the end of its row.
        runs: vertices of one row that must stand in the given order.
        broad: whether a vertex can be met anywhere along its extent rather than in the middle.
        anchor: where lines meet a vertex, counted from its middle.
        rank: where a vertex would like to stand in its row if nothing else decides; its number by default.
        weight: how strongly each edge wants to be straight.
        gap: the least distance between two vertices of a row.
        bundled: whether the edges that leave one vertex share their bends, so that they run together as far as they can.
    """

    row: list[int]
    extent: list[float]
    edges: list[tuple[int, int]]
    before: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)
    runs: list[list[int]] = field(default_factory=list)
    broad: list[bool] = field(default_factory=list)
    anchor: list[float] = field(default_factory=list)
    rank: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    gap: float = 16.0
    bundled: bool = False


@dataclass(slots=True)
class Arrangement:
    """Where everything stands.

    Attributes:
        centre: the position of each vertex along its row.
        bends: for each edge, the (row, position) of its bends from its first vertex to its second.
        order: for each row, its vertices (without bends) in order.
    """

    centre: list[float]
    bends: list[list[tuple[int, float]]]
    order: dict[int, list[int]]


def arrange(rows: Rows) -> Arrangement:
    """Order and place the vertices; the smallest edge of anything is at 0."""
    n = len(rows.row)
    rows.before = rows.before or [0.0] * n
    rows.behind = rows.behind or [0.0] * n
    rows.broad = rows.broad or [False] * n
    proper = _Proper(rows)
    order = proper.best_order()
    centre = proper.positions(order)
    bends = [[(proper.row[v], centre[v]) for v in chain] for chain in proper.chains]
    visible = {r: [v for v in members if v < n] for r, members in order.items()}
    return Arrangement(centre[:n], bends, visible)


Order = dict[int, list[int]]


class _Proper:
    """The rows with a bend for every row that an edge passes: all edges now join neighbouring rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.count = len(rows.row)
        self.row = list(rows.row)
        self.extent = list(rows.extent)
        self._bends: dict[tuple[int, int], int] = {}
        self.chains: list[list[int]] = []
        self.weight: dict[tuple[int, int], float] = {}
        self.segments = segments = list[tuple[int, int]]()
        for (u, v), weight in zip(rows.edges, rows.weight or [1.0] * len(rows.edges), strict=True):
            step = 1 if rows.row[v] > rows.row[u] else -1
            chain = [self._bend(u, r) for r in range(rows.row[u] + step, rows.row[v], step)]
            self.chains.append(chain)
            if rows.row[u] != rows.row[v]:
                for piece in zip([u, *chain], [*chain, v], strict=True):
                    key = (min(piece), max(piece))
                    if key not in self.weight or not rows.bundled:
                        segments.append(piece)
                    self.weight[key] = weight
        size = len(self.row)
        self.below: list[list[int]] = [[] for _ in range(size)]
        self.above: list[list[int]] = [[] for _ in range(size)]
        for u, v in segments:
            low, high = (u, v) if self.row[u] < self.row[v] else (v, u)
            self.above[low].append(high)
            self.below[high].append(low)
        self.before = [*rows.before, *[0.0] * (size - self.count)]
        self.behind = [*rows.behind, *[0.0] * (size - self.count)]
        self.run_of = {v: k for k, run in enumerate(rows.runs) for v in run}
        self.anchor = [*(rows.anchor or [0.0] * self.count), *[0.0] * (size - self.count)]
        self.levels = sorted(set(self.row))
        self.rank = [self._wished_rank(v) for v in range(size)]

    def _bend(self, u: int, r: int) -> int:
        """A new bend in row r for an edge that leaves u, or the one that there is if edges are bundled."""
        if self.rows.bundled and (u, r) in self._bends:
            return self._bends[u, r]
        self._bends[u, r] = len(self.row)
        self.row.append(r)
        self.extent.append(BEND)
        return self._bends[u, r]

    def best_order(self) -> Order:
        """The order with the fewest crossings found; among equals the one closest to the order of recording."""
        order: Order = {r: [] for r in self.levels}
        for v in sorted(range(len(self.row)), key=lambda v: (self.rank[v], v)):
            order[self.row[v]].append(v)
        for members in order.values():
            self._restore_runs(members)
        best, fewest = order, math.inf
        shuffle = Random(0).shuffle
        for start in range(STARTS if len(self.row) <= SMALL else 1):
            candidate = {r: list(members) for r, members in order.items()}
            if start:
                for members in candidate.values():
                    shuffle(members)
                    self._restore_runs(members)
            for attempt in range(ROUNDS if len(self.row) <= MEDIUM else FEW_ROUNDS):
                self._exchange(candidate)
                cost = self._cost(candidate)
                if cost < fewest - 1e-9:
                    best, fewest = {r: list(members) for r, members in candidate.items()}, cost
                self._by_barycentre(candidate, upward=attempt % 2 == 0)
        return best

    def _wished_rank(self, v: int) -> float:
        rank = self.rows.rank or list(range(self.count))
        if v < self.count:
            return rank[v]
        return min((rank[u] for u in (*self.below[v], *self.above[v]) if u < self.count), default=float(v))

    def _restore_runs(self, members: list[int]) -> None:
        """Put the vertices of each run back into their order, in the places they hold together."""
        present = set(members)
        for run in self.rows.runs:
            if run and run[0] in present:
                slots = sorted(members.index(v) for v in run)
                for slot, v in zip(slots, run, strict=True):
                    members[slot] = v

    def _by_barycentre(self, order: Order, upward: bool) -> None:
        place = {v: float(p) for members in order.values() for p, v in enumerate(members)}
        for r in self.levels if upward else reversed(self.levels):
            members = order[r]
            wanted: dict[int, float] = {}
            for v in members:
                seen = [place[u] for u in (self.below[v] if upward else self.above[v])]
                seen += [-1.0] * round(self.before[v]) + [float(len(members))] * round(self.behind[v])
                wanted[v] = sum(seen) / len(seen) if seen else place[v]
            members.sort(key=lambda v: (wanted[v], place[v]))
            self._restore_runs(members)
            for p, v in enumerate(members):
                place[v] = float(p)

    def _exchange(self, order: Order) -> None:
        """Exchange neighbours as long as that removes crossings."""
        place = {v: p for members in order.values() for p, v in enumerate(members)}
        for _ in range(ROUNDS):
            improved = False
            for r in self.levels:
                members = order[r]
                for p in range(len(members) - 1):
                    u, v = members[p], members[p + 1]
                    if u in self.run_of and self.run_of[u] == self.run_of.get(v):
                        continue
                    if self._clash(v, u, place) < self._clash(u, v, place):
                        members[p], members[p + 1] = v, u
                        place[u], place[v] = p + 1, p
                        improved = True
            if not improved:
                return

    def _clash(self, u: int, v: int, place: dict[int, int]) -> float:
        """What it costs that u stands directly before v."""
        cost = self.before[v] * self._bulk(u) + self.behind[u] * self._bulk(v)
        cost += OUT_OF_RANK * (self.rank[u] > self.rank[v])
        for side in (self.below, self.above):
            positions = sorted(place[w] for w in side[v])
            cost += sum(bisect_right(positions, place[w] - 1) for w in side[u])
        return cost

    def _bulk(self, v: int) -> float:
        """What it costs to pass a vertex on the way to the end of its row, in crossings; a right-angled one counts less."""
        return 1.3 if v < self.count else 0.4

    def _cost(self, order: Order) -> float:
        place = {v: p for members in order.values() for p, v in enumerate(members)}
        cost = 0.0
        for members in order.values():
            for p, v in enumerate(members):
                if self.before[v]:
                    cost += self.before[v] * sum(map(self._bulk, members[:p]))
                if self.behind[v]:
                    cost += self.behind[v] * sum(map(self._bulk, members[p + 1 :]))
            cost += OUT_OF_RANK * self._inversions([self.rank[v] for v in members])
            passed: list[int] = []
            for v in members:
                ends = sorted(place[w] for w in self.above[v])
                cost += sum(len(passed) - bisect_right(passed, end) for end in ends)
                for end in ends:
                    insort(passed, end)
        return cost

    def _inversions(self, values: Sequence[float]) -> int:
        earlier: list[float] = []
        count = 0
        for value in values:
            count += len(earlier) - bisect_right(earlier, value)
            insort(earlier, value)
        return count

    def _gap(self, u: int, v: int) -> float:
        real = (u < self.count) + (v < self.count)
        return (self.extent[u] + self.extent[v]) / 2 + (self.rows.gap if real == 2 else min(self.rows.gap, BEND_GAP))

    def positions(self, order: Order) -> list[float]:
        """Positions along the rows that keep the order and the gaps and make the edges as straight as they can be."""
        offsets: dict[int, list[float]] = {}
        centre = [0.0] * len(self.row)
        for r, members in order.items():
            at = 0.0
            offsets[r] = []
            for p, v in enumerate(members):
                at += self._gap(members[p - 1], v) if p else 0.0
                offsets[r].append(at)
            for v, offset in zip(members, offsets[r], strict=True):
                centre[v] = offset - at / 2
        pulls = self._pulls(order)
        for sweep in range(SWEEPS if len(self.row) <= MEDIUM else FEW_SWEEPS):
            for r in self.levels if sweep % 2 == 0 else reversed(self.levels):
                self._settle(order[r], offsets[r], pulls, centre)
        self._straighten(order, centre)
        left = min((centre[v] - self.extent[v] / 2 for v in range(len(centre))), default=0.0)
        return [round(c - left, 1) for c in centre]

    def _pulls(self, order: Order) -> list[list[tuple[int, float, float]]]:
        """For each vertex its neighbours as (neighbour, wished difference of positions, weight)."""
        pulls: list[list[tuple[int, float, float]]] = [[] for _ in self.row]
        place = {v: p for members in order.values() for p, v in enumerate(members)}
        port: dict[tuple[int, int], float] = {}
        for v in range(self.count):
            if self.rows.broad[v]:
                for side in (self.below[v], self.above[v]):
                    for k, u in enumerate(sorted(side, key=place.__getitem__)):
                        port[v, u] = ((k + 0.5) / len(side) - 0.5) * self.extent[v]
        for low, aboves in enumerate(self.above):
            for high in aboves:
                bends = (low >= self.count) + (high >= self.count)
                broad = (low, high) in port or (high, low) in port
                weight = (0.4 if broad else (1.0, 2.0, 8.0)[bends]) * self.weight[min(low, high), max(low, high)]
                wish = port.get((low, high), self.anchor[low]) - port.get((high, low), self.anchor[high])
                pulls[high].append((low, wish, weight))
                pulls[low].append((high, -wish, weight))
        return pulls

    def _settle(
        self,
        members: Sequence[int],
        offsets: Sequence[float],
        pulls: list[list[tuple[int, float, float]]],
        centre: list[float],
    ) -> None:
        """Move one row to where its neighbours pull it: a weighted isotonic regression, by pooling violators."""
        pools: list[tuple[float, float, int]] = []
        for v, offset in zip(members, offsets, strict=True):
            weighted, total = centre[v] * 0.02, 0.02
            for u, wish, weight in pulls[v]:
                weighted += weight * (centre[u] + wish)
                total += weight
            mean, count = weighted / total - offset, 1
            while pools and pools[-1][0] >= mean:
                above, mass, size = pools.pop()
                mean = (above * mass + mean * total) / (mass + total)
                total += mass
                count += size
            pools.append((mean, total, count))
        k = 0
        for mean, _, size in pools:
            for _ in range(size):
                centre[members[k]] = mean + offsets[k]
                k += 1

    def _straighten(self, order: Order, centre: list[float]) -> None:
        """Put the two ends of an edge at one position where the second has no other edge to the first's row and there is
        room; of several edges that leave one vertex for a row, one is made straight.

        What has been put in line stays in line: it moves together from then on.
        """
        place = {v: p for members in order.values() for p, v in enumerate(members)}
        line = list(range(len(self.row)))
        members_of = {v: [v] for v in line}
        straight: set[tuple[int, int]] = set()
        meets = self.anchor

        def has_room(moving: int, shift: float) -> bool:
            for v in members_of[moving]:
                row, p = order[self.row[v]], place[v]
                before, after = (row[p - 1] if p else None), (row[p + 1] if p + 1 < len(row) else None)
                if before is not None and line[before] != moving:
                    if centre[v] + shift - centre[before] < self._gap(before, v) - 0.01:
                        return False
                if after is not None and line[after] != moving:
                    if centre[after] - centre[v] - shift < self._gap(v, after) - 0.01:
                        return False
            return True

        wanted = sorted((abs(centre[v] + meets[v] - centre[u] - meets[u]), u, v) for u, v in self._partners())
        for distance, u, v in wanted:
            if distance > STRAIGHTENED or line[u] == line[v] or (u, self.row[v]) in straight:
                continue
            shift = centre[v] + meets[v] - centre[u] - meets[u]
            if abs(shift) < 0.01:
                shift = 0.0
            elif has_room(line[u], shift):
                for w in members_of[line[u]]:
                    centre[w] += shift
            elif has_room(line[v], -shift):
                for w in members_of[line[v]]:
                    centre[w] -= shift
            else:
                continue
            straight.add((u, self.row[v]))
            joined, other = sorted((line[u], line[v]), key=lambda number: len(members_of[number]), reverse=True)
            for w in members_of[other]:
                line[w] = joined
            members_of[joined] += members_of.pop(other)

    def _partners(self) -> list[tuple[int, int]]:
        """The edges that may be made straight: those whose end is reached by no other from the same side."""
        coming = Counter((v, self.row[v] > self.row[u]) for u, v in self.segments)
        broad = [*self.rows.broad, *[False] * (len(self.row) - self.count)]
        return [
            (u, v) for u, v in self.segments if coming[v, self.row[v] > self.row[u]] == 1 and not (broad[u] or broad[v])
        ]
