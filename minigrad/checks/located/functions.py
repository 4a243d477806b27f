"""Which of the user's functions his backward pass is made of, and which of those that it calls can be tried in passing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np

from minigrad.checks.answer import answered
from minigrad.checks.located.written import Written, written
from minigrad.checks.tracing import noticing, reachable
from minigrad.checks.trial import Trial

__all__ = ["editable", "is_pure"]

CHANGING = {"append", "insert", "put", "place", "copyto", "resize", "sort", "fill", "delete", "random", "save", "load", "seed"}
"""What NumPy or a list does to what is there, or at random."""


def editable(trial: Trial) -> list[Written]:
    """The functions that run in the backward pass alone, as they are written."""
    adapter = trial.adapter
    backward = _run_by(lambda: answered(adapter, trial.plan, trial.problem, trial.problem.rate))
    values = adapter.filled(lambda leaf: np.array(trial.problem.values[leaf.name]))
    same = adapter.backward is adapter.forward
    forward = set() if same else _run_by(lambda: adapter.called(adapter.forward, values))
    functions = {f.__code__: f for f in reachable(adapter.users()) if f.__code__ in backward - forward}
    if same:
        functions = {code: function for code, function in functions.items() if function is adapter.backward}
    return [found for function in functions.values() if (found := written(function)) is not None]


def _run_by(call: Callable[[], Any]) -> set[CodeType]:
    """The code that runs in a call."""
    seen: set[CodeType] = set()

    def noticed(frame: FrameType, event: str, argument: Any) -> None:
        seen.add(frame.f_code)

    with noticing(noticed):
        call()
    return seen


def is_pure(function: Written, functions: Mapping[FunctionType, Written]) -> Callable[[ast.Call], bool]:
    """Whether a call in a function can be made beside, since it changes nothing."""
    space = function.function.__globals__

    def pure(call: ast.Call) -> bool:
        called = call.func
        if isinstance(called, ast.Attribute):
            return hasattr(np, called.attr) and called.attr not in CHANGING
        value = space.get(called.id) if isinstance(called, ast.Name) else None
        if isinstance(value, FunctionType) and value in functions:
            return _is_formula(functions[value].tree)
        return callable(value) or (
            isinstance(called, ast.Name) and called.id in ("sum", "len", "range", "float", "abs", "zip", "max")
        )

    return pure


def _is_formula(tree: ast.FunctionDef) -> bool:
    """Whether a function only computes something from its arguments."""
    stores = [node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return all(isinstance(node, ast.Name) for node in stores) and len(tree.body) <= 4 and len(calls) <= 3
