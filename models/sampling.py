"""From logits to symbols: the likeliest, or one drawn from the distribution (C3: drawn, not arg-max)."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Tensor
from minigrad.errors import ArgumentError, LabelError, ShapeError
from minigrad.recording import plain

__all__ = ["IntArray", "chosen", "same_batch", "symbols"]

IntArray: TypeAlias = npt.NDArray[np.int64]


def chosen(logits: npt.NDArray[Any], temperature: float | None, rng: np.random.Generator) -> IntArray:
    """One symbol for each row of logits (B, N), as (B,).

    Args:
        logits: (B, N).
        temperature: symbols are drawn from softmax(logits / temperature): 1 is the distribution itself, less prefers
            the likely ones more strongly. None takes the likeliest, the first of several that are.
        rng: where the draws come from.

    Raises ArgumentError for a temperature that is not positive and finite.

    Adding Gumbel noise to logits and taking the largest draws from their softmax.

    >>> rng = np.random.default_rng(0)
    >>> logits = np.log([[0.1, 0.2, 0.7]])
    >>> chosen(logits, None, rng)
    array([2])
    >>> np.bincount([chosen(logits, 1.0, rng).item() for _ in range(1000)]) / 1000
    array([0.105, 0.202, 0.693])
    """
    if temperature is None:
        return np.asarray(logits.argmax(axis=-1))
    if isinstance(temperature, bool) or not isinstance(temperature, int | float | np.number) or not 0 < temperature < math.inf:
        raise ArgumentError(f"temperature: expected a positive finite number, or None for the likeliest, got {temperature!r}")
    return np.asarray((logits / temperature + rng.gumbel(size=logits.shape)).argmax(axis=-1))


def symbols(where: str, given: Tensor | npt.ArrayLike) -> IntArray:
    """Symbols (T, B), T ≥ 1, as an array of integers.

    Raises LabelError unless they are integers, ShapeError unless they have two axes and at least one step.
    """
    array = plain(given, where)
    if array.dtype.kind not in "iu":
        raise LabelError(f"{where}: expected symbols, which are integers, got dtype {array.dtype}")
    if array.ndim != 2 or not len(array):
        raise ShapeError(f"{where}: expected symbols (T, B), time first, with T ≥ 1, got {array.shape}")
    return array.astype(np.int64)


def same_batch(where: str, **batches: int) -> None:
    """Raise ShapeError unless the sequences, given by name with their numbers of examples, have as many of them.

    >>> same_batch("one-to-many", x=2, targets=3)
    Traceback (most recent call last):
    minigrad.errors.ShapeError: one-to-many: x and targets must be of the same batch, got B = 2 in x and B = 3 in targets
    """
    if len(set(batches.values())) > 1:
        got = " and ".join(f"B = {B} in {name}" for name, B in batches.items())
        raise ShapeError(f"{where}: {' and '.join(batches)} must be of the same batch, got {got}")
