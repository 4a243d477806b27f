"""Where something could be written otherwise: the expressions of a statement that stand in an array."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from types import CodeType
from typing import NamedTuple

from minigrad.checks.located.phrases import HOLE, compiled, evaluated
from minigrad.checks.located.watching import Visit
from minigrad.checks.located.written import Written

__all__ = ["Place", "places_of"]

ENTRYWISE = (ast.Add, ast.Sub, ast.Mult, ast.Div)


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
