"""Adagrad: the more an entry has been moved, the less it is moved from then on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.optim.options import at_least_zero, switch

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011; torch.optim.Adagrad).

        g ← g + λ θ                                      weight_decay λ
        v ← v + g²                                       v = initial_accumulator_value at first
        θ ← θ − η / (1 + (t − 1) δ) · g / (√v + ε)       lr_decay δ

    Raises ArgumentError for an option that is negative or not finite.

    >>> from minigrad import Tensor
    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = Adagrad([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.9, -1.9])
    """

    options = {
        "lr": at_least_zero,
        "lr_decay": at_least_zero,
        "weight_decay": at_least_zero,
        "initial_accumulator_value": at_least_zero,
        "eps": at_least_zero,
        "maximize": switch,
    }
    entrywise = True
    remembers = ("sum",)
    squares = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    @override
    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        if group["weight_decay"]:
            g = g + group["weight_decay"] * theta
        v = state.setdefault("sum", np.full_like(g, group["initial_accumulator_value"]))
        v += g * g
        rate = group["lr"] / (1 + (int(state["step"]) - 1) * group["lr_decay"])
        theta -= rate * (g / (np.sqrt(v) + group["eps"]))
