"""Right backward passes in other manners: lists of weights, global weights, updates by itself, a loop over gates."""

import numpy as np


class Step:
    """A layer with its weights in one list and its gradients in another."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, before):
        Wx, Wh, b = self.params
        after = np.tanh(x @ Wx + before @ Wh + b)
        self.kept = x, before, after
        return after

    def backward(self, dafter):
        Wx, Wh, _ = self.params
        x, before, after = self.kept
        du = (1 - after * after) * dafter
        for store, g in zip(self.grads, (x.T @ du, before.T @ du, du.sum(0)), strict=True):
            store[...] = g
        return du @ Wx.T, du @ Wh.T


class Sequence:
    """A new `Step` for each time, in single precision; the sums of their gradients in a list."""

    def __init__(self, D=3, H=5):
        rng = np.random.default_rng(1)
        self.params = [rng.standard_normal(s).astype("f") for s in ((D, H), (H, H), (H,))]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        Wx, Wh, b = self.params
        B, T, _ = xs.shape
        hs = np.empty((B, T, len(b)), dtype=np.float32)
        h = np.zeros((B, len(b)), dtype=np.float32)
        self.steps = []
        for t in range(T):
            self.steps.append(Step(Wx, Wh, b))
            h = self.steps[-1].forward(xs[:, t], h)
            hs[:, t] = h
        return hs

    def backward(self, dhs):
        dxs = [None] * len(self.steps)
        total = [0, 0, 0]
        back = 0
        for t in reversed(range(len(self.steps))):
            dxs[t], back = self.steps[t].backward(dhs[:, t] + back)
            for k, g in enumerate(self.steps[t].grads):
                total[k] = total[k] + g
        for store, g in zip(self.grads, total, strict=True):
            store[...] = g
        return np.stack(dxs, axis=1)


rng = np.random.default_rng(2)
U, W, V = (rng.standard_normal(s) * 0.1 for s in ((5, 3), (5, 5), (2, 5)))
b, c = np.zeros((5, 1)), np.zeros((2, 1))


def last_output(xs):
    """The weights are global; only the last state is read."""
    s = np.zeros((5, 1))
    states = [s]
    for x in xs:
        s = np.tanh(U @ x.reshape(3, 1) + W @ s + b)
        states.append(s)
    o = V @ s + c
    return o, (xs, states)


def last_output_backward(do, cache):
    xs, states = cache
    dU, dW, db = np.zeros_like(U), np.zeros_like(W), np.zeros_like(b)
    dV, dc = do @ states[-1].T, do
    ds = V.T @ do
    for t in range(len(xs), 0, -1):
        da = ds * (1 - states[t] ** 2)
        dU += da @ xs[t - 1].reshape(1, 3)
        dW += da @ states[t - 1].T
        db += da
        ds = W.T @ da
    return dU, dW, dV, db, dc


class Learner:
    """Its backward pass clips and updates the weights by itself, and returns nothing."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.U, self.W, self.V = (rng.standard_normal(s) * 0.1 for s in ((5, 3), (5, 5), (2, 5)))
        self.b = np.zeros((5, 1))

    def forward(self, xs):
        self.xs, self.states = xs, {0: np.zeros((5, 1))}
        for t, x in enumerate(xs, 1):
            self.states[t] = np.tanh(self.U @ x + self.W @ self.states[t - 1] + self.b)
        return self.V @ self.states[len(xs)]

    def learn(self, dout, lr=0.01):
        n = len(self.xs)
        gradients = {name: np.zeros_like(getattr(self, name)) for name in "UWVb"}
        gradients["V"] += dout @ self.states[n].T
        ds = self.V.T @ dout
        for t in range(n, 0, -1):
            da = (1 - self.states[t] ** 2) * ds
            gradients["b"] += da
            gradients["U"] += da @ self.xs[t - 1].T
            gradients["W"] += da @ self.states[t - 1].T
            ds = self.W.T @ da
        for name, g in gradients.items():
            np.clip(g, -1, 1, out=g)
            setattr(self, name, getattr(self, name) - lr * g)


def loss_and_gradients(tokens, targets, U, W, V):
    """Forward and backward pass in one function: a loss, and the gradients by hand."""
    hs, ps, loss = {-1: np.zeros(5)}, {}, 0
    for t, token in enumerate(tokens):
        hs[t] = np.tanh(U[:, token] + W @ hs[t - 1])
        e = np.exp(V @ hs[t])
        ps[t] = e / e.sum()
        loss -= np.log(ps[t][targets[t]])
    dU, dW, dV, back = np.zeros_like(U), np.zeros_like(W), np.zeros_like(V), np.zeros(5)
    for t in reversed(range(len(tokens))):
        dlogits = ps[t].copy()
        dlogits[targets[t]] -= 1
        dV += np.outer(dlogits, hs[t])
        da = (V.T @ dlogits + back) * (1 - hs[t] ** 2)
        dU[:, tokens[t]] += da
        dW += np.outer(da, hs[t - 1])
        back = W.T @ da
    return loss, dU, dW, dV


def gates_in_a_loop(x, h, c, W, b):
    """Vectors, and a loop over gates inside a step."""
    z, a = np.concatenate([h, x]), {}
    for k in "ifgo":
        pre = W[k] @ z + b[k]
        a[k] = np.tanh(pre) if k == "g" else 1 / (1 + np.exp(-pre))
    c_new = a["f"] * c + a["i"] * a["g"]
    h_new = a["o"] * np.tanh(c_new)
    return h_new, c_new, (z, a, c, c_new)


def gates_in_a_loop_backward(dh_new, dc_new, cache, W):
    z, a, c, c_new = cache
    q = np.tanh(c_new)
    dc = dc_new + dh_new * a["o"] * (1 - q * q)
    up = {"i": dc * a["g"], "f": dc * c, "g": dc * a["i"], "o": dh_new * q}
    da = {k: up[k] * (1 - a[k] ** 2 if k == "g" else a[k] * (1 - a[k])) for k in up}
    dz = sum(W[k].T @ da[k] for k in "ifgo")
    return {"dW": {k: np.outer(da[k], z) for k in da}, "db": da, "dh": dz[: len(c)], "dx": dz[len(c) :], "dc": dc * a["f"]}
