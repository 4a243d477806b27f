"""The RNN with one gate, by hand. C1 has no biases: b_g = b_s = 0.

FORWARD, one example, t = 1 … T        x_t ∈ ℝᴰ,  s_t ∈ ℝᴴ,  s_0 given

    a_g = W_gs s_{t−1} + W_gx x_t + b_g    g_t = σ(a_g)              the gate
    a_s = W_ss s_{t−1} + W_sx x_t + b_s    s̃_t = tanh(a_s)           what would be written
    s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ s̃_t

BACKWARD        dz stands for ∂L/∂z, a column of the same shape as z

  1  What reaches s_t: the loss directly, and step t+1 (line 5 there). Contributions add:

         ds_t = d_hs_t + (what step t+1 sends to s_t)
         ds_T = d_hs_T + d_state

  2  Through the mixture, entry by entry:

         ∂s_t/∂g_t = s̃_t − s_{t−1}              dg = ds_t ⊙ (s̃_t − s_{t−1})
         ∂s_t/∂s̃_t = g_t                        ds̃ = ds_t ⊙ g_t
         ∂s_t/∂s_{t−1}, g_t and s̃_t held fixed, = 1 − g_t: the carry, used in line 5

  3  Through σ and tanh, whose Jacobians are diagonal:

         σ′(a) = σ(a)(1 − σ(a))                 da_g = dg ⊙ g_t ⊙ (1 − g_t)
         tanh′(a) = 1 − tanh²(a)                da_s = ds̃ ⊙ (1 − s̃_t ⊙ s̃_t)

  4  Through the two affine maps. a_g[j] = Σ_k W_gs[j,k] s_{t−1}[k] + Σ_k W_gx[j,k] x_t[k] + b_g[j], so step t
     alone contributes the outer product da_g s_{t−1}ᵀ to dW_gs. Every step uses the same matrix, so L
     depends on it through T places and the total derivative is the sum over them:

         dW_gs = Σ_t da_g s_{t−1}ᵀ              dW_gx = Σ_t da_g x_tᵀ              db_g = Σ_t da_g
         dW_ss = Σ_t da_s s_{t−1}ᵀ              dW_sx = Σ_t da_s x_tᵀ              db_s = Σ_t da_s
         dx_t  = W_gxᵀ da_g + W_sxᵀ da_s         x_t is read by the gate and by the candidate

  5  What step t sends to s_{t−1}. Three paths: the carry, the gate, the candidate:

         (1 − g_t) ⊙ ds_t  +  W_gsᵀ da_g  +  W_ssᵀ da_s

     With g_t = 0 only the first is left and it is the identity: the gradient passes unchanged, as the
     state did. At t = 1 this is ds_0.

  6  The batch. Example b is row b; the examples share the matrices, so Σ_b da[b] s[b]ᵀ = daᵀ s, a matrix
     product (H,B)(B,H); and Wᵀ da[b] as row b is da W.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .common import Array, Gradients, Sizes, all_or_none, sigmoid, zeros_like_params

SHAPES = {"W_gx": "HD", "W_gs": "HH", "W_sx": "HD", "W_ss": "HH", "b_g": "H", "b_s": "H"}
"""The parameters and their shapes, in letters."""

BIASES = ("b_g", "b_s")
"""Leave both out for the RNN of C1."""


class Step(NamedTuple):
    """What step t leaves for the backward pass: x_t (B, D); s_{t−1}, g_t, s̃_t, s_t (B, H)."""

    x: Array
    s_prev: Array
    g: Array
    s_tilde: Array
    s: Array


class Trace(NamedTuple):
    """A forward pass: xs (T, B, D), its T steps, hs = all s_t (T, B, H) and the final state s_T (B, H)."""

    xs: Array
    steps: list[Step]
    hs: Array
    state: Array


def forward(params: Mapping[str, npt.ArrayLike], xs: npt.ArrayLike, state: npt.ArrayLike | None = None) -> Trace:
    """s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ s̃_t for t = 1 … T.

    params  W_gx, W_sx (H, D), W_gs, W_ss (H, H), b_g, b_s (H,); without both there are no biases
    xs      (T, B, D), time first: x_t is xs[t − 1]
    state   s_0 (B, H), zeros when left out

    Raises InputError for missing or unknown parameters or shapes that do not fit.

    >>> params = {"W_gx": [[-1000.0]], "W_gs": [[0.0]], "W_sx": [[1.0]], "W_ss": [[1.0]]}
    >>> forward(params, xs=[[[1.0]], [[1.0]]], state=[[0.3]]).hs.ravel()      # a closed gate copies
    array([0.3, 0.3])
    """
    sizes = Sizes("gated_rnn.forward")
    p = sizes.check_params(params, SHAPES, all_or_none(BIASES, params))
    W_gx, W_gs, b_g = p["W_gx"], p["W_gs"], p.get("b_g", 0.0)
    W_sx, W_ss, b_s = p["W_sx"], p["W_ss"], p.get("b_s", 0.0)
    xs = sizes.check("xs", xs, "TBD")
    T, B, H = xs.shape[0], xs.shape[1], sizes["H"]
    s = np.zeros((B, H), xs.dtype) if state is None else sizes.check("state", state, "BH")

    steps = []
    for t in range(1, T + 1):
        x, s_prev = xs[t - 1], s
        g = sigmoid(s_prev @ W_gs.T + x @ W_gx.T + b_g)
        s_tilde = np.tanh(s_prev @ W_ss.T + x @ W_sx.T + b_s)
        s = (1 - g) * s_prev + g * s_tilde
        steps.append(Step(x, s_prev, g, s_tilde, s))
    return Trace(xs, steps, np.reshape([step.s for step in steps], (T, B, H)), s)


def backward(
    params: Mapping[str, npt.ArrayLike],
    trace: Trace,
    d_hs: npt.ArrayLike,
    d_state: npt.ArrayLike | None = None,
) -> Gradients[Array]:
    """Backpropagation through time, t = T … 1; the numbers are those of the derivation above.

    params   as given to forward
    trace    what forward returned
    d_hs     (T, B, H), what the loss sends to each s_t directly
    d_state  (B, H), what reaches the final state s_T from elsewhere; zeros when left out

    Returns Gradients(params, xs, state). Raises InputError when shapes do not fit.

    >>> params = {"W_gx": [[-1000.0]], "W_gs": [[0.0]], "W_sx": [[1.0]], "W_ss": [[1.0]]}
    >>> trace = forward(params, xs=[[[1.0]], [[1.0]]], state=[[0.3]])
    >>> backward(params, trace, d_hs=[[[0.0]], [[1.0]]]).state      # through a closed gate, unchanged
    array([[1.]])
    """
    sizes = Sizes("gated_rnn.backward")
    p = sizes.check_params(params, SHAPES, all_or_none(BIASES, params))
    W_gx, W_gs, W_sx, W_ss = p["W_gx"], p["W_gs"], p["W_sx"], p["W_ss"]
    sizes.check("trace.xs", trace.xs, "TBD")
    ds = np.zeros_like(trace.state) if d_state is None else sizes.check("d_state", d_state, "BH")
    d_hs = sizes.check("d_hs", d_hs, "TBH")

    dp = zeros_like_params(p)
    dxs = np.zeros_like(trace.xs)
    for t in range(len(trace.steps), 0, -1):
        x, s_prev, g, s_tilde, _ = trace.steps[t - 1]
        ds = d_hs[t - 1] + ds                              # 1

        dg = ds * (s_tilde - s_prev)                       # 2
        ds_tilde = ds * g

        da_g = dg * g * (1 - g)                            # 3
        da_s = ds_tilde * (1 - s_tilde * s_tilde)

        dp["W_gs"] += da_g.T @ s_prev                      # 4, 6
        dp["W_gx"] += da_g.T @ x
        dp["W_ss"] += da_s.T @ s_prev
        dp["W_sx"] += da_s.T @ x
        if "b_g" in dp:
            dp["b_g"] += da_g.sum(axis=0)
            dp["b_s"] += da_s.sum(axis=0)
        dxs[t - 1] = da_g @ W_gx + da_s @ W_sx

        ds = (1 - g) * ds + da_g @ W_gs + da_s @ W_ss      # 5
    return Gradients(dp, dxs, ds)
