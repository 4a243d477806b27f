"""The long short-term memory, with its peepholes and its coupled gate as options."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import Tensor, sigmoid, split, tanh
from minigrad.errors import ArgumentError
from minigrad.flags import switch

from ..checks import Seed, is_number
from ..initialisers import Initialiser
from ..recurrent import Cell, affine, stacked_gates

__all__ = ["LSTM", "LSTMState"]


class LSTMState(NamedTuple):
    """The state of an LSTM, in C1's order (c_t, h_t): cell state and hidden state, each (B, H). The gates are not it."""

    c: Tensor
    h: Tensor


class LSTM(Cell[LSTMState]):
    """The long short-term memory (C1, C3).

        i = σ(W_ih h_{t−1} + W_ix x_t + b_i)          input gate: Γ_u in C3      coupled=True: i = 1 − f
        f = σ(W_fh h_{t−1} + W_fx x_t + b_f)          forget gate: Γ_f
        g = tanh(W_gh h_{t−1} + W_gx x_t + b_g)       candidate: c̃
        c_t = f ⊙ c_{t−1} + i ⊙ g
        o = σ(W_oh h_{t−1} + W_ox x_t + b_o)          output gate: Γ_o
        h_t = o ⊙ tanh(c_t)                           output_tanh=False: h_t = o ⊙ c_t, as C3 prints it

    peepholes=True lets the gates see the cell state (Gers and Schmidhuber 2000): p_i ⊙ c_{t−1} is added inside i,
    p_f ⊙ c_{t−1} inside f, p_o ⊙ c_t inside o. A coupled input gate has no parameters of its own.

    Parameters, with row blocks in the order i, f, g, o: W_x (4H, D), W_h (4H, H), b (4H,); with peepholes p_i, p_f, p_o
    (H,). State: LSTMState(c, h).

    Args:
        input_size: D.
        hidden_size: H.
        output_tanh: whether the output passes the cell state through tanh.
        peepholes: whether the gates see the cell state.
        coupled: whether what is forgotten is exactly what is written, i = 1 − f.
        forget_bias: the initial value of b_f, such as Keras' 1.0; None: drawn like the other biases.
        bias: whether there is a b.
        init: the rule for the initial values, see `models.initialisers`.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values; None: new each time.

    Raises ArgumentError for a size or init that does not exist, or a forget_bias without biases.

    >>> cell = LSTM(input_size=3, hidden_size=4, forget_bias=1.0, seed=0)
    >>> c, h = cell.step(Tensor(np.ones((2, 3))), cell.initial_state(batch=2))
    >>> c.shape, h.shape, cell.by_gate()["b_f"]
    ((2, 4), (2, 4), array([1., 1., 1., 1.]))
    """

    label = "lstm"
    pure_step = True
    state_names = ("c", "h")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_tanh: bool = True,
        peepholes: bool = False,
        coupled: bool = False,
        forget_bias: float | None = None,
        bias: bool = True,
        init: str = "uniform",
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.output_tanh = switch(output_tanh, "lstm: output_tanh")
        self.peepholes = switch(peepholes, "lstm: peepholes")
        self.coupled = switch(coupled, "lstm: coupled")
        self.gates = ("f", "g", "o") if coupled else ("i", "f", "g", "o")
        make, n = Initialiser(init, hidden_size, dtype, seed), len(self.gates)
        self.W_x = make.input("W_x", hidden_size, input_size, gates=n)
        self.W_h = make.recurrent("W_h", hidden_size, hidden_size, gates=n)
        self.b = make.bias("b", hidden_size, gates=n) if switch(bias, "lstm: bias") else None
        self.p_i = make.bias("p_i", hidden_size) if peepholes and not coupled else None
        self.p_f = make.bias("p_f", hidden_size) if peepholes else None
        self.p_o = make.bias("p_o", hidden_size) if peepholes else None
        self.blocks = stacked_gates(self.gates, self.hidden_size)
        if forget_bias is not None:
            if self.b is None or not is_number(forget_bias) or not abs(forget_bias) <= np.finfo(self.b.dtype).max:
                raise ArgumentError(f"lstm: forget_bias: expected None, or a finite number and bias=True, got {forget_bias!r}")
            self.b.data[self.blocks["b"]["b_f"]] = forget_bias

    @override
    def initial_state(self, batch: int) -> LSTMState:
        return LSTMState(c=self._zeros(batch, "c"), h=self._zeros(batch, "h"))

    @override
    def project(self, x: Tensor) -> Tensor:
        return affine(x, self.W_x, self.b)

    @override
    def recur(self, wx: Tensor, state: LSTMState) -> LSTMState:
        if self.coupled or self.peepholes:
            return self._variant(wx, state)
        c, h = state
        a_i, a_f, a_g, a_o = split(h @ self.W_h.T + wx, 4, axis=-1)

        i = sigmoid(a_i).named("i")                                         # i = σ(W_ih h_{t−1} + W_ix x_t + b_i)
        f = sigmoid(a_f).named("f")                                         # f = σ(W_fh h_{t−1} + W_fx x_t + b_f)
        g = tanh(a_g).named("g")                                            # g = tanh(W_gh h_{t−1} + W_gx x_t + b_g)
        o = sigmoid(a_o).named("o")                                         # o = σ(W_oh h_{t−1} + W_ox x_t + b_o)

        c = (f * c + i * g).named("c")                                      # c_t = f ⊙ c_{t−1} + i ⊙ g
        h = (o * (tanh(c) if self.output_tanh else c)).named("h")           # h_t = o ⊙ tanh(c_t)
        return LSTMState(c, h)

    def _variant(self, wx: Tensor, state: LSTMState) -> LSTMState:
        """The same step with peepholes, with i = 1 − f, or with both."""
        c, h = state
        *a_i, a_f, a_g, a_o = split(h @ self.W_h.T + wx, len(self.gates), axis=-1)

        f = sigmoid(plus_peephole(a_f, self.p_f, c)).named("f")             # … + p_f ⊙ c_{t−1}
        if self.coupled:
            i = (1 - f).named("i")
        else:
            i = sigmoid(plus_peephole(a_i[0], self.p_i, c)).named("i")      # … + p_i ⊙ c_{t−1}
        g = tanh(a_g).named("g")
        c = (f * c + i * g).named("c")

        o = sigmoid(plus_peephole(a_o, self.p_o, c)).named("o")             # … + p_o ⊙ c_t
        h = (o * (tanh(c) if self.output_tanh else c)).named("h")
        return LSTMState(c, h)


def plus_peephole(a: Tensor, p: Tensor | None, c: Tensor) -> Tensor:
    """a + p ⊙ c, or a where there is no peephole."""
    return a if p is None else a + p * c
