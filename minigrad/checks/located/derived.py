"""A line written anew: what the derivation has for it, in the user's own words.

Several mistakes in one line are no small change of it. But the gradient that belongs there is known, and so is the formula for
it; what stands in the formula has names in his function, which are found by their values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.frontier import written_to
from minigrad.checks.located.places import Place
from minigrad.checks.located.pool import AtHand
from minigrad.checks.located.wording import COST, Wording
from minigrad.checks.located.written import Written

__all__ = ["derived", "handed_back"]

AS_NAMED = 0.2
"""How much less if the line is then the gradient of what its name says."""
def derived(places: Sequence[Place], at_hand: AtHand, chain: Any, early: int) -> Iterator[Edit]:
    """What could stand for the whole of each array in a statement: the gradient of something, as the derivation has it.

    At so many ``early`` visits what it is computed from is right; later on, what comes of the mistake may be wrong.
    """
    outlets = [place for place in places if place.node is place.outlet and not isinstance(place.node, ast.Constant)]
    if not outlets:
        return
    statement = outlets[0].statement
    writing = Wording(at_hand, chain, early)
    yield from writing.nothing(statement, outlets)
    if at_hand.changing > 1 and _is_under_a_condition(at_hand.function, statement):
        writing.times[-1] = min(2, chain.steps)  # not at the first step, it may be
    for place in outlets:
        shape = writing.shape(place)
        if place.node is getattr(statement, "value", None) and isinstance(statement, ast.AugAssign):
            shape = writing.shape(place._replace(node=statement.target)) or shape
        for text, of in writing.gradients(shape, isinstance(statement, ast.AugAssign)) if shape else ():
            if text != at_hand.function.segment(place.node):
                cost = COST - AS_NAMED * (names.stem(written_to(at_hand.function, statement)) in of)
                yield Edit(at_hand.function, statement, [(place.node, text)], cost, hit=1.0, anew=True)


def _is_under_a_condition(function: Written, statement: ast.stmt) -> bool:
    """Whether a statement is done at some of the steps only."""
    return any(isinstance(node, ast.If) and statement in node.body for node in ast.walk(function.tree))


def handed_back(function: Written, loop: ast.For, at_hand: AtHand, chain: Any) -> Iterator[Edit]:
    """What may be missing at the end of a loop: the line by which a state's gradient goes on to the step before."""
    writing = Wording(at_hand, chain, 1)
    for name in _goes_round(loop):
        value = at_hand.visits[0].get(name)
        if isinstance(value, np.ndarray) and value.size > 1 and names.says_gradient(name):
            for text in writing.back(value.shape):
                yield Edit(function, loop.body[-1], (), COST, hit=1.0, after=f"{name} = {text}", anew=True)


def _goes_round(loop: ast.For) -> list[str]:
    """The names that a loop reads, and gives no value but one that is made of theirs: ``dh = dhs[t] + dh``."""
    read: dict[str, None] = {}
    made: set[str] = set()
    for statement in (inner for outer in loop.body for inner in ast.walk(outer) if isinstance(inner, ast.stmt)):
        names_in = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        loaded = {node.id for node in names_in if isinstance(node.ctx, ast.Load)}
        read |= dict.fromkeys(loaded)
        stored = {node.id for node in names_in if isinstance(node.ctx, ast.Store)}
        made |= stored - loaded if isinstance(statement, ast.Assign) else stored
    return [name for name in read if name not in made]
