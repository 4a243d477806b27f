"""A step that was traced, with all that later runs of its loop need to know: how to run it, and on which consts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import numpy as np

from minigrad.loops.activity import handed_on
from minigrad.loops.compile import Compiled, structure_of
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Ref
from minigrad.loops.trace import Const, Flat, Pass, Trace, hoisted
from minigrad.module import Parameter
from minigrad.ops.kinks import Where
from minigrad.ops.shape import View
from minigrad.recording import Constant
from minigrad.scope import state
from minigrad.tensor import Tensor

__all__ = ["Memory", "TracedStep", "key_of", "remember", "traced_step"]

MOST: Final = 64
"""How many steps of one cell are remembered before all are forgotten."""

NODE: Final = attrgetter("_node")
VJP: Final = attrgetter("vjp")
HANDS_ON: Final = Pass, Where, View
"""The operations that have another's memory for their result, a selection where all examples take the same."""


class TracedStep:
    """A step that was traced, and how loops over it are run.

    Args:
        trace: the trace.

    Raises:
        CannotCompile: there is no way.
    """

    __slots__ = (
        "_compiled", "_from", "_kinds", "_known", "consts", "finals", "handed_on", "is_lasting", "names", "numbers",
        "place", "program", "structure", "trace",
    )  # fmt: skip

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.program, self.consts, self.place = hoisted(trace)
        self.structure = structure_of(self.program)
        self._compiled: dict[tuple[bool, ...], Compiled] = {}
        lasting = not trace.has_read and all(map(_is_lasting, trace.consts))
        self.is_lasting = lasting and not any(trace.program.lines[k].op.keeps for k in trace.invariant)
        """Whether it serves the next run: consts are parameters, whose values nobody has looked at, and numbers, or computed
        from those by what keeps nothing."""
        self._kinds = list({type(line.op) for line in trace.program.lines})
        self._known = self._as_now()
        self.numbers = {k: self._number(k, const._array) for k, const in enumerate(self.consts) if isinstance(const, Constant)}
        """The values of those consts that are no Tensors."""
        self.finals = [self.program.lines[ref.number].op for ref in self.program.new_carry]
        """The operations that have the parts of the last carry as their results."""
        origins = [handed_on(self.program, ref, None) for ref in self.program.new_carry]
        self.names = [self.program.value(ref).name if ref.kind in (LOCAL, XS) else None for ref in origins]
        """What the parts of the last carry are called."""
        lines = [self.program.lines[ref.number] for ref in self.program.new_carry]
        passed = {i: line.operands[0] for i, line in enumerate(lines) if type(line.op) is Pass}
        self._from = {i: ref.number for i, ref in passed.items() if ref.kind == CARRY}
        """For the parts of the carry that a step hands on as they are, maybe in the place of others, which they were."""
        self.handed_on = {i for i, line in enumerate(lines) if isinstance(line.op, HANDS_ON)}
        """The parts of the carry that a step may hand on, or a view of what it was handed."""

    def given(self, steps: int) -> dict[int, int]:
        """For the parts of the last carry that are some of the first, if no history is cut off, which of them."""
        found = {}
        for i in self._from:
            origin: int | None = i
            for _ in range(steps if self._from[i] != i else 0):
                origin = None if origin is None else self._from.get(origin)
            if origin is not None:
                found[i] = origin
        return found

    def _number(self, k: int, number: Any) -> Any:
        """A number in the dtype of the lines that use it, which spares NumPy converting it at every step."""
        if isinstance(number, int | float) and not isinstance(number, bool):
            dtypes = {line.dtype for line in self.program.lines if Ref(CONST, k) in line.operands}
            if len(dtypes) == 1 and (dtype := dtypes.pop()).kind == "f":
                return np.array(number, dtype)
        return number

    def consts_now(self) -> list[Const] | None:
        """The consts for the next run; None if they do not stand where they did in the graph, or a derivative is another."""
        if self._as_now() != self._known:
            return None
        return self.trace.computed_anew() if self.trace.invariant else self.consts

    def _as_now(self) -> list[Any]:
        return [*map(NODE, self.trace.consts), *map(VJP, self._kinds)]

    def first_consts(self) -> list[Const]:
        """The consts for the first run, with what the trace computed from consts; asked for once."""
        consts, self.consts = self.consts, self.trace.consts
        self.trace.forget_results()
        return consts

    def compiled(self, wants: tuple[bool, ...]) -> Compiled:
        """How the loop is run where those of the xs, of the parts of the carry and of the consts want a gradient."""
        found = self._compiled.get(wants)
        if found is None:
            program = self.program
            kinds = ((XS, program.xs), (CARRY, program.carry), (CONST, program.consts))
            refs = [Ref(kind, k) for kind, values in kinds for k in range(len(values))]
            wanted = frozenset(ref for ref, wants_it in zip(refs, wants, strict=True) if wants_it)
            found = self._compiled[wants] = self.structure.compiled(wanted)
        return found


Memory: TypeAlias = dict[Hashable, TracedStep]
"""The steps of one cell that were traced. Whoever keeps it forgets it when anything that the step reads has changed."""


def key_of(carry: Sequence[Tensor], xs: Sequence[Tensor], names: Sequence[str | None]) -> Hashable:
    """What else decides what is traced, if the step reads the same."""
    return (
        *names,
        state.place.scope,
        *[(x._array.shape[1:], x._array.dtype) for x in xs],
        *[(type(part), part._array.shape, part._array.dtype) for part in carry],
    )


def remember(memory: Memory, key: Hashable, traced: TracedStep) -> None:
    """Keep a traced step for later runs, if it serves them."""
    if traced.is_lasting:
        if len(memory) >= MOST:
            memory.clear()
        memory[key] = traced


def traced_step(
    step: Flat, carry: Sequence[Tensor], xs: Sequence[Tensor], times: range, names: Sequence[str | None]
) -> TracedStep:
    """What the first step does, traced."""
    first = times[0] - 1
    return TracedStep(Trace(step, [part._array for part in carry], [x._array[first] for x in xs], names))


def _is_lasting(const: Const) -> bool:
    number = isinstance(const, Constant) and not isinstance(const._array, np.ndarray)
    return type(const) is Parameter or number
