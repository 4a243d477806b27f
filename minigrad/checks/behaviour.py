"""How a backward pass behaves: whether two calls agree, and what it changes that is not its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.checks.adapter import Adapter
from minigrad.checks.answer import answer_of
from minigrad.checks.report import Stage
from minigrad.checks.trial import Trial, running

__all__ = ["stage_of_behaviour"]


def stage_of_behaviour(
    adapter: Adapter, plan: dict[str, tuple[str, Any]], trial: Trial, stages: list[Stage], notes: list[str]
) -> None:
    """Whether two calls agree, and what the backward pass changes that is not its own."""
    changed: dict[str, None] = {}
    again = running(
        lambda: answer_of(adapter, plan, trial.problem, lambda kind, name: changed.setdefault(f"{kind} {name}")),
        adapter.backward,
    )
    agree = all(
        name in again.gradients and np.array_equal(np.ravel(again.gradients[name]), np.ravel(trial.given[name]), equal_nan=True)
        for name in trial.given
    )
    if any(leaf.name in trial.given for leaf in adapter.leaves if f"argument {leaf.name}" in changed):
        notes.append("the backward pass updates the weights itself: the gradients are what it subtracts at the rate 1")
    elif changed:
        notes.append(f"the backward pass changes {', '.join(changed)} in place: a second call would see the changed values")
    stages.append(Stage("two calls agree", agree, "" if agree else "the second call returns something else: is it random?"))
    missing = [name for name in (leaf.name for leaf in adapter.leaves) if name not in trial.given]
    reached = {line.name for line in trial.chain.lines if line.op == "argument" and trial.chain.live[line.number]}
    missing = [name for name in missing if name in reached]
    if missing:
        notes.append(f"no gradient of {', '.join(missing)} is returned, so none was compared")
