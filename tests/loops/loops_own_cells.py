"""Cells of a user's own whose class promises that their step is pure: most can be compiled, two cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from loops_cases import D, H

from minigrad import Module, Parameter, Tensor, concatenate, relu, sigmoid, tanh


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape) / 2


class Own:
    """The simple RNN, without any base class and without a bias."""

    pure_step = True
    state_names = ("h",)

    def __init__(self) -> None:
        self.W, self.U, self.b = (Tensor(weights(*s), requires_grad=True) for s in ((H, D), (H, H), (H,)))

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Tensor)]

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.full((batch, H), 0.1))

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h @ self.U.T)


class OwnModule(Module):
    """The same with a bias, as a Module."""

    pure_step = True
    state_names: tuple[str, ...] = ("h",)
    initial_state = Own.initial_state

    def __init__(self) -> None:
        self.W, self.U, self.b = (Parameter(weights(*s)) for s in ((4 * H, D), (4 * H, H), (4 * H,)))

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h @ self.U.T + self.b)[:, :H]


class GatesBySlicing(OwnModule):
    """An LSTM with plain operators, whose gates are slices; the state is a plain tuple."""

    pure_step = True
    state_names = ("c", "h")

    def initial_state(self, batch: int) -> Any:
        zero = Tensor(np.zeros((batch, H)))
        return zero, zero

    def step(self, x: Tensor, state: Any) -> Any:
        c, h = state
        a = x @ self.W.T + h @ self.U.T + self.b
        i, f, g, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), tanh(a[:, 2 * H : 3 * H]), sigmoid(a[:, 3 * H :])
        c = f * c + i * g
        return c, o * tanh(c)


class OneGate(OwnModule):
    """Slices that leave parts of a product unused, and a weight that is cut at every step."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W[:H].T + h @ self.U[H : 2 * H].T + self.b[:H]
        u = sigmoid(a)
        return u * tanh(x @ self.W[2 * H : 3 * H].T) + (1 - u) * h


class UnusedParts(OwnModule):
    """Of a product only two parts are used, and not those that lie side by side."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T + self.b
        return sigmoid(a[:, :H]) * tanh(a[:, 2 * H : 3 * H])


class WholeAndParts(Own):
    """A sum is used as a whole and in parts."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        return sigmoid(a) * concatenate([tanh(a[:, :2]), -a[:, 2:]], axis=1)


class OnePartTwice(Own):
    """Of a sum one half is used twice, the other not at all."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        return tanh(concatenate([sigmoid(a[:, :2]), -a[:, :2]], axis=1))


class Residual(OwnModule):
    """x is used as it is, and so is the old state."""

    pure_step = True

    def __init__(self) -> None:
        self.U, self.b = Parameter(weights(H, D + H)), Parameter(weights(H))

    def step(self, x: Tensor, h: Any) -> Any:
        return h + tanh(concatenate([x, h], axis=1) @ self.U.T - self.b)


class UnrecordedInput(Own):
    """What is computed of x is not recorded when xs needs no gradient; the product with W is."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh((x * 2.0) @ self.W.T + h @ self.U.T + self.b)


class Detached(Own):
    """Part of the step is cut off from its history, and differs from step to step all the same."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h.detach() @ self.U.T + self.b) + 0.0 * h


class CutOffAndNamed(Own):
    """The same under a name."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(h @ self.U.T + (x * 2.0).named("y") @ self.W.T - self.b)


class Scaled(Own):
    """Numbers stand in the step."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return 0.5 * h + 0.5 * tanh(x @ self.W.T / 2.0 + h @ self.U.T) - 0.1


class Leaky(Own):
    """A number times the old state, and a number minus it."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return 0.5 * h + (1.0 - h) * tanh(x @ self.W.T + h @ self.U.T)


class OutputPassedOn(Own):
    """The memory's new value is the old output: a part of the state that no operation computes."""

    pure_step = True
    state_names = ("c", "h")

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, H))), Tensor(np.ones((batch, H)))

    def step(self, x: Tensor, state: Any) -> Any:
        c, h = state
        return h, tanh(x @ self.W.T + h @ self.U.T + c * self.b)


class Twice(Own):
    """Both parts of the state are the same tensor."""

    pure_step = True
    state_names = ("c", "h")
    initial_state = OutputPassedOn.initial_state

    def step(self, x: Tensor, state: Any) -> Any:
        h = tanh(x @ self.W.T + state[1] @ self.U.T + state[0] * self.b)
        return h, h


class NoState(Own):
    """A step that does not look at the state."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + self.b)


class BiasOfNoModule(Own):
    """A bias that no operation keeps, of a cell that does not say what its parameters are."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h @ self.U.T + self.b)


class NotTransposed(Own):
    """Matrices that stand on the right as they are."""

    pure_step = True

    def __init__(self) -> None:
        self.W, self.U = (Tensor(weights(*s), requires_grad=True) for s in ((D, H), (H, H)))

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W + h @ self.U)


class ByMaxima(Own):
    """A function with a kink."""

    pure_step = True

    def step(self, x: Tensor, h: Any) -> Any:
        return relu(x @ self.W.T + h @ self.U.T + self.b)


COMPILED = (
    Own, WholeAndParts, Leaky, GatesBySlicing, OneGate, Residual, CutOffAndNamed, Scaled, OutputPassedOn, NoState,
    BiasOfNoModule, ByMaxima, OnePartTwice, UnrecordedInput, UnusedParts, NotTransposed, Twice,
)  # fmt: skip
STEP_BY_STEP = (Detached,)

LOOKALIKES: dict[str, tuple[Callable[..., Tensor], ...]] = {
    "a transpose": (lambda x, h, U: tanh(x + h @ U.T), lambda x, h, U: tanh(x + h @ U)),
    "a number": (lambda x, h, U: tanh(x @ U.T) + 0.5 * h, lambda x, h, U: tanh(x @ U.T) + 0.25 * h),
    "a number that something is taken from": (
        lambda x, h, U: tanh(x @ U.T) * (1.0 - h),
        lambda x, h, U: tanh(x @ U.T) * (2.0 - h),
    ),
    "the order of a difference": (lambda x, h, U: tanh(x @ U.T) - h, lambda x, h, U: h - tanh(x @ U.T)),
    "a curve": (lambda x, h, U: tanh(x + h @ U.T), lambda x, h, U: sigmoid(x + h @ U.T)),
    "parts": (
        lambda x, h, U: tanh(concatenate([(h @ U.T)[:, :2], x[:, 2:]], axis=1)),
        lambda x, h, U: tanh(concatenate([(h @ U.T)[:, 2:], x[:, 2:]], axis=1)),
    ),
    "the order in which parts are joined": (
        lambda x, h, U: tanh(concatenate([(h @ U.T)[:, :2], x[:, :2]], axis=1)),
        lambda x, h, U: tanh(concatenate([x[:, :2], (h @ U.T)[:, :2]], axis=1)),
    ),
}
"""Pairs of steps x, h, U ↦ h′ that differ in one thing."""
