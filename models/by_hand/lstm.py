"""The LSTM by hand (C1, C3), with tanh on the output (the standard form) or without (as C3 prints it).

FORWARD, one example, t = 1 … T        x_t ∈ ℝᴰ,  c_t, h_t ∈ ℝᴴ,  (c_0, h_0) given

    a_i = W_ih h_{t−1} + W_ix x_t + b_i          i = σ(a_i)               input gate, Γ_u in C3
    a_f = W_fh h_{t−1} + W_fx x_t + b_f          f = σ(a_f)               forget gate, Γ_f
    a_g = W_gh h_{t−1} + W_gx x_t + b_g          g = tanh(a_g)            candidate, c̃ in C3
    a_o = W_oh h_{t−1} + W_ox x_t + b_o          o = σ(a_o)               output gate, Γ_o

    c_t = f ⊙ c_{t−1} + i ⊙ g
    q_t = tanh(c_t)                              output_tanh=False:  q_t = c_t
    h_t = o ⊙ q_t

BACKWARD        dz stands for ∂L/∂z, a column of the same shape as z

  1  What reaches h_t: the loss directly, and the four a's of step t+1 (line 6 there). Contributions add:

         dh_t = d_hs_t + (what step t+1 sends to h_t)
         dh_T = d_hs_T + dh of d_state

  2  Through the output:

         ∂h_t/∂o = q_t                           do = dh_t ⊙ q_t
         ∂h_t/∂q_t = o                           dq = dh_t ⊙ o

  3  What reaches c_t. Two things read c_t: the output h_t of this step, through q_t, and the cell c_{t+1}
     of the next, through its forget gate:

         dc_t = dq ⊙ q′(c_t) + f_{t+1} ⊙ dc_{t+1}          q′(c_t) = 1 − q_t ⊙ q_t, or 1 without the tanh
         dc_T = dq ⊙ q′(c_T) + dc of d_state

  4  Through c_t = f ⊙ c_{t−1} + i ⊙ g, entry by entry:

         di = dc_t ⊙ g          df = dc_t ⊙ c_{t−1}          dg = dc_t ⊙ i          f ⊙ dc_t goes to c_{t−1}

     and through σ, with σ′(a) = σ(a)(1 − σ(a)), and tanh, with tanh′(a) = 1 − tanh²(a):

         da_i = di ⊙ i ⊙ (1 − i)                 da_f = df ⊙ f ⊙ (1 − f)
         da_g = dg ⊙ (1 − g ⊙ g)                 da_o = do ⊙ o ⊙ (1 − o)

  5  Through the affine maps. a_f[j] = Σ_k W_fh[j,k] h_{t−1}[k] + Σ_k W_fx[j,k] x_t[k] + b_f[j], so step t alone
     contributes da_f h_{t−1}ᵀ to dW_fh, da_f x_tᵀ to dW_fx and da_f to db_f. Every step uses the same
     parameters, so L depends on them through T places and the total derivative is the sum over them.
     For each gate n = i, f, g, o:

         dW_nh = Σ_t da_n h_{t−1}ᵀ               dW_nx = Σ_t da_n x_tᵀ               db_n = Σ_t da_n

         dx_t = W_ixᵀ da_i + W_fxᵀ da_f + W_gxᵀ da_g + W_oxᵀ da_o

  6  What step t sends back. To h_{t−1}, which all four gates read; to c_{t−1}, which only c_t reads:

         W_ihᵀ da_i + W_fhᵀ da_f + W_ghᵀ da_g + W_ohᵀ da_o    to h_{t−1};  at t = 1 this is dh_0
         f ⊙ dc_t                                             to c_{t−1};  at t = 1 this is dc_0

     No matrix and no tanh stands on the path c_t → c_{t−1}: with f = 1 the gradient of the cell state
     passes unchanged over any number of steps. That is what the LSTM was made for.

  7  The batch. Example b is row b; the examples share the parameters, so Σ_b da[b] h[b]ᵀ = daᵀ h, a matrix
     product (H,B)(B,H); Σ_b da[b] is a sum over axis 0; and Wᵀ da[b] as row b is da W.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .common import Array, Gradients, InputError, Sizes, all_or_none, sigmoid, zeros_like_params

SHAPES = {
    "W_ix": "HD", "W_ih": "HH", "b_i": "H",
    "W_fx": "HD", "W_fh": "HH", "b_f": "H",
    "W_gx": "HD", "W_gh": "HH", "b_g": "H",
    "W_ox": "HD", "W_oh": "HH", "b_o": "H",
}
"""The parameters and their shapes, in letters."""

BIASES = tuple(name for name in SHAPES if name[0] == "b")
"""Leave all of them out for the LSTM without biases, as in C1."""


class State(NamedTuple):
    """The state of the LSTM, or its gradient: c and h, each (B, H), in C1's order (c_t, h_t)."""

    c: Array
    h: Array


class Step(NamedTuple):
    """What step t leaves for the backward pass: x_t (B, D); all others (B, H)."""

    x: Array
    h_prev: Array
    c_prev: Array
    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    q: Array
    h: Array


class Trace(NamedTuple):
    """A forward pass: xs (T, B, D), its T steps, hs (T, B, H) and the final state (c_T, h_T)."""

    xs: Array
    steps: list[Step]
    hs: Array
    state: State
    output_tanh: bool


def forward(
    params: Mapping[str, npt.ArrayLike],
    xs: npt.ArrayLike,
    state: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    *,
    output_tanh: bool = True,
) -> Trace:
    """c_t = f ⊙ c_{t−1} + i ⊙ g and h_t = o ⊙ tanh(c_t) for t = 1 … T.

    params       W_nx (H, D), W_nh (H, H), b_n (H,) for each gate n = i, f, g, o; without any b_n there are no biases
    xs           (T, B, D), time first: x_t is xs[t − 1]
    state        (c_0, h_0), each (B, H), zeros when left out
    output_tanh  False: h_t = o ⊙ c_t, as C3 prints it

    Raises InputError for missing or unknown parameters or shapes that do not fit.

    Every weight and the state 1, no bias, x = 5 (the quiz of C1, whose rounded answer is h = 1):

    >>> params = {name: np.ones((1,) * len(letters)) * (name[0] == "W") for name, letters in SHAPES.items()}
    >>> c, h = forward(params, xs=[[[5.0]]], state=([[1.0]], [[1.0]])).state
    >>> round(c.item(), 12), round(h.item(), 12)
    (1.995042495722, 0.961292842529)
    """
    sizes = Sizes("lstm.forward")
    p = sizes.check_params(params, SHAPES, all_or_none(BIASES, params))
    W_ix, W_ih, b_i = p["W_ix"], p["W_ih"], p.get("b_i", 0.0)
    W_fx, W_fh, b_f = p["W_fx"], p["W_fh"], p.get("b_f", 0.0)
    W_gx, W_gh, b_g = p["W_gx"], p["W_gh"], p.get("b_g", 0.0)
    W_ox, W_oh, b_o = p["W_ox"], p["W_oh"], p.get("b_o", 0.0)
    xs = sizes.check("xs", xs, "TBD")
    T, B, H = xs.shape[0], xs.shape[1], sizes["H"]
    zeros = np.zeros((B, H), xs.dtype)
    c, h = State(zeros, zeros) if state is None else _check_state(sizes, "state", state)

    steps = []
    for t in range(1, T + 1):
        x, h_prev, c_prev = xs[t - 1], h, c
        i = sigmoid(h_prev @ W_ih.T + x @ W_ix.T + b_i)
        f = sigmoid(h_prev @ W_fh.T + x @ W_fx.T + b_f)
        g = np.tanh(h_prev @ W_gh.T + x @ W_gx.T + b_g)
        o = sigmoid(h_prev @ W_oh.T + x @ W_ox.T + b_o)
        c = f * c_prev + i * g
        q = np.tanh(c) if output_tanh else c
        h = o * q
        steps.append(Step(x, h_prev, c_prev, i, f, g, o, c, q, h))
    return Trace(xs, steps, np.reshape([step.h for step in steps], (T, B, H)), State(c, h), output_tanh)


def backward(
    params: Mapping[str, npt.ArrayLike],
    trace: Trace,
    d_hs: npt.ArrayLike,
    d_state: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Gradients[State]:
    """Backpropagation through time, t = T … 1; the numbers are those of the derivation above.

    params   as given to forward
    trace    what forward returned (it remembers whether the output had its tanh)
    d_hs     (T, B, H), what the loss sends to each h_t directly
    d_state  (dc, dh), each (B, H): what reaches the final state (c_T, h_T) from elsewhere; zeros when left out

    Returns Gradients(params, xs, state), state being State(c, h). Raises InputError when shapes do not fit.

    >>> params = {name: np.ones((1,) * len(letters)) * (name[0] == "W") for name, letters in SHAPES.items()}
    >>> trace = forward(params, xs=[[[5.0]]], state=([[1.0]], [[1.0]]))
    >>> gradients = backward(params, trace, d_hs=[[[1.0]]])
    >>> round(gradients.state.c.item(), 12)                              # o ⊙ (1 − tanh²(c_1)) ⊙ f
    0.070976938454
    """
    sizes = Sizes("lstm.backward")
    p = sizes.check_params(params, SHAPES, all_or_none(BIASES, params))
    W_ix, W_fx, W_gx, W_ox = p["W_ix"], p["W_fx"], p["W_gx"], p["W_ox"]
    W_ih, W_fh, W_gh, W_oh = p["W_ih"], p["W_fh"], p["W_gh"], p["W_oh"]
    sizes.check("trace.xs", trace.xs, "TBD")
    zeros = np.zeros_like(trace.state.h)
    dc, dh = State(zeros, zeros) if d_state is None else _check_state(sizes, "d_state", d_state)
    d_hs = sizes.check("d_hs", d_hs, "TBH")

    dp = zeros_like_params(p)
    dxs = np.zeros_like(trace.xs)
    for t in range(len(trace.steps), 0, -1):
        x, h_prev, c_prev, i, f, g, o, _, q, _ = trace.steps[t - 1]
        dh = d_hs[t - 1] + dh                                              # 1

        do = dh * q                                                        # 2
        dq = dh * o

        dc = (dq * (1 - q * q) if trace.output_tanh else dq) + dc          # 3

        di = dc * g                                                        # 4
        df = dc * c_prev
        dg = dc * i
        da_i = di * i * (1 - i)
        da_f = df * f * (1 - f)
        da_g = dg * (1 - g * g)
        da_o = do * o * (1 - o)

        for gate, da in (("i", da_i), ("f", da_f), ("g", da_g), ("o", da_o)):      # 5, 7
            dp[f"W_{gate}h"] += da.T @ h_prev
            dp[f"W_{gate}x"] += da.T @ x
            if f"b_{gate}" in dp:
                dp[f"b_{gate}"] += da.sum(axis=0)
        dxs[t - 1] = da_i @ W_ix + da_f @ W_fx + da_g @ W_gx + da_o @ W_ox

        dh = da_i @ W_ih + da_f @ W_fh + da_g @ W_gh + da_o @ W_oh         # 6
        dc = f * dc
    return Gradients(dp, dxs, State(dc, dh))


def _check_state(sizes: Sizes, name: str, state: tuple[npt.ArrayLike, npt.ArrayLike]) -> State:
    try:
        c, h = state
    except (TypeError, ValueError):
        raise InputError(f"{sizes.where}: {name} must be the pair (c, h), got {type(state).__name__}") from None
    return State(sizes.check(f"{name} c", c, "BH"), sizes.check(f"{name} h", h, "BH"))
