"""Operations that PyTorch has under names and rules of its own, with ``dim`` for the axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.errors import ShapeError
from minigrad.ops.gathering import integers, take_along_axis
from minigrad.ops.joining import concatenate
from minigrad.ops.shape import as_tensor, checked_axis
from minigrad.tensor import Tensor

__all__ = ["cat", "gather"]


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """The tensors one after the other along ``dim``: PyTorch's name for `concatenate`.

    Raises:
        ShapeError: they differ along another axis.

    >>> cat([Tensor([[1.0]]), Tensor([[2.0, 3.0]])], dim=1).numpy()
    array([[1., 2., 3.]])
    """
    return concatenate(tensors, dim)


def gather(x: Any, dim: int, index: Any) -> Tensor:
    """y[i, j, k] = x[i, index[i, j, k], k] for ``dim`` = 1, and likewise for every other axis (PyTorch).

    Args:
        x: any shape of at least one axis.
        dim: the axis along which entries are looked up.
        index: integers from 0 to x.shape[dim] − 1, with as many axes as ``x`` and, off ``dim``, at most its lengths.

    Raises:
        IndexingError: an index is negative or too large.
        ShapeError: ``index`` has another number of axes, or is longer than ``x``.
        DTypeError: it is not made of integers.

    >>> gather(Tensor([[1.0, 2.0], [3.0, 4.0]]), 1, [[0, 0], [1, 0]]).numpy()
    array([[1., 1.],
           [4., 3.]])
    """
    x = as_tensor(x, "gather")
    axis = checked_axis(dim, x.ndim, "gather")
    places = integers(index, "gather")
    longer = [size > own for k, (size, own) in enumerate(zip(places.shape, x.shape, strict=False)) if k != axis]
    if places.ndim != x.ndim or any(longer):
        raise ShapeError(f"gather: expected an index of at most the shape {x.shape}, off axis {axis}, got {places.shape}")
    if places.shape != (*x.shape[:axis], places.shape[axis], *x.shape[axis + 1 :]):
        x = x[tuple(slice(None) if k == axis else slice(size) for k, size in enumerate(places.shape))]
    return take_along_axis(x, places, axis)
