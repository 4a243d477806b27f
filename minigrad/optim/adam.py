"""Adam and AdamW: every entry has a learning rate of its own, from running means of its gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.optim.options import at_least_zero, below_one, switch

__all__ = ["Adam", "AdamW"]


def two_below_one(name: str, betas: Any) -> tuple[float, float]:
    """``betas`` as two floats in 0 … 1, 1 excluded; ArgumentError or DTypeError otherwise."""
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ArgumentError(f"{name} must be two numbers, got {betas!r}")
    beta1, beta2 = (below_one(f"{name}: beta {number}", beta) for number, beta in enumerate(betas, 1))
    return beta1, beta2


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015; torch.optim.Adam).

        g ← g + λ θ                              weight_decay λ
        m ← β₁ m + (1 − β₁) g                    m = v = 0 at first
        v ← β₂ v + (1 − β₂) g²
        θ ← θ − η m̂ / (√v̂ + ε)                   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
        amsgrad: the largest v so far takes the place of v in v̂

    Raises ArgumentError for an lr, eps or weight_decay that is negative or not finite, and for betas that are not two numbers
    in 0 … 1, 1 excluded.

    >>> from minigrad import Tensor
    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = Adam([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.9, -1.9])
    """

    options = {
        "lr": at_least_zero,
        "betas": two_below_one,
        "eps": at_least_zero,
        "weight_decay": at_least_zero,
        "amsgrad": switch,
        "maximize": switch,
    }
    entrywise = True
    remembers = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    squares = ("exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize)

    @override
    def _remembered(self, group: Group) -> tuple[str, ...]:
        return self.remembers if group["amsgrad"] else self.remembers[:2]

    @override
    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        if group["weight_decay"]:
            g = g + group["weight_decay"] * theta
        self._move(theta, g, state, group)

    def _move(self, theta: Array, g: Array, state: State, group: Group) -> None:
        (beta1, beta2), t = group["betas"], int(state["step"])
        m = state.setdefault("exp_avg", np.zeros_like(g))
        v = state.setdefault("exp_avg_sq", np.zeros_like(g))
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        if group["amsgrad"]:
            v = np.maximum(v, state.get("max_exp_avg_sq", v))
            state["max_exp_avg_sq"] = v
        root = np.sqrt(v)
        root /= math.sqrt(1 - beta2**t)
        root += group["eps"]
        theta -= group["lr"] / (1 - beta1**t) * (m / root)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019; torch.optim.AdamW): θ ← θ − η λ θ, then Adam's step.

    >>> from minigrad import Tensor
    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = AdamW([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.899, -1.898])
    """

    entrywise = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    @override
    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        theta *= 1 - group["lr"] * group["weight_decay"]
        self._move(theta, g, state, group)
