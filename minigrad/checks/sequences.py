"""The same problem at other lengths: one step shows what is wrong in a step, two and more what is wrong between steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.checks.adapter import Adapter, Traces
from minigrad.errors import MinigradError
from minigrad.tensor import Tensor

__all__ = ["lengths"]

FEW = (1, 2, 4)


def lengths(adapter: Adapter, example: Traces) -> list[tuple[str, Adapter]]:
    """The lengths at which a forward pass is looked at, shortest first, with what runs it at that length.

    How many steps the example has is told by its loop: an operation that is reached T times, where some argument is T long.
    """
    counts = sorted(set(example.tape.counts.values()), reverse=True)
    for steps in counts:
        if steps < 2:
            break
        shorter = [_resized(adapter, steps, few) for few in FEW if few < steps]
        if all(short is not None for short in shorter):
            labels = [f"T = {few}" for few in FEW if few < steps]
            found = [(label, short) for label, short in zip(labels, shorter, strict=True) if short is not None]
            return found if steps > FEW[-1] else [*found, (f"T = {steps}", adapter)]
    looped = counts and counts[0] > 1
    return [("all steps" if looped else "one step", adapter)]


def _resized(adapter: Adapter, steps: int, few: int) -> Adapter | None:
    """The same for fewer steps; None if the forward pass does not run so, or not in that many steps."""
    for only_long in (False, True):
        arguments = {name: _cut(value, steps, few, only_long) for name, value in adapter.arguments.items()}
        shorter = adapter.with_arguments(arguments)
        if [leaf.value.shape for leaf in shorter.leaves] == [leaf.value.shape for leaf in adapter.leaves]:
            counted = all(a is b for a, b in zip(arguments.values(), adapter.arguments.values(), strict=True))
            if counted:
                continue
        try:
            traces = shorter.traced({leaf.name: np.array(leaf.value, float) for leaf in shorter.leaves})
        except (MinigradError, ValueError, IndexError, KeyError, TypeError, AttributeError):
            continue
        if max(traces.tape.counts.values(), default=0) <= few:
            return shorter
    return None


def _cut(value: Any, steps: int, few: int, only_long: bool) -> Any:
    """``value`` with axes and lists of ``steps`` entries cut to ``few``."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        if only_long and value.ndim < 3 and value.dtype.kind == "f":
            return value
        if steps not in value.shape:
            return value
        return value[tuple(slice(few) if size == steps else slice(None) for size in value.shape)]
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        if len(value) == steps and all(isinstance(part, int | float | np.ndarray | np.integer) for part in value):
            return value[:few]
        return type(value)(_cut(part, steps, few, only_long) for part in value)
    if isinstance(value, dict):
        return {key: _cut(part, steps, few, only_long) for key, part in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and value == steps:
        return few
    return value
