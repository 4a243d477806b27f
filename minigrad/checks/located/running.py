"""The user's backward pass, run once more as it is now: what it gives, or that it fails."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from minigrad.checks.answer import answered
from minigrad.checks.conventions import common_part
from minigrad.checks.tracing import in_double_precision, replaced
from minigrad.checks.trial import Trial, fitted
from minigrad.guard import Array
from minigrad.reporting import reporting

__all__ = ["FAILURES", "gradients_of", "quietly"]

FAILURES = (
    ValueError, TypeError, LookupError, AttributeError, NameError, SyntaxError, ArithmeticError, RecursionError, AssertionError,
)  # fmt: skip
"""What the user's code may raise where it is run otherwise than it was meant to be."""


def gradients_of(trial: Trial) -> dict[str, Array] | None:
    """The gradients where the backward pass runs as it is now; None if it fails."""
    try:
        answer = answered(trial.adapter, trial.plan, trial.problem, trial.problem.rate)
    except Exception:
        return None
    found = {}
    for name in trial.given:
        g = answer.gradients.get(name)
        shaped = None if g is None else fitted(g / trial.rate if name in answer.moved else g, trial.chain.right[name].shape)
        if shaped is not None:
            found[name] = trial.rounded(name, shaped * trial.examples if name in trial.averaged else shaped)
    if trial.norm is not None and (part := common_part(found, trial.chain.right)) is not None:
        return {name: g / part for name, g in found.items()}
    return found


@contextlib.contextmanager
def quietly(trial: Trial) -> Iterator[None]:
    """While it lasts, the user's code can be run again and again, and what it prints is not shown."""
    silent = contextlib.redirect_stdout(io.StringIO())
    with replaced(trial.adapter.users(), in_double_precision), reporting(all="ignore"), silent:
        yield
