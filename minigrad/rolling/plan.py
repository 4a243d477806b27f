"""The plan of a step: when each of its operations is computed, and where its result lies.

What does not depend on the state is computed for all steps at once, before the loop; what the state does not depend on,
after it. In the loop every call writes into an array that is there already: into its row of the results of all steps if
somebody needs them later, else into one array that every step uses again. Parts that are put side by side are written
where they belong at once; parts that are cut out are views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from minigrad.graph import Operation
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul
from minigrad.rolling.into import Into, NotRepeatable, copy, recipe
from minigrad.rolling.recording import CONSTANT, RESULT, STATE, Operand

__all__ = ["AFTER", "BEFORE", "LOOP", "NEW", "SCRATCH", "STACK", "TRANSPOSED", "UNIT", "Call", "Plan", "Slot"]

BEFORE, LOOP, AFTER = range(3)
NEW: Final = "new"
STACK: Final = "stack"
SCRATCH: Final = "scratch"
UNIT: Final = "one"
TRANSPOSED: Final = "transposed"
"""Kinds of arrays beside those of operands: the new state, a result of all steps, a result of one step that the next
overwrites, the number 1, and the transpose of a constant."""


class Slot(NamedTuple):
    """Where a value lies: in which array, and in which part of it (seen from one row, if there is a row for each step)."""

    array: int
    path: tuple[Any, ...] = ()


class Call(NamedTuple):
    """One call: the function, and the numbers of the slots of its operands and its result."""

    function: Into
    slots: tuple[int, ...]


class Plan:
    """Finds out how to compute a step.

    Args:
        nodes: its operations, in order.
        operands: where the operands of each come from.
        new: for each part of the state, where its new value comes from.
        kept: those results that are needed of all steps.
        every_state: whether the states of all steps are needed, or only the last.

    Raises:
        NotRepeatable: it is not known how to repeat one of the operations.
    """

    def __init__(
        self,
        nodes: Sequence[Operation],
        operands: Sequence[tuple[Operand, ...]],
        new: Sequence[Operand],
        kept: Iterable[int],
        every_state: bool,
    ) -> None:
        self.nodes, self.operands, self.new, self.every_state = nodes, operands, new, every_state
        self.arrays: list[tuple[str, Any]] = []
        self.slots: list[Slot] = []
        self.calls: tuple[list[Call], list[Call], list[Call]] = ([], [], [])
        self.results: dict[int, int] = {}
        self._given: dict[tuple[str, Any], int] = {}
        self._copies: list[list[tuple[Operand, int]]] = [[] for _ in nodes]
        self._kept = set(kept)
        self._decide_when()
        self._decide_what_to_keep()
        self._decide_where()
        self._write()

    # ---------------------------------------------------------------- when each operation is computed

    def _decide_when(self) -> None:
        count = len(self.nodes)
        depends, feeds = [False] * count, [False] * count
        for k, operands in enumerate(self.operands):
            depends[k] = any(o.kind == STATE or (o.kind == RESULT and depends[o.number]) for o in operands)
        for operand in self.new:
            if operand.kind == RESULT:
                feeds[operand.number] = True
        for k in reversed(range(count)):
            of_state = any(o.kind == STATE for o in self.operands[k])
            if feeds[k] or (of_state and not self.every_state):
                feeds[k] = True
                for o in self.operands[k]:
                    if o.kind == RESULT:
                        feeds[o.number] = True
        if any(o.kind == RESULT and not depends[o.number] for o in self.new):
            raise NotRepeatable("a state that does not depend on the one before")
        self.phase = [BEFORE if not d else LOOP if f else AFTER for d, f in zip(depends, feeds, strict=True)]

    def _decide_what_to_keep(self) -> None:
        self.stacked = [phase != LOOP or k in self._kept for k, phase in enumerate(self.phase)]
        for k in reversed(range(len(self.nodes))):
            if self.phase[k] == AFTER or (self.stacked[k] and isinstance(self.nodes[k], Slice)):
                for operand in self.operands[k]:
                    if operand.kind == RESULT:
                        self.stacked[operand.number] = True

    # ---------------------------------------------------------------- where the results lie

    def _slot(self, array: int, path: tuple[Any, ...] = ()) -> int:
        self.slots.append(Slot(array, path))
        return len(self.slots) - 1

    def _new_slot(self, kind: str, what: Any) -> int:
        self.arrays.append((kind, what))
        return self._slot(len(self.arrays) - 1)

    def slot_of(self, kind: str, number: Any) -> int:
        """The slot of a result, or of something given."""
        if kind == RESULT:
            return self.results[number]
        if (kind, number) not in self._given:
            self._given[kind, number] = self._new_slot(kind, number)
        return self._given[kind, number]

    def _fresh(self, k: int) -> int:
        return self._new_slot(STACK if self.stacked[k] else SCRATCH, self.nodes[k].shape)

    def _decide_where(self) -> None:
        computed = [not isinstance(node, Slice | Concatenate) for node in self.nodes]
        for i, operand in enumerate(self.new):
            if operand.kind == RESULT and computed[operand.number] and (self.every_state or not self.stacked[operand.number]):
                self.results.setdefault(operand.number, self.slot_of(NEW, i))
        joins = [k for k, node in enumerate(self.nodes) if isinstance(node, Concatenate)]
        for k in sorted(joins, key=lambda k: self.phase[k] != LOOP):
            self._place_parts(k)
        uses = Counter([operand for operands in (*self.operands, self.new) for operand in operands])
        for k, node in enumerate(self.nodes):
            if isinstance(node, Slice):
                whole = self.slots[self.slot_of(*self.operands[k][0])]
                index = node.span[3]
                self.results[k] = self._slot(whole.array, (*whole.path, index if isinstance(index, tuple) else (index,)))
            elif k not in self.results:
                last = self._used_up(k, uses)
                self.results[k] = self._fresh(k) if last is None else self.results[last]

    def _used_up(self, k: int, uses: Mapping[Operand, int]) -> int | None:
        """An operand that nothing else needs, so that the result can take its place."""
        if isinstance(self.nodes[k], Matmul):
            return None
        for operand in self.operands[k]:
            r = operand.number
            if operand.kind != RESULT or uses[operand] > 1 or r in self._kept or self.nodes[r].shape != self.nodes[k].shape:
                continue
            array, path = self.slots[self.results[r]]
            if not path and self.arrays[array][0] in (STACK, SCRATCH) and self.stacked[r] == self.stacked[k]:
                return r
        return None

    def _place_parts(self, k: int) -> None:
        """Let the parts that are joined be computed where they belong, as far as that can be; the others are copied."""
        node: Any = self.nodes[k]
        homeless: set[int] = set()
        for operand in self.operands[k]:
            r = operand.number
            elsewhere = operand.kind != RESULT or r in self.results
            if not elsewhere and not isinstance(self.nodes[r], Slice | Concatenate | Matmul):
                homeless.add(r)
        self.stacked[k] = self.stacked[k] or any(self.stacked[r] for r in homeless)
        self.results[k] = self._fresh(k)
        before = (slice(None),) * node.axis
        for operand, (start, stop) in zip(self.operands[k], node.bounds, strict=True):
            place = self._slot(self.slots[self.results[k]].array, ((*before, slice(start, stop)),))
            if operand.kind == RESULT and operand.number in homeless:
                homeless.remove(operand.number)
                self.results[operand.number] = place
            else:
                self._copies[k].append((operand, place))

    # ---------------------------------------------------------------- the calls

    def _write(self) -> None:
        for k, node in enumerate(self.nodes):
            calls, out = self.calls[self.phase[k]], self.results[k]
            if isinstance(node, Concatenate):
                calls += [Call(copy, (self.slot_of(*operand), place)) for operand, place in self._copies[k]]
            elif not isinstance(node, Slice):
                places = [self.slot_of(*operand) for operand in self.operands[k]]
                if isinstance(node, Matmul):
                    places[1] = self._matrix(node, self.operands[k][1])
                places += [self.slot_of(UNIT, None), out]
                for function, taken in recipe(node, self.phase[k] != LOOP):
                    calls.append(Call(function, (*[places[number] for number in taken], out)))
        for i, operand in enumerate(self.new):
            if self.slot_of(*operand) != self.slot_of(NEW, i):
                if self.every_state:
                    raise NotRepeatable("a state that is part of something")
                self.calls[LOOP].append(Call(copy, (self.slot_of(*operand), self.slot_of(NEW, i))))

    def _matrix(self, node: Matmul, operand: Operand) -> int:
        if operand.kind != CONSTANT:
            raise NotRepeatable("a product with a matrix that differs from step to step")
        return self.slot_of(TRANSPOSED if node.transpose_b else CONSTANT, operand.number)
