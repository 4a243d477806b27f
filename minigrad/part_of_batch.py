"""Random numbers for a part of a batch: those that would be drawn for its examples if the whole batch were computed here."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad.scope import Setting, state

__all__ = ["drawn", "part_of_batch"]

Part: TypeAlias = "tuple[int, int, int] | None"


class part_of_batch(Setting):
    """Inside, examples ``start`` … ``stop`` − 1 of a batch of ``whole`` are computed; others are, elsewhere.

    >>> whole = drawn(np.random.default_rng(0), (3, 5, 2))
    >>> with part_of_batch(1, 4, 5):
    ...     part = drawn(np.random.default_rng(0), (3, 3, 2))
    >>> np.array_equal(part, whole[:, 1:4])
    True
    """

    __slots__ = ("_part",)

    def __init__(self, start: int, stop: int, whole: int) -> None:
        self._part = start, stop, whole

    @override
    def enter(self) -> Part:
        found, state.part = state.part, self._part
        return found

    @override
    def leave(self, found: Part) -> None:
        state.part = found


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Numbers from 0 to 1 of a shape (…, B, N) or (B,), B being the examples.

    Where a part of a batch is computed they are drawn for the whole batch, and those of the part are given: whoever computes
    which part, the numbers are the same, and so is the state of the generator. A shape without so
    many examples is taken as it is.
    """
    axis = max(len(shape) - 2, 0)
    if state.part is None or not shape or shape[axis] != state.part[1] - state.part[0]:
        return rng.random(shape)
    start, stop, whole = state.part
    numbers = rng.random((*shape[:axis], whole, *shape[axis + 1 :]))
    return numbers[(slice(None),) * axis + (slice(start, stop),)]
