"""Which loops are compiled, and if one is not, why and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from typing_extensions import override

from minigrad.errors import ArgumentError, DTypeError
from minigrad.scope import state

__all__ = ["LoopReport", "advised", "explain_loop", "note"]

ADVICE = {
    "does not promise": "set pure_step = True on the class if a step depends on its arguments, parameters and constants alone",
    "overrides": "set pure_step = True on the class that overrides it, if its step is pure",
    "arrays of its initial state": "return Tensors from initial_state, as in Tensor(np.zeros((batch, H)))",
    "reads the values": "compute with tensors alone, as in where(h > 0, a, b) instead of if",
    "no form that a compiled loop": "compose it from element-wise operations, products, slices and sums, or do it elsewhere",
    "several dtypes": "give xs, state and parameters one floating-point dtype",
    "no_grad": "leave no_grad out of the step, and call the whole loop under it",
}
"""For words in a reason, what to do."""


class LoopReport(NamedTuple):
    """What became of one loop.

    ``steps`` is T; ``calls`` are NumPy's in the body, forward, if it was compiled, and ``reason`` says why it was not.
    ``native`` is empty if native code ran instead of those calls, and says why not if that was asked for (`minigrad.native`).
    """

    what: str
    steps: int
    calls: int | None
    reason: str | None
    native: str | None = None

    @property
    def is_compiled(self) -> bool:
        """Whether it was compiled."""
        return self.reason is None

    @override
    def __str__(self) -> str:
        if self.native == "":
            return f"{self.what}, T = {self.steps}: compiled to native code"
        if self.reason is None:
            why = f"; not native code, because {self.native}" if self.native else ""
            return f"{self.what}, T = {self.steps}: compiled, {self.calls} NumPy calls a step{why}"
        return f"{self.what}, T = {self.steps}: run step by step, because {advised(self.reason)}"


def advised(reason: str) -> str:
    """The reason why a step is no program, and what to do about it.

    >>> advised("'pad' has no form that a compiled loop can repeat")
    "'pad' has no form that a compiled loop can repeat; compose it from element-wise operations, products, slices and sums, \
or do it elsewhere"
    """
    advice = next((text for words, text in ADVICE.items() if words in reason), None)
    return f"{reason}; {advice}" if advice else reason


def note(what: str, steps: int, calls: int | None = None, reason: str | None = None, native: str | None = None) -> None:
    """Say what became of a loop, to whoever asked."""
    if state.loops is not None:
        state.loops.append(LoopReport(what, steps, calls, reason, native))


@contextmanager
def _listening() -> Iterator[list[LoopReport]]:
    found, state.loops = state.loops, []
    try:
        yield state.loops
    finally:
        state.loops = found


def explain_loop(function: Callable[..., Any], *args: Any, **options: Any) -> list[LoopReport]:
    """Call ``function(*args, **options)``, and say of every loop over time that it ran whether it was compiled, or why not.

    Args:
        function: `scan`, `minigrad.models.unroll`, a model, or anything else that runs loops.
        *args: its arguments.
        **options: its options.

    Returns:
        A report for each loop, in the order in which they were run; ``print`` one to read it.

    Raises:
        DTypeError: ``function`` cannot be called.
        ArgumentError: it ran no loop.

    >>> import numpy as np, minigrad as mg
    >>> xs = np.ones((5, 3))
    >>> print(*explain_loop(mg.scan, lambda h, x: (mg.tanh(h + x), h), np.zeros(3), xs))
    scan, T = 5: compiled, 2 NumPy calls a step
    >>> print(*explain_loop(mg.scan, lambda h, x: (h + x if h.sum().item() > 0 else x, h), np.zeros(3), xs))
    scan, T = 5: run step by step, because item() reads the values of a tensor, which differ from step to step; compute with
    tensors alone, as in where(h > 0, a, b) instead of if
    """
    if not callable(function):
        raise DTypeError(
            f"explain_loop: expected a function first, got {type(function).__name__}; for a cell write "
            "explain_loop(minigrad.models.unroll, cell, xs)"
        )
    with _listening() as reports:
        function(*args, **options)
    if not reports:
        raise ArgumentError("explain_loop: no loop over time was run")
    return reports
