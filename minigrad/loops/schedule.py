"""Scheduling: what is computed before the loop, in it, and after it.

What does not depend on the carry is computed for all steps at once, in the prologue; what the carry does not depend on, in
the epilogue. The body is what is left: the recurrence itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from minigrad.loops.program import CARRY, CONST, LOCAL, CannotCompile, Program, Ref
from minigrad.ops.constants import Flat
from minigrad.ops.indexing import Lookup, Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul

__all__ = ["BODY", "EPILOGUE", "PROLOGUE", "Schedule"]

PROLOGUE, BODY, EPILOGUE = range(3)


class Schedule:
    """The lines of a program, with the phase in which each of them is computed.

    Args:
        program: the step.
        kept: those locals that are needed of all steps.
        every_carry: whether the carries of all steps are needed, or only the last.

    Raises:
        CannotCompile: what is needed of all steps is cut out of a carry that the next step overwrites.
    """

    __slots__ = ("every_carry", "kept", "new", "nodes", "operands", "phase", "program", "stacked", "uses")

    def __init__(self, program: Program, kept: Iterable[int], every_carry: bool) -> None:
        self.program, self.every_carry = program, every_carry
        self.nodes = [line.op for line in program.lines]
        self.operands = [line.operands for line in program.lines]
        self.new = program.new_carry
        self.kept = set(kept)
        self.uses = Counter([operand for sources in (*self.operands, self.new) for operand in sources])
        """How often each operand is used."""
        if not every_carry and any(self._is_of_carry(Ref(LOCAL, k)) for k in self.kept):
            raise CannotCompile("a part of a carry of which only the last is kept")
        self.phase = self._phases()
        self.stacked = self._stacked()
        """Whether a result has a row for each step."""

    def _phases(self) -> list[int]:
        count = len(self.nodes)
        single = [not self._at_once(k) for k in range(count)]
        for operand in self.new:
            single[operand.number] = True
        depends, feeds = single.copy(), single.copy()
        for k, operands in enumerate(self.operands):
            depends[k] |= any(o.kind == CARRY or (o.kind == LOCAL and depends[o.number]) for o in operands)
        for k in reversed(range(count)):
            feeds[k] |= not self.every_carry and any(map(self._is_of_carry, self.operands[k]))
            if feeds[k]:
                for o in self.operands[k]:
                    if o.kind == LOCAL:
                        feeds[o.number] = True
        return [PROLOGUE if not d else BODY if f else EPILOGUE for d, f in zip(depends, feeds, strict=True)]

    def _at_once(self, k: int) -> bool:
        """Whether a line can be computed for all steps in one call: the first axis of the stacked operands is then time."""
        node, operands = self.nodes[k], self.operands[k]
        if isinstance(node, Lookup):
            return operands[0].kind == CONST
        if isinstance(node, Matmul):
            return self.is_product(k)
        if not (node.entrywise or isinstance(node, Slice | Concatenate)):
            return False
        stacked = [self.program.value(operand) for operand in operands if operand.kind != CONST]
        return isinstance(node, Slice | Concatenate) or all(len(value.shape) == len(node.shape) for value in stacked)

    def _is_of_carry(self, operand: Ref) -> bool:
        """Whether it is a part of the carry before the step, or cut out of one."""
        while operand.kind == LOCAL and isinstance(self.nodes[operand.number], Slice):
            (operand,) = self.operands[operand.number]
        return operand.kind == CARRY

    def _stacked(self) -> list[bool]:
        stacked = [phase != BODY or k in self.kept for k, phase in enumerate(self.phase)]
        for k in reversed(range(len(self.nodes))):
            if self.phase[k] == EPILOGUE or (stacked[k] and isinstance(self.nodes[k], Slice)):
                for operand in self.operands[k]:
                    if operand.kind == LOCAL:
                        stacked[operand.number] = True
        return stacked

    def is_product(self, k: int) -> bool:
        """Whether a line is a product of rows with a matrix that is the same at every step."""
        node = self.nodes[k]
        return isinstance(node, Matmul) and node.rank_a == node.rank_b == 2 and self.operands[k][1].kind == CONST

    def is_computed(self, operand: Ref) -> bool:
        """Whether it is the result of a call, not a part or a whole of other results."""
        return operand.kind == LOCAL and not isinstance(self.nodes[operand.number], Slice | Concatenate)

    def is_entrywise(self, operand: Ref) -> bool:
        """Whether it is the result of a call that computes each entry by itself, wherever it lies."""
        return operand.kind == LOCAL and self.nodes[operand.number].entrywise

    def is_alike(self, k: int, m: int) -> bool:
        """Whether two lines have the same opcode and results of the same kind."""
        return self.kind_of(k) == self.kind_of(m) and self.nodes[k].shape == self.nodes[m].shape

    def kind_of(self, k: int) -> tuple[Any, ...]:
        """What an entrywise line computes, whatever its shape."""
        node = self.nodes[k]
        return type(node), node.function if isinstance(node, Flat) else None, node.dtype

    def results_of(self, k: int) -> list[int]:
        """The locals that line ``k`` takes."""
        return [operand.number for operand in self.operands[k] if operand.kind == LOCAL]
