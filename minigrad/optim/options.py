"""The checks of what optimisers and schedules are given: numbers, switches, counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np

from minigrad.errors import ArgumentError, DTypeError

__all__ = [
    "MOST",
    "Check",
    "Described",
    "as_float",
    "at_least_zero",
    "below_one",
    "named_arrays",
    "switch",
    "whole_number",
]

Check: TypeAlias = Callable[[str, Any], Any]
"""From the name of an option and what was given for it to its value; raises an error that says what is wrong."""

MOST = 2**53
"""What is counted stays below this number, as every float64 can hold it."""


class Described(Protocol):
    """An array, or what the header of a file says of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its kind of number."""


def as_float(name: str, value: Any) -> float:
    """``value`` as a float, so that it never widens a float32 array.

    Raises DTypeError if it is no number (True and False are none), ArgumentError if it is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise DTypeError(f"{name} must be a number, got {value!r}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ArgumentError(f"{name} must be a finite number, got {found}")
    return found


def at_least_zero(name: str, value: Any) -> float:
    """``value`` as a finite float ≥ 0; errors as in `as_float`."""
    found = as_float(name, value)
    if found < 0:
        raise ArgumentError(f"{name} must be at least 0, got {found}")
    return found


def below_one(name: str, value: Any) -> float:
    """``value`` as a float in 0 … 1, 1 excluded: how much of a running mean is kept; errors as in `as_float`."""
    found = as_float(name, value)
    if not 0 <= found < 1:
        raise ArgumentError(f"{name} must be at least 0 and below 1, got {found}")
    return found


def whole_number(name: str, value: Any, least: int) -> int:
    """``value`` if it is an integer ≥ ``least``; ArgumentError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < MOST:
        raise ArgumentError(f"{name} must be an integer ≥ {least}, got {value!r}")
    return int(value)


def switch(name: str, value: Any) -> bool:
    """``value`` if it is True or False; DTypeError otherwise, so that ``"no"`` does not count as yes."""
    if not isinstance(value, bool | np.bool_):
        raise DTypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def named_arrays(where: str, saved: Any) -> None:
    """Raise ArgumentError unless ``saved`` is a mapping from names to arrays, as ``state_dict()`` returns it."""
    if not isinstance(saved, Mapping):
        raise ArgumentError(f"{where}: expected the arrays by name that state_dict() returned, got {saved!r}")
    wrong = [f"{name!r}: {type(value).__name__}" for name, value in saved.items() if not hasattr(value, "dtype")]
    if wrong:
        raise ArgumentError(f"{where}: expected an array under every name, got {', '.join(wrong)}")
