"""Weights that are global variables of the user"s module: found, and given other values for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from minigrad.guard import Array

__all__ = ["arrays_read_by", "with_values"]


def arrays_read_by(forward: Any) -> dict[str, Array]:
    """The arrays of real numbers among the global variables that the forward pass, or a function that it uses, reads."""
    space = getattr(forward, "__globals__", {})
    found: dict[str, Array] = {}
    seen: set[int] = set()
    waiting = [getattr(forward, "__code__", None)]
    while waiting:
        code = waiting.pop()
        if code is None or id(code) in seen:
            continue
        seen.add(id(code))
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            value = space.get(name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 1:
                found[name] = value
            elif isinstance(value, FunctionType) and value.__globals__ is space:
                waiting.append(value.__code__)
    return found


@contextmanager
def with_values(functions: Sequence[Callable[..., Any]], values: dict[str, Any]) -> Iterator[None]:
    """Global variables of these functions have other values while it lasts; what became of them is in ``values`` then."""
    places = [space for function in functions for space in _spaces(function)]
    found = [(space, name, space[name]) for space in places for name in values if name in space]
    try:
        for space, name, _ in found:
            space[name] = values[name]
        yield
        for space, name, _ in found:
            values[name] = space[name]
    finally:
        for space, name, value in found:
            space[name] = value


def _spaces(function: Any) -> list[dict[str, Any]]:
    space = getattr(function, "__globals__", None)
    return [] if space is None else [space]
