"""Many corrections in one program, of which one at a time is switched on: so that each can be tried in a run of its own.

A node that corrections concern becomes ``first if which < 7 else second``, again and again, down to one of them, or to what
stood there (Untch and others: mutation analysis using mutant schemata, 1993).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from minigrad.checks.located.edit import Edit
from minigrad.checks.located.written import Written, placed, running_as

__all__ = ["switchable"]

WHICH = "__which__"


@contextmanager
def switchable(functions: Sequence[Written], edits: Sequence[Edit]) -> Iterator[Callable[[int], None]]:
    """While it lasts, the functions run with one of the edits, by its number, which is what it gives a function to set."""
    codes = {}
    for function in functions:
        here = {number: edit for number, edit in enumerate(edits) if edit.function is function}
        codes[function.function] = function.compiled(_Switched(here).visit(copy_with_nodes(function.tree)))
    spaces = [function.function.__globals__ for function in functions]

    def switch(number: int) -> None:
        for space in spaces:
            space[WHICH] = number

    try:
        switch(-1)
        with running_as(codes):
            yield switch
    finally:
        for space in spaces:
            space.pop(WHICH, None)


def copy_with_nodes(tree: Any) -> Any:
    """A copy of a tree whose nodes know which they are copies of."""
    kind: Any = type(tree)
    other = kind.__new__(kind)
    for name, value in vars(tree).items():
        if isinstance(value, list):
            value = [copy_with_nodes(part) if isinstance(part, ast.AST) else part for part in value]
        vars(other)[name] = copy_with_nodes(value) if isinstance(value, ast.AST) else value
    other._original = tree
    return other


class _Switched(ast.NodeTransformer):
    """Switches in the place of all nodes that edits concern."""

    def __init__(self, edits: dict[int, Edit]) -> None:
        self.others: dict[ast.AST, list[tuple[int, Any]]] = defaultdict(list)
        for number, edit in edits.items():
            if edit.after:
                self.others[edit.statement].append((number, [edit.statement, *ast.parse(edit.after).body]))
            for node, text in edit.places:
                isolated = ast.parse(text, mode="eval").body if isinstance(node, ast.expr) else ast.parse(text).body
                self.others[node].append((number, isolated))

    @override
    def visit(self, node: ast.AST) -> Any:
        new: Any = self.generic_visit(node)
        others = self.others.get(getattr(node, "_original", node))
        if not others:
            return new
        original = getattr(node, "_original", node)
        if isinstance(node, ast.stmt):  # what a line is put behind may be written otherwise itself
            others = [(number, [new if part is original else part for part in parts]) for number, parts in others]
        if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return new  # what is written to is changed in a statement of its own
        chosen = _chosen(others, node)
        among = placed(ast.Compare(ast.Name(WHICH, ast.Load()), [ast.In()], [_set([number for number, _ in others])]), node)
        if isinstance(node, ast.stmt):
            return ast.copy_location(ast.If(among, chosen, [new]), node)
        return ast.copy_location(ast.IfExp(among, chosen, new), node)


def _set(numbers: list[int]) -> ast.expr:
    """Membership in a set of constants, which Python makes once."""
    return ast.Set([ast.Constant(number) for number in numbers])


def _chosen(others: list[tuple[int, Any]], node: ast.AST) -> Any:
    if len(others) == 1:
        return others[0][1]
    half = len(others) // 2
    test = placed(ast.Compare(ast.Name(WHICH, ast.Load()), [ast.Lt()], [ast.Constant(others[half][0])]), node)
    first, second = _chosen(others[:half], node), _chosen(others[half:], node)
    if isinstance(node, ast.stmt):
        return [ast.copy_location(ast.If(test, first, second), node)]
    return ast.copy_location(ast.IfExp(test, first, second), node)
