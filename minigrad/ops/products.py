"""Products of vectors and matrices under NumPy's other names. All are recorded as ``matmul`` or ``mul``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.ops.arithmetic import multiply
from minigrad.ops.matmul import matmul
from minigrad.ops.protocol import implements
from minigrad.ops.shape import as_tensor, moveaxis, ravel, reshape
from minigrad.tensor import Tensor

__all__ = ["dot", "outer", "vdot"]


@implements(np.dot, parameters=("a", "b", "out"))
def dot(a: Any, b: Any) -> Tensor:
    """NumPy's ``dot``: the sum over the last axis of ``a`` and the last but one of ``b``.

    For vectors and matrices that is ``a @ b``; with a plain number it is a multiple. With more axes every row of ``a``
    meets every column of ``b``: (I, J, K) and (L, K, M) give (I, J, L, M).

    Raises:
        ShapeError: the two axes differ in length.

    >>> W, x = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[1.0], [0.0]])
    >>> dot(W, x).numpy()
    array([[1.],
           [3.]])
    """
    if np.isscalar(a) or np.isscalar(b):
        return multiply(a, b)
    a, b = as_tensor(a, "dot"), as_tensor(b, "dot")
    if () in (a.shape, b.shape):
        return multiply(a, b)
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        raise ShapeError(
            f"dot: expected the last axis of the first as long as the last but one of the second (or its only one), "
            f"got {a.shape} and {b.shape}"
        )
    if b.ndim <= 2:
        return matmul(a, b)
    others = (*b.shape[:-2], b.shape[-1])
    columns = reshape(moveaxis(b, -2, 0), (b.shape[-2], math.prod(others)))
    return reshape(matmul(a, columns), (*a.shape[:-1], *others))


@implements(np.vdot, parameters=("a", "b"))
def vdot(a: Any, b: Any) -> Tensor:
    """The sum of the products of all entries, each operand taken as one long vector.

    Raises:
        ShapeError: the numbers of entries differ.

    >>> vdot(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])).item()
    11.0
    """
    a, b = (ravel(as_tensor(part, "vdot")) for part in (a, b))
    if a.shape != b.shape:
        raise ShapeError(f"vdot: expected operands with equally many entries, got {a.size} and {b.size}")
    return matmul(a, b)


@implements(np.outer)
def outer(a: Any, b: Any) -> Tensor:
    """Every entry of ``a`` times every entry of ``b``: (M,) and (N,) give (M, N). More axes are flattened first.

    >>> outer(Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).numpy()
    array([[3., 4.],
           [6., 8.]])
    """
    a, b = (ravel(as_tensor(part, "outer")) for part in (a, b))
    return multiply(reshape(a, (-1, 1)), b)
