"""What could be written in a line that raises an error, so that it runs: the name that is meant, the shape that fits."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from minigrad.checks.adapter import Adapter
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.lines import shown
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.written import Written, written
from minigrad.checks.tracing import reachable

__all__ = ["Raising", "corrections", "raising"]

MOST = 40
"""So many corrections are tried, the likeliest first."""
PRODUCTS = ("dot", "matmul", "outer", "multiply")


class Raising(NamedTuple):
    """A line of the user's that raises an error: its function, the statement, the error, the variables there."""

    function: Written
    statement: ast.stmt
    error: BaseException
    variables: dict[str, Any]

    @property
    def where(self) -> str:
        """The line as it is written."""
        return f"line {self.function.line(self.statement)}, {shown(self.function, self.statement)}"


def raising(adapter: Adapter, error: BaseException | None) -> Raising | None:
    """The innermost line of the user's that raised an error; None if it is not in his source."""
    functions = {function.__code__: function for function in reachable(adapter.users())}
    trace: TracebackType | None = error.__traceback__ if error is not None else None
    found: tuple[FrameType, int] | None = None
    while trace is not None:
        if trace.tb_frame.f_code in functions:
            found = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    function = None if found is None else written(functions[found[0].f_code])
    if error is None or found is None or function is None:
        return None
    frame, number = found
    for statement, _ in all_statements(function.tree):
        last = (statement.end_lineno or statement.lineno) + function.first - 1
        if not hasattr(statement, "body") and function.line(statement) <= number <= last:
            return Raising(function, statement, error, dict(frame.f_locals))
    return None


def corrections(line: Raising) -> list[Edit]:
    """What may be tried, the likeliest first."""
    found = _named(line) if isinstance(line.error, NameError | AttributeError | KeyError) else _shaped(line)
    edits = [Edit(line.function, line.statement, [(node, text)], 1.0) for node, text in found]
    different = {line.function.segment(line.statement, edit.places): edit for edit in reversed(edits)}
    return [*reversed(different.values())][:MOST]


def _named(line: Raising) -> Iterator[tuple[ast.AST, str]]:
    """Other names for one that there is not: what an object or a dict holds under it, or what is called nearly so."""
    function, wanted = line.function, _wanted(line.error)
    stored = {node.id for node in ast.walk(function.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    known = [name for name in line.variables if name in stored or name in {arg.arg for arg in function.tree.args.args}]
    for node in ast.walk(line.statement):
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            continue
        if isinstance(node, ast.Name) and node.id == wanted and isinstance(line.error, NameError):
            yield from ((node, held) for held in _held(line.variables, wanted))
            yield from ((node, name) for name in _nearest(wanted, known))
        elif isinstance(node, ast.Attribute) and node.attr == wanted and isinstance(line.error, AttributeError):
            owner = _value(function.segment(node.value), function, line.variables)
            yield from ((node, name) for name in (wanted,) if name in line.variables or name in function.function.__globals__)
            others = [name for name in getattr(owner, "__dict__", {}) if not isinstance(owner, type)]
            yield from ((node, f"{function.segment(node.value)}.{name}") for name in _nearest(wanted, others))
        elif isinstance(node, ast.Subscript) and isinstance(line.error, KeyError):
            owner = _value(function.segment(node.value), function, line.variables)
            if isinstance(owner, dict) and isinstance(node.slice, ast.Constant) and node.slice.value == wanted:
                keys = [key for key in owner if isinstance(key, str)]
                yield from ((node.slice, repr(key)) for key in _nearest(wanted, keys))


def _wanted(error: BaseException) -> str:
    """The name that there is not."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(getattr(error, "name", None) or "")


def _held(variables: Mapping[str, Any], wanted: str) -> Iterator[str]:
    """Where objects and dicts among the variables hold something under a name."""
    for name, value in variables.items():
        if isinstance(value, dict) and wanted in value:
            yield f"{name}[{wanted!r}]"
        elif wanted in getattr(value, "__dict__", {}):
            yield f"{name}.{wanted}"


def _nearest(wanted: str, known: list[str]) -> list[str]:
    """The names, those first that are written most like the one that is wanted."""
    return sorted(known, key=lambda name: -difflib.SequenceMatcher(None, wanted.lower(), name.lower()).ratio())


def _value(text: str, function: Written, variables: Mapping[str, Any]) -> Any:
    """What a name, or a chain of attributes, stands for there."""
    try:
        return eval(text, function.function.__globals__, dict(variables)) if text.replace(".", "").isidentifier() else None
    except Exception:
        return None


def _shaped(line: Raising) -> Iterator[tuple[ast.AST, str]]:
    """Arrays turned, exchanged or made of another's shape; a sum set where it cannot be added to what is there."""
    function, statement = line.function, line.statement
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and function.segment(node.func).rpartition(".")[2] in ("zeros", "ones") and node.args:
            yield node, f"{function.segment(node.func)}_like({function.segment(node.args[0])})"
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        yield statement, f"{function.segment(statement.target)} = {function.segment(statement.value)}"
    for node in ast.walk(statement):
        pair = _factors(function, node)
        for one in pair:
            text = function.segment(one)
            yield one, text.removesuffix(".T") if text.endswith(".T") else f"{text}.T" if _is_plain(one) else f"({text}).T"
        if pair:
            yield node, function.segment(node, [*zip(pair, map(function.segment, pair[::-1]), strict=True)])


def _factors(function: Written, node: ast.AST) -> list[ast.expr]:
    """The two that a product is made of; none of anything else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Mult):
        return [node.left, node.right]
    if not isinstance(node, ast.Call) or function.segment(node.func).rpartition(".")[2] not in PRODUCTS:
        return []
    if len(node.args) == 1 and isinstance(node.func, ast.Attribute):
        return [node.func.value, *node.args]
    return [*node.args] if len(node.args) == 2 else []


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
