"""A backward pass that is itself recorded (``create_graph``, second derivatives): it is a loop over a program too.

The derivative of a step is a program, and its xs are the residuals: values inside of the forward loop. For a gradient to be
sent back to them they become results of it, as its outputs are. Then the backward pass is a loop like any other, from the last
step to the first, with a node in the graph and a derivative of its own; so derivatives of any order are loops. What the consts
are sent (for a matrix one product for all steps) is computed from its outputs by operations that are recorded as any others.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad import ops
from minigrad.gradients import unbroadcast
from minigrad.graph import Gradient
from minigrad.loops.activity import Refs
from minigrad.loops.compile import Pullback, structure_of
from minigrad.loops.differentiate import OUTER, SCATTER, Derivative
from minigrad.loops.loop import NOTHING, Loop, is_moderate
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, CannotCompile, Line, Program, Ref
from minigrad.loops.running import Start
from minigrad.loops.trace import Const, Flat, Pass
from minigrad.loops.traced import traced_step
from minigrad.ops.indexing import scatter
from minigrad.ops.matmul import Matmul
from minigrad.recording import Constant, record
from minigrad.reporting import RAISED, reports_underflow, within
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded
from minigrad.transforms import TensorAccumulator, lift

__all__ = ["RecordedLoop"]


class RecordedLoop(Loop):
    """A loop whose backward pass can be recorded, as a loop."""

    __slots__ = ()

    @override
    def sent(self, g: Gradient, targets: Refs) -> Sequence[Gradient]:
        first, *_ = g.values()  # where one is a Tensor, all are
        if not isinstance(first, Tensor):
            return super().sent(g, targets)
        self._begin(g, targets)
        pullback = self._pullback(self.passed)
        if pullback is not None:
            try:
                sent: list[Gradient] | None = within(RAISED, self._recorded, pullback, g)
            except (FloatingPointError, CannotCompile):
                sent = None
            if sent is not None:
                return sent
        return self._plainly(g, TensorAccumulator(), targets)

    def _pullback(self, results: tuple[int, ...]) -> Pullback | None:
        """How gradients of these results are sent back; None where each step has to do so by itself.

        A cotangent that no later step sends is zero in a loop, where the single steps have none: so only where steps are alike.
        """
        if any(stretch.is_cut for stretch in self.compiled_loop.steps) or state.tracer is not None or reports_underflow():
            return None
        if self.values.is_parted or not self.compiled_loop.is_settled(results):
            return None
        pullback = next((pullback for pullback in self.compiled_loop.pullbacks(results) if not pullback.is_ahead), None)
        if pullback is not None and not self._keep(pullback.derivative.needed()):
            return None
        return pullback

    def _recorded(self, pullback: Pullback, g: dict[int, Tensor]) -> list[Gradient] | None:
        """What the sources are sent; None where that is not finite."""
        derivative, count = pullback.derivative, len(self.trace.carry)
        values = {ref: self._value(ref) for ref in derivative.needed()}
        carry = [self._arriving(g.get(i), derivative.program, number) for number, i in enumerate(derivative.carry)]
        xs = [*map(values.__getitem__, derivative.residuals), *[g[count + j] for j in derivative.ys]]
        back, outputs = self._back(pullback, carry, xs)
        factors = [values[part.a] for part in pullback.contributions if part.a is not None and part.form == OUTER]
        if not all(is_moderate(end._array) for end in (*back, *outputs, *factors)):
            return None
        sent: list[Gradient] = [None] * len(self.sources)
        for j, ref in pullback.xs:
            sent[self.number_of(Ref(XS, j))] = outputs[derivative.program.ys.index(ref)]
        for i, number in pullback.carry:
            sent[self.number_of(Ref(CARRY, i))] = back[number]
        for part, steps in zip(pullback.contributions, outputs[len(derivative.program.ys) :], strict=True):
            position = self.number_of(Ref(CONST, part.const))
            source, new = self.sources[position], steps
            if part.form == OUTER and part.a is not None:
                left, right = _rows(steps), _rows(values[part.a])
                new = left.T @ right if part.transposed else right.T @ left
            elif part.form == SCATTER and part.a is not None:
                new = scatter(steps, values[part.a]._array, False, () if source is None else source.shape)
            found = sent[position]
            sent[position] = new if found is None else _fitted(found, source) + _fitted(new, source)
        return sent

    def _arriving(self, g: Tensor | None, program: Program, number: int) -> Tensor:
        """The cotangent of a part of the last carry; what may be added to anything where none arrives."""
        value = program.carry[number]
        return unrecorded(np.full(value.shape, NOTHING, value.dtype)) if g is None else g

    def _back(self, pullback: Pullback, carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The loop from the last step to the first: its last carry; and its outputs, then what contributions are made of."""
        derivative, times = pullback.derivative, self.times[::-1]
        sent = [*derivative.program.ys, *[part.g for part in pullback.contributions]]
        step = _interpreted(derivative.program, self._consts(derivative), sent)
        traced = traced_step(step, carry, xs, times, [None] * len(xs))
        start = Start(type(self), traced, traced.first_consts(), carry, xs, times, len(times))
        return start.results(start.run())

    def _consts(self, derivative: Derivative) -> list[Const]:
        """The consts of the step, which have their history, and then the literals of its derivative."""
        found: list[Const] = []
        program = self.compiled_loop.compiled.program
        for k, (value, array) in enumerate(zip(program.consts, self.values.given[CONST], strict=True)):
            node = self.sources[self.number_of(Ref(CONST, k))] if k in self.consts else None
            found.append(Constant(array if value.number is None else value.number) if node is None else lift(array, node))
        return [*found, *map(Constant, derivative.literals)]

    def _keep(self, residuals: Iterable[Ref]) -> bool:
        """Have these values among the results; False if the steps have been written out without them."""
        compiled = self.compiled_loop.compiled
        program = compiled.program
        new = [ref for ref in dict.fromkeys(residuals) if ref.kind != XS and ref not in program.ys]
        if not new:
            return True
        if self.written is not None and self.written.is_done:
            return False
        keeping = structure_of(replace(program, ys=(*program.ys, *new))).compiled(compiled.wanted)
        self.compiled_loop = keeping.over(self.compiled_loop.steps)
        self.values.keep(keeping)
        return True

    def _value(self, ref: Ref) -> Tensor:
        """A value of all steps, with its history."""
        run = self.values.run
        array = None if run is None else run.of(ref)
        if ref.kind == XS:
            tensor: Tensor = lift(array, self.sources[self.number_of(ref)])
            return tensor
        which = self.compiled_loop.compiled.program.ys.index(ref)
        tensor = unrecorded(array)
        if self.compiled_loop.outputs[which]:
            Start.place(self, tensor, len(self.trace.carry) + which, state.place, None)
        return tensor


def _interpreted(program: Program, consts: Sequence[Const], outputs: Sequence[Ref]) -> Flat:
    """A program as a step, with other outputs."""

    def step(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        results: list[Any] = []
        values: dict[str, Sequence[Any]] = {XS: xs, CARRY: carry, CONST: consts, LOCAL: results}
        for line in program.lines:
            results.append(_applied(line, [values[kind][number] for kind, number in line.operands]))
        new_carry, ys = ([values[kind][number] for kind, number in refs] for refs in (program.new_carry, outputs))
        return new_carry, ys

    return step


def _applied(line: Line, operands: list[Any]) -> Any:
    """The operation of a line, on these operands."""
    if isinstance(line.op, Pass):
        return operands[0]
    if isinstance(line.op, Matmul) and line.op.transpose_b:
        return ops.matmul(operands[0], operands[1].T)
    op = copy.copy(line.op)
    y = op.compute(*[operand._array for operand in operands])
    return record(op, y, tuple([operand._node for operand in operands[: len(op.sources)]]), op.saved or (), operands)


def _rows(steps: Tensor) -> Tensor:
    return steps.reshape(math.prod(steps.shape[:-1]), steps.shape[-1])


def _fitted(contribution: Tensor, source: Any) -> Tensor:
    fitted: Tensor = unbroadcast(contribution, source.shape)
    return fitted
