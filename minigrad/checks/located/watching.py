"""What the variables of the user's functions are before each of their statements, while his backward pass runs."""

from __future__ import annotations

import ast
import copy
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.checks.located.statements import all_statements, back_from_each_step
from minigrad.checks.located.written import Written, placed, running_as

__all__ = ["EARLY", "HELD", "Visit", "watched"]

HELD: dict[str, list[Any]] = {}
"""Lists of the search's own that lines may read under these names."""

Visit: TypeAlias = dict[str, Any]
"""The variables before a statement, with copies of the arrays among them and in what they hold: his code may write to those."""
LOOK = "__located__"
EARLY = 2
LONG = 3
"""The same in loops that go back from each step in turn: there the first visits may all be of the first steps."""
MANY = 1000
"""Collections with more entries hold no steps."""


def watched(
    functions: Sequence[Written],
    run: Callable[[], Any],
    moving: bool = False,
    last: bool = True,
    globals_read: Collection[str] = (),
) -> dict[ast.stmt, list[Visit]]:
    """The first visits of every statement and, unless it is told not to, the ``last``, while ``run`` runs.

    Among them are arrays and collections that its global names stand for there, and the objects of those ``globals_read``;
    arrays are copied where the weights are ``moving``.
    """
    places = [(function, statement) for function in functions for statement, _ in all_statements(function.tree)]
    found: dict[ast.stmt, list[Visit]] = defaultdict(list)
    longer = {statement for function in functions for statement in back_from_each_step(function)}
    limits = [LONG if statement in longer else EARLY for _, statement in places]

    def look(number: int) -> None:
        visits = found[places[number][1]]
        if len(visits) >= limits[number] and not last:
            return
        variables = sys._getframe(1).f_locals
        if len(visits) > limits[number]:
            visits.pop()
        space, code = places[number][0].function.__globals__, places[number][0].function.__code__
        given = {name: space[name] for name in code.co_names if _is_data(space.get(name), name in globals_read)}
        arrays = {} if moving else {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
        seen: dict[int, Any] = {}
        visits.append({name: _kept(value, seen) for name, value in {**given, **variables}.items()} | arrays)
        visits[-1] |= {name: list(values) for name, values in HELD.items()}

    numbers = {statement: number for number, (_, statement) in enumerate(places)}
    codes = {function.function: function.compiled(_looking(function.tree, numbers)) for function in functions}
    spaces = [function.function.__globals__ for function in functions]
    try:
        for space in spaces:
            space[LOOK] = look
        with running_as(codes):
            run()
    finally:
        for space in spaces:
            space.pop(LOOK, None)
    return dict(found)


def _is_data(value: Any, read: bool) -> bool:
    """Whether a global name stands for an array, a collection that is no text, or an object that was found to hold arrays."""
    collection = isinstance(value, dict | list | tuple) and len(value) <= MANY
    return isinstance(value, np.ndarray) or collection or (read and _is_users(value))


def _kept(value: Any, seen: dict[int, Any]) -> Any:
    """A copy of an array, and of what holds arrays: a list, a dict, an object of the user's. What is met again is the same."""
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, np.ndarray):
        seen[id(value)] = np.array(value)
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        seen[id(value)] = value  # while it is looked through: it may hold itself
        seen[id(value)] = type(value)(_kept(part, seen) for part in value)
    elif isinstance(value, dict):
        seen[id(value)] = other = copy.copy(value)
        other.update({key: _kept(part, seen) for key, part in value.items()})
    elif _is_users(value):
        seen[id(value)] = other = object.__new__(type(value))
        other.__dict__.update({name: _kept(part, seen) for name, part in vars(value).items()})
    else:
        return value
    return seen[id(value)]


def _is_users(value: Any) -> bool:
    """Whether it is an object of a class of the user's, with attributes, that can be made anew."""
    made: Any = type(value).__new__
    mine = type(value).__module__.partition(".")[0] not in ("numpy", "minigrad", "builtins")
    return mine and made is object.__new__ and hasattr(value, "__dict__")


def _looking(tree: Any, numbers: dict[ast.stmt, int]) -> Any:
    """The tree with a look at the variables before every statement."""
    other = copy.copy(tree)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(tree, name, None)
        if isinstance(block, list) and not isinstance(tree, ast.Lambda):
            looked: list[ast.stmt] = []
            for statement in block:
                call = ast.Expr(ast.Call(ast.Name(LOOK, ast.Load()), [ast.Constant(numbers[statement])], []))
                inner = statement if isinstance(statement, ast.FunctionDef | ast.ClassDef) else _looking(statement, numbers)
                looked += [placed(call, statement), inner]
            setattr(other, name, looked)
    return other
