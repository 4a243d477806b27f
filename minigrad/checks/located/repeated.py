"""One correction made in several lines: what is wrong in one of them stands in others too, word for word."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from minigrad.checks.located.edit import Edit, bracketed
from minigrad.checks.located.phrases import expressions
from minigrad.checks.located.statements import all_statements

__all__ = ["repeated"]

COST = 0.1
"""What it costs more than the correction in one line."""
FEW = 2
"""So many ways are tried to say what is the same: the thing alone, and what stands around it."""


def repeated(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Corrections of an expression, made wherever it stands in the function, or wherever more around it does."""
    for edit in edits:
        node, text = edit.places[0] if len(edit.places) == 1 else (edit.statement, "")
        more = isinstance(node, ast.Name) and text.startswith(f"{node.id} ")  # then it is to be corrected where it is made
        if isinstance(node, ast.expr) and not edit.after and not more:
            yield from _repeated(edit)


def _repeated(edit: Edit) -> Iterator[Edit]:
    ((node, text),) = edit.places
    function, count = edit.function, 0
    lines = [statement for statement, _ in all_statements(function.tree) if not hasattr(statement, "body")]
    everything = [(statement, part, function.segment(part)) for statement in lines for part in expressions(statement)]
    for around in _around(edit.statement, node):
        old, new = function.segment(around), function.segment(around, bracketed(function, [(node, text)]))
        same = [(statement, part) for statement, part, written in everything if written == old]
        if len({statement for statement, _ in same}) > 1:
            yield edit._replace(places=[(part, new) for _, part in same], cost=edit.cost + COST)
            count += 1
        if count == FEW:
            break


def _around(statement: ast.stmt, node: ast.AST) -> Iterator[ast.AST]:
    """The node, and the expressions that it stands in, the innermost first."""
    inside = [part for part in expressions(statement) if any(inner is node for inner in ast.walk(part))]
    yield from reversed(inside)
