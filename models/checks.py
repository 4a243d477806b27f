"""What arguments of models have in common: sizes, names out of a list, seeds; each check worded in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from minigrad.arguments import named_one_of
from minigrad.errors import ArgumentError

__all__ = ["Seed", "generator", "is_number", "one_of", "positive_size", "probability"]

Seed: TypeAlias = int | np.random.Generator | None


LARGEST_SIZE = int(np.iinfo(np.intp).max)


def positive_size(where: str, name: str, size: int) -> int:
    """``size`` if it is an integer ≥ 1 that NumPy can count to; ArgumentError otherwise.

    >>> positive_size("lstm", "hidden_size", 0)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: lstm: hidden_size must be an integer ≥ 1, got 0
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ArgumentError(f"{where}: {name} must be an integer ≥ 1, got {size!r}")
    if size > LARGEST_SIZE:
        raise ArgumentError(f"{where}: {name} must be at most {LARGEST_SIZE}, got {size:.3g}")
    return int(size)


def one_of(where: str, value: str, choices: Iterable[str]) -> str:
    """``value`` if it is one of the choices; otherwise an ArgumentError that lists them.

    >>> one_of("gru: reset", "middle", ("before", "after"))
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: gru: reset: expected one of 'before', 'after', got 'middle'
    """
    return named_one_of(value, where, choices)


def is_number(value: object) -> bool:
    """Whether ``value`` is a real number, Python's or NumPy's; True and False are none.

    >>> is_number(1.5), is_number(True), is_number("1.5")
    (True, False, False)
    """
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def probability(where: str, value: float) -> float:
    """``value`` if it is a number from 0 to 1; ArgumentError otherwise.

    >>> probability("layers: dropout", 1.5)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: layers: dropout: expected a probability from 0 to 1, got 1.5
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise ArgumentError(f"{where}: expected a probability from 0 to 1, got {value!r}")
    return float(value)


def generator(seed: Seed) -> np.random.Generator:
    """The source of random numbers that ``seed`` stands for.

    Raises ArgumentError unless it is an integer ≥ 0, a ``numpy.random.Generator`` or None.

    >>> generator(0).integers(10, size=3)
    array([8, 6, 5])
    """
    if isinstance(seed, bool) or not (
        seed is None or isinstance(seed, np.random.Generator) or (isinstance(seed, int | np.integer) and seed >= 0)
    ):
        raise ArgumentError(f"seed: expected an integer ≥ 0, a numpy.random.Generator or None, got {seed!r}")
    return np.random.default_rng(seed)
