"""Operations that see the same entries in another shape: each derivative sees g in the old one."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.recording import Constant, for_one_kind, operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["broadcast_to", "expand_dims", "moveaxis", "ravel", "reshape", "squeeze", "swapaxes", "transpose"]


class View(Operation):
    """An operation whose result may share the memory of its operand."""

    __slots__ = ()


def record_view(node: View, y: Any, x: Any) -> Tensor:
    """The result of a view operation on ``x``, which is recorded if ``x`` needs a gradient."""
    if x._wants and state.recording:
        return record(node, y, (x._node,), (), (x,))
    return unrecorded(y if type(x) is not Constant else y.copy())


def as_tensor(x: Any, where: str) -> Tensor:
    """``x`` itself if it is a Tensor; anything else copied into one."""
    return x if isinstance(x, Tensor) else unrecorded(np.array(operand(x, where)._array))


def checked_axis(axis: Any, ndim: int, where: str) -> int:
    """``axis`` counted from the front.

    Raises:
        ArgumentError: it is not an integer from −ndim to ndim − 1.
    """
    if type(axis) is not int:
        try:
            if isinstance(axis, bool):
                raise TypeError
            axis = operator.index(axis)
        except TypeError:
            raise ArgumentError(f"{where}: expected an integer axis, got {axis!r}") from None
    if not -ndim <= axis < ndim:
        allowed = f"an axis from {-ndim} to {ndim - 1}" if ndim else "no axis, since the shape is ()"
        raise ArgumentError(f"{where}: expected {allowed}, got {axis}")
    number: int = axis % ndim
    return number


def checked_axes(axis: Any, ndim: int, where: str) -> tuple[int, ...]:
    """The axes that ``axis`` names: all for None, one, or several.

    Raises:
        ArgumentError: an axis is out of range or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(checked_axis(a, ndim, where) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"{where}: expected each axis once, got {axis!r}")
    return axes


def reduced_axes(axis: Any, ndim: int, where: str) -> tuple[int, ...]:
    """As `checked_axes`; a single number has, as in NumPy, an axis 0 (or −1) of its own to reduce, which changes nothing."""
    return () if not ndim and type(axis) is int and axis in (0, -1) else checked_axes(axis, ndim, where)


class Reshape(View):
    """y = x in another shape;  ∂L/∂x = g in the shape of x."""

    __slots__ = ("shape_x",)
    shape_x: tuple[int, ...]
    label, symbol = "reshape", "reshape"

    @override
    def compute(self, x: Any) -> Any:
        """The entries of x in the shape of the result."""
        return x.reshape(self.shape)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g.reshape(self.shape_x),)


@implements(np.reshape)
def reshape(x: Any, shape: Any) -> Tensor:
    """The entries of ``x``, in order, in another shape; one length may be −1 and is then found.

    Raises:
        ShapeError: the number of entries differs, a length is below −1, or several are −1.

    >>> reshape(Tensor([1.0, 2.0, 3.0, 4.0]), (2, -1)).shape
    (2, 2)
    """
    x = operand(x, "reshape")
    if shape is None:
        raise ShapeError("reshape: expected a shape, got None; for one axis write −1")
    lengths = [n for n in (shape if isinstance(shape, tuple | list) else (shape,)) if isinstance(n, int | np.integer)]
    if any(n < -1 for n in lengths) or lengths.count(-1) > 1:
        raise ShapeError(f"reshape: expected lengths ≥ 0, or −1 for one that is to be found, got {shape!r}")
    try:
        y = np.asarray(x._array).reshape(shape)
    except (ValueError, TypeError):
        raise ShapeError(f"reshape: {np.size(x._array)} entries of shape {x.shape} do not fit into {shape!r}") from None
    node = Reshape()
    node.shape_x = x.shape
    return record_view(node, y, x)


@implements(np.ravel)
def ravel(x: Any) -> Tensor:
    """All entries of ``x``, in order, along one axis.

    >>> ravel(Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy()
    array([1., 2., 3., 4.])
    """
    return reshape(as_tensor(x, "ravel"), -1)


@implements(np.expand_dims)
def expand_dims(x: Any, axis: Any) -> Tensor:
    """``x`` with a new axis of length 1 at ``axis`` (one, or several, as counted in the result).

    >>> expand_dims(Tensor([1.0, 2.0]), -1).shape
    (2, 1)
    """
    x = operand(x, "expand_dims")
    new = axis if isinstance(axis, tuple | list) else (axis,)
    places = checked_axes(tuple(new), len(x.shape) + len(new), "expand_dims")
    lengths = iter(x.shape)
    return reshape(x, tuple(1 if k in places else next(lengths) for k in range(len(x.shape) + len(new))))


@implements(np.squeeze)
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """``x`` without its axes of length 1, or without those that are named.

    Raises:
        ShapeError: a named axis is longer than 1.

    >>> squeeze(Tensor([[[1.0, 2.0]]]), axis=0).shape
    (1, 2)
    """
    x = operand(x, "squeeze")
    if axis is None:
        return reshape(x, tuple(size for size in x.shape if size != 1))
    places = checked_axes(axis, len(x.shape), "squeeze")
    for place in places:
        if x.shape[place] != 1:
            raise ShapeError(f"squeeze: axis {place} of shape {x.shape} has length {x.shape[place]}, not 1")
    return reshape(x, tuple(size for k, size in enumerate(x.shape) if k not in places))


class Transpose(View):
    """y = x with its axes in another order;  ∂L/∂x = g with its axes in the old order."""

    __slots__ = ("axes", "of_matrix")
    axes: tuple[int, ...] | None
    of_matrix: bool
    label, symbol = "transpose", "ᵀ"

    @override
    def compute(self, x: Any) -> Any:
        """x with its axes in another order."""
        return np.transpose(x, self.axes)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (np.transpose(g, None if self.axes is None else tuple(np.argsort(self.axes))),)


@implements(np.transpose)
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """``x`` with its axes in the order ``axes`` (default: reversed).

    Raises:
        ArgumentError: ``axes`` does not name every axis once.

    >>> transpose(Tensor(np.zeros((2, 3, 4))), (1, 0, 2)).shape
    (3, 2, 4)
    """
    if axes is None and isinstance(x, Tensor):
        return x.T
    x = operand(x, "transpose")
    node = Transpose()
    node.axes = None
    if axes is not None:
        node.axes = checked_axes(tuple(axes) if isinstance(axes, Sequence) else axes, len(x.shape), "transpose")
        if len(node.axes) != len(x.shape):
            two = f"; to exchange two of them, swapaxes{node.axes}" if len(node.axes) == 2 else ""
            raise ArgumentError(f"transpose: expected each of the {len(x.shape)} axes once, got {axes!r}{two}")
    y = np.transpose(x._array, node.axes)
    node.of_matrix = node.axes == (1, 0)
    return record_view(node, y, x)


record_reversed = for_one_kind(record)


def reversed_axes(x: Tensor) -> Tensor:
    """``x.T``: a weight's at every step, so it is worth a way of its own."""
    y = x._array.T
    if not (x._wants and state.recording):
        return unrecorded(y)
    node = Transpose()
    node.axes = None
    node.of_matrix = y.ndim == 2
    return record_reversed(node, y, (x._node,), (), (x,))


@implements(np.swapaxes)
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged.

    >>> swapaxes(Tensor(np.zeros((2, 3, 4))), 0, -1).shape
    (4, 3, 2)
    """
    x = operand(x, "swapaxes")
    axes = list(range(len(x.shape)))
    first, second = (checked_axis(axis, len(axes), "swapaxes") for axis in (axis1, axis2))
    axes[first], axes[second] = axes[second], axes[first]
    return transpose(x, axes)


@implements(np.moveaxis)
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """``x`` with the axes ``source`` (one or several) moved to ``destination``; the others keep their order.

    Raises:
        ArgumentError: the two do not name equally many axes, each once.

    >>> moveaxis(Tensor(np.zeros((2, 3, 4))), 0, -1).shape
    (3, 4, 2)
    """
    x = operand(x, "moveaxis")
    ndim = len(x.shape)
    taken, placed = (checked_axes(axes, ndim, "moveaxis") for axes in (source, destination))
    if len(taken) != len(placed):
        raise ArgumentError(f"moveaxis: expected as many sources as destinations, got {source!r} and {destination!r}")
    target = dict(zip(placed, taken, strict=True))
    others = iter(axis for axis in range(ndim) if axis not in taken)
    return transpose(x, [target[k] if k in target else next(others) for k in range(ndim)])


class BroadcastTo(View):
    """y = x stretched to a larger shape;  ∂L/∂x = g summed over the stretched axes."""

    __slots__ = ()
    label, symbol = "broadcast_to", "broadcast"

    @override
    def compute(self, x: Any) -> Any:
        """x stretched to the shape of the result."""
        return np.broadcast_to(x, self.shape)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g,)


@implements(np.broadcast_to)
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """``x`` repeated along new axes and axes of length 1 until it has ``shape``.

    Raises:
        ShapeError: ``x`` cannot be stretched to ``shape``.

    >>> broadcast_to(Tensor([[1.0], [2.0]]), (2, 2)).numpy()
    array([[1., 1.],
           [2., 2.]])
    """
    x = operand(x, "broadcast_to")
    try:
        y = np.broadcast_to(x._array, shape)
    except (ValueError, TypeError):
        raise ShapeError(f"broadcast_to: shape {x.shape} cannot be stretched to {shape!r}") from None
    return record_view(BroadcastTo(), y, x)
