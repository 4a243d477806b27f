"""In which order the members of each row stand: the fewer crossings the better.

Barycentres and exchanges of neighbours improve an order step by step; small drawings are begun from several orders.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from random import Random
from typing import TypeAlias

from .layered import Order, Proper

__all__ = ["Ordering"]

ROUNDS, FEW_ROUNDS = 8, 3
STARTS, SMALL, MEDIUM = 24, 90, 2000
PASSING_A_BOX, PASSING_A_LINE, OUT_OF_RANK = 1.3, 0.4, 0.001
"""Costs, in crossings of lines. A line that leaves its row at the side crosses others at right angles, which is easy to
read; passing a box takes a detour."""


Ends: TypeAlias = dict[int, tuple[list[int], list[int]]]
"""For each member of a row the places of what its lines lead to, in the row below and in the row above, in their order."""


def _sorted(others: list[int], place: dict[int, int]) -> list[int]:
    return sorted([place[w] for w in others]) if len(others) > 1 else [place[w] for w in others]


class Ordering:
    """The search for a good order."""

    def __init__(self, proper: Proper) -> None:
        self._proper = proper
        self._run_of = {v: k for k, run in enumerate(proper.rows.runs) for v in run}
        self._beside: dict[tuple[int, int], float] = {}  # what it costs that one stands before another, but for crossings

    def best(self) -> Order:
        """The order with the fewest crossings found; among equals the one closest to the order of recording.

        A search that comes to an order where another one has been goes on as that did, and ends.
        """
        order: Order = {r: [] for r in self._proper.levels}
        for v in sorted(range(len(self._proper.row)), key=lambda v: (self._proper.rank[v], v)):
            order[self._proper.row[v]].append(v)
        for members in order.values():
            self._restore_runs(members)
        best, fewest = order, math.inf
        seen: set[tuple[object, ...]] = set()
        shuffle = Random(0).shuffle
        for start in range(STARTS if len(self._proper.row) <= SMALL else 1):
            candidate = {r: list(members) for r, members in order.items()}
            if start:
                for members in candidate.values():
                    shuffle(members)
                    self._restore_runs(members)
            for attempt in range(ROUNDS if len(self._proper.row) <= MEDIUM else FEW_ROUNDS):
                reached = (attempt % 2, *map(tuple, candidate.values()))
                if reached in seen:
                    break
                seen.add(reached)
                self._exchange(candidate)
                cost = self._cost(candidate)
                if cost < fewest - 1e-9:
                    best, fewest = {r: list(members) for r, members in candidate.items()}, cost
                if not cost:
                    return best
                self._by_barycentre(candidate, upward=attempt % 2 == 0)
        return best

    def _restore_runs(self, members: list[int]) -> None:
        """Put the vertices of each run back into their order, in the places they hold together."""
        present = set(members)
        for run in self._proper.rows.runs:
            if run and run[0] in present:
                slots = sorted(members.index(v) for v in run)
                for slot, v in zip(slots, run, strict=True):
                    members[slot] = v

    def _by_barycentre(self, order: Order, upward: bool) -> None:
        place = {v: float(p) for members in order.values() for p, v in enumerate(members)}
        side = self._proper.below if upward else self._proper.above
        for r in self._proper.levels if upward else reversed(self._proper.levels):
            members = order[r]
            wanted: dict[int, float] = {}
            for v in members:
                seen = [place[u] for u in side[v]]
                if self._proper.before[v] or self._proper.behind[v]:
                    seen += [-1.0] * round(self._proper.before[v]) + [float(len(members))] * round(self._proper.behind[v])
                wanted[v] = sum(seen) / len(seen) if seen else place[v]
            members.sort(key=lambda v: (wanted[v], place[v]))
            self._restore_runs(members)
            for p, v in enumerate(members):
                place[v] = float(p)

    def _exchange(self, order: Order) -> None:
        """Exchange neighbours as long as that removes crossings.

        A row is gone through again only where it or one beside it has changed: lines lead to the rows beside it alone.
        """
        place = {v: p for members in order.values() for p, v in enumerate(members)}
        below, above = self._proper.below, self._proper.above
        waiting = set(self._proper.levels)
        ends: dict[int, Ends] = {}
        for _ in range(ROUNDS):
            changed: set[int] = set()
            for r in self._proper.levels:
                if r in waiting or r - 1 in changed:
                    waiting.discard(r)
                    if r not in ends:
                        ends[r] = {v: (_sorted(below[v], place), _sorted(above[v], place)) for v in order[r]}
                    if self._exchanged(order[r], place, ends[r]):
                        changed.add(r)
                        ends.pop(r - 1, None)
                        ends.pop(r + 1, None)
            waiting |= {beside for r in changed for beside in (r - 1, r, r + 1)}
            if not changed:
                return

    def _exchanged(self, members: list[int], place: dict[int, int], ends: Ends) -> bool:
        """Exchange neighbours in one row, once from its first to its last; whether any were."""
        changed = False
        for p in range(len(members) - 1):
            u, v = members[p], members[p + 1]
            if u in self._run_of and self._run_of[u] == self._run_of.get(v):
                continue
            if self._clash(v, u, ends) < self._clash(u, v, ends):
                members[p], members[p + 1] = v, u
                place[u], place[v] = p + 1, p
                changed = True
        return changed

    def _clash(self, u: int, v: int, ends: Ends) -> float:
        """What it costs that u stands directly before v."""
        cost = self._beside.get((u, v))
        if cost is None:
            cost = self._proper.before[v] * self._bulk(u) + self._proper.behind[u] * self._bulk(v)
            cost += OUT_OF_RANK * (self._proper.rank[u] > self._proper.rank[v])
            self._beside[u, v] = cost
        (our_below, our_above), (their_below, their_above) = ends[u], ends[v]
        if our_below and their_below and their_below[0] < our_below[-1]:
            cost += sum([bisect_left(their_below, end) for end in our_below])
        if our_above and their_above and their_above[0] < our_above[-1]:
            cost += sum([bisect_left(their_above, end) for end in our_above])
        return cost

    def _bulk(self, v: int) -> float:
        """What it costs to pass a vertex on the way to the end of its row."""
        return PASSING_A_BOX if v < self._proper.count else PASSING_A_LINE

    def _cost(self, order: Order) -> float:
        place = {v: p for members in order.values() for p, v in enumerate(members)}
        cost = 0.0
        for members in order.values():
            for p, v in enumerate(members):
                if self._proper.before[v]:
                    cost += self._proper.before[v] * sum(map(self._bulk, members[:p]))
                if self._proper.behind[v]:
                    cost += self._proper.behind[v] * sum(map(self._bulk, members[p + 1 :]))
            cost += OUT_OF_RANK * self._inversions([self._proper.rank[v] for v in members])
            passed: list[int] = []
            for v in members:
                ends = sorted(place[w] for w in self._proper.above[v])
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
