"""Tensors of zeros and of ones."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.arguments import fitting_memory
from minigrad.errors import ShapeError
from minigrad.tensor import Tensor

__all__ = ["ones", "zeros"]


def zeros(
    *shape: Any, dtype: npt.DTypeLike = np.float64, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """A Tensor of zeros.

    Args:
        shape: the length of each axis, as in ``zeros(2, 3)``, or one tuple of them.
        dtype: of the entries.
        requires_grad: whether gradients with respect to it are wanted.
        name: what pictures and messages call it.

    Raises:
        ShapeError: a length is no integer ≥ 0.
        ArgumentError: so many numbers do not fit into memory.

    >>> zeros(2, 3, name="h_0")
    Tensor([[0., 0., 0.],
            [0., 0., 0.]], shape=(2, 3), dtype=float64, name='h_0')
    """
    lengths = _lengths(shape, "zeros")
    with fitting_memory(f"zeros: {lengths} numbers"):
        return Tensor(np.zeros(lengths), requires_grad, dtype, name)


def ones(
    *shape: Any, dtype: npt.DTypeLike = np.float64, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """A Tensor of ones; the arguments are those of `zeros`.

    Raises:
        ShapeError: a length is no integer ≥ 0.

    >>> ones((2,), requires_grad=True)
    Tensor([1., 1.], shape=(2,), dtype=float64, requires_grad=True)
    """
    lengths = _lengths(shape, "ones")
    with fitting_memory(f"ones: {lengths} numbers"):
        return Tensor(np.ones(lengths), requires_grad, dtype, name)


def _lengths(shape: tuple[Any, ...], where: str) -> tuple[int, ...]:
    """The lengths of the axes, given one by one or in one tuple or list."""
    given = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    try:
        lengths = tuple(operator.index(length) for length in given)
    except TypeError:
        lengths = (-1,)
    if any(length < 0 for length in lengths):
        got = ", ".join(map(repr, given))
        raise ShapeError(f"{where}: expected lengths that are integers ≥ 0, as in {where}(2, 3), got {got}")
    return lengths
