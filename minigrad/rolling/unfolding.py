"""Writing out the operations of every step of a loop, as they would have been recorded one by one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from minigrad import graph
from minigrad.graph import OUTPUT, Leaf, Node, Operation
from minigrad.ops.indexing import Slice
from minigrad.rolling.program import Run
from minigrad.rolling.recording import RESULT, Step
from minigrad.scope import Place

__all__ = ["Repetition", "Unfolding"]


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

    The last step ends with results that exist already; they are passed in, never kept, so that no cycle arises.

    Args:
        repetition: what is written out.
        left_out: for each operation that differs from step to step, which of what it could keep it does not need.
        run: the values of all steps, or None if they have been released.
    """

    def __init__(self, repetition: Repetition, left_out: Sequence[Sequence[bool]], run: Run | None) -> None:
        self.repetition, self.left_out, self.run = repetition, left_out, run
        self.outputs: list[Node] = []
        """The node of each step's output, in the order of computation, without the last."""
        self.nodes: dict[Node | None, Node | None] = {}
        """For each node of the record, the one that stands for it in the step at hand."""
        self.written = 0
        """How many operations of the last step are written out."""
        self.states: Sequence[Node | None] = repetition.states
        step = repetition.step
        for number in range(len(repetition.times) - 1):
            self._begin(number)
            for k, template in enumerate(step.recorded):
                self.nodes[template] = self._written(number, k, template)
            self.states = [self.nodes[step.nodes[k]] for k in step.new]
            self.outputs.append(self.states[-1])
        self._begin(len(repetition.times) - 1)

    def up_to(self, results: dict[Operation, Operation], last: Operation | None) -> tuple[Any, Any]:
        """Write out the last step up to the operation ``last`` of the record (None: all of it).

        Args:
            results: the results that exist, for those operations of the record whose they are.

        Returns:
            The inputs of the result, and what it keeps.
        """
        step = self.repetition.step
        number = len(self.repetition.times) - 1
        for k in range(self.written, len(step.recorded)):
            template = step.recorded[k]
            exists = template in results
            self.nodes[template] = results[template] if exists else self._written(number, k, template)
            self.written = k + 1
            if template is last:
                break
        if last is None:
            outputs = [*self.outputs, self.nodes[step.nodes[step.new[-1]]]]
            by_time = outputs if self.repetition.times.step > 0 else outputs[::-1]
            return tuple(by_time), None if self.run is None else ()
        return self._inputs(last), self._saved(number, last)

    def _begin(self, number: int) -> None:
        """Start a step: the rows of its streams, and the state that the step before left."""
        again, t = self.repetition, self.repetition.times[number]
        step = again.step
        self.nodes = dict(zip(step.states, self.states, strict=True))
        for j, (template, stream) in enumerate(zip(step.rows, again.streams, strict=True)):
            row: Node | None = None
            if template is not None and stream is not None and stream.requires_grad:
                row = taken = Slice()
                taken.index, taken.exact, taken.span = t - 1, True, (0, t - 1, t)
                taken.inputs, taken.saved = (stream,), None if self.run is None else ()
            elif template is not None and again.stream_name is not None:
                row = Leaf(template.shape, template.dtype, False)
            if row is not None and template is not None:
                row.shape, row.dtype, row.name, row.watch = template.shape, template.dtype, again.stream_name, None
                row.place = Place(t, again.place.scope)
                row.serial = again.serial + number * again.size + j
            self.nodes[template] = row

    def _written(self, number: int, k: int, template: Operation) -> Operation:
        """The operation that stands for ``template``, the k-th of the record."""
        again = self.repetition
        node = object.__new__(type(template))
        for slot in extra_slots(type(template)):
            setattr(node, slot, getattr(template, slot))
        node.shape, node.dtype, node.name, node.watch = template.shape, template.dtype, template.name, None
        node.place = Place(again.times[number], template.place.scope)
        node.serial = again.serial + number * again.size + len(again.step.rows) + k
        node.inputs = self._inputs(template)
        node.saved = self._saved(number, template)
        return node

    def _inputs(self, template: Operation) -> tuple[Node | None, ...]:
        return tuple(self.nodes.get(source, source) for source in template.inputs)

    def _saved(self, number: int, template: Operation) -> tuple[Any, ...] | None:
        if self.run is None:
            return None
        step = self.repetition.step
        source = step.sources[template]
        if source.kind != RESULT:
            return template.saved
        operands = step.operands[source.number]
        row = self.repetition.times[number] - 1
        return tuple(
            None if is_left_out else self.run.row(source if kept == OUTPUT else operands[kept], row)
            for kept, is_left_out in zip(template.keeps, self.left_out[source.number], strict=False)
        )


@functools.cache
def extra_slots(kind: type[Operation]) -> tuple[str, ...]:
    """What an operation of this kind holds beside what every operation does."""
    return tuple(slot for base in kind.__mro__ if issubclass(base, Operation) and base is not Operation for slot in base.__slots__)
