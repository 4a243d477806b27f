"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.optim.options import as_float, at_least_zero, switch

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (torch.optim.SGD).

        g ← g + λ θ                        weight_decay λ
        b ← μ b + (1 − d) g                momentum μ, dampening d; b = g at the first update
        g ← g + μ b  (nesterov)  or  b
        θ ← θ − η g

    Raises ArgumentError for an lr, momentum or weight_decay that is negative or not finite, and for nesterov without momentum
    or with dampening.

    >>> from minigrad import Tensor
    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SGD([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.8, -1.6])
    """

    options = {
        "lr": at_least_zero,
        "momentum": at_least_zero,
        "dampening": as_float,
        "weight_decay": at_least_zero,
        "nesterov": switch,
        "maximize": switch,
    }
    entrywise = True
    remembers = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov, maximize=maximize
        )

    @override
    def _checked(self, given: Mapping[str, Any], where: str) -> Group:
        group = super()._checked(given, where)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ArgumentError(f"{where}nesterov needs a momentum above 0 and no dampening")
        return group

    @override
    def _remembered(self, group: Group) -> tuple[str, ...]:
        return self.remembers if group["momentum"] else ()

    @override
    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        momentum = group["momentum"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * theta
        if momentum:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = g.copy()
            else:
                state["momentum_buffer"] *= momentum
                state["momentum_buffer"] += (1 - group["dampening"]) * g
            b = state["momentum_buffer"]
            g = g + momentum * b if group["nesterov"] else b
        theta -= group["lr"] * g
