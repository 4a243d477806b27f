"""RMSprop: gradients divided by a running mean of their size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.optim.options import at_least_zero, below_one, switch

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop (Hinton; torch.optim.RMSprop).

        g ← g + λ θ                        weight_decay λ
        v ← α v + (1 − α) g²               v = 0 at first
        centered: a ← α a + (1 − α) g, and v − a² takes the place of v below
        b ← μ b + g / (√v + ε)             momentum μ
        θ ← θ − η b

    Raises ArgumentError for an lr, eps, weight_decay or momentum that is negative or not finite, and for an alpha that is not
    in 0 … 1, 1 excluded.

    >>> from minigrad import Tensor
    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = RMSprop([theta], lr=0.1, alpha=0.75)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.8, -1.8])
    """

    options = {
        "lr": at_least_zero,
        "alpha": below_one,
        "eps": at_least_zero,
        "weight_decay": at_least_zero,
        "momentum": at_least_zero,
        "centered": switch,
        "maximize": switch,
    }
    entrywise = True
    remembers = ("square_avg", "grad_avg", "momentum_buffer")
    squares = ("square_avg",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered, maximize=maximize
        )

    @override
    def _remembered(self, group: Group) -> tuple[str, ...]:
        used = {"square_avg": True, "grad_avg": group["centered"], "momentum_buffer": group["momentum"] > 0}
        return tuple(name for name, is_used in used.items() if is_used)

    @override
    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        alpha, momentum = group["alpha"], group["momentum"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * theta
        v = state.setdefault("square_avg", np.zeros_like(g))
        v *= alpha
        v += (1 - alpha) * g * g
        if group["centered"]:
            a = state.setdefault("grad_avg", np.zeros_like(g))
            a += (1 - alpha) * (g - a)
            v = np.maximum(v - a * a, 0)
        b = g / (np.sqrt(v) + group["eps"])
        if momentum:
            buffer = state.setdefault("momentum_buffer", np.zeros_like(g))
            buffer *= momentum
            buffer += b
            b = buffer
        theta -= group["lr"] * b
