"""The backward pass of one step, derived from its program by the derivatives of its operations, as a program too.

Each operation's own ``vjp`` is run once, on Tensors that stand for the values of one step, and what it computes is traced:
there is one definition of a derivative, and every line of the result says which forward line it comes from.

The backward program's carry are the cotangents of the new carry; its xs are the forward values that it needs, and then the
cotangents of the ys; its new carry are the cotangents of the old carry. What a const is sent is put off, since for all
steps together it costs far less: a `Contribution` says what to add up when the loop is over.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigrad import ops
from minigrad.gradients import unbroadcast
from minigrad.graph import OUTPUT, Leaf, Operation
from minigrad.loops.activity import flow
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, CannotCompile, Line, Program, Ref, Value
from minigrad.loops.trace import Tracer
from minigrad.ops.indexing import Lookup, Slice
from minigrad.ops.matmul import Matmul
from minigrad.ops.transcendental import Sigmoid, Tanh
from minigrad.recording import Constant
from minigrad.reporting import reporting
from minigrad.tensor import Tensor

__all__ = ["CURVES", "OUTER", "SCATTER", "SUM", "Contribution", "Derivative", "differentiate", "used_by_derivative"]

SUM, OUTER, SCATTER = "sum", "outer", "scatter"

CURVES = (Tanh, Sigmoid)
"""Functions whose slope follows from their result and is at most 1: ∂L/∂x = g ⊙ slope, with the slopes of all steps at once."""


class Contribution(NamedTuple):
    """What one use of a const adds to its gradient at each step.

    ``form`` is SUM: ``g``, summed over the axes along which the const was stretched; OUTER: ``gᵀ a`` for A Wᵀ, ``aᵀ g`` for A W
    (``transposed`` tells); SCATTER: ``g`` added to the rows of the const that ``a`` names. ``g`` is a ref of the backward
    program, ``a`` one of the forward program.
    """

    const: int
    form: str
    g: Ref
    a: Ref | None = None
    transposed: bool = False


@dataclass(frozen=True)
class Derivative:
    """The backward pass of one step.

    Args:
        program: the lines; its ys are the cotangents of those forward xs that are wanted.
        residuals: the forward values that its first xs are; the others are the cotangents of ``ys``.
        carry: the parts of the forward carry whose cotangents its carry is.
        ys: the numbers of the forward ys whose cotangents it takes.
        xs: the numbers of the forward xs whose cotangents its ys are.
        initial: the parts of the forward carry that are sent anything by a step.
        literals: the values of its consts beside those of the forward program, whose numbers come before theirs.
        contributions: what the consts are sent.
        cotangents: for forward values, where their cotangent stands in the program; CONST refs are not among them.
    """

    program: Program
    residuals: tuple[Ref, ...]
    carry: tuple[int, ...]
    ys: tuple[int, ...]
    xs: tuple[int, ...]
    initial: frozenset[int]
    literals: tuple[Any, ...]
    contributions: tuple[Contribution, ...]
    cotangents: dict[Ref, Ref]

    def needed(self) -> list[Ref]:
        """The forward values that it needs, those of the contributions too."""
        return [*self.residuals, *(part.a for part in self.contributions if part.a is not None)]


def differentiate(program: Program, wanted: Iterable[Ref], carry: Sequence[int], ys: Sequence[int]) -> Derivative:
    """The derivative of a step.

    Args:
        program: the step.
        wanted: the consts, xs and parts of the initial carry that want a gradient.
        carry: the parts of the last carry at which a cotangent arrives.
        ys: the outputs at which cotangents arrive.

    Raises:
        CannotCompile: an operation's derivative has no form that can be repeated.
    """
    return _Backward(program, flow(program, wanted), carry, ys).derivative()


def used_by_derivative(program: Program, differentiable: set[Ref], lines: Iterable[int]) -> set[Ref]:
    """The values that these lines of one step keep for their derivatives, if these of its values want a gradient at that step.

    Raises:
        CannotCompile: as `differentiate`.
    """
    return _Backward(program, differentiable, (), ()).used_by(lines)


class _Backward:
    """One backward sweep over the lines of a program."""

    def __init__(self, program: Program, differentiable: set[Ref], carry: Sequence[int], ys: Sequence[int]) -> None:
        self.program, self.differentiable = program, differentiable
        self.tracer = Tracer()
        self.tracer.consts = [Constant(0) for _ in program.consts]
        self.sums: dict[Ref, Tensor] = {}
        """The cotangent of each forward value, as far as it has been added up."""
        self.cuts: dict[Ref, list[tuple[Slice, Tensor]]] = {}
        self.contributions: list[tuple[Contribution, Tensor]] = []
        self.standing: dict[Ref, Tensor] = {}
        """For forward values, what stands for them here."""
        self.residuals: list[Ref] = []
        self.ys = tuple([number for number in ys if program.ys[number] in differentiable])
        self.carry = self._arriving(carry)

    def _arriving(self, carry: Sequence[int]) -> tuple[int, ...]:
        """The parts of the carry at which a cotangent arrives at some step: from outside, or from the step after."""
        program, arriving = self.program, {i for i in carry if self.program.new_carry[i] in self.differentiable}
        while True:
            live = {program.new_carry[i] for i in arriving} | {program.ys[j] for j in self.ys}
            for k in reversed(range(len(program.lines))):
                if Ref(LOCAL, k) in live:
                    live.update(self.differentiable.intersection(program.lines[k].operands))
            reached = {ref.number for ref in live if ref.kind == CARRY} - arriving
            if not reached:
                return tuple(sorted(arriving))
            arriving |= reached

    def derivative(self) -> Derivative:
        """The sweep, and the program that it makes."""
        program, tracer = self.program, self.tracer
        with tracer, reporting(all="ignore"):
            for number, i in enumerate(self.carry):
                self._add(program.new_carry[i], self._cotangent(program.new_carry[i], Ref(CARRY, number)))
            arriving = [self._cotangent(program.ys[j], Ref(XS, -1 - number)) for number, j in enumerate(self.ys)]
            for j, g in zip(self.ys, arriving, strict=True):
                self._add(program.ys[j], g)
            for k in reversed(range(len(program.lines))):
                ref = Ref(LOCAL, k)
                total = self._taken(ref)
                if total is not None:
                    tracer.origin = k
                    self._send(program.lines[k], ref, total)
            tracer.origin = None
            for i in self.carry:
                self._taken(Ref(CARRY, i))
            xs = [j for j in range(len(program.xs)) if self._taken(Ref(XS, j)) is not None]
            new_carry = [self._of(Ref(CARRY, i), program.carry[i].shape, program.carry[i].dtype) for i in self.carry]
            ys = [tracer.computed(self.sums[Ref(XS, j)]) for j in xs]
            contributions = [c._replace(g=tracer.computed(g)) for c, g in self.contributions]
        if tracer.reason is not None:
            raise CannotCompile(tracer.reason)
        return self._program(tuple(new_carry), tuple(ys), xs, contributions)

    def used_by(self, lines: Iterable[int]) -> set[Ref]:
        """What lines use that are sent a cotangent, whatever becomes of what they send."""
        with self.tracer, reporting(all="ignore"):
            for k in lines:
                self._send(self.program.lines[k], Ref(LOCAL, k), self._cotangent(Ref(LOCAL, k), Ref(XS, -1)))
        found = {part.a for part, _ in self.contributions if part.a is not None}
        ends = [self.tracer.ref(g) for g in (*self.sums.values(), *[g for _, g in self.contributions])]
        needed = Program((), (), (), tuple(self.tracer.lines), (), ()).live(ends)
        for kind, number in [ref for line in needed.lines for ref in line.operands]:
            if kind == CONST and number < len(self.program.consts):
                found.add(Ref(CONST, number))
            elif kind == XS and number >= 0:
                found.add(self.residuals[number])
        return found

    def _program(
        self, new_carry: tuple[Ref, ...], ys: tuple[Ref, ...], xs: list[int], contributions: list[Contribution]
    ) -> Derivative:
        program, tracer = self.program, self.tracer
        count = len(self.residuals)

        def placed(ref: Ref) -> Ref:
            return Ref(XS, count - 1 - ref.number) if ref.kind == XS and ref.number < 0 else ref

        lines = tuple([line._replace(operands=tuple(map(placed, line.operands))) for line in tracer.lines])
        values = [self._value(ref) for ref in self.residuals] + [self._value(program.ys[j]) for j in self.ys]
        consts = (*program.consts, *tracer.values()[len(program.consts) :])
        carry = tuple([self._value(program.new_carry[i]) for i in self.carry])
        whole = Program(tuple(values), carry, consts, lines, tuple(map(placed, new_carry)), tuple(map(placed, ys)))
        ends = [placed(c.g) for c in contributions]
        short, place = whole.pruned(ends)
        cotangents = {ref: placed(tracer.ref(g)) for ref, g in self.sums.items()}
        return Derivative(
            short,
            tuple(self.residuals),
            self.carry,
            self.ys,
            tuple(xs),
            frozenset(i for i in range(len(program.carry)) if Ref(CARRY, i) in self.sums),
            tuple([const._array for const in tracer.consts[len(program.consts) :]]),
            tuple([c._replace(g=place.get(g, g)) for c, g in zip(contributions, ends, strict=True)]),
            {ref: place.get(g, g) for ref, g in cotangents.items() if g.kind != LOCAL or g in place},
        )

    # ---------------------------------------------------------------- cotangents on their way

    def _cotangent(self, of: Ref, ref: Ref) -> Tensor:
        value = self.program.value(of)
        return self.tracer.bind(np.ones(value.shape, value.dtype), ref)

    def _add(self, ref: Ref, g: Tensor) -> None:
        self.sums[ref] = self.sums[ref] + g if ref in self.sums else g

    def _taken(self, ref: Ref) -> Tensor | None:
        """The whole cotangent of a forward value: the sum of all contributions, and what its parts sent."""
        if ref in self.cuts:
            self._add(ref, self._uncut(ref))
        return self.sums.get(ref)

    def _uncut(self, ref: Ref) -> Tensor:
        """What the parts of a value that were cut out of it send to the whole."""
        found, self.tracer.origin = self.tracer.origin, None
        parts, value = self.cuts.pop(ref), self.program.value(ref)
        axes = sorted({op.span[0] for op, _ in parts})
        wholes = [_joined(value.shape, value.dtype, axis, [part for part in parts if part[0].span[0] == axis]) for axis in axes]
        self.tracer.origin = found
        return functools.reduce(operator.add, wholes)

    def _of(self, ref: Ref, shape: tuple[int, ...], dtype: Any) -> Ref:
        """Where the cotangent of a part of the carry is: zeros, if none is sent at any step."""
        g = self.sums.get(ref)
        return self.tracer.computed(ops.copy(Tensor(np.zeros(shape, dtype))) if g is None else g)

    def _send(self, line: Line, ref: Ref, g: Tensor) -> None:
        """Let a line send its operands what its derivative says."""
        op = line.op
        sources = line.operands[: len(op.sources)]
        if isinstance(op, Slice):
            self.cuts.setdefault(sources[0], []).append((op, g))
            return
        if isinstance(op, Lookup):
            if sources[0].kind != CONST:
                raise CannotCompile("rows are taken out of a table that differs from step to step")
            self.contributions.append((Contribution(sources[0].number, SCATTER, Ref(LOCAL, -1), line.operands[1]), g))
            return
        if isinstance(op, Matmul) and sources[1].kind == CONST and op.rank_a == op.rank_b == 2:
            if sources[1] in self.differentiable:
                part = Contribution(sources[1].number, OUTER, Ref(LOCAL, -1), sources[0], op.transpose_b)
                self.contributions.append((part, g))
            if sources[0] in self.differentiable:
                self._deliver(sources[0], op.vjp(g, self._standing(sources[1]), None)[0])
            return
        saved = [self._standing(ref if kept == OUTPUT else line.operands[kept]) for kept in op.keeps]
        again = self._again(line, sources)
        if isinstance(op, CURVES):
            (slope,) = again.vjp(1.0, *saved)
            self._deliver(sources[0], g * slope)
            return
        for source, contribution in zip(sources, again.vjp(g, *saved), strict=True):
            self._deliver(source, contribution)

    def _again(self, line: Line, sources: Sequence[Ref]) -> Operation:
        """The operation with inputs that say which of them want a gradient."""
        again = copy.copy(line.op)
        again.sources = tuple([self._leaf(source) for source in sources])
        return again

    def _leaf(self, source: Ref) -> Leaf:
        value = self.program.value(source)
        return Leaf(value.shape, value.dtype, source in self.differentiable)

    def _deliver(self, source: Ref, contribution: Tensor | None) -> None:
        if contribution is None or source not in self.differentiable:
            return
        if source.kind == CONST:
            self.contributions.append((Contribution(source.number, SUM, Ref(LOCAL, -1)), contribution))
        else:
            self._add(source, unbroadcast(contribution, self.program.value(source).shape))

    # ---------------------------------------------------------------- forward values

    def _standing(self, ref: Ref) -> Any:
        """What stands for a forward value: a row of the residuals, a const, or the number that it is."""
        value = self.program.value(ref)
        if isinstance(value, Value) and value.number is not None:
            return value.number
        if ref not in self.standing:
            if ref.kind == CONST:
                here = ref
            else:
                here = Ref(XS, len(self.residuals))
                self.residuals.append(ref)
            self.standing[ref] = self.tracer.bind(np.ones(value.shape, value.dtype), here)
        return self.standing[ref]

    def _value(self, ref: Ref) -> Value:
        value = self.program.value(ref)
        return Value(value.shape, value.dtype, value.name, True)


def _joined(shape: tuple[int, ...], dtype: Any, axis: int, parts: list[tuple[Slice, Tensor]]) -> Tensor:
    """What the parts of a value that were cut along one axis send: side by side, zeros between them, overlaps added."""
    parts = sorted(parts, key=lambda part: part[0].span[1:3])
    rows: list[list[Tensor]] = []
    while parts:
        row, rest, end = [], [], 0
        for op, g in parts:
            _, start, stop, _ = op.span
            if start < end:
                rest.append((op, g))
                continue
            if start > end:
                row.append(_zeros(shape, dtype, axis, start - end))
            row.append(g if g.ndim == len(shape) else ops.expand_dims(g, axis))
            end = stop
        if end < shape[axis]:
            row.append(_zeros(shape, dtype, axis, shape[axis] - end))
        rows.append(row)
        parts = rest
    wholes: list[Tensor] = [row[0] if len(row) == 1 else ops.concatenate(row, axis=axis) for row in rows]
    return functools.reduce(operator.add, wholes)


def _zeros(shape: tuple[int, ...], dtype: Any, axis: int, length: int) -> Tensor:
    return Tensor(np.zeros((*shape[:axis], length, *shape[axis + 1 :]), dtype))
