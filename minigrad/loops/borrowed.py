"""Which operands the steps of a loop would keep for their derivatives, if each were recorded by itself.

Nobody may write to those before a backward pass. It is found out when somebody tries to: a loop uses the arrays of its operands
as they are, and copies them before others are written to.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

from minigrad.loops.activity import Refs, Stretch, each_step, flow_once, is_masked
from minigrad.loops.differentiate import used_by_derivative
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Line, Program, Ref
from minigrad.loops.trace import Pass
from minigrad.loops.windows import Window
from minigrad.ops.shape import View

__all__ = ["borrowed_operands"]

Owners: TypeAlias = tuple[Ref | None, ...]
"""For the parts of the carry, the operands in whose memory they are; None for memory that a step made."""


def borrowed_operands(
    program: Program, wanted: Iterable[Ref], stretches: Iterable[Stretch], operations: Iterable[Refs]
) -> frozenset[Ref]:
    """The xs, consts and parts of the initial carry that some step keeps.

    Args:
        program: the step.
        wanted: those of them that want a gradient.
        stretches: the steps.
        operations: for each step, those that may yet be passed by a gradient.
    """
    wants = frozenset(ref for ref in wanted if ref.kind == CARRY)
    owners: Owners = tuple([Ref(CARRY, i) for i in range(len(program.carry))])
    others, borrowed = frozenset(wanted) - wants, set[Ref | None]()

    @cache
    def step(wants: Refs, owners: Owners, taken: bool | None, kept: Refs) -> tuple[Refs, Owners]:
        found = flow_once(program, set(others | wants), taken)
        owner = _owners(program, found, owners, taken)
        borrowed.update(map(owner.get, used_by_derivative(program, found, [k for kind, k in kept if kind == LOCAL])))
        wants = frozenset(Ref(CARRY, i) for i, ref in enumerate(program.new_carry) if ref in found)
        return wants, tuple(map(owner.get, program.new_carry))

    for (taken, is_cut), kept in zip(each_step(stretches), operations, strict=True):
        if is_cut:
            wants, owners = frozenset(), (None,) * len(program.carry)
        if taken is not False:
            wants, owners = step(wants, owners, taken, kept)
    return frozenset(ref for ref in borrowed if ref is not None)


def _owners(program: Program, found: set[Ref], carry: Owners, taken: bool | None) -> dict[Ref, Ref | None]:
    """For the values of a step, the operands in whose memory they are. Rows of xs that want no gradient are copies."""
    owner: dict[Ref, Ref | None] = {ref: ref for ref in [Ref(CONST, k) for k in range(len(program.consts))]}
    owner |= {ref: ref for ref in [Ref(XS, j) for j in range(len(program.xs))] if ref in found}
    owner |= {Ref(CARRY, i): ref for i, ref in enumerate(carry)}
    for k, line in enumerate(program.lines):
        if _hands_on(program, line, Ref(LOCAL, k) in found, taken):
            owner[Ref(LOCAL, k)] = owner.get(line.operands[0])
    return owner


def _hands_on(program: Program, line: Line, is_recorded: bool, taken: bool | None) -> bool:
    """Whether the result is in the memory of the first operand. A view that is not recorded is copied where it is kept."""
    if is_masked(program, line):
        return taken is True
    return isinstance(line.op, Pass | Window) or (is_recorded and isinstance(line.op, View))
