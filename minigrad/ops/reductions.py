"""Sums and means: operations that bring many entries down to few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, ShapeError
from minigrad.flags import flag
from minigrad.graph import OUTPUT, Gradient, Operation
from minigrad.ops.elementwise import values
from minigrad.ops.protocol import implements
from minigrad.ops.shape import reduced_axes
from minigrad.recording import Constant, operand, record
from minigrad.registry import operations
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["mean", "std", "sum", "var"]

numpy: Any = np
"""NumPy where ``keepdims`` is computed: its type stubs know only the literals True and False."""


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

    @property
    def count(self) -> int:
        """How many entries each result was made from."""
        return entries(self.shape_x, self.axes)


def entries(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """The number of entries along ``axes``."""
    n = 1
    for axis in axes:
        n *= shape[axis]
    return n


def nonempty(x: Any, axis: Any, keepdims: Any, label: str) -> tuple[Tensor | Constant, tuple[int, ...], bool]:
    """The operand of a reduction that is not defined for no entries, the axes, and whether they stay in place.

    Raises:
        ArgumentError: there is nothing along ``axis``, or ``keepdims`` is neither True nor False.
    """
    x = operand(x, label)
    axes = reduced_axes(axis, len(x.shape), label)
    if not entries(x.shape, axes):
        along = "" if axis is None else f" along axis {axis!r}"
        raise ArgumentError(f"{label}: expected at least one entry{along}, got shape {x.shape}, which has no {label}")
    return x, axes, flag(keepdims, f"{label}: keepdims")


class Sum(Reduction):
    """y = Σ x over some axes;  ∂L/∂x = g at every summed entry."""

    __slots__ = ()
    label, symbol = "sum", "Σ"

    @override
    def compute(self, x: Any) -> Any:
        """Σ x."""
        return np.sum(x, axis=self.axes).reshape(self.shape)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (np.broadcast_to(self.spread(g), self.shape_x),)


@implements(np.sum)
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum of ``x`` over ``axis`` (None: all; an integer; a tuple); 0 over no entries.

    ``import *`` puts it in the place of Python's sum, so it also adds up the losses in a list or from a generator.

    Raises:
        ShapeError: Tensors in a list are no numbers, so that there are two ways to add them up.

    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0).numpy()
    array([4., 6.])
    >>> sum(Tensor(1.0) / n for n in (1, 2, 4)).item()
    1.75
    """
    x = operand(_together(x) if isinstance(x, list | tuple | Iterator) else x, "sum")
    if keepdims is not False:
        keepdims = flag(keepdims, "sum: keepdims")
    axes = reduced_axes(axis, len(x.shape), "sum")
    y = numpy.add.reduce(x._array, axis=axes, keepdims=keepdims)
    if x._wants and state.recording:
        return record(Sum(axes, x.shape), y, (x._node,), (), (x,))
    return unrecorded(y)


def _together(parts: Any) -> Any:
    """The Tensors of a list, or from a generator, as one; numbers as they are."""
    listed = list(parts)
    if not any(isinstance(part, Tensor) for part in listed):
        return listed
    if any(part.shape for part in listed if isinstance(part, Tensor)):
        raise ShapeError(
            "sum: of Tensors with several entries say what is meant: stack(list).sum(axis=0) adds them entry by entry, "
            "stack(list).sum() adds up all entries"
        )
    return operations.stack(listed)


class Mean(Reduction):
    """y = (1/n) Σ x over some axes, n entries each;  ∂L/∂x = g / n at every entry."""

    __slots__ = ()
    label, symbol = "mean", "mean"

    @override
    def compute(self, x: Any) -> Any:
        """The mean of x."""
        return np.mean(x, axis=self.axes).reshape(self.shape)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (np.broadcast_to(self.spread(g / self.count), self.shape_x),)


@implements(np.mean)
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of ``x`` over ``axis`` (None: all; an integer; a tuple).

    Raises:
        ArgumentError: there is nothing to take the mean of.

    >>> mean(Tensor([1.0, 2.0, 6.0])).item()
    3.0
    """
    x, axes, keepdims = nonempty(x, axis, keepdims, "mean")
    y = numpy.mean(x._array, axis=axes, keepdims=keepdims)
    if x._wants and state.recording:
        return record(Mean(axes, x.shape), y, (x._node,), (), (x,))
    return unrecorded(y)


class Var(Reduction):
    """y = Σ (x − x̄)² / (n − ddof) over some axes, n entries each;  ∂L/∂x = 2 g (x − x̄) / (n − ddof)."""

    __slots__ = ("ddof",)
    ddof: float
    label, symbol = "var", "var"
    keeps: ClassVar[tuple[int, ...]] = (0,)

    def __init__(self, axes: tuple[int, ...], shape_x: tuple[int, ...], ddof: float) -> None:
        super().__init__(axes, shape_x)
        self.ddof = ddof

    @override
    def compute(self, x: Any) -> Any:
        """The variance of x."""
        return np.var(x, axis=self.axes, ddof=self.ddof).reshape(self.shape)

    def deviation(self, x: Any) -> Any:
        """(x − x̄) / (n − ddof)."""
        return (x - x.mean(axis=self.axes, keepdims=True)) / (self.count - self.ddof)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (self.spread(2 * g) * self.deviation(x),)


class Std(Var):
    """y = √var x;  ∂L/∂x = g (x − x̄) / ((n − ddof) y), and 0 where y = 0."""

    __slots__ = ()
    label, symbol = "std", "std"
    keeps = (0, OUTPUT)

    @override
    def compute(self, x: Any) -> Any:
        """The standard deviation of x."""
        return np.std(x, axis=self.axes, ddof=self.ddof).reshape(self.shape)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        x, y = saved
        flat = values(y) == 0
        return (self.spread(np.where(flat, 0, g) / np.where(flat, 1, y)) * self.deviation(x),)


def _freedom(x: Any, axis: Any, ddof: Any, keepdims: Any, label: str) -> tuple[Any, tuple[int, ...], float, bool]:
    x, axes, keepdims = nonempty(x, axis, keepdims, label)
    n = entries(x.shape, axes)
    if isinstance(ddof, bool) or not isinstance(ddof, int | float | np.integer | np.floating) or not 0 <= ddof < n:
        raise ArgumentError(
            f"{label}: expected ddof ≥ 0 and below {n}, the number of entries, got {ddof!r}; n − ddof must be positive"
        )
    return x, axes, float(ddof), keepdims


@implements(np.var)
def var(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """The variance of ``x`` over ``axis``: the mean squared distance from the mean, with n − ``ddof`` for n.

    Args:
        x: any shape.
        axis: None (all), an integer or a tuple.
        ddof: 0 for the variance of the entries, 1 for the unbiased estimate from a sample.
        keepdims: leave the reduced axes in place, at length 1.

    Raises:
        ArgumentError: ``ddof`` is negative, or there are no more than ``ddof`` entries.

    >>> var(Tensor([1.0, 2.0, 6.0])).item()
    4.666666666666667
    """
    x, axes, ddof, keepdims = _freedom(x, axis, ddof, keepdims, "var")
    y = numpy.var(x._array, axis=axes, ddof=ddof, keepdims=keepdims)
    if x._wants and state.recording:
        return record(Var(axes, x.shape, ddof), y, (x._node,), (x.lend(Var),), (x,))
    return unrecorded(y)


@implements(np.std)
def std(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """The standard deviation of ``x`` over ``axis``: √var. Where all entries are equal its gradient is 0.

    Args:
        x: any shape.
        axis: None (all), an integer or a tuple.
        ddof: n − ``ddof`` takes the place of n in the mean of squares.
        keepdims: leave the reduced axes in place, at length 1.

    Raises:
        ArgumentError: ``ddof`` is negative, or there are no more than ``ddof`` entries.

    >>> std(Tensor([1.0, 3.0])).item()
    1.0
    """
    x, axes, ddof, keepdims = _freedom(x, axis, ddof, keepdims, "std")
    y = np.asarray(numpy.std(x._array, axis=axes, ddof=ddof, keepdims=keepdims))
    if x._wants and state.recording:
        return record(Std(axes, x.shape, ddof), y, (x._node,), (x.lend(Std), y), (x,))
    return unrecorded(y)
