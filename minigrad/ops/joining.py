"""Putting tensors together and cutting them apart: each is the derivative of the other."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.arguments import several
from minigrad.errors import DTypeError, ShapeError
from minigrad.graph import Gradient, Leaf, Operation
from minigrad.ops.indexing import cut, entry, piece, pieces
from minigrad.ops.protocol import implements
from minigrad.ops.shape import as_tensor, checked_axis, ravel, reshape
from minigrad.recording import operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["concatenate", "hstack", "split", "stack", "unbind", "vstack"]


class Concatenate(Operation):
    """y = [x₁, x₂, …] along an axis;  ∂L/∂xₖ = the part of g where xₖ lies."""

    __slots__ = ("axis", "bounds")
    axis: int
    bounds: list[tuple[int, int]]
    label, symbol = "concatenate", "[ , ]"

    @override
    def compute(self, *parts: Any) -> Any:
        """The parts one after the other."""
        return np.concatenate(parts, axis=self.axis)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        before = (slice(None),) * self.axis
        return [g[(*before, slice(start, stop))] for start, stop in self.bounds]


class Joined(Leaf):
    """[x₁, x₂, …] of constants of which some have names: it needs no gradient, but a picture can tell what is in it."""

    __slots__ = ()
    label, symbol = Concatenate.label, Concatenate.symbol


def _operands(tensors: Any, where: str) -> list[Any]:
    if isinstance(tensors, Tensor):
        tensors = list(tensors)
    parts = [operand(t, where) for t in several(tensors, where, "a sequence of tensors")]
    if not parts:
        raise ShapeError(f"{where}: expected at least one tensor, got an empty sequence")
    return parts


@implements(np.concatenate, parameters=("arrays", "axis", "out"))
def concatenate(tensors: Any, axis: int | None = 0) -> Tensor:
    """The tensors one after the other along an existing axis; None flattens each first.

    Raises:
        ShapeError: their shapes differ on another axis, or there is none.

    >>> h, x = Tensor([[1.0, 2.0]]), Tensor([[3.0]])
    >>> concatenate([h, x], axis=-1).numpy()
    array([[1., 2., 3.]])
    """
    parts = _operands(tensors, "concatenate")
    if axis is None:
        return _joined([ravel(part) for part in parts], 0, "concatenate")
    return _joined(parts, axis, "concatenate")


def _joined(parts: list[Any], axis: int, where: str) -> Tensor:
    shapes = [part.shape for part in parts]
    if () in shapes:
        raise ShapeError(f"{where}: a tensor of shape () has no axis to join along; use stack, or reshape it to (1,)")
    axis = checked_axis(axis, len(shapes[0]), where)
    if any(shape[:axis] + shape[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for shape in shapes):
        raise ShapeError(f"{where}: shapes must be equal except along axis {axis}, got {shapes}")
    y = np.concatenate([part._array for part in parts], axis=axis)
    if not (any(part._wants for part in parts) and state.recording):
        return _remembered(unrecorded(y), parts)
    node = Concatenate()
    node.axis = axis
    stops = np.cumsum([shape[axis] for shape in shapes]).tolist()
    node.bounds = list(zip([0, *stops[:-1]], stops, strict=True))
    return record(node, y, tuple(part._node for part in parts), (), parts)


def _remembered(result: Tensor, parts: list[Any]) -> Tensor:
    """``result``, which within a time step remembers the constants with names that it was made of."""
    if state.recording and state.place.time is not None:
        inputs = tuple(None if part._node is None or part._node.sources else part._node for part in parts)
        if any(inputs):
            result._node = Joined(result.shape, result.dtype, False)
            result._node.sources = inputs
    return result


def _at_least(ndim: int, tensors: Any, where: str) -> list[Tensor]:
    """The tensors, those with fewer axes than ``ndim`` seen as rows."""
    parts = [as_tensor(part, where) for part in _operands(tensors, where)]
    return [reshape(part, (1,) * (ndim - part.ndim) + part.shape) for part in parts]


@implements(np.vstack)
def vstack(tensors: Any) -> Tensor:
    """The tensors one below the other; vectors count as rows.

    >>> vstack([Tensor([1.0, 2.0]), Tensor([[3.0, 4.0]])]).shape
    (2, 2)
    """
    return _joined(_at_least(2, tensors, "vstack"), 0, "vstack")


@implements(np.hstack)
def hstack(tensors: Any) -> Tensor:
    """The tensors side by side: along the second axis, or end to end if they are vectors.

    >>> hstack([Tensor([[1.0], [2.0]]), Tensor([[3.0], [4.0]])]).shape
    (2, 2)
    """
    parts = _at_least(1, tensors, "hstack")
    return _joined(parts, 0 if parts[0].ndim == 1 else 1, "hstack")


class Stack(Operation):
    """y = (x₁, x₂, …) along a new axis;  ∂L/∂xₖ = the k-th part of g."""

    __slots__ = ("axis",)
    axis: int
    label, symbol = "stack", "stack"

    @override
    def compute(self, *parts: Any) -> Any:
        """The parts along a new axis."""
        return np.stack(parts, self.axis)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        before = (slice(None),) * self.axis
        return [g[(*before, k)] for k in range(len(self.sources))]


@implements(np.stack)
def stack(tensors: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis: T states (B, H) become (T, B, H).

    Raises:
        ShapeError: the shapes differ, or there is no tensor.

    >>> stack([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])]).shape
    (2, 2)
    """
    parts = _operands(tensors, "stack")
    shape = parts[0].shape
    if len({part.shape for part in parts}) > 1:
        raise ShapeError(f"stack: all shapes must be equal, got {[part.shape for part in parts]}")
    axis = checked_axis(axis, len(shape) + 1, "stack")
    arrays = [part._array for part in parts]
    if axis == 0 and shape:
        y = np.concatenate(arrays).reshape(len(arrays), *shape)  # the same as np.stack, for a third of its overhead
    else:
        y = np.stack(arrays, axis=axis)
    if not (any(part._wants for part in parts) and state.recording):
        return unrecorded(y)
    node = Stack()
    node.axis = axis
    return record(node, y, tuple(part._node for part in parts), (), parts)


@implements(np.split)
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """``x`` cut along an axis into equal parts, or at the given places.

    Raises:
        ShapeError: the axis cannot be cut into that many equal parts.
        DTypeError: the places are not integers.

    >>> [part.shape for part in split(Tensor([[1.0, 2.0, 3.0, 4.0]]), 2, axis=-1)]
    [(1, 2), (1, 2)]
    """
    x = as_tensor(x, "split")
    shape = x._array.shape
    axis = checked_axis(axis, len(shape), "split")
    length = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        count = int(indices_or_sections)
        if count < 1 or length % count:
            raise ShapeError(f"split: axis {axis} of shape {shape} cannot be cut into {count} equal parts")
        size = length // count
        return cut(x, pieces(axis, size, count))
    cuts = _places(indices_or_sections)
    bounds = [slice(start, stop).indices(length)[:2] for start, stop in zip([0, *cuts], [*cuts, length], strict=True)]
    return cut(x, [piece(axis, start, max(start, stop)) for start, stop in bounds])


def _places(cuts: Any) -> list[int]:
    try:
        if isinstance(cuts, str | bytes | Mapping | Set):
            raise TypeError
        return [operator.index(cut) for cut in cuts]
    except TypeError:
        raise DTypeError(f"split: expected a number of parts or a sequence of integers, got {cuts!r}") from None


@implements(*([np.unstack] if hasattr(np, "unstack") else []))
def unbind(x: Any, axis: int = 0) -> list[Tensor]:
    """The parts of ``x`` along an axis, which disappears: (T, B, D) gives T tensors (B, D).

    >>> [row.tolist() for row in unbind(Tensor([[1.0, 2.0], [3.0, 4.0]]))]
    [[1.0, 2.0], [3.0, 4.0]]
    """
    x = as_tensor(x, "unbind")
    axis = checked_axis(axis, len(x.shape), "unbind")
    return cut(x, [entry(axis, k) for k in range(x.shape[axis])])
