"""The four recurrent cells: simple RNN, RNN with one gate, GRU, LSTM. One step each, as the courses write it.

Arrays are batches of row vectors, x_t (B, D) and states (B, H), so the textbook's ``W h`` reads ``h @ W.T``. Gates that
share their operands share one matrix product: the rows of W_x, W_h and b are stacked, and `by_gate` shows them apart.

A step is ``step(x, state) = recur(project(x), state)``: `project` is the part W_x x_t + b, which needs no state.
`models.layers.unroll` repeats the step over time.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import Tensor, sigmoid, split, tanh
from minigrad.errors import ArgumentError
from models.recurrent import Cell, Seed, uniform

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "GatedRNN", "LSTMState", "make_cell"]


class RNN(Cell[Tensor]):
    """The simple RNN (C1 without b_h; C4 and C5 with it).

        h_t = tanh(W_hh h_{t−1} + W_hx x_t + b_h)

    Parameters: W_hx (H, D), W_hh (H, H), b_h (H,) unless bias=False. State: h (B, H).

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there is a b_h.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values, uniform in (−1/√H, 1/√H); None: new each time.

    >>> cell = RNN(input_size=3, hidden_size=4, seed=0)
    >>> h = cell.step(Tensor(np.ones((2, 3))), cell.initial_state(batch=2))
    >>> h.shape, h.name
    ((2, 4), 'h')
    """

    label = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        draw = uniform(hidden_size, dtype, seed)
        self.W_hx = draw("W_hx", hidden_size, input_size)
        self.W_hh = draw("W_hh", hidden_size, hidden_size)
        self.b_h = draw("b_h", hidden_size) if bias else None

    @override
    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    @override
    def project(self, x: Tensor) -> Tensor:
        wx = x @ self.W_hx.T
        return wx if self.b_h is None else wx + self.b_h

    @override
    def recur(self, wx: Tensor, state: Tensor) -> Tensor:
        h = state
        return tanh(h @ self.W_hh.T + wx).named("h")  # h_t = tanh(W_hh h_{t−1} + W_hx x_t + b_h)


class GatedRNN(Cell[Tensor]):
    """The RNN with one gate (C1).

        g_t = σ(W_gs s_{t−1} + W_gx x_t)
        s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ tanh(W_ss s_{t−1} + W_sx x_t)

    g_t[i] = 0 copies s_{t−1}[i] unchanged, g_t[i] = 1 overwrites it.

    Parameters: W_gx, W_sx (H, D), W_gs, W_ss (H, H); no bias. State: s (B, H).

    Args:
        input_size: D.
        hidden_size: H.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values, uniform in (−1/√H, 1/√H); None: new each time.

    >>> cell = GatedRNN(input_size=3, hidden_size=4, seed=0)
    >>> cell.step(Tensor(np.ones((2, 3))), cell.initial_state(batch=2)).name
    's'
    """

    label = "gated_rnn"
    state_names = ("s",)

    def __init__(
        self, input_size: int, hidden_size: int, *, dtype: npt.DTypeLike = np.float64, seed: Seed = None
    ) -> None:
        super().__init__(input_size, hidden_size)
        draw = uniform(hidden_size, dtype, seed)
        self.W_gx = draw("W_gx", hidden_size, input_size)
        self.W_gs = draw("W_gs", hidden_size, hidden_size)
        self.W_sx = draw("W_sx", hidden_size, input_size)
        self.W_ss = draw("W_ss", hidden_size, hidden_size)

    @override
    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "s")

    @override
    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.W_gx.T, x @ self.W_sx.T

    @override
    def recur(self, wx: tuple[Tensor, Tensor], state: Tensor) -> Tensor:
        s, (wx_g, wx_s) = state, wx
        g = sigmoid(s @ self.W_gs.T + wx_g).named("g")        # g_t = σ(W_gs s_{t−1} + W_gx x_t)
        s_new = tanh(s @ self.W_ss.T + wx_s).named("s̃")       # s̃_t = tanh(W_ss s_{t−1} + W_sx x_t)
        return ((1 - g) * s + g * s_new).named("s")           # s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ s̃_t


class GRU(Cell[Tensor]):
    """The gated recurrent unit (C3), whose c_t = a_t is h_t here.

        u = σ(W_uh h_{t−1} + W_ux x_t + b_u)                       Γ_u
        r = σ(W_rh h_{t−1} + W_rx x_t + b_r)                       Γ_r
        c̃ = tanh(W_ch (r ⊙ h_{t−1}) + W_cx x_t + b_c)              reset="before" (C3)
        c̃ = tanh(W_cx x_t + b_c + r ⊙ (W_ch h_{t−1} + b_ch))       reset="after" (torch, cuDNN, Keras' default)
        h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1}

    The update gate multiplies the candidate, as in C3; torch, Keras and ONNX write z = 1 − u.

    Parameters, with row blocks in the order u, r, c: W_x (3H, D), W_h (3H, H), b (3H,); with reset="after" also b_ch
    (H,). State: h (B, H).

    Args:
        input_size: D.
        hidden_size: H.
        reset: where r acts, "before" or "after" the product with W_ch. The two are different functions.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values, uniform in (−1/√H, 1/√H); None: new each time.

    Raises ArgumentError for another ``reset``.

    >>> cell = GRU(input_size=3, hidden_size=4, seed=0)
    >>> list(cell.by_gate())
    ['W_ux', 'W_rx', 'W_cx', 'W_uh', 'W_rh', 'W_ch', 'b_u', 'b_r', 'b_c']
    """

    label = "gru"
    packed = {"W_x": ("W_ux", "W_rx", "W_cx"), "W_h": ("W_uh", "W_rh", "W_ch"), "b": ("b_u", "b_r", "b_c")}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["before", "after"] = "before",
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if reset not in ("before", "after"):
            raise ArgumentError(f"gru: reset must be 'before' or 'after', got {reset!r}")
        self.reset = reset
        draw = uniform(hidden_size, dtype, seed)
        self.W_x = draw("W_x", 3 * hidden_size, input_size)
        self.W_h = draw("W_h", 3 * hidden_size, hidden_size)
        self.b = draw("b", 3 * hidden_size)
        self.b_ch = draw("b_ch", hidden_size) if reset == "after" else None

    @override
    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    @override
    def project(self, x: Tensor) -> Tensor:
        return x @ self.W_x.T + self.b

    @override
    def recur(self, wx: Tensor, state: Tensor) -> Tensor:
        h = state
        wx_u, wx_r, wx_c = split(wx, 3, axis=-1)
        if self.b_ch is None:
            W_uh, W_rh, W_ch = split(self.W_h, 3)
            u = sigmoid(h @ W_uh.T + wx_u).named("u")                   # u = σ(W_uh h_{t−1} + W_ux x_t + b_u)
            r = sigmoid(h @ W_rh.T + wx_r).named("r")                   # r = σ(W_rh h_{t−1} + W_rx x_t + b_r)
            c = tanh((r * h) @ W_ch.T + wx_c).named("c̃")                # c̃ = tanh(W_ch (r ⊙ h_{t−1}) + W_cx x_t + b_c)
        else:
            wh_u, wh_r, wh_c = split(h @ self.W_h.T, 3, axis=-1)
            u = sigmoid(wh_u + wx_u).named("u")                         # u and r as above
            r = sigmoid(wh_r + wx_r).named("r")
            c = tanh(wx_c + r * (wh_c + self.b_ch)).named("c̃")          # c̃ = tanh(W_cx x_t + b_c + r ⊙ (W_ch h_{t−1} + b_ch))
        return (u * c + (1 - u) * h).named("h")                         # h_t = u ⊙ c̃ + (1 − u) ⊙ h_{t−1}


class LSTMState(NamedTuple):
    """The state of an LSTM, in C1's order (c_t, h_t): cell state and hidden state, each (B, H). The gates are not it."""

    c: Tensor
    h: Tensor


class LSTM(Cell[LSTMState]):
    """The long short-term memory (C1, C3).

        i = σ(W_ih h_{t−1} + W_ix x_t + b_i)          input gate: Γ_u in C3
        f = σ(W_fh h_{t−1} + W_fx x_t + b_f)          forget gate: Γ_f
        g = tanh(W_gh h_{t−1} + W_gx x_t + b_g)       candidate: c̃
        o = σ(W_oh h_{t−1} + W_ox x_t + b_o)          output gate: Γ_o
        c_t = f ⊙ c_{t−1} + i ⊙ g
        h_t = o ⊙ tanh(c_t)                           output_tanh=False: h_t = o ⊙ c_t, as C3 prints it

    Parameters, with row blocks in the order i, f, g, o: W_x (4H, D), W_h (4H, H), b (4H,). State: LSTMState(c, h).

    Args:
        input_size: D.
        hidden_size: H.
        output_tanh: whether the output passes the cell state through tanh.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values, uniform in (−1/√H, 1/√H); None: new each time.

    >>> cell = LSTM(input_size=3, hidden_size=4, seed=0)
    >>> c, h = cell.step(Tensor(np.ones((2, 3))), cell.initial_state(batch=2))
    >>> c.shape, h.shape
    ((2, 4), (2, 4))
    """

    label = "lstm"
    state_names = ("c", "h")
    packed = {
        "W_x": ("W_ix", "W_fx", "W_gx", "W_ox"),
        "W_h": ("W_ih", "W_fh", "W_gh", "W_oh"),
        "b": ("b_i", "b_f", "b_g", "b_o"),
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_tanh: bool = True,
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.output_tanh = output_tanh
        draw = uniform(hidden_size, dtype, seed)
        self.W_x = draw("W_x", 4 * hidden_size, input_size)
        self.W_h = draw("W_h", 4 * hidden_size, hidden_size)
        self.b = draw("b", 4 * hidden_size)

    @override
    def initial_state(self, batch: int) -> LSTMState:
        return LSTMState(c=self._zeros(batch, "c"), h=self._zeros(batch, "h"))

    @override
    def project(self, x: Tensor) -> Tensor:
        return x @ self.W_x.T + self.b

    @override
    def recur(self, wx: Tensor, state: LSTMState) -> LSTMState:
        c, h = state
        a_i, a_f, a_g, a_o = split(h @ self.W_h.T + wx, 4, axis=-1)

        i = sigmoid(a_i).named("i")                           # i = σ(W_ih h_{t−1} + W_ix x_t + b_i)
        f = sigmoid(a_f).named("f")                           # f = σ(W_fh h_{t−1} + W_fx x_t + b_f)
        g = tanh(a_g).named("g")                              # g = tanh(W_gh h_{t−1} + W_gx x_t + b_g)
        o = sigmoid(a_o).named("o")                           # o = σ(W_oh h_{t−1} + W_ox x_t + b_o)

        c = (f * c + i * g).named("c")                        # c_t = f ⊙ c_{t−1} + i ⊙ g
        h = (o * (tanh(c) if self.output_tanh else c)).named("h")      # h_t = o ⊙ tanh(c_t)
        return LSTMState(c, h)


CELLS: dict[str, type[Cell[Any]]] = {cell.label: cell for cell in (RNN, GatedRNN, GRU, LSTM)}
"""The cells by name."""


def make_cell(name: str, input_size: int, hidden_size: int, **options: Any) -> Cell[Any]:
    """The cell of that name, with the options of its constructor.

    Raises ArgumentError for a name that does not exist.

    >>> make_cell("lstm", 3, 4, output_tanh=False, seed=0).label
    'lstm'
    >>> make_cell("lsmt", 3, 4)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: make_cell: expected one of 'rnn', 'gated_rnn', 'gru', 'lstm', got 'lsmt'
    """
    if name not in CELLS:
        raise ArgumentError(f"make_cell: expected one of {', '.join(map(repr, CELLS))}, got {name!r}")
    return CELLS[name](input_size, hidden_size, **options)
