"""A learning rate that falls when what is watched stops getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from typing_extensions import override

from minigrad.arguments import named_one_of
from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.options import Described, at_least_zero, whole_number
from minigrad.optim.schedule import Schedule

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(Schedule):
    """η ← max(η · factor, min_lr) whenever what is watched has not got better for more than ``patience`` steps.

    Args:
        optimizer: whose learning rates are made smaller.
        mode: ``"min"`` if less is better, as of a loss; ``"max"`` if more is, as of an accuracy.
        factor: from 0 to below 1.
        patience: how many steps without getting better are put up with.
        threshold: by how much a number must be better to count.
        threshold_mode: ``"rel"``: by that share of the best so far; ``"abs"``: by that much.
        cooldown: for how many steps after each reduction nothing is counted.
        min_lr: the least η.
        eps: a reduction by no more than this is not made.

    Raises ArgumentError for a value out of range.

    >>> from minigrad import Tensor
    >>> from minigrad.optim import SGD
    >>> optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for validation_loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     schedule.step(validation_loss)
    ...     print(optimizer.lr)
    1.0
    1.0
    1.0
    0.5
    0.5
    """

    counts = ("last_epoch", "num_bad_epochs", "cooldown_counter")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        named_one_of(mode, "ReduceLROnPlateau: mode", ("min", "max"))
        named_one_of(threshold_mode, "ReduceLROnPlateau: threshold_mode", ("rel", "abs"))
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = at_least_zero("factor", factor)
        if self.factor >= 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        self.patience = whole_number("ReduceLROnPlateau: patience", patience, 0)
        self.cooldown = whole_number("ReduceLROnPlateau: cooldown", cooldown, 0)
        self.threshold = at_least_zero("threshold", threshold)
        self.min_lr, self.eps = at_least_zero("min_lr", min_lr), at_least_zero("eps", eps)
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: float) -> None:
        """Count one more step, at which what is watched is ``metrics``; NaN is never better than anything."""
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                reduced = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - reduced > self.eps:
                    group["lr"] = reduced
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return math.isfinite(value)
        sign = 1 if self.mode == "min" else -1
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        return sign * value < sign * self.best - margin

    @override
    def state_dict(self) -> dict[str, Array]:
        """The counts, and the best number seen, once there is one."""
        return super().state_dict() | ({} if self.best is None else {"best": np.asarray(self.best)})

    @override
    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        without = {name: found for name, found in saved.items() if name != "best"}
        problems = [problem for problem in super().mismatches(without) if problem != "missing: best"]
        if "best" in saved and (saved["best"].shape != () or saved["best"].dtype != np.float64):
            problems.append(f"best: expected one float64, got {saved['best'].dtype} {saved['best'].shape}")
        return problems

    @override
    def _resume(self, saved: Mapping[str, Array]) -> None:
        super()._resume(saved)
        self.best = float(saved["best"]) if "best" in saved else None
