"""When two gradients are the same."""

from __future__ import annotations

import math

import numpy as np

from minigrad.guard import Array
from minigrad.reporting import within

__all__ = ["NORMS", "clipped", "equal"]

NORMS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""What gradients are usually scaled to."""


def equal(a: Array, b: Array, rtol: float) -> bool:
    """Whether two gradients are the same: max |a − b| ≤ rtol · max |b|, and both finite."""
    if a.shape != b.shape:
        return False
    if not a.size:
        return True
    distance, largest = within({"all": "ignore"}, lambda: (np.abs(a - b).max(), max(np.abs(b).max(), np.abs(a).max())))
    return bool(distance <= rtol * largest) if np.isfinite(distance) else False


def clipped(g: Array, bound: float | None, given: Array) -> Array:
    """``g`` clipped to ±bound, if there is one and what it is compared with, ``given``, reaches that and no more.

    If that has a norm which gradients are usually scaled to, ``g`` scaled to it, if it is larger.
    """
    norm, size = _norm(given), _norm(g)
    scaled = next((known for known in NORMS if abs(norm - known) <= 1e-7 * known and size > known), None)
    if scaled is not None:
        return g * (scaled / size)
    largest = 0.0 if bound is None else float(np.abs(given).max(initial=0.0))
    return np.clip(g, -bound, bound) if bound and abs(largest - bound) <= 1e-7 * bound else g


def _norm(array: Array) -> float:
    """The norm; 0 where an entry is not finite."""
    flat = array.ravel()
    norm = math.sqrt(square) if math.isfinite(square := float(flat @ flat)) else math.inf
    return norm if math.isfinite(norm) or np.isfinite(array).all() else 0.0
