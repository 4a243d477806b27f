"""An LSTM as an object: examples in rows, weights and gradients as attributes, the cache inside."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTMCell:
    def __init__(self, D, H, seed=0):
        rng = np.random.default_rng(seed)
        self.H = H
        for gate in "ifgo":
            setattr(self, f"W_{gate}", rng.standard_normal((D + H, H)) * 0.1)
            setattr(self, f"b_{gate}", np.zeros(H))
        self.zero_grad()

    def zero_grad(self):
        for gate in "ifgo":
            setattr(self, f"dW_{gate}", np.zeros_like(getattr(self, f"W_{gate}")))
            setattr(self, f"db_{gate}", np.zeros_like(getattr(self, f"b_{gate}")))

    def forward(self, x, h_prev, c_prev):
        z = np.concatenate([x, h_prev], axis=1)
        i = sigmoid(z @ self.W_i + self.b_i)
        f = sigmoid(z @ self.W_f + self.b_f)
        g = np.tanh(z @ self.W_g + self.b_g)
        o = sigmoid(z @ self.W_o + self.b_o)
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        self.cache = (z, i, f, g, o, c, c_prev)
        return h, c

    def backward(self, dh, dc):
        z, i, f, g, o, c, c_prev = self.cache
        tanh_c = np.tanh(c)
        dc = dc + dh * o * (1 - tanh_c**2)
        da_o = dh * tanh_c * o * (1 - o)
        da_f = dc * c_prev * f * (1 - f)
        da_i = dc * g * i * (1 - i)
        da_g = dc * i * (1 - g**2)
        dz = np.zeros_like(z)
        for gate, da in (("i", da_i), ("f", da_f), ("g", da_g), ("o", da_o)):
            getattr(self, f"dW_{gate}")[...] += z.T @ da
            getattr(self, f"db_{gate}")[...] += da.sum(axis=0)
            dz += da @ getattr(self, f"W_{gate}").T
        D = z.shape[1] - self.H
        dx, dh_prev, dc_prev = dz[:, :D], dz[:, D:], dc * f
        return dx, dh_prev, dc_prev
