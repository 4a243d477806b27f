"""What a person sees at once: σ where the code writes it out, and the same value computed twice.

    1 / (1 + e⁻ˣ)      a / (1 + e⁻ˣ) = a ⊙ σ(x)      eˣ / (1 + eˣ)      ½ tanh(½ x) + ½      ½ (tanh(½ x) + 1)

Nobody derives a gate through its exponential. As one operation it also has one derivative, y (1 − y).
"""

from __future__ import annotations

import copy
from typing import Any

from minigrad.graph import Operation
from minigrad.loops.program import LOCAL, Line, Program, Ref
from minigrad.loops.trace import Pass
from minigrad.ops.arithmetic import Multiply
from minigrad.ops.transcendental import Sigmoid

__all__ = ["recognised"]


def recognised(program: Program) -> Program:
    """The same program, up to rounding, with σ as one operation, and nothing computed twice."""
    return _Rewriting(program).result()


class _Rewriting:
    def __init__(self, program: Program) -> None:
        self.old = program
        self.lines: list[Line] = []
        self.place: dict[Ref, Ref] = {}
        self.passed: dict[Ref, Ref] = {}
        """Where what is handed on as it is stands, as a part of the state, as an output, or as both."""
        self.computed: dict[Any, Ref] = {}
        """Where the results of operations on entries stand, by the operation and its operands."""

    def result(self) -> Program:
        """The lines that are left."""
        for k, line in enumerate(self.old.lines):
            self.place[Ref(LOCAL, k)] = self._rewritten(line) or self._again(line) or self._emit(line.op, *line.operands)
        new_carry, ys = (tuple([self.place.get(ref, ref) for ref in refs]) for refs in (self.old.new_carry, self.old.ys))
        return Program(self.old.xs, self.old.carry, self.old.consts, tuple(self.lines), new_carry, ys).live(())

    def _again(self, line: Line) -> Ref | None:
        """Where the same has been computed before, unless both have names of their own."""
        kind: Any = type(line.op)
        if not line.op.entrywise or kind.__slots__:
            return None
        key = kind, line.dtype, tuple([self.place.get(ref, ref) for ref in line.operands])
        ref = self.computed.setdefault(key, Ref(LOCAL, len(self.lines)))
        if ref.number == len(self.lines):
            return None
        first = self.lines[ref.number]
        if first.name is None and line.name is not None:
            self.lines[ref.number] = first._replace(op=copy.copy(first.op))
            self.lines[ref.number].op.name = line.name
        return ref if line.name in (None, self.lines[ref.number].name) else None

    def _emit(self, op: Operation, *operands: Ref) -> Ref:
        """A line whose operands are those of the old program."""
        self.lines.append(Line(op, tuple([self.place.get(ref, ref) for ref in operands])))
        return Ref(LOCAL, len(self.lines) - 1)

    def _rewritten(self, line: Line) -> Ref | None:
        if isinstance(line.op, Pass):
            (source,) = line.operands
            self.passed[source] = self.passed.get(source) or self._emit(line.op, source)
            return self.passed[source]
        if line.op.label == "div":
            a, below = line.operands
            x = self._one_plus_exponential(below)
            if x is None:
                return None
            argument, is_negated = x
            if is_negated and self._number(a) == 1:
                return self._sigmoid(line, argument)
            if is_negated:
                gate = self._sigmoid(self.old.lines[below.number], argument, named=False)
                return self._like(Multiply(), line, (self.place.get(a, a), gate))
            return self._sigmoid(line, argument) if self._is_exponential(a, argument) else None
        x_of_tanh = self._half_tanh(line)
        return None if x_of_tanh is None else self._sigmoid(line, x_of_tanh)

    def _sigmoid(self, line: Line, argument: Ref, named: bool = True) -> Ref:
        return self._like(Sigmoid(), line, (self.place.get(argument, argument),), named)

    def _like(self, op: Operation, line: Line, operands: tuple[Ref, ...], named: bool = True) -> Ref:
        """A new operation in the place of a line, on operands of the new program."""
        op.sources, op.shape, op.dtype = (None,) * len(operands), line.shape, line.dtype
        op.name, op.place, op.watch, op.saved = line.name if named else None, line.op.place, None, ()
        self.lines.append(Line(op, operands))
        return Ref(LOCAL, len(self.lines) - 1)

    # ---------------------------------------------------------------- what stands where

    def _line(self, ref: Ref) -> Line | None:
        return self.old.lines[ref.number] if ref.kind == LOCAL else None

    def _operands(self, ref: Ref) -> tuple[Ref, ...]:
        return self.old.lines[ref.number].operands

    def _number(self, ref: Ref) -> float | None:
        return getattr(self.old.value(ref), "number", None)

    def _is(self, ref: Ref, label: str) -> bool:
        line = self._line(ref)
        return line is not None and line.op.label == label

    def _one_plus_exponential(self, ref: Ref) -> tuple[Ref, bool] | None:
        """Of 1 + e⁻ˣ or 1 + eˣ the x, and whether it is negated."""
        line = self._line(ref)
        if line is None or line.op.label != "add":
            return None
        for one, exponential in (line.operands, line.operands[::-1]):
            if self._number(one) == 1 and self._is(exponential, "exp"):
                (inner,) = self._operands(exponential)
                return (self._operands(inner)[0], True) if self._is(inner, "neg") else (inner, False)
        return None

    def _is_exponential(self, ref: Ref, argument: Ref) -> bool:
        return self._is(ref, "exp") and self._operands(ref) == (argument,)

    def _half_tanh(self, line: Line) -> Ref | None:
        """Of ½ tanh(½ x) + ½, or ½ (tanh(½ x) + 1), the x."""
        if line.op.label == "add":
            for half, scaled in (line.operands, line.operands[::-1]):
                tanh = self._halved(scaled)
                if self._number(half) == 0.5 and tanh is not None and self._is(tanh, "tanh"):
                    return self._halved(self._operands(tanh)[0])
        if line.op.label == "mul":
            for half, total in (line.operands, line.operands[::-1]):
                if self._number(half) == 0.5 and self._is(total, "add"):
                    for one, tanh in (self._operands(total), self._operands(total)[::-1]):
                        if self._number(one) == 1 and self._is(tanh, "tanh"):
                            return self._halved(self._operands(tanh)[0])
        return None

    def _halved(self, ref: Ref) -> Ref | None:
        """Of ½ x, or x / 2, the x."""
        line = self._line(ref)
        if line is not None and line.op.label == "mul":
            for half, x in (line.operands, line.operands[::-1]):
                if self._number(half) == 0.5:
                    return x
        if line is not None and line.op.label == "div" and self._number(line.operands[1]) == 2:
            return line.operands[0]
        return None
