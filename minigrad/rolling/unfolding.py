"""Writing out the operations of every step of a loop, as they would have been recorded one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minigrad import graph
from minigrad.graph import OUTPUT, Leaf, Node, Operation
from minigrad.ops.indexing import Slice
from minigrad.rolling.program import Run
from minigrad.rolling.recording import RESULT, Step
from minigrad.scope import Place

__all__ = ["Repetition", "Unfolding", "extra_slots"]


class Repetition:
    """A step, and how it is repeated.

    Args:
        step: the record of it.
        streams: the nodes of the streams.
        states: the nodes of the initial state.
        stream_name: what the rows of the streams are called.
        times: the time steps, in the order in which they are computed.
        place: where the loop was recorded.
    """

    __slots__ = ("place", "serial", "size", "states", "step", "stream_name", "streams", "times")

    def __init__(
        self,
        step: Step,
        streams: Sequence[Node | None],
        states: Sequence[Node | None],
        stream_name: str | None,
        times: range,
        place: Place,
    ) -> None:
        self.step, self.streams, self.states = step, streams, states
        self.stream_name, self.times, self.place = stream_name, times, place
        self.size = len(step.rows) + len(step.recorded)
        """How many nodes each step has."""
        self.serial = graph.reserve_serials(self.size * len(times))
        """The serial number of the first of them all; the others follow."""

    def last_serial(self, template: Operation) -> int:
        """The serial number of what stands for ``template`` in the last step."""
        return self.serial + (len(self.times) - 1) * self.size + len(self.step.rows) + self.step.recorded.index(template)


class Unfolding:
    """The operations of all steps, written out as far as somebody asked.

    The last step ends with results that exist already; they are passed in and never kept, so that no cycle arises.

    Args:
        repetition: what is written out.
        left_out: for each operation that differs from step to step, which of what it could keep it does not need.
        run: the values of all steps, or None if they have been released.
    """

    def __init__(self, repetition: Repetition, left_out: Sequence[Sequence[bool]], run: Run | None) -> None:
        self._again, self._left_out, self._run = repetition, left_out, run
        self._last = len(repetition.times) - 1
        self._outputs: list[Node | None] = []
        """The node of each step's output but the last, in the order of computation."""
        self._nodes: dict[Node | None, Node | None] = {}
        """For each node of the record, the one that stands for it in the step at hand."""
        self._written = 0
        """How many operations of the last step are written out."""
        states = repetition.states
        step = repetition.step
        for number in range(self._last):
            self._begin(number, states)
            for k, template in enumerate(step.recorded):
                self._nodes[template] = self._copy(number, k, template)
            states = [self._nodes[step.nodes[k]] for k in step.new]
            self._outputs.append(states[-1])
        self._begin(self._last, states)

    def up_to(self, last: Operation | None, results: Mapping[Operation | None, Operation]) -> tuple[Any, Any]:
        """Write out the last step up to the operation ``last`` of the record (None: all of it).

        Args:
            last: the template of a result; None for the outputs of all steps.
            results: the results that exist already, by their templates.

        Returns:
            The inputs of the result, and what it keeps.
        """
        step = self._again.step
        while self._written < len(step.recorded):
            template = step.recorded[self._written]
            node = results.get(template)
            self._nodes[template] = self._copy(self._last, self._written, template) if node is None else node
            self._written += 1
            if template is last:
                break
        if last is not None:
            return self._inputs(last), self._saved(self._last, last)
        outputs = [*self._outputs, self._nodes[step.nodes[step.new[-1]]]]
        return tuple(outputs if self._again.times.step > 0 else outputs[::-1]), None if self._run is None else ()

    def _begin(self, number: int, states: Sequence[Node | None]) -> None:
        """Start a step with the rows of its streams, and the state that the step before left."""
        again, t = self._again, self._again.times[number]
        self._nodes = dict(zip(again.step.states, states, strict=True))
        for j, (template, stream) in enumerate(zip(again.step.rows, again.streams, strict=True)):
            if stream is not None and stream.requires_grad:
                row: Node = self._row(stream, template, t)
            elif again.stream_name is not None:
                row = Leaf(template.shape, template.dtype, False)
            else:
                self._nodes[template] = None
                continue
            row.name, row.place = again.stream_name, Place(t, again.place.scope)
            row.serial = again.serial + number * again.size + j
            self._nodes[template] = row

    def _row(self, stream: Node, template: Leaf, t: int) -> Slice:
        """The row that belongs to time t, cut out of a stream."""
        node = Slice()
        node.index, node.exact, node.span = t - 1, True, (0, t - 1, t)
        node.inputs, node.saved = (stream,), None if self._run is None else ()
        node.shape, node.dtype, node.watch = template.shape, template.dtype, None
        return node

    def _copy(self, number: int, k: int, template: Operation) -> Operation:
        """The operation that stands for the k-th of the record."""
        again = self._again
        node = object.__new__(type(template))
        for slot in extra_slots(type(template)):
            setattr(node, slot, getattr(template, slot))
        node.shape, node.dtype, node.name, node.watch = template.shape, template.dtype, template.name, None
        node.place = Place(again.times[number], template.place.scope)
        node.serial = again.serial + number * again.size + len(again.step.rows) + k
        node.inputs, node.saved = self._inputs(template), self._saved(number, template)
        return node

    def _inputs(self, template: Operation) -> tuple[Node | None, ...]:
        return tuple(self._nodes.get(source, source) for source in template.inputs)

    def _saved(self, number: int, template: Operation) -> tuple[Any, ...] | None:
        run, step = self._run, self._again.step
        if run is None:
            return None
        source = step.sources[template]
        if source.kind != RESULT:
            return template.saved
        operands, row = step.operands[source.number], self._again.times[number] - 1
        return tuple(
            None if is_left_out else run.row(source if kept == OUTPUT else operands[kept], row)
            for kept, is_left_out in zip(template.keeps, self._left_out[source.number], strict=True)
        )


slots: dict[type, tuple[str, ...]] = {}


def extra_slots(kind: type[Operation]) -> tuple[str, ...]:
    """What an operation of this kind holds beside what every operation does."""
    if kind not in slots:
        own = [base for base in kind.__mro__ if issubclass(base, Operation) and base is not Operation]
        slots[kind] = tuple(slot for base in own for slot in vars(base)["__slots__"])
    return slots[kind]
