"""What all schedules share: the optimiser whose learning rates they set, and a state that can be saved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.options import MOST, Described, named_arrays

__all__ = ["Schedule"]


class Schedule:
    """What schedules share: an optimiser, whose learning rates they set, and a state that can be saved.

    Attributes:
        last_epoch: t, the number of `step` calls.
    """

    counts: tuple[str, ...] = ("last_epoch",)
    """The attributes that are whole numbers from 0 up, and saved."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"a schedule needs an optimiser, got {optimizer!r}")
        self.optimizer = optimizer
        self.last_epoch = 0

    def get_last_lr(self) -> list[float]:
        """The learning rate now, of each group of parameters."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Array]:
        """What must be remembered; what else a schedule depends on is given when it is made."""
        return {name: np.asarray(getattr(self, name)) for name in self.counts}

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Go on as the schedule that returned ``saved``.

        Raises:
            ArgumentError: names, shapes, dtypes or values that do not belong here; all are listed, nothing is changed.
        """
        named_arrays(type(self).__name__, saved)
        problems = self.mismatches(saved) or self.bad_values(saved)
        if problems:
            raise ArgumentError(f"{type(self).__name__}: nothing was loaded; " + "; ".join(sorted(problems)))
        self._resume(saved)

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """Names that are missing or unknown in ``saved``, and shapes and dtypes that do not fit."""
        wanted = self.state_dict()
        problems = [f"missing: {name}" for name in wanted if name not in saved]
        problems += [f"unknown: {name}" for name in saved if name not in wanted]
        for name in wanted.keys() & saved.keys():
            found, own = saved[name], wanted[name]
            if (found.shape, found.dtype) != (own.shape, own.dtype):
                one = "one " if own.shape == () else f"{own.shape} "
                problems.append(f"{name}: expected {one}{own.dtype}, got {found.dtype} {found.shape}")
        return problems

    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        """What ``saved`` cannot hold even though its names, shapes and dtypes fit."""
        return [
            f"{name}: expected 0 … 2⁵³, got {saved[name]}" for name in self.counts if not 0 <= saved[name] < MOST
        ]

    def _resume(self, saved: Mapping[str, Array]) -> None:
        for name in self.counts:
            setattr(self, name, int(saved[name]))
