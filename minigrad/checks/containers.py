"""What a backward pass returns or stores, in whatever containers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.problem import each_array, mapped
from minigrad.guard import Array

__all__ = ["attributes", "copied", "flat", "is_array", "same", "snapshot"]


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
