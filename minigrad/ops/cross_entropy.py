"""The cross-entropy of scores against class labels, in one operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, DTypeError, LabelError, ShapeError
from minigrad.graph import CONSTANT, Gradient, Operation
from minigrad.guard import Array
from minigrad.ops.losses import average, checked_reduction
from minigrad.ops.shape import as_tensor
from minigrad.ops.softmax import below_peak, softmax
from minigrad.scope import state
from minigrad.sums import row_sums
from minigrad.tensor import Tensor, plain, record, unrecorded

__all__ = ["cross_entropy"]


class CrossEntropy(Operation):
    """ℓ = −ln p[label] for each row p = softmax(x), summed or averaged over rows;  ∂L/∂x = g (p − onehot(label)).

    What is kept is the array p − onehot itself. A recorded backward pass needs p as a function of x; since softmax does
    not change when a constant is added to x, ln p can stand in for x there.
    """

    __slots__ = ()
    label, symbol = "cross_entropy", "cross-entropy"
    keeps = (0, CONSTANT, CONSTANT)

    @override
    def lifted(self, lift: Any) -> Sequence[Any]:
        residual, chosen, weights = self.needed()
        onehot = np.zeros_like(residual)
        onehot.reshape(-1)[chosen] = 1
        with np.errstate(divide="ignore"):
            p = softmax(lift(np.log(residual + onehot), self.sources[0]))
        return p - onehot, chosen, weights

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        residual, _chosen, weights = saved
        return (residual * ((g if g.shape == () else g[..., None]) * weights),)


def cross_entropy(
    logits: Any, targets: Any, reduction: str = "mean", ignore_index: int | None = None, mask: Any = None
) -> Tensor:
    """−ln of the probability that ``softmax(logits)`` gives to each target, averaged over all of them.

    Args:
        logits: (..., N) floating-point scores, such as (T, B, N).
        targets: (...) integers from 0 to N − 1, such as (T, B); checked, never wrapped round.
        reduction: ``"mean"`` (over the targets that count), ``"sum"``, or ``"none"`` for a loss of shape (...), in nats.
        ignore_index: a label whose positions do not count: loss 0 and gradient 0.
        mask: (...) booleans, False where a position does not count, whatever its logits and target hold.

    Raises:
        ShapeError: the shape of ``targets`` or ``mask`` is not that of ``logits`` without its last axis.
        DTypeError: the logits are not floating-point numbers, or the mask is not made of booleans.
        LabelError: a target that counts is not an integer, or not from 0 to N − 1.
        ArgumentError: unknown reduction, ``ignore_index`` is not an integer, or a mean over no target at all.

    >>> cross_entropy(Tensor([[0.0, 0.0], [0.0, 0.0]]), [0, 1]).item()
    0.6931471805599453
    """
    logits = as_tensor(logits, "cross_entropy")
    checked_reduction(reduction, "cross_entropy")
    labels = _labels(logits, targets)
    counts = _counting(labels, ignore_index, mask)
    classes = logits.shape[-1]
    z = np.ascontiguousarray(below_peak(logits._array, -1)).reshape(-1, classes)
    entries = z.reshape(-1)
    chosen = np.arange(0, entries.size, classes) + _indices(labels, counts, classes)
    scores = entries[chosen]
    p = np.exp(z, out=z)
    total = row_sums(p)
    losses = np.log(total)[:, 0] - scores
    number = losses.size if counts is None else int(counts.sum())
    if reduction == "mean" and not number:
        raise ArgumentError("cross_entropy: no target is left to average over (all are ignored, or there are none)")
    if counts is not None:
        losses[~counts] = 0
    loss: Any = losses.reshape(logits.shape[:-1])
    if reduction != "none":
        loss = average(losses, number) if reduction == "mean" else losses.sum()
    loss = np.asarray(loss, losses.dtype)
    if not (logits._wants and state.recording):
        return unrecorded(loss)
    p /= total
    entries[chosen] -= 1
    weights: Any = 1 / number if reduction == "mean" else 1.0
    if counts is not None:
        p[~counts] = 0
        weights = (counts * losses.dtype.type(weights)).reshape((*labels.shape, 1))
    return record(CrossEntropy(), loss, (logits._node,), (p.reshape(logits.shape), chosen, weights))


def _labels(logits: Tensor, targets: Any) -> Array:
    """The targets: integers, one for each row of ``logits``."""
    if logits.dtype.kind != "f":
        raise DTypeError(f"cross_entropy: expected floating-point logits, got dtype {logits.dtype}")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ShapeError(f"cross_entropy: expected logits of shape (..., N) with N ≥ 1, got {logits.shape}")
    labels = plain(targets, "cross_entropy, targets")
    if not labels.size and labels.dtype.kind == "f":
        labels = labels.astype(np.intp)
    if labels.dtype.kind not in "iu":
        raise LabelError(f"cross_entropy: expected integer class labels, got dtype {labels.dtype}")
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"cross_entropy: logits of shape {logits.shape} need targets of shape {logits.shape[:-1]}, got {labels.shape}"
        )
    return labels


def _counting(labels: Array, ignore_index: int | None, mask: Any) -> Array | None:
    """Which positions count, as a row of booleans; None if all do."""
    counts = None
    if mask is not None:
        wanted = plain(mask, "cross_entropy, mask")
        if wanted.dtype != bool:
            raise DTypeError(f"cross_entropy: expected a mask of booleans, got dtype {wanted.dtype}")
        if wanted.shape != labels.shape:
            raise ShapeError(f"cross_entropy: expected a mask of shape {labels.shape}, got {wanted.shape}")
        counts = wanted
    if ignore_index is not None:
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int | np.integer):
            raise ArgumentError(f"cross_entropy: expected ignore_index to be an integer or None, got {ignore_index!r}")
        counts = labels != ignore_index if counts is None else counts & (labels != ignore_index)
    return None if counts is None or counts.all() else counts.ravel()


def _indices(labels: Array, counts: Array | None, classes: int) -> Array:
    """The labels as a row of indices, those that count checked; one that does not becomes 0."""
    row = labels.ravel().astype(np.int64, copy=False)
    wrong = row.view(np.uint64) >= classes  # where what is below 0 is large
    if counts is not None:
        wrong &= counts
    if wrong.any():
        place = tuple(int(i) for i in np.unravel_index(wrong.argmax(), labels.shape))
        raise LabelError(
            f"cross_entropy: expected labels from 0 to {classes - 1}, got {int(labels[place])} at position {place}"
        )
    return row if counts is None else np.where(counts, row, 0)
