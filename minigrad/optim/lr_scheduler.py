"""Learning-rate schedules with PyTorch's names: the learning rate η as a function of the number t of `step` calls.

| schedule | η(t), beginning with η₀ = the optimiser's learning rate |
| --- | --- |
| `LambdaLR` | η₀ · λ(t) |
| `StepLR` | η₀ · γ^⌊t / step_size⌋ |
| `MultiStepLR` | η₀ · γ^(number of milestones ≤ t) |
| `ExponentialLR` | η₀ · γᵗ |
| `CosineAnnealingLR` | η_min + (η₀ − η_min) · (1 + cos(π t / T_max)) / 2 |
| `LinearLR` | η₀ · (s + (e − s) · min(t, n) / n), from s to e in n steps: the usual warm-up |
| `SequentialLR` | one schedule after the other, each beginning with its t = 0 |
| `ReduceLROnPlateau` | smaller by a factor whenever a number that is watched has stopped getting better |

Schedules of one optimiser compose: what one of them makes of η₀ is the η₀ of the next, so a warm-up and a decay that are
stepped side by side multiply, as in torch. A learning rate that you set by hand is kept: schedules go on from there.
Every η(t) is computed from η₀ afresh, not from η(t − 1) as in torch: the same numbers but for rounding, and a resumed
schedule goes on bit for bit. η₀ of each group of parameters is in ``group["initial_lr"]``, which is saved with the
optimiser: a schedule made after loading starts from there.

>>> import numpy as np
>>> from minigrad import Tensor
>>> from minigrad.optim import SGD
>>> optimizer = SGD([Tensor(np.ones(3), requires_grad=True)], lr=1.0)
>>> warm_up, decay = LinearLR(optimizer, start_factor=0.5, total_iters=2), StepLR(optimizer, step_size=2, gamma=0.1)
>>> for _ in range(5):
...     print(round(optimizer.lr, 9))
...     optimizer.step()
...     warm_up.step()
...     decay.step()
0.5
0.75
0.1
0.1
0.01
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from typing_extensions import override

from minigrad.arguments import several
from minigrad.atomic import set_all_items
from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.options import as_float, at_least_zero, whole_number
from minigrad.optim.plateau import ReduceLROnPlateau
from minigrad.optim.schedule import Schedule

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LRScheduler(Schedule, ABC):
    """Sets the learning rates to η(0) at once, and to η(t) at the t-th call of `step`, usually after each update or epoch.

    A subclass says in `lr_at` what η(t) is.

    Args:
        optimizer: whose learning rates are set. The first schedule takes η₀ from it; a later one has the same η₀.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self._keep_what_was_set()
        optimizer.schedules.append(self)
        self._set(0)

    @abstractmethod
    def lr_at(self, t: int, base_lr: float) -> float:
        """η(t), for η₀ = ``base_lr``; linear in it."""

    @property
    def base_lrs(self) -> list[float]:
        """η₀ of each group of parameters."""
        return [group["initial_lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Count one more step and set the learning rates."""
        if not any(schedule is self for schedule in self.optimizer.schedules):
            raise ArgumentError(f"{type(self).__name__}.step: it is part of a SequentialLR, which takes the steps")
        self._keep_what_was_set()
        self._set(self.last_epoch + 1)

    def _set(self, t: int) -> None:
        """Set the learning rates and the number of steps: all of them or, after an error or an interrupt, none."""
        groups = self.optimizer.param_groups
        rates = [at_least_zero("lr", self._composed(group["initial_lr"], t)) for group in groups]
        changes = [(group, "lr", rate) for group, rate in zip(groups, rates, strict=True)]
        set_all_items([*changes, (vars(self), "last_epoch", t)])

    def _composed(self, base_lr: float, t: int) -> float:
        """What all schedules of the optimiser make of η₀, this one at its step t."""
        for schedule in self.optimizer.schedules:
            base_lr = schedule.lr_at(t if schedule is self else schedule.last_epoch, base_lr)
        return base_lr

    def _keep_what_was_set(self) -> None:
        """Where a learning rate is not what the schedules made of η₀, take the η₀ of which they would have made it.

        The η₀ of an optimiser that was loaded, and has no schedule yet, stays.
        """
        loaded = not self.optimizer.schedules
        for group in self.optimizer.param_groups:
            rate, t = group["lr"], self.last_epoch
            if "initial_lr" in group and (loaded or self._composed(group["initial_lr"], t) == rate):
                continue
            least = self._composed(0.0, t)
            slope = self._composed(1.0, t) - least
            group["initial_lr"] = (rate - least) / slope if slope else rate

    @override
    def state_dict(self) -> dict[str, Array]:
        """t, and η₀ of each group (one number where there is one group)."""
        rates = self.base_lrs
        return {**super().state_dict(), "base_lr": np.asarray(rates[0] if len(rates) == 1 else rates)}

    @override
    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        problems, rates = super().bad_values(saved), saved["base_lr"]
        if not (np.isfinite(rates) & (rates >= 0)).all():
            problems.append(f"base_lr: expected at least 0, got {rates}")
        return problems

    @override
    def _resume(self, saved: Mapping[str, Array]) -> None:
        super()._resume(saved)
        for group, rate in zip(self.optimizer.param_groups, np.atleast_1d(saved["base_lr"]), strict=True):
            group["initial_lr"] = float(rate)
        self._set(self.last_epoch)


class LambdaLR(LRScheduler):
    """η(t) = η₀ · λ(t), with any function λ of t, such as ``lambda t: min(1, (t + 1) / 100)``."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        if not callable(lr_lambda):
            raise ArgumentError(f"LambdaLR: lr_lambda: expected a function of t, got {lr_lambda!r:.60}")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * as_float(f"LambdaLR: what lr_lambda({t}) returns", self.lr_lambda(t))


class MultiStepLR(LRScheduler):
    """η(t) = η₀ · γ^(number of milestones ≤ t): multiplied by γ at each milestone. ArgumentError for γ < 0."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        given = several(milestones, "MultiStepLR: milestones", "a list of steps")
        self.milestones = sorted(whole_number("MultiStepLR: a milestone", milestone, 0) for milestone in given)
        self.gamma = at_least_zero("gamma", gamma)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * self.gamma ** bisect_right(self.milestones, t)


class StepLR(LRScheduler):
    """η(t) = η₀ · γ^⌊t / step_size⌋: multiplied by γ every ``step_size`` steps. ArgumentError for γ < 0 or step_size < 1."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = whole_number("StepLR: step_size", step_size, 1)
        self.gamma = at_least_zero("gamma", gamma)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (t // self.step_size)


class ExponentialLR(StepLR):
    """η(t) = η₀ · γᵗ: multiplied by γ at every step. ArgumentError for γ < 0."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        super().__init__(optimizer, 1, gamma)


class CosineAnnealingLR(LRScheduler):
    """η(t) = η_min + (η₀ − η_min) · (1 + cos(π t / T_max)) / 2: down along a cosine, and after T_max up again.

    Raises ArgumentError for T_max < 1 or η_min < 0.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = whole_number("CosineAnnealingLR: T_max", T_max, 1)
        self.eta_min = at_least_zero("eta_min", eta_min)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(LRScheduler):
    """η(t) = η₀ · (s + (e − s) · min(t, n) / n): along a straight line from s η₀ to e η₀ in n = ``total_iters`` steps.

    Raises ArgumentError unless 0 < start_factor ≤ 1, 0 ≤ end_factor ≤ 1 and total_iters ≥ 1.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor, self.end_factor = as_float("start_factor", start_factor), as_float("end_factor", end_factor)
        if not (0 < self.start_factor <= 1 and 0 <= self.end_factor <= 1):
            raise ArgumentError(
                f"LinearLR: start_factor={start_factor} must be above 0 and at most 1, end_factor={end_factor} from 0 to 1"
            )
        self.total_iters = whole_number("LinearLR: total_iters", total_iters, 1)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        share = min(t, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * share)


class SequentialLR(LRScheduler):
    """One schedule after the other: the k-th goes on until milestone k, where the next one begins with its t = 0.

    Args:
        optimizer: the one that all the schedules were made for.
        schedulers: in their order; from now on they act through this one alone.
        milestones: rising, one fewer than schedules.

    Raises ArgumentError for another optimiser or another number of milestones.

    >>> from minigrad import Tensor
    >>> from minigrad.optim import SGD
    >>> optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.25, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, CosineAnnealingLR(optimizer, T_max=4)], milestones=[2])
    >>> [round(schedule.lr_at(t, 1.0), 3) for t in range(7)]
    [0.25, 0.625, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self.schedulers: list[LRScheduler] = several(schedulers, "SequentialLR: schedulers", "a list of schedules")
        given = several(milestones, "SequentialLR: milestones", "a list of steps")
        self.milestones = [whole_number("SequentialLR: a milestone", milestone, 0) for milestone in given]
        if len(self.schedulers) != len(self.milestones) + 1 or sorted(set(self.milestones)) != self.milestones:
            raise ArgumentError(
                f"SequentialLR: {len(self.schedulers)} schedules need one milestone fewer, rising; got {self.milestones}"
            )
        if any(getattr(schedule, "optimizer", None) is not optimizer for schedule in self.schedulers):
            raise ArgumentError("SequentialLR: every schedule must be made for the optimiser given")
        if not all(isinstance(schedule, LRScheduler) for schedule in self.schedulers):
            raise ArgumentError("SequentialLR: a schedule that depends on what is watched cannot be one of several in a row")
        self.schedulers[0]._keep_what_was_set()
        mine = set(map(id, self.schedulers))
        optimizer.schedules = [schedule for schedule in optimizer.schedules if id(schedule) not in mine]
        self.optimizer, self.last_epoch = optimizer, 0
        for group in optimizer.param_groups:
            group["lr"] = self._composed(group["initial_lr"], 0)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        turn = bisect_right(self.milestones, t)
        return self.schedulers[turn].lr_at(t - (self.milestones[turn - 1] if turn else 0), base_lr)
