"""The matrix product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ShapeError
from minigrad.gradients import OuterProduct
from minigrad.graph import Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.ops.shape import Transpose
from minigrad.recording import for_one_kind, operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["matmul"]


class Matmul(Operation):
    """Y = A B;  ∂L/∂A = G Bᵀ,  ∂L/∂B = Aᵀ G.

    Leading axes are batches of matrices and broadcast; a vector counts as one row on the left, one column on the right.
    ``A @ W.T`` with a matrix W is recorded as one operation on A and W (``transpose_b``): Y = A Wᵀ, ∂L/∂A = G W,
    ∂L/∂W = Gᵀ A. That is the form in which networks apply a weight.
    """

    __slots__ = ("rank_a", "rank_b", "transpose_b")
    label, symbol = "matmul", "@"
    keeps = (1, 0)
    rank_a: int
    rank_b: int
    transpose_b: bool

    @override
    def compute(self, a: Any, b: Any) -> Any:
        """A B, or A Bᵀ."""
        return product(a, b.T if self.transpose_b else b)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        b, a = saved
        if self.rank_b == 1:
            g = g[..., None]
            b = None if b is None else b[:, None]
        if self.rank_a == 1:
            g = g[..., None, :]
            a = None if a is None else a[None, :]
        da = db = None
        if b is not None:
            da = product(g, b if self.transpose_b else b.T if self.rank_b == 2 else np.swapaxes(b, -1, -2))
            if self.rank_a == 1:
                da = da[..., 0, :]
        if a is not None:
            if self.rank_b == 2:  # one weight for all batches: one product over all their rows
                if len(a.shape) > 2:
                    rows = math.prod(a.shape[:-1])
                    a = a.reshape((rows, a.shape[-1]))
                    g = g.reshape((rows, g.shape[-1]))
                left, right = (g, a) if self.transpose_b else (a, g)
                db = left.T @ right if isinstance(g, Tensor) else OuterProduct(left, right)
            else:
                db = np.swapaxes(a, -1, -2) @ g
                if self.rank_b == 1:
                    db = db[..., 0]
        return da, db


def product(a: Any, b: Any) -> Any:
    """A B of arrays, as an array; of Tensors, recorded."""
    if isinstance(a, Tensor):
        return matmul(a, b)
    if b.ndim == 2:
        if a.ndim == 2:
            return a.dot(b)  # the same as np.matmul, for less than half its overhead
        if a.ndim > 2 and a.flags.c_contiguous:  # one large product instead of many small ones
            return a.reshape((math.prod(a.shape[:-1]), a.shape[-1])).dot(b).reshape((*a.shape[:-1], b.shape[1]))
    return np.matmul(a, b)


record_matmul = for_one_kind(record)


@implements(np.matmul)
def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product ``a @ b``, with NumPy's rules for vectors and for batches of matrices.

    Args:
        a: (..., M, K) or (K,).
        b: (..., K, N) or (K,).

    Returns:
        (..., M, N), without the axes that belonged to a vector.

    Raises:
        ShapeError: the inner lengths differ, or an operand has no axes.

    >>> W = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    >>> y = Tensor([1.0, 1.0]) @ W.T
    >>> y.numpy(), y.node.label, y.node.transpose_b
    (array([3., 7.]), 'matmul', True)
    """
    if type(a) is not Tensor:
        a = operand(a, "matmul")
    if type(b) is not Tensor:
        b = operand(b, "matmul")
    weights = state.turned if b._wants and state.recording else None  # what is recorded is not written to unseen
    try:
        y = product(a._array, b._array if weights is None else weights.read(a._array, b._array))
    except (ValueError, AttributeError):
        raise ShapeError(
            f"matmul: expected (..., M, K) @ (..., K, N) or vectors (K,), got {a.shape} @ {b.shape}; the last axis of the "
            "first must be as long as the last but one of the second, and neither may be a plain number"
        ) from None
    if not ((a._wants or b._wants) and state.recording):
        return unrecorded(y)
    node = Matmul()
    node.rank_a = a._array.ndim
    node.rank_b = b._array.ndim
    weight = b._node
    kept_a = a.lend(Matmul) if b._wants else None
    if isinstance(weight, Transpose) and weight.of_matrix and weight.saved is not None:
        node.transpose_b = True
        kept_b = b._array.T if a._wants else None
        return record_matmul(node, y, (a._node, weight.sources[0]), (kept_b, kept_a), (a, b))
    node.transpose_b = False
    return record_matmul(node, y, (a._node, weight), (b.lend(Matmul) if a._wants else None, kept_a), (a, b))
