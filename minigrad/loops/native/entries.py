"""The instructions of one nest: what has to be loaded and computed, entry by entry, for the values that the nest stores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from minigrad.loops.native.form import NUMBER, Apply, Instruction, Load, Place, Pointer, Store, Total
from minigrad.loops.native.formulas import formula
from minigrad.loops.native.places import Span
from minigrad.loops.program import CONST, LOCAL, CannotCompile, Ref
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.reductions import Mean

if TYPE_CHECKING:
    from minigrad.loops.native.lower import Lowering

__all__ = ["Entries"]

LITERALS = {0: "zero", 1: "one", 2: "two", -1: "-one"}
"""The numbers that are written into the code; others have a place, so that one code serves all of them."""

Value: TypeAlias = int | str
"""The number of the instruction that computes an entry, or the text that it is."""


class Entry(NamedTuple):
    """An entry, and whether it is a truth value."""

    value: Value
    is_logical: bool = False


class Entries:
    """The instructions of a nest, as far as they are known.

    Args:
        lowering: says where everything is.
        section: of the nest.
        rank: the stage of the nest.
        width: how many columns it has.
    """

    def __init__(self, lowering: Lowering, section: int, rank: int, width: int) -> None:
        self.lowering, self.section, self.rank, self.width = lowering, section, rank, width
        self.instructions: list[Instruction] = []
        self._known: dict[tuple[Ref, Span], Entry] = {}

    def of(self, roots: Sequence[tuple[Pointer, Ref]], are_totals: bool) -> tuple[Instruction, ...]:
        """All that computes the roots, and stores them or, of totals, what they add up."""
        ends: list[Instruction] = []
        for there, ref in roots:
            number, of = self.lowering.pointer(there), self.lowering.operands[ref.number][0] if are_totals else ref
            value = self._entry(of, Span(0, self.width)).value
            is_mean = are_totals and isinstance(self.lowering.nodes[ref.number], Mean)
            ends.append(Total(number, value, is_mean) if are_totals else Store(number, value))
        return (*self.instructions, *ends)

    def _add(self, instruction: Instruction) -> int:
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def _entry(self, ref: Ref, span: Span) -> Entry:
        """An entry of some columns of a value, after the entries that it needs: a step may be a chain of any length."""
        waiting = [(ref, span)]
        while waiting:
            ref, span = last = waiting[-1]
            needed = [] if last in self._known or ref.kind != LOCAL else self._needed(ref.number, span)
            unknown = [each for each in needed if each not in self._known]
            if last not in self._known and not unknown:
                self._known[last] = self._computed(ref.number, span) if ref.kind == LOCAL else self._given(ref, span)
            if unknown:
                waiting.extend(reversed(unknown))
            else:
                waiting.pop()
        return self._known[ref, span]

    def _needed(self, k: int, span: Span) -> list[tuple[Ref, Span]]:
        """The entries that a result is computed from, or is one of."""
        lowering, node = self.lowering, self.lowering.nodes[k]
        if lowering.is_loadable(k, self.section, self.rank):
            return []
        if isinstance(node, Slice):
            operand, column = lowering.cut(k, span.column)
            return [(operand, span._replace(column=column))]
        if isinstance(node, Concatenate):
            part = lowering.part(k, span)
            return [] if part is None else [part]
        return [(operand, lowering.span_of(operand, k, span)) for operand in lowering.operands[k]]

    def _loaded(self, there: Pointer, span: Span) -> Entry:
        return Entry(self._add(Load(self.lowering.pointer(there), span.is_first)), there.place.dtype.kind == "b")

    def _given(self, ref: Ref, span: Span) -> Entry:
        lowering = self.lowering
        number = getattr(lowering.program.value(ref), "number", None)
        if number is None:
            return self._loaded(Pointer(lowering.place(ref.kind, ref.number, ref), span.column), span)
        if number in LITERALS and (number or math.copysign(1.0, number) > 0):  # −0 is no zero
            return Entry(LITERALS[number])
        if number not in lowering.plain_numbers:
            lowering.plain_numbers.append(number)
        place = Place(NUMBER, lowering.plain_numbers.index(number), (), False, lowering.dtype)
        return self._loaded(Pointer(place), Span(0, 1, True))

    def _computed(self, k: int, span: Span) -> Entry:
        lowering, node = self.lowering, self.lowering.nodes[k]
        if lowering.is_loadable(k, self.section, self.rank):
            there = lowering.homes[k]
            return self._loaded(Pointer(there.place, there.column + span.column), span)
        entries = [self._known[each] for each in self._needed(k, span)]
        if isinstance(node, Concatenate) and not entries:
            lowering.missing.add(k)
            return Entry("zero")
        if isinstance(node, Slice | Concatenate):
            return entries[0]
        if lowering.should_store(k, span, self.section, self.rank):
            lowering.missing.add(k)
        return self._applied(k, entries)

    def _applied(self, k: int, entries: Sequence[Entry]) -> Entry:
        lowering, node, operands = self.lowering, self.lowering.nodes[k], self.lowering.operands[k]
        if any(ref.kind == CONST and lowering.program.value(ref).dtype is None for ref in operands):
            raise CannotCompile(f"{node.label!r} without one of its operands has no formula in native code")
        text, logical, _ = formula(node, lowering.numbers(k))
        of_result = node.dtype.kind == "b"
        wanted = [of_result if kind is None else kind for kind in logical]
        taken = tuple([self._converted(entry, kind) for entry, kind in zip(entries, wanted, strict=True)])
        return Entry(taken[0] if text == "{0}" else self._add(Apply(text, taken)), of_result)

    def _converted(self, entry: Entry, wanted: bool) -> Value:
        """An entry as a truth value, or as a number."""
        if entry.is_logical == wanted:
            return entry.value
        return self._add(Apply("{0} != zero" if wanted else "select({0}, one, zero)", (entry.value,)))
