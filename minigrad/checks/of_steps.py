"""A backward pass through T steps, given the forward pass of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.checks.adapter import Adapter
from minigrad.checks.planning import plan_of
from minigrad.checks.sequences import unrolled
from minigrad.checks.trial import UserError, squeezed, trial_of
from minigrad.errors import ArgumentError, MinigradError

__all__ = ["of_steps"]


def of_steps(
    step: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: Any,
    T: int,
    upstream: Mapping[str, Any] | None,
    returns: Mapping[str, str] | Sequence[str | None] | None,
) -> Adapter:
    """The adapter of a backward pass through T steps, in the layout in which it runs and its gradients have shapes that fit."""
    problems: list[str] = []
    for sequence, example in unrolled(step, arguments, T):
        adapter = Adapter(sequence, backward, example, None, upstream, returns)
        try:
            traces = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
            trial = trial_of(adapter, plan_of(adapter, traces), 0, False)
        except (UserError, MinigradError) as error:
            problems.append(str(error))
            continue
        if all(squeezed(g.shape) == squeezed(trial.chain.right[name].shape) for name, g in trial.given.items()):
            return adapter
        problems.append("the shapes of the gradients do not fit")
    raise ArgumentError(
        f"check_backward: T={T}: {getattr(backward, '__name__', 'the backward pass')} runs in none of the usual layouts (time "
        "on the last axis, the second, or the first; a list of caches, or that with x beside it): "
        f"{problems[0]}. Give a forward pass of the whole sequence instead of T"
    )
