"""What the variables of the user's functions are before each of their statements, while his backward pass runs."""

from __future__ import annotations

import ast
import copy
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.written import Written, running_as

__all__ = ["EARLY", "Visit", "watched"]

Visit: TypeAlias = dict[str, Any]
"""The variables before a statement, with copies of the arrays among them."""
LOOK = "__located__"
EARLY = 2


def watched(functions: Sequence[Written], run: Callable[[], Any]) -> dict[ast.stmt, list[Visit]]:
    """The first visits of every statement and the last, while ``run`` runs."""
    places = [(function, statement) for function in functions for statement, _ in all_statements(function.tree)]
    found: dict[ast.stmt, list[Visit]] = defaultdict(list)

    def look(number: int) -> None:
        variables = sys._getframe(1).f_locals
        visits = found[places[number][1]]
        if len(visits) > EARLY:
            visits.pop()
        visits.append({name: np.array(v) if isinstance(v, np.ndarray) else v for name, v in variables.items()})

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
                looked += [ast.copy_location(call, statement), inner]
            setattr(other, name, looked)
    return other
