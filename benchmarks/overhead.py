"""What one recorded element-wise operation costs at size 1, where nothing but the tape costs anything.

The unit is NumPy's own call, np.tanh of an array with one entry, so that machines can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.contestant import Taped
from benchmarks.problem import Array, Size, make_problem
from benchmarks.timing import imported_hidden

PLAIN: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "add": lambda y: y + 1.0}
CHAIN = 1000
ROUNDS = 15


@dataclass(frozen=True)
class Overhead:
    """Seconds for one operation in a chain of them."""

    unit: float
    """np.tanh of one entry."""
    forward: float
    """What recording takes above NumPy's own call of the operation."""
    backward: float
    """The operation's share of the backward pass, its derivative included."""


def overhead(kind: type[Taped], operation: str) -> Overhead | None:
    """The cost of recording "tanh" or "add"; None for contestants that have no such operation (compiled layers)."""
    contestant = kind(make_problem("rnn", Size(1, 1, 1, 1, 1), "float64"))
    start = np.full(1, 0.5)
    if contestant.chain(operation, start, 1) is None:
        return None
    with imported_hidden():
        plain, forward, backward = zip(*measured(contestant, operation, start), strict=True)
        (unit, _, _) = zip(*measured(contestant, "tanh", start), strict=True)
    return Overhead(min(unit), min(forward) - min(plain), min(backward))


def measured(contestant: Taped, operation: str, start: Array) -> Iterator[tuple[float, ...]]:
    """Seconds for one operation in each round: NumPy's, forward, backward."""
    apply = PLAIN[operation]
    for _ in range(ROUNDS):
        times = [perf_counter()]
        y = start
        for _ in range(CHAIN):
            y = apply(y)
        times.append(perf_counter())
        backward = contestant.chain(operation, start, CHAIN)
        times.append(perf_counter())
        if backward is not None:
            backward()
        times.append(perf_counter())
        yield tuple((after - before) / CHAIN for before, after in pairwise(times))
