"""The GRU by hand, with the reset before the matrix product (C3) or after it (torch, cuDNN, Keras).

FORWARD, one example, t = 1 … T        x_t ∈ ℝᴰ,  h_t ∈ ℝᴴ,  h_0 given;  h_t is the c_t = a_t of C3

    a_u = W_uh h_{t−1} + W_ux x_t + b_u          u = σ(a_u)               update gate Γ_u
    a_r = W_rh h_{t−1} + W_rx x_t + b_r          r = σ(a_r)               reset gate Γ_r

    reset="before":   k   = r ⊙ h_{t−1}          a_c = W_cx x_t + b_c + W_ch k
    reset="after":    m   = W_ch h_{t−1} + b_ch  a_c = W_cx x_t + b_c + r ⊙ m

    c̃   = tanh(a_c)                                                       candidate
    h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1}              u multiplies the candidate, as in C3

BACKWARD        dz stands for ∂L/∂z, a column of the same shape as z

  1  What reaches h_t: the loss directly, and step t+1 (line 6 there). Contributions add:

         dh_t = d_hs_t + (what step t+1 sends to h_t)
         dh_T = d_hs_T + d_state

  2  Through the mixture, entry by entry:

         ∂h_t/∂c̃ = u                            dc̃ = dh_t ⊙ u
         ∂h_t/∂u = c̃ − h_{t−1}                  du = dh_t ⊙ (c̃ − h_{t−1})
         ∂h_t/∂h_{t−1}, u and c̃ held fixed, = 1 − u: the carry, used in line 6

  3  Through tanh and σ, whose Jacobians are diagonal:

         tanh′(a) = 1 − tanh²(a)                da_c = dc̃ ⊙ (1 − c̃ ⊙ c̃)
         σ′(a) = σ(a)(1 − σ(a))                 da_u = du ⊙ u ⊙ (1 − u)

  4  From the candidate to the reset gate. Here the two forms part:

         before:  a_c = … + W_ch k,             dk = W_chᵀ da_c
                  k = r ⊙ h_{t−1}               dr = dk ⊙ h_{t−1}           and dk ⊙ r goes to h_{t−1}

         after:   a_c = … + r ⊙ m,              dr = da_c ⊙ m               dm = da_c ⊙ r
                  m = W_ch h_{t−1} + b_ch       W_chᵀ dm goes to h_{t−1}

     and, in both,                              da_r = dr ⊙ r ⊙ (1 − r)

  5  Through the affine maps. a_u[j] = Σ_k W_uh[j,k] h_{t−1}[k] + Σ_k W_ux[j,k] x_t[k] + b_u[j], so step t alone
     contributes da_u h_{t−1}ᵀ to dW_uh, da_u x_tᵀ to dW_ux and da_u to db_u. Every step uses the same
     parameters, so L depends on them through T places and the total derivative is the sum over them:

         dW_uh = Σ_t da_u h_{t−1}ᵀ              dW_ux = Σ_t da_u x_tᵀ           db_u = Σ_t da_u
         dW_rh = Σ_t da_r h_{t−1}ᵀ              dW_rx = Σ_t da_r x_tᵀ           db_r = Σ_t da_r
         dW_ch = Σ_t da_c kᵀ     (before)       dW_cx = Σ_t da_c x_tᵀ           db_c = Σ_t da_c
         dW_ch = Σ_t dm h_{t−1}ᵀ  (after)                                      db_ch = Σ_t dm

         dx_t = W_uxᵀ da_u + W_rxᵀ da_r + W_cxᵀ da_c                  x_t is read by both gates and the candidate

  6  What step t sends to h_{t−1}. Four paths: the carry, the update gate, the reset gate, the candidate:

         (1 − u) ⊙ dh_t  +  W_uhᵀ da_u  +  W_rhᵀ da_r  +  { r ⊙ dk        before
                                                          { W_chᵀ dm      after

     With u = 0 the first is the identity and the rest vanish. At t = 1 this is dh_0.

  7  The batch. Example b is row b; the examples share the parameters, so Σ_b da[b] h[b]ᵀ = daᵀ h, a matrix
     product (H,B)(B,H); Σ_b da[b] is a sum over axis 0; and Wᵀ da[b] as row b is da W.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .common import Array, Gradients, InputError, Sizes, all_or_none, sigmoid, zeros_like_params

SHAPES = {
    "W_ux": "HD", "W_uh": "HH", "b_u": "H",
    "W_rx": "HD", "W_rh": "HH", "b_r": "H",
    "W_cx": "HD", "W_ch": "HH", "b_c": "H",
}
"""The parameters and their shapes, in letters."""

SHAPES_AFTER = SHAPES | {"b_ch": "H"}
"""With reset="after" the recurrent product of the candidate has a bias of its own."""

BIASES = tuple(name for name in SHAPES_AFTER if name[0] == "b")
"""Leave all of them out for the GRU without biases."""

Reset = Literal["before", "after"]


class Step(NamedTuple):
    """What step t leaves for the backward pass: x_t (B, D); all others (B, H). m is W_ch k with reset="before"."""

    x: Array
    h_prev: Array
    u: Array
    r: Array
    m: Array
    c_tilde: Array
    h: Array


class Trace(NamedTuple):
    """A forward pass: xs (T, B, D), its T steps, hs (T, B, H) and the final state h_T (B, H)."""

    xs: Array
    steps: list[Step]
    hs: Array
    state: Array
    reset: Reset


def forward(
    params: Mapping[str, npt.ArrayLike],
    xs: npt.ArrayLike,
    state: npt.ArrayLike | None = None,
    *,
    reset: Reset = "before",
) -> Trace:
    """h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1} for t = 1 … T.

    params  W_ux, W_rx, W_cx (H, D), W_uh, W_rh, W_ch (H, H), b_u, b_r, b_c (H,); with reset="after" also b_ch (H,);
            without any b_· there are no biases
    xs      (T, B, D), time first: x_t is xs[t − 1]
    state   h_0 (B, H), zeros when left out
    reset   "before": r ⊙ h_{t−1} enters the product (C3);  "after": r multiplies the product (torch, cuDNN, Keras)

    Raises InputError for missing or unknown parameters, shapes that do not fit, or another reset.

    >>> ones = {name: np.ones((1,) * len(letters)) for name, letters in SHAPES.items()}
    >>> forward(ones, xs=[[[1.0]]], state=[[0.5]]).hs.round(4)
    array([[[0.9487]]])
    >>> forward(ones | {"b_ch": [0.0]}, xs=[[[1.0]]], state=[[0.5]], reset="after").hs.round(4)      # H = 1: the same
    array([[[0.9487]]])
    """
    if reset not in ("before", "after"):
        raise InputError(f"gru.forward: reset must be 'before' or 'after', got {reset!r}")
    sizes = Sizes("gru.forward")
    p = sizes.check_params(params, SHAPES if reset == "before" else SHAPES_AFTER, all_or_none(BIASES, params))
    W_ux, W_uh, b_u = p["W_ux"], p["W_uh"], p.get("b_u", 0.0)
    W_rx, W_rh, b_r = p["W_rx"], p["W_rh"], p.get("b_r", 0.0)
    W_cx, W_ch, b_c, b_ch = p["W_cx"], p["W_ch"], p.get("b_c", 0.0), p.get("b_ch", 0.0)
    xs = sizes.check("xs", xs, "TBD")
    T, B, H = xs.shape[0], xs.shape[1], sizes["H"]
    h = np.zeros((B, H), xs.dtype) if state is None else sizes.check("state", state, "BH")

    steps = []
    for t in range(1, T + 1):
        x, h_prev = xs[t - 1], h
        u = sigmoid(h_prev @ W_uh.T + x @ W_ux.T + b_u)
        r = sigmoid(h_prev @ W_rh.T + x @ W_rx.T + b_r)
        if reset == "before":
            m = (r * h_prev) @ W_ch.T
            c_tilde = np.tanh(x @ W_cx.T + b_c + m)
        else:
            m = h_prev @ W_ch.T + b_ch
            c_tilde = np.tanh(x @ W_cx.T + b_c + r * m)
        h = u * c_tilde + (1 - u) * h_prev
        steps.append(Step(x, h_prev, u, r, m, c_tilde, h))
    return Trace(xs, steps, np.reshape([step.h for step in steps], (T, B, H)), h, reset)


def backward(
    params: Mapping[str, npt.ArrayLike],
    trace: Trace,
    d_hs: npt.ArrayLike,
    d_state: npt.ArrayLike | None = None,
) -> Gradients[Array]:
    """Backpropagation through time, t = T … 1; the numbers are those of the derivation above.

    params   as given to forward
    trace    what forward returned (it remembers where the reset was)
    d_hs     (T, B, H), what the loss sends to each h_t directly
    d_state  (B, H), what reaches the final state h_T from elsewhere; zeros when left out

    Returns Gradients(params, xs, state). Raises InputError when shapes do not fit.

    >>> ones = {name: np.ones((1,) * len(letters)) for name, letters in SHAPES.items()}
    >>> trace = forward(ones, xs=[[[1.0]]], state=[[0.5]])
    >>> gradients = backward(ones, trace, d_hs=[[[1.0]]])
    >>> gradients.state.round(4), gradients.params["W_uh"].round(4)
    (array([[0.1353]]), array([[0.017]]))
    """
    sizes = Sizes("gru.backward")
    p = sizes.check_params(params, SHAPES if trace.reset == "before" else SHAPES_AFTER, all_or_none(BIASES, params))
    W_ux, W_rx, W_cx = p["W_ux"], p["W_rx"], p["W_cx"]
    W_uh, W_rh, W_ch = p["W_uh"], p["W_rh"], p["W_ch"]
    sizes.check("trace.xs", trace.xs, "TBD")
    dh = np.zeros_like(trace.state) if d_state is None else sizes.check("d_state", d_state, "BH")
    d_hs = sizes.check("d_hs", d_hs, "TBH")

    dp = zeros_like_params(p)
    dxs = np.zeros_like(trace.xs)
    for t in range(len(trace.steps), 0, -1):
        x, h_prev, u, r, m, c_tilde, _ = trace.steps[t - 1]
        dh = d_hs[t - 1] + dh                                    # 1

        dc_tilde = dh * u                                        # 2
        du = dh * (c_tilde - h_prev)

        da_c = dc_tilde * (1 - c_tilde * c_tilde)                # 3
        da_u = du * u * (1 - u)

        if trace.reset == "before":                              # 4
            dk = da_c @ W_ch
            dr = dk * h_prev
            dp["W_ch"] += da_c.T @ (r * h_prev)
            dh_through_candidate = r * dk
        else:
            dr = da_c * m
            dm = da_c * r
            dp["W_ch"] += dm.T @ h_prev
            if "b_ch" in dp:
                dp["b_ch"] += dm.sum(axis=0)
            dh_through_candidate = dm @ W_ch
        da_r = dr * r * (1 - r)

        dp["W_uh"] += da_u.T @ h_prev                            # 5, 7
        dp["W_rh"] += da_r.T @ h_prev
        for gate, da in (("u", da_u), ("r", da_r), ("c", da_c)):
            dp[f"W_{gate}x"] += da.T @ x
            if f"b_{gate}" in dp:
                dp[f"b_{gate}"] += da.sum(axis=0)
        dxs[t - 1] = da_u @ W_ux + da_r @ W_rx + da_c @ W_cx

        dh = (1 - u) * dh + da_u @ W_uh + da_r @ W_rh + dh_through_candidate      # 6
    return Gradients(dp, dxs, dh)
