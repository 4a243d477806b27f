"""Who is how fast: contestants take turns in one process, so that a slow minute of the machine is slow for everyone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

TURN = 0.02
"""Seconds that a turn lasts at least: long enough for a contestant's own caches to be warm for most of it."""


@dataclass(frozen=True)
class Timing:
    """Seconds of processor time for one call, and its ratio to the first contestant."""

    median: float
    minimum: float
    ratio: float
    """Median over the rounds of this contestant's time divided by the first one's in the same round."""
    ratio_of_minima: float
    rounds: int


def race(runs: Mapping[str, Callable[[], object]], seconds: float, least_rounds: int = 5) -> dict[str, Timing]:
    """Time the calls in `runs` in turns for about `seconds`; the first one is what the others are divided by.

    Each turn is as many calls as fit in `TURN` seconds, and counts with the mean of its calls. What was imported before
    is hidden from the garbage collector, which stays on: a contestant pays for its own objects only.

    >>> times = race({"one": lambda: sum(range(10_000)), "ten": lambda: sum(range(100_000))}, seconds=0.3)
    >>> times["one"].ratio, times["ten"].ratio > 2
    (1.0, True)
    """
    names = list(runs)
    counts = {name: calls_in_a_turn(runs[name]) for name in names}
    rounds: list[dict[str, float]] = []
    with imported_hidden():
        end = perf_counter() + seconds
        while len(rounds) < least_rounds or perf_counter() < end:
            rounds.append({name: turn(runs[name], counts[name]) for name in names})
    first = names[0]
    best = {name: min(times[name] for times in rounds) for name in names}
    return {
        name: Timing(
            median=median(times[name] for times in rounds),
            minimum=best[name],
            ratio=median(times[name] / times[first] for times in rounds),
            ratio_of_minima=best[name] / best[first],
            rounds=len(rounds),
        )
        for name in names
    }


@contextmanager
def imported_hidden() -> Iterator[None]:
    """While it lasts, the garbage collector goes through new objects alone; what was hidden from it before stays so."""
    gc.collect()
    hidden = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not hidden:
            gc.unfreeze()


def turn(run: Callable[[], object], count: int) -> float:
    """Mean seconds of `count` calls in a row: of the processor's time, which nobody else on the machine can take."""
    start = process_time()
    for _ in range(count):
        run()
    return (process_time() - start) / count


def calls_in_a_turn(run: Callable[[], object]) -> int:
    """How many calls fill a turn; the call is warm afterwards."""
    run()
    return max(1, round(TURN / max(turn(run, 1), 1e-7)))
