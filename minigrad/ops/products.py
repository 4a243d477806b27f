"""Products of vectors and matrices under NumPy's other names. All are recorded as ``matmul`` or ``mul``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.ops.arithmetic import multiply
from minigrad.ops.matmul import matmul
from minigrad.ops.protocol import implements
from minigrad.ops.shape import moveaxis, ravel, reshape
from minigrad.tensor import Tensor, operand

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
    a, b = operand(a, "dot"), operand(b, "dot")
    if () in (a.shape, b.shape):
        return multiply(*(part if isinstance(part, Tensor) else part._data for part in (a, b)))
    if a.shape[-1] != b.shape[-2 if len(b.shape) > 1 else -1]:
        raise ShapeError(
            f"dot: expected the last axis of the first as long as the last but one of the second (or its only one), "
            f"got {a.shape} and {b.shape}"
        )
    left, right = (part if isinstance(part, Tensor) else part._data for part in (a, b))
    if len(b.shape) <= 2:
        return matmul(left, right)
    others = (*b.shape[:-2], b.shape[-1])
    columns = reshape(moveaxis(right, -2, 0), (b.shape[-2], math.prod(others)))
    return reshape(matmul(left, columns), (*a.shape[:-1], *others))


@implements(np.vdot, parameters=("a", "b"))
def vdot(a: Any, b: Any) -> Tensor:
    """The sum of the products of all entries, each operand taken as one long vector.

    Raises:
        ShapeError: the numbers of entries differ.

    >>> vdot(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])).item()
    11.0
    """
    return dot(ravel(a), ravel(b))


@implements(np.outer)
def outer(a: Any, b: Any) -> Tensor:
    """Every entry of ``a`` times every entry of ``b``: (M,) and (N,) give (M, N). More axes are flattened first.

    >>> outer(Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).numpy()
    array([[3., 4.],
           [6., 8.]])
    """
    return multiply(reshape(ravel(a), (-1, 1)), ravel(b))
