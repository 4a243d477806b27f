"""The plan of a step: when each of its operations is computed, and where its result lies.

What does not depend on the state is computed for all steps at once, before the loop; what the state does not depend on,
after it. In the loop every call writes into an array that is there already: into its row of the results of all steps if
somebody needs them later, else into one array that every step uses again. What is computed from a result that nothing
else needs takes its place. Parts that are put side by side are written where they belong at once; parts that are cut out
are views. Where the same is done with parts that lie side by side, such as the gates of a cell, one call does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.ops.arithmetic import Multiply
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul
from minigrad.rolling.into import OUT, Into, NotRepeatable, copy, recipe
from minigrad.rolling.recording import CONSTANT, RESULT, STATE, Operand

__all__ = ["AFTER", "BEFORE", "LOOP", "NEW", "SCRATCH", "STACK", "TRANSPOSED", "UNIT", "Call", "Parts", "Plan", "Slot"]

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


class Parts(NamedTuple):
    """In the path of a slot: cut the last axis, of rows, into so many parts of that width, and put them first."""

    count: int
    width: int

    def of(self, array: Array) -> Array:
        """(…, B, count · width) as (…, count, B, width); (count · width,) as (count, 1, width)."""
        parts = array.reshape(*array.shape[:-1], self.count, self.width)
        return parts[:, None] if array.ndim == 1 else parts.swapaxes(-3, -2)


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
        self.cut: dict[int, Parts] = {}
        """The results that are laid out part by part."""
        self._kept = set(kept)
        self._uses = Counter([operand for sources in (*operands, new) for operand in sources])
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
        shape: tuple[int, ...] = self.nodes[k].shape
        if k in self.cut:
            shape = (self.cut[k].count, shape[0], self.cut[k].width)
        return self._new_slot(STACK if self.stacked[k] else SCRATCH, shape)

    def _decide_where(self) -> None:
        for i, operand in enumerate(self.new):
            if operand.kind == RESULT and self._is_computed(operand.number):
                if self.every_state or not self.stacked[operand.number]:
                    self.results.setdefault(operand.number, self.slot_of(NEW, i))
        joins = [k for k, node in enumerate(self.nodes) if isinstance(node, Concatenate)]
        for k in sorted(joins, key=lambda k: self.phase[k] != LOOP):
            self._place_parts(k)
        self.alike = self._alike()
        self.cut = {k: parts for k in range(len(self.nodes)) if (parts := self._only_cut(k)) is not None}
        for k in reversed(range(len(self.nodes))):
            if self._is_computed(k):
                if k not in self.results:
                    self._place_together([m for m in self.alike.get(k, [k]) if m not in self.results])
                self._give_place_to_operand(k)
        for k, node in enumerate(self.nodes):
            if isinstance(node, Slice):
                (operand,) = self.operands[k]
                whole = self.slots[self.slot_of(*operand)]
                index = node.span[3]
                if operand.kind == RESULT and operand.number in self.cut:
                    index = node.span[1] // self.cut[operand.number].width
                self.results[k] = self._slot(whole.array, (*whole.path, index if isinstance(index, tuple) else (index,)))

    def _is_computed(self, k: int) -> bool:
        return not isinstance(self.nodes[k], Slice | Concatenate)

    def _place_together(self, members: Sequence[int]) -> None:
        """Give results their places, one beside the other."""
        if len(members) == 1:
            self.results[members[0]] = self._fresh(members[0])
            return
        kind = STACK if any(self.stacked[member] for member in members) else SCRATCH
        self.arrays.append((kind, (len(members), *self.nodes[members[0]].shape)))
        for j, member in enumerate(members):
            self.results[member] = self._slot(len(self.arrays) - 1, ((j,),))

    def _give_place_to_operand(self, k: int) -> None:
        """Let an operand that nothing else needs be computed where the result will be, if that can be.

        Not in columns of an array: to write there is slow, so it is done once only.
        """
        array, path = self.slots[self.results[k]]
        over_time = self.arrays[array][0] == STACK or (self.arrays[array][0] == NEW and self.every_state)
        if isinstance(self.nodes[k], Matmul) or k in self.cut or any(len(index) > 1 for index in path):
            return
        for operand in self.operands[k]:
            r = operand.number
            if operand.kind != RESULT or r in self.results or self._uses[operand] > 1 or r in self._kept:
                continue
            if self.nodes[r].shape != self.nodes[k].shape or not self._is_computed(r) or (self.stacked[r] and not over_time):
                continue
            group = self.alike.get(r, [r])
            if len(group) == 1 or path == ((group.index(r),),):
                self.results[r] = self.results[k]
                return

    def _only_cut(self, k: int) -> Parts | None:
        """The parts of a result of the loop that is used for nothing but its columns, all of one width.

        It is then laid out part by part, so that whatever is computed from a part finds it in one piece.
        """
        node, operand = self.nodes[k], Operand(RESULT, k)
        users = [self.nodes[m] for m, operands in enumerate(self.operands) if operand in operands]
        cuts = [user.span[:3] for user in users if isinstance(user, Slice)]
        if self.phase[k] != LOOP or k in self.results or k in self._kept or len(cuts) < max(2, self._uses[operand]):
            return None
        width = cuts[0][2] - cuts[0][1]
        fits = all(axis == 1 and stop - start == width and start % width == 0 for axis, start, stop in cuts)
        shapes = [None if source is None else source.shape for source in node.inputs]
        alike = all(
            shape == node.shape or (shape == node.shape[1:] and operand.kind == CONSTANT)
            for shape, operand in zip(shapes, self.operands[k], strict=True)
        )
        if not fits or not alike or len(node.shape) != 2 or node.shape[1] % width or not self._is_computed(k) or isinstance(node, Matmul):
            return None
        return Parts(node.shape[1] // width, width)

    def _alike(self) -> dict[int, list[int]]:
        """The operations of the loop that do the same with parts side by side; for each of them all of its group."""
        parts: dict[Operand, tuple[Any, int]] = {}  # what it is a part of, and which
        groups: dict[int, list[int]] = {}
        latest: dict[Any, tuple[list[int], list[int]]] = {}
        for k, node in enumerate(self.nodes):
            if len(node.shape) != 2:
                continue
            if isinstance(node, Slice):
                axis, start, stop, _ = node.span
                width = stop - start
                if axis == 1 and width and start % width == 0:
                    parts[Operand(RESULT, k)] = (self.operands[k][0], width), start // width
            elif self.phase[k] == LOOP and all(operand in parts for operand in self.operands[k]):
                wholes, which = zip(*[parts[operand] for operand in self.operands[k]], strict=True)
                group, following = latest.get((type(node), wholes), ([], []))
                if list(which) != following:
                    group = []
                group.append(k)
                latest[type(node), wholes] = group, [number + 1 for number in which]
                groups[k] = group
                parts[Operand(RESULT, k)] = group[0], len(group) - 1
        return groups

    def _place_parts(self, k: int) -> None:
        """Let the parts that are joined be computed where they belong, as far as that can be; the others are copied."""
        node: Any = self.nodes[k]
        homeless: set[int] = set()
        for operand in self.operands[k]:
            r = operand.number
            elsewhere = operand.kind != RESULT or r in self.results
            if not elsewhere and self._is_computed(r) and not isinstance(self.nodes[r], Matmul):
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
        if self.phase[k] == LOOP:
            self._place_factors([operand.number for operand in self.operands[k] if operand.kind == RESULT])

    def _place_factors(self, products: Sequence[int]) -> None:
        """Place side by side what one gradient is multiplied with for parts that lie side by side."""
        for g, members in groupby(products, self._multiplied):
            factors = dict.fromkeys(self.operands[m][1].number for m in members) if g is not None else {}
            if factors:
                self._place_together(list(factors))

    def _multiplied(self, m: int) -> Operand | None:
        """What is multiplied with a factor that is computed before the loop and has no place yet."""
        if not isinstance(self.nodes[m], Multiply):
            return None
        g, (kind, r) = self.operands[m]
        free = kind == RESULT and self.phase[r] == BEFORE and r not in self.results and self.nodes[r].shape == self.nodes[m].shape
        return g if free and self._is_computed(r) and not isinstance(self.nodes[r], Matmul) else None

    # ---------------------------------------------------------------- the calls

    def _write(self) -> None:
        self._written: set[int] = set()
        for k, node in enumerate(self.nodes):
            calls, out = self.calls[self.phase[k]], self.results[k]
            if isinstance(node, Concatenate):
                calls += [Call(copy, (self.slot_of(*operand), place)) for operand, place in self._copies[k]]
            elif k not in self._written and self._is_computed(k):
                together, places = self._together(k)
                self._written.update(together)
                if isinstance(node, Matmul):
                    places[1] = self._matrix(node, self.operands[k][1])
                places.insert(-1, self.slot_of(UNIT, None))
                for function, taken in recipe(node, self.phase[k] != LOOP):
                    calls.append(Call(function, (*[places[number] for number in taken], places[OUT])))
        for i, operand in enumerate(self.new):
            if self.slot_of(*operand) != self.slot_of(NEW, i):
                if self.every_state:
                    raise NotRepeatable("a state that is part of something")
                self.calls[LOOP].append(Call(copy, (self.slot_of(*operand), self.slot_of(NEW, i))))

    def _places(self, k: int) -> list[int]:
        """The slots of the operands and of the result."""
        places = [self.slot_of(*operand) for operand in self.operands[k]]
        if k in self.cut:
            wholes = [self.slots[place] for place in places]
            places = [self._slot(whole.array, (*whole.path, self.cut[k])) for whole in wholes]
        return [*places, self.results[k]]

    def _together(self, k: int) -> tuple[list[int], list[int]]:
        """The operations that one call can do, ``k`` among them, and the slots of its operands and of its result."""
        members, places = [k], self._places(k)
        if self.phase[k] == LOOP and len(self.nodes[k].shape) == 2 and not isinstance(self.nodes[k], Matmul):
            others = [m for m in range(k + 1, len(self.nodes)) if m not in self._written and self._does_the_same(k, m)]
            grown = True
            while grown:
                grown = False
                for m in others:
                    for more in ([m, *members], [*members, m]) if m not in members else ():
                        slots = [self._side_by_side(column) for column in zip(*map(self._places, more), strict=True)]
                        if None not in slots and slots[-1] != self.slots[self.results[k]]:
                            members, grown = more, True
                            places = [self._slot(*slot) for slot in slots if slot is not None]
                            break
        return members, places

    def _does_the_same(self, k: int, m: int) -> bool:
        """Whether ``m`` is an operation like ``k`` whose operands are there."""
        same = type(self.nodes[m]) is type(self.nodes[k]) and self.nodes[m].shape == self.nodes[k].shape
        return same and self.phase[m] == LOOP and all(map(self._is_there, self.operands[m]))

    def _is_there(self, operand: Operand) -> bool:
        """Whether an operand has been computed when the next call of the loop is made."""
        if operand.kind != RESULT or self.phase[operand.number] == BEFORE or operand.number in self._written:
            return True
        return isinstance(self.nodes[operand.number], Slice) and self._is_there(self.operands[operand.number][0])

    def _side_by_side(self, places: Sequence[int]) -> Slot | None:
        """Several slots as one, with an axis for them in front: parts next to each other, or all of them the same."""
        slots = [self.slots[place] for place in places]
        array, path = first = slots[0]
        if all(slot == first for slot in slots):
            return first
        if any(slot.array != array or not slot.path or slot.path[:-1] != path[:-1] for slot in slots):
            return None
        *before, start = path[-1]
        parts = [slot.path[-1] for slot in slots]
        if parts == [(*before, _next(start, j)) for j in range(len(parts))]:
            if isinstance(start, int):
                return Slot(array, (*path[:-1], (slice(start, start + len(parts)),)))
            if len(before) == 1:
                width = start.stop - start.start
                whole = (*before, slice(start.start, start.start + len(parts) * width))
                return Slot(array, (*path[:-1], whole, Parts(len(parts), width)))
        return None

    def _matrix(self, node: Matmul, operand: Operand) -> int:
        if operand.kind != CONSTANT:
            raise NotRepeatable("a product with a matrix that differs from step to step")
        return self.slot_of(TRANSPOSED if node.transpose_b else CONSTANT, operand.number)


def _next(index: int | slice, steps: int) -> int | slice:
    """The part that comes so many parts later."""
    if isinstance(index, int):
        return index + steps
    width = index.stop - index.start
    return slice(index.start + steps * width, index.stop + steps * width)
