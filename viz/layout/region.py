"""Where the items outside the columns stand: in layers from left to right, for what comes before and after the steps.

A graph without time steps is one such region. Parameters that a single affine box uses stand below it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from ..diagram.items import Item
from ..paths import Pen, Point
from .arranging import Rows, arrange
from .sizes import look_of

__all__ = ["RegionDrawing"]

LAYER_GAP = 38.0
WIRE_ROOM = 12.0
PORT_SPACING = 12.0
BELOW_GAP, BESIDE_GAP = 26.0, 8.0
FROM_LEAF = 0.08


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

    Attributes:
        x, y: the middle of each item.
        look: its shape and size.
        width, height: of the whole region.
        entry_y, exit_y: where the lines of each key cross the left and the right edge.
    """

    def __init__(
        self,
        items: Sequence[Item],
        links: Sequence[tuple[int, int]],
        entries: Sequence[tuple[Hashable, int]] = (),
        exits: Sequence[tuple[int, Hashable]] = (),
        crown: int | None = None,
        pitch: float = 16.0,
        late: bool = False,
    ) -> None:
        self.items, self.links, self.entries, self.exits = items, links, entries, exits
        self.look = [look_of(item) for item in items]
        self._crown, self._late = crown, late
        self._hung = self._hung_below()
        self._standing = [j for j in range(len(items)) if j not in self._hung]
        self._below: dict[int, list[int]] = defaultdict(list)
        for j, v in self._hung.items():
            self._below[v].append(j)
        self.layer = self._layers()
        self._arrange(pitch)
        self._ports = self._place_ports()

    def _hung_below(self) -> dict[int, int]:
        """The parameters that one affine box alone uses, and that box."""
        users: dict[int, list[int]] = defaultdict(list)
        for u, v in self.links:
            users[u].append(v)
        tapped = {j for j, _ in self.exits}
        return {
            j: users[j][0]
            for j, item in enumerate(self.items)
            if item.role == "parameter" and len(users[j]) == 1 and self.items[users[j][0]].terms and j not in tapped
        }

    def _layers(self) -> list[int]:
        users: dict[int, list[int]] = defaultdict(list)
        sources: dict[int, list[int]] = defaultdict(list)
        for u, v in self.links:
            if u not in self._hung:
                users[u].append(v)
                sources[v].append(u)
        layer = [0] * len(self.items)
        for v in range(len(self.items)):
            layer[v] = max((layer[u] + 1 for u in sources[v]), default=0)
        deepest = max(layer, default=0)
        entered = {item for _, item in self.entries}
        for u in range(len(self.items) - 1, -1, -1):
            if self._late or (not sources[u] and u not in entered and u != self._crown):
                layer[u] = min((layer[v] - 1 for v in users[u]), default=deepest if self._late else layer[u])
        for j, v in self._hung.items():
            layer[j] = layer[v]
        return layer

    def _arrange(self, pitch: float) -> None:
        standing = self._standing
        vertex = {j: p for p, j in enumerate(standing)}
        n, depth = len(standing), max(self.layer, default=-1) + 1
        drop = {j: BELOW_GAP + max(self.look[k].height for k in below) for j, below in self._below.items()}
        ways = [(vertex[u], vertex[v]) for u, v in dict.fromkeys(self.links) if u in vertex]
        edges = [
            *ways,
            *((n + k, vertex[item]) for k, (_, item) in enumerate(self.entries)),
            *((vertex[item], n + len(self.entries) + k) for k, (item, _) in enumerate(self.exits)),
        ]
        crowned = [j for j in standing if self.layer[j] == 0 and j != self._crown]
        found = arrange(
            Rows(
                row=[*(self.layer[j] for j in standing), *[-1] * len(self.entries), *[depth] * len(self.exits)],
                extent=[
                    *(self.look[j].height + drop.get(j, 0.0) for j in standing),
                    *[WIRE_ROOM] * (len(self.entries) + len(self.exits)),
                ],
                edges=edges,
                runs=[] if self._crown is None else [[vertex[j] for j in (self._crown, *crowned)]],
                anchor=[*(-drop.get(j, 0.0) / 2 for j in standing), *[0.0] * (len(self.entries) + len(self.exits))],
                weight=[FROM_LEAF if u < n and self.items[standing[u]].head.is_leaf and v < n else 1.0 for u, v in edges],
                gap=pitch,
                bundled=True,
            )
        )
        breadth = [0.0] * depth
        for j in standing:
            hanging = sum(self.look[k].width + BESIDE_GAP for k in self._below[j]) - BESIDE_GAP
            breadth[self.layer[j]] = max(breadth[self.layer[j]], self.look[j].width, hanging)
        first = LAYER_GAP * bool(self.entries)
        self._span = [(first + sum(breadth[:r]) + LAYER_GAP * r, breadth[r]) for r in range(depth)]
        self.width = first + sum(breadth) + LAYER_GAP * max(depth - 1 + bool(self.exits), 0)
        self.x, self.y = [0.0] * len(self.items), [0.0] * len(self.items)
        for j, p in vertex.items():
            left, broad = self._span[self.layer[j]]
            self.x[j], self.y[j] = left + broad / 2, found.centre[p] - drop.get(j, 0.0) / 2
            self._hang(j)
        self._order = {r: [standing[p] for p in order if p < n] for r, order in found.order.items()}
        self.entry_y = {key: found.centre[n + k] for k, (key, _) in enumerate(self.entries)}
        self.exit_y = {key: found.centre[n + len(self.entries) + k] for k, (_, key) in enumerate(self.exits)}
        bends = dict(zip(edges, found.bends, strict=True))
        self._bends = [bends[vertex[u], vertex[v]] if u in vertex else [] for u, v in self.links]
        self._bends += [bends[edge] for edge in edges[len(ways) :]]
        ends = [y + look.height / 2 for y, look in zip(self.y, self.look, strict=True)]
        self.height = max([*ends, *(y for passed in found.bends for _, y in passed)], default=0.0)

    def _hang(self, j: int) -> None:
        below = self._below[j]
        x = self.x[j] - (sum(self.look[k].width + BESIDE_GAP for k in below) - BESIDE_GAP) / 2
        for k in below:
            self.x[k] = x + self.look[k].width / 2
            self.y[k] = self.y[j] + self.look[j].height / 2 + BELOW_GAP + self.look[k].height / 2
            x += self.look[k].width + BESIDE_GAP

    def _place_ports(self) -> dict[int, float]:
        """How far from the middle of its item's left side each line comes in: links, then entries."""
        incoming: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for k, (u, v) in enumerate(self.links):
            if u not in self._hung:
                incoming[v].append((self._bends[k][-1][1] if self._bends[k] else self.y[u], k))
        for number, (key, v) in enumerate(self.entries, start=len(self.links)):
            incoming[v].append((self._bends[number][-1][1] if self._bends[number] else self.entry_y[key], number))
        ports: dict[int, float] = {}
        for v, lines in incoming.items():
            spacing = min(PORT_SPACING, (self.look[v].height - 8) / max(len(lines) - 1, 1))
            for p, (_, k) in enumerate(sorted(lines)):
                ports[k] = (p - (len(lines) - 1) / 2) * spacing
        return ports

    def _arrive(self, pen: Pen, v: int, line: int) -> list[Point]:
        look, y = self.look[v], self.y[v] + self._ports[line]
        half = look.width / 2
        if look.shape == "circle":
            half = math.sqrt(max(half * half - self._ports[line] ** 2, 1.0))
        x, left = self.x[v] - half, self._span[self.layer[v]][0]
        if x - left > 6:
            pen.run(left, y)
        return pen.run(x, y).points

    def _leave(self, u: int) -> Pen:
        left, broad = self._span[self.layer[u]]
        x = self.x[u] + self.look[u].width / 2
        return Pen(x, self.y[u]).to(max(x, left + broad), self.y[u])

    def _through(self, pen: Pen, line: int) -> Pen:
        for r, y in self._bends[line]:
            left, broad = self._span[r]
            pen.run(left, y).to(left + broad, y)
        return pen

    def link_path(self, k: int) -> list[Point]:
        """The line of the k-th link."""
        u, v = self.links[k]
        if u in self._hung:
            x = min(max(self.x[u], self.x[v] - self.look[v].width / 2 + 8), self.x[v] + self.look[v].width / 2 - 8)
            return Pen(self.x[u], self.y[u] - self.look[u].height / 2).rise(x, self.y[v] + self.look[v].height / 2).points
        return self._arrive(self._through(self._leave(u), k), v, k)

    def entry_path(self, k: int) -> list[Point]:
        """The line of the k-th entry, from the left edge."""
        key, item = self.entries[k]
        line = len(self.links) + k
        return self._arrive(self._through(Pen(0.0, self.entry_y[key]), line), item, line)

    def exit_path(self, k: int) -> list[Point]:
        """The line of the k-th exit, to the right edge."""
        item, key = self.exits[k]
        pen = self._through(self._leave(item), len(self.links) + len(self.entries) + k)
        return pen.run(self.width, self.exit_y[key]).points

    def is_lowest(self, j: int) -> bool:
        """Whether nothing of its layer stands below an item."""
        return self._order[self.layer[j]][-1] == j and not self._below[j]

    def gap_before(self, j: int) -> float:
        """The x of the free strip to the left of an item's layer."""
        return self._span[self.layer[j]][0] - LAYER_GAP * 0.45
