"""minigrad on the same work: with its own layers, and with a cell as a user would write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from minigrad.models import GRU, LSTM, RNN, Head, unroll
from typing_extensions import override

from benchmarks.contestant import Taped
from benchmarks.problem import Arrays, Problem
from minigrad import Module, Parameter, Tensor, no_grad, sigmoid, split, tanh

CELLS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "gru_before": GRU, "lstm": LSTM}
OPTIONS = {"gru": {"reset": "after"}, "gru_before": {"reset": "before"}}
CELL_NAMES = {"W_hx": "W_x", "W_hh": "W_h", "b_h": "b"}


class UserCell(Module):
    """A cell outside of `models`: plain operators, nothing hoisted, the same primitives as in `composed`."""

    def __init__(self, hidden_size: int, params: Arrays) -> None:
        self.H = hidden_size
        self.W_x, self.W_h, self.b = (Parameter(params[name], name=name) for name in ("W_x", "W_h", "b"))
        if "b_ch" in params:
            self.b_ch = Parameter(params["b_ch"], name="b_ch")

    def initial_state(self, batch: int) -> Any:
        """Zeros."""
        return Tensor(np.zeros((batch, self.H), self.W_h.dtype))


class UserRNN(UserCell):
    """The simple RNN."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One step."""
        return tanh(x @ self.W_x.T + h @ self.W_h.T + self.b)


class UserGRU(UserCell):
    """The GRU with the reset after the product."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One step."""
        x_u, x_r, x_c = split(x @ self.W_x.T + self.b, 3, axis=-1)
        h_u, h_r, h_c = split(h @ self.W_h.T, 3, axis=-1)
        u, r = sigmoid(x_u + h_u), sigmoid(x_r + h_r)
        c = tanh(x_c + r * (h_c + self.b_ch))
        return h + u * (c - h)


class UserGRUBefore(UserCell):
    """The GRU with the reset before the product."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One step."""
        H = self.H
        x_u, x_r, x_c = split(x @ self.W_x.T + self.b, 3, axis=-1)
        h_u, h_r = split(h @ self.W_h[: 2 * H].T, 2, axis=-1)
        u, r = sigmoid(x_u + h_u), sigmoid(x_r + h_r)
        c = tanh(x_c + (r * h) @ self.W_h[2 * H :].T)
        return h + u * (c - h)


class UserLSTM(UserCell):
    """The LSTM."""

    @override
    def initial_state(self, batch: int) -> Any:
        zero = super().initial_state(batch)
        return zero, zero

    def step(self, x: Tensor, state: Any) -> Any:
        """One step."""
        c, h = state
        i, f, g, o = split(x @ self.W_x.T + h @ self.W_h.T + self.b, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return c, sigmoid(o) * tanh(c)


USER_CELLS: dict[str, Any] = {"rnn": UserRNN, "gru": UserGRU, "gru_before": UserGRUBefore, "lstm": UserLSTM}


class Minigrad(Taped):
    """The layers of `models`, input projection hoisted, every step recorded with its time and its names."""

    name = "minigrad"
    hoist = True

    def __init__(self, problem: Problem) -> None:
        _, _, _, H, N = problem.size
        self.xs, self.targets = problem.xs, problem.targets
        self.cell = self.make_cell(problem)
        self.head = Head(H, N, dtype=problem.dtype)
        self.head.load_state_dict({name: problem.params[name] for name in ("W_yh", "b_y")})
        self.named = {CELL_NAMES.get(name, name): parameter for name, parameter in self.parameters()}

    def make_cell(self, problem: Problem) -> Any:
        """The cell with the problem's parameters."""
        cell = CELLS[problem.cell](
            problem.size.D, problem.size.H, dtype=problem.dtype, **OPTIONS.get(problem.cell, {})
        )
        names = [name for name, _ in cell.named_parameters()]
        cell.load_state_dict({name: problem.params[CELL_NAMES.get(name, name)] for name in names})
        return cell

    def parameters(self) -> list[tuple[str, Parameter]]:
        """Every parameter with its name."""
        return [*self.cell.named_parameters(), *self.head.named_parameters()]

    @override
    def forward(self) -> Tensor:
        hs, _ = unroll(self.cell, self.xs, hoist=self.hoist)
        return self.head.loss(hs, self.targets)

    @override
    def backward(self, loss: Tensor) -> None:
        for parameter in self.named.values():
            parameter.grad = None
        loss.backward()

    @override
    def chain(self, operation: str, start: Any, length: int) -> Callable[[], object]:
        apply: Callable[[Tensor], Tensor] = {"tanh": tanh, "add": lambda y: y + 1.0}[operation]
        y = Tensor(start, requires_grad=True)
        for _ in range(length):
            y = apply(y)
        return y.backward

    def infer(self) -> float:
        """The loss alone, with no graph."""
        with no_grad():
            return self.value(self.forward())

    @override
    def gradients(self) -> Arrays:
        return {name: parameter.grad for name, parameter in self.named.items() if parameter.grad is not None}


class MinigradUserCell(Minigrad):
    """A user's own cell that promises a pure step: one is traced, and the loop is compiled."""

    name = "minigrad, user's cell"
    own_tape = False
    hoist = False

    @override
    def make_cell(self, problem: Problem) -> Any:
        kind = USER_CELLS[problem.cell]
        return type(kind.__name__, (kind,), {"pure_step": True})(problem.size.H, problem.params)


class MinigradStepByStep(MinigradUserCell):
    """The same cell without the promise: every step is recorded by itself."""

    name = "minigrad, step by step"

    @override
    def make_cell(self, problem: Problem) -> Any:
        return USER_CELLS[problem.cell](problem.size.H, problem.params)
