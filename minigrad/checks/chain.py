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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.tracing import Line, Site
from minigrad.gradients import unbroadcast
from minigrad.guard import Array

__all__ = ["Chain", "Change", "CircularError", "Context", "Edge", "Run"]

Edge: TypeAlias = tuple[Any, ...]
"""(site of the user, position), or ("seed", name of the output)."""
Context: TypeAlias = Any
"""The site of a gate, an argument or a state; None before any of them."""

STRAIGHT = frozenset(
    {"add", "sub", "neg", "getitem", "split", "reshape", "transpose", "write", "concatenate", "copy", "einsum"}
)

AGAIN = 1_000_000
"""What the number of a place grows by for each further time that it is reached in one step."""

Term: TypeAlias = Callable[..., Any]
"""(run, user, position, gradient of the user, context) → the term."""


@dataclass(frozen=True, eq=False)
class Change:
    """Something else in the place of the term of an edge.

    Attributes:
        edges: which terms are changed.
        term: (run, user, position, gradient of the user, context) → the term, or None for no term.
        context: only in the derivation of this gate, argument or state; None for all.
        when: only at some steps, given the step of the user of the value and the number of steps; None for all.
        kind: which kind of mistake it is, for counting and for words.
        words: what a message says about it.
        simple: the smaller, the likelier.
        fields: what else a message can say.
        inner: changes that hold for one part of the sum only: what ``fields["drop"]`` (edge, which half) leaves in half 1.
    """

    edges: frozenset[Edge]
    term: Term
    kind: str
    words: str
    context: Context = None
    when: Callable[[int, int], bool] | None = None
    simple: int = 1
    fields: dict[str, Any] = field(default_factory=dict)
    inner: tuple[Change, ...] = ()


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


BUSY = object()


class CircularError(Exception):
    """Changes that together make a gradient depend on itself."""


class Run:
    """One pass over the chain with some changes. What no change affects is taken from the unchanged run."""

    def __init__(self, chain: Chain, changes: Iterable[Change]) -> None:
        self.chain = chain
        self.changes: dict[Edge, list[Change]] = defaultdict(list)
        self.splits: dict[Site, Change] = {}
        self.affected = 0
        base = bool(changes)
        for change in changes:
            for edge in change.edges:
                self.changes[edge].append(change)
            if change.inner:
                self.splits[change.context] = change
            self.affected |= affected(chain, change)
        if not base:
            self.affected = -1
        self.memo: dict[tuple[int, Any], Any] = {}
        self.memo_shares: dict[tuple[int, Any], Sequence[Any]] = {}
        self.visited: set[tuple[Edge, Context]] = set()
        self.recording = not base

    def gradient(self, line: Line) -> Array:
        """∂L/∂line, zeros if nothing arrives; NaN where the changes make it depend on itself."""
        try:
            with np.errstate(all="ignore"):
                g = self.cotangent(line, None)
        except CircularError:
            return np.full(line.value.shape, np.nan)
        return np.zeros(line.value.shape) if g is None else g

    def cotangent(self, line: Line, context: Context) -> Any:
        """∂L/∂line in the derivation that ``context`` stands for; None if nothing arrives."""
        chain = self.chain
        if line.site in chain.roots:
            context = chain.states.get(line.site, line.site)
        if not self.affected >> line.number & 1:
            return chain.base.cotangent(line, context[0] if type(context) is tuple else context)
        key = line.number, context
        if key in self.memo:
            if self.memo[key] is BUSY:
                raise CircularError
            return self.memo[key]
        self.memo[key] = BUSY
        split = self.splits.get(line.site) if line.site in chain.roots else None
        if split is not None:
            total = None
            for variant in range(2):
                total = plus(total, self.terms(line, (context, variant)))
        else:
            total = self.terms(line, context)
        self.memo[key] = total
        return total

    def terms(self, line: Line, context: Context) -> Any:
        """The sum of the terms of ∂L/∂line."""
        chain, total = self.chain, None
        half = self.splits.get(context[0]) if type(context) is tuple else None
        for name, seed in chain.seeds.get(line.number, ()):
            edge: Edge = ("seed", name)
            if half is None or not half.fields["drop"](edge, context[1]):
                total = plus(total, self._changed(edge, line, -1, seed, context, partial(plus, None, seed)))
        weighted = self.changes.get(("weighted", line.site))
        crossed = False
        for user, position in chain.users[line.number]:
            if not chain.live[user.number]:
                continue
            if half is not None and half.fields["drop"]((user.site, position), context[1]):
                continue
            if chain.crossing(line, user):
                crossed = True
            else:
                term = self.share(user, position, context)
                if weighted is not None and term is not None and chain.looped(user):
                    for change in weighted:
                        term = term * change.term(self, user, user.time, None, context)
                total = plus(total, term)
        if crossed or ("carried", chain_state(chain, line)) in self.changes:
            total = plus(total, self.carried(line))
        return total

    def carried(self, line: Line) -> Any:
        """What the step after hands back to a state."""
        key = line.number, "carried"
        if key not in self.memo:
            terms = partial(self.right_carried, line)
            for change in self.changes.get(("carried", chain_state(self.chain, line)), ()):
                terms = partial(change.term, self, line, line.time, terms, None)
            self.memo[key] = terms()
        return self.memo[key]

    def right_carried(self, line: Line) -> Any:
        """The terms of a state's gradient that come from the step after."""
        chain, total = self.chain, None
        for user, position in chain.users[line.number]:
            if chain.live[user.number] and chain.crossing(line, user):
                total = plus(total, self.share(user, position, chain.states.get(line.site, line.site)))
        return total

    def share(self, user: Line, position: int, context: Context) -> Any:
        """The term that one use contributes."""
        if self._skipped(user) and not collects(user, position):
            return None
        g = self.cotangent(user, context)
        if g is None:
            return None
        return self._changed((user.site, position), user, position, g, context, lambda: self.shares(user, context, g)[position])

    def _skipped(self, user: Line) -> bool:
        """Whether the loop over time leaves out the step of ``user``: the first, 1, or the last, −1."""
        times = [user.time, *([-1] if user.time == self.chain.steps else [])]
        return any(("skipped", time) in self.changes for time in times) and self.chain.looped(user)

    def shares(self, user: Line, context: Context, g: Array) -> Sequence[Any]:
        """The right terms for all operands of ``user``, given ∂L/∂user."""
        key = user.number, context
        found = self.memo_shares.get(key)
        if found is None:
            found = self.memo_shares[key] = user.vjp(g)
        return found

    def _changed(self, edge: Edge, user: Line, position: int, g: Any, context: Context, right: Callable[[], Any]) -> Any:
        if self.recording:
            self.visited.add((edge, context))
        for change in self.changes.get(edge, ()):
            if change.inner:
                if type(context) is tuple and context == (change.context, 1):
                    for inner in change.inner:
                        if edge in inner.edges:
                            term = inner.term(self, user, position, g, context)
                            return None if term is None else self._fitted(term, user, position)
                continue
            plain = context[0] if type(context) is tuple else context
            if change.context is not None and change.context != plain:
                continue
            if change.when is not None and not change.when(user.time, self.chain.steps):
                continue
            term = change.term(self, user, position, g, context)
            return None if term is None else self._fitted(term, user, position)
        return right()

    def _fitted(self, term: Any, user: Line, position: int) -> Any:
        shape = user.value.shape if position < 0 else user.operands[position].value.shape
        return unbroadcast(term, shape) if np.shape(term) != shape else term


def chain_state(chain: Chain, line: Line) -> Site:
    """The site of the state that a line is, or is the initial value of."""
    return chain.carried.get(line.site, line.site)


def collects(user: Line, position: int) -> bool:
    """Whether the operand is what a loop has collected so far: an array that it fills, a loss that it adds up."""
    return position == 0 and (user.op == "write" or (user.op == "add" and user.value.size == 1))


def affected(chain: Chain, change: Change) -> int:
    """The lines whose gradient a change can change, as a mask."""
    mask = 0
    for kind, what in change.edges:
        if kind == "skipped":
            return -1
        if kind == "seed":
            for number, seeds in chain.seeds.items():
                if any(name == what for name, _ in seeds):
                    mask |= chain.below[number]
        elif kind in ("carried", "weighted"):
            for line in chain.at.get(what, {}).values():
                mask |= chain.below[line.number]
            if what in chain.initial:
                mask |= chain.below[chain.initial[what].number]
        else:
            for line in chain.at.get(kind, {}).values():
                if what < len(line.operands):
                    mask |= chain.below[line.operands[what].number]
    return mask


def plus(a: Any, b: Any) -> Any:
    """The sum, where None is nothing."""
    return b if a is None else a if b is None else a + b
