"""Random changes of the code: every place where a small slip could be, found in the syntax tree.

A change is one slip that somebody could make: another comparison, a sign, a condition the wrong way round, a statement
forgotten, a number off by one. Words (docstrings, messages, annotations) are no places.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FLOORS = ("minigrad", "models", "viz")

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class RandomChange:
    """One change: the bytes from ``start`` to ``end`` of the file become ``new``."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    old: str
    new: str

    @property
    def file(self) -> str:
        """The file and the line, for the report."""
        return f"{self.path}:{self.line}"

    @property
    def name(self) -> str:
        """What the change is, in one line."""
        return f"{self.kind}: {_short(self.old)} → {_short(self.new)}"

    def planted(self, source: str) -> str:
        """The source with the change in it."""
        data = source.encode()
        assert data[self.start : self.end].decode() == self.old, f"{self.file} has changed"
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 50 else f"{line[:47]}..."


def changes(path: str, source: str) -> list[RandomChange]:
    """Every change of one file, in the order of the tree."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    data, found = source.encode(), []
    for node in _places(ast.parse(source)):
        for kind, changed in _slips(node):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
            new = ast.unparse(ast.fix_missing_locations(changed))
            new = f"({new})" if isinstance(changed, ast.expr) and not isinstance(changed, ast.Constant) else new
            found.append(RandomChange(path, node.lineno, kind, start, end, data[start:end].decode(), new))
    return found


def _places(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The expressions and statements that are code: no words, no types, nothing that is only declared."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            continue
        if isinstance(node, ast.expr | ast.stmt):
            yield node
        if isinstance(node, ast.Raise):
            continue
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases", "ctx"):
                continue
            stack.extend(child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST))


def _slips(node: ast.expr | ast.stmt) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    """The slips that can be made at one place, each as a node to put there."""
    match node:
        case ast.Compare(left, [op], comparators) if type(op) in COMPARISONS:
            yield "another comparison", ast.Compare(left, [COMPARISONS[type(op)]()], comparators)
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            yield "another operator", ast.BinOp(left, ARITHMETIC[type(op)](), right)
        case ast.BoolOp(op, values):
            yield "and for or", ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield "a sign is lost", operand
        case ast.Constant(bool() as value):
            yield "true for false", ast.Constant(not value)
        case ast.Constant(int() as value):
            yield "off by one", ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield "another number", ast.Constant(value * 2 or 1.0)
        case ast.IfExp(test, body, orelse):
            yield "the other way round", ast.IfExp(test, orelse, body)
        case ast.Subscript(value, ast.Slice(lower, upper, step), context) if lower or upper:
            uncut = ast.Slice(None, upper if lower else None, step)
            yield "a part is not cut", ast.Subscript(value, uncut, context)
        case ast.Call(function, [first, second, *rest], keywords) if not isinstance(first, ast.Starred):
            if _called(function) not in ("isinstance", "issubclass", "hasattr", "getattr", "setattr", "cast"):
                yield "two arguments change places", ast.Call(function, [second, first, *rest], keywords)
    match node:
        case ast.Call(function, arguments, [*_, ast.keyword(str())] as keywords):
            yield "an option is forgotten", ast.Call(function, arguments, keywords[:-1])
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Raise(ast.AST()) | ast.Delete():
            yield "a statement is forgotten", ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield "a statement is forgotten", ast.Pass()
        case ast.Return(ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "nothing is returned", ast.Return(ast.Constant(None))
        case ast.Break():
            yield "continue for break", ast.Continue()
        case ast.Continue():
            yield "break for continue", ast.Break()


def _called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""


def all_changes(root: Path = ROOT) -> list[RandomChange]:
    """Every change there is, of all three floors."""
    paths = sorted(path for floor in FLOORS for path in (root / floor).rglob("*.py"))
    return [change for path in paths for change in changes(str(path.relative_to(root)), path.read_text(encoding="utf-8"))]


def sample(number: int, seed: int, root: Path = ROOT) -> list[RandomChange]:
    """So many of them; the same seed takes the same. What is no Python, such as a ``continue`` in no loop, is passed over."""
    shuffled = all_changes(root)
    random.Random(seed).shuffle(shuffled)
    return list(islice((change for change in shuffled if _compiles(change, root)), number))


def _compiles(change: RandomChange, root: Path) -> bool:
    try:
        compile(change.planted((root / change.path).read_text(encoding="utf-8")), change.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
