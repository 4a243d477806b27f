"""The same training step by hand as an experienced user of NumPy would write it, without the tricks of the yardstick.

Gates in one stacked matrix; input projection, output layer, loss and weight gradients once for all T; buffers made once,
with `out=`. But the formulas stand as on paper: each gate by itself, each derivative where it is used.
"""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from benchmarks.by_hand.common import Recurrence
from benchmarks.problem import Array, Problem


class PlainRecurrence(Recurrence):
    """A cell with its gates in the problem's order."""

    sigmoids = 0

    @override
    def forward(self) -> None:
        np.matmul(self.x, self.W_x.T, out=self.x_part)
        self.x_part += self.b
        self.loop_forward()
        self.loss = self.head.forward(self.flat(self.hs[1:]))

    def stacked(self, array: Array) -> Array:
        """The view (T, B, gates · H) of an array (T·B, gates · H)."""
        return array.reshape(self.size.T, self.size.B, -1)


class PlainRNN(PlainRecurrence):
    """h_t = tanh(W_h h_{t−1} + W_x x_t + b)."""

    order = (0,)

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.grads["W_h"] = np.empty_like(self.W_h)
        self.d_z = np.empty_like(self.x_part)
        self.d_h = np.empty_like(self.hs[0])

    def loop_forward(self) -> None:
        """Three calls a step."""
        x_part, hs = self.stacked(self.x_part), self.hs
        for t in range(self.size.T):
            h = hs[t + 1]
            np.matmul(hs[t], self.W_h.T, out=h)
            h += x_part[t]
            np.tanh(h, out=h)

    def loop_backward(self) -> None:
        """Five calls a step."""
        d_hs, d_zs, d_h = self.stacked(self.head.d_hs), self.stacked(self.d_z), self.d_h
        d_h[...] = 0
        for t in reversed(range(self.size.T)):
            h, d_z = self.hs[t + 1], d_zs[t]
            d_h += d_hs[t]
            np.multiply(h, h, out=d_z)
            np.subtract(1, d_z, out=d_z)
            d_z *= d_h
            np.matmul(d_z, self.W_h, out=d_h)
        np.matmul(self.d_z.T, self.flat(self.hs[:-1]), out=self.grads["W_h"])
        self.input_gradients(self.d_z)


class PlainGRU(PlainRecurrence):
    """h_t = h_{t−1} + u ⊙ (c̃ − h_{t−1}), with the reset gate after the matrix product."""

    order = (0, 1, 2)

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        T, B, _, H, _ = self.size
        self.b_ch = problem.params["b_ch"]
        self.grads["W_h"], self.grads["b_ch"] = np.empty_like(self.W_h), np.empty_like(self.b_ch)
        self.us, self.rs, self.cs, self.qs = (np.empty((T, B, H), self.dtype) for _ in range(4))
        self.h_part = np.empty((B, 3 * H), self.dtype)
        self.d_x_part, self.d_h_part = np.empty_like(self.x_part), np.empty_like(self.x_part)
        self.product, self.d_h = np.empty((B, H), self.dtype), np.empty((B, H), self.dtype)

    def loop_forward(self) -> None:
        """Nineteen calls a step."""
        x_part, h_part, product, H = self.stacked(self.x_part), self.h_part, self.product, self.size.H
        for t in range(self.size.T):
            h, u, r, c, q = self.hs[t], self.us[t], self.rs[t], self.cs[t], self.qs[t]
            np.matmul(h, self.W_h.T, out=h_part)
            np.add(h_part[:, :H], x_part[t, :, :H], out=u)
            sigmoid(u)
            np.add(h_part[:, H : 2 * H], x_part[t, :, H : 2 * H], out=r)
            sigmoid(r)
            np.add(h_part[:, 2 * H :], self.b_ch, out=q)
            np.multiply(r, q, out=c)
            c += x_part[t, :, 2 * H :]
            np.tanh(c, out=c)
            np.subtract(c, h, out=product)
            product *= u
            np.add(h, product, out=self.hs[t + 1])

    def loop_backward(self) -> None:
        """Twenty-two calls a step."""
        d_hs, product, d_h, H = self.stacked(self.head.d_hs), self.product, self.d_h, self.size.H
        d_x_parts, d_h_parts = self.stacked(self.d_x_part), self.stacked(self.d_h_part)
        d_h[...] = 0
        for t in reversed(range(self.size.T)):
            h, u, r, c, q, d_x_part, d_h_part = (
                a[t] for a in (self.hs, self.us, self.rs, self.cs, self.qs, d_x_parts, d_h_parts)
            )
            d_u, d_r, d_c = d_x_part[:, :H], d_x_part[:, H : 2 * H], d_x_part[:, 2 * H :]
            d_h += d_hs[t]
            np.multiply(c, c, out=product)
            np.subtract(1, product, out=product)
            product *= u
            np.multiply(d_h, product, out=d_c)
            np.subtract(c, h, out=product)
            product *= d_h
            times_slope(product, u, d_u)
            np.multiply(d_c, q, out=product)
            times_slope(product, r, d_r)
            d_h_part[:, : 2 * H] = d_x_part[:, : 2 * H]
            np.multiply(d_c, r, out=d_h_part[:, 2 * H :])
            np.multiply(d_h, u, out=product)
            d_h -= product
            np.matmul(d_h_part, self.W_h, out=product)
            d_h += product
        np.matmul(self.d_h_part.T, self.flat(self.hs[:-1]), out=self.grads["W_h"])
        np.dot(self.ones_TB, self.d_h_part[:, 2 * H :], out=self.grads["b_ch"])
        self.input_gradients(self.d_x_part)


class PlainLSTM(PlainRecurrence):
    """c_t = f ⊙ c_{t−1} + i ⊙ g, h_t = o ⊙ tanh(c_t)."""

    order = (0, 1, 2, 3)

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        T, B, _, H, _ = self.size
        self.grads["W_h"] = np.empty_like(self.W_h)
        self.gates, self.d_z = np.empty((T, B, 4 * H), self.dtype), np.empty_like(self.x_part)
        self.cs, self.tanh_cs = np.zeros((T + 1, B, H), self.dtype), np.empty((T, B, H), self.dtype)
        self.product, self.d_h, self.d_c = (np.empty((B, H), self.dtype) for _ in range(3))

    def loop_forward(self) -> None:
        """Seventeen calls a step."""
        x_part, H, product = self.stacked(self.x_part), self.size.H, self.product
        for t in range(self.size.T):
            z, c = self.gates[t], self.cs[t + 1]
            np.matmul(self.hs[t], self.W_h.T, out=z)
            z += x_part[t]
            i_and_f, i, f, g, o = z[:, : 2 * H], z[:, :H], z[:, H : 2 * H], z[:, 2 * H : 3 * H], z[:, 3 * H :]
            sigmoid(i_and_f)
            np.tanh(g, out=g)
            sigmoid(o)
            np.multiply(f, self.cs[t], out=c)
            np.multiply(i, g, out=product)
            c += product
            np.tanh(c, out=self.tanh_cs[t])
            np.multiply(o, self.tanh_cs[t], out=self.hs[t + 1])

    def loop_backward(self) -> None:
        """Twenty-five calls a step."""
        d_hs, d_zs, H = self.stacked(self.head.d_hs), self.stacked(self.d_z), self.size.H
        product, d_h, d_c = self.product, self.d_h, self.d_c
        d_h[...] = 0
        d_c[...] = 0
        for t in reversed(range(self.size.T)):
            z, d_z, c, tanh_c = self.gates[t], d_zs[t], self.cs[t], self.tanh_cs[t]
            i, f, g, o = z[:, :H], z[:, H : 2 * H], z[:, 2 * H : 3 * H], z[:, 3 * H :]
            d_i, d_f, d_g, d_o = d_z[:, :H], d_z[:, H : 2 * H], d_z[:, 2 * H : 3 * H], d_z[:, 3 * H :]
            d_h += d_hs[t]
            np.multiply(d_h, tanh_c, out=product)
            times_slope(product, o, d_o)
            np.multiply(tanh_c, tanh_c, out=product)
            np.subtract(1, product, out=product)
            product *= o
            product *= d_h
            d_c += product
            np.multiply(d_c, g, out=product)
            times_slope(product, i, d_i)
            np.multiply(d_c, c, out=product)
            times_slope(product, f, d_f)
            np.multiply(g, g, out=product)
            np.subtract(1, product, out=product)
            product *= d_c
            np.multiply(product, i, out=d_g)
            d_c *= f
            np.matmul(d_z, self.W_h, out=d_h)
        np.matmul(self.d_z.T, self.flat(self.hs[:-1]), out=self.grads["W_h"])
        self.input_gradients(self.d_z)


def sigmoid(z: Array) -> None:
    """σ(z) = ½ tanh(½z) + ½, in place."""
    z *= 0.5
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5


def times_slope(g: Array, y: Array, out: Array) -> None:
    """g ⊙ y ⊙ (1 − y), where y is a sigmoid's result."""
    np.subtract(1, y, out=out)
    out *= y
    out *= g
