"""The LSTM: i, f, o = σ(…), g = tanh(…), c_t = f ⊙ c_{t−1} + i ⊙ g, h_t = o ⊙ tanh(c_t).

    ∂L/∂h_t = ∂L/∂h_t by the head + W_hᵀ d_{t+1}
    ∂L/∂c_t = o (1 − tanh² c_t) ⊙ ∂L/∂h_t + f_{t+1} ⊙ ∂L/∂c_{t+1}
    d_t     = pre-activations' gradients:  o: o(1 − o) tanh(c_t) ⊙ ∂L/∂h_t
              i: i(1 − i) g ⊙ ∂L/∂c_t     f: f(1 − f) c_{t−1} ⊙ ∂L/∂c_t     g: (1 − g²) i ⊙ ∂L/∂c_t

The factors in front of ∂L/∂h_t and ∂L/∂c_t depend on the forward pass alone.
"""

from __future__ import annotations

import numpy as np

from benchmarks.by_hand.common import Recurrence
from benchmarks.problem import Problem


class LSTM(Recurrence):
    """The LSTM by hand; gates in the order i, f, o, g."""

    order, sigmoids = (0, 1, 3, 2), 3

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        T, B, _, H, _ = self.size
        self.grads["W_h"] = np.empty_like(self.W_h)
        self.gates = np.empty((T, 4, B, H), self.dtype)
        self.cs = np.zeros((T + 1, B, H), self.dtype)
        self.tanh_cs = np.empty((T, B, H), self.dtype)
        self.by_c = np.empty((T, 3, B, H), self.dtype)
        self.by_h_to_c, self.by_h_to_o = np.empty_like(self.tanh_cs), np.empty_like(self.tanh_cs)
        self.h_part = np.empty((B, 4 * H), self.dtype)
        self.d_c, self.d_h, self.product = (np.empty((B, H), self.dtype) for _ in range(3))
        self.d_z = self.x_part
        i, f, o, g = self.gates.transpose(1, 0, 2, 3)
        self.forward_steps = list(
            zip(self.hs[:-1], self.cs[:-1], self.per_gate(self.x_part), self.gates, self.gates[:, :3], i, f, o, g,
                self.cs[1:], self.tanh_cs, self.hs[1:], strict=True)
        )  # fmt: skip
        d_z = self.per_gate(self.d_z)
        self.backward_steps = list(
            zip(self.head.d_hs.reshape(T, B, H), self.by_h_to_o, self.by_h_to_c, self.by_c[:, :2], self.by_c[:, 2], f,
                d_z[:, :2], d_z[:, 2], d_z[:, 3], self.d_z.reshape(T, B, 4 * H), strict=True)
        )[::-1]  # fmt: skip

    def loop_forward(self) -> None:
        """Ten calls a step."""
        dot, add, multiply, tanh, W_hT = np.dot, np.add, np.multiply, np.tanh, np.ascontiguousarray(self.scaled_W_h.T)
        h_part, product, half = self.h_part, self.product, self.half
        h_part_by_gate = h_part.reshape(self.size.B, 4, self.size.H).transpose(1, 0, 2)
        for h, c, x_part, gates, ifo, i, f, o, g, c_next, tanh_c, h_next in self.forward_steps:
            dot(h, W_hT, h_part)
            add(h_part_by_gate, x_part, gates)
            tanh(gates, gates)
            multiply(ifo, half, ifo)
            add(ifo, half, ifo)
            multiply(f, c, c_next)
            multiply(i, g, product)
            add(c_next, product, c_next)
            tanh(c_next, tanh_c)
            multiply(o, tanh_c, h_next)

    def factors(self) -> None:
        """The local derivatives of all steps: by_c for i, f, g; by_h_to_c; by_h_to_o."""
        by_c, by_h_to_c, by_h_to_o, tanh_cs = self.by_c, self.by_h_to_c, self.by_h_to_o, self.tanh_cs
        i, _, o, g = self.gates.transpose(1, 0, 2, 3)
        np.subtract(1, self.gates[:, :2], out=by_c[:, :2])
        by_c[:, :2] *= self.gates[:, :2]
        by_c[:, 0] *= g
        by_c[:, 1] *= self.cs[:-1]
        np.multiply(g, g, out=by_c[:, 2])
        np.subtract(1, by_c[:, 2], out=by_c[:, 2])
        by_c[:, 2] *= i
        np.multiply(o, tanh_cs, out=by_h_to_c)
        np.subtract(1, o, out=by_h_to_o)
        by_h_to_o *= by_h_to_c
        by_h_to_c *= tanh_cs
        np.subtract(o, by_h_to_c, out=by_h_to_c)

    def loop_backward(self) -> None:
        """Eight calls a step."""
        self.factors()
        dot, add, multiply, W_h = np.dot, np.add, np.multiply, self.W_h
        d_h, d_c, product = self.d_h, self.d_c, self.product
        d_h[...] = 0
        d_c[...] = 0
        for d_h_head, h_to_o, h_to_c, c_to_if, c_to_g, f, d_if, d_o, d_g, d_z in self.backward_steps:
            add(d_h, d_h_head, d_h)
            multiply(d_h, h_to_o, d_o)
            multiply(d_h, h_to_c, product)
            add(d_c, product, d_c)
            multiply(d_c, c_to_if, d_if)
            multiply(d_c, c_to_g, d_g)
            multiply(d_c, f, d_c)
            dot(d_z, W_h, d_h)
        np.dot(self.d_z.T, self.flat(self.hs[:-1]), out=self.grads["W_h"])
        self.input_gradients(self.d_z)
