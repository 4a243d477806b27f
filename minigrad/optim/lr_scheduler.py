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

Every η(t) is computed from η₀ afresh, not from η(t − 1) as in torch: the same numbers but for rounding, and a resumed
schedule goes on bit for bit. So one optimiser has one schedule at a time; `SequentialLR` joins several.

>>> import numpy as np
>>> from minigrad import Tensor
>>> from minigrad.optim import SGD
>>> optimizer = SGD([Tensor(np.ones(3), requires_grad=True)], lr=1.0)
>>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
>>> for _ in range(5):
...     print(optimizer.lr)
...     optimizer.step()
...     schedule.step()
1.0
1.0
0.5
0.5
0.25
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Described, Optimizer, as_float

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "SequentialLR",
    "StepLR",
]


class LRScheduler(ABC):
    """Sets ``optimizer.lr`` to η(0) at once, and to η(t) at the t-th call of `step`, usually after each update or epoch.

    Args:
        optimizer: whose learning rate is set. The first schedule takes η₀ from it; a later one has the same η₀.

    Attributes:
        last_epoch: t, the number of `step` calls.
        base_lr: η₀.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"a schedule needs an optimiser, got {optimizer!r}")
        if optimizer.initial_lr is None:
            optimizer.initial_lr = optimizer.lr
        self.optimizer = optimizer
        self.base_lr = optimizer.initial_lr
        self.last_epoch = 0
        optimizer.lr = self.lr_at(0)

    @abstractmethod
    def lr_at(self, t: int) -> float:
        """η(t)."""

    def step(self) -> None:
        """Count one more step and set the learning rate."""
        self.optimizer.lr = self.lr_at(self.last_epoch + 1)
        self.last_epoch += 1

    def get_last_lr(self) -> list[float]:
        """The learning rate now; a list, as in torch, of the one group of parameters there is."""
        return [self.optimizer.lr]

    def state_dict(self) -> dict[str, Array]:
        """t and η₀; what else a schedule depends on is given when it is made."""
        return {"last_epoch": np.asarray(self.last_epoch), "base_lr": np.asarray(self.base_lr)}

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Go on as the schedule that returned ``saved``, and set the learning rate.

        Raises:
            ArgumentError: names, shapes, dtypes or values that do not belong here; all are listed, nothing is changed.
        """
        problems = self.mismatches(saved) or self.bad_values(saved)
        if problems:
            raise ArgumentError(f"{type(self).__name__}: nothing was loaded; " + "; ".join(sorted(problems)))
        self._resume(int(saved["last_epoch"]), float(saved["base_lr"]))
        self.optimizer.lr = self.lr_at(self.last_epoch)

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """Names that are missing or unknown in ``saved``, and shapes and dtypes that do not fit."""
        wanted = self.state_dict()
        problems = [f"missing: {name}" for name in wanted if name not in saved]
        problems += [f"unknown: {name}" for name in saved if name not in wanted]
        for name in wanted.keys() & saved.keys():
            if (saved[name].shape, saved[name].dtype) != ((), wanted[name].dtype):
                problems.append(f"{name}: expected one {wanted[name].dtype}, got {saved[name].dtype} {saved[name].shape}")
        return problems

    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        """What ``saved`` cannot hold even though its names, shapes and dtypes fit."""
        return [f"{name}: expected at least 0, got {value}" for name, value in saved.items() if not value >= 0]

    def _resume(self, t: int, base_lr: float) -> None:
        self.last_epoch, self.base_lr, self.optimizer.initial_lr = t, base_lr, base_lr


class LambdaLR(LRScheduler):
    """η(t) = η₀ · λ(t), with any function λ of t, such as ``lambda t: min(1, (t + 1) / 100)``."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.base_lr * self.lr_lambda(t)


class StepLR(LRScheduler):
    """η(t) = η₀ · γ^⌊t / step_size⌋: multiplied by γ every ``step_size`` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = _at_least_one("StepLR: step_size", step_size)
        self.gamma = as_float("gamma", gamma)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.base_lr * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """η(t) = η₀ · γ^(number of milestones ≤ t): multiplied by γ at each milestone."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(milestones)
        self.gamma = as_float("gamma", gamma)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.base_lr * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """η(t) = η₀ · γᵗ: multiplied by γ at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = as_float("gamma", gamma)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.base_lr * self.gamma**t


class CosineAnnealingLR(LRScheduler):
    """η(t) = η_min + (η₀ − η_min) · (1 + cos(π t / T_max)) / 2: down along a cosine, and after T_max up again."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = _at_least_one("CosineAnnealingLR: T_max", T_max)
        self.eta_min = as_float("eta_min", eta_min)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(LRScheduler):
    """η(t) = η₀ · (s + (e − s) · min(t, n) / n): along a straight line from s η₀ to e η₀ in n = ``total_iters`` steps.

    Raises ArgumentError unless 0 < start_factor ≤ 1, 0 ≤ end_factor ≤ 1 and total_iters ≥ 1.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if not (0 < start_factor <= 1 and 0 <= end_factor <= 1):
            raise ArgumentError(
                f"LinearLR: start_factor={start_factor} must be above 0 and at most 1, end_factor={end_factor} from 0 to 1"
            )
        self.start_factor, self.end_factor = float(start_factor), float(end_factor)
        self.total_iters = _at_least_one("LinearLR: total_iters", total_iters)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        share = min(t, self.total_iters) / self.total_iters
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * share)


class SequentialLR(LRScheduler):
    """One schedule after the other: the k-th goes on until milestone k, where the next one begins with its t = 0.

    Args:
        optimizer: the one that all the schedules were made for.
        schedulers: in their order.
        milestones: rising, one fewer than schedules.

    Raises ArgumentError for another optimiser or another number of milestones.

    >>> from minigrad import Tensor
    >>> from minigrad.optim import SGD
    >>> optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.25, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, CosineAnnealingLR(optimizer, T_max=4)], milestones=[2])
    >>> [round(schedule.lr_at(t), 3) for t in range(7)]
    [0.25, 0.625, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        if len(self.schedulers) != len(self.milestones) + 1 or sorted(set(self.milestones)) != self.milestones:
            raise ArgumentError(
                f"SequentialLR: {len(self.schedulers)} schedules need one milestone fewer, rising; got {self.milestones}"
            )
        if any(schedule.optimizer is not optimizer for schedule in self.schedulers):
            raise ArgumentError("SequentialLR: every schedule must be made for the optimiser given")
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        turn = bisect_right(self.milestones, t)
        return self.schedulers[turn].lr_at(t - (self.milestones[turn - 1] if turn else 0))

    @override
    def _resume(self, t: int, base_lr: float) -> None:
        super()._resume(t, base_lr)
        for schedule in self.schedulers:
            schedule._resume(t, base_lr)


def _at_least_one(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ArgumentError(f"{name} must be an integer ≥ 1, got {value!r}")
    return int(value)
