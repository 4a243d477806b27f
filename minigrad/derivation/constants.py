"""Arrays that are the same at every step and no parameters: those that a person writes down where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.guard import Array

from .algebra import call, multiply
from .expression import Expr, number

__all__ = ["small", "structured"]

FEW = 12
"""So many entries are written down."""


def structured(array: Array) -> Expr | None:
    """The formula of an array that is one number throughout, or a multiple of the identity.

    >>> structured(np.eye(3)).what, structured(np.ones(3)).what, structured(np.arange(3))
    (('eye', None), ('full', None), None)
    """
    if array.dtype.kind not in "fi" or not array.size:
        return None
    first = number(float(array.flat[0]))
    if (array == array.flat[0]).all():
        return call("full", first, shape=array.shape) if array.shape else first
    if array.ndim == 2 and np.array_equal(array, array.flat[0] * np.eye(len(array))):
        return multiply(first, call("eye", shape=array.shape))
    return None


def small(array: Array) -> Expr | None:
    """An array of few entries, which can be written down."""
    if not 0 < array.size <= FEW:
        return None
    entries: Any = array.tolist()
    return call("array", shape=array.shape, options=repr(entries))
