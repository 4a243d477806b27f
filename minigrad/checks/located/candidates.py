"""What could be written otherwise in a statement, and what of it makes a difference where it stands.

Each expression is tried in its place beside the variables that were there: what changes nothing, or gives the same as another,
is left out; what gives a known part of a gradient is a *hit*.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks.located.edit import Edit
from minigrad.checks.located.kinds import factors_of
from minigrad.checks.located.phrases import HOLE, Phrase, compiled, evaluated, expressions, tight
from minigrad.checks.located.pool import AtHand, product_of
from minigrad.checks.located.rewriting import rewritten
from minigrad.checks.located.statements import all_statements, carried_on, rewritten_statement
from minigrad.checks.located.truths import Truths, marks_of
from minigrad.checks.located.watching import EARLY, Visit
from minigrad.checks.located.written import Written
from minigrad.guard import Array

__all__ = ["Place", "at_places", "everywhere", "of_statements", "places_of"]

ENTRYWISE = (ast.Add, ast.Sub, ast.Mult, ast.Div)
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
NO_PARTS = (ast.Constant, ast.Starred, ast.Slice)


class Place(NamedTuple):
    """An expression in a statement; the largest array that it is in, its outlet; that as a function of the expression.

    ``entrywise`` tells whether each entry of the outlet depends on one entry of the expression alone.
    """

    function: Written
    statement: ast.stmt
    node: ast.expr
    outlet: ast.expr
    around: CodeType | None
    entrywise: bool


def of_statements(function: Written) -> Iterator[Edit]:
    """Whole statements written otherwise."""
    for statement, block in all_statements(function.tree):
        for places, kind in rewritten_statement(function, statement, block):
            yield Edit(function, statement, places, 1.5 if kind == "wrong accumulator" else 1.1, kind)
        if isinstance(statement, ast.For):
            yield from (Edit(function, statement.body[-1], (), 1.4, after=line) for line in carried_on(function, statement))
        yield from _exchanged(function, statement)


def _exchanged(function: Written, statement: ast.stmt) -> Iterator[Edit]:
    """Two things exchanged in what is returned, handed on or put in a row."""
    rows: list[list[ast.expr]] = []
    for node in expressions(statement):
        if isinstance(node, ast.Tuple | ast.List):
            rows.append(node.elts)
        elif isinstance(node, ast.Dict):
            rows.append(node.values)
        elif isinstance(node, ast.Call):
            rows.append([*node.args, *(keyword.value for keyword in node.keywords)])
    for row in rows:
        for k, first in enumerate(row):
            for second in row[k + 1 :]:
                texts = function.segment(first), function.segment(second)
                if texts[0] != texts[1] and not isinstance(first, NO_PARTS) and not isinstance(second, NO_PARTS):
                    yield Edit(function, statement, [(first, texts[1]), (second, texts[0])], 1.2, "parts in the wrong order")


def everywhere(edits: Sequence[Edit]) -> Iterator[Edit]:
    """The same correction wherever it can be made in a function, as one."""
    alike: dict[tuple[Any, str, str], list[Edit]] = defaultdict(list)
    for edit in edits:
        if len(edit.places) == 1 and isinstance(edit.places[0][0], ast.expr):
            ((node, text),) = edit.places
            alike[edit.function.function, edit.function.segment(node), text].append(edit)
    for same in alike.values():
        if len(same) > 1:
            places = [place for edit in same for place in edit.places]
            yield Edit(
                same[0].function, same[0].statement, places, min(e.cost for e in same) + 0.5, hit=min(e.hit for e in same)
            )


def places_of(function: Written, statement: ast.stmt, visit: Visit, pure: Callable[[ast.Call], bool]) -> Iterator[Place]:
    """The expressions of a statement that stand in an array."""
    space = function.function.__globals__

    def below(node: ast.AST, outlet: ast.expr | None, path: bool) -> Iterator[Place]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.Lambda | ast.comprehension | ast.JoinedStr):
                continue
            is_read = isinstance(child, ast.expr) and isinstance(getattr(child, "ctx", ast.Load()), ast.Load)
            if isinstance(node, ast.Call) and child is node.func:
                if isinstance(child, ast.Attribute):
                    yield from below(child, outlet, False)
                continue
            if isinstance(node, ast.Subscript) and child is node.slice:
                continue
            inner, entrywise = outlet, path and isinstance(node, ast.BinOp) and isinstance(node.op, ENTRYWISE)
            if is_read and isinstance(child, ast.expr):
                if outlet is None and all(pure(call) for call in ast.walk(child) if isinstance(call, ast.Call)):
                    code = compiled(function.segment(child))
                    if code is not None and evaluated(code, space, visit) is not None:
                        inner, entrywise = child, True
                if inner is not None:
                    around = None if child is inner else compiled(function.segment(inner, [(child, HOLE)]))
                    yield Place(function, statement, child, inner, around, entrywise)
            yield from below(child, inner, entrywise)

    yield from below(statement, None, True)


def at_places(
    places: Sequence[Place],
    visits: Sequence[Visit],
    still: Sequence[Visit],
    known: Sequence[Phrase],
    truths: Truths,
    early: int = EARLY,
    whole: bool = False,
) -> Iterator[Edit]:
    """What could stand in places of one statement, each result once.

    Args:
        places: those of the statement.
        visits: the variables there.
        still: the variables there at times when nothing is to be changed.
        known: what is at hand.
        truths: what is known to be a part of a gradient.
        early: at so many of the first visits the statement has to give such a part.
        whole: where it gives a part already it has to give a whole gradient.
    """
    at_hand = AtHand(places[0].function, known, [*visits, *still], len(visits))
    statement = places[0].statement
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    named = [places[0].function.segment(target) for target in targets if target is not None]
    itself = tuple(f" {sign} {name}" for name in named for sign in "+-") or ("\n",)
    best: dict[tuple[ast.expr, Any], Edit] = {}
    for place in places:
        try:
            tried = list(_At(place, at_hand, truths, early, whole).edits())
        except _LostError:
            continue
        for mark, edit in tried:
            text = edit.places[0][1]
            if text.endswith(itself) or text in named or _is_rewritten(text):
                continue
            other = best.get((place.outlet, mark))
            if other is None or (other.cost, _longer(other)) > (edit.cost, _longer(edit)):
                best[place.outlet, mark] = edit
    yield from best.values()


def _longer(edit: Edit) -> int:
    """By how much the text grows."""
    return sum(len(text) - len(edit.function.segment(node)) for node, text in edit.places)


def _is_rewritten(text: str) -> bool:
    """Whether a sum is a product in disguise, a * b + a * b * c: nobody writes a derivative so."""
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add | ast.Sub):
        return False
    return len(set(factors_of(node.left)) & set(factors_of(node.right))) > 1


class _LostError(Exception):
    """The expression has no value here that could be followed."""


class _At:
    """One place, with what is there at each visit."""

    def __init__(self, place: Place, at_hand: AtHand, truths: Truths, early: int, whole: bool) -> None:
        self.place, self.at_hand, self.truths, self.visits = place, at_hand, truths, at_hand.visits
        self.early, self.whole = early, False
        self.function, self.space = at_hand.function, at_hand.space
        self.text = self.function.segment(place.node)
        self.now, self.outlets = self._values(place.node), self._values(place.outlet)
        self.before = [float(marks_of(outlet, outlet.ndim)) for outlet in self.outlets]
        self.changing = at_hand.changing
        self.linear: dict[int, tuple[float, Array] | None] = {}
        self.totals = [self._total(visit, outlet) for visit, outlet in zip(self.visits, self.outlets, strict=True)]
        self.right = all(
            self._known(np.array([mark]), total, outlet.size)[0]
            for mark, total, outlet in list(zip(self.before, self.totals, self.outlets, strict=True))[: min(self.changing, self.early)]
        )
        self.whole = self.right and whole

    def _values(self, node: ast.expr) -> list[Array]:
        code = compiled(self.function.segment(node))
        values = [None if code is None else evaluated(code, self.space, visit) for visit in self.visits]
        found = [value for value in values if value is not None]
        if len(found) < len(values) or len({value.shape for value in found}) > 1:
            raise _LostError
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
        known = self.truths.among_whole if self.whole else self.truths.known
        return known(marks, size) | (known(marks + total, size) if total else False)

    def edits(self) -> Iterator[tuple[Any, Edit]]:
        """What could stand here, with the marks of the outlet then."""
        for text in dict.fromkeys(rewritten(self.function, self.place.node)):
            code = compiled(text)
            values = [None if code is None else evaluated(code, self.space, visit) for visit in self.visits]
            found = [value[None] for value in values if value is not None]
            if len(found) == len(values):
                yield from self._tried(np.array([-1.0]), found, lambda k, text=text: text)  # type: ignore[misc]
        if isinstance(self.place.node, ast.Constant):
            return
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
        yield from self._tried(terms + 0.1, combined(np.subtract), lambda k: f"{here} - {tight(pool.text(k))}")
        factors = np.where(costs < 1, costs, np.inf)
        yield from self._tried(factors, combined(np.multiply), lambda k: product_of(here, pool.text(k)))

    def _is_factor(self) -> bool:
        """Whether a sum in this place would need brackets, and has none: so nobody writes a derivative."""
        node = self.place.node
        is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
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
        for number in (*range(self.changing, count), *range(self.changing)):
            marks, size, shape = self._results(values[number][kept], number)
            same = (shape == self.outlets[number].shape) & (np.abs(marks - self.before[number]) <= 1e-9 * np.abs(marks))
            table[number, kept] = marks
            if number >= self.changing:
                kept = kept[same]
            else:
                changed[kept] |= ~same
                if number < self.early:  # later on, what comes of the mistake may be wrong already
                    hits[kept] &= self._known(marks, self.totals[number], size) & (np.abs(marks) > NOTHING)
                kept = kept[np.isfinite(marks)]
        simple = (costs < 0) | ((costs == 0) & (not self.right))
        for k in kept[(changed & (hits | simple))[kept]]:
            hit = (0.5 if self.right else 1.0) if hits[k] else 0.0
            mark = tuple(float(f"{mark:.9e}") for mark in table[:, k])
            yield mark, self._edit(text(int(k)), 1.0 + max(float(costs[k]), 0.0) + lost, hit)

    def _edit(self, text: str, cost: float, hit: float) -> Edit:
        return Edit(self.function, self.place.statement, [(self.place.node, text)], cost, hit=hit)

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
        """The mark of the outlet at a visit as a constant and a factor for each entry of what stands here; None if it is not so.

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
