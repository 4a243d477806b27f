"""The start of a loop: its operands as a run takes them, all steps computed, and its results with their places in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np

from minigrad import graph
from minigrad.graph import Operation
from minigrad.loops.activity import stretches_of
from minigrad.loops.backend import Run
from minigrad.loops.loop import Loop, Result
from minigrad.loops.program import CannotCompile, Undefined
from minigrad.loops.trace import Const
from minigrad.loops.traced import TracedStep
from minigrad.loops.written import Values
from minigrad.reporting import raising
from minigrad.scope import Place, placed, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["Flats", "Start"]

Flats: TypeAlias = Sequence[Tensor]

ARRAY, NODE, WANTS = map(attrgetter, ("_array", "_node", "_wants"))


class Start:
    """The start of one loop: its operands, and what becomes of its results.

    Args:
        kind: the operation that the loop is in the graph.
        traced: the step, and how it is run.
        consts: on which consts.
        carry: the initial carry.
        xs: what is taken row by row.
        times: 1 … T, or T … 1.
        window: after how many steps each time the carry loses its history.
        mask: which example takes which step, if that is a selection in the program.
        ends: before which step which example's window ends, if that is a line of the program.
    """

    def __init__(
        self,
        kind: type[Loop],
        traced: TracedStep,
        consts: Sequence[Const],
        carry: Flats,
        xs: Flats,
        times: range,
        window: int,
        mask: Tensor | None = None,
        ends: Tensor | None = None,
    ) -> None:
        self.kind = kind
        self.traced, self.consts, self.carry, self.xs, self.times = traced, consts, carry, xs, times
        self.window, operands = window, (*xs, *carry, *consts)
        self.compiled = traced.compiled(tuple(map(WANTS, operands)) if state.recording else (False,) * len(operands))
        taken, ending = None if mask is None else mask._array, None if ends is None else ends._array
        self.compiled_loop = self.compiled.over(stretches_of(len(times), window, taken, times.step < 0, ending))
        self.lent: list[Any] = []

    def run(self) -> Run:
        """Compute all steps."""
        compiled, numbers = self.compiled, self.traced.numbers
        is_whole = any(stretch.taken for stretch in self.compiled_loop.steps)
        needed = [one or (is_whole and other) for one, other in zip(compiled.needs_xs, compiled.needs_whole_xs, strict=True)]
        xs = [self._array(x, is_needed and x._wants) for x, is_needed in zip(self.xs, needed, strict=True)]
        consts = [
            self._array(const, needed) if isinstance(const, Tensor) else numbers.get(k)
            for k, (const, needed) in enumerate(zip(self.consts, compiled.needs_consts, strict=True))
        ]
        carry = list(map(ARRAY, self.carry))
        for i in compiled.needs_carry:
            self.lent.append(self.carry[i].lend(Loop))
        for quiet in (False, True):
            executable = compiled.forward(quiet)
            try:
                return raising(executable.run, len(self.times), xs, carry, consts, self.times.step < 0)
            except FloatingPointError:
                continue
            except (IndexError, ValueError, TypeError) as error:
                raise CannotCompile(f"running it compiled raised {type(error).__name__}: {error}") from None
        raise Undefined

    def _array(self, tensor: Tensor, is_needed: bool) -> Any:
        """The values of an operand: lent if the derivative needs them; else copied if they may change before steps are written
        out, as those of xs that want no gradient always are: the rows of the plain loop are copies."""
        if not self.compiled.wanted:
            return tensor._array
        if not is_needed:
            return tensor._array if isinstance(tensor._node, Operation) else tensor._array.copy()
        array = tensor.lend(Loop)
        self.lent.append(array)
        return array

    def results(self, run: Run) -> tuple[list[Tensor], list[Tensor]]:
        """The last carry and the outputs, with their places in the graph."""
        count, program = len(self.carry), self.traced.program
        given = self.traced.given(len(self.times)) if self.window >= len(self.times) else {}
        finals = [self.carry[given[i]] if i in given else unrecorded(run.last(i).copy()) for i in range(count)]
        outputs = [unrecorded(run.of(ref)) for ref in program.ys]
        if not self.compiled.wanted:
            return finals, outputs
        final_wants, output_wants = self.compiled_loop.finals, self.compiled_loop.outputs
        loop = self._node(run)
        for i, (tensor, wants, op) in enumerate(zip(finals, final_wants, self.traced.finals, strict=True)):
            if i not in given and wants:
                self.place(loop, tensor, i, placed((self.times[-1], op.place.scope, None)), op.name)
            elif i not in given and op.name is not None:
                tensor.named(op.name)
        for j, (tensor, wants) in enumerate(zip(outputs, output_wants, strict=True)):
            if wants:
                self.place(loop, tensor, count + j, state.place, None)
        return finals, outputs

    def _node(self, run: Run) -> Loop:
        loop, traced = self.kind(), self.traced
        loop.consts = self.compiled.wanted_consts
        loop.sources = tuple(map(NODE, (*self.xs, *self.carry, *map(self.consts.__getitem__, loop.consts))))
        loop.compiled_loop, loop.is_written = self.compiled_loop, False
        loop.passed, loop.released = (), set()
        loop.shape, loop.dtype, loop.name, loop.watch = (), FLOAT, None, None
        loop.place, loop.serial = state.place, graph.next_serial()
        loop.times, loop.window = self.times, self.window
        loop.trace, loop.written = traced.trace, None
        loop.values = Values(run, tuple(self.lent), traced.structure.everything, traced.trace.program, traced.place)
        return loop

    @staticmethod
    def place(loop: Loop, tensor: Tensor, number: int, place: Place, name: str | None) -> None:
        """Give a result its node in the graph."""
        node = Result()
        node.loop, node.number, node.twin, node.is_released = loop, number, None, False
        node.shape, node.dtype, node.name, node.watch = tensor._array.shape, tensor._array.dtype, name, None
        node.place, node.serial = place, graph.next_serial()
        tensor._node, tensor._wants = node, True


FLOAT = np.dtype(float)
