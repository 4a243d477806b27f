"""The GRU: u, r = σ(…), h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1}, with the reset gate after or before the matrix product.

    after:  q = W_ch h_{t−1} + b_ch,    c̃ = tanh(W_cx x_t + b_c + r ⊙ q)
    before:                             c̃ = tanh(W_cx x_t + b_c + W_ch (r ⊙ h_{t−1}))

Pre-activations' gradients, with δ = ∂L/∂h_t:
    c: u(1 − c̃²) ⊙ δ      u: (c̃ − h_{t−1}) u(1 − u) ⊙ δ
    after:   r: q r(1 − r) ⊙ d_c,             q: r ⊙ d_c
    before:  r: h_{t−1} r(1 − r) ⊙ W_chᵀ d_c
"""

from __future__ import annotations

import numpy as np

from benchmarks.by_hand.common import Recurrence
from benchmarks.problem import Problem


class GRU(Recurrence):
    """The reset-after GRU by hand: one matrix product a step, since the reset comes after it."""

    order, sigmoids = (0, 1, 2), 2

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        T, B, _, H, _ = self.size
        self.b_ch = problem.params["b_ch"]
        self.grads["W_h"], self.grads["b_ch"] = np.empty_like(self.W_h), np.empty_like(self.b_ch)
        self.gates = np.empty((T, 3, B, H), self.dtype)
        self.qs, self.changes, self.keeps = (np.empty((T, B, H), self.dtype) for _ in range(3))
        self.h_part = np.empty((B, 3 * H), self.dtype)
        self.product, self.d_h = np.empty((B, H), self.dtype), np.empty((B, H), self.dtype)
        self.factor = np.empty((T, 4, B, H), self.dtype)
        self.d_z = np.empty((T * B, 4 * H), self.dtype)
        self.W_h_qur = np.empty_like(self.W_h)
        x_part, (u, r, c) = self.per_gate(self.x_part), self.gates.transpose(1, 0, 2, 3)
        self.forward_steps = list(
            zip(self.hs[:-1], x_part[:, :2], x_part[:, 2], self.gates[:, :2], u, r, c, self.qs, self.changes,
                self.hs[1:], strict=True)
        )  # fmt: skip
        self.backward_steps = list(
            zip(self.head.d_hs.reshape(T, B, H), self.factor, self.keeps, self.per_gate(self.d_z),
                self.d_z[:, : 3 * H].reshape(T, B, 3 * H), strict=True)
        )[::-1]  # fmt: skip

    def loop_forward(self) -> None:
        """Twelve calls a step."""
        dot, add, subtract, multiply, tanh = np.dot, np.add, np.subtract, np.multiply, np.tanh
        W_hT = np.ascontiguousarray(self.scaled_W_h.T)
        H, h_part, product, b_ch, half = self.size.H, self.h_part, self.product, self.b_ch, self.half
        h_part_ur = h_part[:, : 2 * H].reshape(-1, 2, H).transpose(1, 0, 2)
        h_part_c = h_part[:, 2 * H :]
        for h, x_part_ur, x_part_c, ur, u, r, c, q, change, h_next in self.forward_steps:
            dot(h, W_hT, h_part)
            add(h_part_ur, x_part_ur, ur)
            tanh(ur, ur)
            multiply(ur, half, ur)
            add(ur, half, ur)
            add(h_part_c, b_ch, q)
            multiply(r, q, product)
            add(product, x_part_c, product)
            tanh(product, c)
            subtract(c, h, change)
            multiply(u, change, product)
            add(h, product, h_next)

    def factors(self) -> None:
        """What ∂L/∂h_t is multiplied with to give the gradients of q, u, r and c, and to pass on to h_{t−1}."""
        (u, r, c), (by_q, by_u, by_r, by_c) = (a.transpose(1, 0, 2, 3) for a in (self.gates, self.factor))
        np.subtract(1, u, out=self.keeps)
        np.multiply(c, c, out=by_c)
        np.subtract(1, by_c, out=by_c)
        by_c *= u
        np.multiply(u, self.keeps, out=by_u)
        by_u *= self.changes
        np.multiply(r, by_c, out=by_q)
        np.subtract(1, r, out=by_r)
        by_r *= by_q
        by_r *= self.qs

    def loop_backward(self) -> None:
        """Five calls a step; every pre-activation's gradient is a factor times ∂L/∂h_t."""
        self.factors()
        dot, add, multiply = np.dot, np.add, np.multiply
        H, W_h, d_h, product = self.size.H, self.W_h_qur, self.d_h, self.product
        W_h[:H], W_h[H:] = self.W_h[2 * H :], self.W_h[: 2 * H]
        d_h[...] = 0
        for d_h_head, factor, keep, d_z, d_qur in self.backward_steps:
            add(d_h, d_h_head, d_h)
            multiply(d_h, factor, d_z)
            multiply(d_h, keep, d_h)
            dot(d_qur, W_h, product)
            add(d_h, product, d_h)
        hs, d_W_h = self.flat(self.hs[:-1]), self.grads["W_h"]
        d_q, d_ur, d_urc = self.d_z[:, :H], self.d_z[:, H : 3 * H], self.d_z[:, H:]
        np.matmul(d_ur.T, hs, out=d_W_h[: 2 * H])
        np.matmul(d_q.T, hs, out=d_W_h[2 * H :])
        np.dot(self.ones_TB, d_q, out=self.grads["b_ch"])
        self.input_gradients(d_urc)


class GRUResetBefore(Recurrence):
    """The reset-before GRU by hand: two matrix products a step, the second with r ⊙ h."""

    order, sigmoids = (0, 1, 2), 2

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        T, B, _, H, _ = self.size
        self.grads["W_h"] = np.empty_like(self.W_h)
        self.gates = np.empty((T, 3, B, H), self.dtype)
        self.reset_hs, self.changes, self.keeps, self.by_r = (np.empty((T, B, H), self.dtype) for _ in range(4))
        self.by_uc = np.empty((T, 2, B, H), self.dtype)
        self.h_part = np.empty((B, 2 * H), self.dtype)
        self.product, self.d_h, self.d_reset_h = (np.empty((B, H), self.dtype) for _ in range(3))
        self.d_z = np.empty((T * B, 3 * H), self.dtype)
        x_part, (u, r, c) = self.per_gate(self.x_part), self.gates.transpose(1, 0, 2, 3)
        self.forward_steps = list(
            zip(self.hs[:-1], x_part[:, :2], x_part[:, 2], self.gates[:, :2], u, r, c, self.reset_hs, self.changes,
                self.hs[1:], strict=True)
        )  # fmt: skip
        d_z, steps = self.per_gate(self.d_z), self.d_z.reshape(T, B, 3 * H)
        self.backward_steps = list(
            zip(self.head.d_hs.reshape(T, B, H), self.by_uc, self.by_r, self.keeps, r, d_z[:, ::2], d_z[:, 1],
                steps[:, :, : 2 * H], steps[:, :, 2 * H :], strict=True)
        )[::-1]  # fmt: skip

    def loop_forward(self) -> None:
        """Twelve calls a step."""
        dot, add, subtract, multiply, tanh = np.dot, np.add, np.subtract, np.multiply, np.tanh
        B, H, product, half = self.size.B, self.size.H, self.product, self.half
        W_urT, W_cT = np.ascontiguousarray(self.scaled_W_h[: 2 * H].T), np.ascontiguousarray(self.scaled_W_h[2 * H :].T)
        h_part = self.h_part
        h_part_by_gate = h_part.reshape(B, 2, H).transpose(1, 0, 2)
        for h, x_part_ur, x_part_c, ur, u, r, c, reset_h, change, h_next in self.forward_steps:
            dot(h, W_urT, h_part)
            add(h_part_by_gate, x_part_ur, ur)
            tanh(ur, ur)
            multiply(ur, half, ur)
            add(ur, half, ur)
            multiply(r, h, reset_h)
            dot(reset_h, W_cT, product)
            add(product, x_part_c, product)
            tanh(product, c)
            subtract(c, h, change)
            multiply(u, change, product)
            add(h, product, h_next)

    def factors(self) -> None:
        """The local derivatives of all steps."""
        (u, r, c), (by_u, by_c) = (a.transpose(1, 0, 2, 3) for a in (self.gates, self.by_uc))
        np.subtract(1, u, out=self.keeps)
        np.multiply(c, c, out=by_c)
        np.subtract(1, by_c, out=by_c)
        by_c *= u
        np.multiply(u, self.keeps, out=by_u)
        by_u *= self.changes
        np.subtract(1, r, out=self.by_r)
        self.by_r *= self.reset_hs

    def loop_backward(self) -> None:
        """Ten calls a step."""
        self.factors()
        dot, add, multiply = np.dot, np.add, np.multiply
        H, d_h, d_reset_h, product = self.size.H, self.d_h, self.d_reset_h, self.product
        W_ur, W_c = self.W_h[: 2 * H], self.W_h[2 * H :]
        d_h[...] = 0
        for d_h_head, by_uc, by_r, keep, r, d_uc, d_r, d_ur, d_c in self.backward_steps:
            add(d_h, d_h_head, d_h)
            multiply(d_h, by_uc, d_uc)
            dot(d_c, W_c, d_reset_h)
            multiply(d_reset_h, by_r, d_r)
            multiply(d_h, keep, d_h)
            multiply(d_reset_h, r, d_reset_h)
            add(d_h, d_reset_h, d_h)
            dot(d_ur, W_ur, product)
            add(d_h, product, d_h)
        d_W_h, d_ur_all, d_c_all = self.grads["W_h"], self.d_z[:, : 2 * H], self.d_z[:, 2 * H :]
        np.matmul(d_ur_all.T, self.flat(self.hs[:-1]), out=d_W_h[: 2 * H])
        np.matmul(d_c_all.T, self.flat(self.reset_hs), out=d_W_h[2 * H :])
        self.input_gradients(self.d_z)
