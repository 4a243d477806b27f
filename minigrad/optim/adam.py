"""Adam and AdamW: every entry has a learning rate of its own, from running means of its gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer, State, as_float, at_least_zero, switch
from minigrad.tensor import Tensor

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015; torch.optim.Adam).

        g ← g + λ θ                              weight_decay λ
        m ← β₁ m + (1 − β₁) g                    m = v = 0 at first
        v ← β₂ v + (1 − β₂) g²
        θ ← θ − η m̂ / (√v̂ + ε)                   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
        amsgrad: the largest v so far takes the place of v in v̂

    Raises ArgumentError for a negative lr, eps or weight_decay, and for betas that are not two numbers in 0 … 1, 1 excluded.

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = Adam([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.9, -1.9])
    """

    options = ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize")
    remembers = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    squares = ("exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, maximize=maximize)
        self.betas = _checked_betas(betas)
        self.eps = at_least_zero("eps", eps)
        self.weight_decay = at_least_zero("weight_decay", weight_decay)
        self.amsgrad = switch("amsgrad", amsgrad)

    @override
    def _remembered(self) -> tuple[str, ...]:
        return self.remembers if self.amsgrad else self.remembers[:2]

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * theta
        self._move(theta, g, state)

    def _move(self, theta: Array, g: Array, state: State) -> None:
        (beta1, beta2), t = self.betas, int(state["step"])
        m = state.setdefault("exp_avg", np.zeros_like(g))
        v = state.setdefault("exp_avg_sq", np.zeros_like(g))
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        if self.amsgrad:
            v = np.maximum(v, state.get("max_exp_avg_sq", v))
            state["max_exp_avg_sq"] = v
        root = np.sqrt(v)
        root /= math.sqrt(1 - beta2**t)
        root += self.eps
        theta -= self.lr / (1 - beta1**t) * (m / root)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019; torch.optim.AdamW): θ ← θ − η λ θ, then Adam's step.

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = AdamW([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.899, -1.898])
    """

    def __init__(
        self,
        params: Iterable[Tensor],
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
    def _update(self, theta: Array, g: Array, state: State) -> None:
        theta *= 1 - self.lr * self.weight_decay
        self._move(theta, g, state)


def _checked_betas(betas: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ArgumentError(f"betas must be two numbers, got {betas!r}")
    beta1, beta2 = (as_float(f"beta {number}", beta) for number, beta in enumerate(betas, 1))
    for number, beta in enumerate((beta1, beta2), 1):
        if not 0 <= beta < 1:
            raise ArgumentError(f"beta {number} must be at least 0 and below 1, got {beta}")
    return beta1, beta2
