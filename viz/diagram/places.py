"""Where in the picture each vertex belongs: before the steps, in one of their columns, between two laps, or after all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .laps import Laps
from .vertices import Vertex

__all__ = ["BEFORE", "Recorded", "Step"]

BEFORE = -1
"""The place of what does not depend on any step: parameters, and what was computed from them for all steps at once."""


class Step(NamedTuple):
    """A column of the picture: a time step of a lap, or what stands between a lap and the next (a memory).

    A column that stands for several steps goes from ``time`` to ``last``.
    """

    lap: int
    between: bool
    time: int
    last: int | None = None


class Recorded:
    """A graph as arrays: vertices by number, who consumes whom, and the place of each.

    ``initial`` are the states that stand beside the first or the last step, ``given`` all that a lap begins with.
    ``place[i]`` is :data:`BEFORE`, the number of a column, or ``after`` (one more than the last column) for what was
    computed outside any step from what the steps produced. What was computed outside any step and is used by a later lap
    stands between the laps; what a later step of the same lap uses belongs to the latest step it was computed from.
    Leaves go to the only place that uses them if there is just one, unless they are parameters of the steps.
    """

    def __init__(self, vertices: Sequence[Vertex]) -> None:
        self.nodes = list(vertices)
        self.number = {vertex: i for i, vertex in enumerate(self.nodes)}
        self.inputs = [
            [(slot, self.number[source]) for slot, source in enumerate(vertex.inputs) if source is not None]
            for vertex in self.nodes
        ]
        self.consumers: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for i, inputs in enumerate(self.inputs):
            for slot, j in inputs:
                self.consumers[j].append((i, slot))
        self._laps = Laps(self.nodes)
        self._started = self._states_without_a_time()
        step_of = self._steps()
        self.steps = sorted(set(step_of.values()))
        self.after = len(self.steps)
        self.initial: set[int] = set()
        self._column = {step: c for c, step in enumerate(self.steps)}
        self.place = self._places(step_of)
        self.given = {i for i in range(len(self.nodes)) if i in self.initial or self._is_between(i)}
        self._date_first_states()

    def _steps(self) -> dict[int, Step]:
        """The steps of all vertices that belong to one, or stand between laps."""
        of_scope = self._laps.of_scope
        at: dict[tuple[int, int], Step] = {}
        step_of = {
            i: at.setdefault((of_scope[node.scope], node.time), Step(of_scope[node.scope], False, node.time))
            for i, node in enumerate(self.nodes)
            if node.time is not None and not node.is_leaf
        }
        next_lap = self._next_laps(step_of)
        for i, node in enumerate(self.nodes):
            made_by = self._laps.made_by.get(node)
            if made_by and next_lap[i] is not None:
                lap = max(of_scope[scope] for scope in made_by)
                if (next_lap[i] or 0) > lap:
                    step_of[i] = Step(lap, True, 0)
        self._place_first_states(step_of)
        return step_of

    def _states_without_a_time(self) -> set[int]:
        """What a loop by hand began with: leaves that one step alone reads, which computes something of the same name."""
        made = {(node.name, node.time) for node in self.nodes if node.name is not None and not node.is_leaf}
        found: set[int] = set()
        for i, node in enumerate(self.nodes):
            if node.is_leaf and node.time is None and node.name is not None and node.role is None:
                times = {self.nodes[k].time for k, _ in self.consumers[i]}
                if len(times) == 1 and None not in times and (node.name, *times) in made:
                    found.add(i)
        return found

    def _next_laps(self, step_of: dict[int, Step]) -> list[int | None]:
        """For what is outside of steps, the first lap whose steps use it, directly or not."""
        found: list[int | None] = [None] * len(self.nodes)
        for i in range(len(self.nodes) - 1, -1, -1):
            if i not in step_of:
                laps = {step_of[k].lap if k in step_of else found[k] for k, _ in self.consumers[i]}
                found[i] = min((lap for lap in laps if lap is not None), default=None)
        return found

    def _place_first_states(self, step_of: dict[int, Step]) -> None:
        """States given to the first or last step of a lap in the middle of the picture stand between the laps."""
        ends: dict[int, list[int]] = {}
        for step in set(step_of.values()):
            if not step.between:
                first, last = ends.setdefault(step.lap, [step.time, step.time])
                ends[step.lap] = [min(first, step.time), max(last, step.time)]
        for i, node in enumerate(self.nodes):
            if not self._is_given_state(i):
                continue
            users = {step_of.get(k) for k, _ in self.consumers[i]}
            only = users.pop() if len(users) == 1 else None
            if only is None or only.between:
                continue
            first, last = ends[only.lap]
            if only.time == first and only.lap > min(ends) and (first < last or not _comes_later(node, only)):
                step_of[i] = Step(only.lap - 1, True, 0)
            elif only.time == last and only.lap < max(ends) and (first < last or _comes_later(node, only)):
                step_of[i] = Step(only.lap, True, 0)

    def _is_given_state(self, i: int) -> bool:
        node = self.nodes[i]
        if node.role is not None:
            return node.role in ("initial state", "cut")
        if i in self._started:
            return True
        if node.is_leaf:
            return node.time is not None and all(self.nodes[k].time != node.time for k, _ in self.consumers[i])
        sources = self.inputs[i]
        return node.label == "broadcast_to" and all(self.nodes[j].is_leaf and self.nodes[j].requires_grad for _, j in sources)

    def _places(self, step_of: dict[int, Step]) -> list[int]:
        column = self._column
        timed = [column[step_of[i]] if i in step_of else None for i in range(len(self.nodes))]
        feeds_step = [False] * len(self.nodes)
        for i in range(len(self.nodes) - 1, -1, -1):
            if timed[i] is not None or feeds_step[i]:
                for _, j in self.inputs[i]:
                    feeds_step[j] = True
        place: list[int] = []
        for i in range(len(self.nodes)):
            c = timed[i]
            if c is None:
                latest = max((place[j] for _, j in self.inputs[i] if not self.nodes[j].is_leaf), default=BEFORE)
                c = latest if latest == BEFORE or feeds_step[i] else self.after
            place.append(c)
        for i in range(len(self.nodes) - 1, -1, -1):
            if place[i] == BEFORE:
                place[i] = self._place_of_source(i, place)
        return place

    def _is_between(self, i: int) -> bool:
        """Whether it is a state given to the first or last step of a lap in the middle of the picture."""
        place = self.place[i]
        return 0 <= place < self.after and self.steps[place].between and self._is_given_state(i)

    def _date_first_states(self) -> None:
        """A state without a time belongs to that before the step that begins with it; read in reverse, to that after it."""
        for i, node in enumerate(self.nodes):
            if node.time is not None or (node.is_leaf and i not in self._started):
                continue
            user = next((self.nodes[k] for k, _ in self.consumers[i]), None)
            if user is not None and user.time is not None and self._is_given_state(i):
                node.time = user.time + self._laps.direction(user.scope, -1)

    def _place_of_source(self, i: int, place: list[int]) -> int:
        node = self.nodes[i]
        users = {place[k] for k, _ in self.consumers[i]}
        if node.is_leaf and node.time is not None:
            own = next((c for c in sorted(users) if self._is_step(c) and self.steps[c].time == node.time), None)
            if own is not None:
                return own
        if len(users) != 1 or BEFORE in users:
            if node.is_leaf and node.time is not None and 0 in users and self._is_given_state(i):
                self.initial.add(i)
            return BEFORE
        (only,) = users
        if only == self.after or (only < self.after and self.steps[only].between):
            return BEFORE if node.is_leaf and node.requires_grad and only != self.after else only
        if node.is_leaf and node.time is None and not node.requires_grad and i not in self._started:
            return only
        at_end = only in (0, self.after - 1)
        if self._is_given_state(i) or (node.is_leaf and node.time is not None):
            if not at_end:
                return only
            self.initial.add(i)
            return BEFORE
        given = node.is_leaf or all(self.nodes[j].is_leaf and len(self.consumers[j]) == 1 for _, j in self.inputs[i])
        if self.after > 1 and only == 0 and given:
            self.initial.add(i)
        return BEFORE

    def _is_step(self, place: int) -> bool:
        return 0 <= place < self.after and not self.steps[place].between


def _comes_later(node: Vertex, step: Step) -> bool:
    return node.time is not None and node.time > step.time
