"""Truncated backpropagation through time, by convention: the loss of each step goes back a few steps only.

A gradient is a sum over lags: what the loss of a step gives at that step, one step earlier, and so on. With what is handed back
multiplied by ε, the lag j counts ε^j times; so a few values of ε tell the parts of all lags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.checks.change import Change
from minigrad.checks.run import Run
from minigrad.checks.trial import Trial
from minigrad.guard import Array
from minigrad.reporting import reporting

__all__ = ["parts_by_lag", "truncated_after"]

LONGEST = 6
"""At more steps the parts are not told apart any more."""


def truncated_after(trials: Sequence[Trial], rtol: float) -> str | None:
    """What is said if all gradients are those in which each step's loss goes back so many steps and no more; None if not."""
    longest = max(trial.steps for trial in trials)
    if not 2 < longest <= LONGEST:
        return None
    parts = [parts_by_lag(trial) for trial in trials]
    for lags in range(2, longest):
        if all(
            trial.fits(name, np.sum(by_lag[name][:lags], axis=0), rtol)
            for trial, by_lag in zip(trials, parts, strict=True)
            for name in trial.given
        ):
            return (
                f"the loss of each step goes back through {lags} steps and no more (truncated backpropagation): right for "
                f"sequences of up to {lags} steps"
            )
    return None


def parts_by_lag(trial: Trial) -> dict[str, list[Array]]:
    """Each gradient as the parts that add up to it: what the losses give at their own step, one step earlier, and so on."""
    chain = trial.chain
    nodes = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5][: max(trial.steps, 1)])
    runs = [Run(chain, [_scaled(trial, float(node))]) for node in nodes]
    inverse = np.linalg.inv(np.vander(nodes, increasing=True))
    with reporting(all="ignore"):
        values = {name: np.stack([run.gradient(chain.wanted[name]) for run in runs]) for name in trial.given}
    return {name: list(np.tensordot(inverse, stacked, axes=1)) for name, stacked in values.items()}


def _scaled(trial: Trial, by: float) -> Change:
    """What each step hands back to the step before, times a number."""

    def term(run: Run, line: Any, t: int, terms: Callable[[], Any], context: Any) -> Any:
        handed = terms()
        return handed if handed is None or not t else handed * by

    return Change(frozenset(("carried", site) for site in trial.chain.initial), term, "truncated", "")
