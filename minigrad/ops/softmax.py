"""Softmax and its relatives, exact however large the scores are.

All subtract the largest score first, which changes no result and keeps every exponential at or below 1. Scores may be
infinite: −∞ gets the probability 0, and a single +∞ gets 1. Where no limit exists (all scores −∞, or several +∞) the
result is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.flags import flag
from minigrad.graph import OUTPUT, Gradient, Operation
from minigrad.guard import Array
from minigrad.ops.elementwise import quietly
from minigrad.ops.reductions import Reduction
from minigrad.ops.shape import reduced_axes
from minigrad.recording import operand, record
from minigrad.reporting import calmly
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["log_softmax", "logsumexp", "softmax"]


def below_peak(x: Any, axes: Any) -> Array:
    """``x`` minus its largest entry along ``axes``, as a new floating-point array."""
    x = np.asarray(x)
    x = x.astype(np.float64) if x.dtype.kind != "f" else x
    if not x.size:
        return np.array(x)
    peak = np.asarray(np.maximum.reduce(x, axis=axes, keepdims=True))
    z = np.asarray(quietly.run(np.subtract, x, peak))  # −1e308 − 1e308 is −∞, whose exponential is the right 0
    if not math.isfinite(quietly.run(np.add.reduce, peak, None)) and np.inf in peak:
        infinite = np.isposinf(x)
        z[infinite & (infinite.sum(axis=axes, keepdims=True) == 1)] = 0
    return z


def _softmax(x: Any, axes: Any) -> Array:
    p = below_peak(x, axes)
    np.exp(p, out=p)
    p /= p.sum(axis=axes, keepdims=True)
    return p


class Softmax(Operation):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ;  ∂L/∂x = y ⊙ (g − Σⱼ gⱼ yⱼ)."""

    __slots__ = ("axes",)
    axes: tuple[int, ...]
    label, symbol = "softmax", "softmax"
    keeps = (OUTPUT,)

    @override
    def compute(self, x: Any) -> Any:
        """The softmax of x."""
        return _softmax(x, self.axes)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        weighted = g * y
        return (weighted - y * weighted.sum(axis=self.axes, keepdims=True),)


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """A distribution along ``axis`` (an integer, a tuple, or None for all): entries ≥ 0 that sum to 1.

    >>> softmax(Tensor([1000.0, 1000.0])).numpy()
    array([0.5, 0.5])
    """
    x = operand(x, "softmax")
    axes = reduced_axes(axis, len(x.shape), "softmax")
    y = _softmax(x._array, axes)
    if x._wants and state.recording:
        node = Softmax()
        node.axes = axes
        return record(node, y, (x._node,), (y,), (x,))
    return unrecorded(y)


class LogSoftmax(Operation):
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ;  ∂L/∂x = g − e^y Σⱼ gⱼ."""

    __slots__ = ("axes",)
    axes: tuple[int, ...]
    label, symbol = "log_softmax", "log softmax"
    keeps = (OUTPUT,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g - np.exp(y) * g.sum(axis=self.axes, keepdims=True),)


@calmly
def _log_of_sum(x: Any, axes: Any, keepdims: bool, shift: Any = 0) -> Any:
    """ln Σ exp(x − shift), calmly since over no entries the sum is 0."""
    return np.log(np.exp(x - shift).sum(axis=axes, keepdims=keepdims))


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """The logarithm of ``softmax(x)``, exact also where the softmax itself would underflow to 0.

    >>> log_softmax(Tensor([0.0, -1000.0])).numpy()
    array([    0., -1000.])
    """
    x = operand(x, "log_softmax")
    axes = reduced_axes(axis, len(x.shape), "log_softmax")
    y = below_peak(x._array, axes)
    y -= _log_of_sum(y, axes, keepdims=True)
    if x._wants and state.recording:
        node = LogSoftmax()
        node.axes = axes
        return record(node, y, (x._node,), (y,))
    return unrecorded(y)


class LogSumExp(Reduction):
    """y = ln Σ e^x over some axes;  ∂L/∂x = g softmax(x)."""

    __slots__ = ()
    label, symbol = "logsumexp", "ln Σ exp"
    keeps = (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        share = softmax(x, self.axes) if isinstance(x, Tensor) else _softmax(x, self.axes)
        return (self.spread(g) * share,)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """ln Σ e^x over ``axis`` (None: all; an integer; a tuple), without overflow; −∞ over no entries.

    >>> logsumexp(Tensor([1000.0, 1000.0])).item()
    1000.6931471805599
    """
    x = operand(x, "logsumexp")
    axes = reduced_axes(axis, len(x.shape), "logsumexp")
    keepdims = flag(keepdims, "logsumexp: keepdims")
    scores = np.asarray(x._array)
    scores = scores.astype(np.float64) if scores.dtype.kind != "f" else scores
    peak = scores.max(axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isinf(peak), 0, peak)
    y = _log_of_sum(scores, axes, keepdims, shift)
    y += shift if keepdims else shift.squeeze(axis=axes)
    if x._wants and state.recording:
        return record(LogSumExp(axes, x.shape), y, (x._node,), (x.lend(LogSumExp),))
    return unrecorded(y)
