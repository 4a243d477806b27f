"""The plan of a step: the calls before the loop, in every step of it, and after it.

Operations of the loop that do the same with parts that lie side by side are done by one call.
"""

from __future__ import annotations

from typing import NamedTuple

from minigrad.loops.into import OUT, Into, NotRepeatable, copy, recipe
from minigrad.loops.layout import MINUS_UNIT, NEW, TRANSPOSED, UNIT, Layout
from minigrad.loops.recording import CONSTANT, RESULT, Operand
from minigrad.loops.schedule import BEFORE, LOOP, Schedule
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul

__all__ = ["Call", "Plan"]


class Call(NamedTuple):
    """One call: the function, and the numbers of the slots of its operands and its result."""

    function: Into
    slots: tuple[int, ...]


class Plan:
    """How a step is computed.

    Args:
        schedule: its operations, and when they are computed.

    Raises:
        NotRepeatable: it is not known how to repeat one of the operations.
    """

    __slots__ = ("_written", "calls", "layout", "schedule")

    def __init__(self, schedule: Schedule) -> None:
        self.schedule, self.layout = schedule, Layout(schedule)
        self.calls: tuple[list[Call], list[Call], list[Call]] = ([], [], [])
        """Those before, in and after the loop."""
        self._written: set[int] = set()
        for k in range(len(schedule.nodes)):
            if k not in self._written:
                self._write(k)
        self._copy_new_state()

    def _write(self, k: int) -> None:
        node, phase, layout = self.schedule.nodes[k], self.schedule.phase[k], self.layout
        calls = self.calls[phase]
        if isinstance(node, Concatenate):
            calls += [Call(copy, (layout.slot_of(*operand), place)) for operand, place in layout.copies[k]]
        elif not isinstance(node, Slice):
            members, places = self._together(k)
            self._written.update(members)
            if isinstance(node, Matmul):
                places[1] = self._matrix(node, self.schedule.operands[k][1])
            places[OUT:OUT] = [layout.slot_of(MINUS_UNIT, None), layout.slot_of(UNIT, None)]
            for function, taken in recipe(node, phase != LOOP):
                calls.append(Call(function, (*[places[number] for number in taken], places[OUT])))

    def _matrix(self, node: Matmul, operand: Operand) -> int:
        if operand.kind != CONSTANT:
            raise NotRepeatable("a product with a matrix that differs from step to step")
        return self.layout.slot_of(TRANSPOSED if node.transpose_b else CONSTANT, operand.number)

    def _copy_new_state(self) -> None:
        for i, operand in enumerate(self.schedule.new):
            here, there = self.layout.slot_of(*operand), self.layout.slot_of(NEW, i)
            if here != there:
                if self.schedule.every_state:
                    raise NotRepeatable("a state that is part of something")
                self.calls[LOOP].append(Call(copy, (here, there)))

    # ---------------------------------------------------------------- several operations as one call

    def _together(self, k: int) -> tuple[list[int], list[int]]:
        """The operations that one call can do, ``k`` among them, and the slots of its operands and of its result."""
        node, members, places = self.schedule.nodes[k], [k], self._places(k)
        if self.schedule.phase[k] != LOOP or len(node.shape) != 2 or isinstance(node, Matmul):
            return members, places
        others = [m for m in range(k + 1, len(self.schedule.nodes)) if self._is_like(k, m)]
        position = 0
        while position < len(others):
            m = others[position]
            position += 1
            for more in ([m, *members], [*members, m]):
                slots = [self.layout.side_by_side(column) for column in zip(*map(self._places, more), strict=True)]
                found = [slot for slot in slots if slot is not None]
                if len(found) == len(slots) and found[OUT] != self.layout.slots[self.layout.results[k]]:
                    members, places = more, [self.layout.slot(*slot) for slot in found]
                    others.remove(m)
                    position = 0
                    break
        return members, places

    def _places(self, k: int) -> list[int]:
        """The slots of the operands and of the result."""
        layout = self.layout
        places = [layout.slot_of(*operand) for operand in self.schedule.operands[k]]
        if k in layout.cut:
            wholes = [layout.slots[place] for place in places]
            places = [layout.slot(whole.array, (*whole.path, layout.cut[k])) for whole in wholes]
        return [*places, layout.results[k]]

    def _is_like(self, k: int, m: int) -> bool:
        """Whether ``m`` is an operation like ``k`` that could be done together with it."""
        nodes = self.schedule.nodes
        alike = type(nodes[m]) is type(nodes[k]) and nodes[m].shape == nodes[k].shape and self.schedule.phase[m] == LOOP
        return alike and m not in self._written and all(map(self._is_there, self.schedule.operands[m]))

    def _is_there(self, operand: Operand) -> bool:
        """Whether an operand has been computed when the next call of the loop is made."""
        if operand.kind != RESULT or self.schedule.phase[operand.number] == BEFORE or operand.number in self._written:
            return True
        source = self.schedule.nodes[operand.number]
        return isinstance(source, Slice) and self._is_there(self.schedule.operands[operand.number][0])
