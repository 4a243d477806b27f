"""From a program to what runs it: all passes one after the other, remembered for programs of one form.

    trace → hoist → differentiate → simplify → schedule → assign buffers → fuse → NumPy backend
                                                        or lower → native code
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from minigrad.graph import Operation
from minigrad.loops.backend import Executable
from minigrad.loops.differentiate import Derivative, differentiate, flow, reach
from minigrad.loops.fuse import Plan
from minigrad.loops.native import chosen, is_native
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, CannotCompile, Program, Ref
from minigrad.loops.schedule import Schedule
from minigrad.loops.simplify import simplified
from minigrad.ops.indexing import Slice

__all__ = ["Compiled", "compiled"]

MOST: Final = 256
"""How many forms are remembered before all are forgotten."""

forms: dict[Hashable, Compiled] = {}


class Compiled:
    """How loops over programs of one form are run: forward, for inference, and backward.

    Args:
        program: one of them.

    Raises:
        CannotCompile: the carry changes its shape or dtype, or there are floating-point numbers of several dtypes.
    """

    __slots__ = ("_backward", "_forward", "_largest", "_reached", "_results", "program")

    def __init__(self, program: Program) -> None:
        self.program = program
        self._forward: dict[Hashable, Executable] = {}
        self._backward: dict[Hashable, list[tuple[Derivative, Executable]]] = {}
        self._largest: dict[frozenset[Ref], tuple[Derivative, set[Ref]]] = {}
        self._reached: dict[Hashable, set[Ref]] = {}
        self._results: dict[Hashable, tuple[list[bool], list[bool]]] = {}
        for value, ref in zip(program.carry, program.new_carry, strict=True):
            new = program.value(ref)
            if (new.shape, new.dtype) != (value.shape, value.dtype):
                raise CannotCompile(f"the state changes from {value.dtype} {value.shape} to {new.dtype} {new.shape}")
        dtypes = [value.dtype for value in (*program.carry, *program.xs)] + [line.dtype for line in program.lines]
        dtypes += [value.dtype for value in program.consts if value.number is None]
        floats = {str(dtype) for dtype in dtypes if dtype is not None and dtype.kind == "f"}
        if len(floats) > 1:
            raise CannotCompile(f"it computes with numbers of several dtypes: {', '.join(sorted(floats))}")

    def results(self, wanted: frozenset[Ref], T: int) -> tuple[list[bool], list[bool]]:
        """Which parts of the last carry, and which outputs, depend on what wants a gradient."""
        if (wanted, T) not in self._results:
            self._results[wanted, T] = self._depending(wanted, T)
        return self._results[wanted, T]

    def _depending(self, wanted: frozenset[Ref], T: int) -> tuple[list[bool], list[bool]]:
        program, state = self.program, frozenset(ref for ref in wanted if ref.kind == CARRY)
        others, seen = wanted - state, list[frozenset[Ref]]()
        every: set[Ref] = set()
        for _ in range(T):
            if state in seen:
                period = len(seen) - seen.index(state)
                state = seen[seen.index(state) + (T - seen.index(state)) % period]
                break
            seen.append(state)
            found = flow(program, others | state, 1)
            every |= found
            state = frozenset(Ref(CARRY, i) for i, ref in enumerate(program.new_carry) if ref in found)
        return [Ref(CARRY, i) in state for i in range(len(program.carry))], [ref in every for ref in program.ys]

    def forward(self, wanted: frozenset[Ref], quiet: bool) -> Executable:
        """What keeps of all steps the outputs, and what the derivative needs."""
        key = wanted, quiet, is_native()
        if key not in self._forward:
            program = self.program
            kept = {ref.number for ref in program.ys}
            if wanted:
                derivative, _ = self._whole(wanted)
                kept |= {ref.number for ref in derivative.needed() if ref.kind == LOCAL}
            plain = self._executable(kept, quiet)
            self._forward[key] = plain if quiet else chosen(Schedule(program, kept, every_carry=True), plain)
        return self._forward[key]

    def everything(self) -> Executable:
        """What keeps all locals of all steps."""
        key = "everything"
        if key not in self._forward:
            self._forward[key] = self._executable(range(len(self.program.lines)), quiet=True)
        return self._forward[key]

    def _executable(self, kept: Iterable[int], quiet: bool) -> Executable:
        return Executable(Plan(Schedule(self.program, kept, every_carry=True), quiet))

    def needs(self, wanted: frozenset[Ref]) -> set[Ref]:
        """The xs and consts whose values a backward pass needs."""
        return self._whole(wanted)[1]

    def _whole(self, wanted: frozenset[Ref]) -> tuple[Derivative, set[Ref]]:
        """The backward pass for gradients that arrive at all results, and the xs and consts whose values it needs."""
        if wanted not in self._largest:
            program = self.program
            derivative = differentiate(program, wanted, range(len(program.carry)), range(len(program.ys)))
            used = {ref for line in derivative.program.lines for ref in line.operands if ref.kind == CONST}
            self._largest[wanted] = derivative, used | {ref for ref in derivative.needed() if ref.kind == XS}
        return self._largest[wanted]

    def backward(self, wanted: frozenset[Ref], carry: Sequence[int], ys: Sequence[int]) -> list[tuple[Derivative, Executable]]:
        """The backward pass, for gradients that arrive there: with what can be multiplied ahead, and as it was derived;
        each if it can be compiled."""
        key = wanted, tuple(carry), tuple(ys), is_native()
        if key not in self._backward:
            derivative = differentiate(self.program, wanted, carry, ys)
            ways = []
            for way in (derivative, simplified(derivative)) if is_native() else (simplified(derivative), derivative):
                program = way.program
                kept = [ref.number for ref in (*program.ys, *(part.g for part in way.contributions))]
                with suppress(CannotCompile):
                    schedule = Schedule(program, kept, every_carry=False)
                    plain = Executable(Plan(schedule))
                    ways.append((way, chosen(schedule, plain) if way is derivative else plain))
            self._backward[key] = ways
        return self._backward[key]

    def reached(self, wanted: frozenset[Ref], carry: Sequence[int], ys: Sequence[int], T: int, window: int) -> set[Ref]:
        """What gradients get to that arrive there after T steps, where history is cut off after each window: `reach`."""
        last = (T - 1) % window + 1
        key = wanted, tuple(carry), tuple(ys), last, min(T - last, window)
        if key not in self._reached:
            found = reach(self.program, wanted, carry, ys, last)
            if last < T:
                found = {ref for ref in found if ref.kind != CARRY} | reach(self.program, wanted, (), ys, window)
            self._reached[key] = found
        return self._reached[key]

    def lines_of(self, wanted: frozenset[Ref], number: int, T: int, window: int) -> set[Ref]:
        """The lines that a gradient passes which arrives at one result alone: a part of the last carry, or, after those, ys."""
        count = len(self.program.carry)
        carry, ys = ([number], []) if number < count else ([], [number - count])
        return {ref for ref in self.reached(wanted, carry, ys, T, window) if ref.kind == LOCAL}


def compiled(program: Program) -> Compiled:
    """How to run loops over this program; what is known of another of its form is used again."""
    form = form_of(program)
    if form not in forms:
        if len(forms) == MOST:
            forms.clear()
        forms[form] = Compiled(program)
    return forms[form]


def form_of(program: Program) -> Hashable:
    """What decides how a program is run: two with the same form differ in names and in the values of consts only."""
    return (
        tuple([(type(line.op), line.operands, line.shape, line.dtype, attributes(line.op)) for line in program.lines]),
        tuple([(value.shape, value.dtype, value.number, type(value.number)) for value in program.consts]),
        tuple([(value.shape, value.dtype) for value in program.xs]),
        tuple([(value.shape, value.dtype) for value in program.carry]),
        program.new_carry,
        program.ys,
    )


slots: dict[type, list[str]] = {}


def attributes(op: Operation) -> Hashable:
    """What decides the result of an operation beside its operands."""
    kind = type(op)
    if isinstance(op, Slice):
        return op.span[:3]
    if kind not in slots:
        bases = kind.__mro__[: kind.__mro__.index(Operation)]
        slots[kind] = [slot for base in bases for slot in vars(base).get("__slots__", ())]
    names = slots[kind]
    if not names:
        return (tuple([kept is None for kept in op.saved]),) if op.saved else ()
    return (*[_hashable(getattr(op, name, None)) for name in names], tuple([kept is None for kept in op.saved or ()]))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, slice):
        return "slice", value.start, value.stop, value.step
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return value if isinstance(value, Hashable) else id(value)
