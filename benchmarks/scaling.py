"""Whether time and memory grow in proportion to T: an LSTM from T = 10 to T = 100 000, garbage collector on."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import process_time

from benchmarks.contestant import Taped
from benchmarks.memory import tape
from benchmarks.problem import Size, make_problem

LENGTHS = (10, 100, 1000, 10_000, 100_000)


@dataclass(frozen=True)
class Cost:
    """One training step of length T: seconds and bytes of tape for each time step."""

    T: int
    seconds: float
    bytes: float


def scaling(kind: type[Taped], lengths: tuple[int, ...] = LENGTHS) -> list[Cost]:
    """The cost of each time step by length."""
    costs = []
    for T in lengths:
        size = Size(T, B=1, D=8, H=16, N=8)
        contestant = kind(make_problem("lstm", size, "float64"))
        contestant.step()
        repeats = max(3, 3000 // T)
        times = []
        for _ in range(repeats):
            start = process_time()
            contestant.step()
            times.append(process_time() - start)
        weight = tape(kind, size)
        costs.append(Cost(T, median(times) / T, 0.0 if weight is None else weight.kept))
    return costs
