"""The global names of the user's functions, and other values for them for a while."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np

__all__ = ["LIBRARY", "OUTSIDE", "is_set", "is_users", "namespaces", "reachable", "replaced"]

LIBRARY = sys.modules[__name__.partition(".")[0]]
"""minigrad as users import it, by name: what it imports cannot import it."""


HERE = str(Path(__file__).parent.parent.parent) + os.sep


OUTSIDE = (HERE, str(Path(np.__file__).parent) + os.sep, str(Path(linecache.__file__).parent) + os.sep, "<frozen ")
"""Code that is not the user's."""
INSTALLED = re.compile(r"(.*[/\\](?:site|dist)-packages[/\\][^/\\]+)")
"""Where a package is that pip has installed."""


@contextmanager
def replaced(
    users: Sequence[Any], stand_in_for: Callable[[Any], Any], built_in: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[None]:
    """While it lasts, global names of these functions, and of the user's functions that they use, mean something else.

    Args:
        users: the functions, and classes with methods.
        stand_in_for: what a value is replaced by; None to leave it.
        built_in: what names of Python's own, such as ``float``, mean where the user has no others of that name.
    """
    changed: list[tuple[dict[str, Any], str, Any]] = []
    added: list[tuple[dict[str, Any], str]] = []
    try:
        for names in namespaces(users):
            for name in built_in.keys() - names.keys():
                added.append((names, name))
                names[name] = built_in[name]
            for name, value in list(names.items()):
                stand_in = stand_in_for(value)
                if stand_in is not None:
                    changed.append((names, name, value))
                    names[name] = stand_in
        yield
    finally:
        for names, name in added:
            names.pop(name, None)
        for names, name, value in changed:
            names[name] = value


def namespaces(users: Sequence[Any]) -> list[dict[str, Any]]:
    """The global names of these functions and of all functions of the user's that can be reached from there."""
    return list({id(function.__globals__): function.__globals__ for function in reachable(users)}.values())


def reachable(users: Sequence[Any]) -> Iterator[FunctionType]:
    """These functions, the methods of these classes, and all functions of the user's that can be reached from there.

    What pip has installed is not the user's, unless the functions themselves are of that package: a module that imports
    matplotlib would reach ten thousand functions.
    """
    spaces: set[int] = set()
    seen: set[int] = set()
    waiting = [(value, _package(_file(value))) for value in users]
    while waiting:
        value, package = waiting.pop()
        if id(value) in seen or not _is_in(value, package):
            continue
        seen.add(id(value))
        found: list[Any] = []
        if isinstance(value, MethodType):
            found = [value.__func__, type(value.__self__)]
        elif isinstance(value, FunctionType):
            found = [cell.cell_contents for cell in value.__closure__ or () if is_set(cell)]
            yield value
            if id(value.__globals__) not in spaces:
                spaces.add(id(value.__globals__))
                found += list(value.__globals__.values())
        elif isinstance(value, type):
            found = [part for part in vars(value).values() if isinstance(part, FunctionType | staticmethod | classmethod)]
        elif isinstance(value, staticmethod | classmethod):
            found = [value.__func__]
        elif isinstance(value, ModuleType):
            found = [part for part in vars(value).values() if isinstance(part, FunctionType | type)]
        elif callable(value) and isinstance(vars(type(value)).get("__call__"), FunctionType):
            found = [type(value)]
        waiting += [(part, package) for part in found]


def is_users(value: Any, first: Any) -> bool:
    """Whether a function, class or module is the user's, who gave ``first``: nobody's that pip has installed, but for his."""
    return _is_in(value, _package(_file(first)))


def _is_in(value: Any, package: str) -> bool:
    """Whether it is the user's, or of the installed package in this folder."""
    file = _file(value)
    return _package(file) in ("", package) and not file.startswith(OUTSIDE)


def _file(value: Any) -> str:
    """Where the code of a function, a class, a module or an object is; "" where that is not known."""
    if isinstance(value, FunctionType):
        return value.__code__.co_filename
    module = value if isinstance(value, ModuleType) else sys.modules.get(str(getattr(value, "__module__", None)))
    return getattr(module, "__file__", None) or ""


def _package(file: str) -> str:
    """The folder of the installed package that a file is of; "" for a file of the user's own."""
    found = INSTALLED.match(file)
    return found[1] if found else ""


def is_set(cell: Any) -> bool:
    """Whether the variable of an enclosing function has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
