"""The record of one step: its operations in order, and where each operand comes from.

An operand is one of four things: a row of a *stream* (an array over all steps, such as the projected input), a part of
the *state* that the step was given, a *constant* (a parameter, or what was computed from parameters alone: the same at
every step), or the *result* of an earlier operation of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import numpy as np
from typing_extensions import override

from minigrad.graph import Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.loops.into import NotRepeatable
from minigrad.ops.arithmetic import Subtract
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul
from minigrad.scope import Setting, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["CONSTANT", "RESULT", "STATE", "STREAM", "Operand", "Recorder", "Step", "number_of", "placeholder"]

STREAM, STATE, CONSTANT, RESULT = "stream", "state", "constant", "result"


NOTED: Final = "noted"
"""Stands in a place for the line of code, so that what is recorded there is shown to the recorder."""


class Operand(NamedTuple):
    """Where an operand comes from: the kind, and which of that kind."""

    kind: str
    number: int


class Recorder(Setting):
    """Inside, everything is recorded, and every operation is noted with its result."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[Operation, Array] = {}

    def look_at(self, node: Operation, y: Array) -> None:
        """Note an operation."""
        self.values[node] = y

    @override
    def enter(self) -> tuple[Any, Any, bool]:
        found = state.detector, state.place, state.recording
        state.detector, state.place, state.recording = self, found[1]._replace(line=NOTED), True
        return found

    @override
    def leave(self, found: tuple[Any, Any, bool]) -> None:
        state.detector, state.place, state.recording = found


def placeholder(row: Array, wants: bool = True, name: str | None = None) -> Tensor:
    """A Tensor that stands for a row of every step."""
    tensor = unrecorded(row)
    tensor._node = Leaf(row.shape, row.dtype, wants, name)
    tensor._wants = wants
    return tensor


class Step:
    """One step as data.

    Args:
        step: computes the parts of the new state from one row of each stream and the parts of the old state.
        rows: a row of each stream.
        states: the parts of a state.
        parameters: asked for the leaves whose values the record does not hold.

    Raises:
        NotRepeatable: something in it is not known to be the same at every step.
    """

    __slots__ = (
        "constants", "new", "new_positions", "nodes", "numbers", "operands", "recorded", "rows", "sources", "states", "values"
    )  # fmt: skip

    def __init__(
        self,
        step: Callable[[list[Tensor], list[Tensor]], Sequence[Tensor]],
        rows: list[Tensor],
        states: list[Tensor],
        parameters: Callable[[], Iterable[Tensor]],
    ) -> None:
        recorder = Recorder()
        with recorder:
            new = [tensor.node for tensor in step(rows, states)]
        self.values = recorder.values
        self.rows = [cast(Leaf, tensor.node) for tensor in rows]
        self.states = [cast(Leaf, tensor.node) for tensor in states]
        self.sources: dict[Node | None, Operand] = {}
        """Where the value of each node comes from."""
        self.recorded: list[Operation] = []
        """All operations that the new state depends on, also those on constants alone."""
        self.nodes: list[Operation] = []
        """Those among them that differ from step to step."""
        self.operands: list[tuple[Operand, ...]] = []
        """For each of these, where its operands come from."""
        self.constants: list[Node | None] = []
        """The nodes of the constants; None of a number."""
        self.numbers: list[Array] = []
        """Their values when the step was recorded."""
        for kind, given in ((STREAM, self.rows), (STATE, self.states)):
            self.sources.update((node, Operand(kind, k)) for k, node in enumerate(given))
        if any(node.name is not None for node in self.states):
            raise NotRepeatable("a step that gives its old state another name")
        self._sort(new, parameters)
        for node in new:
            if node not in self.sources or self.sources[node].kind != RESULT:
                raise NotRepeatable("a state that is not computed")
        self.new = [self.sources[node].number for node in new]
        """For each part of the state, which of the nodes is the new one."""
        self.new_positions = sorted((self.recorded.index(self.nodes[k]), number) for number, k in enumerate(self.new))
        """The same as (position in ``recorded``, number of the part), in the order in which they are computed."""

    def _sort(self, new: Iterable[Node | None], parameters: Callable[[], Iterable[Tensor]]) -> None:
        needed = set(new)
        for node in reversed(self.values):
            if node in needed:
                needed.update(node.inputs)
        leaves = {tensor.node: tensor for tensor in parameters()}
        for node, y in self.values.items():
            if node not in needed:
                continue
            self.recorded.append(node)
            known = [self.sources.get(source) for source in node.inputs]
            values = [value_of(node, k, leaves) if operand is None else None for k, operand in enumerate(known)]
            if all(operand is None or operand.kind == CONSTANT for operand in known):
                self._add_constant(node, y)
                continue
            operands = []
            for source, operand, value in zip(node.inputs, known, values, strict=True):
                if operand is None:
                    if value is None:
                        raise NotRepeatable(node.label)
                    operand = self._add_constant(source, value)
                operands.append(operand)
            self.sources[node] = Operand(RESULT, len(self.nodes))
            self.nodes.append(node)
            self.operands.append(tuple(operands))

    def _add_constant(self, node: Node | None, value: Array) -> Operand:
        operand = Operand(CONSTANT, len(self.constants))
        self.constants.append(node)
        self.numbers.append(value)
        if node is not None:
            self.sources[node] = operand
        return operand

    def form(self) -> Hashable:
        """What decides how the step is computed and differentiated: steps of equal form can share that knowledge.

        Raises:
            NotRepeatable: states, results and constants do not all have the same dtype.
        """
        dtypes = {array.dtype for array in (*self.values.values(), *self.numbers)} | {part.dtype for part in self.states}
        if len(dtypes) > 1:
            raise NotRepeatable("numbers of several dtypes")
        nodes = zip(self.nodes, self.operands, strict=True)
        return (
            tuple([(type(node), operands, node.shape, form(node)) for node, operands in nodes]),
            tuple([array.shape for array in self.numbers]),
            tuple([value.item() for node, value in zip(self.constants, self.numbers, strict=True) if node is None]),
            tuple([node is not None and node.requires_grad for node in self.constants]),
            tuple([(row.shape, row.requires_grad) for row in self.rows]),
            tuple([part.shape for part in self.states]),
            tuple(self.new),
            *dtypes,
        )

    def release(self) -> None:
        """Forget all values. What was recorded of constants alone stays part of the graph."""
        for node in self.nodes:
            node.saved = None
        for node in self.recorded:
            node.place = node.place._replace(line=None)
        self.values, self.numbers = {}, []


def number_of(operation: Operation, k: int) -> Array | None:
    """Operand ``k`` as an array, if it is a Python number that the operation kept."""
    kept = operation.saved[operation.keeps.index(k)] if operation.saved and k in operation.keeps else None
    if isinstance(operation, Subtract) and k == 0:
        kept = operation.minuend
    return np.array(kept, operation.dtype) if isinstance(kept, int | float) else None


def value_of(operation: Operation, k: int, leaves: Mapping[Node | None, Tensor]) -> Array | None:
    """The value of operand ``k``, which nothing in the step computes, if it is known.

    Raises:
        NotRepeatable: it may be another at every step: what needs no gradient has no history that would tell.
    """
    source = operation.inputs[k]
    if source is not None and source in leaves:
        return leaves[source]._array
    number = number_of(operation, k)
    if number is not None:
        return number
    if source is None or not source.requires_grad:
        raise NotRepeatable("a value without a history")
    return operation.saved[operation.keeps.index(k)] if operation.saved and k in operation.keeps else None


def form(node: Operation) -> Hashable:
    """What decides the result of an operation beside its operands."""
    if isinstance(node, Matmul):
        return node.transpose_b
    if isinstance(node, Slice):
        return *node.span[:3], len(node.shape)
    if isinstance(node, Concatenate):
        return node.axis, tuple(node.bounds)
    return None
