"""Losses that compare a prediction with a target entry by entry. The shapes must be equal: (N, 1) against (N,) would
broadcast to N × N numbers without a word, the most common silent mistake in training code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.axes import exchanged
from minigrad.errors import ArgumentError, LabelError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.elementwise import quietly
from minigrad.ops.transcendental import logistic
from minigrad.recording import Constant, operand, record
from minigrad.reporting import calmly
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["binary_cross_entropy_with_logits", "mse_loss"]


class Loss(Operation):
    """A loss of two operands; ``share`` is what each entry counts: 1/n for a mean over n entries, else 1."""

    __slots__ = ("share",)
    share: float
    keeps = (0, 1)

    def wanted(self, k: int) -> bool:
        """Whether operand number ``k`` needs a gradient."""
        source = self.sources[k]
        return source is not None and source.requires_grad


def checked_reduction(reduction: str, where: str) -> None:
    """Make sure that ``reduction`` is one there is.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{where}: expected reduction 'mean', 'sum' or 'none', got {reduction!r:.60}")


def average(losses: Any, number: int) -> Any:
    """Σ losses / number, also where the sum itself, of losses near 1e308, would be too large."""
    total = quietly.run(np.add.reduce, losses, None)
    if not math.isfinite(total) and np.isfinite(losses).all():
        return (losses / number).sum()
    return total / number


def _operands(prediction: Any, target: Any, reduction: str, where: str) -> tuple[Any, Any]:
    checked_reduction(reduction, where)
    prediction, target = operand(prediction, where), operand(target, where)
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{where}: expected a prediction and a target of one shape, got {prediction.shape} and {target.shape}; losses do "
            f"not broadcast, so reshape one of them{exchanged('target', target.shape, prediction.shape)}"
        )
    if reduction == "mean" and 0 in prediction.shape:
        raise ArgumentError(f"{where}: expected at least one entry to average over, got shape {prediction.shape}")
    if isinstance(target._array, np.ndarray) and target._array.dtype.kind in "biu" and prediction._array.dtype.kind == "f":
        target = Constant(target._array.astype(prediction._array.dtype))  # counts and classes do not upcast a prediction
    return prediction, target


def _recorded(node: Loss, losses: Any, reduction: str, prediction: Any, target: Any) -> Tensor:
    losses = np.asarray(losses)
    y = losses if reduction == "none" else losses.sum() if reduction == "sum" else average(losses, losses.size)
    if not ((prediction._wants or target._wants) and state.recording):
        return unrecorded(y)
    node.share = 1 / losses.size if reduction == "mean" else 1
    kept = prediction.lend(type(node)), target.lend(type(node))
    return record(node, y, (prediction._node, target._node), kept)


class MeanSquaredError(Loss):
    """ℓ = (a − b)², averaged, summed or kept apart;  ∂L/∂a = 2 g (a − b),  ∂L/∂b = −2 g (a − b), over n for a mean."""

    __slots__ = ()
    label, symbol = "mse_loss", "(a − b)²"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        a, b = saved
        da = g * (2 * self.share) * (a - b)
        return da, -da if self.wanted(1) else None


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """The squared distance between prediction and target, averaged over all entries.

    Args:
        prediction: any shape.
        target: the same shape; gradients flow to it too if it needs them.
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` for a loss of that shape.

    Raises:
        ShapeError: the shapes are not equal; nothing is broadcast.
        ArgumentError: unknown reduction, or a mean over no entries.

    >>> mse_loss(Tensor([1.0, 2.0]), [1.0, 4.0]).item()
    2.0
    """
    a, b = _operands(prediction, target, reduction, "mse_loss")
    return _recorded(MeanSquaredError(), np.square(np.subtract(a._array, b._array)), reduction, a, b)


class BinaryCrossEntropy(Loss):
    """ℓ = −t ln σ(x) − (1 − t) ln σ(−x) = t ln(1 + e⁻ˣ) + (1 − t) ln(1 + eˣ), averaged, summed or kept apart;
    ∂L/∂x = g (σ(x) − t),  ∂L/∂t = −g x, over n for a mean."""

    __slots__ = ()
    label, symbol = "binary_cross_entropy", "cross-entropy"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        x, t = saved
        g = g * self.share
        return g * (logistic(x) - t) if self.wanted(0) else None, -g * x if self.wanted(1) else None


@calmly
def _surprise(x: Any, t: Any) -> Any:
    """t ln(1 + e⁻ˣ) + (1 − t) ln(1 + eˣ). A certain prediction that is right costs nothing, where 0 · ∞ were NaN."""
    present = np.where(t == 0, 0, t * np.logaddexp(0.0, np.negative(x)))
    absent = np.where(t == 1, 0, (1 - t) * np.logaddexp(0.0, x))
    return present + absent


def binary_cross_entropy_with_logits(logits: Any, targets: Any, reduction: str = "mean") -> Tensor:
    """−ln of the probability that σ(logits) gives to targets that are 0 or 1 (or between), averaged over all entries.

    Args:
        logits: any shape, floating-point scores.
        targets: the same shape, from 0 to 1 (or booleans).
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` for a loss of that shape, in nats.

    Raises:
        ShapeError: the shapes are not equal; nothing is broadcast.
        LabelError: a target is below 0 or above 1.
        ArgumentError: unknown reduction, or a mean over no entries.

    >>> binary_cross_entropy_with_logits(Tensor([0.0, 1000.0]), [1.0, 1.0], reduction="none").numpy()
    array([0.69314718, 0.        ])
    """
    where = "binary_cross_entropy_with_logits"
    x, t = _operands(logits, targets, reduction, where)
    t_values = np.asarray(t._array)
    wrong = ~((t_values >= 0) & (t_values <= 1))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise LabelError(f"{where}: expected targets from 0 to 1, got {t_values[place]} at position {place}")
    return _recorded(BinaryCrossEntropy(), _surprise(x._array, t_values), reduction, x, t)
