"""Where the items outside the columns stand: rows from left to right, for what comes before and after the steps.

A graph without time steps is one such region.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from viz.diagram import Item
from viz.layered import Rows, arrange
from viz.paths import Pen, Point
from viz.sizes import Look, look_of

__all__ = ["RegionDrawing"]

LAYER_GAP = 36.0
WIRE_ROOM = 12.0
PORT_SPACING = 8.0
FROM_LEAF = 0.08


@dataclass(slots=True)
class RegionDrawing:
    """The drawing of a region; x counts from its left edge, y from its top.

    Args:
        items: its items, inputs before consumers.
        links: (source, target) pairs, by their position in ``items``.
        entries: (key, item) for each line that comes in from the left.
        exits: (item, key) for each line that goes out to the right.
        crown: an item of the first layer that must stand highest in it, so that lines can come in from above.
        pitch: the least distance between two items of a layer.
        late: whether items stand as far right as they can rather than as far left.
    """

    items: Sequence[Item]
    links: Sequence[tuple[int, int]]
    entries: Sequence[tuple[Hashable, int]] = ()
    exits: Sequence[tuple[int, Hashable]] = ()
    crown: int | None = None
    pitch: float = 16.0
    late: bool = False
    look: list[Look] = field(init=False)
    layer: list[int] = field(init=False)
    x: list[float] = field(init=False)
    y: list[float] = field(init=False)
    width: float = field(init=False)
    height: float = field(init=False)
    entry_y: dict[Hashable, float] = field(init=False)
    exit_y: dict[Hashable, float] = field(init=False)
    _bends: list[list[tuple[int, float]]] = field(init=False)
    _left: list[float] = field(init=False)
    _breadth: list[float] = field(init=False)
    _ports: dict[tuple[str, int], float] = field(init=False)
    _order: dict[int, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.look = [look_of(item) for item in self.items]
        self.layer = self._layers()
        n, depth = len(self.items), max(self.layer, default=-1) + 1
        ways = list(dict.fromkeys(self.links))
        first_entry, first_exit = n, n + len(self.entries)
        edges = [
            *ways,
            *((first_entry + k, item) for k, (_, item) in enumerate(self.entries)),
            *((item, first_exit + k) for k, (item, _) in enumerate(self.exits)),
        ]
        crowned = [] if self.crown is None else [[self.crown, *(j for j in range(n) if self.layer[j] == 0 and j != self.crown)]]
        found = arrange(
            Rows(
                row=[*self.layer, *[-1] * len(self.entries), *[depth] * len(self.exits)],
                extent=[*(look.height for look in self.look), *[WIRE_ROOM] * (len(self.entries) + len(self.exits))],
                edges=edges,
                runs=crowned,
                weight=[FROM_LEAF if u < n and self.items[u].head.is_leaf and v < n else 1.0 for u, v in edges],
                gap=self.pitch,
            )
        )
        self.y = found.centre[:n]
        self._order = {r: [v for v in members if v < n] for r, members in found.order.items()}
        self.entry_y = {key: found.centre[first_entry + k] for k, (key, _) in enumerate(self.entries)}
        self.exit_y = {key: found.centre[first_exit + k] for k, (_, key) in enumerate(self.exits)}
        bend_of = dict(zip(edges, found.bends, strict=True))
        self._bends = [bend_of[edge] for edge in [*self.links, *edges[len(ways) :]]]
        self._breadth = [max((self.look[j].width for j in range(n) if self.layer[j] == r), default=0.0) for r in range(depth)]
        self._left = [sum(self._breadth[:r]) + LAYER_GAP * (r + bool(self.entries)) for r in range(depth)]
        self.x = [self._column_x(j) for j in range(n)]
        self.width = sum(self._breadth) + LAYER_GAP * max(depth - 1 + bool(self.entries) + bool(self.exits), 0)
        heights = [y + look.height / 2 for y, look in zip(self.y, self.look, strict=True)]
        self.height = max([*heights, *(y for bends in found.bends for _, y in bends)], default=0.0)
        self._ports = self._place_ports()

    def _column_x(self, j: int) -> float:
        r = self.layer[j]
        if self.late and r == len(self._left) - 1:
            return self._left[r] + self._breadth[r] - self.look[j].width / 2
        return self._left[r] + self._breadth[r] / 2

    def _layers(self) -> list[int]:
        n = len(self.items)
        users: dict[int, list[int]] = defaultdict(list)
        sources: dict[int, list[int]] = defaultdict(list)
        for u, v in self.links:
            users[u].append(v)
            sources[v].append(u)
        layer = [0] * n
        for v in range(n):
            layer[v] = max((layer[u] + 1 for u in sources[v]), default=0)
        deepest = max(layer, default=0)
        entered = {item for _, item in self.entries}
        for u in range(n - 1, -1, -1):
            latest = min((layer[v] - 1 for v in users[u]), default=deepest if self.late else layer[u])
            if self.late or (not sources[u] and u not in entered and u != self.crown):
                layer[u] = latest
        return layer

    def _ends(self) -> list[tuple[int | None, int | None]]:
        """The items at both ends of every line: links, then entries, then exits."""
        return [*self.links, *((None, item) for _, item in self.entries), *((item, None) for item, _ in self.exits)]

    def _place_ports(self) -> dict[tuple[str, int], float]:
        sides: dict[tuple[int, str], list[tuple[float, int]]] = defaultdict(list)
        far_in = [*(self.y[u] for u, _ in self.links), *(self.entry_y[key] for key, _ in self.entries), *[0.0] * len(self.exits)]
        far_out = [*(self.y[v] for _, v in self.links), *[0.0] * len(self.entries), *(self.exit_y[key] for _, key in self.exits)]
        for k, (u, v) in enumerate(self._ends()):
            if v is not None:
                sides[v, "in"].append((self._bends[k][-1][1] if self._bends[k] else far_in[k], k))
            if u is not None:
                sides[u, "out"].append((self._bends[k][0][1] if self._bends[k] else far_out[k], k))
        ports: dict[tuple[str, int], float] = {}
        for (j, side), attached in sides.items():
            attached.sort()
            room = self.look[j].height - 8
            spacing = min(PORT_SPACING, room / max(len(attached) - 1, 1))
            for p, (_, k) in enumerate(attached):
                spread = side == "in" or self.items[j].head.is_leaf is False
                ports[side, k] = (p - (len(attached) - 1) / 2) * spacing if spread and side == "in" else 0.0
        return ports

    def _end_point(self, j: int, side: str, k: int) -> Point:
        look, dy = self.look[j], self._ports[side, k]
        half = look.width / 2
        if look.shape == "circle":
            half = math.sqrt(max(half * half - dy * dy, 1.0))
        return (self.x[j] - half if side == "in" else self.x[j] + half), self.y[j] + dy

    def _edges_of(self, layer: int) -> tuple[float, float]:
        return self._left[layer], self._left[layer] + self._breadth[layer]

    def _through(self, pen: Pen, k: int) -> None:
        for r, y in self._bends[k]:
            left, right = self._edges_of(r)
            pen.run(left, y).to(right, y)

    def link_path(self, k: int) -> list[Point]:
        """The line of the k-th link."""
        u, v = self.links[k]
        x, y = self._end_point(u, "out", k)
        pen = Pen(x, y).to(max(x, self._edges_of(self.layer[u])[1]), y)
        self._through(pen, k)
        return self._arrive(pen, v, k)

    def _arrive(self, pen: Pen, v: int, k: int) -> list[Point]:
        x, y = self._end_point(v, "in", k)
        left = self._edges_of(self.layer[v])[0]
        if x - left > 6:
            pen.run(left, y)
        return pen.run(x, y).points

    def entry_path(self, k: int) -> list[Point]:
        """The line of the k-th entry, from the left edge."""
        key, item = self.entries[k]
        line = len(self.links) + k
        pen = Pen(0.0, self.entry_y[key])
        self._through(pen, line)
        return self._arrive(pen, item, line)

    def exit_path(self, k: int) -> list[Point]:
        """The line of the k-th exit, to the right edge."""
        item, key = self.exits[k]
        line = len(self.links) + len(self.entries) + k
        x, y = self._end_point(item, "out", line)
        pen = Pen(x, y).to(max(x, self._edges_of(self.layer[item])[1]), y)
        self._through(pen, line)
        return pen.run(self.width, self.exit_y[key]).points

    def is_lowest(self, j: int) -> bool:
        """Whether nothing of its layer stands below an item."""
        return self._order[self.layer[j]][-1] == j

    def gap_before(self, j: int) -> float:
        """The x of the free strip to the left of an item's layer."""
        return self._left[self.layer[j]] - LAYER_GAP * 0.45
