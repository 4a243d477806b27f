"""The loss of a batch: the model's own, or any function of its outputs and the targets."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from minigrad import Module, Tensor
from minigrad.errors import ArgumentError, ShapeError

from .batch import Batch

__all__ = ["Loss", "loss_of"]

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""From outputs and targets to one number: the mean over all targets."""


def loss_of(model: Module, loss: Loss | None, batch: Batch, state: Any = None) -> tuple[Tensor, Any]:
    """The loss of a batch, and the state after it where the model returns one.

    Args:
        model: is called with the batch's inputs, floats as a Tensor and integers as an array; with ``lengths=`` where sequences
            have different ones, and with the state where the batch is a chunk of streams.
        loss: what compares its outputs with the targets; of sequences with different lengths only the steps that count.
            None: ``model.loss`` does all of it.

    Raises:
        ArgumentError: there is no loss, or a model that takes no lengths is given sequences of different lengths.
        ShapeError: the loss is not one number.

    >>> from minigrad import mse_loss
    >>> from minigrad.models import Head
    >>> batch = Batch((np.ones((5, 4)),), np.ones((5, 1)), axes=(0, 0))
    >>> loss_of(Head(4, 1, seed=0), mse_loss, batch)[0].shape
    ()
    """
    called = getattr(model, "loss", None) if loss is None else model
    if called is None:
        raise ArgumentError(f"{type(model).__name__} has no method loss; give one: loss=mse_loss, or any function of outputs")
    options: dict[str, Any] = {}
    if batch.lengths is not None:
        if not _takes_lengths(getattr(model, "loss" if loss is None else "forward", called)):
            raise ArgumentError(
                f"the sequences have different lengths, and {type(model).__name__}."
                f"{'loss' if loss is None else 'forward'} takes no argument lengths"
            )
        options["lengths"] = batch.lengths
    carried = () if batch.starts is None else (state,)
    targets = () if loss is not None or batch.targets is None else (batch.targets,)
    inputs = (Tensor(given) if isinstance(given, np.ndarray) and given.dtype.kind == "f" else given for given in batch.inputs)
    result = called(*inputs, *targets, *carried, **options)
    outputs, state = (result[0], result[1]) if isinstance(result, tuple) else (result, None)
    if loss is not None:
        valid = batch.valid
        wanted = batch.targets
        if valid is not None:
            outputs, wanted = outputs[valid], wanted[valid]
        outputs, judged = loss(outputs, wanted), outputs
        _check_spread(outputs, judged, wanted)
    if not isinstance(outputs, Tensor) or outputs.shape != ():
        raise ShapeError(f"a loss is one number, a Tensor of shape (); got {getattr(outputs, 'shape', type(outputs).__name__)}")
    return outputs, state


def _check_spread(loss: Any, outputs: Any, targets: Any) -> None:
    """Warn of a loss in which outputs (N, 1) and targets (N,) were combined, by NumPy's rules, to (N, N)."""
    if not isinstance(loss, Tensor) or not isinstance(outputs, Tensor) or not isinstance(targets, np.ndarray):
        return
    if outputs.shape != (*targets.shape, 1) or targets.shape[-1:] in ((), (1,)) or targets.dtype.kind != "f":
        return
    judged, waiting, seen = outputs.node, [loss.node], set()
    while judged is not None and waiting:
        node = waiting.pop()
        if node is None or node is judged or id(node) in seen:
            continue
        seen.add(id(node))
        one_operand = [source.shape for source in node.sources if source is not None] == [outputs.shape]
        if one_operand and node.shape == (*outputs.shape[:-1], targets.shape[-1]):
            warnings.warn(
                f"the loss combines outputs {outputs.shape} and targets {targets.shape} to {node.shape}, every output with "
                "every target; give targets of the shape of the outputs",
                stacklevel=2,
            )
            return
        waiting += node.sources


@lru_cache(maxsize=256)
def _parameters(function: Any) -> tuple[str, ...]:
    kinds = inspect.signature(function).parameters.values()
    return tuple("**" if kind.kind is kind.VAR_KEYWORD else kind.name for kind in kinds)


def _takes_lengths(method: Any) -> bool:
    names = _parameters(getattr(method, "__func__", method))
    return "lengths" in names or "**" in names
