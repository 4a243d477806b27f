"""The same problem at other lengths: one step shows what is wrong in a step, two and more what is wrong between steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter, Traces
from minigrad.errors import ArgumentError, MinigradError
from minigrad.tensor import Tensor

__all__ = ["lengths", "unrolled"]

FEW = (1, 2)


def lengths(adapter: Adapter, example: Traces) -> list[tuple[str, Adapter]]:
    """The lengths at which a forward pass is looked at, shortest first, with what runs it at that length.

    How many steps the example has is told by its loop: an operation that is reached T times, where some argument is T long.
    """
    counts = sorted(set(example.tape.counts.values()), reverse=True)
    for steps in counts:
        if steps < 2:
            break
        shorter = [_resized(adapter, steps, few) for few in FEW if few < steps]
        if all(found is not None for found in shorter):
            labels = [f"T = {few}" for few in FEW if few < steps]
            return [*((label, found) for label, found in zip(labels, shorter, strict=True) if found), (f"T = {steps}", adapter)]
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
        if max(traces.tape.counts.values(), default=0) <= max(few, _inner(adapter, steps)):
            return shorter
    return None


def _inner(adapter: Adapter, steps: int) -> int:
    return 1


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


def unrolled(step: Callable[..., Any], arguments: Any, T: int, sequence_backward: Callable[..., Any]) -> Any:
    """A forward pass of T steps, made of ``step``: its state goes from each step into the next.

    What is a state is told by names: an output ``a_next`` or ``h`` and an argument ``a_prev`` or ``h_prev`` of the same shape. The
    first other argument that is an array by itself, ``x`` or ``xt``, gets an axis of T steps.

    Returns:
        The function, and the example of its arguments.

    Raises:
        ArgumentError: it cannot be told what is a state, or what the input.
    """
    given = Adapter(step, sequence_backward, arguments)
    plain = given._named_outputs(given.called(step, given.filled(lambda leaf: np.array(leaf.value))))
    arrays = {name: np.asarray(v) for name, v in given.arguments.items() if isinstance(v, np.ndarray | Tensor)}
    results = {name: v for name, v in plain.items() if isinstance(v, np.ndarray)}
    pairs = names.match(results, list(arrays), lambda a, b: results[a].shape == arrays[b].shape)
    states = {what: name for name, what in pairs.items() if results[name].shape == arrays[what].shape}
    if not states:
        raise ArgumentError(
            f"check_backward: T={T} unrolls {step.__name__}(), but which of its results {sorted(plain)} is which of its arguments "
            f"{list(given.arguments)} at the next step? Call them h_prev and h (or h_next), or give a forward pass of the whole "
            "sequence instead of T"
        )
    inputs = [name for name in arrays if name not in states]
    called_x = [name for name in inputs if names.stem(name).lower().rstrip("t_s") in ("x", "input")]
    if not called_x:
        raise ArgumentError(
            f"check_backward: T={T} unrolls {step.__name__}(), but which of its arguments {inputs} is the input at one step? Call "
            "it x, or give a forward pass of the whole sequence instead of T"
        )
    x, order = called_x[0], list(results)
    positions = list(plain)

    def sequence(**everything: Any) -> Any:
        state = {what: everything[what] for what in states}
        kept: list[Any] = []
        outputs: dict[str, list[Any]] = {name: [] for name in order}
        for t in range(T):
            here = everything | {x: everything[x][t]} | state
            result = given.called(step, here)
            parts = dict(zip(positions, result if isinstance(result, tuple | list) else [result], strict=True))
            state = {what: parts[name] for what, name in states.items()}
            for name in order:
                outputs[name].append(parts[name])
            kept.append([part for name, part in parts.items() if name not in order])
        return outputs, kept

    example = given.arguments | {x: np.stack([np.asarray(given.arguments[x])] * T)}
    sequence.__signature__ = inspect.signature(step)  # type: ignore[attr-defined]
    return sequence, example, {"x": x, "states": states, "outputs": order}


def _unused() -> Iterator[None]:
    yield None
