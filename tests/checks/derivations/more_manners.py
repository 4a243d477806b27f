"""Where weights live and where gradients go: global objects, lists by step, rates, masks."""

import numpy as np


def sigmoid(a):
    """Without an overflow: in two halves, by masks."""
    positive, negative = a >= 0, a < 0
    e = np.zeros_like(a)
    e[positive] = np.exp(-a[positive])
    e[negative] = np.exp(a[negative])
    top = np.ones_like(a)
    top[negative] = e[negative]
    return top / (1 + e)


class Weight:
    """A weight beside its gradient, and beside what an optimiser keeps."""

    def __init__(self, *shape):
        self.value = np.random.default_rng(len(shape)).standard_normal(shape) * 0.1
        self.grad = np.zeros(shape)
        self.m = np.zeros(shape)


class Weights:
    def __init__(self):
        self.U, self.W, self.V = Weight(5, 3), Weight(5, 5), Weight(2, 5)
        self.b = Weight(5, 1)
        self.all = [self.U, self.W, self.V, self.b]


weights = Weights()


def with_global_weights(xs, h, w=weights):
    """A list of outputs, by step; the weights are a default."""
    outputs, cache = {}, {-1: h}
    for t in range(len(xs)):
        cache[t] = sigmoid(w.U.value @ xs[t] + w.W.value @ cache[t - 1] + w.b.value)
        outputs[t] = w.V.value @ cache[t]
    return outputs, cache


def with_global_weights_backward(doutputs, xs, cache):
    for weight in weights.all:
        weight.grad[...] = 0
    back = np.zeros_like(cache[-1])
    for t in reversed(range(len(xs))):
        weights.V.grad += doutputs[t] @ cache[t].T
        dh = weights.V.value.T @ doutputs[t] + back
        da = dh * cache[t] * (1 - cache[t])
        weights.U.grad += da @ xs[t].T
        weights.W.grad += da @ cache[t - 1].T
        weights.b.grad += da.sum(axis=1, keepdims=True)
        back = weights.W.value.T @ da
    return back


class Layer:
    """Returns what goes further back, and updates its weights at a rate that nobody else knows."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.Wx, self.Wh, self.b = (rng.standard_normal(s) * 0.1 for s in ((3, 5), (5, 5), (5,)))
        self.weights = [self.Wx, self.Wh, self.b]

    def forward(self, x, h_prev):
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(x @ self.Wx + h_prev @ self.Wh + self.b)
        return self.h

    def backward(self, dh):
        da = dh * (1 - self.h**2)
        dx, dh_prev = da @ self.Wx.T, da @ self.Wh.T
        self.Wx -= 0.03 * (self.x.T @ da)
        self.Wh -= 0.03 * (self.h_prev.T @ da)
        self.b -= 0.03 * da.sum(axis=0)
        return dx, dh_prev


def nested(x, h_prev, Wz, Uz, Wn, Un):
    z = sigmoid(Wz @ x + Uz @ h_prev)
    n = np.tanh(Wn @ x + Un @ h_prev)
    h = z * h_prev + (1 - z) * n
    return h, (x, h_prev, Wz, Uz, Wn, Un, z, n)


def nested_backward(dh, cache):
    """Gradients of the weights in a list inside of what is returned."""
    x, h_prev, Wz, Uz, Wn, Un, z, n = cache
    da_z = dh * (h_prev - n) * z * (1 - z)
    da_n = dh * (1 - z) * (1 - n**2)
    dx = Wz.T @ da_z + Wn.T @ da_n
    dh_prev = dh * z + Uz.T @ da_z + Un.T @ da_n
    grads = [da_z @ x.T, da_z @ h_prev.T, da_n @ x.T, da_n @ h_prev.T]
    return dx, dh_prev, grads


def last_alone(xs, W, U, V):
    """The last state alone makes the output, and the loss is a mean."""
    h = {-1: np.zeros((5, 4))}
    for t in range(len(xs)):
        h[t] = np.tanh(W @ xs[t] + U @ h[t - 1])
    return V @ h[len(xs) - 1], h


def last_alone_backward(dout, xs, W, U, V, h):
    T = len(xs)
    dW, dU, dV = np.zeros_like(W), np.zeros_like(U), dout @ h[T - 1].T
    back = V.T @ dout
    for t in reversed(range(T)):
        da = back * (1 - h[t] ** 2)
        dW += da @ xs[t].T
        dU += da @ h[t - 1].T
        back = U.T @ da
    return {"w": dW, "u": dU, "v": dV}
