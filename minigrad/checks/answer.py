"""What a user's backward pass says about a problem: what it returns, stores in objects, or subtracts from the weights."""

from __future__ import annotations

import copy
import dis
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter, Problem
from minigrad.checks.containers import at_path, attributes, copied, put_at, same, snapshot
from minigrad.checks.outputs import by_step
from minigrad.checks.problem import GLOBALS, GRADIENT
from minigrad.checks.rates import RATE
from minigrad.checks.returned import Answer, Returned, matched, returned_by_name
from minigrad.checks.tracing import in_double_precision, noticing, reachable, replaced
from minigrad.checks.variables import as_variables, variables_of
from minigrad.guard import Array

NUMBERED = re.compile(r"^(?:grads|gradients|grad)(\[\d+\])$")

__all__ = ["answer_of", "answered"]


def answer_of(
    adapter: Adapter,
    plan: dict[str, tuple[str, Any]],
    problem: Problem,
    keep: Callable[[str, Any], None] | None = None,
    rate: float | None = None,
) -> Answer:
    """What the user's backward pass says about a problem.

    Args:
        adapter, plan: how it is run.
        problem: the values of its arguments, and what arrives from outside.
        keep: is told what it changes that is not its own: ("argument" or "output", name).
        rate: what it learns at, if it updates the weights itself; None for that of the problem.
    """
    with replaced(adapter.users(), in_double_precision):
        return answered(adapter, plan, problem, problem.rate if rate is None else rate, keep)


def answered(
    adapter: Adapter,
    plan: dict[str, tuple[str, Any]],
    problem: Problem,
    rate: float,
    keep: Callable[[str, Any], None] | None = None,
) -> Answer:
    """The same where the user's global names already mean what they are to mean."""
    arguments = adapter.filled(lambda leaf: np.array(problem.values[leaf.name]))
    for value in arguments.values():
        _learn_at(rate, value)
    by_leaf = adapter.by_leaf(arguments)
    is_compared = keep is not None or adapter.resumed is None or bool(adapter.resumed)
    before = {name: np.array(value) for name, value in by_leaf.items()} if is_compared else {}
    handed = {kind for kind, _ in plan.values()} & {"upstream", "output", "part", "whole"}
    alone = adapter.backward is adapter.forward and not handed
    made = None if alone else adapter.made(arguments)
    outputs = {} if alone else adapter.outputs_of(made, arguments)
    between = {name: np.array(value) for name, value in adapter.by_leaf(arguments).items()}
    stored = {} if keep is None else {name: snapshot(value) for name, value in outputs.items()}
    if adapter.resumed is None:
        adapter.resumed = _resumed(adapter, before, between, lambda: answered(adapter, plan, problem, rate))
    for leaf in adapter.leaves:
        if leaf.path in adapter.resumed:  # the gradient wanted is that of the loss from where the forward pass began
            put_at(arguments, leaf.path, np.array(before[leaf.name]))
            between[leaf.name] = np.array(before[leaf.name])
    given: dict[str, Any] = {}
    for name, (kind, what) in plan.items():
        if kind == "upstream":
            given[name] = _shaped(copied(problem.upstream[what]), outputs[what])
        elif kind == "output":
            given[name] = outputs[what]
        elif kind == "part":
            given[name] = outputs[what[0]][what[1]]
        elif kind == "whole":
            given[name] = made
        elif kind == "leaf":
            given[name] = by_leaf[what]
        elif kind == "rate":
            given[name] = rate
        elif kind == "value":
            given[name] = copy.deepcopy(what)
        else:
            given[name] = arguments[what]
    if GLOBALS in arguments:
        given[GLOBALS] = arguments[GLOBALS]
    known = attributes(arguments)
    with _learning_at(rate, adapter), variables_of(adapter) as variables:
        result = adapter.called(adapter.backward, given)
    if keep is not None:
        stores = {leaf.name for leaf in adapter.leaves if leaf.store}
        for name, value in before.items():
            if name not in stores and not np.array_equal(value, by_leaf[name], equal_nan=True):
                keep("argument", name)
        for name, kept in stored.items():
            if not same(kept, snapshot(outputs[name])):
                keep("output", name)
    returned, after = _without_weights(adapter, returned_by_name(adapter, result), between, adapter.by_leaf(arguments))
    answer = matched(
        adapter, returned, _stored(adapter, known, arguments), _steps(adapter, between, after, rate / adapter.shrinking)
    )
    if adapter.by_variables:
        answer = as_variables(answer, variables)
    return answer._replace(gradients={name: -g for name, g in answer.gradients.items()}) if adapter.added else answer


def _resumed(
    adapter: Adapter, before: dict[str, Array], after: dict[str, Array], run: Callable[[], Any]
) -> frozenset[str]:
    """The paths of states that the forward pass leaves for its next call, where the backward pass makes that call."""
    paths = {leaf.path for leaf in adapter.leaves if "." in leaf.path and not leaf.store and leaf.path not in adapter.unread}
    names_of = {leaf.path: leaf.name for leaf in adapter.leaves if leaf.path in paths}
    changed = [p for p, name in names_of.items() if name in after and not np.array_equal(before[name], after[name])]
    if not changed:
        return frozenset()
    seen: set[CodeType] = set()
    adapter.resumed = frozenset()
    calls = 0

    def noticed(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        if frame.f_code is adapter.backward.__code__:
            calls += 1
        if calls:
            seen.add(frame.f_code)

    with noticing(noticed):
        run()
    seen &= {function.__code__ for function in reachable(adapter.users())}
    writing = {i.argval for code in seen for i in dis.get_instructions(code) if i.opname == "STORE_ATTR"}
    return frozenset(path for path in changed if path.rpartition(".")[2] in writing)


def _shaped(upstream: Any, output: Any) -> Any:
    """The gradients of a dict by step as a dict by step, those of a tuple as a tuple."""
    if isinstance(output, dict):
        return dict(zip(by_step(output), upstream, strict=True))
    return tuple(upstream) if isinstance(output, tuple) else upstream


def _stored(adapter: Adapter, known: dict[str, Array], arguments: dict[str, Any]) -> dict[str, tuple[str, Array]]:
    """Gradients that are stored as attributes or in global variables: by the leaf's name, with the user's name.

    Args:
        known: the arrays by their paths, before the backward pass.
        arguments: as they are after it.
    """
    now = attributes(arguments)
    stores = {leaf.path for leaf in adapter.leaves if leaf.store}
    values = {leaf.path: leaf for leaf in adapter.trained()}
    kept = {leaf.path for leaf in adapter.leaves} - stores
    found: dict[str, tuple[str, Array]] = {}
    for path, array in now.items():
        if path in kept or not (path in stores or path not in known or not np.array_equal(known[path], array)):
            continue
        owner, _, name = path.rpartition(".")
        numbered = NUMBERED.match(name)
        beside = [leaf for at, leaf in values.items() if at.rpartition(".")[0] == owner]
        if numbered:  # grads[2] beside params[2]
            place = f"{owner}.params{numbered.group(1)}"
            what = next((leaf.name for at, leaf in values.items() if at == place), None) or _also_at(adapter, arguments, place)
        elif GRADIENT.match(name):  # W.grad beside W.value
            what = next((leaf.name for leaf in beside if leaf.value.shape == array.shape), None)
        elif names.is_gradient(name):
            near = names.match([names.stem(name)], [leaf.path.rpartition(".")[2] for leaf in beside], lambda a, b: True)
            what = next((leaf.name for leaf in beside if leaf.path.rpartition(".")[2] == near.get(names.stem(name))), None)
            what = what or _anywhere(adapter, names.stem(name), array)
        elif any(GRADIENT.match(part) or names.is_gradient(part) for part in owner.split(".")):  # grads["W"] beside W
            what = _anywhere(adapter, name, array)
        else:
            what = None
        if what is not None and what not in found:
            found[what] = (name if names.is_gradient(name) else f"d{what}"), array
    return found


def _without_weights(
    adapter: Adapter, returned: Returned, before: dict[str, Array], after: dict[str, Array]
) -> tuple[Returned, dict[str, Array]]:
    """What was returned but for weights that were moved, ``return W, U``; and the arguments as they are then."""
    if adapter.declared_returns is not None:
        return returned, after
    adapter.handed_back |= {name for name in before if _is_moved(returned.values.get(name), before[name])}
    moved = {name: returned.values[name] for name in adapter.handed_back & returned.values.keys()}
    rest = {name: value for name, value in returned.values.items() if name not in moved}
    return returned._replace(values=rest), after | moved


def _is_moved(value: Any, before: Array) -> bool:
    """Whether a value is an array a small step away from what it was before."""
    if not isinstance(value, np.ndarray) or value.shape != before.shape or np.array_equal(value, before):
        return False
    return bool(np.abs(value - before).max() <= STEP * np.abs(before).max())


STEP = 1e-3
"""By more than so much of its largest entry no weight is moved at the rate that is set."""


def _also_at(adapter: Adapter, arguments: dict[str, Any], path: str) -> str | None:
    """The leaf that is reached by this path too: ``self.params[0]`` that is ``self.W``."""
    value = at_path(arguments, path)
    return next((found for found, array in adapter.by_leaf(arguments).items() if array is value), None)


def _anywhere(adapter: Adapter, name: str, array: Array) -> str | None:
    """The one leaf that is called so, wherever it is."""
    nearest = sorted(adapter.trained(), key=lambda leaf: -leaf.name.count("."))
    candidates = {leaf.name.rsplit(".", 1)[-1]: leaf for leaf in nearest}
    found = names.match([name], [*candidates], lambda a, b: True).get(name)
    return candidates[found].name if found is not None and candidates[found].value.size == array.size else None


def _steps(adapter: Adapter, before: dict[str, Array], after: dict[str, Array], rate: float) -> dict[str, Array]:
    """What was subtracted from arguments, for a rate of 1; zeros for parameters beside them that did not move."""
    read = [leaf for leaf in adapter.leaves if not leaf.store and leaf.path not in adapter.unread]
    paths = {leaf.name: leaf.path.rpartition(".")[0] for leaf in read}
    moved = {
        name: (before[name] - array) / rate
        for name, array in after.items()
        if name in paths and name in before and array.shape == before[name].shape and not np.array_equal(array, before[name])
    }
    owners = {paths[name] for name in moved if names.is_parameter(name)}
    adapter.moves |= moved.keys()  # what a loop that runs no step does not move stays where it is
    others = [name for name in paths if name not in moved and name in before]
    others = [name for name in others if names.is_parameter(name) or name in adapter.by_moves]
    still = [name for name in others if paths[name] in owners or name in adapter.moves]
    return moved | {name: np.zeros(before[name].shape) for name in still}


@contextmanager
def _learning_at(rate: float, adapter: Adapter) -> Iterator[None]:
    """While it lasts, a rate that is a global name, or a default, of what moves weights has this value."""
    before = [(space, name, space[name]) for space, name in adapter.global_rates]
    movers = {function: function.__defaults__ or () for function in adapter.movers}
    try:
        for space, name, _ in before:
            space[name] = rate
        for function, defaults in movers.items():
            parameters = function.__code__.co_varnames[: function.__code__.co_argcount][-len(defaults) :]
            function.__defaults__ = tuple(
                rate if RATE.match(name) and isinstance(value, int | float) else value
                for name, value in zip(parameters, defaults, strict=True)
            )
        yield
    finally:
        for space, name, value in before:
            space[name] = value
        for function, defaults in movers.items():
            function.__defaults__ = defaults


def _learn_at(rate: float, value: Any, depth: int = 3) -> None:
    """Have an object learn at a rate, and so the optimisers that it has."""
    inside: dict[Any, Any] = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    for name, part in list(inside.items()):
        if isinstance(name, str) and RATE.match(name) and isinstance(part, int | float):
            inside[name] = rate
        elif depth and (isinstance(part, dict) or hasattr(part, "__dict__")):
            _learn_at(rate, part, depth - 1)
