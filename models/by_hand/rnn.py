"""The simple RNN by hand: h_t = φ(W_hh h_{t−1} + W_hx x_t + b_h), φ = tanh or relu.

Equation: C1 (without b_h), C4 and C5 (with it) in the courses.

FORWARD, one example, t = 1 … T        x_t ∈ ℝᴰ,  h_t ∈ ℝᴴ,  h_0 given

    a_t = W_hh h_{t−1} + W_hx x_t + b_h
    h_t = φ(a_t)

BACKWARD        dz stands for ∂L/∂z, a column of the same shape as z

  1  What reaches h_t. Two things read h_t: the loss itself (its output ŷ_t, if there is one), and
     step t+1, through W_hh. Contributions add:

         dh_t = d_hs_t + W_hhᵀ da_{t+1}          d_hs_t: what the loss sends to h_t directly
         dh_T = d_hs_T + d_state                 no step T+1; the final state may be read elsewhere

     So da_{t+1} is needed before da_t: the recursion runs t = T … 1.

  2  Through φ. It acts on each entry alone, so its Jacobian is diagonal:

         da_t = dh_t ⊙ φ′(a_t)                   tanh:  φ′(a_t) = 1 − tanh²(a_t) = 1 − h_t ⊙ h_t
                                                 relu:  φ′(a_t) = 1 where h_t > 0, else 0

  3  Through the affine map. Entry j of a_t is

         a_t[j] = Σ_k W_hh[j,k] h_{t−1}[k] + Σ_k W_hx[j,k] x_t[k] + b_h[j]

     so ∂a_t[j]/∂W_hh[j,k] = h_{t−1}[k],  ∂a_t[j]/∂W_hx[j,k] = x_t[k],  ∂a_t[j]/∂b_h[j] = 1: the use of
     the parameters at step t alone contributes

         to dW_hh:  da_t h_{t−1}ᵀ                to dW_hx:  da_t x_tᵀ               to db_h:  da_t

     and, since ∂a_t[j]/∂x_t[k] = W_hx[j,k] and ∂a_t[j]/∂h_{t−1}[k] = W_hh[j,k],

         dx_t = W_hxᵀ da_t                       and W_hhᵀ da_t goes to h_{t−1}: line 1, one step earlier

  4  The sum over time. One W_hh serves all steps. Give each step its own copy W_hh⁽ᵗ⁾ = W_hh; then
     ∂L/∂W_hh = Σ_t ∂L/∂W_hh⁽ᵗ⁾, and likewise for the others:

         dW_hh = Σ_t da_t h_{t−1}ᵀ               dW_hx = Σ_t da_t x_tᵀ              db_h = Σ_t da_t
         dh_0  = W_hhᵀ da_1

     Unfolding lines 1 and 2 gives the double sum of C5:

         ∂L/∂b_h = Σ_t ∂L_t/∂h_t · Σ_{k≤t} ( Π_{i=k+1..t} ∂h_i/∂h_{i−1} ) · ∂h_k/∂b_h
         with  ∂h_i/∂h_{i−1} = diag(φ′(a_i)) W_hh   and   ∂h_k/∂b_h = diag(φ′(a_k))

  5  The sum over the batch. Example b is row b of an array, columns become rows, and the examples
     share the parameters, so their outer products add up, which is what a matrix product does:

         Σ_b da_t[b] h_{t−1}[b]ᵀ = da_tᵀ h_{t−1}            (H,B)(B,H) → (H,H)
         Σ_b da_t[b]             = da_t summed over axis 0    (B,H) → (H)
         W_hhᵀ da_t[b] as row b  = da_t W_hh                (B,H)(H,H) → (B,H)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .common import Array, Gradients, InputError, Sizes, zeros_like_params

SHAPES = {"W_hx": "HD", "W_hh": "HH", "b_h": "H"}
"""The parameters and their shapes, in letters."""

OPTIONAL = ("b_h",)
"""Leave it out for the RNN without bias."""

Activation = Literal["tanh", "relu"]


class Step(NamedTuple):
    """What step t leaves for the backward pass: x_t (B, D); h_{t−1} and h_t (B, H)."""

    x: Array
    h_prev: Array
    h: Array


class Trace(NamedTuple):
    """A forward pass: xs (T, B, D), its T steps, hs (T, B, H) and the final state h_T (B, H)."""

    xs: Array
    steps: list[Step]
    hs: Array
    state: Array
    activation: Activation


def forward(
    params: Mapping[str, npt.ArrayLike],
    xs: npt.ArrayLike,
    state: npt.ArrayLike | None = None,
    *,
    activation: Activation = "tanh",
) -> Trace:
    """h_t = φ(W_hh h_{t−1} + W_hx x_t + b_h) for t = 1 … T.

    params  W_hx (H, D), W_hh (H, H), b_h (H,); without b_h there is no bias
    xs      (T, B, D), time first: x_t is xs[t − 1]
    state   h_0 (B, H), zeros when left out

    Raises InputError for missing or unknown parameters, shapes that do not fit, or another activation.

    >>> trace = forward({"W_hx": [[0.5]], "W_hh": [[2.0]]}, xs=[[[1.0]], [[0.0]]])
    >>> trace.hs.ravel().round(4)                # tanh(0.5), tanh(2 tanh(0.5))
    array([0.4621, 0.7279])
    """
    if activation not in ("tanh", "relu"):
        raise InputError(f"rnn.forward: activation must be 'tanh' or 'relu', got {activation!r}")
    sizes = Sizes("rnn.forward")
    p = sizes.check_params(params, SHAPES, OPTIONAL)
    W_hx, W_hh, b_h = p["W_hx"], p["W_hh"], p.get("b_h", 0.0)
    xs = sizes.check("xs", xs, "TBD")
    T, B, H = xs.shape[0], xs.shape[1], sizes["H"]
    h = np.zeros((B, H), xs.dtype) if state is None else sizes.check("state", state, "BH")

    steps = []
    for t in range(1, T + 1):
        x, h_prev = xs[t - 1], h
        a = h_prev @ W_hh.T + x @ W_hx.T + b_h
        h = np.tanh(a) if activation == "tanh" else np.maximum(a, 0.0)
        steps.append(Step(x, h_prev, h))
    return Trace(xs, steps, np.reshape([step.h for step in steps], (T, B, H)), h, activation)


def backward(
    params: Mapping[str, npt.ArrayLike],
    trace: Trace,
    d_hs: npt.ArrayLike,
    d_state: npt.ArrayLike | None = None,
) -> Gradients[Array]:
    """Backpropagation through time, t = T … 1; the numbers are those of the derivation above.

    params   as given to forward
    trace    what forward returned
    d_hs     (T, B, H), what the loss sends to each h_t directly
    d_state  (B, H), what reaches the final state h_T from elsewhere; zeros when left out

    Returns Gradients(params, xs, state). Raises InputError when shapes do not fit.

    >>> params = {"W_hx": [[0.5]], "W_hh": [[2.0]]}
    >>> trace = forward(params, xs=[[[1.0]], [[0.0]]])
    >>> gradients = backward(params, trace, d_hs=[[[0.0]], [[1.0]]])      # L = h_2
    >>> gradients.params["W_hh"].round(4)                                 # (1 − h_2²) h_1
    array([[0.2173]])
    >>> gradients.params["W_hx"].round(4)                                 # (1 − h_2²) W_hh (1 − h_1²) x_1
    array([[0.7395]])
    """
    sizes = Sizes("rnn.backward")
    p = sizes.check_params(params, SHAPES, OPTIONAL)
    W_hx, W_hh = p["W_hx"], p["W_hh"]
    sizes.check("trace.xs", trace.xs, "TBD")
    dh = np.zeros_like(trace.state) if d_state is None else sizes.check("d_state", d_state, "BH")
    d_hs = sizes.check("d_hs", d_hs, "TBH")

    dp = zeros_like_params(p)
    dxs = np.zeros_like(trace.xs)
    for t in range(len(trace.steps), 0, -1):
        x, h_prev, h = trace.steps[t - 1]
        dh = d_hs[t - 1] + dh                                                    # 1

        da = dh * (1 - h * h) if trace.activation == "tanh" else dh * (h > 0)    # 2

        dp["W_hh"] += da.T @ h_prev                                              # 3, 4, 5
        dp["W_hx"] += da.T @ x
        if "b_h" in dp:
            dp["b_h"] += da.sum(axis=0)

        dxs[t - 1] = da @ W_hx
        dh = da @ W_hh
    return Gradients(dp, dxs, dh)
