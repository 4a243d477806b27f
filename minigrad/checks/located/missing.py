"""What may be missing in a loop over steps: lines at its end, and what the first step reads in the place of one before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigrad.checks.located.edit import Edit
from minigrad.checks.located.phrases import expressions, held
from minigrad.checks.located.pool import AtHand
from minigrad.checks.located.rewriting import step_before
from minigrad.checks.located.state import State
from minigrad.checks.located.truths import marks_of
from minigrad.checks.located.watching import Visit
from minigrad.checks.located.written import Written
from minigrad.guard import Array

if TYPE_CHECKING:
    from minigrad.checks.located.search import Search

__all__ = ["at_the_first_step", "missing_lines"]

NAME = re.compile(r"^[\w.]+(\[\"\w+\"\])?$")
COST = 1.4
FEW = 10
"""So many values are tried for one name."""


def missing_lines(search: Search, state: State, seen: Mapping[ast.stmt, Sequence[Visit]]) -> list[Edit]:
    """Lines behind the last of a loop that give a known part of a gradient to what the loop does not write to.

    What is at hand there is what the variables are when the loop begins anew, but for those that it counts with.
    """
    found: list[Edit] = []
    for function in state.functions.values():
        for loop in function.nodes:
            visits = seen.get(loop.body[0], ()) if isinstance(loop, ast.For) else ()
            if isinstance(loop, ast.For) and len(visits) > 1 and not search.late():
                counted = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
                counting = {name: value for name, value in visits[0].items() if name in counted}
                found += _missing_in(search, state, function, loop, {**visits[1], **counting})
    return found


def at_the_first_step(search: Search, state: State, seen: Mapping[ast.stmt, Sequence[Visit]]) -> list[Edit]:
    """What is read of the step before, where the index −1 wraps round: ``h[t - 1] if t > 0 else h0``, or zeros."""
    found: list[Edit] = []
    for function in state.functions.values():
        for statement, visits in seen.items():
            if search.late() or hasattr(statement, "body") or not any(node is statement for node in function.nodes):
                continue
            for node in expressions(statement):
                if isinstance(node, ast.Subscript) and (counter := _counter(function, node)) is not None:
                    found += _read_otherwise(search, state, function, statement, node, counter, visits)
    return found


def _counter(function: Written, node: ast.Subscript) -> str | None:
    indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return next((name for index in indices if (name := step_before(function, index)) is not None), None)


def _read_otherwise(
    search: Search,
    state: State,
    function: Written,
    statement: ast.stmt,
    node: ast.Subscript,
    counter: str,
    visits: Sequence[Visit],
) -> Iterator[Edit]:
    at_hand = AtHand(function, search.phrases(function, state, visits[0]), visits, len(visits))
    text = function.segment(node)
    now = at_hand.values.get(text)
    others = [f"0 * {text}"]
    for name, (rank, values) in at_hand.values.items() if now is not None else ():
        if now is not None and rank == 0 and values[0].shape == now[1][0].shape and NAME.match(name):
            others += [name] if all(np.array_equal(value, values[0]) for value in values) else []
    for other in others:
        new = f"{text} if {counter} > 0 else {other}"
        yield Edit(function, statement, [(node, new)], 1.1, "index −1 wraps round")


def _missing_in(search: Search, state: State, function: Written, loop: ast.For, visit: Visit) -> Iterator[Edit]:
    inside = [node for part in loop.body for node in ast.walk(part)]
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    stored |= {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    simple = [part for part in loop.body if isinstance(part, ast.Assign | ast.AugAssign | ast.Expr)]
    if not simple:
        return
    at_hand: AtHand | None = None
    for target, value, sign in _targets(search, function, loop, inside, visit):
        if at_hand is None:  # what only the missing line reads, self.W, is a name like others there
            counted = {n.id: visit[n.id] for n in ast.walk(loop.target) if isinstance(n, ast.Name) and n.id in visit}
            known = [*search.phrases(function, state, visit), *held(function, counted)]
            at_hand = AtHand(function, [p._replace(rank=0) if NAME.match(p.text) else p for p in known], [visit], 1)
        here = {values[0].shape for name, (_, values) in at_hand.values.items() if name in stored}
        shapes = [value.shape] if value.size > 1 else sorted(here)
        for shape in shapes:
            if np.prod(shape) < 2:
                continue
            pool = at_hand.pool(shape)
            marks = marks_of(pool.stacks[0], len(shape))
            true = search.truths.known(marks, int(np.prod(shape)))
            texts: dict[str, str] = {}  # one for each value, the simplest
            for k in sorted(np.flatnonzero(true), key=lambda k: pool.costs[k]):
                text = pool.text(int(k))
                if text != target and _names_in(text) & stored:
                    texts.setdefault(f"{marks[k]:.9e}", text)
            some = list(texts.values())[:FEW]
            yield from (Edit(function, simple[-1], (), COST, hit=1.0, after=f"{target} {sign} {text}") for text in some)


def _targets(
    search: Search, function: Written, loop: ast.For, inside: Sequence[ast.AST], visit: Visit
) -> Iterator[tuple[str, Array, str]]:
    """What is there before a loop and not written to in it, with its value: what is read is set, what is not is added to."""
    texts = {function.segment(n): n for n in inside if isinstance(n, ast.Name | ast.Attribute)}
    stored = {text for text, node in texts.items() if isinstance(node.ctx, ast.Store)}
    stored |= {function.segment(n.value) for n in inside if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)}
    bounds = {n.id for part in (loop.iter, loop.target) for n in ast.walk(part) if isinstance(n, ast.Name)}
    before = [n for n in function.nodes if isinstance(n, ast.Name | ast.Attribute) and n.lineno < loop.lineno]
    names = [function.segment(n) for n in before if isinstance(n.ctx, ast.Store)]
    gradients = set(search.trials[-1].answer.called.values())
    for called in sorted(gradients):  # self.db, which another function makes
        names += [f"{arg.arg}.{called}" for arg in function.tree.args.args if hasattr(visit.get(arg.arg), called)]
    for name in dict.fromkeys(names):
        owner, _, part = name.partition(".")
        value = getattr(visit.get(owner), part, None) if part else visit.get(owner)
        plain = isinstance(value, int | float) and not isinstance(value, bool) and value == 0
        array = np.asarray(value, float) if plain else value
        if name in stored or name in bounds or "." in part or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            continue
        if not array.any():  # nothing was ever put there
            yield name, array, "=" if name in texts and (part or name) not in gradients else "+="
    entries = [n for n in inside if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
    filled = {(function.segment(n.value), n.slice.value) for n in entries if isinstance(n.slice, ast.Constant)}
    for owner in dict.fromkeys(name for name, _ in filled):  # g["W"] beside g["b"], which is added to
        held = visit.get(owner)
        for key, value in held.items() if isinstance(held, dict) else ():
            if key in gradients and (owner, key) not in filled and isinstance(value, np.ndarray) and not value.any():
                quote = '"' if f'{owner}["' in function.text else "'"
                yield f"{owner}[{quote}{key}{quote}]", value, "+="


def _names_in(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
