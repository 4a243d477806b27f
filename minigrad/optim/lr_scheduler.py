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
from typing import Literal

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer, set_all_items
from minigrad.optim.options import MOST, Described, as_float, at_least_zero, named_arrays, whole_number

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
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * self.lr_lambda(t)


class MultiStepLR(LRScheduler):
    """η(t) = η₀ · γ^(number of milestones ≤ t): multiplied by γ at each milestone. ArgumentError for γ < 0."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(whole_number("MultiStepLR: a milestone", milestone, 0) for milestone in milestones)
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
        self.schedulers, self.milestones = list(schedulers), list(milestones)
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
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                f"ReduceLROnPlateau: expected mode 'min' or 'max' and threshold_mode 'rel' or 'abs', got {mode!r} and "
                f"{threshold_mode!r}"
            )
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
            return not math.isnan(value)
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
