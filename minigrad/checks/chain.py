"""The chain rule over the lines of a forward pass, as data: run, it is the right gradient; changed, it is a known mistake.

The gradient ∂L/∂n of a line is a sum of terms: one for every use of n, and one for every gradient that comes from outside. An
*edge* is a use: the site of the line that uses n, and the position of the operand, the same at all time steps. A `Change`
puts something else in the place of the term of an edge.

A person derives each gate's gradient by itself and copies what the gates share: a mistake may be in one copy only. So the terms
are computed in a *context*: the gate, the argument or the state that the derivation is for. At the input of an activation, at
an argument, and at a state that is handed to the step before, a new context begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from minigrad.checks.change import Context, Edge
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.run import Run, collects
from minigrad.checks.tracing import Line, Site
from minigrad.guard import Array

__all__ = ["Chain"]

STRAIGHT = frozenset(
    {"add", "sub", "neg", "getitem", "split", "reshape", "transpose", "write", "concatenate", "copy", "einsum"}
)


AGAIN = 1_000_000
"""What the number of a place grows by for each further time that it is reached in one step."""


class Chain:
    """The lines of one forward pass, the gradients that come from outside, and what is asked for.

    Args:
        lines: all lines, in order.
        seeds: for lines that are outputs, by their numbers: (name of the output, gradient from outside).
        wanted: the lines whose gradients are asked for, by name.
        states: where states and their initial values stand, as far as other lengths have shown; what this one shows is added.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        seeds: dict[int, list[tuple[str, Array]]],
        wanted: dict[str, Line],
        states: dict[Site, Site] | None = None,
    ) -> None:
        self.lines, self.seeds, self.wanted = list(lines), seeds, wanted
        count = len(self.lines)
        self.below = [0] * count
        leads = [False] * count
        for line in self.lines:
            mask = 1 << line.number
            for operand in line.operands:
                mask |= self.below[operand.number]
            self.below[line.number] = mask
            leads[line.number] = line.op == "argument" or any(leads[o.number] for o in line.operands)
        reached = 0
        for number in seeds:
            reached |= self.below[number]
        self.live = [leads[k] and bool(reached >> k & 1) for k in range(count)]
        self.users: list[list[tuple[Line, int]]] = [[] for _ in range(count)]
        self.at: dict[Site, dict[int, Line]] = defaultdict(dict)
        for line in self.lines:
            if self.live[line.number]:
                self.at[line.site][line.time] = line
                for position, operand in enumerate(line.operands):
                    if leads[operand.number]:
                        self.users[operand.number].append((line, position))
        self.initial: dict[Site, Line] = {}
        self.carried: dict[Site, Site] = {}
        self.roots: set[Site] = set()
        self.states: dict[Site, Site] = {}
        self.steps = 1
        self._find_time()
        if states is not None:
            states |= {carried: initial.site for carried, initial in self.initial.items()}
            self._know(states)
        self.uses = [
            [(user, k, self.crossing(line, user)) for user, k in self.users[line.number] if self.live[user.number]]
            for line in self.lines
        ]
        self.reach: dict[Any, int] = {}
        self.base = Run(self, ())
        self.right = {name: self.base.gradient(line) for name, line in wanted.items()}
        self.visited: dict[Edge, dict[Context, None]] = defaultdict(dict)
        for edge, context in self.base.visited:
            self.visited[edge][context] = None

    def _know(self, states: dict[Site, Site]) -> None:
        """Where there is one step only, nothing shows which values are states: learn it from a longer loop."""
        if self.steps == 1:
            first = {line.site: line for line in self.lines}
            for carried, initial in states.items():
                if carried in self.at and initial in first:
                    self.initial[carried], self.carried[initial] = first[initial], carried

    def _find_time(self) -> None:
        """Which loop is the one over time: the shortest one that hands a state on.

        What is reached k times at each step, such as a loop over gates, stands at k places; so does all that is reached
        several times where no loop hands anything on.
        """
        reached = {site: dict(times) for site, times in self.at.items()}
        for steps in [*sorted({len(times) for times in reached.values()} - {1}), 1]:
            self.at.clear()
            for site, times in reached.items():
                every = len(times) // steps if len(times) % steps == 0 else len(times)
                for k, time in enumerate(sorted(times)):
                    line = times[time]
                    line.site = site + k % every * AGAIN
                    line.time = (k // every + 1 if every < len(times) else 1) if line.op not in ("argument", "constant") else 0
                    self.at[line.site][line.time] = line
            self.steps = steps
            self.initial.clear()
            self.carried.clear()
            self.roots, self.states = self._contexts()
            if self.states:
                break

    def last(self, site: Site) -> Line:
        """The line of the last step that goes through this place: not all of the loop's need to."""
        return self.at[site][max(self.at[site])]

    def looped(self, line: Line) -> bool:
        """Whether the line is reached once at every time step."""
        return self.steps > 1 and len(self.at.get(line.site, ())) == self.steps

    def crossing(self, line: Line, user: Line) -> bool:
        """Whether the line is a state, or its initial value, and the user belongs to the step after."""
        if not self.looped(user) or (collects(user, 0) and user.operands[0] is line):
            return False
        return line.site in self.carried if line.time == 0 else user.time > line.time and self.looped(line)

    def _contexts(self) -> tuple[set[Site], dict[Site, Site]]:
        """Where contexts begin: at gates and arguments; and for every state, what its contexts are called.

        A state is used by the same edges as its initial value, whose site it shares as a context; if that is no argument, its
        own.
        """
        roots: set[Site] = set()
        operands: dict[Edge, list[Line]] = defaultdict(list)
        for line in self.lines:
            if not self.live[line.number]:
                continue
            if line.op in ACTIVATIONS and is_linear(line.operands[0]):
                roots.add(line.operands[0].site)
            if line.op == "argument":
                roots.add(line.site)
            for position, operand in enumerate(line.operands):
                operands[line.site, position].append(operand)
        states: dict[Site, Site] = {}
        for used in operands.values():
            carried = next((o for o in used if self.looped(o)), None)
            initial = next((o for o in used if not self.looped(o)), None)
            if carried is None or carried.op == "write" or carried.value.size == 1:
                continue  # an array that is filled, or a total that is added up
            if initial is not None and len(used) == self.steps:
                states[carried.site] = initial.site if initial.op == "argument" else carried.site
                self.initial[carried.site] = initial
                self.carried[initial.site] = carried.site
        return roots, states

    def value(self, site: Site, time: int) -> Array | None:
        """The value that a place of the code has at a time; of an argument or a state at time 0, the initial one."""
        times = self.at.get(site, {})
        if time in times:
            return times[time].value
        if site in self.initial and time == 0:
            return self.initial[site].value
        if site in self.carried:
            return self.value(self.carried[site], time)
        if len(times) == 1:
            return next(iter(times.values())).value
        return None


def is_linear(line: Line) -> bool:
    """Whether the line is what a gate is made of: a matrix product, or a sum, part or arrangement of some."""
    if line.op == "matmul":
        return True
    return line.op in STRAIGHT and any(is_linear(operand) for operand in line.operands)
