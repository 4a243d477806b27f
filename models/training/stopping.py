"""Early stopping: the weights with the best validation loss are kept, and the training ends when they stay the best."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from minigrad import Module
from minigrad.checkpoint import below
from minigrad.optim.options import MOST, Described

from ..checks import positive_size
from .batch import Array

__all__ = ["EarlyStopping"]

_BEST, _BAD = "loss", "bad"


class EarlyStopping:
    """The best weights so far, and for how long there have been no better ones.

    Args:
        model: whose weights are kept.
        patience: how many looks at the validation data without a lower loss end the training.

    >>> from minigrad.models import RNN
    >>> stopping = EarlyStopping(RNN(3, 4, seed=0), patience=2)
    >>> for loss in (2.0, 1.0, 1.5, 1.25):
    ...     stopping.look(loss)
    >>> stopping.over, stopping.best
    (True, 1.0)
    """

    def __init__(self, model: Module, patience: int) -> None:
        self.model = model
        self.patience = positive_size("early stopping", "patience", patience)
        self.best: float | None = None
        self.bad = 0
        self.weights: dict[str, Array] = {}

    @property
    def over(self) -> bool:
        """Whether it is time to end."""
        return self.bad >= self.patience

    def look(self, loss: float) -> None:
        """Take note of a validation loss. NaN is never the best."""
        if loss < (math.inf if self.best is None else self.best):
            self.best, self.bad, self.weights = loss, 0, self.model.state_dict()
        else:
            self.bad += 1

    def restore(self) -> None:
        """Give the model the best weights, if there are any."""
        if self.weights:
            self.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Array]:
        """How long there have been no better weights; the best loss and weights, once there are some."""
        best = {} if self.best is None else {_BEST: np.asarray(self.best)}
        return {_BAD: np.asarray(self.bad), **best, **{f"weights.{name}": value for name, value in self.weights.items()}}

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """What is wrong with the names, shapes and dtypes of a saved state."""
        wanted: dict[str, Described] = {_BAD: np.asarray(0)}
        if _BEST in saved:
            wanted |= {_BEST: np.zeros(())} | {f"weights.{name}": p for name, p in self.model.named_parameters()}
        problems = [f"missing: {name}" for name in wanted if name not in saved]
        problems += [f"unknown: {name}" for name in saved if name not in wanted]
        for name in wanted.keys() & saved.keys():
            kind, found = ((d.dtype, d.shape) for d in (wanted[name], saved[name]))
            if kind != found:
                problems.append(f"{name}: expected {kind[0]} {kind[1]}, got {found[0]} {found[1]}")
        return problems

    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        """What is wrong with the values of a saved state whose names, shapes and dtypes are right."""
        return [] if 0 <= saved[_BAD] < MOST else [f"{_BAD}: expected at least 0, got {saved[_BAD]}"]

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Go on as the one that returned ``saved``."""
        self.best = float(saved[_BEST]) if _BEST in saved else None
        self.bad = int(saved[_BAD])
        self.weights = {name: np.array(value) for name, value in below("weights", saved).items()}
