"""When two gradients are the same."""

from __future__ import annotations

import numpy as np

from minigrad.guard import Array

__all__ = ["clipped", "equal"]


def equal(a: Array, b: Array, rtol: float) -> bool:
    """Whether two gradients are the same: max |a − b| ≤ rtol · max |b|, and both finite."""
    if a.shape != b.shape:
        return False
    if not a.size:
        return True
    with np.errstate(all="ignore"):
        distance, largest = np.abs(a - b).max(), max(np.abs(b).max(), np.abs(a).max())
    return bool(distance <= rtol * largest) if np.isfinite(distance) else False


def clipped(g: Array, bound: float | None) -> Array:
    """``g`` clipped to ±bound, if there is one."""
    return g if bound is None else np.clip(g, -bound, bound)
