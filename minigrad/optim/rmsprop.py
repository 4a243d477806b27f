"""RMSprop: gradients divided by a running mean of their size."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer, State, at_least_zero, switch
from minigrad.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop (Hinton; torch.optim.RMSprop).

        g ← g + λ θ                        weight_decay λ
        v ← α v + (1 − α) g²               v = 0 at first
        centered: a ← α a + (1 − α) g, and v − a² takes the place of v below
        b ← μ b + g / (√v + ε)             momentum μ
        θ ← θ − η b

    Raises ArgumentError for a negative lr, alpha, eps, weight_decay or momentum.

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = RMSprop([theta], lr=0.1, alpha=0.75)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.8, -1.8])
    """

    options = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")
    remembers = ("square_avg", "grad_avg", "momentum_buffer")
    squares = ("square_avg",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, maximize=maximize)
        self.alpha = at_least_zero("alpha", alpha)
        self.eps = at_least_zero("eps", eps)
        self.weight_decay = at_least_zero("weight_decay", weight_decay)
        self.momentum = at_least_zero("momentum", momentum)
        self.centered = switch("centered", centered)

    @override
    def _remembered(self) -> tuple[str, ...]:
        used = {"square_avg": True, "grad_avg": self.centered, "momentum_buffer": self.momentum > 0}
        return tuple(name for name, is_used in used.items() if is_used)

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * theta
        v = state.setdefault("square_avg", np.zeros_like(g))
        v *= self.alpha
        v += (1 - self.alpha) * g * g
        if self.centered:
            a = state.setdefault("grad_avg", np.zeros_like(g))
            a += (1 - self.alpha) * (g - a)
            v = np.maximum(v - a * a, 0)
        b = g / (np.sqrt(v) + self.eps)
        if self.momentum:
            buffer = state.setdefault("momentum_buffer", np.zeros_like(g))
            buffer *= self.momentum
            buffer += b
            b = buffer
        theta -= self.lr * b
