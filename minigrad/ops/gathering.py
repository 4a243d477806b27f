"""Looking entries up by integer arrays: take, take_along_axis, and rows of an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import DTypeError, IndexingError, ShapeError
from minigrad.guard import Array
from minigrad.ops.indexing import GetItem, is_traced, lookup
from minigrad.ops.protocol import implements
from minigrad.ops.shape import checked_axis, ravel, record_view
from minigrad.recording import operand, plain
from minigrad.tensor import Tensor

__all__ = ["embedding", "take", "take_along_axis"]


class Take(GetItem):
    """yₖ = x[indexₖ] along an axis;  ∂L/∂x = g added where each entry was taken from."""

    __slots__ = ()
    label, symbol = "take", "take"


class TakeAlongAxis(GetItem):
    """y[i, k, j] = x[i, index[i, k, j], j];  ∂L/∂x = g added where each entry was taken from."""

    __slots__ = ()
    label, symbol = "take_along_axis", "take"


class Embedding(GetItem):
    """y = rows E[id];  ∂L/∂E = g added to the row that each came from, once for every time it was looked up."""

    __slots__ = ()
    label, symbol = "embedding", "E[ ]"


def integers(index: Any, where: str) -> Array:
    """A copy of an array of integers.

    Raises:
        DTypeError: it is not made of integers.
        ShapeError: it is a ragged list.
    """
    array = np.array(plain(index, where))
    if not array.size and array.dtype.kind == "f":
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{where}: expected integers, got dtype {array.dtype}")
    return array


def within(index: Array, lowest: int, length: int, where: str) -> None:
    """Make sure that every index is from ``lowest`` to ``length`` − 1.

    Raises:
        IndexingError: naming the first one that is not, and its place.
    """
    wrong = (index < lowest) | (index >= length)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise IndexingError(f"{where}: expected integers from {lowest} to {length - 1}, got {index[place]} at position {place}")


def _gather(node: GetItem, x: Any, index: Any) -> Tensor:
    node.index, node.exact = index, False
    return record_view(node, np.asarray(x._array)[index], x)


@implements(np.take)
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The entries of ``x`` at ``indices`` along ``axis``; None flattens first. Negative ones count from the end.

    Args:
        x: (..., K, ...), with K entries along ``axis``.
        indices: integers from −K to K − 1, any shape S.
        axis: the axis, which S takes the place of.

    Raises:
        IndexingError: an index is out of range.
        DTypeError: the indices are not integers.

    >>> take(Tensor([1.0, 2.0, 3.0]), [0, 2, 2]).numpy()
    array([1., 3., 3.])
    """
    x = operand(x, "take")
    if axis is None:
        x, axis = ravel(x), 0
    axis = checked_axis(axis, len(x.shape), "take")
    index = integers(indices, "take")
    within(index, -x.shape[axis], x.shape[axis], "take")
    return _gather(Take(), x, (*(slice(None),) * axis, index))


@implements(np.take_along_axis)
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Tensor:
    """For each place, the entry of ``x`` that ``indices`` names along ``axis`` (PyTorch's ``gather``).

    Args:
        x: (..., K, ...), with K entries along ``axis``.
        indices: integers from 0 to K − 1, with as many axes as ``x`` and, off ``axis``, the same lengths (or 1).
        axis: the axis; None flattens ``x`` first.

    The indices are most often class labels, so a negative one is refused here, as PyTorch does; NumPy would count it
    from the end.

    Raises:
        IndexingError: an index is negative or too large.
        ShapeError: the shapes do not go together.
        DTypeError: the indices are not integers.

    >>> take_along_axis(Tensor([[1.0, 2.0], [3.0, 4.0]]), [[1], [0]]).numpy()
    array([[2.],
           [3.]])
    """
    x = operand(x, "take_along_axis")
    if axis is None:
        x, axis = ravel(x), 0
    axis = checked_axis(axis, len(x.shape), "take_along_axis")
    index = integers(indices, "take_along_axis")
    lengths = [(size, index.shape[k]) for k, size in enumerate(x.shape) if k != axis and index.ndim == len(x.shape)]
    if index.ndim != len(x.shape) or any(size != found and 1 not in (size, found) for size, found in lengths):
        raise ShapeError(
            f"take_along_axis: expected indices of the shape {x.shape}, any length along axis {axis}, got {index.shape}"
        )
    within(index, 0, x.shape[axis], "take_along_axis")
    places = [np.arange(size).reshape((-1,) + (1,) * (len(x.shape) - 1 - k)) for k, size in enumerate(x.shape)]
    places[axis] = index
    return _gather(TakeAlongAxis(), x, tuple(places))


def _symbols(table: Array, ids: Array) -> None:
    within(ids, 0, len(table), "embedding")


def embedding(ids: Any, table: Any) -> Tensor:
    """One row of ``table`` for each id: the same as ``one_hot(ids) @ table``, without the product.

    Args:
        ids: integers from 0 to V − 1, any shape S, such as (T, B); checked, never wrapped round.
        table: (V, D), one row for each symbol.

    Returns:
        S + (D,), such as (T, B, D).

    Raises:
        IndexingError: an id is negative or not below V.
        DTypeError: the ids are not integers.
        ShapeError: the table is not a matrix.

    >>> E = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    >>> embedding([2, 0, 2], E).sum().backward()
    >>> E.grad
    array([[1., 1.],
           [0., 0.],
           [2., 2.]])
    """
    table, traced = operand(table, "embedding"), is_traced(ids)
    index = integers(ids._array if traced else ids, "embedding")
    if len(table.shape) != 2:
        raise ShapeError(f"embedding: expected a table of shape (V, D), got {table.shape}")
    _symbols(table._array, index)
    if traced:
        return lookup(table, ids, table._array[index], Embedding, _symbols)
    return _gather(Embedding(), table, index)
