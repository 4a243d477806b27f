"""Where values are: which of them are in memory, and in which section of the loop each is computed.

In memory is what is given, what products and sums over columns make, and what is ``stored``: what somebody needs of all
steps, the new state, what a product takes, joins of which more than one part is read at once, and what is dear and used on
both sides of a product. Slices and joins of columns are addresses: a slice is some columns of what it was cut out of, a part
of a join is where the join has it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minigrad.loops.native.form import AFTER, BEFORE, IN, NEW, SCRATCH, STACK, Place, Pointer
from minigrad.loops.native.formulas import formula
from minigrad.loops.program import CARRY, CONST, LOCAL, CannotCompile, Ref
from minigrad.loops.schedule import EPILOGUE, PROLOGUE, Schedule
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul
from minigrad.ops.reductions import Mean, Sum
from minigrad.ops.shape import Reshape

__all__ = ["Places", "Span"]


class Span(NamedTuple):
    """Columns of a value: from which, how many, and whether all columns of a loop take the first of them."""

    column: int
    width: int
    is_first: bool = False


class Places:
    """The values of a schedule, and where they are.

    Args:
        schedule: the operations.
        stored: the results that have to be in memory, beside those of products.

    Raises:
        CannotCompile: a value has a shape or a dtype that native code has not.
    """

    def __init__(self, schedule: Schedule, stored: frozenset[int]) -> None:
        self.schedule, self.program, self.nodes, self.operands = schedule, schedule.program, schedule.nodes, schedule.operands
        self.stored, self.dtype, self.batch = stored, self._dtype(), self._batch()
        self.at_once: list[int] = []
        """The lines before the loop that have no native form and are left to NumPy."""
        self.section = self._sections()
        self._crossing = self._found_crossing()
        whole = range(len(self.nodes))
        in_memory = [k for k in whole if k in stored or k in self.at_once or self.is_product(k) or self.is_total(k)]
        self.homes = {k: self._home(k) for k in in_memory}
        self.dear: set[int] = set()
        """What takes more than a few instructions to compute from what is in memory."""
        for k in [k for k in whole if k not in self.homes]:
            is_computed = not isinstance(self.nodes[k], Slice | Concatenate)
            if (is_computed and formula(self.nodes[k], self.numbers(k)).is_dear) or self.dear & set(schedule.results_of(k)):
                self.dear.add(k)

    def _dtype(self) -> Any:
        floats = {line.dtype for line in self.program.lines if line.dtype.kind == "f"}
        if len(floats) != 1 or (dtype := floats.pop()).str[1:] not in ("f4", "f8") or not dtype.isnative:
            raise CannotCompile("native code computes in float32 or float64")
        return dtype

    def _batch(self) -> int:
        shapes = [value.shape for value in (*self.program.carry, *self.program.xs)]
        shapes += [line.shape for line in self.program.lines]
        return next((shape[0] for shape in shapes if len(shape) == 2), 1)

    def _sections(self) -> list[int]:
        """Where each line is computed: in the loop, but for products of all steps, what they take, and what takes them."""
        sections: list[int] = []
        for k, operands in enumerate(self.operands):
            phase, product = self.schedule.phase[k], self.is_product(k)
            given = all(o.kind != CARRY and (o.kind != LOCAL or o.number in self.at_once) for o in operands)
            if phase == PROLOGUE and given and not product and not self._has_form(k):
                self.at_once.append(k)
            after = any(o.kind == LOCAL and sections[o.number] == AFTER for o in operands) or (product and phase == EPILOGUE)
            before = k in self.at_once or (product and phase == PROLOGUE)
            sections.append(BEFORE if before else AFTER if after else IN)
        for k, operands in enumerate(self.operands):
            taken = self.uncut(operands[0]) if sections[k] == BEFORE and self.is_product(k) else None
            if taken is not None and taken.kind == LOCAL:
                sections[taken.number] = BEFORE
        return sections

    def _has_form(self, k: int) -> bool:
        try:
            return isinstance(self.nodes[k], Slice | Concatenate) or bool(formula(self.nodes[k], self.numbers(k)))
        except CannotCompile:
            return False

    def _found_crossing(self) -> set[int]:
        """What has a row for each step: it is needed of all steps, or in another section than its own."""
        found = {k for k, section in enumerate(self.section) if section != IN} | self.schedule.kept
        for k in reversed(range(len(self.nodes))):
            elsewhere = [o.number for o in self.operands[k] if o.kind == LOCAL and self.section[o.number] != self.section[k]]
            at_once = self.is_product(k) and self.section[k] != IN
            is_address = k in found and isinstance(self.nodes[k], Slice | Concatenate)
            found.update(self.schedule.results_of(k) if at_once or is_address else elsewhere)
        return found

    def _home(self, k: int) -> Pointer:
        """Where a result lies: with the new state if it is one, in a row of its own for each step, or in one for all."""
        schedule, ref = self.schedule, Ref(LOCAL, k)
        if ref in schedule.new and (schedule.every_carry or k not in self._crossing) and self.section[k] == IN:
            return Pointer(self.place(NEW, schedule.new.index(ref), ref))
        return Pointer(self.place(STACK if k in self._crossing else SCRATCH, k, ref))

    # ---------------------------------------------------------------- what others ask

    def place(self, kind: str, number: int, like: Ref) -> Place:
        """A place for a value."""
        value = self.program.value(like)
        shape, dtype = value.shape, value.dtype
        is_batch = len(shape) == 2 and shape[0] == self.batch
        if len(shape) > 2 or (len(shape) == 2 and not is_batch and shape[0] != 1):
            raise CannotCompile(f"native code has rows and columns, for values of shape {shape} it has none")
        if dtype != self.dtype and (dtype is None or dtype.kind != "b"):
            raise CannotCompile(f"native code has no numbers of dtype {dtype}")
        return Place(kind, number, shape, is_batch, dtype)

    def located(self, ref: Ref, column: int = 0) -> Pointer | None:
        """Where a value is in memory, from a column on; None if it is not there."""
        if ref.kind != LOCAL:
            return Pointer(self.place(ref.kind, ref.number, ref), column)
        if ref.number in self.homes:
            home = self.homes[ref.number]
            return Pointer(home.place, home.column + column)
        return self.located(*self.cut(ref.number, column)) if isinstance(self.nodes[ref.number], Slice) else None

    def cut(self, k: int, column: int) -> tuple[Ref, int]:
        """What a column of a slice is a column of."""
        (operand,), (axis, start, _, index) = self.operands[k], self.nodes[k].span  # type: ignore[attr-defined]
        last = index[-1] if isinstance(index, tuple) else index
        if axis != len(self.program.value(operand).shape) - 1 or not isinstance(last, slice):
            raise CannotCompile("native code cuts along the last axis only")
        return operand, start + column

    def part(self, k: int, span: Span) -> tuple[Ref, Span] | None:
        """The part of a join that some columns lie in; None if they lie in several."""
        for operand, (start, stop) in self.parts(k):
            if start <= span.column and span.column + span.width <= stop:
                return operand, span._replace(column=span.column - start)
        return None

    def parts(self, k: int) -> list[tuple[Ref, tuple[int, int]]]:
        """The parts of a join, and the columns between which they lie."""
        node: Any = self.nodes[k]
        if node.axis != len(node.shape) - 1:
            raise CannotCompile("native code joins along the last axis only")
        return list(zip(self.operands[k], node.bounds, strict=True))

    def uncut(self, ref: Ref) -> Ref:
        """What a value was cut out of, if it was."""
        while ref.kind == LOCAL and isinstance(self.nodes[ref.number], Slice):
            (ref,) = self.operands[ref.number]
        return ref

    def whole(self, ref: Ref) -> Span:
        """All columns of a value."""
        shape = self.program.value(ref).shape
        return Span(0, shape[-1] if shape else 1)

    def span_of(self, operand: Ref, k: int, span: Span) -> Span:
        """The columns of an operand that some columns of an entrywise result need."""
        if isinstance(self.nodes[k], Reshape) and self.program.value(operand).shape != self.nodes[k].shape:
            raise CannotCompile("native code does not reshape")
        is_stretched = self.whole(operand).width != self.whole(Ref(LOCAL, k)).width
        return Span(0, 1, True) if is_stretched else span

    def is_product(self, k: int) -> bool:
        """Whether a line is a product of rows, or of one, with a matrix that is the same at every step."""
        node = self.nodes[k]
        return isinstance(node, Matmul) and node.rank_a <= 2 == node.rank_b and self.operands[k][1].kind == CONST

    def is_total(self, k: int) -> bool:
        """Whether a line is a sum or a mean over columns that leaves one column."""
        node: Any = self.nodes[k]
        return isinstance(node, Sum | Mean) and node.axes == (len(node.shape_x) - 1,) and len(node.shape) == len(node.shape_x)

    def numbers(self, k: int) -> tuple[float | None, ...]:
        """Those operands of a line that are plain numbers."""
        return tuple([getattr(self.program.value(ref), "number", None) for ref in self.operands[k]])
