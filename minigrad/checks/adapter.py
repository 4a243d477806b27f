"""A user's forward and backward pass, as they are: what goes into them, what comes out, and what is the gradient of what."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from minigrad.arguments import several, text
from minigrad.checks import names
from minigrad.checks.containers import at_path
from minigrad.checks.fusing import fuse
from minigrad.checks.global_arrays import globals_read_by, with_values
from minigrad.checks.memory import LARGE
from minigrad.checks.outputs import learnt, lines_of, stored_in, where_stored
from minigrad.checks.problem import GLOBALS, Leaf, each_array, generic, leaves
from minigrad.checks.rates import RATE, moved_in_place_by, moves_at_a_rate, written_rate
from minigrad.checks.tracing import (
    Line,
    Tape,
    Traced,
    in_double_precision,
    noticing,
    reachable,
    replaced,
    whole_numbers,
)  # fmt: skip
from minigrad.errors import ArgumentError
from minigrad.guard import Array

SLOW = 2.0**-26
"""The rate that it gets: so small that it hardly reads what it has changed."""

__all__ = ["SLOW", "Adapter", "Problem", "Traces", "name_of"]


class Traces(NamedTuple):
    """A traced forward pass: its lines, the lines of its arguments by name, and those of its outputs by name."""

    tape: Tape
    arguments: dict[str, Line]
    outputs: dict[str, Any]


class Problem(NamedTuple):
    """Values for all arrays among the arguments, gradients of the outputs from outside, and the rate to learn at."""

    values: dict[str, Array]
    upstream: dict[str, Any]
    rate: float = SLOW


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
        self.stored: dict[str, str] | None = None
        self.beside: dict[str, str] | None = None
        self.learnt: dict[int, str | None] = {}
        self.sites: dict[Any, int] = {}
        self.states: dict[int, int] = {}
        positional = list(arguments.values()) if isinstance(arguments, dict) and not _takes(forward, arguments) else arguments
        owners = [method.__self__ for method in (forward, backward) if isinstance(method, MethodType)]
        if len(owners) == 2 and owners[0] is not owners[1]:
            raise ArgumentError("check_backward: forward and backward are methods of two objects; give both of the same object")
        self.forward, self.backward = (getattr(function, "__func__", function) for function in (forward, backward))
        self.signatures = {id(function): inspect.signature(function) for function in (self.forward, self.backward)}
        if owners:
            method = self.forward if isinstance(forward, MethodType) else self.backward
            self.owner = next(iter(names.parameters_of(method)))
            positional = {self.owner: owners[0]} | (positional if isinstance(positional, dict) else _bound(forward, positional))
        self.arguments: dict[str, Any] = dict(positional) if isinstance(positional, dict) else _bound(self.forward, positional)
        self.globals = globals_read_by((self.forward, self.backward), next(iter(owners), None))
        if self.globals:
            self.arguments[GLOBALS] = self.globals
        self.leaves: list[Leaf] = leaves(self.arguments)
        if not self.leaves:
            raise ArgumentError(
                "check_backward: expected arrays of real numbers among the example arguments, got none (of numbers alone, make "
                "arrays of one entry); the arguments are those of the forward pass, in order: "
                "check_backward(forward, backward, (x, h, W))"
            )
        self.unread: frozenset[str] = frozenset()
        self.inner: frozenset[str] = frozenset()
        self.memory: frozenset[str] = frozenset()
        self.writers: dict[int, Any] = {}
        self.by_variables = False  # whether gradients are read from variables of the backward pass, as steps do not show them
        self.moves: set[str] = set()  # weights that were seen to be moved, at whatever length
        self.handed_back: set[str] = set()  # weights that the backward pass moves and returns
        self.by_moves: set[str] = set()  # weights whose gradients are what they are moved by, whatever is stored beside
        self.resumed: frozenset[str] | None = None  # states that the backward pass runs on with, as it runs the forward pass
        self.rates: list[float] = []  # at which weights were seen to be moved, where that cannot be set
        self.is_rate_set = True  # whether weights are moved at the rate that they are to be moved at
        self.added = False  # whether what is returned is added to the weights: the negative of the gradients
        self.rereads = False  # whether the backward pass was seen to read weights that it has moved already
        self.declared_outputs = (
            None
            if outputs is None
            else [text(name, "check_backward: outputs") for name in several(outputs, "check_backward: outputs", "names")]
        )
        if upstream is not None and not isinstance(upstream, Mapping):
            raise ArgumentError(f"check_backward: upstream: expected {{parameter: output}} by name, got {upstream!r:.60}")
        self.declared_upstream = dict(upstream or {})
        self.declared_returns = returns

    def learn_names(self, traces: Traces) -> None:
        """Leave out what the forward pass does not read; call what has a number alone, ``params[0]``, what that calls it."""
        read = {line for lines in traces.outputs.values() for line in (lines if isinstance(lines, list) else [lines])}
        for line in reversed(traces.tape.lines):
            if line in read:
                read.update(line.operands)
        unread = {leaf.path for leaf in self.leaves if traces.arguments[leaf.name] not in read}
        self.unread = frozenset(unread)
        self.inner = frozenset(name for line in traces.tape.lines if line.op != "argument" for name in line.names)
        learnt = {leaf.path: traces.arguments[leaf.name].names for leaf in self.leaves}
        self.leaves = leaves(self.arguments, unread)
        for k, leaf in enumerate(self.leaves):
            known = [name for name in learnt[leaf.path] if "[" not in name]
            if "[" in leaf.name and known and known[0] not in {other.name for other in self.leaves}:
                self.leaves[k] = leaf._replace(name=known[0])

    def trained(self) -> list[Leaf]:
        """What can have a gradient: not where one is put, nor what is left of a call before, unread by the forward pass."""
        return [
            leaf
            for leaf in self.leaves
            if not leaf.store and (leaf.path not in self.unread or "." not in leaf.path or names.is_parameter(leaf.name))
        ]

    # ---------------------------------------------------------------- running the forward pass

    def filled(self, value_of: Callable[[Leaf], Any], others: Callable[[Array], Any] = np.copy) -> dict[str, Any]:
        """The arguments with other values in the place of the arrays of real numbers, and ``others`` of those of others."""
        by_path = {leaf.path: leaf for leaf in self.leaves}
        return each_array(self.arguments, lambda path, array, attribute: value_of(by_path[path]), others)

    def called(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """What ``function`` returns for arguments by name."""
        with with_values(self.reached, self.globals, arguments.get(GLOBALS, {})):
            return self._called(function, arguments)

    def _called(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        signature = self.signatures[id(function)]  # of one of the two passes
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

    def made(self, arguments: dict[str, Any]) -> Any:
        """What the forward pass returns; where it returns nothing, what it stores in its object that is its outputs."""
        result = self.called(self.forward, arguments)
        if result is not None:
            return result
        if self.stored is None:
            wanted = self.declared_outputs or [*self.declared_upstream.values()]
            wanted = wanted or [names.stem(name) for name in names.parameters_of(self.backward) if names.is_gradient(name)]
            self.stored = where_stored(arguments, wanted, name_of(self.forward))
        return {name: at_path(arguments, path) for name, path in self.stored.items()}

    def traced(self, values: Mapping[str, Array]) -> Traces:
        """The forward pass for these values, line by line."""
        tape = Tape(self.sites)
        stand_ins: dict[str, Traced] = {}

        def stand_in(leaf: Leaf) -> Traced:
            stand_ins[leaf.name] = tape.leaf(np.array(values[leaf.name]), leaf.name)
            return stand_ins[leaf.name]

        arguments = self.filled(stand_in, lambda array: whole_numbers(array.copy()))
        lines = {name: stand_in.line for name, stand_in in stand_ins.items()}
        result = tape.run(lambda: self.made(arguments), self.users())
        fuse(tape)
        declared = [what for what in self.declared_upstream.values() if isinstance(what, str)]
        outputs = {
            name: lines_of(value, self.wants(name), name in declared)
            for name, value in self.outputs_of(result, arguments).items()
        }
        differentiable = {name: value for name, value in outputs.items() if value is not None}
        if not differentiable:
            raise ArgumentError(
                "check_backward: nothing that the forward pass returns depends on its arguments by operations that can be "
                "followed; does it return the outputs, and not float(loss)?"
            )
        return Traces(tape, lines, differentiable)

    def named_outputs(self, result: Any) -> dict[str, Any]:
        """What the forward pass returns, by what its code calls it."""
        if isinstance(result, dict) and all(isinstance(key, str) for key in result):
            return dict(result)
        if hasattr(result, "_fields"):
            return dict(zip(result._fields, result, strict=True))
        writer = self.writer_of(self.forward) if isinstance(result, tuple) else self.forward
        called: Sequence[str | None] = self.declared_outputs or names.returned_names(writer) or []
        is_one = isinstance(result, list) and len(called) == 1 and all(hasattr(part, "shape") for part in result)
        parts = list(result) if isinstance(result, tuple | list) and not is_one else [result]
        if len(called) != len(parts):
            called = [None] * len(parts)
        found: dict[str, Any] = {}
        for k, (name, part) in enumerate(zip(called, parts, strict=True)):
            self.learnt[k] = learnt(part) or self.learnt.get(k)
            label = name or self.learnt[k] or ("output" if len(parts) == 1 else f"output {k}")
            found[label if label not in found else f"{label} ({k})"] = part
        return found

    def outputs_of(self, result: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the forward pass returns, and what it stores in its object whose gradient the backward pass wants besides.

        ``self.c``, say, where it returns h and the backward pass has a parameter ``dc_next``.
        """
        plain = self.named_outputs(result)
        if self.beside is None:
            parameters = [name for name in names.parameters_of(self.backward) if name not in self.declared_upstream]
            wanted = [names.stem(name) for name in parameters if names.is_gradient(name) and not names.is_upstream(name)]
            missing = [name for name in wanted if not names.match([name], [*plain], lambda a, b: True)]
            owned = {name: value for name, value in arguments.items() if name == self.owner}
            self.beside = stored_in(owned, missing, [*plain]) if len(wanted) > 1 and missing else {}
        return plain | {name: at_path(arguments, path) for name, path in self.beside.items()}

    def writer_of(self, function: Any) -> Any:
        """The function that says how what this one returns is called: another one, where its results are handed on."""
        if id(function) not in self.writers:
            called = names.hands_on(function)
            found = [f for f in reachable(self.users()) if f.__name__ == called and f is not function] if called else []
            self.writers[id(function)] = found[0] if len(found) == 1 else function
        return self.writers[id(function)]

    def wants(self, name: str) -> bool:
        """Whether the backward pass has a parameter for the gradient of this output: ``d_state`` of ``state``."""
        stems = [names.stem(parameter) for parameter in names.parameters_of(self.backward) if names.is_gradient(parameter)]
        return bool(names.match(stems, [name], lambda a, b: True))

    def values(self, seed: int, as_given: bool = False) -> dict[str, Array]:
        """Values for all arrays among the arguments: random ones of the example's shapes.

        The example's own where the forward pass does not read them and they are empty: the moments of an optimiser.
        """
        rng = np.random.default_rng([2026, seed])
        drawn = {leaf.name: np.array(leaf.value, float) if as_given else generic(leaf, rng) for leaf in self.leaves}
        for leaf in self.leaves:
            if leaf.path in self.unread and not leaf.value.any():
                drawn[leaf.name] = np.full(leaf.value.shape, LARGE if leaf.name in self.memory else 0.0)
        return drawn

    def problem(self, values: dict[str, Array], traces: Traces, seed: int, scale: float = 1.0) -> Problem:
        """These values, and random gradients of the outputs, times ``scale``; 1 for a loss.

        The smaller they are, the higher is the rate: a step that is lost beside its weight tells nothing.
        """
        rng = np.random.default_rng([2027, seed])
        upstream = {name: _random_like(lines, rng, scale) for name, lines in traces.outputs.items()}
        return Problem(values, upstream, SLOW * self.shrinking / scale)

    @property
    def shrinking(self) -> float:
        """By how much updates are smaller than the rate times the gradient, beside a memory that is large."""
        return float(np.sqrt(LARGE)) if self.memory else 1.0

    def with_arguments(self, arguments: dict[str, Any]) -> Adapter:
        """The same for another example."""
        other = copy.copy(self)
        other.arguments = arguments
        called = {leaf.path: leaf for leaf in self.leaves}
        other.leaves = [
            leaf._replace(name=called[leaf.path].name, store=called[leaf.path].store) if leaf.path in called else leaf
            for leaf in leaves(arguments, self.unread)
        ]
        return other

    def sources(self) -> dict[str, Any]:
        """Everything that the forward pass is given, by name."""
        return self.arguments | {leaf.name: leaf for leaf in self.leaves}

    @cached_property
    def reached(self) -> tuple[FunctionType, ...]:
        """All functions of the user's that his passes may run, where they read variables from outside."""
        return tuple(reachable(self.users())) if self.globals else ()

    @cached_property
    def does_both(self) -> bool:
        """Whether the forward pass runs the backward pass too: one function does both, or one around it is the forward pass."""
        if self.backward is self.forward:
            return True
        ran = False

        def noticed(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal ran
            ran = ran or frame.f_code is getattr(self.backward, "__code__", None)

        with noticing(noticed), replaced(self.users(), in_double_precision):
            self.called(self.forward, self.filled(lambda leaf: np.array(leaf.value, float)))
        return ran

    @cached_property
    def movers(self) -> tuple[FunctionType, ...]:
        """Those of the user's functions that move weights at a rate that is a default: ``def backward(self, g, lr=0.1)``."""
        return tuple(function for function in reachable(self.users()) if moves_at_a_rate(function))

    @cached_property
    def written_rate(self) -> float | None:
        """The number that is written where weights are moved, if it is one."""
        return written_rate(function for function in reachable(self.users()) if isinstance(function, FunctionType))

    @cached_property
    def global_rates(self) -> tuple[tuple[dict[str, Any], str], ...]:
        """The rates that are global names: of the backward pass, and of the user's functions that move weights by them."""
        found: dict[tuple[int, str], tuple[dict[str, Any], str]] = {}
        functions: set[Any] = {self.backward, *reachable(self.users())}
        for function in functions:
            space: dict[str, Any] = getattr(function, "__globals__", {})
            called = {name for name in (function.__code__.co_names if space else ()) if RATE.match(name)}
            called = {name for name in called if isinstance(space.get(name), int | float)}
            if function is not self.backward and called:
                called &= moved_in_place_by(function)
            found |= {(id(space), name): (space, name) for name in called}
        return tuple(found.values())

    def users(self) -> list[Any]:
        """The user's functions, and the classes of the objects among the arguments."""
        owners = [type(value) for value in self.arguments.values() if hasattr(value, "__dict__")]
        return [self.forward, self.backward, *owners]

    def by_leaf(self, arguments: dict[str, Any]) -> dict[str, Array]:
        """The arrays among the arguments, by the names of the leaves."""
        found: dict[str, Array] = {}
        paths = {leaf.path: leaf.name for leaf in self.leaves}
        each_array(arguments, lambda path, array, attribute: found.setdefault(paths.get(path, path), array))
        for leaf in self.leaves:  # the state after the last step is in a list of states, too, and found there
            if leaf.name not in found and isinstance(array := at_path(arguments, leaf.path), np.ndarray):
                found[leaf.name] = array
        return found


def _takes(function: Any, arguments: Mapping[str, Any]) -> bool:
    return set(arguments) <= set(names.parameters_of(function))


def _bound(function: Any, arguments: Any) -> dict[str, Any]:
    """Arguments in order, by name."""
    if not isinstance(arguments, tuple | list):
        arguments = (arguments,)
    try:
        return dict(inspect.signature(function).bind(*arguments).arguments)
    except TypeError as error:
        raise ArgumentError(f"check_backward: the example arguments do not fit {name_of(function)}: {error}") from None


def name_of(function: Any) -> str:
    """What a function is called, with brackets."""
    return f"{getattr(function, '__name__', repr(function))}()"


def _random_like(lines: Any, rng: np.random.Generator, scale: float) -> Any:
    if isinstance(lines, list):
        return [_random_like(line, rng, scale) for line in lines]
    return rng.standard_normal(lines.value.shape) * scale if lines.value.ndim else np.array(1.0)
