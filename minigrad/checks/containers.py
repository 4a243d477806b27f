"""What a backward pass returns or stores, in whatever containers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.problem import NO_DATA, each_array, mapped
from minigrad.guard import Array

__all__ = ["at_path", "attributes", "copied", "flat", "found_in", "is_array", "put_at", "same", "snapshot"]

PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def copied(value: Any) -> Any:
    """Copies of an array, or of the arrays of a list."""
    return [np.array(part) for part in value] if isinstance(value, list) else np.array(value)


def snapshot(value: Any) -> list[Array]:
    """All arrays in a pytree, copied."""
    found: list[Array] = []
    mapped({"": value}, lambda path, array, attribute: found.append(np.array(array)))
    return found


def same(a: list[Array], b: list[Array]) -> bool:
    """Whether two snapshots are equal, entry by entry."""
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def attributes(arguments: dict[str, Any]) -> dict[str, Array]:
    """Arrays that are attributes of the objects among the arguments, by path."""
    found: dict[str, Array] = {}

    def noted(path: str, array: Array, attribute: bool) -> Array:
        if attribute:
            found[path] = np.array(array)
        return array

    each_array(arguments, noted)
    return found


def found_in(value: Any, wanted: Callable[[Any], bool], path: str = "", seen: set[int] | None = None) -> dict[str, Any]:
    """All values of one kind in dicts, lists, tuples and the attributes of objects, by path."""
    seen = set() if seen is None else seen
    if wanted(value):
        return {path: value}
    if id(value) in seen or isinstance(value, NO_DATA):
        return {}
    seen.add(id(value))
    inside: dict[str, Any] = {}
    if isinstance(value, dict):
        inside = {f"{path}.{key}" if path else str(key): part for key, part in value.items()}
    elif isinstance(value, list | tuple):
        inside = {f"{path}[{k}]": part for k, part in enumerate(value)}
    elif hasattr(value, "__dict__"):
        inside = {f"{path}.{name}": part for name, part in vars(value).items()}
    return {at: part for where, inner in inside.items() for at, part in found_in(inner, wanted, where, seen).items()}


def at_path(value: Any, path: str) -> Any:
    """What is there, ``cell.state.h`` or ``cell.params[0]``; None if there is nothing."""
    for name, index in PART.findall(path):
        try:
            value = value[int(index)] if index else value[name] if isinstance(value, dict) else getattr(value, name)
        except (AttributeError, IndexError, KeyError, TypeError):
            return None
    return value


def put_at(value: Any, path: str, new: Any) -> None:
    """Put something where `at_path` finds it."""
    parts = PART.findall(path)
    owner, (name, index) = at_path(value, path[: path.rindex(parts[-1][0] or f"[{parts[-1][1]}]")].rstrip(".")), parts[-1]
    if index or isinstance(owner, dict):
        owner[int(index) if index else name] = new
    else:
        setattr(owner, name, new)


def flat(result: dict[Any, Any]) -> dict[str, Any]:
    """A dict of dicts as one dict: keys that say that they are gradients stay, others get those above them in front."""
    found: dict[str, Any] = {}
    for key, value in result.items():
        if isinstance(value, dict):
            inner = flat(value)
            found |= {
                name if names.is_gradient(name) and len(name) > 1 else f"{key}.{name}": part for name, part in inner.items()
            }
        else:
            found[str(key)] = value
    return found


def is_array(value: Any) -> bool:
    """Whether it is an array of numbers, or a list that makes one."""
    if isinstance(value, list):
        try:
            value = np.asarray(value)
        except ValueError:
            return False
    return isinstance(value, np.ndarray | np.floating) and np.asarray(value).dtype.kind in "fi"
