"""Softmax and its logarithm, and the cross-entropy loss that is built on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, DTypeError, LabelError, ShapeError
from minigrad.graph import OUTPUT, Gradient, Operation
from minigrad.guard import Array, bare
from minigrad.ops.shape import checked_axis
from minigrad.scope import state
from minigrad.tensor import Tensor, operand, record, unrecorded

__all__ = ["cross_entropy", "log_softmax", "softmax"]


class Softmax(Operation):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ;  ∂L/∂x = y ⊙ (g − Σⱼ gⱼ yⱼ)."""

    __slots__ = ("axis",)
    axis: int
    label, symbol = "softmax", "softmax"
    keeps = (OUTPUT,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        weighted = g * y
        return (weighted - y * weighted.sum(axis=self.axis, keepdims=True),)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """A distribution along ``axis``: non-negative entries that sum to 1, whatever the size of ``x``.

    >>> softmax(Tensor([1000.0, 1000.0])).numpy()
    array([0.5, 0.5])
    """
    x = operand(x, "softmax")
    axis = checked_axis(axis, len(x.shape), "softmax")
    y = np.exp(_below_peak(x._data, axis))
    y /= y.sum(axis=axis, keepdims=True)
    if x._wants and state.recording:
        node = Softmax()
        node.axis = axis
        return record(node, y, (x._node,), (y,))
    return unrecorded(y)


class LogSoftmax(Operation):
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ;  ∂L/∂x = g − e^y Σⱼ gⱼ."""

    __slots__ = ("axis",)
    axis: int
    label, symbol = "log_softmax", "log softmax"
    keeps = (OUTPUT,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g - np.exp(y) * g.sum(axis=self.axis, keepdims=True),)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """The logarithm of ``softmax(x)``, exact also where the softmax itself would underflow to 0.

    >>> log_softmax(Tensor([0.0, -1000.0])).numpy()
    array([    0., -1000.])
    """
    x = operand(x, "log_softmax")
    axis = checked_axis(axis, len(x.shape), "log_softmax")
    y = _below_peak(x._data, axis)
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    if x._wants and state.recording:
        node = LogSoftmax()
        node.axis = axis
        return record(node, y, (x._node,), (y,))
    return unrecorded(y)


def _below_peak(x: Array, axis: int) -> Array:
    """``x`` minus its largest entry along ``axis``, as a new floating-point array."""
    x = np.asarray(x, dtype=x.dtype if x.dtype.kind == "f" else np.float64)
    if not x.size:
        return x.copy()
    with np.errstate(over="ignore"):  # −1e308 − 1e308 is −∞, whose exponential is the right 0
        return np.asarray(x - x.max(axis=axis, keepdims=True))


class CrossEntropy(Operation):
    """ℓ = −ln p[label] for each row p = softmax(x), summed or averaged over rows;  ∂L/∂x = g (p − onehot(label)).

    What is kept is the array p − onehot itself. A recorded backward pass needs p as a function of x; since softmax does
    not change when a constant is added to x, ln p can stand in for x there.
    """

    __slots__ = ("labels", "weights")
    label, symbol = "cross_entropy", "cross-entropy"
    keeps = (0,)
    labels: Array
    weights: Array

    @override
    def lifted(self, lift: Any) -> Sequence[Any]:
        (residual,) = self.needed()
        p = residual.copy()
        np.put_along_axis(p, self.labels, np.take_along_axis(p, self.labels, -1) + 1, -1)
        onehot = np.zeros_like(p)
        np.put_along_axis(onehot, self.labels, 1, -1)
        with np.errstate(divide="ignore"):
            return (softmax(lift(np.log(p), self.inputs[0])) - onehot,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (residual,) = saved
        if g.shape == ():
            return (residual * (g * self.weights),)
        return (residual * (g[..., None] * self.weights),)


def cross_entropy(
    logits: Any, targets: Any, reduction: str = "mean", ignore_index: int | None = None
) -> Tensor:
    """−ln of the probability that ``softmax(logits)`` gives to each target, averaged over all of them.

    Args:
        logits: (..., N) floating-point scores, such as (T, B, N).
        targets: (...) integers from 0 to N − 1, such as (T, B); checked, never wrapped round.
        reduction: ``"mean"`` (over the targets that count), ``"sum"``, or ``"none"`` for a loss of shape (...), in nats.
        ignore_index: a label whose positions do not count: loss 0 and gradient 0.

    Raises:
        ShapeError: the shape of ``targets`` is not that of ``logits`` without its last axis.
        LabelError: a target is not an integer, or not from 0 to N − 1.
        ArgumentError: unknown reduction, or a mean over no target at all.

    >>> cross_entropy(Tensor([[0.0, 0.0], [0.0, 0.0]]), [0, 1]).item()
    0.6931471805599453
    """
    logits = operand(logits, "cross_entropy")
    if not isinstance(logits, Tensor):
        logits = Tensor(logits._data)
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"cross_entropy: expected reduction 'mean', 'sum' or 'none', got {reduction!r}")
    labels, counts = _labels(logits, targets, ignore_index)
    z = _below_peak(logits._data, -1)
    chosen = np.take_along_axis(z, labels, -1)
    p = np.exp(z, out=z)
    total = p.sum(axis=-1, keepdims=True)
    losses = (np.log(total) - chosen)[..., 0]
    weights = counts.astype(losses.dtype)[..., None]
    if reduction == "mean":
        number = int(counts.sum())
        if not number:
            raise ArgumentError("cross_entropy: no target is left to average over (all are ignore_index, or there are none)")
        weights /= number
    loss: Any = np.where(counts, losses, 0)
    if reduction != "none":
        loss = loss.sum()
        loss = loss / number if reduction == "mean" else loss
    loss = np.asarray(loss, losses.dtype)
    if not (logits._wants and state.recording):
        return unrecorded(loss)
    p /= total
    np.put_along_axis(p, labels, np.take_along_axis(p, labels, -1) - 1, -1)
    node = CrossEntropy()
    node.labels, node.weights = labels, weights
    return record(node, loss, (logits._node,), (p,))


def _labels(logits: Tensor, targets: Any, ignore_index: int | None) -> tuple[Array, Array]:
    """The targets as (..., 1) indices, and which of them count; an ignored target becomes index 0."""
    if logits.dtype.kind != "f":
        raise DTypeError(f"cross_entropy: expected floating-point logits, got dtype {logits.dtype}")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ShapeError(f"cross_entropy: expected logits of shape (..., N) with N ≥ 1, got {logits.shape}")
    labels = np.asarray(targets._data if isinstance(targets, Tensor) else bare(targets))
    if labels.dtype.kind not in "iu":
        if labels.size or labels.dtype.kind != "f":
            raise LabelError(f"cross_entropy: expected integer class labels, got dtype {labels.dtype}")
        labels = labels.astype(np.intp)
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"cross_entropy: logits of shape {logits.shape} need targets of shape {logits.shape[:-1]}, got {labels.shape}"
        )
    counts = np.ones(labels.shape, bool) if ignore_index is None else labels != ignore_index
    wrong = counts & ((labels < 0) | (labels >= logits.shape[-1]))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise LabelError(
            f"cross_entropy: expected labels from 0 to {logits.shape[-1] - 1}, got {int(labels[place])} at position {place}"
        )
    return np.where(counts, labels, 0).astype(np.intp)[..., None], counts
