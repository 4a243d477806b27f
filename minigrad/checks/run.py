"""One pass over the chain rule of a forward pass, with some of its terms changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.checks.change import Change, Context, Edge
from minigrad.checks.tracing import Line, Site
from minigrad.gradients import unbroadcast
from minigrad.guard import Array
from minigrad.reporting import within

if TYPE_CHECKING:
    from minigrad.checks.chain import Chain

__all__ = ["Run", "affected", "collects", "plus"]

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
        self.carries = any(edge[0] == "carried" for edge in self.changes)
        self.skips = any(edge[0] == "skipped" for edge in self.changes)
        self.memo: dict[tuple[int, Any], Any] = {}
        self.memo_shares: dict[tuple[int, Any], Sequence[Any]] = {}
        self.visited: set[tuple[Edge, Context]] = set()
        self.recording = not base

    def gradient(self, line: Line) -> Array:
        """∂L/∂line, zeros if nothing arrives; NaN where the changes make it depend on itself, or arrays do not fit."""
        try:
            g = within({"all": "ignore"}, self.cotangent, line, None)
        except CircularError:
            return np.full(line.value.shape, np.nan)
        except ValueError:
            if self.recording:
                raise
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
        weighted = self.changes.get(("weighted", line.site)) if self.changes else None
        crossed = False
        for user, position, crossing in chain.uses[line.number]:
            if half is not None and half.fields["drop"]((user.site, position), context[1]):
                continue
            if crossing:
                crossed = True
            else:
                term = self.share(user, position, context)
                if weighted is not None and term is not None and chain.looped(user):
                    for change in weighted:
                        term = term * change.term(self, user, user.time, None, context)
                total = plus(total, term)
        if crossed or (self.carries and ("carried", chain_state(chain, line)) in self.changes):
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
        for user, position, crossing in chain.uses[line.number]:
            if crossing:
                total = plus(total, self.share(user, position, chain.states.get(line.site, line.site)))
        return total

    def share(self, user: Line, position: int, context: Context) -> Any:
        """The term that one use contributes."""
        if self.skips and self._skipped(user) and not collects(user, position):
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
    found = chain.reach.get(change)
    if found is None:
        found = chain.reach[change] = _reach(chain, change)
    return found


def _reach(chain: Chain, change: Change) -> int:
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
