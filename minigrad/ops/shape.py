"""Operations that arrange entries anew: none changes a value, so each derivative is the arrangement undone."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.scope import state
from minigrad.tensor import Tensor, operand, record, unrecorded

__all__ = [
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "transpose",
    "unbind",
]


class View(Operation):
    """An operation whose result shares the memory of its operand: it holds on to a leaf's array so that no one may
    change it meanwhile."""

    __slots__ = ("loan",)
    loan: Any


def record_view(node: View, y: Any, x: Any) -> Tensor:
    """The result of a view operation on ``x``, which is recorded if ``x`` needs a gradient."""
    if x._wants and state.recording:
        node.loan = x.lend(type(node)) if x._node.is_leaf else None
        return record(node, y, (x._node,), ())
    return unrecorded(y)


def checked_axis(axis: Any, ndim: int, where: str) -> int:
    """``axis`` counted from the front.

    Raises:
        ArgumentError: it is not an integer from −ndim to ndim − 1.
    """
    try:
        number = operator.index(axis)
    except TypeError:
        raise ArgumentError(f"{where}: expected an integer axis, got {axis!r}") from None
    if not -ndim <= number < ndim:
        raise ArgumentError(f"{where}: expected an axis from {-ndim} to {ndim - 1}, got {number}")
    return number % ndim


class Reshape(View):
    """y = x in another shape;  ∂L/∂x = g in the shape of x."""

    __slots__ = ("shape_x",)
    shape_x: tuple[int, ...]
    label, symbol = "reshape", "reshape"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g.reshape(self.shape_x),)


@implements(np.reshape)
def reshape(x: Any, shape: Any) -> Tensor:
    """The entries of ``x``, in order, in another shape; one length may be −1 and is then found.

    Raises:
        ShapeError: the number of entries differs.

    >>> reshape(Tensor([1.0, 2.0, 3.0, 4.0]), (2, -1)).shape
    (2, 2)
    """
    x = operand(x, "reshape")
    try:
        y = np.asarray(x._data).reshape(shape)
    except (ValueError, TypeError):
        raise ShapeError(f"reshape: {np.size(x._data)} entries of shape {x.shape} do not fit into {shape!r}") from None
    node = Reshape()
    node.shape_x = x.shape
    return record_view(node, y, x)


class Transpose(View):
    """y = x with its axes in another order;  ∂L/∂x = g with its axes in the old order."""

    __slots__ = ("axes", "of_matrix")
    axes: tuple[int, ...] | None
    of_matrix: bool
    label, symbol = "transpose", "ᵀ"

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
    if type(x) is not Tensor:
        x = operand(x, "transpose")
    node = Transpose()
    node.axes = None
    if axes is not None:
        node.axes = tuple(checked_axis(axis, len(x.shape), "transpose") for axis in axes)
        if sorted(node.axes) != list(range(len(x.shape))):
            raise ArgumentError(f"transpose: expected each of the {len(x.shape)} axes once, got {tuple(axes)}")
    y = x._data.T if node.axes is None else x._data.transpose(node.axes)
    node.of_matrix = y.ndim == 2 and node.axes in (None, (1, 0))
    return record_view(node, y, x)


@implements(np.swapaxes)
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged."""
    x = operand(x, "swapaxes")
    axes = list(range(len(x.shape)))
    first, second = (checked_axis(axis, len(axes), "swapaxes") for axis in (axis1, axis2))
    axes[first], axes[second] = axes[second], axes[first]
    return transpose(x, axes)


@implements(np.expand_dims)
def expand_dims(x: Any, axis: int) -> Tensor:
    """``x`` with a new axis of length 1 at ``axis``."""
    x = operand(x, "expand_dims")
    place = checked_axis(axis, len(x.shape) + 1, "expand_dims")
    return reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


@implements(np.squeeze)
def squeeze(x: Any, axis: int | None = None) -> Tensor:
    """``x`` without its axes of length 1, or without that one.

    Raises:
        ShapeError: the named axis is longer than 1.
    """
    x = operand(x, "squeeze")
    if axis is None:
        return reshape(x, tuple(size for size in x.shape if size != 1))
    place = checked_axis(axis, len(x.shape), "squeeze")
    if x.shape[place] != 1:
        raise ShapeError(f"squeeze: axis {axis} of shape {x.shape} has length {x.shape[place]}, not 1")
    return reshape(x, x.shape[:place] + x.shape[place + 1 :])


class BroadcastTo(View):
    """y = x stretched to a larger shape;  ∂L/∂x = g summed over the stretched axes."""

    __slots__ = ()
    label, symbol = "broadcast_to", "broadcast"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g,)


@implements(np.broadcast_to)
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """``x`` repeated along new axes and axes of length 1 until it has ``shape``.

    Raises:
        ShapeError: ``x`` cannot be stretched to ``shape``.
    """
    x = operand(x, "broadcast_to")
    try:
        y = np.broadcast_to(x._data, shape)
    except (ValueError, TypeError):
        raise ShapeError(f"broadcast_to: shape {x.shape} cannot be stretched to {shape!r}") from None
    return record_view(BroadcastTo(), y, x)


class Concatenate(Operation):
    """y = [x₁, x₂, …] along an axis;  ∂L/∂xₖ = the part of g where xₖ lies."""

    __slots__ = ("axis", "bounds")
    axis: int
    bounds: list[tuple[int, int]]
    label, symbol = "concatenate", "[ , ]"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        before = (slice(None),) * self.axis
        return [g[(*before, slice(start, stop))] for start, stop in self.bounds]


def _operands(tensors: Any, where: str) -> list[Any]:
    if isinstance(tensors, Tensor):
        tensors = list(tensors)
    try:
        parts = [operand(t, where) for t in tensors]
    except TypeError as error:
        raise ShapeError(f"{where}: expected a sequence of tensors ({error})") from None
    if not parts:
        raise ShapeError(f"{where}: expected at least one tensor, got an empty sequence")
    return parts


@implements(np.concatenate)
def concatenate(tensors: Any, axis: int = 0) -> Tensor:
    """The tensors one after the other along an existing axis.

    Raises:
        ShapeError: their shapes differ on another axis, or there is none.

    >>> h, x = Tensor([[1.0, 2.0]]), Tensor([[3.0]])
    >>> concatenate([h, x], axis=-1).numpy()
    array([[1., 2., 3.]])
    """
    parts = _operands(tensors, "concatenate")
    shapes = [part.shape for part in parts]
    axis = checked_axis(axis, len(shapes[0]), "concatenate")
    if any(shape[:axis] + shape[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for shape in shapes):
        raise ShapeError(f"concatenate: shapes must be equal except along axis {axis}, got {shapes}")
    y = np.concatenate([part._data for part in parts], axis=axis)
    if not (any(part._wants for part in parts) and state.recording):
        return unrecorded(y)
    node = Concatenate()
    node.axis = axis
    stops = np.cumsum([shape[axis] for shape in shapes]).tolist()
    node.bounds = list(zip([0, *stops[:-1]], stops, strict=True))
    return record(node, y, tuple(part._node for part in parts), ())


class Stack(Operation):
    """y = (x₁, x₂, …) along a new axis;  ∂L/∂xₖ = the k-th part of g."""

    __slots__ = ("axis",)
    axis: int
    label, symbol = "stack", "stack"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        before = (slice(None),) * self.axis
        return [g[(*before, k)] for k in range(len(self.inputs))]


@implements(np.stack)
def stack(tensors: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis: T states (B, H) become (T, B, H).

    Raises:
        ShapeError: the shapes differ, or there is no tensor.

    >>> stack([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])]).shape
    (2, 2)
    """
    parts = _operands(tensors, "stack")
    shapes = [part.shape for part in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise ShapeError(f"stack: all shapes must be equal, got {shapes}")
    axis = checked_axis(axis, len(shapes[0]) + 1, "stack")
    y = np.stack([part._data for part in parts], axis=axis)
    if not (any(part._wants for part in parts) and state.recording):
        return unrecorded(y)
    node = Stack()
    node.axis = axis
    return record(node, y, tuple(part._node for part in parts), ())


@implements(np.split)
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """``x`` cut along an axis into equal parts, or at the given places.

    Raises:
        ShapeError: the axis cannot be cut into that many equal parts.

    >>> [part.shape for part in split(Tensor([[1.0, 2.0, 3.0, 4.0]]), 2, axis=-1)]
    [(1, 2), (1, 2)]
    """
    from minigrad.ops.indexing import part

    x = operand(x, "split")
    axis = checked_axis(axis, len(x.shape), "split")
    length = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        count = int(indices_or_sections)
        if count < 1 or length % count:
            raise ShapeError(f"split: axis {axis} of shape {x.shape} cannot be cut into {count} equal parts")
        cuts = [length // count * k for k in range(1, count)]
    else:
        cuts = [operator.index(cut) for cut in indices_or_sections]
    return [part(x, axis, start, stop) for start, stop in zip([0, *cuts], [*cuts, length], strict=True)]


def unbind(x: Any, axis: int = 0) -> list[Tensor]:
    """The parts of ``x`` along an axis, which disappears: (T, B, D) gives T tensors (B, D).

    >>> [row.tolist() for row in unbind(Tensor([[1.0, 2.0], [3.0, 4.0]]))]
    [[1.0, 2.0], [3.0, 4.0]]
    """
    from minigrad.ops.indexing import part

    x = operand(x, "unbind")
    axis = checked_axis(axis, len(x.shape), "unbind")
    return [part(x, axis, k, None) for k in range(x.shape[axis])]
