"""What could be written where a line raises an error, so that it runs: the name or step that is meant, the shape that fits."""

from __future__ import annotations

import ast
import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, FunctionType, TracebackType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.frontier import written_to
from minigrad.checks.located.statements import all_statements, moved
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
    def wants_a_step(self) -> bool:
        """Whether there is no entry of that number, in a list or in a dict by steps."""
        return isinstance(self.error, IndexError) or (isinstance(self.error, KeyError) and isinstance(self.error.args[0], int))


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


def corrections(line: Raising, functions: Iterable[FunctionType] = ()) -> list[Edit]:
    """What may be tried, the likeliest first; in the end in the lines of these functions that make what the line reads."""
    found = _named(line) if isinstance(line.error, NameError | AttributeError | KeyError) else _shaped(line)
    places = itertools.chain(_of_other_steps(line), found) if line.wants_a_step else found
    edits = [Edit(line.function, line.statement, [(node, text)], 1.0) for node, text in places]
    different = {line.function.segment(line.statement, edit.places): edit for edit in reversed(edits)}
    around = _of_loops_around(line) if line.wants_a_step else _of_makers(line, functions)
    return [*[*reversed(different.values())][:MOST], *itertools.islice(around, MOST)]


def _of_makers(line: Raising, functions: Iterable[FunctionType]) -> Iterator[Edit]:
    """The lines that add up the gradients which the line reads: what one of them adds may have the wrong shape."""
    if not isinstance(line.error, ValueError):
        return
    segment = line.function.segment
    read = {segment(n).rpartition(".")[2] for n in ast.walk(line.statement) if isinstance(n, ast.Name | ast.Attribute)}
    for function in filter(None, map(written, functions)):
        for statement, _ in all_statements(function.tree):
            name = written_to(function, statement) if isinstance(statement, ast.Assign | ast.AugAssign) else ""
            if name in read and names.is_gradient(name) and statement is not line.statement:
                maker = Raising(function, statement, line.error, {})
                yield from (Edit(function, statement, [(node, text)], 1.0) for node, text in _shaped(maker))


def _of_loops_around(line: Raising) -> Iterator[Edit]:
    """The loops that the line stands in, begun or ended a step earlier: the one with the largest number is too many."""
    function = line.function
    for loop in ast.walk(function.tree):
        if isinstance(loop, ast.For) and line.statement in ast.walk(loop):
            for call in ast.walk(loop.iter):
                if isinstance(call, ast.Call) and function.segment(call.func) == "range":
                    last = call.args[0 if len(call.args) == 3 else -1]
                    yield Edit(function, loop, [(last, moved(last, function.segment(last), -1))], 1.0)


def _of_other_steps(line: Raising) -> Iterator[tuple[ast.AST, str]]:
    """What is taken out by a counter, ``hs[t]``, ``hs[t + 1]``: the same of the steps beside."""
    for node in ast.walk(line.statement):
        if isinstance(node, ast.Subscript):
            before = node.slice if line.error.args[:1] == (-1,) else None
            if isinstance(before, ast.BinOp) and isinstance(before.left, ast.Name) and ast.unparse(before).endswith(" - 1"):
                base, t = line.function.segment(node.value), before.left.id  # there is no state before the first step
                yield node, f"({base}[{t} - 1] if {t} > 0 else 0 * {base}[{t}])"
            for index in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
                counter = index
                while isinstance(counter, ast.BinOp) and isinstance(counter.right, ast.Constant):
                    counter = counter.left
                if isinstance(counter, ast.Name):
                    written = line.function.segment(index).replace(" ", "")
                    others = (f"{counter.id}{shift}" for shift in ("", " - 1", " + 1"))
                    yield from ((index, other) for other in others if other.replace(" ", "") != written)


def _named(line: Raising) -> Iterator[tuple[ast.AST, str]]:
    """Other names for one that there is not: what an object or a dict holds under it, or what is called nearly so."""
    function, wanted = line.function, _wanted(line)
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


def _wanted(line: Raising) -> str:
    """The name that there is not."""
    if isinstance(line.error, UnboundLocalError):  # it does not say which
        read = [n.id for n in ast.walk(line.statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        local = line.function.function.__code__.co_varnames
        return next((name for name in read if name in local and name not in line.variables), "")
    error = line.error
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(getattr(error, "name", None) or "")


def _held(variables: Mapping[str, Any], wanted: str) -> Iterator[str]:
    """Where objects and dicts among the variables hold something under a name."""
    for name, value in variables.items():
        if isinstance(value, dict) and wanted in value:
            yield f"{name}[{wanted!r}]"
        elif wanted in getattr(value, "__dict__", {}):
            yield f"{name}.{wanted}"


def _nearest(wanted: str, known: list[str]) -> list[str]:
    """The names, those first that are written most like the one that is wanted; gradients for a gradient."""

    def likeness(name: str) -> tuple[bool, float]:
        alike = difflib.SequenceMatcher(None, wanted.lower(), name.lower()).ratio()
        return names.is_gradient(name) != names.is_gradient(wanted), -alike

    return sorted(known, key=likeness)


def _value(text: str, function: Written, variables: Mapping[str, Any]) -> Any:
    """What a name, or a chain of attributes, stands for there."""
    try:
        return eval(text, function.function.__globals__, dict(variables)) if text.replace(".", "").isidentifier() else None
    except Exception:
        return None


def _shaped(line: Raising) -> Iterator[tuple[ast.AST, str]]:
    """Arrays turned, exchanged or made of another's shape; a sum set where it cannot be added to what is there.

    Then sums over another axis, and other gradients in the place of one.
    """
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
    for node in ast.walk(statement):
        if isinstance(node, ast.keyword) and node.arg == "axis" and isinstance(node.value, ast.Constant):
            yield from ((node.value, str(axis)) for axis in (0, 1) if axis != node.value.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and names.is_gradient(node.id):
            others = [name for name, value in line.variables.items() if name != node.id and isinstance(value, np.ndarray)]
            yield from ((node, name) for name in _nearest(node.id, [name for name in others if names.is_gradient(name)]))


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
