"""Larger tensors from smaller ones: padding, repeating, tiling, and turning round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.arguments import fitting_memory
from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.casting import copy
from minigrad.ops.indexing import GetItem
from minigrad.ops.protocol import implements
from minigrad.ops.shape import checked_axes, checked_axis, ravel, record_view
from minigrad.recording import operand, plain, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["flip", "pad", "repeat", "tile"]


class Pad(Operation):
    """y = x with constants around it;  ∂L/∂x = g inside the frame."""

    __slots__ = ("inside",)
    inside: tuple[slice, ...]
    label, symbol = "pad", "pad"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g[self.inside],)


@implements(np.pad)
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    """``x`` in a frame of constants.

    Args:
        x: any shape.
        pad_width: how many entries to add: one integer for every side of every axis, (before, after) for every axis, or
            a pair for each axis.
        mode: ``"constant"``, the only one there is.
        constant_values: the number to fill in, or numbers arranged like ``pad_width``.

    Raises:
        ArgumentError: another mode, or a negative or fractional width.
        ShapeError: ``pad_width`` or ``constant_values`` does not fit the number of axes.

    >>> pad(Tensor([1.0, 2.0]), (1, 2)).numpy()
    array([0., 1., 2., 0., 0.])
    """
    x = operand(x, "pad")
    if not isinstance(mode, str) or mode != "constant":
        raise ArgumentError(f"pad: expected mode 'constant', got {mode!r:.60}")
    if isinstance(constant_values, Tensor) and constant_values.requires_grad:
        raise DTypeError("pad: constant_values gets no gradient; pass .detach(), or put the parts together with concatenate")
    widths = _pairs(pad_width, len(x.shape), "pad_width")
    if widths.dtype.kind not in "iu" or (widths < 0).any():
        raise ArgumentError(f"pad: expected widths that are integers ≥ 0, got {pad_width!r}")
    if not x.shape:
        return copy(x)
    filling = _pairs(constant_values, len(x.shape), "constant_values")
    with fitting_memory(f"pad: {x.shape} and {pad_width!r:.60} numbers"):
        y = np.pad(x._array, widths, constant_values=filling)
    if not (x._wants and state.recording):
        return unrecorded(y)
    node = Pad()
    node.inside = tuple(slice(int(before), int(before) + size) for (before, _), size in zip(widths, x.shape, strict=True))
    return record(node, y, (x._node,), ())


def _pairs(what: Any, ndim: int, name: str) -> Any:
    try:
        return np.broadcast_to(np.asarray(operand(what, f"pad, {name}")._array), (ndim, 2))
    except ValueError:
        raise ShapeError(f"pad: {name} {what!r} does not give (before, after) for {ndim} axes") from None


class Flip(GetItem):
    """y = x in reverse order along some axes;  ∂L/∂x = g in reverse order along them."""

    __slots__ = ()
    label, symbol = "flip", "flip"


@implements(np.flip)
def flip(x: Any, axis: Any = None) -> Tensor:
    """``x`` in reverse order along ``axis`` (None: all; an integer; a tuple).

    >>> flip(Tensor([1.0, 2.0, 3.0])).numpy()
    array([3., 2., 1.])
    """
    x = operand(x, "flip")
    axes = checked_axes(axis, len(x.shape), "flip")
    node = Flip()
    node.index = tuple(slice(None, None, -1 if k in axes else None) for k in range(len(x.shape)))
    node.exact = True
    return record_view(node, np.asarray(x._array)[node.index], x)


class Repeat(GetItem):
    """y = each xₖ several times in a row;  ∂L/∂xₖ = the sum of g over its repetitions."""

    __slots__ = ()
    label, symbol = "repeat", "repeat"


@implements(np.repeat)
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Every entry along ``axis`` several times in a row; None flattens first.

    Args:
        x: any shape.
        repeats: how often: one integer, or one for each entry along the axis.
        axis: the axis to repeat along.

    Raises:
        ArgumentError: ``repeats`` is not made of integers ≥ 0.
        ShapeError: ``repeats`` has another length than the axis.

    >>> repeat(Tensor([1.0, 2.0]), [1, 3]).numpy()
    array([1., 2., 2., 2.])
    """
    x = operand(x, "repeat")
    if axis is None:
        x, axis = ravel(x), 0
    axis = checked_axis(axis, len(x.shape), "repeat")
    counts = _whole(repeats, "repeat", "repeats")
    length = x.shape[axis]
    if counts.size not in (1, length):
        raise ShapeError(f"repeat: expected one number or {length}, one for each entry along axis {axis}, got {repeats!r}")
    node = Repeat()
    with fitting_memory(f"repeat: {repeats!r:.60} times {x.shape} numbers"):
        node.index = (*(slice(None),) * axis, np.repeat(np.arange(length), counts))
        y = np.repeat(x._array, counts, axis)
    node.exact = False
    return record_view(node, y, x)


def _whole(numbers: Any, where: str, name: str) -> Any:
    """A number or a row of integers ≥ 0."""
    array = plain(numbers, where)
    if not array.size:
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu" or array.ndim > 1 or (array < 0).any():
        raise ArgumentError(f"{where}: expected {name} that are integers ≥ 0, got {numbers!r}")
    return array


class Tile(Operation):
    """y = copies of x side by side along each axis;  ∂L/∂x = the sum of g over the copies."""

    __slots__ = ("parts", "shape_x")
    parts: tuple[int, ...]
    shape_x: tuple[int, ...]
    label, symbol = "tile", "tile"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        copies = g.reshape(self.parts).sum(axis=tuple(range(0, len(self.parts), 2)))
        return (copies.reshape(self.shape_x),)


@implements(np.tile)
def tile(x: Any, reps: Any) -> Tensor:
    """Copies of ``x`` side by side: ``reps`` of them along each axis (an integer counts for the last axis).

    Raises:
        ArgumentError: ``reps`` is not made of integers ≥ 0.

    >>> tile(Tensor([1.0, 2.0]), (2, 2)).numpy()
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]])
    """
    x = operand(x, "tile")
    counts = np.atleast_1d(_whole(reps, "tile", "reps")).tolist()
    shape = (1,) * (len(counts) - len(x.shape)) + x.shape
    counts = [1] * (len(shape) - len(counts)) + counts
    with fitting_memory(f"tile: {reps!r:.60} times {x.shape} numbers"):
        y = np.tile(x._array, counts)
    if not (x._wants and state.recording):
        return unrecorded(y)
    node = Tile()
    node.shape_x = x.shape
    node.parts = tuple(length for pair in zip(counts, shape, strict=True) for length in pair)
    return record(node, y, (x._node,), ())
