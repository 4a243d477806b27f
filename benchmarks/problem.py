"""The work that is measured: one training step of a recurrent language model, the same for every contestant.

    forward over T steps  →  logits W_yh h_t + b_y  →  cross-entropy averaged over T and B  →  gradients of all parameters

A `Problem` is that work in plain arrays. Parameters are packed, rows gate by gate, and act on column vectors:

| cell | gates (row blocks) | step |
| --- | --- | --- |
| rnn | one | h' = tanh(W_h h + W_x x + b) |
| gru | u, r, c | reset after: c̃ = tanh(W_cx x + b_c + r ⊙ (W_ch h + b_ch)); h' = u ⊙ c̃ + (1 − u) ⊙ h |
| gru_before | u, r, c | reset before (COURSES.md C3): c̃ = tanh(W_cx x + b_c + W_ch (r ⊙ h)); h' = u ⊙ c̃ + (1 − u) ⊙ h |
| lstm | i, f, g, o | c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh(c') |

u, r, i, f and o are σ(W_h h + W_x x + b) of their own rows, g is the tanh of its rows. torch's update gate is
z = 1 − u: the same network with the signs of that gate's rows turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]

GATES = {"rnn": 1, "gru": 3, "gru_before": 3, "lstm": 4}
CELLS = ("rnn", "gru", "lstm")


class Size(NamedTuple):
    """T steps, batch B, D inputs, H hidden units, N classes."""

    T: int
    B: int
    D: int
    H: int
    N: int


SIZES = {
    "tiny": Size(25, 1, 16, 16, 16),
    "small": Size(50, 16, 32, 64, 64),
    "char": Size(50, 32, 65, 128, 65),
    "long": Size(1000, 8, 32, 64, 32),
    "medium": Size(100, 64, 128, 256, 128),
    "big": Size(100, 64, 256, 512, 256),
}


@dataclass(frozen=True)
class Problem:
    """One training step's data: `xs` (T, B, D), integer `targets` (T, B) and `params` by name.

    `params` holds W_x (G·H, D), W_h (G·H, H), b (G·H,), W_yh (N, H), b_y (N,), and for the reset-after GRU also
    b_ch (H,), the bias inside r ⊙ (…). The initial state is zero.
    """

    cell: str
    size: Size
    xs: Array
    targets: Array
    params: Arrays

    @property
    def dtype(self) -> np.dtype[Any]:
        """The one dtype of inputs, parameters and gradients."""
        return self.xs.dtype


def make_problem(cell: str, size: Size, dtype: str = "float64", seed: int = 0) -> Problem:
    """A random problem; the same arguments give the same bits.

    >>> problem = make_problem("lstm", Size(T=3, B=2, D=4, H=5, N=6))
    >>> problem.xs.shape, problem.params["W_h"].shape
    ((3, 2, 4), (20, 5))
    """
    if cell not in GATES:
        raise ValueError(f"unknown cell {cell!r}: expected one of {', '.join(GATES)}")
    random = np.random.default_rng(seed)
    rows = GATES[cell] * size.H

    def uniform(*shape: int) -> Array:
        bound = 1 / np.sqrt(size.H)
        return random.uniform(-bound, bound, shape).astype(dtype)

    params = {
        "W_x": uniform(rows, size.D),
        "W_h": uniform(rows, size.H),
        "b": uniform(rows),
        "W_yh": uniform(size.N, size.H),
        "b_y": uniform(size.N),
    }
    if cell == "gru":
        params["b_ch"] = uniform(size.H)
    xs = random.standard_normal((size.T, size.B, size.D)).astype(dtype)
    targets = random.integers(0, size.N, (size.T, size.B))
    return Problem(cell, size, xs, targets, params)
