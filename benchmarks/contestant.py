"""What the harness asks of everyone it times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from benchmarks.problem import GATES, Arrays, Problem


class Contestant(ABC):
    """One way to do one training step of a `Problem`. Making it prepares parameters and inputs and is not timed."""

    name: ClassVar[str]
    cells: ClassVar[tuple[str, ...]] = tuple(GATES)
    numpy_memory: ClassVar[bool] = True
    """Whether its arrays are NumPy's, so that tracemalloc sees them."""
    own_tape: ClassVar[bool] = True
    """Whether nobody else in the race has the same tape: a framework's operations are weighed once."""

    @abstractmethod
    def __init__(self, problem: Problem) -> None: ...

    @abstractmethod
    def step(self) -> float:
        """One training step; returns the loss."""

    @abstractmethod
    def gradients(self) -> Arrays:
        """The gradients of the last step, named and packed as the problem's parameters."""


class Taped(Contestant):
    """A contestant whose forward pass leaves a record that the backward pass walks."""

    @abstractmethod
    def forward(self) -> Any:
        """The loss, recorded."""

    @abstractmethod
    def backward(self, loss: Any) -> None:
        """Fresh gradients of every parameter."""

    def step(self) -> float:
        """One training step; returns the loss."""
        loss = self.forward()
        self.backward(loss)
        return self.value(loss)

    def value(self, loss: Any) -> float:
        """The loss as a number."""
        return float(loss.item())

    def chain(self, operation: str, start: Any, length: int) -> Callable[[], object] | None:
        """`operation`, "tanh" or "add" (of 1.0), applied `length` times to a leaf with the value `start`.

        What is returned does the backward pass; None if there is no such operation.
        """
        return None
