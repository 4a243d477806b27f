"""What could stand in one place, tried beside the variables that were there."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.checks.located.edit import WRAPS, Edit
from minigrad.checks.located.phrases import HOLE, compiled, evaluated, tight
from minigrad.checks.located.places import Place
from minigrad.checks.located.pool import AtHand, product_of, with_zeros_of
from minigrad.checks.located.rewriting import rewritten
from minigrad.checks.located.truths import Truths, marks_of
from minigrad.checks.located.watching import Visit
from minigrad.guard import Array

__all__ = ["At", "LostError"]

FEW = 0.65
"""What costs more is tried only where entries can be computed by themselves."""
MORE = 0.95
"""The same where there is more than a name."""
FEW_TIMES = 2
"""So many values for each entry are tried one by one."""
LOST = 0.1
"""What each operation costs that is replaced by something else."""
NOTHING = 1e-12
"""The mark of an array of zeros is smaller."""


class LostError(Exception):
    """The expression has no value here that could be followed."""


class At:
    """One place, with what is there at each visit."""

    def __init__(self, place: Place, at_hand: AtHand, truths: Truths, early: int, whole: bool) -> None:
        self.place, self.at_hand, self.truths, self.visits = place, at_hand, truths, at_hand.visits
        self.early, self.whole = early, False
        self.function, self.space = at_hand.function, at_hand.space
        self.text = self.function.segment(place.node)
        node = place.node
        is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
        self.terms = [self.function.segment(part) for part in (node.left, node.right)] if is_sum else []  # type: ignore[attr-defined]
        self.now, self.outlets = self._values(place.node), self._values(place.outlet)
        named = [v[0] for rank, v in at_hand.values.values() if rank == 0 and v[0].size == self.outlets[0].size]
        self.named = np.sort(np.array([float(marks_of(value, value.ndim)) for value in named]))
        self.before = [float(marks_of(outlet, outlet.ndim)) for outlet in self.outlets]
        self.changing = at_hand.changing
        self.linear: dict[int, tuple[float, Array] | None] = {}
        self.totals = [self._total(visit, outlet) for visit, outlet in zip(self.visits, self.outlets, strict=True)]
        looked_at = range(min(self.changing, self.early))
        self.right = all(
            self._known(np.array([self.before[k]]), self.totals[k], self.outlets[k].size)[0] for k in looked_at
        )
        self.whole = self.right and whole and not isinstance(place.statement, ast.AugAssign)  # one step's share is no whole

    def _values(self, node: ast.expr) -> list[Array]:
        code = compiled(self.function.segment(node))
        values = [None if code is None else evaluated(code, self.space, visit) for visit in self.visits]
        found = [value for value in values if value is not None]
        if len(shapes := {value.shape for value in found if value.any()}) == 1:
            found = with_zeros_of(found, *shapes)  # the state gradient before the last step: 0, or zeros of one example
        if len(found) < len(values) or len({value.shape for value in found}) > 1:
            raise LostError
        return found

    def _total(self, visit: Visit, outlet: Array) -> float:
        """The mark of what the statement adds to."""
        statement = self.place.statement
        if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
            code = compiled(self.function.segment(statement.target))
            value = None if code is None else evaluated(code, self.space, visit)
            if value is not None and value.shape == outlet.shape:
                return float(marks_of(value, value.ndim))
        return 0.0

    def _known(self, marks: Array, total: float, size: int) -> Array:
        known = self.truths.all_of_it if self.whole else self.truths.known
        return known(marks, size) | (known(marks + total, size) if total else False)

    def edits(self) -> Iterator[tuple[Any, Edit]]:
        """What could stand here, with the marks of the outlet then."""
        for text in dict.fromkeys(rewritten(self.function, self.place.node)):
            code = compiled(text)
            values = [None if code is None else evaluated(code, self.space, visit) for visit in self.visits]
            found = [value[None] for value in values if value is not None]
            if len(found) == len(values):
                lost = LOST * (text in self.terms or self._is_turned_round(text))
                for mark, edit in self._tried(np.array([-1.0]), found, lambda k, text=text: text, lost):  # type: ignore[misc]
                    yield mark, edit._replace(less=not self.right)
        if isinstance(self.place.node, ast.Constant):
            return
        yield from self._scaled()
        yield from self._added()
        pool, here, now = self.at_hand.pool(self.now[0].shape), self.text, self.now
        costs = (
            pool.costs
            if self.place.entrywise
            else np.where(pool.costs <= (MORE if isinstance(self.place.node, ast.BinOp) else FEW), pool.costs, np.inf)
        )

        def combined(by: Callable[[Any, Any], Any]) -> list[Array]:
            return [by(value, stack) for value, stack in zip(now, pool.stacks, strict=True)]

        yield from self._tried(costs, pool.stacks, pool.text, self._lost())
        terms = costs + np.where(((costs > 0) | isinstance(self.place.node, ast.BinOp)) & self._is_factor(), np.inf, 0.0)
        yield from self._tried(terms, combined(np.add), lambda k: f"{here} + {pool.text(k)}")
        yield from self._tried(terms + 0.2, combined(np.subtract), lambda k: f"{here} - {tight(pool.text(k))}")
        factors = np.where(costs < 1, costs, np.inf)
        yield from self._tried(factors, combined(np.multiply), lambda k: product_of(here, pool.text(k)))

    def _is_turned_round(self, text: str) -> bool:
        """Whether the factors of a product with a vector are exchanged: it is the matrix that one forgets to transpose."""
        node = self.place.node
        is_product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) and self.now[0].ndim == 1
        return is_product and text.startswith(f"{tight(self.function.segment(node.right))} @ ")  # type: ignore[attr-defined]

    def _added(self) -> Iterator[tuple[Any, Edit]]:
        """A sum, where there is a product."""
        node = self.place.node
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
            return
        text = " + ".join(map(self.function.segment, (node.left, node.right)))
        code = compiled(text)
        values = [None if code is None else evaluated(code, self.space, visit) for visit in self.visits]
        found = [value[None] for value in values if value is not None]
        if len(found) == len(values):
            yield from self._tried(np.array([0.3]), found, lambda k: text)

    def _scaled(self) -> Iterator[tuple[Any, Edit]]:
        """What is here times a number that has a name, ``gh * dt``, or divided by one, ``dW / batch_size``."""
        for text, number in self.at_hand.numbers.items():
            for sign, by in (("*", number), ("/", 1 / number)):
                whole = product_of(self.text, text) if sign == "*" else f"{self.text} / {text}"
                if not isinstance(self.place.node, ast.BinOp) or sign == "*":
                    yield from self._tried(np.array([0.5]), [value[None] * by for value in self.now], lambda k, w=whole: w)  # type: ignore[misc]

    def renamed(self) -> Iterator[Edit]:
        """What has a name and could stand here, as far as the outlet is a gradient then."""
        pool = self.at_hand.pool(self.now[0].shape)
        costs = np.where(pool.costs == 0, 0.0, np.inf)
        yield from (edit for _, edit in self._tried(costs, pool.stacks, pool.text) if edit.hit)

    def _is_factor(self) -> bool:
        """Whether a sum in this place would need brackets, and has none: so nobody writes a derivative."""
        node = self.place.node
        is_sum = isinstance(node, ast.BinOp) and (isinstance(node.op, ast.Add | ast.Sub) or self.function.in_brackets(node))
        products = (n for n in ast.walk(self.place.outlet) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult | ast.Div))
        return not is_sum and any(node is n.left or node is n.right for n in products)

    def _lost(self) -> float:
        """What it costs to write something else for all that stands here."""
        return LOST * sum(isinstance(node, ast.BinOp | ast.Call) for node in ast.walk(self.place.node))

    def _tried(
        self, costs: Array, values: list[Array], text: Callable[[int], str], lost: float = 0.0
    ) -> Iterator[tuple[Any, Edit]]:
        """Edits by which each of a stack of values comes to stand here, as far as they make a difference.

        Args:
            costs: how much each changes; less than 0 for what is tried in any case, infinite for what is not.
            values: the stack, at each visit.
            text: how each is written.
            lost: what each costs beside.
        """
        kept = np.flatnonzero(np.isfinite(costs))
        count = len(self.visits)
        table = np.full((count, len(costs)), np.nan)
        hits, changed = np.ones(len(costs), bool), np.zeros(len(costs), bool)
        anew = np.full(len(costs), not self.right)  # what is right stays so where nothing changes
        for number in (*range(self.changing, count), *range(self.changing)):
            marks, size, shape = self._results(values[number][kept], number)
            same = (shape == self.outlets[number].shape) & (np.abs(marks - self.before[number]) <= 1e-9 * np.abs(marks))
            table[number, kept] = marks
            if number >= self.changing:
                kept = kept[same]
            else:
                changed[kept] |= ~same
                if number < self.early:  # later on, what comes of the mistake may be wrong already
                    anew[kept] |= ~same
                    hits[kept] &= self._known(marks, self.totals[number], size) & (np.abs(marks) > NOTHING)
                if number == 0:  # what has a name already is right there, and not a step further
                    hits[kept] &= ~self._named(marks)
                if number == 0 and self.early == 1:  # what is 0 here says nothing
                    hits[kept] &= values[0][kept].any(axis=tuple(range(1, values[0].ndim)))
                kept = kept[np.isfinite(marks)]
        hits &= anew
        simple = (costs < 0) | ((costs == 0) & (~anew | (not self.right)))  # a name that differs at the last steps alone, too
        for k in kept[(changed & (hits | simple))[kept]]:
            hit = (0.5 if self.right and not self.whole else 1.0) if hits[k] else 0.0
            mark = tuple(float(f"{mark:.9e}") for mark in table[:, k])
            kind = WRAPS if self.right and not anew[k] and self._wraps() else ""
            yield mark, self._edit(text(int(k)), 1.0 + max(float(costs[k]), 0.0) + lost, hit, kind)

    def _wraps(self) -> bool:
        """Whether an index is less than 0 at the last visit, and not before."""
        index = self.place.node.slice if isinstance(self.place.node, ast.Subscript) else None
        code = None if index is None else compiled(f"0.0 + ({self.function.segment(index)})")
        values = [None if code is None else evaluated(code, self.space, visit) for visit in self.visits[: self.changing]]
        wrapped = [value is not None and value.size == 1 and bool(value < 0) for value in values]
        return wrapped[-1:] == [True] and not any(wrapped[:-1])

    def _named(self, marks: Array) -> Array:
        """Which of the marks are those of what has a name at the first visit, where a product or a sum is looked at."""
        if not len(self.named) or not isinstance(self.place.outlet, ast.BinOp):
            return np.zeros(len(marks), bool)
        near = np.searchsorted(self.named, marks).clip(0, len(self.named) - 1)
        gaps = np.minimum(np.abs(self.named[near] - marks), np.abs(self.named[(near - 1).clip(0)] - marks))
        return np.asarray(gaps <= 1e-9 * np.abs(marks))

    def _edit(self, text: str, cost: float, hit: float, kind: str) -> Edit:
        return Edit(self.function, self.place.statement, [(self.place.node, text)], cost, kind, hit)

    def _results(self, stack: Array, number: int) -> tuple[Array, int, tuple[int, ...]]:
        """The marks of the outlet for each value here at a visit; how many entries it has, and its shape."""
        if not len(stack):
            return np.zeros(0), 1, (0,)
        if self.place.around is None:
            return marks_of(stack, stack.ndim - 1), stack[0].size, stack.shape[1:]
        ndim, visit = self.outlets[0].ndim, self.visits[number]
        if self.place.entrywise and stack.ndim - 1 == ndim:
            results = evaluated(self.place.around, self.space, {**visit, HOLE: stack})
            if results is not None and results.ndim == ndim + 1 and len(results) == len(stack):
                return marks_of(results, ndim), results[0].size, results.shape[1:]
        if len(stack) > FEW_TIMES * stack[0].size and stack.shape[1:] == self.now[number].shape:
            linear = self._as_linear(number)
            if linear is not None:
                outlet = self.outlets[number]
                return linear[0] + stack.reshape(len(stack), -1) @ linear[1], outlet.size, outlet.shape
        single = [evaluated(self.place.around, self.space, {**visit, HOLE: value}) for value in stack]
        shape = next((value.shape for value in single if value is not None), (0,))
        marks = [np.nan if v is None or v.shape != shape else float(marks_of(v, v.ndim)) for v in single]
        return np.array(marks), int(np.prod(shape)), shape

    def _as_linear(self, number: int) -> tuple[float, Array] | None:
        """The outlet's mark at a visit as a constant and a factor for each entry of what stands here; None if it is not so.

        Products of matrices, sums and means are: then a handful of values tells the marks of thousands.
        """
        if number not in self.linear:
            self.linear[number] = self._measured(number)
        return self.linear[number]

    def _measured(self, number: int) -> tuple[float, Array] | None:
        assert self.place.around is not None
        shape, size, visit = self.now[number].shape, self.now[number].size, self.visits[number]
        probe = marks_of(np.eye(size + 1)[:, :size], 1)[:size] + 0.5
        marks = []
        for entries in (np.zeros(size), probe, -2 * probe, *np.eye(size)):
            value = evaluated(self.place.around, self.space, {**visit, HOLE: entries.reshape(shape)})
            if value is None or value.shape != self.outlets[number].shape or not np.isfinite(value).all():
                return None
            marks.append(float(marks_of(value, value.ndim)))
        constant, factors = marks[0], np.array(marks[3:]) - marks[0]
        expected = constant + np.array([probe @ factors, -2 * probe @ factors])
        return (constant, factors) if np.allclose(marks[1:3], expected, 1e-10, 1e-10) else None
