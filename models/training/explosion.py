"""Where gradients exploded: going back in time they grow at every step, until they leave the numbers there are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad import Module, edge_gradients

from .batch import Batch
from .losses import Loss, loss_of

__all__ = ["explosion"]


def explosion(model: Module, loss: Loss | None, batches: Iterable[Batch], state: Any) -> str:
    """What can be said of batches whose gradient is not finite: of their loss, or of the time step where it began.

    >>> from minigrad import mse_loss
    >>> from minigrad.models import Head
    >>> explosion(Head(1, 1, seed=0), mse_loss, [Batch((np.ones((2, 1)),), np.full((2, 1), np.nan), (0, 0))], None)
    'the loss is nan. '
    """
    for batch in batches:
        value, _ = loss_of(model, loss, batch, None if batch.starts else state)
        if not math.isfinite(value.item()):
            return f"the loss is {value.item()}. "
        sizes: dict[int, float] = {}
        for (node, _), g in edge_gradients(value).items():
            if node.time is not None:
                sizes[node.time] = float(np.max([sizes.get(node.time, 0.0), np.abs(g).max(initial=0)]))
        spoilt = [t for t, size in sizes.items() if not math.isfinite(size)]
        if spoilt:
            last, began = max(sizes), max(spoilt)
            return (
                f"backpropagating from time step {last}, where the largest gradient is {sizes[last]:.1e}, it grew to "
                f"{sizes.get(began + 1, sizes[last]):.1e} at time step {min(began + 1, last)} and was no longer finite at "
                f"time step {began}. "
            )
    return ""
