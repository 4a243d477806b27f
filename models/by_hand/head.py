"""The softmax head and the cross-entropy by hand (C2, C4).

FORWARD, one example, step t        h_t ∈ ℝᴴ,  y_t ∈ {0 … N−1} the right symbol

    z_t = W_yh h_t + b_y                                    the logits
    p_t = softmax(z_t),   p_t[n] = e^{z_t[n]} / Σ_m e^{z_t[m]}
    ℓ_t = −log p_t[y_t] = −z_t[y_t] + log Σ_m e^{z_t[m]}

    L   = 1/(T·B) Σ_t Σ_b ℓ_t                               averaged over the steps and the batch

    Subtracting max(z_t) from z_t changes neither p_t nor ℓ_t and keeps e^{…} from overflowing.

BACKWARD        dz stands for ∂L/∂z

  1  Through log-sum-exp. Its derivative is the softmax itself:

         ∂/∂z[n] log Σ_m e^{z[m]} = e^{z[n]} / Σ_m e^{z[m]} = p[n]
         ∂ℓ_t/∂z_t[n] = p_t[n] − 1[n = y_t]

     and L takes 1/(T·B) of each ℓ_t:

         dz_t = (p_t − onehot(y_t)) / (T·B)                 its entries sum to 0: p_t sums to 1

  2  Through z_t = W_yh h_t + b_y. The head is the same at every step and for every example, so its
     gradients are sums over both:

         dW_yh = Σ_t Σ_b dz_t h_tᵀ           db_y = Σ_t Σ_b dz_t           dh_t = W_yhᵀ dz_t

     dh_t is the d_hs that the backward pass of a cell asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from minigrad.guard import array_of

from .common import Array, InputError, Sizes, zeros_like_params

SHAPES = {"W_yh": "NH", "b_y": "N"}
"""The parameters and their shapes, in letters."""


class Trace(NamedTuple):
    """A forward pass: hs (T, B, H), targets (T, B), probabilities p (T, B, N) and the loss L, a number."""

    hs: Array
    targets: npt.NDArray[np.integer]
    p: Array
    loss: np.number


class HeadGradients(NamedTuple):
    """∂L/∂W_yh and ∂L/∂b_y under their names, and hs (T, B, H), row t−1 being ∂L/∂h_t."""

    params: dict[str, Array]
    hs: Array


def forward(params: Mapping[str, npt.ArrayLike], hs: npt.ArrayLike, targets: npt.ArrayLike) -> Trace:
    """Softmax and cross-entropy, averaged over T and B.

    params   W_yh (N, H), b_y (N,)
    hs       (T, B, H), T and B at least 1 (there is no average of nothing)
    targets  (T, B), integers 0 … N−1

    Raises InputError for missing or unknown parameters, shapes that do not fit, or targets that name no class.

    >>> uniform = {"W_yh": np.zeros((8, 2)), "b_y": np.zeros(8)}
    >>> np.exp(forward(uniform, hs=np.ones((3, 1, 2)), targets=[[0], [5], [7]]).loss).round(12)      # perplexity N
    np.float64(8.0)
    """
    sizes = Sizes("head.forward")
    p = sizes.check_params(params, SHAPES)
    W_yh, b_y = p["W_yh"], p["b_y"]
    hs = sizes.check("hs", hs, "TBH")
    T, B, N = sizes["T"], sizes["B"], sizes["N"]
    y = _check_targets(array_of(targets, "head.forward: targets"), T, B, N)

    z = hs @ W_yh.T + b_y
    z = z - z.real.max(axis=-1, keepdims=True)
    log_sum_exp = np.log(np.exp(z).sum(axis=-1, keepdims=True))
    log_p = z - log_sum_exp
    loss = -np.take_along_axis(log_p, y[..., None], axis=-1).mean()
    return Trace(hs, y, np.exp(log_p), loss)


def backward(params: Mapping[str, npt.ArrayLike], trace: Trace) -> HeadGradients:
    """The gradients of L; the numbers are those of the derivation above.

    params  as given to forward
    trace   what forward returned

    Returns HeadGradients(params, hs). Raises InputError when shapes do not fit.

    >>> params = {"W_yh": np.zeros((2, 1)), "b_y": np.zeros(2)}
    >>> backward(params, forward(params, hs=[[[3.0]]], targets=[[1]])).params
    {'W_yh': array([[ 1.5],
           [-1.5]]), 'b_y': array([ 0.5, -0.5])}
    """
    sizes = Sizes("head.backward")
    p = sizes.check_params(params, SHAPES)
    sizes.check("trace.hs", trace.hs, "TBH")
    sizes.check("trace.p", trace.p, "TBN")
    T, B, N = sizes["T"], sizes["B"], sizes["N"]

    dp = zeros_like_params(p)
    dhs = np.zeros_like(trace.hs)
    for t in range(1, T + 1):
        onehot = np.eye(N, dtype=trace.p.dtype)[trace.targets[t - 1]]
        dz = (trace.p[t - 1] - onehot) / (T * B)           # 1
        dp["W_yh"] += dz.T @ trace.hs[t - 1]               # 2
        dp["b_y"] += dz.sum(axis=0)
        dhs[t - 1] = dz @ p["W_yh"]
    return HeadGradients(dp, dhs)


def _check_targets(targets: Array, T: int, B: int, N: int) -> npt.NDArray[np.integer]:
    if T == 0 or B == 0:
        raise InputError(f"head.forward: the loss is an average over T·B labels, got T = {T} and B = {B}")
    if targets.dtype.kind not in "iu":
        raise InputError(f"head.forward: targets must be integers, got dtype {targets.dtype}")
    if targets.shape != (T, B):
        raise InputError(f"head.forward: targets must be (T, B) = ({T}, {B}), got shape {targets.shape}")
    wrong = targets[(targets < 0) | (targets >= N)]
    if wrong.size:
        raise InputError(f"head.forward: targets must lie in 0 … {N - 1} (N = {N} rows of W_yh), got {wrong[0]}")
    return targets
