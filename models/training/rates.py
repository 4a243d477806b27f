"""Learning rates that follow the share of the training that is done, whatever ends it: a number of updates or the clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from typing_extensions import override

from minigrad.optim import Optimizer
from minigrad.optim.lr_scheduler import LRScheduler

__all__ = ["Schedule", "ShareLR", "constant", "cosine"]

Schedule: TypeAlias = Callable[[float], float]
"""From the share of the training that is done (0 to 1) to a factor of the learning rate."""


def constant(share: float) -> float:
    """The learning rate stays as it is."""
    return 1.0


def cosine(share: float) -> float:
    """The learning rate rises over the first fiftieth of the training and falls along a cosine to a hundredth.

    >>> [round(cosine(share), 3) for share in (0.0, 0.01, 0.02, 0.51, 1.0)]
    [0.01, 0.505, 1.0, 0.505, 0.01]
    """
    if share < 0.02:
        return 0.01 + 0.99 * share / 0.02
    return 0.505 + 0.495 * math.cos(math.pi * min((share - 0.02) / 0.98, 1.0))


class ShareLR(LRScheduler):
    """η = η₀ · factor, the factor set from outside; it composes with other schedules, and keeps a rate set by hand.

    >>> from minigrad import Parameter
    >>> from minigrad.optim import SGD
    >>> optimizer = SGD([Parameter([1.0])], lr=0.5)
    >>> ShareLR(optimizer).follow(0.1)
    >>> optimizer.lr
    0.05
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.factor = 1.0
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * self.factor

    def follow(self, factor: float) -> None:
        """Set the factor, and with it the learning rates."""
        self._keep_what_was_set()
        before, self.factor = self.factor, factor
        try:
            self._set(self.last_epoch + 1)
        except BaseException:
            self.factor = before
            raise
