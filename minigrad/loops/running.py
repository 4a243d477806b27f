"""The start of a loop: its operands as a run takes them, all steps computed, and its results with their places in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeAlias
from weakref import ref

import numpy as np

from minigrad import graph
from minigrad.graph import Leaf
from minigrad.loops.activity import each_step, origin, stretches_of
from minigrad.loops.backend import Run
from minigrad.loops.loop import Loop, Result
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, CannotCompile, Ref, Undefined
from minigrad.loops.trace import Const
from minigrad.loops.traced import TracedStep
from minigrad.loops.written import Values
from minigrad.ops.shape import View
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
        cut_names: what its parts are called then.
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
        cut_names: Sequence[str | None] = (),
        mask: Tensor | None = None,
        ends: Tensor | None = None,
    ) -> None:
        self.kind = kind
        self.traced, self.consts, self.carry, self.xs, self.times = traced, consts, carry, xs, times
        self.window, operands = window, (*xs, *carry, *consts)
        self.cut_names = [*cut_names, *[None] * (len(carry) - len(cut_names))]
        self.compiled = traced.compiled(tuple(map(WANTS, operands)) if state.recording else (False,) * len(operands))
        taken, ending = None if mask is None else mask._array, None if ends is None else ends._array
        self.compiled_loop = self.compiled.over(stretches_of(len(times), window, taken, times.step < 0, ending))
        self.lent: dict[str, list[Any]] = {}
        """The arrays of the operands, by their kind, which steps that are written out may need again."""

    def run(self) -> Run:
        """Compute all steps."""
        compiled, numbers = self.compiled, self.traced.numbers
        if compiled.wanted:
            xs, carry = ([tensor.lend(Loop) for tensor in tensors] for tensors in (self.xs, self.carry))
            consts = [numbers[k] if k in numbers else const.lend(Loop) for k, const in enumerate(self.consts)]
            self.lent = {XS: xs, CARRY: carry, CONST: consts}
        else:
            xs, carry = (list(map(ARRAY, tensors)) for tensors in (self.xs, self.carry))
            consts = [numbers.get(k, const._array) for k, const in enumerate(self.consts)]
        for quiet in (False, True):
            executable = compiled.forward(quiet)
            try:
                return raising(executable.run, len(self.times), xs, carry, consts, self.times.step < 0)
            except FloatingPointError:
                continue
            except (IndexError, ValueError, TypeError) as error:
                raise CannotCompile(f"running it compiled raised {type(error).__name__}: {error}") from None
        raise Undefined

    def results(self, run: Run) -> tuple[list[Tensor], list[Tensor]]:
        """The last carry and the outputs, with their places in the graph."""
        count, program = len(self.carry), self.traced.program
        given = self.traced.given(len(self.times)) if self.window >= len(self.times) else {}
        finals = [self.carry[given[i]] if i in given else unrecorded(self._last(i, run)) for i in range(count)]
        outputs = [unrecorded(self._own(ref, run)) for ref in program.ys]
        if not self.compiled.wanted:
            return finals, outputs
        final_wants, output_wants = self.compiled_loop.finals, self.compiled_loop.outputs
        loop = self._node(run)
        for i, (tensor, wants, op) in enumerate(zip(finals, final_wants, self.traced.finals, strict=True)):
            place, name = placed((self.times[-1], op.place.scope, None)), self.traced.names[i]
            if i not in given and wants:
                self.place(loop, tensor, i, place, name)
            elif i not in given and name is not None:
                tensor._node = Leaf(tensor.shape, tensor.dtype, False, name)
                tensor._node.place = place
        for j, (tensor, wants) in enumerate(zip(outputs, output_wants, strict=True)):
            if wants:
                self.place(loop, tensor, count + j, state.place, None)
        return finals, outputs

    def _last(self, i: int, run: Run) -> Any:
        """A part of the last carry: a view of the operand that it is part of, if it is, else its own."""
        view = self._viewed(i) if i in self.traced.handed_on else None
        return run.last(i).copy() if view is None else view

    def _viewed(self, i: int) -> Any:
        """The part of an operand that steps handed on as this part of the last carry; None if one has computed it."""
        program, steps, views = self.traced.program, each_step(self.compiled_loop.steps), list[Any]()
        ref, number = origin(program, steps, program.new_carry[i], len(steps) - 1)
        while ref.kind == LOCAL:
            line = program.lines[ref.number]
            if not isinstance(line.op, View):
                return None
            views.append(line.op)
            ref, number = origin(program, steps, line.operands[0], number)
        operands: dict[str, Sequence[Any]] = {XS: self.xs, CARRY: self.carry, CONST: self.consts}
        array = operands[ref.kind][ref.number]._array
        array = array[self.times[number] - 1] if ref.kind == XS else array
        for view in reversed(views):
            array = view.compute(array)
        return array.view()

    def _own(self, y: Ref, run: Run) -> Any:
        """The values of an output, where no others have views: of the xs, or of arrays that are kept for other runs."""
        array, is_view = run.of(y), isinstance(self.traced.program.lines[y.number].op, View)
        return array.copy() if is_view or run.is_lent(array) else array

    def _node(self, run: Run) -> Loop:
        loop, traced = self.kind(), self.traced
        loop.consts = self.compiled.wanted_consts
        loop.sources = tuple(map(NODE, (*self.xs, *self.carry, *map(self.consts.__getitem__, loop.consts))))
        loop.compiled_loop, loop.is_written = self.compiled_loop, False
        loop.passed, loop.results = (), []
        loop.shape, loop.dtype, loop.name, loop.watch = (), FLOAT, None, None
        loop.place = state.place
        loop.times, loop.window, loop.cut_names = self.times, self.window, self.cut_names
        loop.trace, loop.written = traced.trace, None
        loop.values = Values(run, self.lent, traced.structure.everything, traced.trace.program, traced.place)
        loop.serial = graph.next_serial()
        return loop

    @staticmethod
    def place(loop: Loop, tensor: Tensor, number: int, place: Place, name: str | None) -> None:
        """Give a result its node in the graph."""
        node = Result()
        node.loop, node.number, node.twin, node.is_released = loop, number, None, False
        node.shape, node.dtype, node.name, node.watch = tensor._array.shape, tensor._array.dtype, name, None
        node.place, node.serial = place, graph.next_serial()
        loop.results.append((number, ref(node)))
        tensor._node, tensor._wants = node, True


FLOAT = np.dtype(float)
