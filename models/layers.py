"""Cells over time, and what reads them: `unroll`, and the linear output layer `Head`.

Arrays are time-major: xs is (T, B, D), the states stacked over time are (T, B, H). Time steps are numbered as in the
courses: x_1 … x_T are xs[0] … xs[T−1], and time 0 is the initial state.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, cross_entropy, scope, stack, time_step
from minigrad.errors import ArgumentError, ShapeError
from minigrad.module import Module
from models.recurrent import Cell, Recurrent, Seed, parts_of, positive_size, shape_of, uniform

__all__ = ["Head", "unroll"]

State = TypeVar("State")


def unroll(
    cell: Recurrent[State],
    xs: Tensor | npt.ArrayLike,
    state: State | None = None,
    hoist: bool = False,
) -> tuple[Tensor, State]:
    """The cell's step repeated over time, state_t = step(x_t, state_{t−1}) for t = 1 … T, each recorded under its t.

    Args:
        cell: anything with ``step(x, state)`` and ``initial_state(batch)``. A state is a Tensor, or a tuple of them
            whose last entry is the output h.
        xs: (T, B, D), time first: row b of xs[t − 1] is x_t of example b, x^{(b)<t>} in C3. T = 0 is allowed.
        state: the initial state, each part (B, H); Tensors or arrays. Left out: ``cell.initial_state(B)``.
        hoist: do the input projection of all T steps in one product before the loop. The numbers are the same; it is
            faster, and the graph shows one projection instead of T.

    Returns:
        hs (T, B, H), the output of every step, and the final state.

    Raises:
        ShapeError: xs or the state do not fit the cell.
        ArgumentError: ``hoist`` is asked of a cell without ``project`` and ``recur``.

    >>> from models.cells import LSTM
    >>> hs, (c, h) = unroll(LSTM(input_size=3, hidden_size=4, seed=0), np.ones((5, 2, 3)))
    >>> hs.shape, h.shape, h.node.time, h.node.scope
    ((5, 2, 4), (2, 4), 5, ('lstm',))
    """
    label = str(getattr(cell, "label", type(cell).__name__))
    xs = xs if isinstance(xs, Tensor) else Tensor(xs)
    check_inputs(cell, label, xs)
    T, B = xs.shape[:2]
    with scope(label):
        with time_step(0):
            state = cell.initial_state(B) if state is None else placed_at_start(cell, state)
        if isinstance(cell, Cell):
            cell.check_state(state, B)
        projected = project_all(cell, label, xs) if hoist else None
        hs = []
        for t in range(1, T + 1):
            with time_step(t):
                if projected is None:
                    state = cell.step(xs[t - 1].named("x"), state)
                else:
                    state = cell.recur(at(projected, t), state)
                hs.append(parts_of(state)[-1])
        if hs:
            return stack(hs), state
        return Tensor(np.zeros((0, *shape_of(parts_of(state)[-1])), xs.dtype)), state
