"""Which steps of which example count: lengths and masks, checked, as one array (T, B) of booleans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, where
from minigrad.arguments import several
from minigrad.axes import exchanged
from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.recording import plain

__all__ = [
    "Valid", "batch_first", "checked_lengths", "fitting", "is_padding_behind", "padded", "selected", "steps_that_count",
]  # fmt: skip

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


def padded(sequences: Iterable[npt.ArrayLike], padding: float = 0) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Sequences of any length, (T_1, …), (T_2, …), …, as one array (T, B, …) with time first, and their lengths (B,).

    Args:
        sequences: of vectors (T_b, D), or of symbols, integers (T_b,).
        padding: what stands behind the end of the shorter ones.

    Raises:
        ArgumentError: there is not one sequence, what is given holds something else than numbers, or the padding is not of
            their kind.
        ShapeError: they differ in more than their length, or one is a single number.

    >>> from minigrad.models import RNN, unroll
    >>> xs, lengths = padded([np.ones((2, 3)), np.ones((4, 3))])
    >>> xs.shape, lengths
    ((4, 2, 3), array([2, 4]))
    >>> hs, last = unroll(RNN(3, 5, seed=0), xs, lengths=lengths)
    """
    given = several(sequences, "padded", "a list of sequences")
    arrays = [plain(sequence, f"padded: sequence {b}") for b, sequence in enumerate(given)]
    kinds = {array.shape[1:] for array in arrays}
    if not arrays or any(array.dtype.kind not in "biuf" for array in arrays):
        raise ArgumentError(f"padded: expected at least one sequence of numbers, got {given!r:.60}")
    if len(kinds) > 1 or not arrays[0].ndim:
        shapes = ", ".join(str(shape) for shape in dict.fromkeys(array.shape for array in arrays))
        raise ShapeError(f"padded: all sequences must be (T_b, …) with the same …, got {shapes}")
    lengths = np.array([len(array) for array in arrays], np.intp)
    together = np.empty((int(lengths.max()), len(arrays), *kinds.pop()), np.result_type(*arrays))
    together[:] = _filler(padding, together.dtype)
    for b, array in enumerate(arrays):
        together[: len(array), b] = array
    return together, lengths


def _filler(padding: Any, dtype: np.dtype[Any]) -> Any:
    """The padding as one of the numbers that it stands among; ArgumentError if it is none of their kind."""
    try:
        if dtype.kind == "f" and isinstance(padding, int | float | np.number | np.bool_):
            return padding
        if float(padding).is_integer():
            return np.array(int(padding), dtype)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(f"padded: padding must be a number like those of the sequences, {dtype}, got {padding!r:.60}")


def is_padding_behind(valid: npt.NDArray[np.bool_]) -> bool:
    """Whether the steps that do not count are behind those that do, in every example."""
    return bool((valid[1:] <= valid[:-1]).all())


def batch_first(batch: tuple[int, ...], T: int) -> str:
    """What to add to a message if there are as many examples as xs has steps."""
    looks = "; axes 0 and 1 of xs look exchanged, as in data whose batch comes first: pass xs.swapaxes(0, 1)"
    return looks if batch == (T,) else ""


def fitting(valid: Any, x: Tensor) -> Any:
    """``valid``, whose last axes may have length 1, with as many axes as ``x``; the first axes are those of both."""
    if x.ndim == 0:
        raise ShapeError(
            "lengths and masks choose between examples, and a part of the state is one number for all of them: give it (B, 1)"
        )
    return valid if valid.ndim == x.ndim else valid.reshape((*valid.shape, *[1] * (x.ndim - valid.ndim))[: x.ndim])


def selected(valid: Any, x: Tensor) -> Tensor:
    """x where ``valid`` holds, else zeros of its dtype."""
    return where(fitting(valid, x), x, 0.0 if x.dtype.kind == "f" else x.dtype.type(0))
