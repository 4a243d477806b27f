"""How often a decoder in training is shown the true previous symbol instead of its own: probabilities over training.

With probability ε the input of step t is the true y_{t−1}, else the decoder's own choice. A schedule gives ε for the
i-th training step, from always at the beginning to rarely at the end (scheduled sampling; Bengio et al. 2015).

>>> [round(linear(steps=4)(i), 2) for i in range(6)]
[1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.errors import ArgumentError

from .checks import positive_size, probability

__all__ = ["Schedule", "constant", "exponential", "inverse_sigmoid", "linear"]

Schedule = Callable[[int], float]
"""From the number of a training step, 0, 1, 2 …, to a probability."""


def constant(p: float) -> Schedule:
    """ε_i = p."""
    p = probability("constant: p", p)
    return lambda i: p


def linear(steps: int, first: float = 1.0, last: float = 0.0) -> Schedule:
    """ε_i falls (or rises) from ``first`` to ``last`` in a straight line over that many steps, and stays there."""
    first, last = probability("linear: first", first), probability("linear: last", last)
    steps = positive_size("linear", "steps", steps)
    return lambda i: first + (last - first) * min(i / steps, 1.0)


def exponential(base: float) -> Schedule:
    """ε_i = baseⁱ."""
    base = probability("exponential: base", base)
    return lambda i: base**i


def inverse_sigmoid(k: float) -> Schedule:
    """ε_i = k / (k + e^{i/k}): near 1 for the first steps, falling fastest around i = k ln k. k ≥ 1."""
    if not k >= 1:
        raise ArgumentError(f"inverse_sigmoid: expected k ≥ 1, got {k}")
    return lambda i: float(1 / (1 + np.exp(min(i / k - np.log(k), 700.0))))
