"""Small parameters are updated together: side by side in one row, where a call of NumPy costs more than its arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from minigrad.guard import Array

__all__ = ["Change", "alike", "joined", "parted"]

SMALL: Final = 2**12
"""Up to how many entries a parameter shares its calls with others."""


class Change(NamedTuple):
    """A parameter that is about to be updated: its number, its array, its gradient, its group, and what is remembered of it."""

    number: int
    array: Array
    g: Array
    group: dict[str, Any]
    state: dict[str, Array]


def alike(changes: Iterable[Change]) -> list[list[Change]]:
    """Those that can be updated as one: small, of one group and dtype, and updated equally often."""
    found: dict[Any, list[Change]] = {}
    for change in changes:
        number, array, g, group, state = change
        kind = (id(group), array.dtype, g.dtype, int(state.get("step", 0)), *state)
        found.setdefault(kind if array.size <= SMALL else number, []).append(change)
    return list(found.values())


def joined(changes: Sequence[Change]) -> tuple[Array, Array, dict[str, Array]]:
    """Copies of their entries in one row: of the arrays, of the gradients, and of all that is remembered but for ``"step"``."""
    if len(changes) == 1:
        ((_, array, g, _, state),) = changes
        return array.copy(), g, {name: value.copy() for name, value in state.items()}
    _, arrays, gradients, _, states = zip(*changes, strict=True)
    remembered = {name: in_a_row([state[name] for state in states]) for name in states[0] if name != "step"}
    return in_a_row(arrays), in_a_row(gradients), {**states[0], **remembered}


def in_a_row(arrays: Iterable[Array]) -> Array:
    """The entries of all arrays.

    >>> in_a_row([np.array([[1, 2], [3, 4]]), np.array(5)])
    array([1, 2, 3, 4, 5])
    """
    return np.concatenate([array.ravel() for array in arrays])


def parted(
    changes: Sequence[Change], theta: Array, state: dict[str, Array]
) -> Iterator[tuple[Change, Array, dict[str, Array]]]:
    """Each with what has become of its array, and of what is remembered of it."""
    if len(changes) == 1:
        yield changes[0], theta, state
        return
    begin = 0
    for change in changes:
        end, shape = begin + change.array.size, change.array.shape
        own = {name: value if name == "step" else value[begin:end].reshape(shape) for name, value in state.items()}
        yield change, theta[begin:end].reshape(shape), own
        begin = end
