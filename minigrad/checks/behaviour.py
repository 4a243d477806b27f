"""How a backward pass behaves: whether two calls agree, and what it changes that is not its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter
from minigrad.checks.answer import answer_of
from minigrad.checks.containers import is_array
from minigrad.checks.equality import equal
from minigrad.checks.report import Stage
from minigrad.checks.trial import Trial, running

__all__ = ["stage_of_behaviour"]


def stage_of_behaviour(
    adapter: Adapter, plan: dict[str, tuple[str, Any]], trial: Trial, stages: list[Stage], notes: list[str]
) -> tuple[str, ...]:
    """Whether two calls agree, and what the backward pass changes that is not its own.

    Returns:
        Of what a gradient should have been returned, and none was compared: parameters; and anything, where a gradient was
        returned of which it cannot be told what it belongs to.
    """
    changed: dict[str, None] = {}
    again = running(
        lambda: answer_of(adapter, plan, trial.problem, lambda kind, name: changed.setdefault(f"{kind} {name}")),
        adapter.backward,
    )
    gradients = {name: g / trial.rate if name in again.moved else g for name, g in again.gradients.items()}
    agree = all(
        name in gradients and np.array_equal(np.ravel(trial.rounded(name, gradients[name])), np.ravel(given), equal_nan=True)
        for name, given in trial.given.items()
    )
    if trial.answer.moved:
        said = f"the gradients are what it subtracts, divided by the rate{_further(trial)}"
        notes.append(f"the backward pass updates the weights itself: {said}")
        if adapter.memory:
            shown = ", ".join(sorted(adapter.memory))
            notes.append(f"what it divides by ({shown}) is made so large that the steps are proportional to the gradients")
        fast = running(lambda: answer_of(adapter, plan, trial.problem, rate=1.0), adapter.backward).gradients
        late = [
            name for name in trial.given if name not in trial.answer.moved and not _alike(fast.get(name), trial.given[name])
        ]
        if late:
            shown = ", ".join(trial.answer.called[name] for name in late)
            notes.append(f"the weights are updated before they are used for {shown}: at larger rates these are wrong")
    elif adapter.by_variables:
        shown = ", ".join(trial.answer.called.values())
        notes.append(f"the weights are moved by steps that show no gradients: taken are the variables {shown}")
    elif changed:
        notes.append(f"the backward pass changes {', '.join(changed)} in place: a second call would see the changed values")
    stages.append(Stage("two calls agree", agree, "" if agree else "the second call returns something else: is it random?"))
    beside = [f"{name} {np.shape(array)}" for name, array in trial.answer.others.items() if np.ndim(array) and is_array(array)]
    beside = [shown for shown in beside if names.is_gradient(shown.partition(" ")[0])]
    if beside:
        notes.append(
            f"not compared, since it cannot be told of what it is the gradient: {', '.join(beside)}; say so by returns="
        )
    missing = [name for name in (leaf.name for leaf in adapter.leaves) if name not in trial.given]
    reached = {line.name for line in trial.chain.lines if line.op == "argument" and trial.chain.live[line.number]}
    missing = [name for name in missing if name in reached]
    if missing:
        notes.append(f"no gradient of {', '.join(missing)} is returned, so none was compared")
    return tuple(name for name in missing if beside or names.is_parameter(name))


def _further(trial: Trial) -> str:
    """What the steps were divided by besides the rate: a number of examples; or the rate, where the user's code has it."""
    parts = 1 / trial.rate
    if parts > 1.5 and abs(parts - round(parts)) <= 1e-5 * parts:
        return f" and multiplied by {round(parts)}"
    return "" if trial.rate == 1 else f" {trial.rate * trial.problem.rate:.4g}"


def _alike(a: Any, b: Any) -> bool:
    return a is not None and equal(np.ravel(a), np.ravel(b), 1e-6)
