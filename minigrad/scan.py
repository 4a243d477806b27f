"""scan: the loop over time as one function, for any carry. It is the primitive: everything that is unrolled goes this way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import ops, pytree
from minigrad.errors import ArgumentError, DTypeError, MinigradError, ShapeError
from minigrad.flags import flag
from minigrad.graph import Leaf, Operation
from minigrad.loops import CannotCompile, execute, note, without_effects
from minigrad.reporting import reports_underflow
from minigrad.scope import current_place, no_grad, state, time_step
from minigrad.steps import argument_names, code_of
from minigrad.tensor import Tensor
from minigrad.turned import weights_turned

__all__ = ["scan"]


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """``carry_t, y_t = f(carry_{t−1}, x_t)`` for t = 1 … T, each step recorded under its time step t (C4; JAX's signature).

    What it computes is this loop::

        def scan(f, init, xs):
            carry, ys = init, []
            for t in range(1, len(xs) + 1):
                with time_step(t):
                    carry, y = f(carry, xs[t - 1])
                ys.append(y)
            return carry, stack(ys)

    The contract is JAX's: **f is pure**. It depends on its arguments and on what is the same at every step, and does nothing
    but return its result. So it is traced, once, on Tensors that stand for the carry and the slice of one step, and the loop
    is compiled (`minigrad.loops`): the same numbers up to rounding, the same graph, far faster. An f that reads the values
    of a tensor in Python (``if h.item() > 0``), or uses an operation that cannot be compiled, is run step by step, as above;
    `explain_loop` says why. An f that is seen not to be pure is an error.

    Args:
        f: one step. It takes the carry and one slice of ``xs`` and returns the new carry and an output (None for none).
        init: the carry before the first step: a Tensor or an array, or a pytree of them (tuples, NamedTuples such as
            LSTMState, lists, dicts).
        xs: a Tensor or an array whose first axis is time, such as (T, B, D), or a pytree of them; x_t is ``xs[t − 1]``.
            None if there is no input; then ``length`` says how many steps there are.
        length: T, if there is no ``xs``.
        reverse: go from t = T to t = 1. Outputs still stand at their own t.

    Returns:
        The last carry, and the outputs of all steps: a pytree like the output of one step, each Tensor with a first axis
        of length T. For T = 0 the carry is ``init``; to know the shapes of the outputs, ``f`` is called once, with
        zeros, and not recorded.

    Raises:
        ShapeError: the parts of ``xs`` are of different lengths, or a part of the carry changes its shape.
        DTypeError: ``f`` is not a function.
        ArgumentError: the number of steps is not known or contradictory, ``f`` does not return a pair, or the carry or
            the output changes its structure.
        PurityError: ``f`` is not pure: it kept a tensor, or does another thing at the last step than at the first.

    >>> h, hs = scan(lambda h, x: (h + x, h * x), Tensor(0.0), np.array([1.0, 2.0, 3.0]))
    >>> h.item(), hs.tolist()
    (6.0, [0.0, 2.0, 9.0])
    """
    if not callable(f):
        raise DTypeError(f"scan: expected a function first, got {f!r:.60}")
    inputs = _called(xs, argument_names(f, 1, xs), "input")
    T = _length(inputs, length)
    times = range(T, 0, -1) if flag(reverse, "scan: reverse") else range(1, T + 1)
    with time_step(T + 1 if reverse else 0):
        carry = _called(init, argument_names(f, 0, init), "initial state")
    if T == 0:
        return carry, _no_outputs(f, carry, inputs)
    reason = plain_reason()
    if reason is None:
        try:
            return _compiled(f, carry, inputs, times)
        except CannotCompile as ended:
            reason = str(ended)
    note("scan", T, reason=reason)
    return _step_by_step(f, carry, inputs, times)


def plain_reason() -> str | None:
    """Why no loop may be compiled now; None if it may."""
    if state.detector is not None:
        return "detect_anomaly looks at every operation"
    if state.tracer is not None:
        return "it is inside a function that is being traced"
    if reports_underflow():
        return "NumPy is told to report underflow, and where that happens depends on the order of operations"
    return None


def _step_by_step(f: Callable[[Any, Any], Any], carry: Any, inputs: Any, times: range) -> tuple[Any, Any]:
    """The loop as it is written."""
    sequences, names = pytree.ends(inputs), argument_names(f, 1, inputs)
    outputs: list[list[Any]] = [[]] * len(times)
    template: Any = None
    with weights_turned():
        for t in times:
            with time_step(t):
                x = pytree.rebuilt(inputs, [part[t - 1].named(name) for part, name in zip(sequences, names, strict=True)])
                carry, y = _step(f, carry, x, f"scan, time step {t}")
            if template is None:
                template = pytree.mapped(_tensor, y)
            outputs[t - 1] = pytree.like(template, y, f"scan, time step {t}: the output")
    return carry, pytree.rebuilt(template, [ops.stack(list(column)) for column in zip(*outputs, strict=True)])


def _compiled(f: Callable[[Any, Any], Any], carry: Any, inputs: Any, times: range) -> tuple[Any, Any]:
    """The loop, compiled. Raises CannotCompile where it has to be run step by step."""
    output: Any = None

    def flat(parts: list[Tensor], rows: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        nonlocal output
        old, x = pytree.rebuilt(carry, parts), pytree.rebuilt(inputs, rows)
        new, y = without_effects(f, (), _step, f, old, x, "scan", carry=given)
        output = pytree.mapped(lambda _: 0, y)
        return pytree.ends(new), [_tensor(end) for end in pytree.ends(y)]

    given, sequences = pytree.ends(carry), pytree.ends(inputs)
    names = argument_names(f, 1, inputs)
    final, ys = execute(flat, given, sequences, times, names, what="scan", key=code_of(f))
    return pytree.rebuilt(carry, final), pytree.rebuilt(output, ys)


def _step(f: Callable[[Any, Any], Any], carry: Any, x: Any, where: str) -> tuple[Any, Any]:
    """One call of ``f``, checked: the new carry must be like the old one."""
    try:
        returned = f(carry, x)
    except MinigradError as error:
        error.add_note(f"in {where}")
        raise
    if not isinstance(returned, tuple) or len(returned) != 2:
        got = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
        raise ArgumentError(f"{where}: expected f to return the pair (carry, output), got {got}")
    parts = [_tensor(end) for end in pytree.like(carry, returned[0], f"{where}: the carry")]
    for (path, old), new, name in zip(pytree.named_ends((carry,)), parts, argument_names(f, 0, carry), strict=True):
        if isinstance(new._node, Operation) and new._node.name is None and new is not old:
            new.named(name)
        if new.shape != old.shape:
            raise ShapeError(f"{where}: the carry{path[3:]} must keep its shape {old.shape}, got {new.shape}")
    return pytree.rebuilt(carry, parts), returned[1]


def _length(inputs: Any, length: int | None) -> int:
    lengths = {}
    for path, sequence in pytree.named_ends((inputs,)):
        if sequence.ndim == 0:
            raise ShapeError(f"scan: xs{path[3:]} must have a first axis, which is time, got shape ()")
        lengths[path[3:]] = len(sequence)
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"xs{path} has {steps}" for path, steps in lengths.items())
        raise ShapeError(f"scan: all parts of xs must have the same number of time steps: {listed}")
    known = set(lengths.values())
    if length is None:
        if not known:
            raise ArgumentError("scan: without xs, length must say how many steps there are")
        return known.pop()
    if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 0:
        raise ArgumentError(f"scan: expected a length that is an integer ≥ 0, got {length!r}")
    if known - {length}:
        raise ArgumentError(f"scan: xs has {known.pop()} time steps, but length is {length}")
    return int(length)


def _no_outputs(f: Callable[[Any, Any], Any], carry: Any, inputs: Any) -> Any:
    """The outputs of no steps: their structure and shapes are those of a step from zeros."""
    with no_grad():
        x = pytree.mapped(lambda sequence: Tensor(np.zeros(sequence.shape[1:], sequence.dtype)), inputs)
        _, y = _step(f, carry, x, "scan, the step that shows the shapes of the outputs")
    return pytree.mapped(lambda end: Tensor(np.zeros((0, *_tensor(end).shape), _tensor(end).dtype)), y)


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def _called(tree: Any, names: Sequence[str], role: str) -> Any:
    """The pytree with Tensors at its ends. Arrays, and Tensors that are no results, have the names that the step has for
    them, if they have no others."""
    parts = pytree.ends(pytree.mapped(_tensor, tree))
    for part, name in zip(parts, names, strict=True):
        node = part._node
        if node is None:
            node = part.named(name)._node
        if isinstance(node, Leaf):
            node.name, node.role = node.name or name, node.role or role
            if node.place.time is None and role == "initial state":
                node.place = current_place()
    return pytree.rebuilt(tree, parts)
