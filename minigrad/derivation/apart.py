"""Stacked gates taken apart, as they stand on paper.

In code, the matrices of all gates often lie one below the other in one array, and the product with it is cut into gates
afterwards. On paper each gate has a matrix of its own. Both are the same program: a part of a sum is the sum of the parts,
and a part of A Wᵀ is the product of A with the rows of W that belong to it. Here the cuts are moved up the program in this
way until they lie in the consts, which become blocks.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeAlias

from minigrad.graph import Operation
from minigrad.loops.program import CONST, LOCAL, Line, Program, Ref, Value
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul
from minigrad.ops.shape import Transpose

__all__ = ["Block", "apart"]

Cut: TypeAlias = tuple[int, int, int]
"""Which part of an array: the axis, the first entry along it, and the first that does not belong to it any more."""


@dataclass(frozen=True)
class Block:
    """A part of a const: ``cut`` is None for all of it."""

    const: int
    cut: Cut | None = None

    @property
    def index(self) -> tuple[slice, ...]:
        """The index of the part."""
        if self.cut is None:
            return ()
        axis, start, stop = self.cut
        return (*(slice(None),) * axis, slice(start, stop))


def apart(program: Program) -> tuple[Program, list[Block]]:
    """The program with a const for each block, and what the consts are blocks of."""
    return _Apart(program).result()


class _Apart:
    def __init__(self, program: Program) -> None:
        self.old = program
        self.lines: list[Line] = []
        self.blocks: dict[Block, Ref] = {}
        self.place: dict[Ref, Ref] = {}
        """For the lines of the old program, where their results stand in the new one."""
        self.known: dict[tuple[Ref, Cut], Ref] = {}
        users: dict[Ref, list[Line]] = {}
        for line in program.lines:
            for operand in line.operands:
                users.setdefault(operand, []).append(line)
        results = {*program.new_carry, *program.ys}
        self.stacked = {ref for ref, lines in users.items() if ref not in results and all(map(_is_cut, lines))}
        """The values of which nothing but parts is used."""

    def result(self) -> tuple[Program, list[Block]]:
        """The lines that are left, in order."""
        for k, line in enumerate(self.old.lines):
            ref, cut = Ref(LOCAL, k), _cut_of(line)
            source = line.operands[0] if line.operands else None
            if cut is not None and source is not None and (source.kind == CONST or self._is_product(source)):
                pushed = self._part(source, cut)
                self.place[ref] = self._named(pushed, line)
            else:
                self.place[ref] = self._emit(line.op, tuple(map(self._here, line.operands)))
        new_carry, ys = (tuple(map(self._here, refs)) for refs in (self.old.new_carry, self.old.ys))
        whole = Program(self.old.xs, self.old.carry, self._values(), tuple(self.lines), new_carry, ys).live(())
        used = {operand for line in whole.lines for operand in line.operands if operand.kind == CONST}
        left = [(block, ref) for block, ref in self.blocks.items() if ref in used]
        place = {ref: Ref(CONST, number) for number, (_, ref) in enumerate(left)}
        lines = tuple([line._replace(operands=tuple([place.get(o, o) for o in line.operands])) for line in whole.lines])
        values = tuple([whole.consts[ref.number] for _, ref in left])
        return Program(whole.xs, whole.carry, values, lines, whole.new_carry, whole.ys), [block for block, _ in left]

    def _values(self) -> tuple[Value, ...]:
        found = []
        for block in self.blocks:
            value = self.old.consts[block.const]
            if block.cut is not None:
                axis, start, stop = block.cut
                value = value._replace(shape=(*value.shape[:axis], stop - start, *value.shape[axis + 1 :]))
            found.append(value)
        return tuple(found)

    def _here(self, ref: Ref) -> Ref:
        if ref.kind == CONST:
            return self.blocks.setdefault(Block(ref.number), Ref(CONST, len(self.blocks)))
        return self.place.get(ref, ref)

    def _emit(self, op: Operation, operands: tuple[Ref, ...], **changes: Any) -> Ref:
        if changes:
            op = copy.copy(op)
            op.name = None
            for name, value in changes.items():
                setattr(op, name, value)
        self.lines.append(Line(op, operands))
        return Ref(LOCAL, len(self.lines) - 1)

    def _named(self, ref: Ref, line: Line) -> Ref:
        """The part under the name that it has in the code."""
        if line.name is None or ref.kind != LOCAL:
            return ref
        made = self.lines[ref.number]
        if made.name is None:
            op = copy.copy(made.op)
            op.name = line.name
            self.lines[ref.number] = made._replace(op=op)
        return ref

    # ---------------------------------------------------------------- cuts on their way up

    def _is_product(self, ref: Ref) -> bool:
        """Whether the value is a product with a matrix of the parameters, of which only parts are used."""
        if ref not in self.stacked:
            return False
        return self._leads_to_product(ref)

    def _leads_to_product(self, ref: Ref) -> bool:
        if ref.kind != LOCAL:
            return False
        line = self.old.lines[ref.number]
        if isinstance(line.op, Matmul):
            return line.op.rank_b == 2 and line.operands[1].kind == CONST
        if _is_cut(line):
            return self._leads_to_product(line.operands[0])
        return line.op.entrywise and any(map(self._leads_to_product, line.operands))

    def _part(self, ref: Ref, cut: Cut) -> Ref:
        """A part of a value of the old program, in the new one."""
        if (ref, cut) not in self.known:
            self.known[ref, cut] = self._part_of(ref, cut)
        return self.known[ref, cut]

    def _part_of(self, ref: Ref, cut: Cut) -> Ref:
        value, (axis, start, stop) = self.old.value(ref), cut
        if axis < 0 or axis >= len(value.shape) or (value.shape[axis] == 1 and stop > 1):
            return self._here(ref)
        if ref.kind == CONST:
            whole = start == 0 and stop == value.shape[axis]
            block = Block(ref.number, None if whole else cut)
            return self.blocks.setdefault(block, Ref(CONST, len(self.blocks)))
        shape = (*value.shape[:axis], stop - start, *value.shape[axis + 1 :])
        if ref.kind == LOCAL:
            line = self.old.lines[ref.number]
            if line.op.entrywise:
                parts = [self._part(operand, (axis - self._missing(line, operand), start, stop)) for operand in line.operands]
                return self._emit(line.op, tuple(parts), shape=shape)
            if isinstance(line.op, Matmul) and line.op.rank_b == 2 and axis == len(value.shape) - 1:
                a, b = line.operands
                matrix = self._part(b, (0 if line.op.transpose_b else 1, start, stop))
                return self._emit(line.op, (self._here(a), matrix), shape=shape)
            if isinstance(line.op, Concatenate) and line.op.axis == axis and (start, stop) in line.op.bounds:
                return self._here(line.operands[line.op.bounds.index((start, stop))])
            if isinstance(line.op, Slice) and _cut_of(line) is not None and line.op.span[0] == axis:
                first = line.op.span[1]
                return self._part(line.operands[0], (axis, first + start, first + stop))
            if isinstance(line.op, Transpose) and line.op.of_matrix:
                return self._emit(line.op, (self._part(line.operands[0], (1 - axis, start, stop)),), shape=shape)
        cutting = Slice()
        cutting.span = (axis, start, stop, (*(slice(None),) * axis, slice(start, stop)))
        cutting.sources, cutting.saved, cutting.watch = (None,), (), None
        cutting.shape, cutting.dtype, cutting.name = shape, value.dtype, None
        cutting.place = self.old.lines[0].op.place
        return self._emit(cutting, (self._here(ref),))

    def _missing(self, line: Line, operand: Ref) -> int:
        """How many axes an operand has less than the result."""
        return len(line.shape) - len(self.old.value(operand).shape)


def _cut_of(line: Line) -> Cut | None:
    """The part that a line cuts out along an axis, which it keeps."""
    if not isinstance(line.op, Slice):
        return None
    axis, start, stop, index = line.op.span
    return None if isinstance(index, int) or (isinstance(index, tuple) and isinstance(index[-1], int)) else (axis, start, stop)


def _is_cut(line: Line) -> bool:
    return _cut_of(line) is not None

