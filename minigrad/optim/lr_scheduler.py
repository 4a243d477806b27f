"""Learning-rate schedules with PyTorch's names: the learning rate η as a function of the number t of `step` calls.

| schedule | η(t), beginning with η₀ = the optimiser's learning rate |
| --- | --- |
| `LambdaLR` | η₀ · λ(t) |
| `StepLR` | η₀ · γ^⌊t / step_size⌋ |
| `MultiStepLR` | η₀ · γ^(number of milestones ≤ t) |
| `ExponentialLR` | η₀ · γᵗ |
| `CosineAnnealingLR` | η_min + (η₀ − η_min) · (1 + cos(π t / T_max)) / 2 |
| `LinearLR` | η₀ · (s + (e − s) · min(t, n) / n), from s to e in n steps: the usual warm-up |
| `ConstantLR` | η₀ · factor while t < n, then η₀ |
| `PolynomialLR` | η₀ · (1 − min(t, n) / n)^power |
| `MultiplicativeLR` | η₀ · λ(1) · λ(2) ⋯ λ(t) |
| `OneCycleLR` | up to max_lr and down to almost 0, along cosines or straight lines |
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
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
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


class ConstantLR(LRScheduler):
    """η(t) = η₀ · factor for the first n = ``total_iters`` steps, then η₀. Raises ArgumentError unless 0 ≤ factor ≤ 1."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5) -> None:
        self.factor = as_float("factor", factor)
        if not 0 <= self.factor <= 1:
            raise ArgumentError(f"ConstantLR: factor must be from 0 to 1, got {factor}")
        self.total_iters = _at_least_one("ConstantLR: total_iters", total_iters)
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.base_lr * (self.factor if t < self.total_iters else 1.0)


class PolynomialLR(LRScheduler):
    """η(t) = η₀ · (1 − min(t, n) / n)^power: down to 0 in n = ``total_iters`` steps. Raises ArgumentError for a power < 0."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters = _at_least_one("PolynomialLR: total_iters", total_iters)
        self.power = as_float("power", power)
        if not self.power >= 0:
            raise ArgumentError(f"PolynomialLR: power must be at least 0, got {power}")
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        return self.base_lr * math.pow(1 - min(t, self.total_iters) / self.total_iters, self.power)


class MultiplicativeLR(LRScheduler):
    """η(t) = η(t − 1) · λ(t) = η₀ · λ(1) · λ(2) ⋯ λ(t), with any function λ of t; λ(0) is never asked for.

    >>> from minigrad import Tensor
    >>> from minigrad.optim import SGD
    >>> schedule = MultiplicativeLR(SGD([Tensor([1.0], requires_grad=True)], lr=1.0), lambda t: 1 / t)
    >>> [schedule.lr_at(t) for t in range(4)]
    [1.0, 1.0, 0.5, 0.16666666666666666]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        self._products = [1.0]
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        while len(self._products) <= t:
            self._products.append(self._products[-1] * self.lr_lambda(len(self._products)))
        return self.base_lr * self._products[t]


class OneCycleLR(LRScheduler):
    """One cycle in ``total_steps`` steps (Smith and Topin 2019); η₀ plays no part.

    Up from max_lr / div_factor to ``max_lr``, which is reached after the share ``pct_start`` of the steps, and down to
    max_lr / div_factor / final_div_factor.

    As torch's with ``cycle_momentum=False``; beyond the last step η stays where torch's raises an error.

    Args:
        optimizer: whose learning rate is set.
        max_lr: the highest η.
        total_steps: n; η(0) is the first of them and η(n − 1) the last.
        pct_start: from 0 to 1.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        div_factor: max_lr over the first η.
        final_div_factor: the first η over the last.

    Raises ArgumentError for a value out of range.

    >>> from minigrad import Tensor
    >>> from minigrad.optim import SGD
    >>> schedule = OneCycleLR(SGD([Tensor([1.0], requires_grad=True)], lr=1.0), max_lr=0.5, total_steps=10)
    >>> [round(schedule.lr_at(t), 3) for t in range(10)]
    [0.02, 0.26, 0.5, 0.475, 0.406, 0.306, 0.194, 0.094, 0.025, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.total_steps = _at_least_one("OneCycleLR: total_steps", total_steps)
        self.max_lr, self.pct_start = as_float("max_lr", max_lr), as_float("pct_start", pct_start)
        if not 0 <= self.pct_start <= 1 or anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"OneCycleLR: expected pct_start from 0 to 1 and anneal_strategy 'cos' or 'linear', got {pct_start} and "
                f"{anneal_strategy!r}"
            )
        divisors = as_float("div_factor", div_factor), as_float("final_div_factor", final_div_factor)
        if not all(divisor > 0 for divisor in divisors):
            raise ArgumentError(f"OneCycleLR: div_factor and final_div_factor must be above 0, got {divisors}")
        self.anneal_strategy = anneal_strategy
        self.first = self.max_lr / divisors[0]
        self.last = self.first / divisors[1]
        super().__init__(optimizer)

    @override
    def lr_at(self, t: int) -> float:
        end = self.total_steps - 1
        top = self.pct_start * self.total_steps - 1
        t = min(t, end)
        if t <= top:
            return self._between(self.first, self.max_lr, t / top if top else 1.0)
        return self._between(self.max_lr, self.last, (t - top) / (end - top))

    def _between(self, start: float, stop: float, share: float) -> float:
        if self.anneal_strategy == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        return start + (stop - start) * share


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
