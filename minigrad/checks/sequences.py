"""The same problem at other lengths: one step shows what is wrong in a step, two and more what is wrong between steps."""

from __future__ import annotations

import copy
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter, Traces
from minigrad.checks.problem import each_array
from minigrad.checks.tracing import Site
from minigrad.errors import ArgumentError, MinigradError
from minigrad.guard import Array
from minigrad.tensor import Tensor

T_STEPS = "T steps"

__all__ = ["lengths", "unrolled"]

FEW = (1, 2, 4)


def lengths(adapter: Adapter, example: Traces) -> list[tuple[str, Adapter]]:
    """The lengths at which a forward pass is looked at, shortest first, with what runs it at that length.

    How many steps the example has is told by its loop: an operation that is reached T times, or T − 1 times if the first step
    is a case of its own, where some argument is T long.
    """
    counts = sorted(set(example.tape.counts.values()), reverse=True)
    for apart, count in itertools.product((0, 1), counts):
        steps = count + apart
        if count < 2:
            continue
        places = [site for site, reached in example.tape.counts.items() if reached == count]
        shorter = {few: _resized(adapter, example, steps, few, places, apart) for few in FEW if few < steps}
        if shorter and all(short is not None for few, short in shorter.items() if few > apart):
            found = [(f"T = {few}", short) for few, short in shorter.items() if short is not None]
            return found if steps > FEW[-1] else [*found, (f"T = {steps}", adapter)]
    return [("", adapter)]


def _resized(adapter: Adapter, example: Traces, steps: int, few: int, places: list[Site], apart: int) -> Adapter | None:
    """The same for fewer steps; None if the forward pass does not run so, or not in that many steps.

    ``places`` are those of the code that the example reaches once at each step, but for so many steps ``apart`` at the start.
    """
    found = {id(leaf.value): leaf.value for leaf in adapter.leaves if _is_weight(example, leaf.name, steps)}
    tried: set[tuple[str, str]] = set()
    for weights, only_long, one_hot in itertools.product((True, False), (False, True), (True, False)):
        how, kept = _Cut(steps, few, weights, only_long, one_hot), dict[int, Any](found if weights else {})
        arguments = {name: _cut(value, name, how, kept) for name, value in adapter.arguments.items()}
        shorter = adapter.with_arguments(arguments)
        cut = repr([(leaf.path, leaf.value.shape) for leaf in shorter.leaves]), repr(_others(arguments))
        if cut in tried:
            continue
        tried.add(cut)
        classes = {leaf.path for leaf in adapter.leaves if _is_one_hot(leaf.value)}
        if any(leaf.path in classes and not _is_one_hot(leaf.value) for leaf in shorter.leaves):
            continue  # of the classes, as many as there are steps, only some would be left
        if [leaf.value.shape for leaf in shorter.leaves] == [leaf.value.shape for leaf in adapter.leaves]:
            counted = all(a is b for a, b in zip(arguments.values(), adapter.arguments.values(), strict=True))
            if counted:
                continue
        try:
            traces = shorter.traced({leaf.name: np.array(leaf.value, float) for leaf in shorter.leaves})
        except (MinigradError, ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError):
            continue
        counted_so = all(traces.tape.counts.get(site, 0) == few - apart for site in places)
        if counted_so and traces.outputs.keys() == example.outputs.keys():
            return shorter
    return None


def _is_weight(example: Traces, name: str, steps: int) -> bool:
    """Whether an argument is read as a whole at every step; that it has as many entries as there are steps is an accident."""
    argument = example.arguments[name]
    users = [line.op for line in example.tape.lines if argument in line.operands]
    return len(users) >= steps and "getitem" not in users


class _Cut(NamedTuple):
    """How arguments are cut: axes and lists of ``steps`` entries to ``few``.

    But not what is called as ``weights`` are, nor matrices where ``only_long`` arrays are, nor the classes of what is
    ``one_hot``: there may be as many units, or classes, as there are steps.
    """

    steps: int
    few: int
    weights: bool
    only_long: bool
    one_hot: bool


def _cut(value: Any, name: str, how: _Cut, kept: dict[int, Any]) -> Any:
    """``value``, which is called so, with all that is as long as there are steps cut.

    What is met again is the same: weights that have a name, and stand in a dict as well.
    """
    if id(value) not in kept:
        kept[id(value)] = _cut_anew(value, name, how, kept)
    return kept[id(value)]


def _cut_anew(value: Any, name: str, how: _Cut, kept: dict[int, Any]) -> Any:
    steps, few = how.steps, how.few
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and ((how.only_long and value.ndim < 3) or (how.weights and names.is_parameter(name))):
            return value
        if steps not in value.shape:
            return value
        axes = [axis for axis, size in enumerate(value.shape) if size == steps]
        if how.one_hot and axes[1:] and _is_one_hot(value):
            axes = axes[:1]
        return value[tuple(slice(few) if axis in axes else slice(None) for axis in range(value.ndim))]
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        if len(value) == steps and all(isinstance(part, int | float | np.ndarray | np.integer) for part in value):
            return value[:few]
        return type(value)(_cut(part, name, how, kept) for part in value)
    if isinstance(value, dict):
        return {key: _cut(part, str(key), how, kept) for key, part in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and value == steps:
        return few
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return _counting(value, steps, few)
    return value


def _others(arguments: dict[str, Any]) -> list[tuple[int, ...]]:
    """The shapes of arrays of whole numbers among the arguments, and the lengths of what they are in."""
    found: list[tuple[int, ...]] = [(len(value),) for value in arguments.values() if isinstance(value, list | tuple)]

    def noted(array: Array) -> Array:
        found.append(array.shape)
        return array

    each_array(arguments, lambda path, array, attribute: array, noted)
    return found


def _is_one_hot(array: Array) -> bool:
    """Whether each row has a single 1, and zeros beside."""
    return array.ndim > 1 and bool(np.isin(array, (0, 1)).all() and (array.sum(axis=-1) == 1).all())


def _counting(value: Any, steps: int, few: int, depth: int = 2) -> Any:
    """An object, and those that it has, with ``few`` for a number of steps; the same where there is none."""
    changed: dict[str, Any] = {}
    for name, part in vars(value).items():
        if type(part) is int:
            changed |= {name: few} if part == steps and COUNT.match(name) else {}
        elif depth and hasattr(part, "__dict__") and not callable(part):
            inner = _counting(part, steps, few, depth - 1)
            changed |= {name: inner} if inner is not part else {}
    if not changed:
        return value
    other = copy.copy(value)
    other.__dict__.update(changed)
    return other


COUNT = re.compile(r"^(?:t|n_?t|t_?x|.*(?:seq|step|len|time|bptt|unroll|duration|horizon|window).*)$", re.IGNORECASE)
"""What an object calls the number of steps."""


def unrolled(step: Callable[..., Any], arguments: Any, T: int) -> Iterator[tuple[Callable[..., Any], dict[str, Any]]]:
    """Forward passes of T steps made of one step, whose state goes from each step into the next, with example arguments.

    What is a state is told by names: an output ``a_next`` or ``h`` and an argument ``a_prev`` or ``h_prev`` of one shape.
    The input ``x`` gets an axis of T steps, and so do the outputs: the last axis, the second, or the first. What else a
    step returns, its cache, is collected in a list, by itself or with x beside it.

    Raises:
        ArgumentError: it cannot be told what is a state, or what is the input.
    """
    given = Adapter(step, step, arguments)
    plain = given.named_outputs(given.called(step, given.filled(lambda leaf: np.array(leaf.value, float))))
    arrays = {name: np.asarray(value) for name, value in given.arguments.items() if isinstance(value, np.ndarray | Tensor)}
    results = {name: value for name, value in plain.items() if isinstance(value, np.ndarray)}
    pairs = names.match(results, list(arrays), lambda a, b: results[a].shape == arrays[b].shape)
    states = {what: name for name, what in pairs.items() if results[name].shape == arrays[what].shape}
    inputs = [name for name in arrays if name not in states and names.is_input(name)]
    if not states or len(inputs) != 1:
        what = (
            "which of its results is which of its arguments at the next step" if not states else "which argument is the input"
        )
        raise ArgumentError(
            f"check_backward: T={T} repeats {getattr(step, '__name__', 'the step')}, but {what}? It takes "
            f"{', '.join(arrays)} and returns {', '.join(plain)}. Call a state h_prev and h_next, and the input x; or give a "
            "forward pass of the whole sequence instead of T"
        )
    x = inputs[0]
    for axis, beside in itertools.product((-1, 1, 0), (False, True)):
        if abs(axis) <= arrays[x].ndim:
            example = np.stack([arrays[x]] * T, axis)
            yield _sequence(given, plain, states, x, axis, beside), given.arguments | {x: example}


def _sequence(
    given: Adapter, plain: dict[str, Any], states: dict[str, str], x: str, axis: int, beside: bool
) -> Callable[..., Any]:
    step = given.forward

    signature = inspect.signature(step)

    def sequence(*values: Any, **keywords: Any) -> dict[str, Any]:
        everything = signature.bind(*values, **keywords).arguments
        outputs: dict[str, list[Any]] = {name: [] for name in plain}
        here = dict(everything)
        for t in range(everything[x].shape[axis]):
            index: list[Any] = [slice(None)] * everything[x].ndim
            index[axis] = t
            here[x] = everything[x][tuple(index)]
            result = given.called(step, here)
            parts = result if isinstance(result, tuple | list) else [result]
            for name, part in zip(plain, parts, strict=True):
                outputs[name].append(part)
            here |= {what: outputs[name][-1] for what, name in states.items()}
        made: dict[str, Any] = {
            names.unmarked(name): np.stack(parts, axis)
            for name, parts in outputs.items()
            if isinstance(plain[name], np.ndarray)
        }
        kept = {name: parts for name, parts in outputs.items() if not isinstance(plain[name], np.ndarray)}
        for name, parts in kept.items():
            made["caches" if len(kept) == 1 else name] = (parts, everything[x]) if beside else parts
        return made

    sequence.__signature__ = signature  # type: ignore[attr-defined]
    sequence.__name__ = f"{T_STEPS} of {getattr(step, '__name__', 'the step')}"
    return sequence
