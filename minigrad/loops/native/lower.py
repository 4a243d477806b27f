"""Lowering: from a schedule to the form that native code is generated from.

Every value is a formula of others, entry by entry, down to what lies in memory: what is given, the state, products, and
what was stored. So each value that must be in memory is the root of one formula, and a nest of loops computes the roots
that can be computed together. Slices and joins of columns are addresses: they choose a column of what they are made of.

In memory must be what somebody needs of all steps, the new state, what a product takes, joins of which more than one part
is read at once, and what is dear and used on both sides of a product. The last two are found on the way; whenever one is,
the lowering begins anew with that known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from minigrad.loops.native.form import (
    AFTER,
    BEFORE,
    IN,
    NEW,
    NUMBER,
    SCRATCH,
    STACK,
    Apply,
    Form,
    Instruction,
    Load,
    Nest,
    Place,
    Pointer,
    Product,
    Stage,
    Store,
)  # fmt: skip
from minigrad.loops.native.formulas import formula
from minigrad.loops.program import CARRY, CONST, LOCAL, CannotCompile, Ref
from minigrad.loops.schedule import EPILOGUE, PROLOGUE, Schedule
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul

__all__ = ["lowered"]

LITERALS = {0: "zero", 1: "one", 2: "two", -1: "-one"}
"""The numbers that are written into the code; others have a place, so that one code serves all of them."""


class Span(NamedTuple):
    """Columns of a value: from which, how many, and whether an entry of each row is the same for all columns of a loop."""

    column: int
    width: int
    is_first: bool = False


def lowered(schedule: Schedule) -> Form:
    """The form of a schedule.

    Raises:
        CannotCompile: something in it has no native form.
    """
    stored = {k for k in schedule.kept if not isinstance(schedule.nodes[k], Matmul)}
    while True:
        attempt = _Lowering(schedule, frozenset(stored))
        form = attempt.form()
        if not attempt.missing:
            return form
        if attempt.missing <= stored:
            raise CannotCompile("its values have no order in native code")
        stored |= attempt.missing


class _Lowering:
    """One attempt, with what is known to be stored; what is found ``missing`` has to be stored too."""

    def __init__(self, schedule: Schedule, stored: frozenset[int]) -> None:
        self.schedule, self.program, self.stored = schedule, schedule.program, stored
        self.missing: set[int] = set()
        self.dtype = self._dtype()
        self.batch = self._batch()
        self.at_once: list[int] = []
        self.section = self._sections()
        self.crossing = self._crossing()
        self.homes: dict[int, Pointer] = {}
        self.pointers: dict[Pointer, int] = {}
        self.sizes: dict[int, int] = {}
        self.numbers: list[float] = []
        self.ranks: dict[Any, int] = {}
        for k in range(len(schedule.nodes)):
            if k in stored or self._is_product(k) or k in self.at_once:
                self.homes[k] = self._home(k)

    # ---------------------------------------------------------------- what there is

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
        """Where each line is computed: products of all steps before or after the loop, and what needs the latter, after."""
        sections: list[int] = []
        for k, operands in enumerate(self.schedule.operands):
            phase = self.schedule.phase[k]
            given = [o.kind != CARRY and (o.kind != LOCAL or o.number in self.at_once) for o in operands]
            product, after = self._is_product(k), any(o.kind == LOCAL and sections[o.number] == AFTER for o in operands)
            if phase == PROLOGUE and all(given) and not product and not self._is_lowered(k):
                self.at_once.append(k)
            before = k in self.at_once or (product and phase == PROLOGUE)
            sections.append(BEFORE if before else AFTER if after or (product and phase == EPILOGUE) else IN)
        for k, section in enumerate(sections):
            taken = self._uncut(self.schedule.operands[k][0]) if section == BEFORE and self._is_product(k) else None
            if taken is not None and taken.kind == LOCAL:
                sections[taken.number] = BEFORE
        return sections

    def _uncut(self, ref: Ref) -> Ref:
        """What a value is part of."""
        while ref.kind == LOCAL and isinstance(self.schedule.nodes[ref.number], Slice):
            (ref,) = self.schedule.operands[ref.number]
        return ref

    def _is_lowered(self, k: int) -> bool:
        if isinstance(self.schedule.nodes[k], Slice | Concatenate):
            return True
        try:
            formula(self.schedule.nodes[k], self._numbers_of(k))
        except CannotCompile:
            return False
        return True

    def _crossing(self) -> set[int]:
        """What is needed in another section than its own, or of all steps: it has a row for each."""
        found = set(self.schedule.kept)
        for k, operands in enumerate(self.schedule.operands):
            found |= {o.number for o in operands if o.kind == LOCAL and self.section[o.number] != self.section[k]}
            if self._is_product(k) and self.section[k] != IN:
                found |= {o.number for o in operands if o.kind == LOCAL}
        for k in reversed(range(len(self.section))):
            if k in found and isinstance(self.schedule.nodes[k], Slice | Concatenate):
                found |= {o.number for o in self.schedule.operands[k] if o.kind == LOCAL}
        return found | {k for k, section in enumerate(self.section) if section != IN}

    def _is_product(self, k: int) -> bool:
        node = self.schedule.nodes[k]
        return isinstance(node, Matmul) and node.rank_a <= 2 == node.rank_b and self.schedule.operands[k][1].kind == CONST

    def _numbers_of(self, k: int) -> tuple[float | None, ...]:
        values = map(self.program.value, self.schedule.operands[k])
        return tuple([getattr(value, "number", None) for value in values])

    # ---------------------------------------------------------------- where it is

    def _home(self, k: int) -> Pointer:
        """Where a result lies: with the new state if it is one, in a row of its own for each step, or in one for all."""
        schedule, ref = self.schedule, Ref(LOCAL, k)
        if ref in schedule.new and (schedule.every_carry or k not in self.crossing) and self.section[k] == IN:
            return Pointer(self._place(NEW, schedule.new.index(ref), ref))
        return Pointer(self._place(STACK if k in self.crossing else SCRATCH, k, ref))

    def _place(self, kind: str, number: int, like: Ref) -> Place:
        value = self.program.value(like)
        shape, dtype = value.shape, value.dtype
        is_batch = len(shape) == 2 and shape[0] == self.batch
        if len(shape) > 2 or (len(shape) == 2 and not is_batch and shape[0] != 1):
            raise CannotCompile(f"native code has rows and columns, for values of shape {shape} it has none")
        if dtype != self.dtype and (dtype is None or dtype.kind != "b"):
            raise CannotCompile(f"native code has no numbers of dtype {dtype}")
        return Place(kind, number, shape, is_batch, dtype)

    def _pointer(self, pointer: Pointer) -> int:
        return self.pointers.setdefault(pointer, len(self.pointers))

    def _located(self, ref: Ref, column: int = 0) -> Pointer | None:
        """Where a value is in memory, from a column on; None if it is not there."""
        if ref.kind != LOCAL:
            return Pointer(self._place(ref.kind, ref.number, ref), column)
        if ref.number in self.homes:
            home = self.homes[ref.number]
            return Pointer(home.place, home.column + column)
        node = self.schedule.nodes[ref.number]
        return self._located(*self._cut(ref.number, node, column)) if isinstance(node, Slice) else None

    def _cut(self, k: int, node: Slice, column: int) -> tuple[Ref, int]:
        """What a column of a slice is a column of."""
        (operand,) = self.schedule.operands[k]
        axis, start, _, index = node.span
        if axis != len(self.program.value(operand).shape) - 1 or not isinstance(index[-1], slice):
            raise CannotCompile("native code cuts along the last axis only")
        return operand, start + column

    def _part(self, k: int, node: Concatenate, span: Span) -> tuple[Ref, Span] | None:
        """The part of a join that some columns lie in; None if they lie in several."""
        if node.axis != len(node.shape) - 1:
            raise CannotCompile("native code joins along the last axis only")
        for operand, (start, stop) in zip(self.schedule.operands[k], node.bounds, strict=True):
            if start <= span.column and span.column + span.width <= stop:
                return operand, span._replace(column=span.column - start)
        return None

    # ---------------------------------------------------------------- when it can be computed

    def _rank(self, ref: Ref, span: Span, section: int) -> int:
        """The number of the stage in which some columns of a value can be computed, or loaded."""
        if ref.kind != LOCAL or (self.section[ref.number] != section and ref.number in self.homes):
            return 0
        key = ref.number, span, section
        if key not in self.ranks:
            self.ranks[key] = self._found_rank(ref.number, span, section)
        return self.ranks[key]

    def _found_rank(self, k: int, span: Span, section: int) -> int:
        node, operands = self.schedule.nodes[k], self.schedule.operands[k]
        if self._is_product(k):
            return self._stage_of(k, section) + 1
        if isinstance(node, Slice):
            operand, column = self._cut(k, node, span.column)
            return self._rank(operand, span._replace(column=column), section)
        if isinstance(node, Concatenate):
            part = self._part(k, node, span)
            return self._complete(Ref(LOCAL, k), section) + 1 if part is None else self._rank(*part, section)
        return max([self._rank(operand, self._span_of(operand, k, span), section) for operand in operands], default=0)

    def _stage_of(self, k: int, section: int) -> int:
        """The stage in which a product is made."""
        return self._complete(self.schedule.operands[k][0], section)

    def _complete(self, ref: Ref, section: int) -> int:
        """The stage after whose nests all of a value is in memory."""
        if ref.kind == LOCAL and self.section[ref.number] != section and ref.number in self.homes:
            return 0
        if ref.kind == LOCAL and isinstance(self.schedule.nodes[ref.number], Concatenate):
            return max(self._complete(operand, section) for operand in self.schedule.operands[ref.number])
        return self._rank(ref, self._whole(ref), section)

    def _whole(self, ref: Ref) -> Span:
        shape = self.program.value(ref).shape
        return Span(0, shape[-1] if shape else 1)

    def _span_of(self, operand: Ref, k: int, span: Span) -> Span:
        """The columns of an operand that some columns of an entrywise result need."""
        own, of_result = self._whole(operand).width, self._whole(Ref(LOCAL, k)).width
        if own == of_result:
            return span
        return Span(0, 1, True)

    # ---------------------------------------------------------------- roots

    def form(self) -> Form:
        """All roots, in their stages."""
        roots: list[list[tuple[Pointer, Ref]]] = [[], [], []]
        for k in sorted(self.stored):
            node, home = self.schedule.nodes[k], self.homes[k]
            section = self.section[k]
            if isinstance(node, Concatenate):
                parts = zip(self.schedule.operands[k], node.bounds, strict=True)
                roots[section] += [(Pointer(home.place, start), part) for part, (start, _) in parts]
            elif k not in self.at_once:
                roots[section].append((home, Ref(LOCAL, k)))
        for i, ref in enumerate(self.schedule.new):
            there = self._place(NEW, i, ref)
            if self.homes.get(ref.number) != Pointer(there):
                if ref.number not in self.homes:
                    self.missing.add(ref.number)
                roots[IN].append((Pointer(there), ref))
        sections = tuple([self._stages(section, roots[section]) for section in range(3)])
        return Form(
            sections,
            tuple(self.pointers),
            tuple(self.sizes),
            {k: self.homes[k] for k in self.schedule.kept if k in self.homes},
            {k: self.homes[k].place for k in self.at_once},
            tuple(self.numbers),
            self.batch,
            self.dtype,
            self.schedule.every_carry,
        )

    def _stages(self, section: int, roots: Sequence[tuple[Pointer, Ref]]) -> tuple[Stage, ...]:
        nests: dict[tuple[int, bool, int], list[tuple[Pointer, Ref]]] = {}
        for there, ref in roots:
            like, span = self._place(SCRATCH, 0, ref), self._whole(ref)
            nests.setdefault((self._rank(ref, span, section), like.is_batch, span.width), []).append((there, ref))
        products: dict[int, list[Product]] = {}
        for k, of in enumerate(self.section):
            if of == section and self._is_product(k):
                products.setdefault(self._stage_of(k, section), []).append(self._product(k))
        count = 1 + max([*products, *[rank for rank, *_ in nests]], default=-1)
        made: list[list[Nest]] = [[] for _ in range(count)]
        for (rank, is_batch, width), together in sorted(nests.items(), key=lambda nest: nest[0]):
            instructions = _Entries(self, section, rank, width).of(together)
            made[rank].append(Nest(is_batch, self.sizes.setdefault(width, len(self.sizes)), instructions))
        return tuple([Stage(tuple(made[rank]), tuple(products.get(rank, ()))) for rank in range(count)])

    def _product(self, k: int) -> Product:
        rows, matrix = self.schedule.operands[k]
        a = self._located(rows)
        if a is None:
            self.missing.add(self._uncut(rows).number)
            a = self.homes[k]
        node, y, shape = self.schedule.nodes[k], self.homes[k], self.program.value(matrix).shape
        is_transposed = cast(Matmul, node).transpose_b
        columns, inner = shape if is_transposed else shape[::-1]
        if not columns or not inner:
            raise CannotCompile("a matrix has no entries")
        taken, made = self._pointer(a), self._pointer(y)
        return Product(taken, matrix.number, made, is_transposed, y.place.is_batch, columns, inner)

    def is_loadable(self, k: int, section: int, rank: int) -> bool:
        """Whether a stage finds a result in memory."""
        if k not in self.homes or self.section[k] > section:
            return False
        return self.section[k] < section or self._complete_at(k, section) < rank

    def _complete_at(self, k: int, section: int) -> int:
        return self._stage_of(k, section) if self._is_product(k) else self._complete(Ref(LOCAL, k), section)

    def should_store(self, k: int, span: Span, section: int, rank: int) -> bool:
        """Whether a result that is not in memory has to be: it is of another section, or dear and of an earlier stage."""
        if self.section[k] != section:
            return self.section[k] < section and section == AFTER
        return self._rank(Ref(LOCAL, k), span, section) < rank and self._complete_at(k, section) < rank and self._is_dear(k)

    def _is_dear(self, k: int) -> bool:
        """Whether to compute a result from what is in memory takes more than a few instructions."""
        node, operands = self.schedule.nodes[k], self.schedule.operands[k]
        if isinstance(node, Slice | Concatenate) or formula(node, self._numbers_of(k)).is_dear:
            return not isinstance(node, Slice | Concatenate)
        return any(o.kind == LOCAL and o.number not in self.homes and self._is_dear(o.number) for o in operands)


class _Entries:
    """The instructions of one nest."""

    def __init__(self, lowering: _Lowering, section: int, rank: int, width: int) -> None:
        self.lowering, self.section, self.rank, self.width = lowering, section, rank, width
        self.instructions: list[Instruction] = []
        self.known: dict[Any, tuple[int | str, bool]] = {}
        """By value and columns: the instruction that computes it, and whether the result is a truth value."""

    def of(self, roots: Sequence[tuple[Pointer, Ref]]) -> tuple[Instruction, ...]:
        """All that computes and stores the roots."""
        stores = [(there, self._entry(ref, Span(0, self.width))[0]) for there, ref in roots]
        self.instructions += [Store(self.lowering._pointer(there), value) for there, value in stores]
        return tuple(self.instructions)

    def _add(self, instruction: Instruction) -> int:
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def _entry(self, ref: Ref, span: Span) -> tuple[int | str, bool]:
        """What computes an entry of some columns of a value, and whether it is a truth value."""
        key = ref, span
        if key not in self.known:
            self.known[key] = self._computed(ref.number, span) if ref.kind == LOCAL else self._given(ref, span)
        return self.known[key]

    def _given(self, ref: Ref, span: Span) -> tuple[int | str, bool]:
        number = getattr(self.lowering.program.value(ref), "number", None)
        if number is None:
            located = self.lowering._located(ref, span.column)
            assert located is not None
            return self._loaded(located, span)
        if number in LITERALS:
            return LITERALS[number], False
        numbers = self.lowering.numbers
        if number not in numbers:
            numbers.append(number)
        place = Place(NUMBER, numbers.index(number), (), False, self.lowering.dtype)
        return self._loaded(Pointer(place), Span(0, 1, True))

    def _loaded(self, there: Pointer, span: Span) -> tuple[int, bool]:
        return self._add(Load(self.lowering._pointer(there), span.is_first)), there.place.dtype.kind == "b"

    def _computed(self, k: int, span: Span) -> tuple[int | str, bool]:
        lowering = self.lowering
        node = lowering.schedule.nodes[k]
        if lowering.is_loadable(k, self.section, self.rank):
            there = lowering.homes[k]
            return self._loaded(Pointer(there.place, there.column + span.column), span)
        if isinstance(node, Slice):
            operand, column = lowering._cut(k, node, span.column)
            return self._entry(operand, span._replace(column=column))
        if isinstance(node, Concatenate):
            part = lowering._part(k, node, span)
            if part is not None:
                return self._entry(*part)
            lowering.missing.add(k)
            return "zero", False
        if lowering._is_product(k):
            raise CannotCompile("a product is needed before it is computed")
        if lowering.should_store(k, span, self.section, self.rank):
            lowering.missing.add(k)
        return self._applied(k, span)

    def _applied(self, k: int, span: Span) -> tuple[int | str, bool]:
        lowering = self.lowering
        node, operands = lowering.schedule.nodes[k], lowering.schedule.operands[k]
        if any(ref.kind == CONST and lowering.program.value(ref).dtype is None for ref in operands):
            raise CannotCompile(f"{node.label!r} without one of its operands has no formula in native code")
        text, logical, _ = formula(node, lowering._numbers_of(k))
        entries = [self._entry(operand, lowering._span_of(operand, k, span)) for operand in operands]
        of_result = node.dtype.kind == "b"
        wanted = [of_result if kind is None else kind for kind in logical]
        taken = tuple([self._converted(*entry, kind) for entry, kind in zip(entries, wanted, strict=True)])
        return (taken[0] if text == "{0}" else self._add(Apply(text, taken))), of_result

    def _converted(self, value: int | str, is_logical: bool, wanted: bool) -> int | str:
        """An entry as a truth value, or as a number."""
        if is_logical == wanted:
            return value
        return self._add(Apply("{0} != zero" if wanted else "select({0}, one, zero)", (value,)))
