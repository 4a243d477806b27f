"""Where a value that is wrong is made: the line to correct, not a later one that reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minigrad.checks.located.edit import Edit
from minigrad.checks.located.state import State
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.written import running_as
from minigrad.checks.trial import Trial

if TYPE_CHECKING:
    from minigrad.checks.located.search import Search

__all__ = ["where_made"]


def where_made(search: Search, state: State, edit: Edit, trial: Trial) -> Edit:
    """The correction; of one that puts something in the place of a name, that of the line which made it, if it is as good."""
    node, text = edit.places[0] if len(edit.places) == 1 else (edit.statement, "")
    if not isinstance(node, ast.Name):
        return edit
    made: tuple[ast.stmt, ast.expr] | None = None
    for statement, _ in all_statements(edit.function.tree):
        if statement is edit.statement:
            break
        made = next(((statement, value) for name, value in _stored(statement) if name == node.id), made)
    if made is None or any(isinstance(part, ast.Name) and part.id == node.id for part in ast.walk(made[1])):
        return edit
    value = edit.function.segment(made[1])
    if text.startswith(f"{node.id} + ") and not isinstance(made[1], ast.IfExp | ast.Lambda):  # dh, where dh + dh_next should be
        text = value + text.removeprefix(node.id)
    elif text.startswith(f"{node.id} * "):  # dz = dh, which nothing is done to
        if not isinstance(made[1], ast.Name) or node is getattr(edit.statement, "value", None):
            return edit
        text = value + text.removeprefix(node.id)
    other = edit._replace(statement=made[0], places=((made[1], text),))
    rights = []
    for one in (edit, other):
        with running_as(state.with_edit(one).codes()):
            rights.append(search.right_of(trial))
    return other if rights[0] == rights[1] else edit


def _stored(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """The names that a line gives values to, one by one, and what these are."""
    if not isinstance(statement, ast.Assign):
        return
    for target in statement.targets:
        pairs = [(target, statement.value)]
        if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            pairs = list(zip(target.elts, statement.value.elts, strict=False))
        yield from [(where.id, value) for where, value in pairs if isinstance(where, ast.Name)]
