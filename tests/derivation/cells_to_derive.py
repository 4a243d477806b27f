"""Cells whose backward passes are derived: those of models with every switch, and cells of a user's own."""

from itertools import product
from typing import Any

import numpy as np
from minigrad.models import GRU, LSTM, RNN, GatedRNN

import minigrad as mg
from minigrad import Tensor

D, H = 3, 4


def of_models(D: int = D, H: int = H) -> dict[str, Any]:
    """Every cell with every switch."""
    cells: dict[str, Any] = {"gated rnn": GatedRNN(D, H, seed=1), "gated rnn with biases": GatedRNN(D, H, bias=True, seed=1)}
    for φ, form, bias in product(("tanh", "relu"), ("split", "concatenated"), (True, False)):
        cells[f"rnn {φ} {form} {bias}"] = RNN(D, H, nonlinearity=φ, form=form, bias=bias, seed=1)
    for reset, u, r, bias in product(("before", "after"), (True, False), (True, False), (True, False)):
        cells[f"gru {reset} {u} {r} {bias}"] = GRU(D, H, reset=reset, update_gate=u, reset_gate=r, bias=bias, seed=1)
    for tanh, peepholes, coupled, bias in product((True, False), repeat=4):
        cell = LSTM(D, H, output_tanh=tanh, peepholes=peepholes, coupled=coupled, bias=bias, seed=1)
        cells[f"lstm {tanh} {peepholes} {coupled} {bias}"] = cell
    return cells


class Own:
    """What the cells here share: parameters drawn at random, and a state of zeros."""

    H: int

    def __init__(self, D: int = D, H: int = H) -> None:
        rng = np.random.default_rng(0)
        size = {"D": D, "H": H, "1": 1, "2H": 2 * H, "3H": 3 * H, "4H": 4 * H, "D+H": D + H}
        for name, letters in type(self).letters.items():
            shape = tuple(size[letter] for letter in letters.split())
            setattr(self, name, Tensor(rng.normal(size=shape) / 2, requires_grad=True))
        self.H = H

    letters: dict[str, str] = {}

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, self.H)))


class StackedRows(Own):
    """Gates stacked side by side, x @ W, sliced by hand."""

    letters = {"Wx": "D 3H", "Wh": "H 3H", "b": "3H"}

    def step(self, x: Any, h: Any) -> Any:
        a, H = x @ self.Wx + h @ self.Wh + self.b, self.H
        z, r = mg.sigmoid(a[:, :H]).named("z"), mg.sigmoid(a[:, H : 2 * H]).named("r")
        return (z * h + (1 - z) * r * mg.tanh(a[:, 2 * H :]).named("n")).named("h")


class JointLSTM(Own):
    """An LSTM in one matrix of [h, x], written with NumPy's functions."""

    letters = {"W": "4H D+H", "b": "4H"}

    def initial_state(self, batch: int) -> Any:
        return {"c": Tensor(np.zeros((batch, self.H))), "h": Tensor(np.zeros((batch, self.H)))}

    def step(self, x: Any, state: Any) -> Any:
        i, f, o, g = np.split(np.concatenate([state["h"], x], axis=1) @ self.W.T + self.b, 4, axis=1)
        c = state["c"] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        return {"c": c, "h": np.tanh(c) / (1 + np.exp(-o))}


class Minimal(Own):
    """Nothing has a name."""

    letters = {"U": "D H", "V": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        return mg.tanh(x @ self.U + h @ self.V)


class Multiplicative(Own):
    """The input chooses the recurrent matrix, by a product of two projections."""

    letters = {"W_m": "H D", "U_m": "H H", "W": "H H", "V": "H D", "b": "H"}

    def step(self, x: Any, h: Any) -> Any:
        m = ((x @ self.W_m.T) * (h @ self.U_m.T)).named("m")
        return mg.tanh(m @ self.W.T + x @ self.V.T + self.b).named("h")


class MinimalGated(Own):
    """One gate for everything; its result goes through the matrix and around it."""

    letters = {"W_f": "H D", "U_f": "H H", "b_f": "H", "W_h": "H D", "U_h": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        f = mg.sigmoid(x @ self.W_f.T + h @ self.U_f.T + self.b_f).named("f")
        candidate = mg.tanh(x @ self.W_h.T + (f * h) @ self.U_h.T).named("ĥ")
        return ((1 - f) * h + f * candidate).named("h")


class Normalised(Own):
    """The argument of tanh has mean 0 and variance 1 for each example, and a scale and a shift."""

    letters = {"W": "H D", "U": "H H", "γ": "H", "β": "H"}

    def step(self, x: Any, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        a = a - a.mean(axis=1, keepdims=True)
        a = a / np.sqrt((a * a).mean(axis=1, keepdims=True) + 1e-3)
        return mg.tanh(self.γ * a + self.β).named("h")


class Kinked(Own):
    """Functions with kinks, and a parameter that all entries share."""

    letters = {"W": "H D", "U": "H H", "α": "1"}

    def step(self, x: Any, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        return (mg.maximum(a, 0.1 * a) - self.α * abs(h) + mg.where(a > 0, h, 0.5 * a)).named("h")


class TwoStates(Own):
    """A fast and a slow state that read each other's old value; the slow one is the output, and hands nothing on to itself."""

    letters = {"W": "H D", "U": "H H", "V": "H H"}

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, self.H))), Tensor(np.zeros((batch, self.H)))

    def step(self, x: Any, state: Any) -> Any:
        fast, slow = state
        return mg.tanh(x @ self.W.T + slow @ self.U.T) + 0.5 * slow, mg.sigmoid(fast @ self.V.T) - 0.25 * fast


class Attentive(Own):
    """The new state is a mixture of the old one and the candidate, weighted by a softmax over the entries."""

    letters = {"W": "H D", "U": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        s = mg.softmax(x @ self.W.T + h @ self.U.T, axis=-1).named("s")
        return (s * h + (1 - s) * mg.exp(-s * s)).named("h")


class CutTwice(Own):
    """Gates cut out of halves, and the halves out of the stack."""

    letters = {"W": "4H D", "U": "4H H"}

    def step(self, x: Any, h: Any) -> Any:
        H = self.H
        a = x @ self.W.T + h @ self.U.T
        gates, candidates = a[:, : 2 * H], a[:, 2 * H :]
        f, i = mg.sigmoid(gates[:, :H]).named("f"), mg.sigmoid(gates[:, H:]).named("i")
        return (f * h + i * mg.tanh(candidates[:, H:]) * candidates[:, :H]).named("h")


OWN = (CutTwice, StackedRows, JointLSTM, Minimal, Multiplicative, MinimalGated, Normalised, Kinked, TwoStates, Attentive)
