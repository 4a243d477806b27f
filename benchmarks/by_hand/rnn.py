"""The simple RNN: h_t = tanh(W_h h_{t−1} + W_x x_t + b).

    ∂L/∂h_t = ∂L/∂h_t by the head + W_hᵀ d_{t+1},    d_t = (1 − h_t²) ⊙ ∂L/∂h_t,    ∂L/∂W_h = Σ_t d_t h_{t−1}ᵀ
"""

from __future__ import annotations

import numpy as np

from benchmarks.by_hand.common import Recurrence
from benchmarks.problem import Problem


class RNN(Recurrence):
    """The simple RNN by hand."""

    order, sigmoids = (0,), 0

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        T, B, _, H, _ = self.size
        self.grads["W_h"] = np.empty_like(self.W_h)
        self.d_z = np.empty((T, B, H), self.dtype)
        self.slope = np.empty_like(self.d_z)
        self.d_h = np.empty((B, H), self.dtype)
        d_hs = self.head.d_hs.reshape(T, B, H)
        self.forward_steps = list(zip(self.hs[:-1], self.x_part.reshape(T, B, H), self.hs[1:], strict=True))
        self.backward_steps = list(zip(d_hs, self.slope, self.d_z, strict=True))[::-1]

    def loop_forward(self) -> None:
        """Three calls a step."""
        dot, add, tanh, W_hT = np.dot, np.add, np.tanh, np.ascontiguousarray(self.scaled_W_h.T)
        for h, x_part, h_next in self.forward_steps:
            dot(h, W_hT, h_next)
            add(h_next, x_part, h_next)
            tanh(h_next, h_next)

    def loop_backward(self) -> None:
        """Three calls a step."""
        dot, add, multiply, W_h = np.dot, np.add, np.multiply, self.W_h
        slope, d_h = self.slope, self.d_h
        multiply(self.hs[1:], self.hs[1:], out=slope)
        np.subtract(1, slope, out=slope)
        d_h[...] = 0
        for d_h_head, one_minus_h2, d_z in self.backward_steps:
            add(d_h, d_h_head, d_h)
            multiply(d_h, one_minus_h2, d_z)
            dot(d_z, W_h, d_h)
        all_d_z = self.flat(self.d_z)
        np.dot(all_d_z.T, self.flat(self.hs[:-1]), out=self.grads["W_h"])
        self.input_gradients(all_d_z)
