"""Where the members of each row stand, once their order is known.

Positions minimise the squares of the sideways lengths of the edges, one row at a time, which is an isotonic regression
and solved exactly by pooling; then whatever can be made exactly straight is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .layered import Order, Proper

__all__ = ["Positions"]

SWEEPS, FEW_SWEEPS, MEDIUM = 60, 12, 2000
STRAIGHTENED = 60.0
TOUCHING = 0.01
STRAIGHTNESS = (1.0, 2.0, 8.0)
"""How strongly a piece of an edge wants to be straight that has no, one or two bends as its ends."""
TO_BROAD, INERTIA = 0.4, 0.02
STIFF = 10.0


class Positions:
    """The positions of all vertices and bends for one order."""

    def __init__(self, proper: Proper, order: Order) -> None:
        self._proper = proper
        self._order = order
        self._place = {v: p for members in order.values() for p, v in enumerate(members)}
        self._centre = [0.0] * len(proper.row)

    def solve(self) -> list[float]:
        """Positions along the rows that keep the order and the gaps and make the edges as straight as they can be."""
        proper, centre = self._proper, self._centre
        offsets: dict[int, list[float]] = {}
        for r, members in self._order.items():
            at = 0.0
            offsets[r] = []
            for p, v in enumerate(members):
                at += proper.gap(members[p - 1], v) if p else 0.0
                offsets[r].append(at)
            for v, offset in zip(members, offsets[r], strict=True):
                centre[v] = offset - at / 2
        pulls = self._pulls()
        for sweep in range(SWEEPS if len(proper.row) <= MEDIUM else FEW_SWEEPS):
            for r in proper.levels if sweep % 2 == 0 else reversed(proper.levels):
                self._settle(self._order[r], offsets[r], pulls)
        self._straighten()
        left = min((centre[v] - proper.extent[v] / 2 for v in range(len(centre))), default=0.0)
        return [round(c - left, 1) for c in centre]

    def _pulls(self) -> list[list[tuple[int, float, float]]]:
        """For each vertex its neighbours as (neighbour, wished difference of positions, weight)."""
        proper = self._proper
        pulls: list[list[tuple[int, float, float]]] = [[] for _ in proper.row]
        port: dict[tuple[int, int], float] = {}
        for v in range(proper.count):
            if proper.broad[v]:
                for side in (proper.below[v], proper.above[v]):
                    for k, u in enumerate(sorted(side, key=self._place.__getitem__)):
                        port[v, u] = ((k + 0.5) / len(side) - 0.5) * proper.extent[v]
        for low, aboves in enumerate(proper.above):
            for high in aboves:
                bends = (low >= proper.count) + (high >= proper.count)
                broad = (low, high) in port or (high, low) in port
                weight = (TO_BROAD if broad else STRAIGHTNESS[bends]) * proper.weight[min(low, high), max(low, high)]
                wish = port.get((low, high), proper.anchor[low]) - port.get((high, low), proper.anchor[high])
                pulls[high].append((low, wish, weight))
                pulls[low].append((high, -wish, weight))
        return pulls

    def _settle(
        self, members: Sequence[int], offsets: Sequence[float], pulls: Sequence[Sequence[tuple[int, float, float]]]
    ) -> None:
        """Move one row to where its neighbours pull it: a weighted isotonic regression, by pooling violators."""
        centre = self._centre
        pools: list[tuple[float, float, int]] = []
        for v, offset in zip(members, offsets, strict=True):
            weighted, total = centre[v] * INERTIA, INERTIA
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

    def _straighten(self) -> None:
        """Put the two ends of an edge at one position where the second has no other edge to the first's row and there is
        room; of several edges that leave one vertex for a row, one is made straight.

        What has been put in line stays in line: it moves together from then on.
        """
        proper, centre = self._proper, self._centre
        line = list(range(len(proper.row)))
        members_of = {v: [v] for v in line}
        straight: set[tuple[int, int]] = set()
        meets = proper.anchor

        def has_room(moving: int, shift: float) -> bool:
            for v in members_of[moving]:
                row, p = self._order[proper.row[v]], self._place[v]
                x = centre[v] + shift
                before, after = (row[p - 1] if p else None), (row[p + 1] if p + 1 < len(row) else None)
                if before is not None and line[before] != moving and x - centre[before] < proper.gap(before, v) - TOUCHING:
                    return False
                if after is not None and line[after] != moving and centre[after] - x < proper.gap(v, after) - TOUCHING:
                    return False
            return True

        wanted = sorted((abs(centre[v] + meets[v] - centre[u] - meets[u]), u, v) for u, v in self._partners())
        for distance, u, v in wanted:
            if distance > STRAIGHTENED or line[u] == line[v] or (u, proper.row[v]) in straight:
                continue
            shift = centre[v] + meets[v] - centre[u] - meets[u]
            if abs(shift) < TOUCHING:
                shift = 0.0
            elif has_room(line[u], shift):
                for w in members_of[line[u]]:
                    centre[w] += shift
            elif has_room(line[v], -shift):
                for w in members_of[line[v]]:
                    centre[w] -= shift
            else:
                continue
            straight.add((u, proper.row[v]))
            joined, other = sorted((line[u], line[v]), key=lambda number: len(members_of[number]), reverse=True)
            for w in members_of[other]:
                line[w] = joined
            members_of[joined] += members_of.pop(other)

    def _partners(self) -> list[tuple[int, int]]:
        """The edges that may be made straight: those whose end no other reaches from the same side, or no other stiff one."""
        proper, broad = self._proper, self._proper.broad
        sides = {(u, v): (v, proper.row[v] > proper.row[u]) for u, v in proper.segments}
        stiff = {(u, v) for u, v in sides if proper.weight[min(u, v), max(u, v)] >= STIFF}
        coming = Counter(sides[edge] for edge in proper.segments)
        alone = Counter(sides[edge] for edge in stiff)

        def is_straight(u: int, v: int) -> bool:
            side = sides[u, v]
            return (coming[side] == 1 and not (broad[u] or broad[v])) or ((u, v) in stiff and alone[side] == 1)

        return [(u, v) for u, v in proper.segments if is_straight(u, v)]
