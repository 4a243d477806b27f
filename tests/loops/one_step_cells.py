"""Cells that promise a pure step and are made of one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from minigrad.models import unroll

from minigrad import Module, Parameter, Tensor, explain_loop, tanh

T, B, D, H = 5, 2, 3, 4
Step = Callable[[Any, Any, Any], Any]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng([6, *shape]).standard_normal(shape) / 2


class Of(Module):
    """A cell that promises that its step, a function (cell, x, state) ↦ state, is pure."""

    pure_step = True

    def __init__(self, step: Step, start: Any = None, **attributes: Any) -> None:
        self.function, self.start = step, Tensor(np.full((B, H), 0.1)) if start is None else start
        self.W, self.U = Parameter(random(H, D), name="W"), Parameter(random(H, H), name="U")
        self.b, self.v = Parameter(random(H), name="b"), Parameter(random(H + 1)[:H], name="v")
        self.rng, self.training = np.random.default_rng(3), True
        for name, value in attributes.items():
            setattr(self, name, value)

    def initial_state(self, batch: int) -> Any:
        return self.start

    def step(self, x: Any, state: Any) -> Any:
        return self.function(self, x, state)


def new(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(x @ c.W.T + h @ c.U.T + c.b)


def is_plain(cell: Any, xs: Any) -> bool:
    return not explain_loop(unroll, cell, xs)[0].is_compiled
