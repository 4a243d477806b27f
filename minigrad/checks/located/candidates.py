"""What could be written otherwise in a statement, and what of it makes a difference where it stands.

Each expression is tried in its place beside the variables that were there: what changes nothing, or gives the same as another,
is left out; what gives a known part of a gradient is a *hit*.
"""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.located.at_place import At, LostError
from minigrad.checks.located.derived import derived
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.functions import CHANGING
from minigrad.checks.located.kinds import CURVE, LEFT, STORED, factors_of
from minigrad.checks.located.phrases import HOLE, Phrase, compiled, evaluated, expressions, parsed
from minigrad.checks.located.places import Place
from minigrad.checks.located.pool import AtHand
from minigrad.checks.located.statements import (
    ONCE,
    all_statements,
    at_the_last_step,
    carried_on,
    moved_inside,
    rewritten_statement,
)
from minigrad.checks.located.truths import Truths
from minigrad.checks.located.watching import EARLY, Visit
from minigrad.checks.located.written import Written

__all__ = ["SLOPE", "at_places", "everywhere", "kept_elsewhere", "longer", "of_statements", "unpacked_otherwise"]

NO_PARTS = (ast.Constant, ast.Starred, ast.Slice)

NAMED = 0.3
"""How much likelier it is that a line is meant to give the gradient that its name says."""
SLOPE = 0.6
"""What it costs beside to change something in the derivative of an activation so that it is none."""


@lru_cache(maxsize=64)
def of_statements(function: Written) -> tuple[Edit, ...]:
    """Whole statements written otherwise."""
    return tuple(_of_statements(function))


def _of_statements(function: Written) -> Iterator[Edit]:
    for statement, block in all_statements(function.tree):
        for places, kind in rewritten_statement(function, statement, block):
            yield Edit(function, statement, places, WRITTEN.get(kind, 1.1), kind)
        if isinstance(statement, ast.For):
            yield from (Edit(function, statement.body[-1], (), 1.4, after=line) for line in carried_on(function, statement))
            yield from (Edit(function, statement, places, 1.1, ONCE) for places in at_the_last_step(function, statement))
            last = statement.body[-1]
            if isinstance(last, ast.Return) and len(statement.body) > 1:
                yield Edit(function, statement, [(last, "pass")], 1.0, LEFT, after=function.segment(last))
            for line, behind, inside in moved_inside(function, statement):
                yield Edit(function, behind, [(line, "pass")], 1.2, "some steps only", after=inside)
        several = isinstance(statement, ast.If) and not statement.orelse and len(statement.body) > 1
        if several and isinstance(last := statement.body[-1], ast.AugAssign):  # type: ignore[attr-defined]
            yield Edit(function, statement, [(last, "pass")], 1.1, "some steps only", after=function.segment(last))
        yield from _exchanged(function, statement)


def unpacked_otherwise(function: Written, lines: Sequence[ast.stmt]) -> Iterator[Edit]:
    """What is unpacked, with two names exchanged of which these lines read one: the cache may have another order."""
    read = {node.id for line in lines for node in ast.walk(line) if isinstance(node, ast.Name)}
    for statement, _ in all_statements(function.tree):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Tuple) or isinstance(statement.value, ast.Tuple | ast.Call):  # type: ignore[attr-defined]
            continue
        for first, second in itertools.combinations([part for part in target.elts if isinstance(part, ast.Name)], 2):
            if {first.id, second.id} & read:
                text = function.segment(statement, [(first, second.id), (second, first.id)])
                yield Edit(function, statement, [(statement, text)], UNPACKED, "parts in the wrong order")


def kept_elsewhere(function: Written) -> Iterator[Edit]:
    """Lines of a loop that put something into a list, a dict or an array as it is, as the last or the first of the loop."""
    for loop in (node for node in ast.walk(function.tree) if isinstance(node, ast.For)):
        for line in loop.body:
            value = line.value if isinstance(line, ast.Assign) else None
            into = isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Subscript)
            if isinstance(line, ast.Expr) and isinstance(call := line.value, ast.Call) and isinstance(call.func, ast.Attribute):
                value, into = (call.args[0], True) if call.func.attr == "append" and len(call.args) == 1 else (None, False)
            while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and not value.args:
                value = value.func.value  # h.copy()
            if into and isinstance(value, ast.Name | ast.Attribute):
                text = function.segment(line)
                if line is not loop.body[-1]:
                    yield Edit(function, loop.body[-1], [(line, "pass")], 1.0, STORED, after=text)
                if line is not loop.body[0]:
                    first = loop.body[0]
                    before = f"{text}\n{' ' * first.col_offset}{function.segment(first)}"
                    yield Edit(function, line, [(line, "pass"), (first, before)], 1.0, STORED)


WRITTEN = {"wrong accumulator": 1.5, "a list off by one": 0.6}
"""What it costs to write a statement otherwise, where that is likelier or less likely than others."""
FIXED = 0.2
"""What it costs to read what is of one step alone, ``hs[T - 1]`` beside ``hs[t]``."""
LOST = 0.8
"""What it costs to read what has to be kept first."""
UNPACKED = 0.7
"""What it costs to exchange two names where they are unpacked."""


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
            same = alike[edit.function.function, edit.function.segment(node), text]
            if all(other.places[0][0] is not node for other in same):
                same.append(edit)
    for same in alike.values():
        if len(same) > 1:
            places = [place for edit in same for place in edit.places]
            yield Edit(
                same[0].function, same[0].statement, places, min(e.cost for e in same) + 0.5, hit=min(e.hit for e in same)
            )


def at_places(
    places: Sequence[Place],
    visits: Sequence[Visit],
    still: Sequence[Visit],
    known: Sequence[Phrase],
    truths: Truths,
    early: int = EARLY,
    whole: bool = False,
    late: Callable[[], bool] = lambda: False,
    anew: bool = False,
    remembered: dict[Any, AtHand] | None = None,
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
        late: whether to stop.
        anew: whether the statement may be written anew.
        remembered: what was at hand at the same visits where the statement was written otherwise; what is at hand goes there.
    """
    statement = places[0].statement
    alike = _of_one_shape(places[0].function, statement, visits)
    early = early if alike[:early] == list(visits[:early]) else 1
    visits, still = alike, _of_one_shape(places[0].function, statement, [*alike[:1], *still])[1:]
    remembered, looked_at = {} if remembered is None else remembered, tuple(map(id, [*visits, *still]))
    if looked_at not in remembered:
        remembered[looked_at] = AtHand(places[0].function, known, [*visits, *still], len(visits))
    at_hand = remembered[looked_at].written_in(places[0].function)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    named = [places[0].function.segment(target) for target in targets if target is not None]
    itself = tuple(f" {sign} {name}" for name in named for sign in "+-") or ("\n",)
    written = places[0].function.segment(statement)
    best: dict[tuple[ast.expr, Any], Edit] = {}
    fixed: set[str] = set()
    in_slopes = {node for place in places for node in _inside_slope(place, at_hand, truths)}
    for place in places:
        if late():
            break
        try:
            tried = list(At(place, at_hand, truths, early, whole).edits())
        except LostError:
            continue
        here = _around(place)
        for mark, edit in tried:
            edit = _as_named(edit, place, mark, truths)
            text = edit.places[0][1]
            itself_again = text.endswith(itself) and text not in written
            if itself_again or text in named or _is_rewritten(text) or _is_awkward(here, text):
                continue
            if any(other in text for other in at_hand.fixed) and not any(other in written for other in at_hand.fixed):
                edit = edit._replace(cost=edit.cost + FIXED)
                fixed.add(text)
            if any(other in text for other in at_hand.lost):
                edit = edit._replace(cost=edit.cost + LOST)
            if place.node in in_slopes:
                edit = edit._replace(cost=edit.cost + SLOPE)
            other = best.get((place.outlet, mark))
            if other is None or _order(other) > _order(edit):
                best[place.outlet, mark] = edit
    plain = {(outlet, mark[0]) for (outlet, mark), edit in best.items() if edit.places[0][1] not in fixed}
    yield from (e for (outlet, mark), e in best.items() if e.places[0][1] not in fixed or (outlet, mark[0]) not in plain)
    yield from _renamed(places, at_hand, truths, early, whole, late)
    if anew and not late():
        already = {_whole(edit, outlet) for (outlet, _), edit in best.items()}
        yield from (e for e in derived(places, at_hand, truths.chain, early) if _whole(e, e.places[0][0]) not in already)


def _as_named(edit: Edit, place: Place, mark: tuple[float, ...], truths: Truths) -> Edit:
    """The edit, likelier where a line gives the gradient then that its name says, and less so where it gives another."""
    statement = place.statement
    target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is place.outlet else None
    if edit.hit < 1 or not isinstance(target, ast.Name) or not truths.is_named(target.id):
        return edit
    return edit._replace(cost=edit.cost + (NAMED if truths.is_odd(target.id, mark[0]) else -NAMED))


def _inside_slope(place: Place, at_hand: AtHand, truths: Truths) -> Iterator[ast.AST]:
    """What stands inside of the derivative of an activation that is right: y in y * (1 - y)."""
    text = place.function.segment(place.node)
    if isinstance(place.node, ast.BinOp) and CURVE.match(_spaced(text)):
        code = compiled(text)
        value = None if code is None else evaluated(code, at_hand.space, at_hand.visits[0])
        if value is not None and truths.is_of_forward(value):
            yield from (node for node in ast.walk(place.node) if node is not place.node)


def _spaced(text: str) -> str:
    return ast.unparse(ast.parse(text.strip(), mode="eval"))


def _whole(edit: Edit, outlet: ast.AST) -> str:
    """An array as an edit has it, however it is written."""
    ((node, text),) = edit.places
    text = text if node is outlet else edit.function.segment(outlet, [(node, f"({text})")])
    return ast.unparse(ast.parse(text.strip(), mode="eval"))


def _of_one_shape(function: Written, statement: ast.stmt, visits: Sequence[Visit]) -> list[Visit]:
    """Those of the visits where a statement gives an array of the shape that it gives first: layers may be of several sizes."""
    value = getattr(statement, "value", None)
    code = compiled(function.segment(value)) if isinstance(value, ast.expr) and not _calls_users(function, value) else None
    if code is None:
        return list(visits)
    found = [evaluated(code, function.function.__globals__, visit) for visit in visits]
    first = found[0] if found else None
    if first is None or not first.any():
        return list(visits)
    return [visit for visit, array in zip(visits, found, strict=True) if array is not None and array.shape == first.shape]


def _calls_users(function: Written, node: ast.AST) -> bool:
    """Whether anything but NumPy's functions and methods is called in an expression."""
    called = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return not all(isinstance(f, ast.Attribute) and hasattr(np, f.attr) and f.attr not in CHANGING for f in called)


def _renamed(
    places: Sequence[Place], at_hand: AtHand, truths: Truths, early: int, whole: bool, late: Callable[[], bool]
) -> Iterator[Edit]:
    """Another name in the place of one that stands in an array more than once, where that gives a gradient."""
    alike: dict[tuple[ast.expr, str], list[Place]] = defaultdict(list)
    for place in places:
        if isinstance(place.node, ast.Name | ast.Attribute | ast.Subscript) and place.around is not None:
            alike[place.outlet, place.function.segment(place.node)].append(place)
    for (outlet, _), same in alike.items():
        if len(same) > 1 and not late():
            nodes = [place.node for place in same]
            around = compiled(same[0].function.segment(outlet, [(node, HOLE) for node in nodes]))
            try:
                tried = list(At(same[0]._replace(around=around), at_hand, truths, early, whole).renamed())
            except LostError:
                continue
            for edit in tried:
                yield edit._replace(places=[(node, edit.places[0][1]) for node in nodes])


def _order(edit: Edit) -> tuple[float, bool, bool, int]:
    """Of two that give the same, the likelier: a part of what stands there; db is seldom what others are computed from, though
    it equals dz."""
    node, text = edit.places[0]
    apart = len(edit.places) == 1 and text not in edit.function.segment(node)
    return edit.cost, names.is_gradient(text) and names.is_parameter(names.stem(text)), apart, longer(edit)


def longer(edit: Edit) -> int:
    """By how much the text grows."""
    return sum(len(text) - len(edit.function.segment(node)) for node, text in edit.places)


class _Around(NamedTuple):
    """What stands in a place now; the other sides of the differences that it is a side of; and whether it has an index.

    And whether it is in what something is moved by; and the text of the function, if it is in what that returns.
    """

    text: str
    beside: frozenset[str]
    indexed: bool
    moves: bool
    handed_out: str


def _around(place: Place) -> _Around:
    nodes = list(ast.walk(place.outlet))
    differences = [n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub)]
    beside = [n.right if n.left is place.node else n.left for n in differences if place.node in (n.left, n.right)]
    indexed = any(isinstance(node, ast.Subscript) and node.value is place.node for node in nodes)
    moves = isinstance(place.statement, ast.AugAssign) and isinstance(place.statement.op, ast.Sub)
    handed_out = place.function.text if isinstance(place.statement, ast.Return) else ""
    text = place.function.segment(place.node)
    return _Around(text, frozenset(map(place.function.segment, beside)), indexed, moves, handed_out)


def _is_awkward(here: _Around, text: str) -> bool:
    """Whether nobody would write so: an index of a formula, 1 − y added to something, a sum subtracted from it, or a − a."""
    if any(awkward in text.replace(" ", "") for awkward in ("+1-", "-(1-")):
        return True
    if text.startswith("-") and here.moves:
        return True  # b -= -lr * db
    if text.startswith("-") and f"{text[1:]} -= " in here.handed_out:
        return True  # it is subtracted where it is to be added up
    if text.startswith(f"{here.text} - (") or text in here.beside:
        return True
    return here.indexed and isinstance(parsed(text), ast.BinOp | ast.UnaryOp)


def _is_rewritten(text: str) -> bool:
    """Whether a sum is a product in disguise, a * b + a * b * c or a + a: nobody writes a derivative so."""
    node = parsed(text)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add | ast.Sub):
        return False
    return ast.dump(node.left) == ast.dump(node.right) or len(set(factors_of(node.left)) & set(factors_of(node.right))) > 1
