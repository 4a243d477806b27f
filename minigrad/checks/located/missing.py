"""Lines that may be missing at the end of a loop over steps: what is handed to the step before, what is added up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.checks.located.edit import Edit
from minigrad.checks.located.pool import AtHand
from minigrad.checks.located.state import State
from minigrad.checks.located.truths import marks_of
from minigrad.checks.located.watching import Visit
from minigrad.checks.located.written import Written
from minigrad.guard import Array

if TYPE_CHECKING:
    from minigrad.checks.located.search import Search

__all__ = ["missing_lines"]

NAME = re.compile(r"^[\w.]+(\[\"\w+\"\])?$")
COST = 1.4
FEW = 10
"""So many values are tried for one name."""


def missing_lines(search: Search, state: State, seen: Mapping[ast.stmt, Sequence[Visit]]) -> list[Edit]:
    """Lines behind the last of a loop that give a known part of a gradient to what the loop does not write to.

    What is at hand there is what the variables are when the loop begins anew.
    """
    found: list[Edit] = []
    for function in state.functions.values():
        for loop in ast.walk(function.tree):
            visits = seen.get(loop.body[0], ()) if isinstance(loop, ast.For) else ()
            if isinstance(loop, ast.For) and len(visits) > 1 and not search.late():
                found += _missing_in(search, state, function, loop, visits[1])
    return found


def _missing_in(search: Search, state: State, function: Written, loop: ast.For, visit: Visit) -> Iterator[Edit]:
    inside = [node for part in loop.body for node in ast.walk(part)]
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    simple = [part for part in loop.body if isinstance(part, ast.Assign | ast.AugAssign | ast.Expr)]
    if not simple:
        return
    at_hand: AtHand | None = None
    for target, value, sign in _targets(search, function, loop, inside, visit):
        if at_hand is None:  # what only the missing line reads, self.W, is a name like others there
            known = search.phrases(function, state, visit)
            at_hand = AtHand(function, [p._replace(rank=0) if NAME.match(p.text) else p for p in known], [visit], 1)
        shapes = [value.shape] if value.size > 1 else sorted({v[0].shape for name, (_, v) in at_hand.values.items() if name in stored})
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
    before = [n for n in ast.walk(function.tree) if isinstance(n, ast.Name | ast.Attribute) and n.lineno < loop.lineno]
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


def _names_in(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
