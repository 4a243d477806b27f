"""Cells as users write them: whole states handed on, slices, constants, functions of every kind, two layers in one step."""

from typing import Any

import numpy as np
from cells_to_derive import D, H, Own
from minigrad.models import GRU, LSTM

import minigrad as mg
from minigrad import Tensor


def zeros(batch: int, H: int, parts: int) -> Any:
    """A state of several parts."""
    return tuple(Tensor(np.zeros((batch, H))) for _ in range(parts))


class OfTwo(Own):
    """A cell with two parts in its state."""

    def initial_state(self, batch: int) -> Any:
        return zeros(batch, self.H, 2)


class HelperReturnsTheState(OfTwo):
    """The state is what a helper returns, whole."""

    letters = {"W": "H D", "U": "H H", "V": "H H"}

    def updated(self, x: Any, fast: Any, slow: Any) -> Any:
        return np.tanh(x @ self.W.T + slow @ self.U.T), 0.9 * slow + 0.1 * fast @ self.V.T

    def step(self, x: Any, state: Any) -> Any:
        fast, slow = state
        state = self.updated(x, fast, slow)
        return state  # noqa: RET504


class Plain(OfTwo):
    """An LSTM whose variables are named anew: i = σ(i)."""

    letters = {"W_x": "4H D", "W_h": "4H H", "b": "4H"}

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        i, f, o, g = np.split(x @ self.W_x.T + h @ self.W_h.T + self.b, 4, axis=1)
        i, f, o, g = mg.sigmoid(i), mg.sigmoid(f), mg.sigmoid(o), np.tanh(g)
        c = f * c + i * g
        h = o * np.tanh(c)
        return h, c


class Above(Plain):
    """The step of the class above, and something more."""

    def step(self, x: Any, state: Any) -> Any:
        (h, c) = super().step(x, state)
        h = 0.5 * h + 0.5 * state[0]
        return h, c


class Untouched(Own):
    """One part of the state is handed on as it is, and is the output."""

    letters = {"W": "H D", "U": "H H"}

    def initial_state(self, batch: int) -> Any:
        h, m = zeros(batch, self.H, 2)
        return {"h": h, "m": m}

    def step(self, x: Any, state: Any) -> Any:
        h = np.tanh(x @ self.W.T + state["h"] @ self.U.T + state["m"])
        return {"h": h, "m": state["m"]}


class Exchanged(OfTwo):
    """The old state is part of the new one."""

    letters = {"W": "H D", "U": "H H"}

    def step(self, x: Any, state: Any) -> Any:
        first, second = state
        return np.tanh(x @ self.W.T + second @ self.U.T), first


class NegativeBounds(Own):
    """Gates cut from the end."""

    letters = {"Wx": "D 3H", "Wh": "H 3H", "b": "3H"}

    def step(self, x: Any, h: Any) -> Any:
        a = x @ self.Wx + h @ self.Wh + self.b
        z = mg.sigmoid(a[:, : -2 * self.H])
        r = mg.sigmoid(a[:, self.H : -self.H])
        n = np.tanh(a[:, -self.H :])
        return z * h + (1 - z) * r * n


class OneArray(Own):
    """h and c side by side in one array."""

    letters = {"W": "4H D", "U": "4H H", "b": "4H"}

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, 2 * self.H)))

    def step(self, x: Any, s: Any) -> Any:
        H = self.H
        h, c = s[:, :H], s[:, H:]
        z = x @ self.W.T + h @ self.U.T + self.b
        i, f, o, g = z[:, :H], z[:, H : 2 * H], z[:, 2 * H : 3 * H], z[:, 3 * H :]
        c = mg.sigmoid(f) * c + mg.sigmoid(i) * np.tanh(g)
        h = mg.sigmoid(o) * np.tanh(c)
        return np.concatenate([h, c], axis=1)


class Masked(Own):
    """Some weights are held at 0, some entries keep their state."""

    letters = {"W": "H D", "U": "H H"}

    def __init__(self, D: int = D, H: int = H) -> None:
        super().__init__(D, H)
        self.mask = np.tril(np.ones((H, H)))
        self.keep = np.arange(H) % 2 * 1.0

    def step(self, x: Any, h: Any) -> Any:
        new = np.tanh(x @ self.W.T + h @ (self.U * self.mask).T)
        return self.keep * new + (1 - self.keep) * h


class Reservoir(Own):
    """A fixed recurrent matrix, an array or a Tensor that wants no gradient."""

    letters = {"W": "H D"}

    def __init__(self, D: int = D, H: int = H) -> None:
        super().__init__(D, H)
        self.R = np.random.default_rng(3).normal(size=(H, H))
        self.S = Tensor(np.random.default_rng(4).normal(size=(H, H)))

    def step(self, x: Any, h: Any) -> Any:
        return np.tanh(x @ self.W.T + h @ self.R.T + 0.1 * h @ self.S.T)


class Antisymmetric(Own):
    """The recurrent matrix is made of a parameter and the identity."""

    letters = {"W": "H D", "U": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        A = self.U - self.U.T - 0.1 * np.eye(self.H)
        return h + 0.5 * np.tanh(h @ A.T + x @ self.W.T)


class Reparametrised(Own):
    """Matrices made of matrices, one of them without a name."""

    letters = {"W": "H D", "U": "H H", "V": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        A = np.tanh(self.U + 0.1)
        B = A - self.V.T
        return np.tanh(h @ (B * self.U).T + h @ self.U + x @ self.W.T)


class Signed(Own):
    """A constant without a name, and one that chooses."""

    letters = {"W": "H D", "U": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        here = np.arange(self.H) > 1
        return mg.where(here, np.tanh(x @ self.W.T + h @ self.U.T), h) * np.array([1.0, -1.0, 1.0, -1.0])


class Turned(Own):
    """Axes read backwards, every other entry, chosen entries, the last column and a row of an entry."""

    letters = {"W": "H D", "U": "H H", "V": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        even, odd = h[:, ::2], h[:, 1::2]
        last = h[:, -1]
        a = x[:, ::-1] @ self.W.T + h[:, ::-1] @ self.U.T + np.concatenate([odd, even], axis=1) @ self.V.T
        return np.tanh(a + h[:, -1:] * x[:, :1] + last[:, None] * h[:, [2, 0, 1, 2]])


class Shifted(Own):
    """Entries move on by two places each step: the gradient of the state is made of parts of itself."""

    letters = {"W": "H D"}

    def step(self, x: Any, h: Any) -> Any:
        return np.concatenate([np.tanh(x @ self.W.T)[:, :2] + h[:, 2:], 0.5 * h[:, :2]], axis=1) * h[:, :1]


class Differences(Own):
    """a − b and b − a, a quotient in a sum, and a column that is stretched."""

    letters = {"W": "H D", "U": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        a, b = x @ self.W.T, h @ self.U.T
        column = a.sum(axis=1, keepdims=True)
        return np.tanh((a - b) / (2 + a * a) + (b - a) * b / (2 + a * a) + np.broadcast_to(column, (len(x), self.H)) + column)


class Functions(Own):
    """softplus, log, sqrt, relu, abs, powers, maximum, where, a quotient."""

    letters = {"W": "H D", "U": "H H", "b": "H"}

    def step(self, x: Any, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T + self.b
        p = mg.softplus(a)
        q = np.log(p + 1.5)
        r = np.sqrt(p) / (1 + np.exp(-q))
        s = mg.relu(a) ** 2 + abs(h) ** 1.5
        m = np.maximum(r, s)
        return mg.where(a > 0, m, -m) / (1 + m)


class Stabilised(Own):
    """Exponential gates, with the largest exponent as part of the state."""

    letters = {"W_i": "H D", "W_f": "H D", "W_z": "H D", "W_o": "H D"}

    def initial_state(self, batch: int) -> Any:
        c, m, h = zeros(batch, self.H, 3)
        return {"c": c, "n": Tensor(np.ones((batch, self.H))), "m": m, "h": h}

    def step(self, x: Any, s: Any) -> Any:
        li, lf = x @ self.W_i.T, x @ self.W_f.T
        m = np.maximum(lf + s["m"], li)
        i, f = np.exp(li - m), np.exp(lf + s["m"] - m)
        z, o = np.tanh(x @ self.W_z.T), mg.sigmoid(x @ self.W_o.T)
        c, n = f * s["c"] + i * z, f * s["n"] + i
        return {"c": c, "n": n, "m": m, "h": o * c / n}


class LayerNorm(Own):
    """Layer normalisation in a helper."""

    letters = {"W": "H D", "U": "H H", "γ": "H", "β": "H"}

    def norm(self, a: Any) -> Any:
        mu = a.mean(axis=-1, keepdims=True)
        var = ((a - mu) ** 2).mean(axis=-1, keepdims=True)
        return self.γ * (a - mu) / np.sqrt(var + 1e-5) + self.β

    def step(self, x: Any, h: Any) -> Any:
        return np.tanh(self.norm(x @ self.W.T + h @ self.U.T))


class Spread(Own):
    """The same with NumPy's var and std."""

    letters = {"W": "H D", "U": "H H", "γ": "H"}

    def step(self, x: Any, h: Any) -> Any:
        a, b = x @ self.W.T, h @ self.U.T
        a = self.γ * (a - a.mean(1, keepdims=True)) * (a.var(1, keepdims=True) + 1e-3) ** -0.5
        return np.tanh(a + b / (np.std(b, axis=1, ddof=1, keepdims=True) + 1e-3))


class TwoLayers(OfTwo):
    """Two layers in one step."""

    letters = {"W1": "H D", "U1": "H H", "W2": "H H", "U2": "H H"}

    def step(self, x: Any, state: Any) -> Any:
        h1, h2 = state
        h1 = np.tanh(x @ self.W1.T + h1 @ self.U1.T)
        h2 = np.tanh(h1 @ self.W2.T + h2 @ self.U2.T)
        return h1, h2


class TwoCells(Own):
    """Two cells of models, one above the other."""

    def __init__(self, D: int = D, H: int = H) -> None:
        self.lower, self.upper, self.H = LSTM(D, H, seed=1), GRU(H, H, seed=2), H
        for name in ("lower", "upper"):
            for key, parameter in getattr(self, name).named_parameters():
                setattr(self, f"{name}_{key}", parameter)

    def initial_state(self, batch: int) -> Any:
        return {"lower": self.lower.initial_state(batch), "upper": self.upper.initial_state(batch)}

    def step(self, x: Any, state: Any) -> Any:
        lower = self.lower.step(x, state["lower"])
        return {"lower": lower, "upper": self.upper.step(lower.h, state["upper"])}


class Joined(Own):
    """Inputs side by side, twice."""

    letters = {"W": "H D+H", "V": "H 2H"}

    def step(self, x: Any, h: Any) -> Any:
        k = np.concatenate([x, h], axis=1) @ self.W.T
        return np.tanh(np.hstack([k, h]) @ self.V.T)


class FastWeights(Own):
    """A matrix is part of the state."""

    letters = {"W_k": "H D", "W_v": "H D", "W_q": "H D"}

    def initial_state(self, batch: int) -> Any:
        return {"A": Tensor(np.zeros((batch, self.H, self.H))), "h": Tensor(np.zeros((batch, self.H)))}

    def step(self, x: Any, s: Any) -> Any:
        k, v, q = np.tanh(x @ self.W_k.T), x @ self.W_v.T, x @ self.W_q.T
        A = 0.9 * s["A"] + v[:, :, None] * k[:, None, :]
        return {"A": A, "h": np.tanh((A @ q[:, :, None])[:, :, 0])}


class Letters(Own):
    """Products written as einsum, and running sums."""

    letters = {"W": "H D", "U": "H H"}

    def step(self, x: Any, h: Any) -> Any:
        a = np.einsum("bd,hd->bh", x, self.W) + np.einsum("bi,ji->bj", h, self.U)
        return np.tanh(np.cumsum(a, axis=1))


class Reshaped(Own):
    """Gates along an axis of their own."""

    letters = {"W": "4H D", "U": "4H H"}

    def step(self, x: Any, h: Any) -> Any:
        a = (x @ self.W.T + h @ self.U.T).reshape(len(x), 4, self.H)
        i, f, o, g = mg.sigmoid(a[:, 0]), mg.sigmoid(a[:, 1]), mg.sigmoid(a[:, 2]), np.tanh(a[:, 3])
        return np.stack([o * np.tanh(f * h + i * g), h], axis=0)[0]


class Normalised(Own):
    """Divided by its own length, clipped, and kept from below."""

    letters = {"W": "H D", "U": "H H", "a": "H"}

    def step(self, x: Any, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        a = a / np.sqrt((a * a).sum(axis=1, keepdims=True) + 1)
        return np.clip(mg.where(a > 0, a, self.a * a), -1, 1) + mg.minimum(h, 0.3) * 0.1


USERS = [
    made for made in list(globals().values()) if isinstance(made, type) and issubclass(made, Own) and made not in (Own, OfTwo)
]
