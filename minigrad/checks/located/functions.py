"""Which of the user's functions his backward pass is made of, and which of those that it calls can be tried in passing."""

from __future__ import annotations

import ast
import dis
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.answer import answered
from minigrad.checks.located.written import Written, written
from minigrad.checks.tracing import noticing, reachable
from minigrad.checks.trial import Trial

__all__ = ["CHANGING", "editable", "formulas", "is_pure", "passing"]

CHANGING = {"append", "insert", "put", "place", "copyto", "resize", "sort", "fill", "delete", "random", "save", "load", "seed"}
"""What NumPy or a list does to what is there, or at random."""


def editable(trial: Trial) -> list[Written]:
    """The functions that run in the backward pass alone, as they are written."""
    adapter = trial.adapter
    backward = _run_by(lambda: answered(adapter, trial.plan, trial.problem, trial.problem.rate))
    values = adapter.filled(lambda leaf: np.array(trial.problem.values[leaf.name]))
    same = adapter.does_both
    forward = set() if same else _run_by(lambda: adapter.called(adapter.forward, values))
    ran = {f.__code__: f for f in reachable(adapter.users()) if f.__code__ in backward}
    functions = {code: function for code, function in ran.items() if code not in forward}
    if same:
        functions = {code: function for code, function in functions.items() if function is adapter.backward}
    found = [text for function in functions.values() if (text := written(function)) is not None]
    if not any(map(_derives, found)):  # both passes are made of one function, which derives what the one returns
        found += [text for code, f in ran.items() if code in forward and (text := written(f)) is not None and _derives(text)]
    return found


def _derives(function: Written) -> bool:
    """Whether a function computes gradients, as what it assigns to is called."""
    targets = [node for node in ast.walk(function.tree) if isinstance(getattr(node, "ctx", None), ast.Store)]
    called = [_root(target) for target in targets]
    return sum(names.is_gradient(name) for name in called) > 1


def _root(node: ast.AST) -> str:
    """What a variable, or what a part of it is written to, is called."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def passing(trial: Trial, others: Sequence[Written]) -> list[Written]:
    """The functions that run in the forward pass, as they are written, but for ``others``."""
    adapter = trial.adapter
    values = adapter.filled(lambda leaf: np.array(trial.problem.values[leaf.name]))
    forward = _run_by(lambda: adapter.called(adapter.forward, values)) - {other.function.__code__ for other in others}
    functions = {f.__code__: f for f in reachable(adapter.users()) if f.__code__ in forward}
    return [found for function in functions.values() if (found := written(function)) is not None]


def _run_by(call: Callable[[], Any]) -> set[CodeType]:
    """The code that runs in a call."""
    seen: set[CodeType] = set()

    def noticed(frame: FrameType, event: str, argument: Any) -> None:
        seen.add(frame.f_code)

    with noticing(noticed):
        call()
    return seen


def formulas(users: Sequence[Any]) -> frozenset[str]:
    """What those of the user's methods are called that only compute something from their arguments: self.dtanh(c)."""
    methods = [written(function) for function in reachable(users) if "." in function.__qualname__]
    found: dict[str, bool] = {}
    for method in methods:
        if method is not None:
            name = method.tree.name
            found[name] = found.get(name, True) and _is_formula(method.tree) and not _reads_attributes(method.tree)
    return frozenset(name for name, only in found.items() if only)


def is_pure(
    function: Written,
    functions: Mapping[FunctionType, Written],
    methods: frozenset[str],
    variables: Mapping[str, Any] | None = None,
) -> Callable[[ast.Call], bool]:
    """Whether a call in a function can be made beside, since it changes nothing; ``methods`` are those that do not.

    With the ``variables`` of the function it can be told which of several methods of one name is called.
    """
    space = function.function.__globals__

    def pure(call: ast.Call) -> bool:
        called = call.func
        if isinstance(called, ast.Attribute):
            if called.attr in methods or (hasattr(np, called.attr) and called.attr not in CHANGING):
                return True
            if call.args or call.keywords:
                return _is_held_formula(function.segment(called), space, variables or {})
            method = _method(function.segment(called), space, variables or {})  # what an object has: self.act.slope()
            return method is not None and _is_formula(method.tree)
        value = space.get(called.id) if isinstance(called, ast.Name) else None
        if isinstance(value, FunctionType) and value in functions:
            return _is_formula(functions[value].tree)
        return callable(value) or (
            isinstance(called, ast.Name) and called.id in ("sum", "len", "range", "float", "abs", "zip", "max")
        )

    return pure


def _method(text: str, space: dict[str, Any], variables: Mapping[str, Any]) -> Written | None:
    """A method of the user's, where that is what a text stands for."""
    try:
        method = eval(text, space, dict(variables)) if text.replace(".", "").isidentifier() else None
    except Exception:
        return None
    return written(method.__func__) if isinstance(method, MethodType) and isinstance(method.__func__, FunctionType) else None


def _is_held_formula(text: str, space: dict[str, Any], variables: Mapping[str, Any]) -> bool:
    """Whether a text stands for a small function that an object holds, and that changes nothing: ``lambda y: 1 - y**2``."""
    try:
        held = eval(text, space, dict(variables)) if text.replace(".", "").isidentifier() else None
    except Exception:
        return False
    if not isinstance(held, FunctionType) or held.__closure__ or CHANGING & {*held.__code__.co_names}:
        return False
    writing = ("STORE_ATTR", "STORE_SUBSCR", "STORE_GLOBAL", "DELETE")
    return not any(instruction.opname.startswith(writing) for instruction in dis.get_instructions(held))


def _is_formula(tree: ast.FunctionDef) -> bool:
    """Whether a function only computes something from its arguments."""
    stores = [node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [getattr(call.func, "attr", "") for call in calls] + [str(k.arg) for call in calls for k in call.keywords]
    simple = len(tree.body) <= 4 and len(calls) <= 4 and not {*CHANGING, "out"} & {*names}
    return simple and all(isinstance(node, ast.Name) for node in stores) and isinstance(tree.body[-1], ast.Return)


def _reads_attributes(tree: ast.FunctionDef) -> bool:
    """Whether something has attributes in it that are not merely called: self.W."""
    called = {call.func for call in ast.walk(tree) if isinstance(call, ast.Call)}
    arguments = {argument.arg for argument in tree.args.args}
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node not in called]
    return any(isinstance(value, ast.Name) and value.id in arguments for value in values)
