"""The global names of the user's functions, and other values for them for a while."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

__all__ = ["LIBRARY", "OUTSIDE", "is_set", "namespaces", "reachable", "replaced"]

LIBRARY = sys.modules[__name__.partition(".")[0]]
"""minigrad as users import it, by name: what it imports cannot import it."""


HERE = str(Path(__file__).parent.parent.parent) + os.sep


OUTSIDE = (HERE, str(Path(np.__file__).parent) + os.sep, str(Path(linecache.__file__).parent) + os.sep)
"""Code that is not the user's."""


@contextmanager
def replaced(users: Sequence[Any], stand_in_for: Callable[[Any], Any]) -> Iterator[None]:
    """While it lasts, global names of these functions, and of the user's functions that they use, mean something else.

    Args:
        users: the functions, and classes with methods.
        stand_in_for: what a value is replaced by; None to leave it.
    """
    changed: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for names in namespaces(users):
            for name, value in list(names.items()):
                stand_in = stand_in_for(value)
                if stand_in is not None:
                    changed.append((names, name, value))
                    names[name] = stand_in
        yield
    finally:
        for names, name, value in changed:
            names[name] = value


def namespaces(users: Sequence[Any]) -> list[dict[str, Any]]:
    """The global names of these functions and of all functions of the user's that can be reached from there."""
    return list({id(function.__globals__): function.__globals__ for function in reachable(users)}.values())


def reachable(users: Sequence[Any]) -> Iterator[FunctionType]:
    """These functions, the methods of these classes, and all functions of the user's that can be reached from there."""
    spaces: set[int] = set()
    seen: set[int] = set()
    waiting = list(users)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, MethodType):
            waiting += [value.__func__, type(value.__self__)]
        elif isinstance(value, FunctionType):
            waiting += [cell.cell_contents for cell in value.__closure__ or () if is_set(cell)]
            if value.__code__.co_filename.startswith(OUTSIDE):
                continue
            yield value
            if id(value.__globals__) not in spaces:
                spaces.add(id(value.__globals__))
                waiting += list(value.__globals__.values())
        elif isinstance(value, type):
            waiting += [part for part in vars(value).values() if isinstance(part, FunctionType | staticmethod | classmethod)]
        elif isinstance(value, staticmethod | classmethod):
            waiting.append(value.__func__)
        elif isinstance(value, ModuleType):
            file = getattr(value, "__file__", None)
            if file and not file.startswith(OUTSIDE):
                waiting += [part for part in vars(value).values() if isinstance(part, FunctionType | type)]
        elif callable(value) and isinstance(vars(type(value)).get("__call__"), FunctionType):
            waiting.append(type(value))


def is_set(cell: Any) -> bool:
    """Whether the variable of an enclosing function has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
