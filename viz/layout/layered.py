"""Layered drawing: in which order the members of each row stand, and where.

The method is Sugiyama's. Every vertex has a row; an edge that spans several rows is given a bend in each row between,
so that room is kept for it and no edge ever meets a box. Nothing here knows what a row is: the columns of an unrolled
network are rows from bottom to top, what comes before and after them is rows from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Arrangement", "Order", "Proper", "Rows"]

BEND = 4.0
BEND_GAP = 11.0

Order = dict[int, list[int]]
"""For each row its vertices (and bends) from first to last."""


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


class Proper:
    """The rows with a bend for every row that an edge passes: all edges now join neighbouring rows.

    Bends are numbered on from the vertices.

    Attributes:
        rows: what was asked for.
        count: how many vertices there are; higher numbers are bends.
        row, extent, before, behind, broad, anchor, rank: as in Rows, for bends too.
        chains: for each edge its bends.
        segments: the pieces of the edges, each between neighbouring rows.
        weight: of each piece, by its smaller and larger number.
        below, above: for each vertex or bend, what its pieces lead to in the row before and after its own.
        levels: the rows that there are.
    """

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
        none, bends = [0.0] * self.count, [0.0] * (size - self.count)
        self.before, self.behind = [*(rows.before or none), *bends], [*(rows.behind or none), *bends]
        self.anchor = [*(rows.anchor or none), *bends]
        self.broad = [*(rows.broad or map(bool, none)), *map(bool, bends)]
        self.rank = [self._wished_rank(v) for v in range(size)]
        self.levels = sorted(set(self.row))

    def _bend(self, u: int, r: int) -> int:
        """A new bend in row r for an edge that leaves u, or the one that there is if edges are bundled."""
        if self.rows.bundled and (u, r) in self._bends:
            return self._bends[u, r]
        self._bends[u, r] = len(self.row)
        self.row.append(r)
        self.extent.append(BEND)
        return self._bends[u, r]

    def _wished_rank(self, v: int) -> float:
        rank = self.rows.rank or list(range(self.count))
        if v < self.count:
            return rank[v]
        return min((rank[u] for u in (*self.below[v], *self.above[v]) if u < self.count), default=float(v))

    def gap(self, u: int, v: int) -> float:
        """How far apart the middles of two neighbours in a row must be."""
        both_real = u < self.count and v < self.count
        return (self.extent[u] + self.extent[v]) / 2 + (self.rows.gap if both_real else min(self.rows.gap, BEND_GAP))
