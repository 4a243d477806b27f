"""Lowering: from a schedule to the form that native code is generated from.

Every value is a formula of others, entry by entry, down to what lies in memory. So each value that must be in memory is the
root of one formula, and a nest of loops computes the roots that can be computed together: those of one rank, which is the
number of products that have to be made before, one after the other.

What must be in memory is partly found on the way; whenever something is, the lowering begins anew with that known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from minigrad.loops.native.entries import Entries
from minigrad.loops.native.form import IN, NEW, SCRATCH, Form, Nest, Pointer, Product, Stage
from minigrad.loops.native.places import Places, Span
from minigrad.loops.program import LOCAL, CannotCompile, Ref
from minigrad.loops.schedule import Schedule
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul

__all__ = ["lowered"]

MOST: Final = 1000
"""Instructions of one nest that are compiled: the time grows faster than their number, and is half a minute for so many."""

Root: TypeAlias = tuple[Pointer, Ref]
"""Where a value is stored, and the value."""


def lowered(schedule: Schedule) -> Form:
    """The form of a schedule.

    Raises:
        CannotCompile: something in it has no native form.
    """
    stored = {k for k in schedule.kept if not isinstance(schedule.nodes[k], Matmul)}
    while True:
        attempt = Lowering(schedule, frozenset(stored))
        form = attempt.form()
        if not attempt.missing:
            return form
        if attempt.missing <= stored:
            raise CannotCompile("its values have no order in native code")
        stored |= attempt.missing


class Lowering(Places):
    """One attempt; what is found ``missing`` has to be stored too."""

    def __init__(self, schedule: Schedule, stored: frozenset[int]) -> None:
        super().__init__(schedule, stored)
        self.missing: set[int] = set()
        self.pointers: dict[Pointer, int] = {}
        self.sizes: dict[int, int] = {}
        self.plain_numbers: list[float] = []
        self._ranks: dict[tuple[int, Span, int], int] = {}

    def form(self) -> Form:
        """All roots, in their stages."""
        for k in [k for k in range(len(self.nodes)) if k not in self.at_once]:
            self.rank(Ref(LOCAL, k), self.whole(Ref(LOCAL, k)), self.section[k])  # those of operands are known by then
        roots: tuple[list[Root], ...] = ([], [], [])
        for k in [k for k in self.homes if k not in self.at_once and not self.is_product(k)]:
            home = self.homes[k]
            if isinstance(self.nodes[k], Concatenate):
                roots[self.section[k]].extend([(Pointer(home.place, start), part) for part, (start, _) in self.parts(k)])
            else:
                roots[self.section[k]].append((home, Ref(LOCAL, k)))
        for i, ref in enumerate(self.schedule.new):
            there = Pointer(self.place(NEW, i, ref))
            if ref.number not in self.homes:
                self.missing.add(ref.number)
            if self.homes.get(ref.number) != there:
                roots[IN].append((there, ref))
        return Form(
            tuple([self._stages(section, roots[section]) for section in range(3)]),
            tuple(self.pointers),
            tuple(self.sizes),
            {k: self.homes[k] for k in self.schedule.kept if k in self.homes},
            {k: self.homes[k].place for k in self.at_once},
            tuple(self.plain_numbers),
            self.batch,
            self.dtype,
            self.schedule.every_carry,
        )

    def _stages(self, section: int, roots: Sequence[Root]) -> tuple[Stage, ...]:
        nests: dict[tuple[int, bool, int, bool], list[Root]] = {}
        for there, ref in roots:
            is_total = self._is_made(there, ref)
            summed = self.operands[ref.number][0] if is_total else ref
            span = self.whole(summed)
            key = self.rank(summed, span, section), self.place(SCRATCH, 0, summed).is_batch, span.width, is_total
            nests.setdefault(key, []).append((there, ref))
        products: dict[int, list[Product]] = {}
        for k in [k for k, of in enumerate(self.section) if of == section and self.is_product(k)]:
            products.setdefault(self._complete(Ref(LOCAL, k), section) - 1, []).append(self._product(k))
        last = max([*products, *[rank for rank, *_ in nests]], default=-1)
        stages = [Stage([], products.get(rank, [])) for rank in range(last + 1)]
        for (rank, is_batch, width, is_total), together in sorted(nests.items(), key=lambda nest: nest[0]):
            instructions = Entries(self, section, rank, width).of(together, is_total)
            if len(instructions) > MOST:
                raise CannotCompile(f"its step has {len(instructions)} instructions in a row, which take too long to compile")
            stages[rank].nests.append(Nest(is_batch, self.sizes.setdefault(width, len(self.sizes)), instructions))
        return tuple(stages)

    def _is_made(self, there: Pointer, ref: Ref) -> bool:
        """Whether a root is a sum over columns, stored where it is made."""
        return ref.kind == LOCAL and self.is_total(ref.number) and self.homes[ref.number] == there

    def _product(self, k: int) -> Product:
        (rows, matrix), y, transposed = self.operands[k], self.homes[k], cast(Matmul, self.nodes[k]).transpose_b
        a = self.located(rows)
        if a is None:
            self.missing.add(self.uncut(rows).number)
            a = y
        shape = self.program.value(matrix).shape
        columns, inner = shape if transposed else shape[::-1]
        if not columns or not inner:
            raise CannotCompile("a matrix has no entries")
        return Product(self.pointer(a), matrix.number, self.pointer(y), transposed, y.place.is_batch, columns, inner)

    def pointer(self, pointer: Pointer) -> int:
        """The number of a pointer."""
        return self.pointers.setdefault(pointer, len(self.pointers))

    # ---------------------------------------------------------------- when it can be computed

    def rank(self, ref: Ref, span: Span, section: int) -> int:
        """The number of the stage in which some columns of a value can be computed, or loaded."""
        if ref.kind != LOCAL or self._is_from_before(ref.number, section):
            return 0
        key = ref.number, span, section
        if key not in self._ranks:
            self._ranks[key] = self._found_rank(ref.number, span, section)
        return self._ranks[key]

    def _found_rank(self, k: int, span: Span, section: int) -> int:
        node, operands = self.nodes[k], self.operands[k]
        if self.is_product(k) or self.is_total(k):
            return self._complete(operands[0], section) + 1
        if isinstance(node, Slice):
            operand, column = self.cut(k, span.column)
            return self.rank(operand, span._replace(column=column), section)
        if isinstance(node, Concatenate):
            part = self.part(k, span)
            return self._complete(Ref(LOCAL, k), section) + 1 if part is None else self.rank(*part, section)
        return max([self.rank(operand, self.span_of(operand, k, span), section) for operand in operands], default=0)

    def _complete(self, ref: Ref, section: int) -> int:
        """The stage after whose nests all of a value is in memory, or, of a product, at whose beginning it is."""
        is_join = ref.kind == LOCAL and isinstance(self.nodes[ref.number], Concatenate)
        if is_join and not self._is_from_before(ref.number, section):
            return max(self._complete(operand, section) for operand in self.operands[ref.number])
        return self.rank(ref, self.whole(ref), section)

    def _is_from_before(self, k: int, section: int) -> bool:
        return k in self.homes and self.section[k] < section

    def is_loadable(self, k: int, section: int, rank: int) -> bool:
        """Whether a stage finds a result in memory."""
        if k not in self.homes or self.section[k] != section:
            return self._is_from_before(k, section)
        return self._complete(Ref(LOCAL, k), section) < rank + (self.is_product(k) or self.is_total(k))

    def should_store(self, k: int, span: Span, section: int, rank: int) -> bool:
        """Whether a result that is not in memory has to be: it is of another section, or dear and of an earlier stage."""
        if self.section[k] != section:
            return IN == self.section[k] < section
        ranks = self.rank(Ref(LOCAL, k), span, section), self._complete(Ref(LOCAL, k), section)
        return max(ranks) < rank and k in self.dear
