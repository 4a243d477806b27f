"""The rate at which a backward pass moves the weights, where its source says it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from types import FunctionType

from minigrad.checks import names

__all__ = ["RATE", "moved_in_place_by", "moves_at_a_rate", "written_rate"]

RATE = re.compile(r"^(?:lr|l?_?rate|learning_?rate|learn_?rate|alpha|eta|step_?size)$", re.IGNORECASE)
"""What a backward pass that updates the weights itself calls the rate."""


def moves_at_a_rate(function: FunctionType) -> bool:
    """Whether a function multiplies by a rate that is one of its defaults where it changes something: ``lr=0.1``."""
    code = function.__code__
    defaults = code.co_varnames[: code.co_argcount][-len(function.__defaults__ or ()) :] if function.__defaults__ else ()
    rates = {name for name in defaults if RATE.match(name)}
    nodes = [node for moved in _moved_by(function) for node in ast.walk(moved)] if rates else []
    return any(isinstance(n, ast.Name | ast.Attribute) and _last(n) in rates for n in nodes)  # self.rate = rate


def moved_in_place_by(function: FunctionType) -> set[str]:
    """The names in what a function changes something by in place, ``W -= lr * dW`` or ``W = W - lr * dW``: rates, perhaps."""
    lines = list(ast.walk(names.tree_of(function) or ast.Pass()))
    moved = [line.value for line in lines if isinstance(line, ast.AugAssign)]
    for line in lines:
        value = line.value if isinstance(line, ast.Assign) and isinstance(line.value, ast.BinOp) else None
        if value is not None and isinstance(line, ast.Assign) and ast.unparse(value.left) == ast.unparse(line.targets[0]):
            moved.append(value.right)
    return {node.id for value in moved for node in ast.walk(value) if isinstance(node, ast.Name)}


def _last(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def written_rate(functions: Iterable[FunctionType]) -> float | None:
    """The one number that some functions multiply by what they subtract from something: ``W -= 0.01 * dW``.

    It may be handed to one of them that calls it a rate: ``net.backward(dy, 0.01)``.
    """
    functions = list(functions)
    found = {
        abs(float(factor.value))
        for function in functions
        for moved in _moved_by(function, ast.Sub)
        for factor in _factors(moved)
        if isinstance(factor, ast.Constant) and isinstance(factor.value, float)
    }
    found |= {
        abs(float(given.value))
        for function in functions
        for call in ast.walk(names.tree_of(function) or ast.Pass())
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute)
        for other in functions
        if other.__name__ == _last(call.func)
        for name, given in _handed(call, other)
        if RATE.match(name) and isinstance(given, ast.Constant) and isinstance(given.value, float)
    }
    return found.pop() if len(found) == 1 else None


def _handed(call: ast.Call, function: FunctionType) -> Iterator[tuple[str, ast.expr]]:
    """What a call hands to the parameters of a function, by their names."""
    code = function.__code__
    parameters = code.co_varnames[: code.co_argcount]
    is_method = isinstance(call.func, ast.Attribute) and parameters[:1] == ("self",)
    yield from zip(parameters[is_method:], call.args, strict=False)
    yield from ((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg)


def _moved_by(function: FunctionType, how: type[ast.operator] = ast.operator) -> Iterator[ast.expr]:
    """What a function changes something by, ``W += this`` or ``W = W - this``; only so, if ``how`` says which operator."""
    for line in ast.walk(names.tree_of(function) or ast.Pass()):
        if isinstance(line, ast.AugAssign) and isinstance(line.op, how):
            yield line.value
        elif isinstance(line, ast.Assign) and isinstance(line.value, ast.BinOp) and isinstance(line.value.op, how):
            yield line.value if how is ast.operator else line.value.right


def _factors(node: ast.expr) -> Iterator[ast.expr]:
    """The factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from _factors(node.left)
        yield from _factors(node.right)
    elif isinstance(node, ast.UnaryOp):
        yield from _factors(node.operand)
    else:
        yield node
