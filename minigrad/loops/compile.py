"""From a program to what runs it: all passes one after the other, remembered for programs of one structure.

    trace → hoist → differentiate → simplify → schedule → assign buffers → fuse → NumPy backend
                                                        or lower → native code
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from minigrad.graph import Operation
from minigrad.loops.activity import Refs, Stretch, active, depending, handed_on, is_settled, passed
from minigrad.loops.backend import Executable
from minigrad.loops.borrowed import borrowed_operands
from minigrad.loops.differentiate import CURVES, OUTER, Contribution, Derivative, differentiate
from minigrad.loops.fuse import Plan
from minigrad.loops.native import chosen, is_native
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, CannotCompile, Program, Ref
from minigrad.loops.schedule import Schedule
from minigrad.loops.simplify import simplified
from minigrad.ops.indexing import Slice

__all__ = ["Compiled", "CompiledLoop", "Pullback", "Structure", "description", "structure_of"]

MOST: Final = 256
"""How many structures are remembered before all are forgotten, and of each structure how many loops."""

structures: dict[Hashable, Structure] = {}


class Structure:
    """Programs that are run in the same way: what they have in common.

    Args:
        program: one of them.

    Raises:
        CannotCompile: the carry changes its shape or dtype, or there are floating-point numbers of several dtypes.
    """

    __slots__ = ("_compiled", "_everything", "program")

    def __init__(self, program: Program) -> None:
        self.program = replace(program, lines=tuple([line._replace(op=_out_of_graph(line.op)) for line in program.lines]))
        self._compiled: dict[frozenset[Ref], Compiled] = {}
        self._everything: Executable | None = None
        for value, ref in zip(program.carry, program.new_carry, strict=True):
            new = program.value(ref)
            if (new.shape, new.dtype) != (value.shape, value.dtype):
                raise CannotCompile(f"the state changes from {value.dtype} {value.shape} to {new.dtype} {new.shape}")
        _refuse_several_dtypes(program)

    def compiled(self, wanted: frozenset[Ref]) -> Compiled:
        """How they are run where these consts, xs and parts of the initial carry want a gradient."""
        if wanted not in self._compiled:
            self._compiled[wanted] = Compiled(self.program, wanted)
        return self._compiled[wanted]

    def everything(self) -> Executable:
        """What keeps all locals of all steps."""
        if self._everything is None:
            self._everything = _executable(self.program, range(len(self.program.lines)), quiet=True)
        return self._everything


def _out_of_graph(op: Operation) -> Operation:
    """The operation without the nodes that it was computed from: what is remembered keeps no graph alive."""
    alone = copy.copy(op)
    alone.sources = (None,) * len(op.sources)
    return alone


def _refuse_several_dtypes(program: Program) -> None:
    dtypes = [value.dtype for value in (*program.carry, *program.xs)] + [line.dtype for line in program.lines]
    dtypes += [value.dtype for value in program.consts if value.number is None]
    floats = {str(dtype) for dtype in dtypes if dtype is not None and dtype.kind == "f"}
    if len(floats) > 1:
        raise CannotCompile(f"it computes with numbers of several dtypes: {', '.join(sorted(floats))}")


class Pullback(NamedTuple):
    """One way to run a backward pass, and what it sends: to numbered xs and parts of the carry, found there, and to consts."""

    is_ahead: bool
    """Whether factors are multiplied ahead of the loop."""
    derivative: Derivative
    executable: Executable
    xs: list[tuple[int, Ref]]
    carry: list[tuple[int, int]]
    contributions: list[Contribution]
    summed: list[Ref]
    """What the xs are sent, and what contributions to consts are made of."""
    read: list[Ref]
    """What is read of the run: the residuals, and then the factors of contributions that are products."""


class Compiled:
    """How loops over programs of one structure are run, where certain operands want a gradient: forward, and backward.

    Args:
        program: one of the programs.
        wanted: the consts, xs and parts of the initial carry that want a gradient.

    Raises:
        CannotCompile: an operation's derivative has no form that can be repeated, or computes with another dtype.
    """

    __slots__ = (
        "_derivatives", "_forward", "_loops", "keeps", "program", "wanted", "wanted_consts",
    )  # fmt: skip

    def __init__(self, program: Program, wanted: frozenset[Ref]) -> None:
        self.program, self.wanted = program, wanted
        self.keeps = {ref.number for ref in program.ys if ref.kind == LOCAL}
        if wanted:
            whole = differentiate(program, wanted, range(len(program.carry)), range(len(program.ys)))
            _refuse_several_dtypes(whole.program)
            self.keeps |= {ref.number for ref in whole.needed() if ref.kind == LOCAL}
        self.wanted_consts = [k for k in range(len(program.consts)) if Ref(CONST, k) in wanted]
        self._forward: dict[tuple[bool, bool], Executable] = {}
        self._derivatives: dict[Hashable, list[tuple[bool, Derivative, Executable]]] = {}
        self._loops: dict[tuple[Stretch, ...], CompiledLoop] = {}

    def forward(self, quiet: bool) -> Executable:
        """What keeps of all steps the outputs, and what the derivative needs."""
        key = quiet, is_native()
        if key not in self._forward:
            plain = _executable(self.program, self.keeps, quiet)
            self._forward[key] = plain if quiet else chosen(Schedule(self.program, self.keeps, every_carry=True), plain)
        return self._forward[key]

    def over(self, steps: tuple[Stretch, ...]) -> CompiledLoop:
        """What there is to know of a loop over such steps."""
        found = self._loops.get(steps)
        return _kept(self._loops, steps, CompiledLoop(self, steps)) if found is None else found

    def derived(self, results: tuple[int, ...]) -> list[tuple[bool, Derivative, Executable]]:
        """As it was derived, which native code runs, and with what can be multiplied ahead; each if it can be compiled."""
        key = results, is_native()
        if key not in self._derivatives:
            derivative = differentiate(self.program, self.wanted, *self.of_both(results))
            ahead = simplified(derivative, self._small(derivative))
            self._derivatives[key] = found = []
            for one in (derivative, ahead) if is_native() else (ahead, derivative):
                kept = [ref.number for ref in (*one.program.ys, *(part.g for part in one.contributions))]
                with suppress(CannotCompile):
                    schedule = Schedule(one.program, kept, every_carry=False)
                    plain = Executable(Plan(schedule))
                    found.append((one is ahead, one, chosen(schedule, plain) if one is derivative else plain))
        return self._derivatives[key]

    def _small(self, derivative: Derivative) -> set[Ref]:
        """The xs of a derivative that are at most 1."""
        refs = [(Ref(XS, k), ref.number) for k, ref in enumerate(derivative.residuals) if ref.kind == LOCAL]
        return {x for x, number in refs if isinstance(self.program.lines[number].op, CURVES)}

    def of_both(self, results: Iterable[int]) -> tuple[list[int], list[int]]:
        """The parts of the last carry among the results, and the ys."""
        count = len(self.program.carry)
        return [k for k in results if k < count], [k - count for k in results if k >= count]


class CompiledLoop:
    """A compiled loop over certain steps: its results that depend on what wants a gradient, and its backward passes.

    Results are numbered: the parts of the last carry and, after those, the ys.

    Args:
        compiled: how the loop is run.
        steps: its steps, as far as they differ in what they pass on.
    """

    __slots__ = (
        "_borrowed", "_is_all", "_is_free", "_passed", "_pullbacks", "_reached", "_settled", "compiled", "finals", "outputs",
        "steps",
    )  # fmt: skip

    def __init__(self, compiled: Compiled, steps: tuple[Stretch, ...]) -> None:
        self.compiled, self.steps = compiled, steps
        self.finals, self.outputs = depending(compiled.program, compiled.wanted, steps)
        """Which parts of the last carry, and which outputs, depend on what wants a gradient."""
        self._pullbacks: dict[Hashable, list[Pullback]] = {}
        self._reached: dict[Hashable, frozenset[Ref]] = {}
        self._settled: dict[Hashable, bool] = {}
        self._is_all: dict[Hashable, bool] = {}
        self._is_free: dict[int, bool] = {}
        self._passed: dict[Hashable, list[Refs]] = {}
        self._borrowed: dict[Hashable, Refs] = {}

    def pullbacks(self, results: tuple[int, ...]) -> list[Pullback]:
        """What runs the backward pass for gradients that arrive at these results."""
        key = results, is_native()
        found = self._pullbacks.get(key)
        if found is None:
            found = self._pullbacks[key] = self._pullbacks_of(results)
        return found

    def _pullbacks_of(self, results: tuple[int, ...]) -> list[Pullback]:
        reached, found = self.reached(results), []
        for is_ahead, derivative, executable in self.compiled.derived(results):
            xs = [(j, ref) for j, ref in zip(derivative.xs, derivative.program.ys, strict=True) if Ref(XS, j) in reached]
            carry = [(i, number) for number, i in enumerate(derivative.carry) if Ref(CARRY, i) in reached]
            parts = [part for part in derivative.contributions if Ref(CONST, part.const) in reached]
            summed = list(dict.fromkeys([*derivative.program.ys, *[part.g for part in derivative.contributions]]))
            factors = [part.a for part in parts if part.form == OUTER and part.a is not None]
            read = [*derivative.residuals, *factors]
            found.append(Pullback(is_ahead, derivative, executable, xs, carry, parts, summed, read))
        return found

    def reached(self, results: tuple[int, ...]) -> frozenset[Ref]:
        """What gradients get to that arrive at these results."""
        if results not in self._reached:
            compiled = self.compiled
            self._reached[results] = active(compiled.program, compiled.wanted, compiled.of_both(results), self.steps)
        return self._reached[results]

    def borrowed(self, operations: Sequence[Refs]) -> Refs:
        """The xs, consts and parts of the initial carry that these operations of its steps keep for their derivatives."""
        key = tuple(operations)
        if key not in self._borrowed:
            found = borrowed_operands(self.compiled.program, self.compiled.wanted, self.steps, operations)
            _kept(self._borrowed, key, found)
        return self._borrowed[key]

    def is_settled(self, results: tuple[int, ...]) -> bool:
        """Whether nearly all steps are alike in what gradients that arrive at these results get to."""
        if results not in self._settled:
            compiled = self.compiled
            settled = is_settled(compiled.program, compiled.wanted, compiled.of_both(results), self.steps)
            self._settled[results] = settled
        return self._settled[results]

    def passed(self, results: tuple[int, ...], targets: Refs) -> list[Refs]:
        """The operations of each step that gradients pass which arrive at these results, on the way to targets."""
        key = results, targets
        if key not in self._passed:
            _kept(self._passed, key, self._passed_by(results, targets))
        return self._passed[key]

    def _passed_by(self, results: tuple[int, ...], targets: Refs) -> list[Refs]:
        return passed(self.compiled.program, targets, self.compiled.of_both(results), self.steps)

    def is_free(self, result: int) -> bool:
        """Whether a gradient gets from this result to something that wants it without passing an operation: it always may."""
        if result not in self._is_free:
            program = self.compiled.program
            origins = {handed_on(program, (*program.new_carry, *program.ys)[result], taken).kind for _, taken, _ in self.steps}
            targets = [] if origins == {LOCAL} else [ref for ref in self.reached((result,)) if ref.kind != LOCAL]
            self._is_free[result] = any(not any(self._passed_by((result,), frozenset([target]))) for target in targets)
        return self._is_free[result]

    def is_all(self, first: tuple[tuple[int, ...], Refs], results: tuple[int, ...]) -> bool:
        """Whether one pass goes through all that gradients which arrive at these results would pass."""
        key = first, results
        if key not in self._is_all:
            pairs = zip(self._passed_by(*first), self._passed_by(results, self.compiled.wanted), strict=True)
            _kept(self._is_all, key, all(those <= these for these, those in pairs))
        return self._is_all[key]


def _executable(program: Program, kept: Iterable[int], quiet: bool) -> Executable:
    return Executable(Plan(Schedule(program, kept, every_carry=True), quiet))


def _kept(memory: dict[Any, Any], key: Hashable, value: Any) -> Any:
    """The value, which is now remembered; the one that another thread has remembered meanwhile, if one has."""
    if len(memory) >= MOST:
        memory.clear()
    return memory.setdefault(key, value)


def structure_of(program: Program) -> Structure:
    """The structure of a program; what is known of another one with it is used again."""
    key = description(program)
    found = structures.get(key)
    return _kept(structures, key, Structure(program)) if found is None else found


def description(program: Program) -> Hashable:
    """What decides how a program is run: two with the same structure differ in names and in the values of consts only."""
    return (
        tuple([(type(line.op), line.operands, line.shape, line.dtype, attributes(line.op)) for line in program.lines]),
        tuple([type(line.op).vjp for line in program.lines]),
        tuple([(value.shape, value.dtype, repr(value.number), type(value.number)) for value in program.consts]),
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
        every = [slot for base in bases for slot in vars(base).get("__slots__", ())]
        slots[kind] = [slot for slot in every if slot != "number"]  # told to pictures; a number that counts is a const
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
