"""How much work the tape does for each time step, counted and not timed: the same on every machine and every run.

Recorded nodes, and calls of Python and C functions, in one training step of the layers of `models`. A change that makes
the engine slower usually adds to one of them; the tests hold both below what they are known to be.
"""

from __future__ import annotations

import gc
import sys
from typing import Any, NamedTuple

from benchmarks.ours import Minigrad
from benchmarks.problem import Size, make_problem
from minigrad import walk
from minigrad.loops.pool import forget_pool


class Work(NamedTuple):
    """For each time step: nodes recorded, function calls of forward, of backward."""

    nodes: float
    forward_calls: float
    backward_calls: float


def work(cell: str, short: int = 10, long: int = 30, contestant: type[Minigrad] = Minigrad) -> Work:
    """The work of one more time step: what T = `long` takes above T = `short`, divided by their difference.

    The own layers are recorded as one operation, which the calls of one more step do not show at all; a user's cell, as
    `MinigradUserCell` runs it, is recorded step by step.

    >>> work("rnn").nodes
    4.0
    """
    small, large = counted(cell, short, contestant), counted(cell, long, contestant)
    return Work(*((more - less) / (long - short) for less, more in zip(small, large, strict=True)))


def counted(cell: str, T: int, kind: type[Minigrad] = Minigrad) -> tuple[int, int, int]:
    """Nodes, forward calls and backward calls of a whole training step."""
    forget_pool()
    contestant = kind(make_problem(cell, Size(T, B=2, D=3, H=4, N=5), "float64"))
    contestant.step()
    calls = Calls()
    loss = calls.of(contestant.forward)
    forward = calls.count
    nodes = len(walk(loss))
    calls.of(lambda: contestant.backward(loss))
    return nodes, forward, calls.count


class Calls:
    """Counts the functions that are called, Python's and C's."""

    count = 0

    def of(self, run: Any) -> Any:
        """The result of `run`; the calls are in `count`."""
        self.count = 0
        gc.disable()
        sys.setprofile(self.note)
        try:
            return run()
        finally:
            sys.setprofile(None)
            gc.enable()

    def note(self, frame: Any, event: str, argument: Any) -> None:
        """One event of the interpreter."""
        if event in ("call", "c_call"):
            self.count += 1
