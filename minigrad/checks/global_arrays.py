"""Weights that are variables outside of the user's functions: found, and other values for a while.

They are global variables of his module, variables of a function that his functions are defined in, or defaults of parameters,
and may be arrays, or objects, dicts and lists that hold arrays.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from minigrad.checks.problem import mapped
from minigrad.checks.tracing import is_set, is_users
from minigrad.guard import Array

__all__ = ["globals_read_by", "with_values"]


def globals_read_by(functions: Sequence[Any], owner: Any = None) -> dict[str, Any]:
    """The variables from outside, and defaults of parameters, with arrays of real numbers in them that these functions read.

    So do the functions of the user's that they use, of whichever module. The ``owner`` of a method is one of them, whatever it
    holds: it may keep in one pass what it reads in the other.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting = [(function, function) for function in functions]
    while waiting:
        function, first = waiting.pop()
        if isinstance(function, MethodType):
            function = function.__func__
        if isinstance(function, type):
            methods = [part for part in vars(function).values() if isinstance(part, FunctionType | staticmethod | classmethod)]
            waiting += [(part, first) for part in methods]
        function = getattr(function, "__func__", function)
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        space = function.__globals__
        for name in _names_in(function.__code__):
            value = space.get(name)
            if isinstance(value, FunctionType | type):
                if is_users(value, first):
                    waiting.append((value, first))
            elif isinstance(value, ModuleType) and is_users(value, first):
                named = [getattr(value, part, None) for part in function.__code__.co_names]
                waiting += [(part, first) for part in named if isinstance(part, FunctionType | type)]
            elif name in space and (value is owner is not None or _holds_arrays(value)):
                found[name] = value
                waiting.append((type(value), first))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            value = cell.cell_contents if is_set(cell) else None
            if isinstance(value, FunctionType | MethodType | type):
                waiting.append((value, first))
            elif not any(value is other for other in found.values()) and (value is owner is not None or _holds_arrays(value)):
                found[name if name not in found else f"{function.__name__}.{name}"] = value
                waiting.append((type(value), first))
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        defaults = function.__defaults__ or ()
        for name, value in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True):
            if _holds_arrays(value) and not any(value is other for other in found.values()):
                found[name] = value
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    yield from (line.argval for line in dis.get_instructions(code) if line.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _holds_arrays(value: Any) -> bool:
    """Whether there are arrays of real numbers in it (not numbers)."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind == "f" and value.ndim)
    is_data = isinstance(value, dict | list | tuple)
    if not is_data and (not hasattr(value, "__dict__") or type(value).__module__.partition(".")[0] in ("numpy", "builtins")):
        return False
    found: list[Array] = []
    mapped(value, lambda path, array, attribute: found.append(array))
    return any(array.ndim for array in found)


@contextmanager
def with_values(reached: Sequence[FunctionType], originals: Mapping[str, Any], values: dict[str, Any]) -> Iterator[None]:
    """Variables from outside, and defaults of parameters, of these functions have other values while it lasts.

    Args:
        reached: all functions of the user's that his passes may run.
        originals: the values that are replaced, by name.
        values: what they are replaced by; afterwards, what became of it.
    """
    other = {id(original): values[name] for name, original in originals.items()}
    spaces = {id(function.__globals__): function.__globals__ for function in reached}
    changed = [(space, name, value) for space in spaces.values() for name, value in space.items() if id(value) in other]
    defaults = [(f, f.__defaults__) for f in reached if any(id(value) in other for value in f.__defaults__ or ())]
    cells = {id(cell): cell for function in reached for cell in function.__closure__ or () if is_set(cell)}
    enclosed = [(cell, cell.cell_contents) for cell in cells.values() if id(cell.cell_contents) in other]
    try:
        for space, name, value in changed:
            space[name] = other[id(value)]
        for function, was in defaults:
            function.__defaults__ = tuple(other.get(id(value), value) for value in was or ())
        for cell, value in enclosed:
            cell.cell_contents = other[id(value)]
        yield
        for space, name, value in changed:
            if originals.get(name) is value and space[name] is not other[id(value)]:  # imported, it has its name in two modules
                values[name] = space[name]
    finally:
        for space, name, value in changed:
            space[name] = value
        for function, was in defaults:
            function.__defaults__ = was
        for cell, value in enclosed:
            cell.cell_contents = value
