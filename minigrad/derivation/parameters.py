"""What the formulas call the parameters of a step, and other arrays that are the same at every time."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from minigrad.graph import Node
from minigrad.guard import Array
from minigrad.loops.program import Program, Value
from minigrad.loops.trace import ABSENT, Const, Trace
from minigrad.recording import Constant
from minigrad.tensor import Tensor

from .algebra import subtract
from .apart import Block, Cut
from .arrays import transpose
from .constants import small, structured
from .expression import ONE, Expr, Symbol, atom, ends, number
from .forward import Forward
from .naming import Names

__all__ = ["Known", "Parameter", "attributes", "by_gate", "parameters_of"]


@dataclass(frozen=True)
class Parameter:
    """A parameter as the formulas know it, or an array of constants.

    Attributes:
        name: what the formulas call it.
        key: the array that it is, or is a part of; "" of a constant that needs no name.
        cut: which part: the axis, its first entry, and the first that does not belong to it; None for all of it.
        size: the length of the whole array along that axis.
        wants: whether it has a gradient.
        tensor: the tensor that it is, or is a part of, in the code.
        index: which part of that tensor.
        written: the formula of a constant that needs no name.
    """

    name: str
    key: str
    cut: Cut | None = None
    size: int = 0
    wants: bool = False
    tensor: Any = field(default=None, repr=False, compare=False)
    index: tuple[slice, ...] = ()
    written: Expr | None = field(default=None, repr=False)


class Known(NamedTuple):
    """Names that the code has for parameters, by their nodes or by the identities of their tensors; and for constants."""

    names: dict[Any, str]
    arrays: dict[str, Array]

    @classmethod
    def by(cls, leaves: dict[Node, str], seen: dict[str, Array], held: Iterable[tuple[str, Tensor | Array]]) -> Known:
        """What the variables of a step held, and the attributes of a cell."""
        held, arrays = list(held), dict(seen)
        for name, value in held:
            if not getattr(value, "_wants", False):
                arrays[name] = value._array if isinstance(value, Tensor) else value
        return cls({**leaves, **{id(value): name for name, value in held}}, arrays)

    def of(self, const: Const) -> str | None:
        """The name of a parameter."""
        return self.names.get(id(const)) or self.names.get(const._node)

    def constant(self, array: Array) -> tuple[str, Array, Callable[[Expr], Expr]] | None:
        """The name of a constant, which is known by its entries; the array that has it, and what the constant is of that."""
        ways: list[tuple[Array, Callable[[Expr], Expr]]] = [(array, lambda a: a), (array.T, transpose)]
        ways += [(1 - array, lambda a: subtract(ONE, a))] if array.dtype.kind == "f" else []
        for other, way in ways:
            for name, known in self.arrays.items():
                if known.dtype == array.dtype and np.array_equal(known, other):
                    return name, known, way
        return None


def parameters_of(
    trace: Trace, program: Program, blocks: Sequence[Block], known: Known, declared: dict[str, Any]
) -> tuple[Parameter, ...]:
    """The consts under the names that the code has for them; blocks of stacked gates under the names of the gates."""
    own = {block.const: value.name for value, block in zip(program.consts, blocks, strict=True)}
    often = Counter(own.values())
    names, keys, found = Names(), dict[int | str, str](), list[Parameter]()
    for value, block in zip(program.consts, blocks, strict=True):
        const = trace.consts[block.const]
        if value.number is not None:
            found.append(Parameter("", "", written=number(value.number)))
            continue
        fallback = value.name or FALLBACK.get(len(value.shape), "A")
        if const is not ABSENT and not const._wants and (value.name or known.of(const)) is None:
            found.append(_constant(const._array[block.index], fallback, known, names, keys))
            continue
        if block.const not in keys:
            called = value.name if often[value.name] == 1 else None
            keys[block.const] = names.new(called or known.of(const) or fallback)
        found.append(_part(keys[block.const], value, const, block, declared))
    return tuple(found)


FALLBACK = {0: "a", 1: "b", 2: "W"}
"""What parameters are called that have no name, by their number of axes."""


def _constant(array: Array, fallback: str, known: Known, names: Names, keys: dict[int | str, str]) -> Parameter:
    """An array of constants: as it is written down, or under its name."""
    named = known.constant(array)
    written = structured(array) or (small(array) if named is None else None)
    if written is not None:
        return Parameter("", "", written=written)
    name, whole, way = named or (fallback, array, lambda a: a)
    if named is None or name not in keys:
        keys[name] = names.new(name)
    written = way(atom(Symbol(keys[name]), whole.shape))
    return Parameter(keys[name], keys[name], tensor=Constant(whole), written=written)


def _part(key: str, value: Value, const: Const, block: Block, declared: dict[str, Any]) -> Parameter:
    """A parameter, or the block of one, under its key."""
    whole = np.shape(const._array)
    part = np.arange(np.prod(whole)).reshape(whole)[block.index]
    gate = next((gate for gate, index in declared.get(key, {}).items() if _is_same(part, whole, index)), None)
    if gate is not None:
        return Parameter(gate, gate, None, 0, value.requires_grad, const, block.index)
    if block.cut is None:
        return Parameter(key, key, None, 0, value.requires_grad, const)
    axis, start, stop = block.cut
    return Parameter(f"{key}[{start}:{stop}]", key, block.cut, whole[axis], value.requires_grad, const, block.index)


def _is_same(part: Array, whole: tuple[int, ...], index: Any) -> bool:
    """Whether an index of an array of that shape gives the part, whose entries are numbered."""
    return np.array_equal(np.arange(np.prod(whole)).reshape(whole)[index], part)


def attributes(cell_or_step: Any) -> Iterator[tuple[str, Tensor | Array]]:
    """The tensors and arrays that a cell has as attributes, or a function from around it, with their names."""
    named = getattr(cell_or_step, "named_parameters", None)
    if callable(named):
        yield from named()
    if inspect.isfunction(cell_or_step):
        around = inspect.getclosurevars(cell_or_step)
        yield from _held({**around.globals, **around.nonlocals}, "", 2)
    else:
        yield from _held(getattr(cell_or_step, "__dict__", {}), "", 2)


def _held(holder: Any, path: str, depth: int) -> Iterator[tuple[str, Tensor | Array]]:
    """The tensors in a dict, a list, or the attributes of an object, and in what these hold, to some depth."""
    if isinstance(holder, list | tuple):
        holder = {str(number): entry for number, entry in enumerate(holder)}
    for name, value in holder.items() if isinstance(holder, dict) else ():
        if isinstance(value, Tensor | np.ndarray):
            yield f"{path}{name}", value
        elif depth and not inspect.ismodule(value) and not isinstance(value, type):
            inner = value if isinstance(value, dict | list | tuple) else getattr(value, "__dict__", {})
            is_bag = isinstance(value, dict) and not path
            yield from _held(inner, path if is_bag else f"{path}{name}_", depth - 1)


def by_gate(parameters: Sequence[Parameter], forward: Forward) -> tuple[Parameter, ...]:
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
