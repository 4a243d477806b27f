"""MyGrad on the same primitive operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad
import numpy as np
from mygrad.nnet.activations import sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.composed import loss_of
from benchmarks.contestant import Taped
from benchmarks.problem import Arrays, Problem


class MyGradPrimitives:
    """MyGrad's names for the primitives."""

    tanh = staticmethod(mygrad.tanh)
    sigmoid = staticmethod(sigmoid)
    stack = staticmethod(mygrad.stack)
    cross_entropy = staticmethod(softmax_crossentropy)

    def gates(self, x: Any, count: int) -> Any:
        """Views by slicing; MyGrad has no split."""
        H = x.shape[-1] // count
        return [x[:, k * H : (k + 1) * H] for k in range(count)]

    def steps(self, x: Any) -> Any:
        """Views by indexing."""
        return [x[t] for t in range(len(x))]


class MyGrad(Taped):
    """The composed cells on MyGrad's tensors."""

    name = "MyGrad"

    def __init__(self, problem: Problem) -> None:
        T, B, D, H, _ = problem.size
        self.problem, self.ops = problem, MyGradPrimitives()
        self.params = {name: mygrad.tensor(value) for name, value in problem.params.items()}
        self.x, self.targets = mygrad.tensor(problem.xs.reshape(T * B, D), constant=True), problem.targets.ravel()
        self.zero = mygrad.tensor(np.zeros((B, H), problem.dtype), constant=True)

    def forward(self) -> Any:
        """The loss, recorded."""
        return loss_of(self.ops, self.problem, self.params, self.x, self.targets, self.zero)

    def backward(self, loss: Any) -> None:
        """Fresh gradients of every parameter."""
        for param in self.params.values():
            param.null_grad()
        loss.backward()

    def chain(self, operation: str, start: Any, length: int) -> Callable[[], object]:
        """The operation applied `length` times."""
        apply: Callable[[Any], Any] = {"tanh": self.ops.tanh, "add": lambda y: y + 1.0}[operation]
        y = mygrad.tensor(start)
        for _ in range(length):
            y = apply(y)
        return lambda: y.backward()

    def gradients(self) -> Arrays:
        """The gradients of the last step."""
        return {name: param.grad for name, param in self.params.items()}
