"""The simple RNN: one matrix for the state, one for the input, and φ."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import Tensor, concatenate, relu, tanh
from minigrad.flags import switch
from minigrad.module import Parameter

from ..checks import Seed, one_of
from ..initialisers import Initialiser
from ..recurrent import Cell, affine

__all__ = ["RNN"]

NONLINEARITIES = {"tanh": tanh, "relu": relu}


class RNN(Cell[Tensor]):
    """The simple RNN (C1 without b_h; C4 and C5 with it).

        h_t = φ(W_hh h_{t−1} + W_hx x_t + b_h)             form="split"
        h_t = φ(W_h [h_{t−1}, x_t] + b_h)                  form="concatenated", W_h = [W_hh, W_hx] side by side

    The two forms are the same function (C4); they differ in what the leaves are, and in the picture.

    Parameters: W_hx (H, D) and W_hh (H, H), or W_h (H, H + D); b_h (H,) unless bias=False. State: h (B, H).

    Args:
        input_size: D.
        hidden_size: H.
        nonlinearity: φ, ``"tanh"`` or ``"relu"``.
        bias: whether there is a b_h.
        form: ``"split"`` or ``"concatenated"``.
        init: the rule for the initial values, see `models.initialisers`; ``"identity"`` is meant for relu.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values; None: new each time.

    Raises ArgumentError for a size, nonlinearity, form or init that does not exist.

    >>> cell = RNN(input_size=3, hidden_size=4, seed=0)
    >>> h = cell.step(Tensor(np.ones((2, 3))), cell.initial_state(batch=2))
    >>> h.shape, h.name
    ((2, 4), 'h')
    """

    label = "rnn"
    pure_step = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        form: Literal["split", "concatenated"] = "split",
        init: str = "uniform",
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = one_of("rnn: nonlinearity", nonlinearity, NONLINEARITIES)
        self.form = one_of("rnn: form", form, ("split", "concatenated"))
        make = Initialiser(init, hidden_size, dtype, seed)
        W_hx = make.input("W_hx", hidden_size, input_size)
        W_hh = make.recurrent("W_hh", hidden_size, hidden_size)
        if form == "split":
            self.W_hx, self.W_hh = W_hx, W_hh
        else:
            self.W_h = Parameter(np.concatenate([W_hh.numpy(), W_hx.numpy()], axis=1), name="W_h")
            self.blocks = {"W_h": {"W_hh": np.s_[:, :hidden_size], "W_hx": np.s_[:, hidden_size:]}}
        self.b_h = make.bias("b_h", hidden_size) if switch(bias, "rnn: bias") else None

    @override
    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    @override
    def project(self, x: Tensor) -> Tensor:
        return x if self.form == "concatenated" else affine(x, self.W_hx, self.b_h)

    @override
    def recur(self, wx: Tensor, state: Tensor) -> Tensor:
        h, φ = state, NONLINEARITIES[self.nonlinearity]
        if self.form == "concatenated":
            hx = concatenate([h, wx], axis=-1)                           # [h_{t−1}, x_t], the state first
            return φ(affine(hx, self.W_h, self.b_h)).named("h")          # h_t = φ(W_h [h_{t−1}, x_t] + b_h)
        return φ(h @ self.W_hh.T + wx).named("h")                        # h_t = φ(W_hh h_{t−1} + W_hx x_t + b_h)
