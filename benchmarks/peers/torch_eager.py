"""PyTorch's eager mode on the same primitive operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.composed import loss_of
from benchmarks.contestant import Taped
from benchmarks.problem import Arrays, Problem

torch.set_num_threads(1)


class TorchPrimitives:
    """torch's names for the primitives."""

    tanh = staticmethod(torch.tanh)
    sigmoid = staticmethod(torch.sigmoid)
    stack = staticmethod(torch.stack)
    cross_entropy = staticmethod(torch.nn.functional.cross_entropy)

    def gates(self, x: Any, count: int) -> Any:
        """Views."""
        return x.chunk(count, -1)

    def steps(self, x: Any) -> Any:
        """Views."""
        return x.unbind(0)


class TorchEager(Taped):
    """The composed cells on torch tensors."""

    name = "torch eager"
    numpy_memory = False
    hoist = True

    def __init__(self, problem: Problem) -> None:
        T, B, D, H, _ = problem.size
        self.problem, self.ops = problem, TorchPrimitives()
        self.params = {name: torch.tensor(value, requires_grad=True) for name, value in problem.params.items()}
        self.x = torch.tensor(problem.xs).reshape(T * B, D)
        self.targets = torch.tensor(problem.targets).reshape(-1)
        self.zero = torch.zeros((B, H), dtype=self.x.dtype)

    def forward(self) -> Any:
        """The loss, recorded."""
        return loss_of(self.ops, self.problem, self.params, self.x, self.targets, self.zero, self.hoist)

    def backward(self, loss: Any) -> None:
        """Fresh gradients of every parameter."""
        for param in self.params.values():
            param.grad = None
        loss.backward()

    def chain(self, operation: str, start: Any, length: int) -> Callable[[], object]:
        """The operation applied `length` times."""
        apply: Callable[[Any], Any] = {"tanh": self.ops.tanh, "add": lambda y: y + 1.0}[operation]
        y = torch.tensor(start, requires_grad=True)
        for _ in range(length):
            y = apply(y)
        return lambda: y.backward()

    def gradients(self) -> Arrays:
        """The gradients of the last step."""
        return {name: param.grad.numpy() for name, param in self.params.items()}


class TorchUserCell(TorchEager):
    """The same with the input projection in every step, as in a cell of the user's own."""

    name = "torch eager, user's cell"
    own_tape = False
    hoist = False
