"""What charts over time are made of: how large the gradient is at each step, in each model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.bptt import GradientByTime, gradient_by_time
from minigrad.errors import ArgumentError, DTypeError
from minigrad.tensor import Tensor

__all__ = ["Series", "table_of", "tables_of"]

STATES = ("c", "h", "s")
"""Names that states have; where a model has others, all named values of its steps are shown."""


@dataclass(frozen=True, slots=True)
class Series:
    """One model over time.

    Attributes:
        name: what the model is called.
        times: the steps, ascending.
        states: for each state ‖∂L/∂(state at t)‖ at each of the times.
        contributions: for each parameter, the norm of what each of the steps contributes to its gradient.
    """

    name: str
    times: list[int]
    states: dict[str, list[float]]
    contributions: dict[str, list[float]]

    @property
    def total(self) -> list[float]:
        """‖∂L/∂(all states at t)‖ at each of the times."""
        columns = [np.nan_to_num(np.array(values), nan=0.0) for values in self.states.values()]
        missing = [all(np.isnan(values[k]) for values in self.states.values()) for k in range(len(self.times))]
        total = np.sqrt(np.sum(np.square(columns), axis=0)) if columns else np.zeros(len(self.times))
        return [float("nan") if gone else float(value) for value, gone in zip(total, missing, strict=True)]


def table_of(name: str, given: Any) -> Series:
    """The series of a loss, or of a table of `minigrad.bptt.gradient_by_time`."""
    if isinstance(given, Tensor):
        given = gradient_by_time(given)
    if not isinstance(given, GradientByTime):
        kind = type(given).__name__
        raise DTypeError(f"charts: expected a loss or a table of gradient_by_time for {name!r}, got {kind}")
    values = {label: column for label, column in given.values.items() if label.split("/")[-1] in STATES} or dict(given.values)
    if not len(given.times) or not values:
        raise ArgumentError(
            f"charts: {name!r} has no named values in time steps; unroll it, or mark the steps with time_step(t) and name the "
            "states with .named()"
        )
    return Series(
        name,
        [int(t) for t in given.times],
        {label: [float(v) for v in column] for label, column in values.items()},
        {label: [float(v) for v in column] for label, column in given.contributions.items()},
    )


def tables_of(models: Any) -> list[Series]:
    """The series of several models, given by name; or of one, which then has no name."""
    if not isinstance(models, Mapping):
        return [table_of("", models)]
    if not models:
        raise ArgumentError("charts: expected at least one model")
    return [table_of(str(name), given) for name, given in models.items()]
