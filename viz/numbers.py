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
    low, high = flat.min(), flat.max()
    finite = flat if -np.inf < low <= high < np.inf else flat[np.isfinite(flat)]
    missing = flat.size - finite.size
    least = f"min {number(finite.min())}, mean {number(finite.mean())}, max {number(finite.max())}" if finite.size else ""
    lost = f"{missing} of {flat.size} entries not finite" if missing else ""
    return "; ".join(part for part in (least, lost) if part)
