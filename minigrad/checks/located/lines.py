"""Corrections as lines: what is written, and what it should be, statement by statement."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.written import Written

__all__ = ["BEHIND", "BEHIND_IF", "Line", "corrected_by", "lines_between", "shown"]

BEHIND = "  # behind the loop"
"""What is said of a line that stands in a loop and belongs behind it."""


BEHIND_IF = "  # behind the condition"
"""The same of one that is done at some steps only."""
LONELY = re.compile(r"(?<![\w\])])\((\w+)\)")


class Line(NamedTuple):
    """A line of the user's, and what it should be.

    Attributes:
        function: where it stands.
        statement: which statement it is; for a line that is missing the one that it belongs behind.
        old, new: as it is written and as it should be; "" where there is nothing.
        number: of the line in the file.
        node, text: what is to be replaced by what.
        trees: the statement as it is and as it should be, None where there is nothing.
    """

    function: Written
    statement: ast.stmt
    old: str
    new: str
    number: int
    node: ast.AST
    text: str
    trees: tuple[ast.AST | None, ast.AST | None]


def lines_between(before: Written, after: Written) -> list[Line] | None:
    """The lines in which a function differs from what it was; None if they cannot be told apart."""
    old, new = ([statement for statement, _ in all_statements(function.tree)] for function in (before, after))
    texts = [[shown(function, statement) for statement in found] for function, found in ((before, old), (after, new))]
    found: list[Line] = []
    for how, i, i_end, j, j_end in difflib.SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_opcodes():
        if how == "equal":
            pairs = zip(old[i:i_end], new[j:j_end], strict=True)
            found += [_behind_its_loop(before, *pair, after) for pair in pairs if _is_moved_out(*pair)]
            continue
        if how == "insert" and i:
            for other in (added for added in new[j:j_end] if not isinstance(added, ast.Pass)):
                here, text = old[i - 1], shown(after, other)
                behind = f"{before.segment(here)}\n{' ' * here.col_offset}{text}"
                found.append(Line(before, here, "", text, before.line(here), here, behind, (None, other)))
            continue
        others = new[j:j_end]
        if i_end - i < len(others):  # a line beside is moved away
            others = [other for other in others if not isinstance(other, ast.Pass)]
        if how != "replace" or i_end - i != len(others):
            return None
        for one, other in zip(old[i:i_end], others, strict=True):
            node, text = _changed(one, other, after)
            if node is None:
                return None
            corrected = _bare("; ".join(shown(after, statement) for statement in _done_by(other)))
            found.append(Line(before, one, shown(before, one), corrected, before.line(one), node, text, (one, other)))
    return found


def _done_by(statement: ast.stmt) -> Sequence[ast.stmt]:
    """The statement; none if nothing is done, and what stands under a condition that is none."""
    if isinstance(statement, ast.If) and isinstance(statement.test, ast.Constant):
        return statement.body if statement.test.value else []
    return [] if isinstance(statement, ast.Pass) else [statement]


def _is_moved_out(one: ast.stmt, other: ast.stmt) -> bool:
    """Whether a line is the same, but stands behind the loop or the condition that it was the last of."""
    return isinstance(one, ast.Return | ast.AugAssign) and one.col_offset > other.col_offset


def _behind_its_loop(before: Written, one: ast.stmt, other: ast.stmt, after: Written) -> Line:
    text = f"pass\n{' ' * other.col_offset}{after.segment(other)}"
    old = shown(before, one)
    new = old + (BEHIND if isinstance(one, ast.Return) else BEHIND_IF)
    return Line(before, one, old, new, before.line(one), one, text, (one, other))


def corrected_by(lines: Sequence[Line]) -> dict[Written, Written]:
    """The functions with these lines corrected."""
    texts: dict[Written, dict[ast.AST, str]] = {}
    for line in sorted(lines, key=lambda line: not line.old):  # what is put behind a line comes after what stands in its place
        here, whole = texts.setdefault(line.function, {}), line.function.segment(line.node)
        here[line.node] = line.text if line.old else here.get(line.node, whole) + line.text.removeprefix(whole)
    return {function: function.replaced([*places.items()]) for function, places in texts.items()}


def _changed(one: ast.stmt, other: ast.stmt, after: Written) -> tuple[ast.AST | None, str]:
    """What of a statement is to be replaced, and by what: of a loop or a condition its head."""
    if isinstance(one, ast.For) and isinstance(other, ast.For):
        return one.iter, after.segment(other.iter)
    if isinstance(one, ast.If | ast.While) and isinstance(other, ast.If | ast.While):
        return one.test, after.segment(other.test)
    if hasattr(one, "body") or hasattr(other, "body"):
        return None, ""
    return one, _bare(after.segment(other))


def _bare(text: str) -> str:
    """The text without brackets around a single name."""
    bare = LONELY.sub(r"\1", text)
    try:
        same = ast.dump(ast.parse(bare)) == ast.dump(ast.parse(text))
    except SyntaxError:
        return text
    return bare if same else text


def shown(function: Written, statement: ast.stmt) -> str:
    """A statement on one line; of a loop or a condition its head."""
    text = function.segment(statement)
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        inner = function.segment(body[0])
        text = text[: text.index(inner)] if inner in text else text
    return " ".join(line.split("  #")[0].strip() for line in text.splitlines() if line.strip()).strip()
