"""The gated recurrent unit, with the reset before or after the product, whole or with a gate removed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import Tensor, sigmoid, split, tanh
from minigrad.flags import switch

from ..checks import Seed, one_of
from ..initialisers import Initialiser
from ..recurrent import Cell, affine, stacked_gates

__all__ = ["GRU"]


class GRU(Cell[Tensor]):
    """The gated recurrent unit (C3), whose c_t = a_t is h_t here.

        u = σ(W_uh h_{t−1} + W_ux x_t + b_u)                       Γ_u          update_gate=False: u ≡ 1
        r = σ(W_rh h_{t−1} + W_rx x_t + b_r)                       Γ_r          reset_gate=False:  r ≡ 1
        c̃ = tanh(W_ch (r ⊙ h_{t−1}) + W_cx x_t + b_c)              reset="before" (C3)
        c̃ = tanh(W_cx x_t + b_c + r ⊙ (W_ch h_{t−1} + b_ch))       reset="after" (torch, cuDNN, Keras' default)
        h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1}

    The update gate multiplies the candidate, as in C3; torch, Keras and ONNX write z = 1 − u. A removed gate has no
    parameters (the ablations of C3).

    Parameters, with row blocks in the order u, r, c: W_x (3H, D), W_h (3H, H), b (3H,); with reset="after" also b_ch
    (H,). State: h (B, H).

    Args:
        input_size: D.
        hidden_size: H.
        reset: where r acts, ``"before"`` or ``"after"`` the product with W_ch. The two are different functions.
        update_gate: False removes it: h_t = c̃.
        reset_gate: False removes it: the candidate sees all of h_{t−1}.
        bias: whether there are b and b_ch.
        init: the rule for the initial values, see `models.initialisers`.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values; None: new each time.

    Raises ArgumentError for a size, reset or init that does not exist.

    >>> list(GRU(input_size=3, hidden_size=4, seed=0).by_gate())
    ['W_ux', 'W_rx', 'W_cx', 'W_uh', 'W_rh', 'W_ch', 'b_u', 'b_r', 'b_c']
    >>> GRU(input_size=3, hidden_size=4, reset_gate=False, seed=0)
    GRU(W_x (8, 3), W_h (8, 4), b (8,))
    """

    label = "gru"
    pure_step = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["before", "after"] = "before",
        update_gate: bool = True,
        reset_gate: bool = True,
        bias: bool = True,
        init: str = "uniform",
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.reset = one_of("gru: reset", reset, ("before", "after"))
        kept = (switch(update_gate, "gru: update_gate"), switch(reset_gate, "gru: reset_gate"), True)
        self.gates = tuple(gate for gate, is_kept in zip("urc", kept, strict=True) if is_kept)
        make, n = Initialiser(init, hidden_size, dtype, seed), len(self.gates)
        self.W_x = make.input("W_x", hidden_size, input_size, gates=n)
        self.W_h = make.recurrent("W_h", hidden_size, hidden_size, gates=n)
        self.b = make.bias("b", hidden_size, gates=n) if switch(bias, "gru: bias") else None
        self.b_ch = make.bias("b_ch", hidden_size) if bias and reset == "after" else None
        self.blocks = stacked_gates(self.gates, self.hidden_size)

    @override
    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    @override
    def project(self, x: Tensor) -> Tensor:
        return affine(x, self.W_x, self.b)

    @override
    def recur(self, wx: Tensor, state: Tensor) -> Tensor:
        h = state
        if len(self.gates) < 3:
            return self._ablated(wx, h)
        wx_u, wx_r, wx_c = split(wx, 3, axis=-1)
        if self.reset == "before":
            W_uh, W_rh, W_ch = split(self.W_h, 3)
            u = sigmoid(h @ W_uh.T + wx_u).named("u")                   # u = σ(W_uh h_{t−1} + W_ux x_t + b_u)
            r = sigmoid(h @ W_rh.T + wx_r).named("r")                   # r = σ(W_rh h_{t−1} + W_rx x_t + b_r)
            c = tanh((r * h) @ W_ch.T + wx_c).named("c̃")                # c̃ = tanh(W_ch (r ⊙ h_{t−1}) + W_cx x_t + b_c)
        else:
            wh_u, wh_r, wh_c = split(h @ self.W_h.T, 3, axis=-1)
            u = sigmoid(wh_u + wx_u).named("u")                         # u and r as above
            r = sigmoid(wh_r + wx_r).named("r")
            c = tanh(wx_c + r * self._plus_b_ch(wh_c)).named("c̃")       # c̃ = tanh(W_cx x_t + b_c + r ⊙ (W_ch h_{t−1} + b_ch))
        return (u * c + (1 - u) * h).named("h")                         # h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1}

    def _plus_b_ch(self, wh_c: Tensor) -> Tensor:
        return wh_c if self.b_ch is None else wh_c + self.b_ch

    def _ablated(self, wx: Tensor, h: Tensor) -> Tensor:
        """The same equations without u, without r, or without both."""
        n = len(self.gates)
        a = dict(zip(self.gates, split(wx, n, axis=-1), strict=True))
        W = dict(zip(self.gates, split(self.W_h, n), strict=True))
        if "r" not in W:
            c = tanh(self._plus_b_ch(h @ W["c"].T) + a["c"])                          # r ≡ 1
        else:
            r = sigmoid(h @ W["r"].T + a["r"]).named("r")
            if self.reset == "before":
                c = tanh((r * h) @ W["c"].T + a["c"])
            else:
                c = tanh(a["c"] + r * self._plus_b_ch(h @ W["c"].T))
        if "u" not in W:
            return c.named("h")                                                       # u ≡ 1: h_t = c̃
        u = sigmoid(h @ W["u"].T + a["u"]).named("u")
        return (u * c.named("c̃") + (1 - u) * h).named("h")
