"""The RNN with one gate: at every entry the state is kept, overwritten, or something between."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import Tensor, sigmoid, tanh
from minigrad.flags import switch

from ..checks import Seed
from ..initialisers import Initialiser
from ..recurrent import Cell, affine

__all__ = ["GatedRNN"]


class GatedRNN(Cell[Tensor]):
    """The RNN with one gate (C1).

        g_t = σ(W_gs s_{t−1} + W_gx x_t)                                  bias=True: … + b_g
        s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ tanh(W_ss s_{t−1} + W_sx x_t)    bias=True: … + b_s

    g_t[i] = 0 copies s_{t−1}[i] unchanged, g_t[i] = 1 overwrites it.

    Parameters: W_gx, W_sx (H, D), W_gs, W_ss (H, H); with biases b_g, b_s (H,). State: s (B, H).

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are b_g and b_s; C1 has none.
        init: the rule for the initial values, see `models.initialisers`.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values; None: new each time.

    >>> cell = GatedRNN(input_size=3, hidden_size=4, seed=0)
    >>> cell.step(Tensor(np.ones((2, 3))), cell.initial_state(batch=2)).name
    's'
    """

    label = "gated_rnn"
    pure_step = True
    state_names = ("s",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = False,
        init: str = "uniform",
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        make = Initialiser(init, hidden_size, dtype, seed)
        self.W_gx = make.input("W_gx", hidden_size, input_size)
        self.W_gs = make.recurrent("W_gs", hidden_size, hidden_size)
        self.W_sx = make.input("W_sx", hidden_size, input_size)
        self.W_ss = make.recurrent("W_ss", hidden_size, hidden_size)
        self.b_g = make.bias("b_g", hidden_size) if switch(bias, "gated_rnn: bias") else None
        self.b_s = make.bias("b_s", hidden_size) if bias else None

    @override
    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "s")

    @override
    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return affine(x, self.W_gx, self.b_g), affine(x, self.W_sx, self.b_s)

    @override
    def recur(self, wx: tuple[Tensor, Tensor], state: Tensor) -> Tensor:
        s, (wx_g, wx_s) = state, wx
        g = sigmoid(s @ self.W_gs.T + wx_g).named("g")        # g_t = σ(W_gs s_{t−1} + W_gx x_t)
        s_new = tanh(s @ self.W_ss.T + wx_s).named("s̃")       # s̃_t = tanh(W_ss s_{t−1} + W_sx x_t)
        return ((1 - g) * s + g * s_new).named("s")           # s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ s̃_t
