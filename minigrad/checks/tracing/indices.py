"""Indices of arrays, compared: which entries were written, and which are read."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["apart", "counted", "key_of"]


def key_of(index: Any) -> tuple[Any, ...] | None:
    """An index of integers and slices in a form that can be compared; None for any other."""
    parts = index if isinstance(index, tuple) else (index,)
    key: list[Any] = []
    for part in parts:
        if isinstance(part, slice):
            key.append((part.start, part.stop, part.step))
        elif isinstance(part, int | np.integer):
            key.append(int(part))
        else:
            return None
    whole = (None, None, None)
    while key and key[-1] == whole:
        key.pop()
    return tuple(key)


def counted(key: tuple[Any, ...] | None, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """The key with integers counted from the front."""
    if key is None:
        return None
    return tuple(part + size if isinstance(part, int) and part < 0 else part for part, size in zip(key, shape, strict=False))


def apart(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two indices certainly take different entries: different integers ≥ 0 on some axis."""
    return any(isinstance(i, int) and isinstance(j, int) and i != j and min(i, j) >= 0 for i, j in zip(a, b, strict=False))
