"""The length of vectors, and the product of many numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.flags import flag
from minigrad.graph import OUTPUT, Gradient
from minigrad.ops.arithmetic import multiply
from minigrad.ops.elementwise import values
from minigrad.ops.extremes import max as largest
from minigrad.ops.joining import concatenate
from minigrad.ops.kinks import absolute
from minigrad.ops.protocol import implements
from minigrad.ops.reductions import Reduction
from minigrad.ops.reductions import sum as total
from minigrad.ops.shape import as_tensor, moveaxis, reduced_axes, reshape
from minigrad.recording import operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["norm", "prod"]


class Norm(Reduction):
    """y = √Σ x² over some axes;  ∂L/∂x = g x / y, and 0 where y = 0."""

    __slots__ = ()
    label, symbol = "norm", "‖x‖"
    keeps = (0, OUTPUT)

    @override
    def compute(self, x: Any) -> Any:
        """√Σ x²."""
        return np.sqrt(np.sum(x * x, axis=self.axes)).reshape(self.shape)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        x, y = saved
        flat = values(y) == 0
        return (self.spread(np.where(flat, 0, g) / np.where(flat, 1, y)) * x,)


@implements(np.linalg.norm)
def norm(x: Any, ord: float | str | None = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The length of ``x`` along ``axis``: the square root of the sum of squares, whose gradient is 0 where it is 0.

    Args:
        x: any shape.
        ord: None, 2 or "fro" (of a matrix) for √Σ x², 1 for Σ |x|, ``np.inf`` for max |x|.
        axis: None (all entries, in one long vector), an integer or, unless ``ord`` is given, a tuple.
        keepdims: leave the reduced axes in place, at length 1.

    Raises:
        ArgumentError: another ``ord``; or one of a matrix, which is another norm.

    >>> norm(Tensor([[3.0, 4.0], [0.0, 0.0]]), axis=1).numpy()
    array([5., 0.])
    """
    x = operand(x, "norm")
    axes, keepdims = reduced_axes(axis, len(x.shape), "norm"), flag(keepdims, "norm: keepdims")
    if ord is not None and not (isinstance(ord, str) and ord == "fro" and len(axes) == 2):
        if isinstance(ord, bool) or not isinstance(ord, int | float) or ord not in (1, 2, np.inf):
            raise ArgumentError(f"norm: expected ord None, 1, 2 or np.inf, got {ord!r:.60}")
        if len(axes) > 1:
            raise ArgumentError(
                f"norm: ord={ord!r} over {len(axes)} axes is a norm of matrices, which is not here; without ord it is the "
                "square root of the sum of all squares. Of each row or column take axis="
            )
        if ord == 1:
            return total(absolute(x), axes, keepdims)
        if ord == np.inf:
            return largest(absolute(x), axes, keepdims)
    entries: Any = np.asarray(x._array)
    entries = entries if entries.dtype.kind == "f" else entries.astype(np.float64)
    y = np.sqrt((entries * entries).sum(axis=axes, keepdims=keepdims))
    if x._wants and state.recording:
        return record(Norm(axes, x.shape), y, (x._node,), (x.lend(Norm), np.asarray(y)), (x,))
    return unrecorded(y)


@implements(np.prod)
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The product of the entries of ``x`` over ``axis`` (None: all; an integer; a tuple); 1 over no entries.

    It is recorded as products of halves, so each entry's derivative is the product of all others, also where some are 0.

    Raises:
        ArgumentError: there is no such axis.

    >>> x = Tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> prod(x).backward()
    >>> x.grad
    array([0., 6., 0.])
    """
    x = as_tensor(x, "prod")
    axes, keepdims = reduced_axes(axis, x.ndim, "prod"), flag(keepdims, "prod: keepdims")
    rest = [size for k, size in enumerate(x.shape) if k not in axes]
    shape = tuple(1 if k in axes else size for k, size in enumerate(x.shape)) if keepdims else tuple(rest)
    n = math.prod(x.shape[k] for k in axes)
    if not n:
        return total(x, axes, keepdims) + 1
    rows = reshape(moveaxis(x, axes, tuple(range(len(axes)))), (n, *rest))
    while len(rows) > 1:
        half = len(rows) // 2
        left_over = [rows[2 * half :]] if len(rows) % 2 else []
        rows = concatenate([multiply(rows[:half], rows[half : 2 * half]), *left_over])
    return reshape(rows, shape)
