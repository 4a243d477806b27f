"""Cells over time, and what reads them: `unroll`, and the linear output layer `Head`.

Arrays are time-major: xs is (T, B, D), the states stacked over time are (T, B, H). Time steps are numbered as in the
courses: x_1 … x_T are xs[0] … xs[T−1], and time 0 is the initial state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, cross_entropy, current_place, scope, stack, time_step
from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Leaf
from minigrad.module import Module
from models.checks import Seed, positive_size
from models.initialisers import Initialiser
from models.recurrent import Cell, Recurrent, affine, parts_of

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
    D = getattr(cell, "input_size", None)
    if xs.ndim < 2 or (D is not None and (xs.ndim != 3 or xs.shape[2] != D)):
        raise ShapeError(f"unroll {label}: xs must be (T, B, D){f' with D = {D}' if D else ''}, time first, got {xs.shape}")
    T, B = xs.shape[:2]
    with scope(label):
        with time_step(0):
            state = cell.initial_state(B) if state is None else _at_time_0(cell, state)
        if isinstance(cell, Cell):
            cell.check_state(state, B)
        step = _hoisted_step(cell, label, xs) if hoist else lambda t, state: cell.step(xs[t - 1].named("x"), state)
        hs = []
        for t in range(1, T + 1):
            with time_step(t):
                state = step(t, state)
            hs.append(parts_of(state)[-1])
        if not hs:
            h_0 = parts_of(state)[-1]
            return Tensor(np.zeros((0, *h_0.shape), h_0.dtype)), state
        return stack(hs), state


def _hoisted_step(cell: Any, label: str, xs: Tensor) -> Callable[[int, Any], Any]:
    """The step with its input projection done beforehand, for all t at once."""
    if not (hasattr(cell, "project") and hasattr(cell, "recur")):
        raise ArgumentError(f"unroll {label}: hoist=True needs a cell with project(x) and recur(wx, state)")
    wx = cell.project(xs)
    if isinstance(wx, tuple):
        return lambda t, state: cell.recur(tuple(part[t - 1] for part in wx), state)
    return lambda t, state: cell.recur(wx[t - 1], state)


def _at_time_0(cell: Any, state: Any) -> Any:
    """The given initial state as Tensors; those that are leaves get the names of the cell's state and the time 0."""
    given = parts_of(state)
    names = getattr(cell, "state_names", ())
    parts = [part if isinstance(part, Tensor) else Tensor(part) for part in given]
    for part, name in zip(parts, names, strict=False):
        if part.name is None and part.is_leaf:
            part.named(name)
        if isinstance(part.node, Leaf) and part.node.time is None:
            part.node.place = current_place()
    if not isinstance(state, tuple):
        return parts[0]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


class Head(Module):
    """The output layer (C4): logits ŷ_t = W_yh h_t + b_y of every step at once; softmax makes them a distribution.

    Parameters: W_yh (N, H), b_y (N,).

    Args:
        hidden_size: H.
        output_size: N, the number of classes or the size of the vocabulary.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values, uniform in (−1/√H, 1/√H); None: new each time.

    >>> head = Head(hidden_size=4, output_size=7, seed=0)
    >>> hs = Tensor(np.ones((5, 2, 4)))
    >>> head(hs).shape, head.loss(hs, np.zeros((5, 2), int)).shape
    ((5, 2, 7), ())
    """

    def __init__(
        self, hidden_size: int, output_size: int, *, dtype: npt.DTypeLike = np.float64, seed: Seed = None
    ) -> None:
        self.hidden_size = positive_size("head", "hidden_size", hidden_size)
        self.output_size = positive_size("head", "output_size", output_size)
        make = Initialiser("uniform", hidden_size, dtype, seed)
        self.W_yh = make.input("W_yh", output_size, hidden_size)
        self.b_y = make.bias("b_y", output_size)

    def __call__(self, hs: Tensor) -> Tensor:
        """Logits (..., N) from hidden states (..., H). Raises ShapeError for another last axis."""
        if hs.ndim == 0 or hs.shape[-1] != self.hidden_size:
            raise ShapeError(f"head: hs must be (..., H) with H = {self.hidden_size}, got {hs.shape}")
        with scope("head"):
            return affine(hs, self.W_yh, self.b_y)

    def loss(self, hs: Tensor, targets: npt.ArrayLike) -> Tensor:
        """The cross-entropy of the logits, averaged over time and batch (C4).

        Args:
            hs: (T, B, H).
            targets: (T, B), integers from 0 to N − 1.

        Raises:
            LabelError: a target is not the number of a class.
        """
        return cross_entropy(self(hs), targets)
