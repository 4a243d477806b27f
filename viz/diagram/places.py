"""Where in the picture each recorded node belongs: before the steps, in one of their columns, or after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minigrad.graph import Node

__all__ = ["BEFORE", "Recorded", "Step"]

BEFORE = -1
"""The place of what does not depend on any step: parameters, and what was computed from them for all steps at once."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A column of the picture: a time step, in the first or a later pass over time (as a decoder's is)."""

    lap: int
    time: int


class Recorded:
    """A recorded graph as arrays: nodes by number, who consumes whom, and the place of each.

    ``place[i]`` is :data:`BEFORE`, the number of a column, or ``after`` (one more than the last column) for what was
    computed outside any step from what the steps produced. A node without a time step that a later step consumes
    belongs to the latest step it was computed from. Leaves go to the only place that uses them if there is just one,
    unless they are parameters of the steps.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = list(nodes)
        self.number = {node: i for i, node in enumerate(self.nodes)}
        self.inputs = [
            [(slot, self.number[source]) for slot, source in enumerate(node.inputs) if source is not None]
            for node in self.nodes
        ]
        self.consumers: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for i, inputs in enumerate(self.inputs):
            for slot, j in inputs:
                self.consumers[j].append((i, slot))
        self.steps = self._steps()
        self.after = len(self.steps)
        self.initial: set[int] = set()
        self.place = self._places()

    def _steps(self) -> list[Step]:
        laps = self._laps()
        self._step_of = {
            i: Step(laps.get(node.scope[:1], 0), node.time)
            for i, node in enumerate(self.nodes)
            if node.time is not None and not node.is_leaf
        }
        return sorted(set(self._step_of.values()))

    def _laps(self) -> dict[tuple[str, ...], int]:
        """How many passes over time came before that of each outermost scope.

        A scope runs in a later lap than another if its early steps use what the other made at later ones, and it does
        not itself run backward in time (as the second direction of a bidirectional layer does).
        """
        backward: dict[tuple[str, ...], int] = {}
        crossing: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
        for i, node in enumerate(self.nodes):
            for _, j in self.inputs[i]:
                source = self.nodes[j]
                if source.is_leaf or node.time is None or source.time is None or source.time == node.time:
                    continue
                here, there = node.scope[:1], source.scope[:1]
                if here == there:
                    backward[here] = backward.get(here, 0) + (1 if source.time > node.time else -1)
                elif source.time > node.time:
                    crossing.add((there, here))
        laps: dict[tuple[str, ...], int] = {}
        for there, here in sorted(crossing):
            if here and there and backward.get(here, -1) < 0 and (here, there) not in crossing:
                laps[here] = max(laps.get(here, 0), laps.get(there, 0) + 1)
        return laps

    def _places(self) -> list[int]:
        column = {step: c for c, step in enumerate(self.steps)}
        timed = [column[self._step_of[i]] if i in self._step_of else None for i in range(len(self.nodes))]
        feeds_step = [False] * len(self.nodes)
        for i in range(len(self.nodes) - 1, -1, -1):
            if timed[i] is not None or feeds_step[i]:
                for _, j in self.inputs[i]:
                    feeds_step[j] = True
        place: list[int] = []
        for i in range(len(self.nodes)):
            c = timed[i]
            if c is None:
                latest = max((place[j] for _, j in self.inputs[i]), default=BEFORE)
                c = latest if latest == BEFORE or feeds_step[i] else self.after
            place.append(c)
        for i in range(len(self.nodes) - 1, -1, -1):
            if place[i] == BEFORE:
                place[i] = self._place_of_source(i, place, column)
        return place

    def _place_of_source(self, i: int, place: list[int], column: dict[Step, int]) -> int:
        node = self.nodes[i]
        users = {place[k] for k, _ in self.consumers[i]}
        if node.is_leaf and node.time is not None:
            own = next((c for c in sorted(users) if 0 <= c < self.after and self.steps[c].time == node.time), None)
            if own is not None:
                return own
        if node.is_leaf and node.time is not None and 0 in users:
            self.initial.add(i)
        if len(users) != 1 or BEFORE in users:
            return BEFORE
        (only,) = users
        if only == self.after:
            return only
        if node.is_leaf and node.time is None and not node.requires_grad:
            return only
        given = node.is_leaf or all(self.nodes[j].is_leaf and len(self.consumers[j]) == 1 for _, j in self.inputs[i])
        if (node.is_leaf and node.time is not None) or (self.after > 1 and only == 0 and given):
            self.initial.add(i)
        return BEFORE
