"""HIPS autograd on the same primitive operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.core import make_vjp, vspace

from benchmarks.composed import loss_of
from benchmarks.contestant import Taped
from benchmarks.problem import Arrays, Problem


class AutogradPrimitives:
    """NumPy's functions as autograd wraps them; what it lacks is composed."""

    tanh = staticmethod(anp.tanh)
    stack = staticmethod(anp.stack)

    def sigmoid(self, x: Any) -> Any:
        """½ tanh(½x) + ½, stable."""
        return 0.5 * anp.tanh(0.5 * x) + 0.5

    def gates(self, x: Any, count: int) -> Any:
        """One split: its gradient is one concatenation."""
        return anp.split(x, count, -1)

    def steps(self, x: Any) -> Any:
        """One split for all T."""
        return [step.reshape(step.shape[1:]) for step in anp.split(x, len(x))]

    def cross_entropy(self, logits: Any, targets: Any) -> Any:
        """log Σ exp − the target's logit."""
        shifted = logits - anp.max(logits, axis=1, keepdims=True)
        log_sums = anp.log(anp.sum(anp.exp(shifted), axis=1))
        return anp.mean(log_sums - shifted[np.arange(len(targets)), targets])


class HipsAutograd(Taped):
    """The composed cells on autograd's boxes."""

    name = "HIPS autograd"

    def __init__(self, problem: Problem) -> None:
        T, B, D, H, _ = problem.size
        self.problem, self.ops = problem, AutogradPrimitives()
        self.x, self.targets = problem.xs.reshape(T * B, D), problem.targets.ravel()
        self.zero = np.zeros((B, H), problem.dtype)
        self.grads: Arrays = {}

    def forward(self) -> Any:
        """The loss, recorded."""
        self.vjp, loss = make_vjp(self.loss, self.problem.params)
        return loss

    def loss(self, params: Any) -> Any:
        """The loss as a function of the parameters."""
        return loss_of(self.ops, self.problem, params, self.x, self.targets, self.zero)

    def backward(self, loss: Any) -> None:
        """Fresh gradients of every parameter."""
        vjp, self.vjp = self.vjp, None
        self.grads = vjp(vspace(loss).ones())

    def chain(self, operation: str, start: Any, length: int) -> Callable[[], object]:
        """The operation applied `length` times."""
        apply: Callable[[Any], Any] = {"tanh": self.ops.tanh, "add": lambda y: y + 1.0}[operation]

        def repeated(y: Any) -> Any:
            for _ in range(length):
                y = apply(y)
            return y

        vjp, y = make_vjp(repeated, start)
        return lambda: vjp(vspace(y).ones())

    def gradients(self) -> Arrays:
        """The gradients of the last step."""
        return dict(self.grads)
