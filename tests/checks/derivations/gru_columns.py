"""A GRU with examples in columns and a matrix for each gate: one step, and the loop over time with lists."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def gru_step(x, h_prev, p):
    z = sigmoid(p["Wz"] @ x + p["Uz"] @ h_prev + p["bz"])
    r = sigmoid(p["Wr"] @ x + p["Ur"] @ h_prev + p["br"])
    h_hat = np.tanh(p["Wh"] @ x + p["Uh"] @ (r * h_prev) + p["bh"])
    h = z * h_prev + (1 - z) * h_hat
    return h, (x, h_prev, z, r, h_hat)


def gru_step_backward(dh, cache, p):
    x, h_prev, z, r, h_hat = cache
    grads = {}
    dh_hat = dh * (1 - z)
    dz = dh * (h_prev - h_hat)
    dh_prev = dh * z
    da_h = dh_hat * (1 - h_hat**2)
    grads["dWh"] = da_h @ x.T
    grads["dUh"] = da_h @ (r * h_prev).T
    grads["dbh"] = da_h.sum(axis=1, keepdims=True)
    drh = p["Uh"].T @ da_h
    dr = drh * h_prev
    dh_prev = dh_prev + drh * r
    da_z = dz * z * (1 - z)
    da_r = dr * r * (1 - r)
    grads["dWz"] = da_z @ x.T
    grads["dUz"] = da_z @ h_prev.T
    grads["dbz"] = da_z.sum(axis=1, keepdims=True)
    grads["dWr"] = da_r @ x.T
    grads["dUr"] = da_r @ h_prev.T
    grads["dbr"] = da_r.sum(axis=1, keepdims=True)
    dh_prev = dh_prev + p["Uz"].T @ da_z + p["Ur"].T @ da_r
    grads["dx"] = p["Wz"].T @ da_z + p["Wr"].T @ da_r + p["Wh"].T @ da_h
    grads["dh_prev"] = dh_prev
    return grads


def gru_sequence(xs, h0, p):
    h, hs, caches = h0, [], []
    for x in xs:
        h, cache = gru_step(x, h, p)
        hs.append(h)
        caches.append(cache)
    return np.stack(hs), caches


def gru_sequence_backward(dhs, caches, p):
    total = {}
    dxs = [None] * len(caches)
    dh_next = np.zeros_like(dhs[0])
    for t in range(len(caches) - 1, -1, -1):
        grads = gru_step_backward(dhs[t] + dh_next, caches[t], p)
        dh_next = grads.pop("dh_prev")
        dxs[t] = grads.pop("dx")
        for name, g in grads.items():
            total[name] = total.get(name, 0) + g
    total["dxs"] = np.stack(dxs)
    total["dh0"] = dh_next
    return total
