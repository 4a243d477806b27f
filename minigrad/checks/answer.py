"""What a user"s backward pass says about a problem: what it returns, stores in objects, or subtracts from the weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import GLOBALS, RATE, Adapter, Problem
from minigrad.checks.containers import attributes, copied, is_array, same, snapshot
from minigrad.checks.returned import Answer, matched, returned_by_name
from minigrad.checks.tracing import in_double_precision, replaced

STORE = re.compile(r"^(grads|gradients|grad)(\[\d+\])$")

__all__ = ["answer_of"]


def answer_of(
    adapter: Adapter, plan: dict[str, tuple[str, Any]], problem: Problem, keep: Callable[[str, Any], None] | None = None
) -> Answer:
    """What the user's backward pass says about a problem."""
    with replaced(adapter.users(), in_double_precision):
        return _answer(adapter, plan, problem, keep)


def _answer(
    adapter: Adapter, plan: dict[str, tuple[str, Any]], problem: Problem, keep: Callable[[str, Any], None] | None = None
) -> Answer:
    arguments = adapter.filled(lambda leaf: np.array(problem.values[leaf.name]))
    for value in arguments.values():
        _unit_rate(value)
    by_leaf = adapter.by_leaf(arguments)
    before = {name: np.array(value) for name, value in by_leaf.items()}
    outputs = adapter.named_outputs(adapter.called(adapter.forward, arguments))
    stored = {name: snapshot(value) for name, value in outputs.items()}
    given: dict[str, Any] = {}
    for name, (kind, what) in plan.items():
        if kind == "upstream":
            given[name] = copied(problem.upstream[what])
        elif kind == "output":
            given[name] = outputs[what]
        elif kind == "leaf":
            given[name] = by_leaf[what]
        elif kind == "rate":
            given[name] = 1.0
        else:
            given[name] = arguments[what]
    if GLOBALS in arguments:
        given[GLOBALS] = arguments[GLOBALS]
    known = attributes(arguments)
    result = adapter.called(adapter.backward, given)
    if keep is not None:
        stores = {leaf.name for leaf in adapter.leaves if leaf.store}
        for name, value in before.items():
            if name not in stores and not np.array_equal(value, by_leaf[name], equal_nan=True):
                keep("argument", name)
        for name, kept in stored.items():
            if not same(kept, snapshot(outputs[name])):
                keep("output", name)
    found = returned_by_name(adapter, result)
    stores = {leaf.path for leaf in adapter.leaves if leaf.store}
    for path, array in attributes(arguments).items():
        name = path.rsplit(".", 1)[-1]
        if path in stores or path not in known or not np.array_equal(known[path], array):
            if STORE.match(name):  # grads[2] beside params[2]
                beside = STORE.sub(r"params\2", name)
                beside = next((leaf.name for leaf in adapter.leaves if leaf.path.endswith(f".{beside}")), beside)
                found.setdefault(f"d{beside}", array)
            elif names.is_gradient(name):
                found.setdefault(name, array)
    moved = {
        name: before[name] - array
        for name, array in adapter.by_leaf(arguments).items()
        if name in before and array.shape == before[name].shape and not np.array_equal(array, before[name])
    }
    if moved and not any(is_array(value) for value in found.values()):
        found = {f"d{name}": step for name, step in moved.items()}  # it updates the weights itself, at the rate 1
    return matched(adapter, found)


def _unit_rate(value: Any) -> None:
    """Have an object learn at the rate 1."""
    for name, part in list(getattr(value, "__dict__", {}).items()):
        if RATE.match(name) and isinstance(part, int | float):
            value.__dict__[name] = 1.0
