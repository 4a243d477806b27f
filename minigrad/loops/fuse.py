"""The plan of a step: the calls before the loop, in every step of it, and after it.

Operations of the loop that do the same with parts that lie side by side are done by one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minigrad.loops.buffers import MINUS_UNIT, NEW, TRANSPOSED, UNIT, Buffers
from minigrad.loops.kernels import OUT, Kernel, assign, copy, kernels, matrix_kernel, put, put_rows
from minigrad.loops.program import CONST, LOCAL, Ref, Value
from minigrad.loops.schedule import BODY, PROLOGUE, Schedule
from minigrad.loops.windows import Window
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.kinks import Where
from minigrad.ops.matmul import Matmul

__all__ = ["Call", "Plan"]


class Call(NamedTuple):
    """One call: the function, and the numbers of the views of its operands and its result."""

    function: Kernel
    views: tuple[int, ...]


class Plan:
    """How a step is computed.

    Args:
        schedule: its operations, and when they are computed.

    Raises:
        CannotCompile: it is not known how to repeat one of the operations.
    """

    __slots__ = ("_written", "buffers", "calls", "quiet", "schedule")

    def __init__(self, schedule: Schedule, quiet: bool = False) -> None:
        self.schedule, self.buffers, self.quiet = schedule, Buffers(schedule), quiet
        self.calls: tuple[list[Call], list[Call], list[Call]] = ([], [], [])
        """Those before, in and after the loop."""
        self._written: set[int] = set()
        for k in range(len(schedule.nodes)):
            if k not in self._written:
                self._write(k)
        self._copy_new_state()

    def _write(self, k: int) -> None:
        node, phase, buffers = self.schedule.nodes[k], self.schedule.phase[k], self.buffers
        calls = self.calls[phase]
        if isinstance(node, Concatenate):
            calls += [Call(self._copy(operand), (buffers.view_of(*operand), place)) for operand, place in buffers.copies[k]]
        elif not isinstance(node, Slice | Window):
            members, places = self._together(k)
            self._written.update(members)
            if isinstance(node, Matmul) and self.schedule.is_product(k):
                matrix = buffers.view_of(TRANSPOSED if node.transpose_b else CONST, self.schedule.operands[k][1].number)
                calls.append(Call(matrix_kernel(phase != BODY), (places[0], matrix, places[OUT])))
                return
            if isinstance(node, Where) and self._is_selection(k, places):
                calls += self._selected(k, *places)
                return
            operands = len(places) - 1
            places[OUT:OUT] = [buffers.view_of(MINUS_UNIT, None), buffers.view_of(UNIT, None)]
            for function, taken in kernels(node, operands, self.quiet):
                calls.append(Call(function, (*[places[number] for number in taken], places[OUT])))

    def _is_selection(self, k: int, places: Sequence[int]) -> bool:
        """Whether a result is one operand, and then the other in the entries that a condition names."""
        condition = self.schedule.operands[k][-1]
        is_boolean = self.schedule.program.value(condition).dtype == bool
        return is_boolean and self.buffers.views[places[0]].array != self.buffers.views[places[OUT]].array

    def _selected(self, k: int, a: int, b: int, condition: int, y: int) -> list[Call]:
        """One operand, and then the other where it is chosen: a number that stands in whole rows of all steps where it is."""
        first, second, mask = self.schedule.operands[k]
        value, shape = self.schedule.program.value(second), self.schedule.nodes[k].shape
        of_rows = mask.kind != CONST and self.schedule.program.value(mask).shape == (*shape[:-1], 1)
        if self.schedule.phase[k] != BODY and of_rows and isinstance(value, Value) and value.number is not None:
            return [Call(self._copy(first), (a, y)), Call(put_rows, (b, condition, y))]
        if self.schedule.nodes[k].dtype.kind == "f":  # for which NumPy's product takes half as long as its copy
            return [Call(np.multiply, (b, self.buffers.view_of(UNIT, None), y)), Call(put, (a, condition, y))]
        return [Call(self._copy(second), (b, y)), Call(put, (a, condition, y))]

    def _copy(self, operand: Ref) -> Kernel:
        value = self.schedule.program.value(operand)
        number = isinstance(value, Value) and value.number is not None
        return assign if number or value.dtype.kind not in "fiu" else copy

    def _copy_new_state(self) -> None:
        for i, operand in enumerate(self.schedule.new):
            here, there = self.buffers.view_of(*operand), self.buffers.view_of(NEW, i)
            if here != there:
                self.calls[BODY].append(Call(self._copy(operand), (here, there)))

    # ---------------------------------------------------------------- several operations as one call

    def _together(self, k: int) -> tuple[list[int], list[int]]:
        """The operations that one call can do, ``k`` among them, and the views of its operands and of its result."""
        node, members, places = self.schedule.nodes[k], [k], self._places(k)
        if self.schedule.phase[k] != BODY or len(node.shape) != 2 or not node.entrywise:
            return members, places
        others = [m for m in range(k + 1, len(self.schedule.nodes)) if self._is_like(k, m)]
        position = 0
        while position < len(others):
            m = others[position]
            position += 1
            for more in ([m, *members], [*members, m]):
                views = [self.buffers.side_by_side(column) for column in zip(*map(self._places, more), strict=True)]
                found = [view for view in views if view is not None]
                if len(found) == len(views) and found[OUT] != self.buffers.views[self.buffers.results[k]]:
                    members, places = more, [self.buffers.view(*view) for view in found]
                    others.remove(m)
                    position = 0
                    break
        return members, places

    def _places(self, k: int) -> list[int]:
        """The views of the operands and of the result."""
        buffers = self.buffers
        places = [buffers.view_of(*operand) for operand in self.schedule.operands[k]]
        if k in buffers.cut:
            wholes = [buffers.views[place] for place in places]
            places = [buffers.view(whole.array, (*whole.path, buffers.cut[k])) for whole in wholes]
        return [*places, buffers.results[k]]

    def _is_like(self, k: int, m: int) -> bool:
        """Whether ``m`` is an operation like ``k`` that could be done together with it."""
        alike = self.schedule.is_alike(k, m) and self.schedule.phase[m] == BODY
        return alike and m not in self._written and all(map(self._is_there, self.schedule.operands[m]))

    def _is_there(self, operand: Ref) -> bool:
        """Whether an operand has been computed when the next call of the loop is made."""
        if operand.kind != LOCAL or self.schedule.phase[operand.number] == PROLOGUE or operand.number in self._written:
            return True
        source = self.schedule.nodes[operand.number]
        return isinstance(source, Slice | Window) and self._is_there(self.schedule.operands[operand.number][0])
