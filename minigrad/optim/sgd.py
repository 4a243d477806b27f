"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Optimizer, State, as_float, at_least_zero, switch
from minigrad.tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (torch.optim.SGD).

        g ← g + λ θ                        weight_decay λ
        b ← μ b + (1 − d) g                momentum μ, dampening d; b = g at the first update
        g ← g + μ b  (nesterov)  or  b
        θ ← θ − η g

    Raises ArgumentError for a negative lr, momentum or weight_decay, and for nesterov without momentum or with dampening.

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SGD([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.8, -1.6])
    """

    options = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
    remembers = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, maximize=maximize)
        self.momentum = at_least_zero("momentum", momentum)
        self.dampening = as_float("dampening", dampening)
        self.weight_decay = at_least_zero("weight_decay", weight_decay)
        self.nesterov = switch("nesterov", nesterov)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ArgumentError("nesterov needs a momentum above 0 and no dampening")

    @override
    def _remembered(self) -> tuple[str, ...]:
        return self.remembers if self.momentum else ()

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * theta
        if self.momentum:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = g.copy()
            else:
                state["momentum_buffer"] *= self.momentum
                state["momentum_buffer"] += (1 - self.dampening) * g
            b = state["momentum_buffer"]
            g = g + self.momentum * b if self.nesterov else b
        theta -= self.lr * g
