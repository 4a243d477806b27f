"""Writing out the operations of every step of a loop, as they would have been recorded one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minigrad import graph
from minigrad.graph import OUTPUT, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.loops.recording import RESULT, Operand, Step
from minigrad.loops.runner import Program, Run
from minigrad.memory import collector_paused
from minigrad.ops.indexing import Slice, entry
from minigrad.scope import Place

__all__ = ["Nodes", "Repetition", "Values", "Written", "written"]

Nodes = dict[Node | None, Node | None]
"""For nodes of the record of a step, those that stand for them in one of the steps."""


class Values:
    """What the steps of a loop have computed, until it is released.

    Args:
        run: the run that the loop made.
        everything: the program that keeps all results of all steps.
        left_out: for each operation that differs from step to step, which of what it could keep it does not need.
        lent: the arrays that the run used and that are not its own.
    """

    __slots__ = ("_everything", "_full", "_left_out", "lent", "run")

    def __init__(self, run: Run, everything: Program, left_out: Sequence[Sequence[bool]], lent: tuple[Array, ...]) -> None:
        self.run: Run | None = run
        self.lent = lent
        self._full: Run | None = None
        self._everything, self._left_out = everything, left_out

    def release(self) -> None:
        """Forget them."""
        self.run = self._full = None
        self.lent = ()

    def release_first(self, row: int) -> None:
        """Forget them if ``row`` is that of the first step: a backward pass that got there needs nothing more."""
        if self.run is not None and row == (self.run.T - 1 if self.run.reverse else 0):
            self.release()

    def kept(self, step: Step, template: Operation, row: int) -> tuple[Any, ...] | None:
        """What an operation would have kept at one step."""
        if self.run is None:
            return None
        source = step.sources[template]
        if source.kind != RESULT:
            return template.saved
        return tuple(
            None if is_left_out else self._value(source if kept == OUTPUT else step.operands[source.number][kept], row)
            for kept, is_left_out in zip(template.keeps, self._left_out[source.number], strict=True)
        )

    def _value(self, operand: Operand, row: int) -> Any:
        if self._full is None and self.run is not None:
            self._full = self.run.again(self._everything)
        return None if self._full is None else self._full.row(operand, row)


class Written(Operation):
    """An operation of one step of a loop, written out. What it keeps is looked up in the values of the loop."""

    if not TYPE_CHECKING:  # what is annotated here has its slots in the classes that `written` makes
        __slots__ = ()
    values: Values
    step: Step
    template: Operation
    row: int
    is_released: bool

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """What the derivative needs; None once it has been released."""
        return None if self.is_released else self.values.kept(self.step, self.template, self.row)

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        self.is_released = saved is None
        if self.is_released:
            self.values.release_first(self.row)


class Repetition:
    """A step, and how it is repeated.

    Args:
        step: the record of it.
        streams: the nodes of the streams.
        states: the nodes of the initial state.
        times: the time steps, in the order in which they are computed.
        place: where the loop was recorded.
        values: what the steps have computed.
    """

    __slots__ = (
        "_outputs", "_serial", "_size", "_state", "place", "states", "step", "streams", "times", "values"
    )  # fmt: skip

    def __init__(
        self,
        step: Step,
        streams: Sequence[Node | None],
        states: Sequence[Node | None],
        times: range,
        place: Place,
        values: Values,
    ) -> None:
        self.step, self.streams, self.states = step, streams, states
        self.times, self.place, self.values = times, place, values
        self._size = len(step.rows) + len(step.recorded)
        self._serial = graph.reserve_serials(self._size * len(times))
        self._outputs: list[Node | None] | None = None
        self._state: Sequence[Node | None] = states

    def serial(self, number: int, k: int) -> int:
        """The serial number of the k-th operation of a step, which is given by its number in the order of computation."""
        return self._serial + number * self._size + len(self.step.rows) + k

    def outputs_before_last(self) -> list[Node | None]:
        """The node of each step's output but the last one's, in the order of computation."""
        if self._outputs is None:
            outputs, state = [], self.states
            with collector_paused():
                for number in range(len(self.times) - 1):
                    nodes = self._begun(number, state)
                    for k in range(len(self.step.recorded)):
                        self.write(number, k, nodes)
                    state = [nodes[self.step.nodes[i]] for i in self.step.new]
                    outputs.append(state[-1])
            self._outputs, self._state = outputs, state
        return self._outputs

    def last_begun(self) -> Nodes:
        """The rows that the last step takes, and the state that the step before left."""
        self.outputs_before_last()
        return self._begun(len(self.times) - 1, self._state)

    def _begun(self, number: int, state: Sequence[Node | None]) -> Nodes:
        t = self.times[number]
        nodes: Nodes = dict(zip(self.step.states, state, strict=True))
        for j, (template, stream) in enumerate(zip(self.step.rows, self.streams, strict=True)):
            row: Leaf | Slice | None = None
            if stream is not None and stream.requires_grad:
                row = _row_of(stream, template, t)
            elif template.name is not None:
                row = Leaf(template.shape, template.dtype, False)
            if row is not None:
                row.name, row.place = template.name, Place(t, self.place.scope)
                row.serial = self._serial + number * self._size + j
            nodes[template] = row
        return nodes

    def write(self, number: int, k: int, nodes: Nodes) -> None:
        """Add to the nodes of a step the one that stands for the k-th operation of the record."""
        template = self.step.recorded[k]
        node = written(Written, template)
        node.values, node.step, node.template = self.values, self.step, template
        node.row, node.is_released = self.times[number] - 1, False
        node.shape, node.dtype, node.name, node.watch = template.shape, template.dtype, template.name, None
        node.place, node.serial = Place(self.times[number], template.place.scope), self.serial(number, k)
        node.inputs = tuple(nodes.get(source, source) for source in template.inputs)
        nodes[template] = node


def _row_of(stream: Node, template: Leaf, t: int) -> Slice:
    """The row of a stream that belongs to time t."""
    node = Slice()
    node.span = entry(0, t - 1)
    node.inputs, node.saved = (stream,), ()
    node.shape, node.dtype, node.watch = template.shape, template.dtype, None
    return node


kinds: dict[tuple[type, type], tuple[type, list[str]]] = {}


def written(mixin: type, template: Operation) -> Any:
    """A new operation of the kind of ``template``, and with what operations of that kind have, that is a ``mixin`` too."""
    kind = type(template)
    if (mixin, kind) not in kinds:
        bases = kind.__mro__[: kind.__mro__.index(Operation)]
        both = type(kind.__name__, (mixin, kind), {"__slots__": tuple(mixin.__annotations__)})
        kinds[mixin, kind] = both, [slot for base in bases for slot in vars(base)["__slots__"]]
    both, slots = kinds[mixin, kind]
    node = both()
    for slot in slots:
        setattr(node, slot, getattr(template, slot))
    return node
