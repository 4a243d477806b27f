"""Which steps of which example count: lengths and masks, checked, as one array (T, B) of booleans."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, where
from minigrad.axes import exchanged
from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.recording import plain

__all__ = ["Valid", "batch_first", "checked_lengths", "fitting", "is_padding_behind", "selected", "steps_that_count"]

Valid: TypeAlias = npt.NDArray[np.bool_] | None
"""(T, B), whether step t of example b is part of its sequence; None where all are."""


def checked_lengths(where: str, lengths: npt.ArrayLike | None, T: int, B: int) -> Valid:
    """Which steps count, (T, B), from the lengths (B,) of the examples; None where all do.

    Raises ShapeError unless there is one length for each example, ArgumentError unless it is an integer from 0 to T.

    >>> checked_lengths("unroll rnn", [1, 2], T=2, B=2)
    array([[ True,  True],
           [False,  True]])
    """
    if lengths is None:
        return None
    given = plain(lengths, f"{where}: lengths")
    if given.shape != (B,):
        raise ShapeError(
            f"{where}: lengths must be (B,) = ({B},), one for each example, got {given.shape}{batch_first(given.shape, T)}"
        )
    if B and given.dtype.kind not in "iu":
        raise ArgumentError(f"{where}: lengths must be integers, got dtype {given.dtype}")
    for b, length in enumerate(given.tolist()):
        if not 0 <= length <= T:
            raise ArgumentError(f"{where}: lengths must be from 0 to T = {T}, got {length} for example {b}")
    valid = np.arange(T)[:, None] < given
    return None if valid.all() else valid


def steps_that_count(
    where: str, lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None, T: int, B: int
) -> Valid:
    """Which steps count, (T, B), from lengths (B,) and a mask (T, B) of booleans; None where all do.

    Raises as `checked_lengths`, and DTypeError or ShapeError for another mask.

    >>> steps_that_count("unroll rnn", None, [[False, True], [True, True]], T=2, B=2)
    array([[False,  True],
           [ True,  True]])
    """
    valid = checked_lengths(where, lengths, T, B)
    if mask is None:
        return valid
    given = plain(mask, f"{where}: mask")
    if given.dtype != bool:
        raise DTypeError(f"{where}: the mask must be made of booleans, got dtype {given.dtype}")
    if given.shape != (T, B):
        hint = exchanged("mask", given.shape, (T, B))
        raise ShapeError(f"{where}: the mask must be (T, B) = ({T}, {B}), one entry for each step, got {given.shape}{hint}")
    valid = given.copy() if valid is None else given & valid
    return None if valid.all() else valid


def is_padding_behind(valid: npt.NDArray[np.bool_]) -> bool:
    """Whether the steps that do not count are behind those that do, in every example."""
    return bool((valid[1:] <= valid[:-1]).all())


def batch_first(batch: tuple[int, ...], T: int) -> str:
    """What to add to a message if there are as many examples as xs has steps."""
    looks = "; axes 0 and 1 of xs look exchanged, as in data whose batch comes first: pass xs.swapaxes(0, 1)"
    return looks if batch == (T,) else ""


def fitting(valid: Any, x: Tensor) -> Any:
    """``valid``, whose last axes may have length 1, with as many axes as ``x``; the first axes are those of both."""
    return valid if valid.ndim == x.ndim else valid.reshape((*valid.shape, *[1] * (x.ndim - valid.ndim))[: x.ndim])


def selected(valid: Any, x: Tensor) -> Tensor:
    """x where ``valid`` holds, else zeros of its dtype."""
    return where(fitting(valid, x), x, 0.0 if x.dtype.kind == "f" else x.dtype.type(0))
