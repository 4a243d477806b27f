"""derive: the backward pass of a step, written out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad import pytree
from minigrad.errors import ArgumentError, GraphError, ShapeError
from minigrad.guard import Array
from minigrad.loops.differentiate import differentiate
from minigrad.loops.program import CARRY, CONST, XS, CannotCompile, Program, Ref
from minigrad.loops.trace import Const, Trace
from minigrad.scope import no_grad
from minigrad.steps import field_of, is_cell, part_names, step_of, tensors_of
from minigrad.tensor import Tensor

from .apart import Block, Cut, apart
from .backward import Backward
from .expression import ends
from .forward import Forward
from .naming import Names
from .observing import Observer
from .recognising import with_sigmoids

__all__ = ["Example", "Parameter", "named", "selected", "traced"]


@dataclass(frozen=True)
class Parameter:
    """A parameter as the formulas know it.

    Attributes:
        name: what the formulas call it.
        key: the array that it is, or is a part of.
        cut: which part: the axis, its first entry, and the first that does not belong to it; None for all of it.
        size: the length of the whole array along that axis.
        wants: whether it has a gradient.
        tensor: the tensor that it is, or is a part of, in the code.
        index: which part of that tensor.
    """

    name: str
    key: str
    cut: Cut | None
    size: int
    wants: bool
    tensor: Any = field(default=None, repr=False, compare=False)
    index: tuple[slice, ...] = ()


@dataclass(frozen=True)
class Example:
    """A step that has been traced, with what its parts are called."""

    program: Program
    parameters: tuple[Parameter, ...]
    x: tuple[str, ...]
    state: tuple[str, ...]
    ys: tuple[str, ...]
    title: str


def traced(cell_or_step: Any, x: Any, state: Any) -> Example:
    """Run a step once, and take its program apart into gates.

    Raises:
        ArgumentError, DTypeError: as for `derive`.
        GraphError: the step is not a program that is the same at every time.
    """
    step = step_of(cell_or_step, "derive")
    x, state = _example(cell_or_step, x, state)

    def flat(parts: list[Tensor], rows: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new, y = step(pytree.rebuilt(state, parts), pytree.rebuilt(x, rows))
        return tensors_of(pytree.ends(new)), tensors_of(pytree.ends(y))

    with no_grad():
        step(state, x)
    observer = Observer(cell_or_step)
    carry, xs = ([end.numpy() for end in pytree.ends(tree)] for tree in (state, x))
    try:
        with observer:
            trace = Trace(flat, carry, xs, [None] * len(xs))
    except CannotCompile as reason:
        raise GraphError(
            f"derive: the step is not the same program at every time: {reason}. A derivation can be written of a step that is "
            "made of operations on tensors alone"
        ) from None
    variables = [[observer.leaves.get(leaf, "") for leaf in leaves] for leaves in (trace.carry, trace.xs)]
    known = observer.leaves | {id(tensor): name for name, tensor in _attributes(cell_or_step)}
    title = str(getattr(cell_or_step, "label", None) or getattr(cell_or_step, "__name__", type(cell_or_step).__name__))
    return named(
        trace,
        "step" if title == "<lambda>" else title,
        _names_of_x(x, variables[1]),
        _names_of_state(cell_or_step, state, variables[0]),
        known,
        getattr(cell_or_step, "blocks", None) or {},
    )


def named(
    trace: Trace, title: str, x: tuple[str, ...], state: tuple[str, ...], known: dict[Any, str], declared: dict[str, Any]
) -> Example:
    """A step that has been traced, its gates taken apart, with names.

    Args:
        trace: the trace.
        title: what the step is called.
        x, state: what the inputs and the parts of the state are called.
        known: names of parameters, by their nodes or by the identities of their tensors.
        declared: for parameters that hold several matrices the names of these, each with its index.
    """
    program, blocks = apart(with_sigmoids(trace.program))
    outputs = tuple(f"y_{k}" if len(program.ys) > 1 else "y" for k in range(1, len(program.ys) + 1))
    return Example(program, _parameters(trace, program, blocks, known, declared), x, state, outputs, title)


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


PREVIOUS = re.compile("_?(previous|prev|old|last|tm1)_?|_t$|_0$")
"""What in the name of a variable says that it is the state before, or at which time."""


def _parameters(
    trace: Trace, program: Program, blocks: Sequence[Block], known: dict[Any, str], declared: dict[str, Any]
) -> tuple[Parameter, ...]:
    """The consts under the names that the code has for them; blocks of stacked gates under the names of the gates."""
    names, keys, found = Names(), dict[int, str](), []
    for value, block in zip(program.consts, blocks, strict=True):
        const = trace.consts[block.const]
        if value.number is not None:
            found.append(Parameter(f"{value.number:g}", "", None, 0, False))
            continue
        if block.const not in keys:
            fallback = {0: "a", 1: "b", 2: "W"}.get(len(value.shape), "A")
            keys[block.const] = names.new(value.name or known.get(id(const)) or known.get(_node_of(const)) or fallback)
        key = keys[block.const]
        whole = np.shape(const._array) if const is not None else value.shape
        part = np.arange(np.prod(whole)).reshape(whole)[block.index]
        gate = next((gate for gate, index in declared.get(key, {}).items() if _is_same(part, whole, index)), None)
        if gate is not None:
            found.append(Parameter(gate, gate, None, 0, value.requires_grad, const, block.index))
        elif block.cut is None:
            found.append(Parameter(key, key, None, 0, value.requires_grad, const))
        else:
            axis, start, stop = block.cut
            name = f"{key}[{start}:{stop}]"
            found.append(Parameter(name, key, block.cut, whole[axis], value.requires_grad, const, block.index))
    return tuple(found)


def _node_of(const: Const) -> Any:
    """The node of a const, if it has one."""
    return None if const is None else const._node


def _is_same(part: Array, whole: tuple[int, ...], index: Any) -> bool:
    """Whether an index of an array of that shape gives the part, whose entries are numbered."""
    return np.array_equal(np.arange(np.prod(whole)).reshape(whole)[index], part)


def _attributes(cell_or_step: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors that a cell has as attributes, or a function from around it, with their names."""
    named = getattr(cell_or_step, "named_parameters", None)
    if callable(named):
        yield from named()
    if inspect.isfunction(cell_or_step):
        around = inspect.getclosurevars(cell_or_step)
        yield from _held({**around.globals, **around.nonlocals}, "", 2)
    else:
        yield from _held(getattr(cell_or_step, "__dict__", {}), "", 2)


def _held(holder: Any, path: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a dict, a list, or the attributes of an object, and in what these hold, to some depth."""
    if isinstance(holder, list | tuple):
        holder = {str(number): entry for number, entry in enumerate(holder)}
    for name, value in holder.items() if isinstance(holder, dict) else ():
        if isinstance(value, Tensor):
            yield f"{path}{name}", value
        elif depth and not inspect.ismodule(value) and not isinstance(value, type):
            inner = value if isinstance(value, dict | list | tuple) else getattr(value, "__dict__", {})
            is_bag = isinstance(value, dict) and not path
            yield from _held(inner, path if is_bag else f"{path}{name}_", depth - 1)


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
        names = [parameter.name for parameter in parameters]
        forward = Forward(program, needed, example.x, example.state, names, example.ys)
        return forward, Backward(forward, derivative)

    forward, backward = written(example.parameters)
    parameters = _by_gate(example.parameters, forward)
    if parameters != example.parameters:
        forward, backward = written(parameters)
    return forward, backward, parameters


def _by_gate(parameters: Sequence[Parameter], forward: Forward) -> tuple[Parameter, ...]:
    """Blocks that have no name of their own under that of the value whose line uses them first."""
    used: dict[str, str] = {}
    for line in forward.lines():
        for symbol in ends(line.formula):
            used.setdefault(symbol.name, forward.gates.get(line.symbol, line.symbol.name))
    names, found = Names(parameter.name for parameter in parameters if parameter.cut is None), []
    for parameter in parameters:
        if parameter.cut is not None:
            gate = used.get(parameter.name, "")
            parameter = replace(parameter, name=names.new(f"{parameter.key}_{gate}" if gate else parameter.key))
        found.append(parameter)
    return tuple(found)
