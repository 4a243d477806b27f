"""Before anyone is timed: every contestant computes the same loss and the same gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.contestant import Contestant

TOLERANCE = {"float64": 1e-10, "float32": 2e-4}
"""Largest difference allowed, relative to the largest entry of the parameter's gradient."""


class Disagreement(AssertionError):
    """A contestant whose numbers are not those of the first one: its time would mean nothing."""


def require_agreement(contestants: Sequence[Contestant], dtype: str) -> dict[str, float]:
    """The largest relative difference of each contestant's gradients from those of the first one.

    Raises:
        Disagreement: a difference is above `TOLERANCE`, a gradient is missing, or has another shape or dtype.
    """
    tolerance = TOLERANCE[dtype]
    losses = [contestant.step() for contestant in contestants]
    expected = contestants[0].gradients()
    worst: dict[str, float] = {}
    for contestant, loss in zip(contestants, losses, strict=True):
        found = contestant.gradients()
        if found.keys() != expected.keys():
            raise Disagreement(f"{contestant.name}: gradients of {sorted(found)}, expected {sorted(expected)}")
        worst[contestant.name] = abs(loss - losses[0]) / abs(losses[0])
        for name, right in expected.items():
            got = found[name]
            if got.shape != right.shape or got.dtype != right.dtype:
                raise Disagreement(
                    f"{contestant.name}: gradient of {name} has shape {got.shape} and dtype {got.dtype}, "
                    f"expected {right.shape} and {right.dtype}"
                )
            largest = max(np.max(np.abs(right)), np.finfo(dtype).tiny)
            difference = float(np.max(np.abs(got - right)) / largest)
            worst[contestant.name] = max(worst[contestant.name], difference)
            if not difference <= tolerance:
                raise Disagreement(
                    f"{contestant.name}: gradient of {name} differs from {contestants[0].name}'s by {difference:.1e} of its "
                    f"largest entry; allowed for {dtype}: {tolerance:.0e}"
                )
    return worst
