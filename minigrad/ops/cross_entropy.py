"""The cross-entropy of scores against class labels, in one operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad.axes import exchanged, misplaced
from minigrad.errors import ArgumentError, DTypeError, LabelError, ShapeError
from minigrad.graph import CONSTANT, Gradient, Operation
from minigrad.guard import Array
from minigrad.ops.kinks import where
from minigrad.ops.losses import average, checked_reduction
from minigrad.ops.shape import as_tensor
from minigrad.ops.softmax import below_peak, log_softmax, softmax
from minigrad.recording import plain, record
from minigrad.reporting import reporting
from minigrad.scope import state
from minigrad.sums import row_sums
from minigrad.tensor import Tensor, unrecorded

__all__ = ["cross_entropy"]


Rows: TypeAlias = tuple[Array, Array, "Array | None"]
"""Of the rows of scores: the losses, the residuals, and the sum of the losses times what each counts, if it is known."""

instead: list[Callable[[Array, Array, Any], Rows | None]] = []
"""What may compute the rows instead of NumPy: it returns None where it was not asked to, where it cannot, or where a label is
none."""


class CrossEntropy(Operation):
    """ℓ = −ln p[label] for each row p = softmax(x), summed or averaged over rows;  ∂L/∂x = g (p − onehot(label)).

    What is kept is the array p − onehot itself, times what its row counts (1/R in the mean of R rows). A recorded backward
    pass needs p as a function of x; since softmax does not change when a constant is added to x, ln p can stand in for x there.
    """

    __slots__ = ()
    label, symbol = "cross_entropy", "cross-entropy"
    keeps = (0, CONSTANT, CONSTANT)

    @override
    def lifted(self, lift: Any) -> Sequence[Any]:
        residual, labels, weights = self.needed()
        onehot = np.zeros_like(residual)
        onehot.reshape(-1)[_places(labels, residual.shape[-1])] = 1
        with reporting(divide="ignore"):
            p = softmax(lift(np.log(residual / np.where(weights, weights, 1) + onehot), self.sources[0]))
        return (p - onehot) * weights, labels, weights

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        residual, *_ = saved
        if g.shape != ():
            return (residual * g[..., None],)
        return (residual if not isinstance(g, Tensor) and g.item() == 1 else residual * g,)


def cross_entropy(
    logits: Any,
    targets: Any,
    reduction: str = "mean",
    ignore_index: int | None = None,
    mask: Any = None,
    weight: Any = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """−ln of the probability that ``softmax(logits)`` gives to each target, averaged over all of them.

    With weights w and smoothing ε, as in PyTorch: ℓ = −(1 − ε) w_y ln p_y − ε/N Σ_c w_c ln p_c for the target y, and a mean
    is Σ ℓ / Σ w_y.

    Args:
        logits: (..., N) floating-point scores, such as (T, B, N).
        targets: (...) integers from 0 to N − 1, such as (T, B); checked, never wrapped round.
        reduction: ``"mean"`` (over the targets that count), ``"sum"``, or ``"none"`` for a loss of shape (...), in nats.
        ignore_index: a label whose positions do not count: loss 0 and gradient 0.
        mask: (...) booleans, False where a position does not count, whatever its logits and target hold.
        weight: (N,) real numbers ≥ 0, what a target of each class counts; None: 1.
        label_smoothing: ε from 0 to 1, how much of each target is spread over all classes.

    Raises:
        ShapeError: the shape of ``targets`` or ``mask`` is not that of ``logits`` without its last axis, or there is not one
            weight for each class.
        DTypeError: the logits are not floating-point numbers, the mask is not made of booleans, or the weights not of real
            numbers.
        LabelError: a target that counts is not an integer, or not from 0 to N − 1.
        ArgumentError: unknown reduction, ``ignore_index`` is not an integer, a weight is negative or not finite,
            ``label_smoothing`` is outside of 0 … 1, or a mean over no target at all, or none whose class has a weight.

    >>> cross_entropy(Tensor([[0.0, 0.0], [0.0, 0.0]]), [0, 1]).item()
    0.6931471805599453
    """
    logits = as_tensor(logits, "cross_entropy")
    checked_reduction(reduction, "cross_entropy")
    labels = _labels(logits, targets)
    counts = None if mask is None and ignore_index is None else _counting(labels, ignore_index, mask)
    if weight is not None or label_smoothing != 0:
        importance, smoothing = _weights(weight, logits), _smoothing(label_smoothing)
        return _weighted(logits, labels, counts, reduction, importance, smoothing)
    number = labels.size if counts is None else int(counts.sum())
    if reduction == "mean" and not number:
        raise ArgumentError("cross_entropy: no target is left to average over (all are ignored, or there are none)")
    scores, is_recorded = logits._array, logits._wants and state.recording
    classes = scores.shape[-1]
    weights: Any = scores.dtype.type(1 / number if reduction == "mean" else 1.0)
    rows, indices, found = scores.reshape(-1, classes), labels.ravel().astype(np.int64, copy=False), None
    if counts is not None:
        indices = _checked(indices, labels, counts, classes)
    for compute in instead:
        found = compute(rows, indices, weights)
    if found is None:
        indices = _checked(indices, labels, counts, classes)
        found = _in_numpy(rows, indices, weights, is_recorded)
    losses, residual, loss = found
    if counts is not None:
        losses[~counts] = 0
    if reduction == "none":
        loss = losses.reshape(labels.shape)
    elif loss is None or counts is not None:
        loss = np.asarray(average(losses, number) if reduction == "mean" else losses.sum(), losses.dtype)
    if not is_recorded:
        return unrecorded(loss)
    if counts is not None:
        residual[~counts] = 0
        weights = (counts * weights).reshape((*labels.shape, 1))
    kept = residual.reshape(scores.shape), indices.copy(), weights  # the caller's labels may change
    return record(CrossEntropy(), loss, (logits._node,), kept)


def _in_numpy(rows: Array, labels: Array, weight: Any, is_recorded: bool) -> Rows:
    """−ln p[label] of each row p = softmax(x), and (p − onehot(label)) times a weight."""
    z = np.ascontiguousarray(below_peak(rows, -1))
    entries, chosen = z.reshape(-1), _places(labels, rows.shape[1])
    scores = entries[chosen]
    p = np.exp(z, out=z)
    total = row_sums(p)
    losses = np.log(total)[:, 0] - scores
    if is_recorded:
        p *= weight / total
        entries[chosen] -= weight
    return losses, p, None


def _places(labels: Array, classes: int) -> Array:
    """Where the entries of the labels are among those of all rows."""
    return np.arange(0, labels.size * classes, classes) + labels


def _weighted(
    logits: Tensor, labels: Array, counts: Array | None, reduction: str, weights: Array, smoothing: float
) -> Tensor:
    """The loss with weights of classes and smoothed labels, made of the plain loss of each target and log_softmax."""
    valid = np.ones(labels.shape, bool) if counts is None else counts.reshape(labels.shape)
    labels = _checked(labels.ravel().astype(np.int64), labels, counts, logits.shape[-1]).reshape(labels.shape)
    if counts is not None:
        logits = where(valid[..., None], logits, 0.0)
    own = np.where(valid, weights[labels], 0)
    rows: Tensor = cross_entropy(logits, labels, "none", mask=own != 0) * own
    if smoothing:
        spread = where(weights != 0, log_softmax(logits), 0.0) * weights
        rows = rows * (1 - smoothing) - where(valid, spread.sum(axis=-1), 0.0) * (smoothing / logits.shape[-1])
    if reduction == "none":
        return rows
    if reduction == "sum":
        return rows.sum()
    total = float(own.sum())
    if not total:
        raise ArgumentError("cross_entropy: no target is left to average over whose class has a weight")
    return rows.sum() / total


def _weights(weight: Any, logits: Tensor) -> Array:
    """What a target of each class counts, in the dtype of the logits."""
    classes = logits.shape[-1]
    if weight is None:
        return np.ones(classes, logits.dtype)
    if isinstance(weight, Tensor):
        weight._refuse_conversion("cross_entropy", "weight= is a constant: pass weight.detach()")
    values = plain(weight, "cross_entropy, weight")
    if values.dtype.kind not in "fiub":
        raise DTypeError(f"cross_entropy: expected weights that are real numbers, got dtype {values.dtype}")
    if values.shape != (classes,):
        raise ShapeError(f"cross_entropy: expected a weight for each of {classes} classes, ({classes},), got {values.shape}")
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        place = int(wrong.argmax())
        raise ArgumentError(f"cross_entropy: expected finite weights ≥ 0, got {values[place]} for class {place}")
    return values.astype(logits.dtype)


def _smoothing(ε: Any) -> float:
    if isinstance(ε, bool) or not isinstance(ε, int | float | np.number) or not 0 <= ε <= 1:
        raise ArgumentError(f"cross_entropy: expected label_smoothing from 0 to 1, got {ε!r}")
    return float(ε)


def _labels(logits: Tensor, targets: Any) -> Array:
    """The targets: integers, one for each row of ``logits``."""
    scores = logits._array
    if scores.dtype.kind != "f":
        raise DTypeError(f"cross_entropy: expected floating-point logits, got dtype {scores.dtype}")
    shape = scores.shape
    if not shape or shape[-1] == 0:
        raise ShapeError(f"cross_entropy: expected logits of shape (..., N) with N ≥ 1, got {shape}")
    labels = plain(targets, "cross_entropy, targets")
    if not labels.size and labels.dtype.kind == "f":
        labels = labels.astype(np.intp)
    if labels.dtype.kind not in "iu":
        instead = "targets.argmax(-1) of one-hot rows" if labels.shape == shape else "targets.astype(int)"
        raise LabelError(f"cross_entropy: expected integer class labels, got dtype {labels.dtype}; pass {instead}")
    if labels.shape != shape[:-1]:
        raise ShapeError(
            f"cross_entropy: logits of shape {shape} need targets of shape {shape[:-1]}, got {labels.shape}"
            + (exchanged("targets", labels.shape, shape[:-1]) or misplaced("logits", shape, labels.shape))
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
            hint = exchanged("mask", wanted.shape, labels.shape)
            raise ShapeError(f"cross_entropy: expected a mask of shape {labels.shape}, got {wanted.shape}{hint}")
        counts = wanted
    if ignore_index is not None:
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int | np.integer):
            raise ArgumentError(f"cross_entropy: expected ignore_index to be an integer or None, got {ignore_index!r}")
        counts = labels != ignore_index if counts is None else counts & (labels != ignore_index)
    return None if counts is None or counts.all() else counts.ravel()


def _checked(row: Array, labels: Array, counts: Array | None, classes: int) -> Array:
    """The labels as a row of indices, once it is sure that those that count are some; one that does not becomes 0."""
    unsigned = row.view(np.uint64)  # where what is below 0 is large
    if counts is None and row.size and np.maximum.reduce(unsigned) < classes:
        return row
    wrong = unsigned >= classes
    if counts is not None:
        wrong &= counts
    if wrong.any():
        place = tuple(int(i) for i in np.unravel_index(wrong.argmax(), labels.shape))
        raise LabelError(
            f"cross_entropy: expected labels from 0 to {classes - 1}, got {int(labels[place])} at position {place}"
        )
    return row if counts is None else np.where(counts, row, 0)
