"""Cells as a user writes them: only `step` and `initial_state`, no base class of ours."""

from typing import Any

import numpy as np

from minigrad import Tensor, concatenate, tanh


class Leaky:
    """h_t = ½ h_{t−1} + ½ tanh(x_t W): no names, and its input size is known to nobody but itself."""

    def __init__(self, D: int = 2, H: int = 3) -> None:
        self.W = Tensor(np.arange(1.0, 1 + D * H).reshape(D, H) / 10, requires_grad=True, name="W")

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        return 0.5 * state + 0.5 * tanh(x @ self.W)

    def initial_state(self, batch: int) -> Tensor:
        return Tensor(np.zeros((batch, self.W.shape[1])))


class WithMemory(Leaky):
    """The state is a plain tuple; its last entry is the output."""

    def step(self, x: Tensor, state: Any) -> Any:
        memory, h = state
        return memory + h, super().step(x, h + 0.1 * memory)

    def initial_state(self, batch: int) -> Any:
        return super().initial_state(batch), super().initial_state(batch)


class Queue(Leaky):
    """The state holds the last two inputs too, (B, 2, D): a part of another rank than the output."""

    def step(self, x: Tensor, state: Any) -> Any:
        queue, h = state
        return concatenate([queue[:, 1:], x[:, None]], axis=1), super().step(x + queue[:, 0], h)

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, 2, self.W.shape[0]))), super().initial_state(batch)
