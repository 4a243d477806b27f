"""Dropout: entries set to 0 at random while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.flags import flag
from minigrad.graph import CONSTANT, Gradient, Operation
from minigrad.part_of_batch import drawn
from minigrad.recording import operand, record
from minigrad.scope import end_trace, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["dropout"]


class Dropout(Operation):
    """y = x / (1 − p) where an entry was kept, else 0;  ∂L/∂x = g / (1 − p) there, else 0."""

    __slots__ = ("scale",)
    scale: float
    label, symbol = "dropout", "dropout"
    keeps = (CONSTANT,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (kept,) = saved
        return (np.where(kept, g * self.scale, 0),)


def dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | int | None = None) -> Tensor:
    """``x`` with each entry set to 0 with probability ``p`` and the others divided by 1 − p, so that the mean stays.

    Args:
        x: any shape.
        p: the probability from 0 to 1 that an entry is dropped.
        training: False returns ``x`` as it is.
        rng: where the randomness comes from: a generator, which moves on with every call, or a seed for this call. It is
            needed whenever something may be dropped, since every run must be repeatable.

    Raises:
        ArgumentError: ``p`` is not from 0 to 1, or ``rng`` is missing or of another kind.

    >>> dropout(Tensor([1.0, 1.0, 1.0, 1.0]), 0.5, rng=0).numpy()
    array([2., 0., 0., 0.])
    """
    x = operand(x, "dropout")
    if isinstance(p, bool) or not isinstance(p, int | float | np.integer | np.floating) or not 0 <= p <= 1:
        raise ArgumentError(f"dropout: expected a probability from 0 to 1, got {p!r}")
    if not flag(training, "dropout: training") or p == 0:
        return x if isinstance(x, Tensor) else unrecorded(np.array(x._array))
    if isinstance(rng, np.random.Generator):
        end_trace("dropout")  # before anything is drawn
    elif isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        rng = np.random.default_rng(rng)
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(f"dropout: expected rng to be a np.random.Generator or a seed ≥ 0, got {rng!r}")
    kept = drawn(rng, x.shape) >= p
    scale = 1 / (1 - float(p)) if p < 1 else 0.0
    y = np.where(kept, np.multiply(x._array, scale), 0)
    if not (x._wants and state.recording):
        return unrecorded(y)
    node = Dropout()
    node.scale = scale
    return record(node, y, (x._node,), (kept,))
