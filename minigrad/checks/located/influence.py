"""Which gradients depend on what stands in a line: it is changed a little, and they are looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.checks.equality import equal
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.places import Place
from minigrad.checks.located.running import gradients_of
from minigrad.checks.located.trying import switchable
from minigrad.checks.located.written import Written
from minigrad.checks.trial import Trial

__all__ = ["influence"]

NUDGE = "__nudge__"


def influence(functions: list[Written], places: list[Place], trial: Trial) -> dict[Any, list[set[str]]]:
    """Which gradients depend on each array in a statement, at its first visit and at the others."""
    outlets = [place for place in places if place.node is place.outlet]
    edits = [Edit(p.function, p.statement, [(p.node, f"{NUDGE}({p.function.segment(p.node)})")], 0.0) for p in outlets]
    found: dict[Any, list[set[str]]] = {}
    with switchable(functions, edits) as switch, _nudging(functions) as nudge:
        before = gradients_of(trial) or {}
        for number, place in enumerate(outlets):
            switch(number)
            found[place.outlet] = []
            for visit in (1, 0):
                visits = nudge(visit)
                after = gradients_of(trial)
                found[place.outlet].append(
                    {n for n, g in before.items() if after is None or n not in after or not equal(after[n], g, 1e-10)}
                )
                if visits() < 2:
                    break
    return found


@contextlib.contextmanager
def _nudging(functions: list[Written]) -> Iterator[Callable[[int], Callable[[], int]]]:
    """While it lasts, NUDGE changes its argument a little, the first time (1) or all others (0), and tells how often it ran."""
    count, which = 0, 1

    def nudged(value: Any) -> Any:
        nonlocal count
        count += 1
        if (count == 1) != (which == 1):
            return value
        return value * 1.001 + 0.001 * (np.abs(value).max(initial=0.0) or 1.0)  # a step of weights remains a small one

    def nudge(visit: int) -> Callable[[], int]:
        nonlocal count, which
        count, which = 0, visit
        return lambda: count

    spaces = [function.function.__globals__ for function in functions]
    try:
        for space in spaces:
            space[NUDGE] = nudged
        yield nudge
    finally:
        for space in spaces:
            space.pop(NUDGE, None)
