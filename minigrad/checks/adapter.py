"""A user's forward and backward pass, as they are: what goes into them, what comes out, and what is the gradient of what."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.fusing import fuse
from minigrad.checks.problem import Leaf, generic, leaves, mapped
from minigrad.checks.tracing import Line, Tape, Traced, in_double_precision, replaced
from minigrad.errors import ArgumentError
from minigrad.guard import Array

GLOBALS = "global variables"
RATE = re.compile(r"^(?:lr|learning_?rate|learn_rate|alpha|eta|step_?size)$", re.IGNORECASE)
"""What a backward pass that updates the weights itself calls the rate: it is given 1, so that the update is the gradient."""
STORE = re.compile(r"^(grads|gradients|grad)(\[\d+\])$")

__all__ = ["Adapter", "Answer", "Problem", "Traces"]


class Traces(NamedTuple):
    """A traced forward pass: its lines, the lines of its arguments by name, and those of its outputs by name."""

    tape: Tape
    arguments: dict[str, Line]
    outputs: dict[str, Any]


class Problem(NamedTuple):
    """Values for all arrays among the arguments, and gradients of the outputs from outside."""

    values: dict[str, Array]
    upstream: dict[str, Any]


class Answer(NamedTuple):
    """What the user's backward pass returned for a problem: by the name of the quantity it is the gradient of.

    Attributes:
        gradients: the matched ones, by the name of the argument.
        called: how the user calls each of them.
        others: what was returned beside, by the user's names.
    """

    gradients: dict[str, Array]
    called: dict[str, str]
    others: dict[str, Any]


class Adapter:
    """How to run a forward and a backward pass on other values than the example's.

    Args:
        forward, backward: the user's functions, or methods of one object.
        arguments: an example of the forward pass's arguments, in order or by name.
        outputs: what the forward pass returns, in order, where its source does not say.
        upstream: for parameters of the backward pass: the name of the output whose gradient they are, or of an argument.
        returns: for what the backward pass returns, by its name or in order: the name of the argument it is the gradient of.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        arguments: Any,
        outputs: Sequence[str] | None = None,
        upstream: Mapping[str, Any] | None = None,
        returns: Mapping[str, str] | Sequence[str | None] | None = None,
    ) -> None:
        self.owner: Any = None
        self.sites: dict[Any, int] = {}
        self.states: dict[int, int] = {}
        self.forward, self.backward = forward, backward
        positional = list(arguments.values()) if isinstance(arguments, dict) and not _takes(forward, arguments) else arguments
        if isinstance(forward, MethodType):
            self.forward, owner = forward.__func__, forward.__self__
            positional = {next(iter(names.parameters_of(self.forward))): owner} | (
                positional if isinstance(positional, dict) else _bound(forward, positional)
            )
            self.owner = next(iter(positional))
            if isinstance(backward, MethodType):
                if backward.__self__ is not owner:
                    raise ArgumentError(
                        "check_backward: forward and backward are methods of two objects; give both of the same object"
                    )
                self.backward = backward.__func__
        self.arguments: dict[str, Any] = dict(positional) if isinstance(positional, dict) else _bound(self.forward, positional)
        shared = _globals_of(self.forward)
        if shared:
            self.arguments[GLOBALS] = shared
        self.leaves: list[Leaf] = leaves(self.arguments)
        if not self.leaves:
            raise ArgumentError(
                "check_backward: expected arrays of real numbers among the example arguments, got none; the arguments are "
                "those of the forward pass, in order: check_backward(forward, backward, (x, h, W))"
            )
        self.declared_outputs = list(outputs) if outputs is not None else None
        self.declared_upstream = dict(upstream or {})
        self.declared_returns = returns

    def learn_names(self, traces: Traces) -> None:
        """Call what has a number alone, such as ``params[0]``, what the forward pass calls it."""
        for k, leaf in enumerate(self.leaves):
            known = [name for name in traces.arguments[leaf.name].names if "[" not in name]
            if "[" in leaf.name and known and known[0] not in {other.name for other in self.leaves}:
                self.leaves[k] = leaf._replace(name=known[0])

    # ---------------------------------------------------------------- running the forward pass

    def filled(self, value_of: Callable[[Leaf], Any]) -> dict[str, Any]:
        """The arguments with other values in the place of the arrays."""
        by_path = {leaf.path: leaf for leaf in self.leaves}
        return {
            name: mapped(value, lambda path, array, attribute: value_of(by_path[path]), name)
            for name, value in self.arguments.items()
        }

    def called(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """What ``function`` returns for arguments by name."""
        with self._globals(arguments.get(GLOBALS, {})):
            return self._called(function, arguments)

    @contextmanager
    def _globals(self, values: dict[str, Any]) -> Iterator[None]:
        """Global variables that hold weights have other values while it lasts; what became of them is in ``values`` then."""
        places = [space for function in (self.forward, self.backward) for space in _spaces(function)]
        found = [(space, name, space[name]) for space in places for name in values if name in space]
        try:
            for space, name, _ in found:
                space[name] = values[name]
            yield
            for space, name, _ in found:
                values[name] = space[name]
        finally:
            for space, name, value in found:
                space[name] = value

    def _called(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        signature = inspect.signature(function)
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for name, parameter in signature.parameters.items():
            if name not in arguments:
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += list(arguments[name])
            elif parameter.kind is parameter.VAR_KEYWORD:
                keywords |= arguments[name]
            elif parameter.kind is parameter.KEYWORD_ONLY:
                keywords[name] = arguments[name]
            else:
                positional.append(arguments[name])
        return function(*positional, **keywords)

    def traced(self, values: Mapping[str, Array]) -> Traces:
        """The forward pass for these values, line by line."""
        tape = Tape(self.sites)
        stand_ins: dict[str, Traced] = {}

        def stand_in(leaf: Leaf) -> Traced:
            stand_ins[leaf.name] = tape.leaf(np.array(values[leaf.name]), leaf.name)
            return stand_ins[leaf.name]

        arguments = self.filled(stand_in)
        lines = {name: stand_in.line for name, stand_in in stand_ins.items()}
        result = tape.run(lambda: self.called(self.forward, arguments), self.users())
        fuse(tape)
        outputs = {name: _lines(value) for name, value in self.named_outputs(result).items()}
        differentiable = {name: value for name, value in outputs.items() if value is not None}
        if not differentiable:
            raise ArgumentError(
                "check_backward: nothing that the forward pass returns depends on its arguments by operations that can be "
                "followed; does it return the outputs (not float(loss), not None)?"
            )
        return Traces(tape, lines, differentiable)

    def named_outputs(self, result: Any) -> dict[str, Any]:
        """What the forward pass returns, by what its code calls it."""
        if isinstance(result, dict) and all(isinstance(key, str) for key in result):
            return dict(result)
        parts = list(result) if isinstance(result, tuple | list) else [result]
        called: Sequence[str | None] = self.declared_outputs or names.returned_names(self.forward) or []
        if len(called) != len(parts):
            called = [None] * len(parts)
        found: dict[str, Any] = {}
        for k, (name, part) in enumerate(zip(called, parts, strict=True)):
            label = name or _learnt(part) or ("output" if len(parts) == 1 else f"output {k}")
            found[label if label not in found else f"{label} ({k})"] = part
        return found

    def values(self, seed: int, as_given: bool = False) -> dict[str, Array]:
        """Values for all arrays among the arguments: random ones of the example's shapes."""
        rng = np.random.default_rng([2026, seed])
        return {leaf.name: np.array(leaf.value, float) if as_given else generic(leaf, rng) for leaf in self.leaves}

    def problem(self, values: dict[str, Array], traces: Traces, seed: int, scale: float = 1.0) -> Problem:
        """These values, and random gradients of the outputs, times ``scale``; 1 for a loss."""
        rng = np.random.default_rng([2027, seed])
        return Problem(values, {name: _random_like(lines, rng, scale) for name, lines in traces.outputs.items()})

    def with_arguments(self, arguments: dict[str, Any]) -> Adapter:
        """The same for another example."""
        other = copy.copy(self)
        other.arguments, other.leaves = arguments, leaves(arguments)
        return other

    # ---------------------------------------------------------------- running the backward pass

    def plan(self, traces: Traces) -> dict[str, tuple[str, Any]]:
        """For each parameter of the backward pass, what it is given.

        Raises:
            ArgumentError: it cannot be told; the message asks, and says how to answer.
        """
        parameters = names.parameters_of(self.backward)
        with replaced(self.users(), in_double_precision):
            plain = self.named_outputs(self.called(self.forward, self.filled(lambda leaf: np.array(leaf.value, float))))
        caches = [name for name in plain if name not in traces.outputs]
        plan: dict[str, tuple[str, Any]] = {}
        waiting: list[str] = []
        for k, (name, parameter) in enumerate(parameters.items()):
            if name in self.declared_upstream:
                declared = self.declared_upstream[name]
                kind = "upstream" if declared in traces.outputs else "output" if declared in plain else "argument"
                if not isinstance(declared, str) or (kind == "argument" and declared not in self._sources()):
                    raise ArgumentError(
                        f"check_backward: upstream={{{name!r}: {declared!r}}}: expected one of the outputs "
                        f"{sorted(plain)} or of the arguments {sorted(self._sources())}"
                    )
                plan[name] = (kind, declared)
            elif (
                k == 0 and self.owner is not None and isinstance(self.backward, type(self.forward)) and name == self.owner
            ) or name in self.arguments:
                plan[name] = ("argument", name)
            elif name in plain and not names.is_upstream(name):
                plan[name] = ("output", name)
            elif name in {leaf.name for leaf in self.leaves}:
                plan[name] = ("leaf", name)
            elif RATE.match(name):
                plan[name] = ("rate", 1.0)
            elif names.is_cache(name) and len(caches) == 1:
                plan[name] = ("output", caches[0])
            elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            else:
                waiting.append(name)
        self._plan_upstream(waiting, traces, plan, plain, caches)
        for name in waiting:
            if name not in plan and parameters[name].default is inspect.Parameter.empty:
                raise ArgumentError(
                    f"check_backward: what is {name!r}, a parameter of {_called(self.backward)}? The gradient of one of the "
                    f"outputs {sorted(traces.outputs)}, or one of the forward pass's values {sorted(plain)} or arguments "
                    f"{sorted(self._sources())}? Say so: upstream={{{name!r}: 'its name'}}"
                )
        return plan

    def _sources(self) -> dict[str, Any]:
        return self.arguments | {leaf.name: leaf for leaf in self.leaves}

    def _plan_upstream(
        self, waiting: list[str], traces: Traces, plan: dict[str, tuple[str, Any]], plain: dict[str, Any], caches: list[str]
    ) -> None:
        taken = {what for kind, what in plan.values() if kind == "upstream"}
        free = [name for name in traces.outputs if name not in taken]
        gradients = {names.stem(name): name for name in waiting if names.is_gradient(name) and not names.is_upstream(name)}
        for short, output in names.match(gradients, free, lambda a, b: True).items():
            plan[gradients[short]] = ("upstream", output)
            free.remove(output)
        left = [name for name in waiting if name not in plan]
        general = [name for name in left if names.is_upstream(name) or names.is_gradient(name)]
        if len(general) == 1 and len(free) == 1:
            plan[general[0]] = ("upstream", free[0])
        left = [name for name in waiting if name not in plan]
        free_caches = [name for name in caches if name not in {what for kind, what in plan.values() if kind == "output"}]
        if len(left) == 1 and len(free_caches) == 1 and not names.is_gradient(left[0]):
            plan[left[0]] = ("output", free_caches[0])

    def answer(
        self, plan: dict[str, tuple[str, Any]], problem: Problem, keep: Callable[[str, Any], None] | None = None
    ) -> Answer:
        """What the user's backward pass says about a problem."""
        with replaced(self.users(), in_double_precision):
            return self._answer(plan, problem, keep)

    def users(self) -> list[Any]:
        """The user's functions, and the classes of the objects among the arguments."""
        owners = [type(value) for value in self.arguments.values() if hasattr(value, "__dict__")]
        return [self.forward, self.backward, *owners]

    def _answer(
        self, plan: dict[str, tuple[str, Any]], problem: Problem, keep: Callable[[str, Any], None] | None = None
    ) -> Answer:
        arguments = self.filled(lambda leaf: np.array(problem.values[leaf.name]))
        for value in arguments.values():
            _unit_rate(value)
        by_leaf = self._by_leaf(arguments)
        before = {name: np.array(value) for name, value in by_leaf.items()}
        outputs = self.named_outputs(self.called(self.forward, arguments))
        stored = {name: _snapshot(value) for name, value in outputs.items()}
        given: dict[str, Any] = {}
        for name, (kind, what) in plan.items():
            if kind == "upstream":
                given[name] = _copied(problem.upstream[what])
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
        known = _attributes(arguments)
        result = self.called(self.backward, given)
        if keep is not None:
            stores = {leaf.name for leaf in self.leaves if leaf.store}
            for name, value in before.items():
                if name not in stores and not np.array_equal(value, by_leaf[name], equal_nan=True):
                    keep("argument", name)
            for name, snapshot in stored.items():
                if not _same(snapshot, _snapshot(outputs[name])):
                    keep("output", name)
        found = self._returned(result)
        stores = {leaf.path for leaf in self.leaves if leaf.store}
        for path, array in _attributes(arguments).items():
            name = path.rsplit(".", 1)[-1]
            if path in stores or path not in known or not np.array_equal(known[path], array):
                if STORE.match(name):  # grads[2] beside params[2]
                    beside = STORE.sub(r"params\2", name)
                    beside = next((leaf.name for leaf in self.leaves if leaf.path.endswith(f".{beside}")), beside)
                    found.setdefault(f"d{beside}", array)
                elif names.is_gradient(name):
                    found.setdefault(name, array)
        moved = {
            name: before[name] - array
            for name, array in self._by_leaf(arguments).items()
            if name in before and array.shape == before[name].shape and not np.array_equal(array, before[name])
        }
        if moved and not any(_is_array(value) for value in found.values()):
            found = {f"d{name}": step for name, step in moved.items()}  # it updates the weights itself, at the rate 1
        return self._matched(found)

    def _by_leaf(self, arguments: dict[str, Any]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        paths = {leaf.path: leaf.name for leaf in self.leaves}
        for name, value in arguments.items():
            mapped(value, lambda path, array, attribute: found.setdefault(paths.get(path, path), array), name)
        return found

    def _returned(self, result: Any) -> dict[str, Any]:
        """What was returned, by the user's names."""
        if result is None:
            return {}
        if isinstance(result, dict):
            return _flat(result)
        parts = list(result) if isinstance(result, tuple | list) else [result]
        called: Sequence[str | None] | None = names.returned_names(self.backward)
        if isinstance(result, tuple) and hasattr(result, "_fields"):
            called = result._fields
        if self.declared_returns is not None and not isinstance(self.declared_returns, Mapping):
            called = list(self.declared_returns)
            if len(called) != len(parts):
                raise ArgumentError(
                    f"check_backward: returns names {len(called)} values, but {_called(self.backward)} returns {len(parts)}"
                )
        if called is None or len(called) != len(parts):
            called = [None] * len(parts)
        found: dict[str, Any] = {}
        for k, (name, part) in enumerate(zip(called, parts, strict=True)):
            if isinstance(part, dict):
                found |= {key: value for key, value in _flat(part).items() if key not in found}
            elif isinstance(part, tuple):
                found |= {f"{name or f'result {k}'}[{j}]": value for j, value in enumerate(part)}
            else:
                label = name or (f"result {k}" if len(parts) > 1 else "result")
                found[label if label not in found else f"{label} ({k})"] = part
        return found

    def _matched(self, found: dict[str, Any]) -> Answer:
        """Which returned value is the gradient of which argument."""
        known = {leaf.name for leaf in self.leaves}
        arrays = {
            name: np.asarray(value, float)
            for name, value in found.items()
            if _is_array(value)
            and (names.is_gradient(name) or name in known or name.startswith("result") or self.declared_returns)
        }
        others = {name: value for name, value in found.items() if name not in arrays}
        shapes = {leaf.name: leaf.value.shape for leaf in self.leaves if not leaf.store}
        pairs: dict[str, str] = {}
        if isinstance(self.declared_returns, Mapping):
            for name, what in self.declared_returns.items():
                if what not in shapes:
                    raise ArgumentError(
                        f"check_backward: returns: expected one of the arguments {sorted(shapes)}, got {what!r}"
                    )
                if name in arrays:
                    pairs[name] = what
        elif self.declared_returns is not None:
            pairs = {name: name for name in arrays if name in shapes}

        def fits(short: str, what: str) -> bool:
            return sorted(arrays[shorts[short]].shape) == sorted(shapes[what])

        open_names = [name for name in arrays if name not in pairs]
        shorts = {names.stem(name): name for name in open_names}
        free = [name for name in shapes if name not in pairs.values()]
        for short, what in names.match(shorts, free, fits).items():
            pairs[shorts[short]] = what
        open_names = [name for name in arrays if name not in pairs]
        free = [name for name in shapes if name not in pairs.values()]
        for name in open_names:
            candidates = [what for what in free if shapes[what] == arrays[name].shape]
            rivals = [other for other in open_names if arrays[other].shape == arrays[name].shape]
            if len(candidates) == 1 and len(rivals) == 1 and (names.is_gradient(name) or name.startswith("result")):
                pairs[name] = candidates[0]
        if not pairs:
            shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing that is an array"
            expected = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ArgumentError(
                f"check_backward: of what is each value that {_called(self.backward)} returns the gradient? It returned "
                f"{shown}; the arguments are {expected}. Say so: returns=('x', 'h_prev', …), in the "
                "order of the returned values, with None for what is no gradient, or returns={'its name': 'the argument'}"
            )
        ambiguous = [name for name in arrays if name not in pairs and name.startswith("result") and arrays[name].ndim]
        if ambiguous and any(sorted(shapes[w]) == sorted(arrays[a].shape) for a in ambiguous for w in free):
            raise ArgumentError(
                f"check_backward: of what is {', '.join(ambiguous)} of {_called(self.backward)} the gradient? Say so: "
                f"returns=(…), one name for each returned value, of {sorted(shapes)}, None for what is no gradient"
            )
        others |= {name: value for name, value in arrays.items() if name not in pairs}
        return Answer({what: arrays[name] for name, what in pairs.items()}, {what: n for n, what in pairs.items()}, others)


def _spaces(function: Any) -> list[dict[str, Any]]:
    space = getattr(function, "__globals__", None)
    return [] if space is None else [space]


def _globals_of(forward: Any) -> dict[str, Array]:
    """The arrays of real numbers among the global variables that the forward pass, or a function that it uses, reads."""
    space = getattr(forward, "__globals__", {})
    found: dict[str, Array] = {}
    seen: set[int] = set()
    waiting = [getattr(forward, "__code__", None)]
    while waiting:
        code = waiting.pop()
        if code is None or id(code) in seen:
            continue
        seen.add(id(code))
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            value = space.get(name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 1:
                found[name] = value
            elif isinstance(value, FunctionType) and value.__globals__ is space:
                waiting.append(value.__code__)
    return found


def _unit_rate(value: Any) -> None:
    """Have an object learn at the rate 1."""
    for name, part in list(getattr(value, "__dict__", {}).items()):
        if RATE.match(name) and isinstance(part, int | float):
            value.__dict__[name] = 1.0


def _takes(function: Any, arguments: Mapping[str, Any]) -> bool:
    return set(arguments) <= set(names.parameters_of(function))


def _bound(function: Any, arguments: Any) -> dict[str, Any]:
    """Arguments in order, by name."""
    if not isinstance(arguments, tuple | list):
        arguments = (arguments,)
    try:
        return dict(inspect.signature(function).bind(*arguments).arguments)
    except TypeError as error:
        raise ArgumentError(f"check_backward: the example arguments do not fit {_called(function)}: {error}") from None


def _called(function: Any) -> str:
    return f"{getattr(function, '__name__', repr(function))}()"


def _learnt(part: Any) -> str | None:
    return part.line.name if isinstance(part, Traced) else None


def _lines(value: Any) -> Any:
    """The line of a stand-in, or those of a list of them; None for anything else."""
    if isinstance(value, Traced):
        return value.line if value.line.op != "constant" else None
    if isinstance(value, list) and value and all(isinstance(part, Traced) for part in value):
        return [part.line for part in value]
    return None


def _random_like(lines: Any, rng: np.random.Generator, scale: float) -> Any:
    if isinstance(lines, list):
        return [_random_like(line, rng, scale) for line in lines]
    return rng.standard_normal(lines.value.shape) * scale if lines.value.ndim else np.array(1.0)


def _copied(value: Any) -> Any:
    return [np.array(part) for part in value] if isinstance(value, list) else np.array(value)


def _snapshot(value: Any) -> list[Array]:
    found: list[Array] = []
    mapped({"": value}, lambda path, array, attribute: found.append(np.array(array)))
    return found


def _same(a: list[Array], b: list[Array]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def _attributes(arguments: dict[str, Any]) -> dict[str, Array]:
    """Arrays that are attributes of the objects among the arguments, by path."""
    found: dict[str, Array] = {}

    def noted(path: str, array: Array, attribute: bool) -> Array:
        if attribute:
            found[path] = np.array(array)
        return array

    for name, value in arguments.items():
        mapped(value, noted, name)
    return found


def _flat(result: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in result.items():
        if isinstance(value, dict):
            inner = _flat(value)
            found |= {
                name if names.is_gradient(name) and len(name) > 1 else f"{key}.{name}": part for name, part in inner.items()
            }
        else:
            found[str(key)] = value
    return found


def _is_array(value: Any) -> bool:
    if isinstance(value, list):
        try:
            value = np.asarray(value)
        except ValueError:
            return False
    return isinstance(value, np.ndarray | np.floating) and np.asarray(value).dtype.kind in "fi"
