"""derive: the backward pass of a step, written out."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad import pytree
from minigrad.errors import ArgumentError, GraphError, ShapeError
from minigrad.loops.differentiate import differentiate
from minigrad.loops.explain import advised
from minigrad.loops.program import CARRY, CONST, XS, CannotCompile, Line, Program, Ref, Value
from minigrad.loops.trace import Trace
from minigrad.scope import no_grad
from minigrad.steps import PREVIOUS, field_of, is_cell, part_names, step_of, tensors_of
from minigrad.tensor import Tensor

from .apart import apart
from .backward import Backward
from .forward import Forward
from .naming import Names
from .observing import Observer
from .parameters import Known, Parameter, attributes, by_gate, parameters_of
from .recognising import recognised

__all__ = ["Example", "named", "selected", "traced"]


@dataclass(frozen=True)
class Example:
    """A step that has been traced, with what its parts are called; and whether no axis is as long as that of the examples."""

    program: Program
    parameters: tuple[Parameter, ...]
    x: tuple[str, ...]
    state: tuple[str, ...]
    ys: tuple[str, ...]
    title: str
    is_clear: bool = False


def traced(cell_or_step: Any, x: Any, state: Any) -> Example:
    """Run a step once, and take its program apart into gates.

    Raises:
        ArgumentError, DTypeError: as for `derive`.
        GraphError: the step is not a program that is the same at every time.
    """
    step = step_of(cell_or_step, "derive")
    x, state = _example(cell_or_step, x, state)

    with no_grad():
        step(state, x)
    try:
        observer, trace = _noted(cell_or_step, step, x, state)
    except CannotCompile as reason:
        raise GraphError(
            f"derive: the step is not the same program at every time: {advised(str(reason))}. A derivation can be "
            "written of a step that is made of operations on tensors alone"
        ) from None
    is_clear = not _is_ambiguous(trace.program)
    if not is_clear:
        with contextlib.suppress(CannotCompile):
            observer, trace = _noted(cell_or_step, step, *_with_more_examples(x, state, trace.program))
            is_clear = True
    variables = [[observer.leaves.get(leaf, "") for leaf in leaves] for leaves in (trace.carry, trace.xs)]
    known = Known.by(observer.leaves, observer.arrays, attributes(cell_or_step))
    title = str(getattr(cell_or_step, "label", None) or getattr(cell_or_step, "__name__", type(cell_or_step).__name__))
    example = named(
        trace,
        "step" if title == "<lambda>" else title,
        _names_of_x(x, variables[1]),
        _names_of_state(cell_or_step, state, variables[0]),
        known,
        getattr(cell_or_step, "blocks", None) or {},
    )
    return replace(example, is_clear=is_clear)


def _noted(cell_or_step: Any, step: Any, x: Any, state: Any) -> tuple[Observer, Trace]:
    """The trace of a step, and the names in its code."""

    def flat(parts: list[Tensor], rows: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new, y = step(pytree.rebuilt(state, parts), pytree.rebuilt(x, rows))
        return tensors_of(pytree.ends(new)), tensors_of(pytree.ends(y))

    carry, xs = ([end.numpy() for end in pytree.ends(tree)] for tree in (state, x))
    with Observer(cell_or_step) as observer:
        return observer, Trace(flat, carry, xs, [None] * len(xs))


def _is_ambiguous(program: Program) -> bool:
    """Whether the first axis of inputs and states, that of the examples, is as long as another axis of something."""
    firsts = {value.shape[:1] for value in (*program.xs, *program.carry)}
    if len(firsts) != 1 or firsts == {()}:
        return False
    ((examples,),) = firsts
    varying: list[Value | Line] = [*program.xs, *program.carry, *program.lines]
    others = {size for value in varying for size in value.shape[1:]}
    return examples in others | {size for value in program.consts for size in value.shape}


def _with_more_examples(x: Any, state: Any, program: Program) -> tuple[Any, Any]:
    """The input and the state with so many examples as no other axis has entries."""
    values: list[Value | Line] = [*program.xs, *program.carry, *program.consts, *program.lines]
    sizes = {size for value in values for size in value.shape}
    examples = next(number for number in itertools.count(2) if number not in sizes)

    def more(end: Tensor) -> Tensor:
        return Tensor(np.resize(end.numpy(), (examples, *end.shape[1:])), name=end.name)

    return pytree.mapped(more, x), pytree.mapped(more, state)


def named(
    trace: Trace, title: str, x: tuple[str, ...], state: tuple[str, ...], known: Known, declared: dict[str, Any]
) -> Example:
    """A step that has been traced, its gates taken apart, with names.

    Args:
        trace: the trace.
        title: what the step is called.
        x, state: what the inputs and the parts of the state are called.
        known: names of parameters and arrays.
        declared: for parameters that hold several matrices the names of these, each with its index.
    """
    program, blocks = apart(recognised(trace.program))
    outputs = tuple(f"y_{k}" if len(program.ys) > 1 else "y" for k in range(1, len(program.ys) + 1))
    return Example(program, parameters_of(trace, program, blocks, known, declared), x, state, outputs, title)


def _example(cell_or_step: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """The input and the state to trace with, as Tensors."""
    if x is None:
        size = getattr(cell_or_step, "input_size", None)
        if not isinstance(size, int):
            raise ArgumentError(
                "derive: expected an example of one step's input, such as derive(cell, x=np.zeros((B, D))); only a cell with "
                "an input_size can do without"
            )
        x = np.full((2, size), 0.5)
    x = tensors_of(x)
    if state is None:
        if not is_cell(cell_or_step):
            raise ArgumentError("derive: of a function, an example of the state must be given: derive(step, x, state)")
        with no_grad():
            state = cell_or_step.initial_state(_batch_of(x))
    return x, tensors_of(state)


def _batch_of(x: Any) -> int:
    """B of an input (B, D)."""
    shapes: list[tuple[int, ...]] = [part.shape for part in pytree.ends(x)]
    if not shapes or not shapes[0]:
        raise ShapeError(f"derive: expected an example of one step's input, such as np.zeros((B, D)), got shapes {shapes}")
    return shapes[0][0]


def _names_of_x(x: Any, variables: Sequence[str]) -> tuple[str, ...]:
    """The inputs under the names that they were given with, or those of the step's variables."""
    ends, names = list(pytree.named_ends((x,))), Names()
    found = []
    for k, ((path, end), variable) in enumerate(zip(ends, variables, strict=True), start=1):
        found.append(names.new(end.name or field_of(path) or variable or ("x" if len(ends) == 1 else f"x_{k}")))
    return tuple(found)


def _names_of_state(cell_or_step: Any, state: Any, variables: Sequence[str]) -> tuple[str, ...]:
    """The parts of the state under their names; those that have none under the names of the step's variables."""
    found = part_names(cell_or_step, state)
    is_numbered = [name == "h" if len(found) == 1 else name == f"h_{k}" for k, name in enumerate(found, start=1)]
    plain = [PREVIOUS.sub("", variable) for variable in variables]
    if all(is_numbered) and all(plain) and len(set(plain)) == len(plain) and not set(plain) & {"state", "carry"}:
        return tuple(plain)
    return tuple(found)


def selected(example: Example) -> tuple[Forward, Backward, tuple[Parameter, ...]]:
    """The values and gradients of a step that has been traced, and its parameters, with their names."""
    program = example.program
    wanted = [Ref(CONST, k) for k, value in enumerate(program.consts) if value.requires_grad]
    wanted += [Ref(XS, k) for k, value in enumerate(program.xs) if value.dtype.kind == "f"]
    wanted += [Ref(CARRY, k) for k, value in enumerate(program.carry) if value.dtype.kind == "f"]
    try:
        derivative = differentiate(program, wanted, range(len(program.new_carry)), range(len(program.ys)))
    except CannotCompile as reason:
        raise GraphError(f"derive: the derivative is not the same program at every time: {reason}") from None

    operands = {ref for line in derivative.program.lines for ref in line.operands if ref.kind == XS}
    needed = {residual for k, residual in enumerate(derivative.residuals) if Ref(XS, k) in operands}
    needed |= {part.a for part in derivative.contributions if part.a is not None}

    def written(parameters: Sequence[Parameter]) -> tuple[Forward, Backward]:
        consts = [parameter.written or parameter.name for parameter in parameters]
        forward = Forward(program, needed, example.x, example.state, consts, example.ys)
        return forward, Backward(forward, derivative)

    forward, backward = written(example.parameters)
    parameters = by_gate(example.parameters, forward)
    if parameters != example.parameters:
        forward, backward = written(parameters)
    return forward, backward, parameters
