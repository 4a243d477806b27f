"""The numbers of an array in a line of text, for who asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .text import number

__all__ = ["summary"]

ALL_OF = 6


def summary(array: Any) -> str:
    """All entries of an array that has few, else its smallest, mean and largest; how many are not finite.

    >>> summary(np.array([[1.0, 2.5]]))
    '1, 2.5'
    >>> summary(np.arange(8.0))
    'min 0, mean 3.5, max 7'
    >>> summary(np.array([np.nan, *range(9)]))
    'min 0, mean 4, max 8; 1 of 10 entries not finite'
    """
    flat = np.asarray(array).ravel()
    if flat.dtype.kind not in "fiub":
        return ""
    if flat.size <= ALL_OF:
        return ", ".join(number(float(x)) for x in flat)
    low, high = _ends(flat)
    if -np.inf < low <= high < np.inf:
        return _spread(flat, low, high)
    finite = flat[np.isfinite(flat)]
    lost = f"{flat.size - finite.size} of {flat.size} entries not finite"
    return f"{_spread(finite, *_ends(finite))}; {lost}" if finite.size else lost


def _ends(flat: Any) -> tuple[float, float]:
    return float(np.minimum.reduce(flat)), float(np.maximum.reduce(flat))


def _spread(flat: Any, low: float, high: float) -> str:
    mean = float(np.add.reduce(flat, dtype=np.float64)) / flat.size
    return f"min {number(low)}, mean {number(mean)}, max {number(high)}"
