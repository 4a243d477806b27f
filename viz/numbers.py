"""The numbers of an array in a line of text, for who asks for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .text import number

__all__ = ["FEW", "summary"]

ALL_OF, FEW = 6, 40
"""So many entries are all told; of so few, Python finds the ends sooner than NumPy."""


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
    if flat.size < FEW:
        numbers = flat.tolist()
        if math.isfinite(sum(numbers)):
            return _told(min(numbers), math.fsum(numbers) / len(numbers), max(numbers))
    total = float(np.add.reduce(flat, dtype=np.float64))
    if math.isfinite(total):
        return _spread(flat, total)
    finite = flat[np.isfinite(flat)]
    lost = f"{flat.size - finite.size} of {flat.size} entries not finite"
    told = _spread(finite, float(np.add.reduce(finite, dtype=np.float64))) if finite.size else ""
    return "; ".join(part for part in (told, lost if finite.size < flat.size else "") if part)


def _spread(flat: Any, total: float) -> str:
    return _told(np.minimum.reduce(flat), total / flat.size, np.maximum.reduce(flat))


def _told(low: float, mean: float, high: float) -> str:
    return f"min {number(low)}, mean {number(mean)}, max {number(high)}"
