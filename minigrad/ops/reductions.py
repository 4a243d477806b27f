"""Operations that bring many entries down to few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.graph import Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.ops.shape import checked_axis
from minigrad.scope import state
from minigrad.tensor import Tensor, operand, record, unrecorded

__all__ = ["mean", "sum"]


class Reduction(Operation):
    """An operation over ``axes`` of its operand, which had the shape ``shape_x``."""

    __slots__ = ("axes", "shape_x")
    axes: tuple[int, ...]
    shape_x: tuple[int, ...]

    def __init__(self, axes: tuple[int, ...], shape_x: tuple[int, ...]) -> None:
        self.axes = axes
        self.shape_x = shape_x

    def spread(self, g: Gradient) -> Gradient:
        """``g`` with the reduced axes back, at length 1."""
        return g.reshape(tuple(1 if axis in self.axes else size for axis, size in enumerate(self.shape_x)))


def checked_axes(axis: Any, ndim: int, where: str) -> tuple[int, ...]:
    """The axes to reduce: all for None, one, or a tuple.

    Raises:
        ArgumentError: an axis is out of range or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(checked_axis(a, ndim, where) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"{where}: expected each axis once, got {axis!r}")
    return axes


class Sum(Reduction):
    """y = Σ x over some axes;  ∂L/∂x = g at every summed entry."""

    __slots__ = ()
    label, symbol = "sum", "Σ"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (np.broadcast_to(self.spread(g), self.shape_x),)


@implements(np.sum)
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum of ``x`` over ``axis`` (None: all; an integer; a tuple).

    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0).numpy()
    array([4., 6.])
    """
    x = operand(x, "sum")
    axes = checked_axes(axis, len(x.shape), "sum")
    y = np.sum(x._data, axis=axes, keepdims=keepdims)
    if x._wants and state.recording:
        return record(Sum(axes, x.shape), y, (x._node,), ())
    return unrecorded(y)


class Mean(Reduction):
    """y = (1/n) Σ x over some axes, n entries each;  ∂L/∂x = g / n at every entry."""

    __slots__ = ()
    label, symbol = "mean", "mean"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        n = 1
        for axis in self.axes:
            n *= self.shape_x[axis]
        return (np.broadcast_to(self.spread(g / max(n, 1)), self.shape_x),)


@implements(np.mean)
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of ``x`` over ``axis`` (None: all; an integer; a tuple).

    Raises:
        ArgumentError: there is nothing to take the mean of.

    >>> mean(Tensor([1.0, 2.0, 6.0])).item()
    3.0
    """
    x = operand(x, "mean")
    axes = checked_axes(axis, len(x.shape), "mean")
    if any(x.shape[a] == 0 for a in axes):
        raise ArgumentError(f"mean: shape {x.shape} has no entries along axis {axis!r}, so there is no mean")
    y = np.mean(x._data, axis=axes, keepdims=keepdims)
    if x._wants and state.recording:
        return record(Mean(axes, x.shape), y, (x._node,), ())
    return unrecorded(y)
