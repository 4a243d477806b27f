"""What many functions ask of an argument: a number, a count, a seed, one name of a list, words. Each is worded here once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, DTypeError, MinigradError

__all__ = ["count", "fitting_memory", "named_one_of", "real", "several", "text", "too_large"]

MOST = int(np.iinfo(np.intp).max)
"""NumPy counts no further."""


def count(value: Any, what: str, least: int = 0, most: int = MOST) -> int:
    """``value`` as an integer from ``least`` to ``most``.

    Raises:
        ArgumentError: it is something else; True and False are no numbers.

    >>> count(-1, "gradcheck: seed_value")
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: gradcheck: seed_value: expected an integer ≥ 0, got -1
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        above = f" and ≤ {most}" if isinstance(value, int) and value > most else ""
        raise ArgumentError(f"{what}: expected an integer ≥ {least}{above}, got {value!r:.60}")
    return int(value)


def real(value: Any, what: str, least: float = -math.inf) -> float:
    """``value`` as a float ≥ ``least``; it may be infinite.

    Raises:
        ArgumentError: it is something else, NaN, or too large for a float; True and False are no numbers.

    >>> real("1e-7", "compare_gradients: rtol", least=0)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: compare_gradients: rtol: expected a number ≥ 0, got '1e-7'
    """
    if not isinstance(value, bool) and isinstance(value, int | float | np.integer | np.floating):
        try:
            found = float(value)
        except OverflowError:
            found = math.nan
        if found >= least:
            return found
    raise ArgumentError(f"{what}: expected a number{'' if least == -math.inf else f' ≥ {least:g}'}, got {value!r:.60}")


def named_one_of(value: Any, what: str, choices: Iterable[str]) -> str:
    """``value`` if it is one of the choices.

    Raises:
        ArgumentError: it is not; the message lists them.

    >>> named_one_of("mode", "pad: mode", ["constant", "edge"])
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: pad: mode: expected one of 'constant', 'edge', got 'mode'
    """
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise ArgumentError(f"{what}: expected one of {', '.join(map(repr, known))}, got {value!r:.60}")
    return value


def text(value: Any, what: str) -> str:
    """``value`` if it is a string.

    Raises:
        ArgumentError: it is none.

    >>> text(None, "heat_map: rows")
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: heat_map: rows: expected a string, got None
    """
    if not isinstance(value, str):
        raise ArgumentError(f"{what}: expected a string, got {value!r:.60}")
    return value


def several(value: Any, what: str, expected: str) -> list[Any]:
    """The entries of ``value``, of which there may be any number.

    Raises:
        DTypeError: it has none, being no list or other iterable; the message says what was ``expected``.

    >>> several(0.5, "clip_grad_norm_", "a list of tensors such as model.parameters()")
    Traceback (most recent call last):
    minigrad.errors.DTypeError: clip_grad_norm_: expected a list of tensors such as model.parameters(), got float
    """
    try:
        return list(value)
    except TypeError:
        raise DTypeError(f"{what}: expected {expected}, got {type(value).__name__}") from None


@contextmanager
def fitting_memory(what: str) -> Iterator[None]:
    """Turn NumPy's words about an array that is too large into our own.

    Raises:
        ArgumentError: the array made inside does not fit into memory.

    >>> with fitting_memory("E: 2 × 10¹⁸ numbers"):
    ...     np.zeros((2, 10**18))
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: E: 2 × 10¹⁸ numbers do not fit into memory; choose smaller sizes
    """
    try:
        yield
    except MinigradError:
        raise
    except (MemoryError, ValueError):  # ValueError: more bytes than there are addresses
        raise too_large(what) from None


def too_large(what: str) -> ArgumentError:
    """The error for an array of so many numbers that it does not fit into memory."""
    return ArgumentError(f"{what} do not fit into memory; choose smaller sizes")
