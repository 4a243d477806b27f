"""Activity analysis: which values of a loop depend on what wants a gradient, and which are sent one.

Both are found over all steps, and are as fine as the steps are.

A gradient that is never sent is None, not zero. Over many steps that depends on how many there are (a value may take some
to get from one part of the carry to another), on where history is cut off, and on masks: where all examples take a step, the
old state is not selected by any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple, TypeAlias

import numpy as np

from minigrad.guard import Array
from minigrad.loops.program import CARRY, LOCAL, XS, Line, Program, Ref
from minigrad.loops.trace import Pass
from minigrad.ops.kinks import Where

__all__ = [
    "Refs", "Stretch", "active", "depending", "each_step", "flow", "flow_once", "handed_on", "is_masked", "is_settled",
    "origin", "passed", "stretches_of",
]  # fmt: skip

Refs: TypeAlias = frozenset[Ref]

Step: TypeAlias = tuple[bool | None, bool]
"""Whether all examples take a step (None: some do), and whether the carry has lost its history before it."""

Ends: TypeAlias = tuple[Iterable[int], Iterable[int]]
"""At which parts of the last carry, and at which ys (there at every step), cotangents arrive."""


class Stretch(NamedTuple):
    """Steps in a row that are alike.

    ``taken``: whether all examples take them (True), none does (False), or some do (None, also where there is no mask).
    ``is_cut``: whether the carry has lost its history before the first of them.
    """

    steps: int
    taken: bool | None
    is_cut: bool


def stretches_of(
    T: int, window: int, mask: Array | None, reverse: bool, ends: Array | None = None
) -> tuple[Stretch, ...]:
    """The steps of a loop, in the order in which they are computed.

    Args:
        T: how many there are.
        window: after how many each time the carry loses its history.
        mask: (T, B, 1), which example takes which; None: all take all, and there is no selection in the program.
        reverse: whether the last is computed first.
        ends: (T, B, 1), before which step which example's window ends, if that is a line of the program, and there is a mask.

    >>> stretches_of(4, 3, None, False)
    (Stretch(steps=3, taken=None, is_cut=False), Stretch(steps=1, taken=None, is_cut=True))
    """
    if mask is None:
        return _windows(T, window)
    rows = mask.reshape(T, -1)
    rows = rows[::-1] if reverse else rows
    all_take, some_take = (function.reduce(rows, axis=1).tolist() for function in (np.logical_and, np.logical_or))
    taken = [every if every or not some else None for every, some in zip(all_take, some_take, strict=True)]
    starts = list(range(0, T, window))
    if ends is not None:
        of_all = np.logical_and.reduce(ends.reshape(T, -1), axis=1)
        starts = [0, *np.flatnonzero(of_all[::-1] if reverse else of_all).tolist()]
    found = []
    for start, stop in zip(starts, [*starts[1:], T], strict=True):
        is_cut = start > 0
        for kind, steps in groupby(taken[start:stop]):
            found.append(Stretch(len(list(steps)), kind, is_cut))
            is_cut = False
    return tuple(found)


@lru_cache
def _windows(T: int, window: int) -> tuple[Stretch, ...]:
    return tuple([Stretch(min(window, T - start), None, start > 0) for start in range(0, T, window)])


def each_step(stretches: Iterable[Stretch]) -> list[Step]:
    """The steps one by one."""
    found: list[Step] = []
    for steps, taken, is_cut in stretches:
        found += [(taken, is_cut), *[(taken, False)] * (steps - 1)]
    return found


def flow(program: Program, wanted: Iterable[Ref]) -> set[Ref]:
    """The values of a step that depend on ``wanted`` ones within any number of steps, and those themselves."""
    found = set(wanted)
    while True:
        before = len(found)
        flow_once(program, found, None)
        found |= {Ref(CARRY, i) for i, ref in enumerate(program.new_carry) if ref in found}
        if len(found) == before:
            return found


def flow_once(program: Program, found: set[Ref], taken: bool | None) -> set[Ref]:
    """Add the lines of one step that depend on something found."""
    for k, line in enumerate(program.lines):
        if line.op.requires_grad and not found.isdisjoint(_sources(program, line, taken)):
            found.add(Ref(LOCAL, k))
    return found


def _sources(program: Program, line: Line, taken: bool | None) -> Sequence[Ref]:
    """What a line has a derivative for: of a selection by the mask only what is selected."""
    if taken is not None and is_masked(program, line):
        return line.operands[:1] if taken else line.operands[1:2]
    return line.operands[: len(line.op.sources)]


def _is_recorded(program: Program, ref: Ref, taken: bool | None) -> bool:
    """Whether a value is the result of an operation: a row is cut out of its x by one. What is handed on is none, nor what a
    mask of all or none selects."""
    if ref.kind != LOCAL:
        return ref.kind == XS
    return not _is_handed_on(program, ref) and (taken is None or not is_masked(program, program.lines[ref.number]))


def _is_handed_on(program: Program, ref: Ref) -> bool:
    return ref.kind == LOCAL and type(program.lines[ref.number].op) is Pass


def handed_on(program: Program, ref: Ref, taken: bool | None) -> Ref:
    """What a step hands on as this value, or has a mask of all or none select, if that was not computed for it."""
    while ref.kind == LOCAL and not _is_recorded(program, ref, taken):
        ref = program.lines[ref.number].operands[taken is False]
    return ref


def origin(program: Program, steps: Sequence[Step], ref: Ref, number: int) -> tuple[Ref, int]:
    """What a value of a step is that was handed on to it, maybe by many steps, and of which step."""
    ref = handed_on(program, ref, steps[number][0])
    while ref.kind == CARRY and number:
        number -= 1
        ref = handed_on(program, program.new_carry[ref.number], steps[number][0])
    return ref, number


def is_masked(program: Program, line: Line) -> bool:
    """Whether a line selects by the last of the xs, which is the mask if there is one."""
    return type(line.op) is Where and line.operands[-1] == Ref(XS, len(program.xs) - 1)


def dependent(program: Program, wanted: Iterable[Ref], steps: Iterable[Step]) -> list[Refs]:
    """For each step, the values of it that depend on what is wanted, the carry that it is given among them."""
    state, found = frozenset(ref for ref in wanted if ref.kind == CARRY), list[Refs]()
    others = frozenset(wanted) - state

    @cache
    def after(state: Refs, taken: bool | None) -> tuple[Refs, Refs]:
        values = frozenset(flow_once(program, set(others | state), taken))
        return values, _new_carry(program, values)

    for taken, is_cut in steps:
        values, state = after(frozenset() if is_cut else state, taken)
        found.append(values)
    return found


def sent(program: Program, differentiable: Sequence[Refs], ends: Ends, steps: Sequence[Step]) -> list[Refs]:
    """For each step, what a backward pass sends a gradient to of what is differentiable at that step."""
    state, outputs, found = frozenset(Ref(CARRY, i) for i in ends[0]), {program.ys[j] for j in ends[1]}, list[Refs]()

    @cache
    def before(differentiable: Refs, state: Refs, taken: bool | None) -> tuple[Refs, Refs]:
        live = set(differentiable & (outputs | {program.new_carry[ref.number] for ref in state}))
        for k in reversed(range(len(program.lines))):
            if Ref(LOCAL, k) in live:
                live.update(differentiable & set(_sources(program, program.lines[k], taken)))
        return frozenset(live), _carry_of(frozenset(live))

    for (taken, is_cut), now in zip(reversed(steps), reversed(differentiable), strict=True):
        live, state = before(now, state, taken)
        found.append(live)
        state = frozenset() if is_cut else state
    return found[::-1]


def depending(program: Program, wanted: Iterable[Ref], stretches: Iterable[Stretch]) -> tuple[list[bool], list[bool]]:
    """Which parts of the last carry, and which ys, depend on what is wanted."""
    found = dependent(program, wanted, each_step(stretches))
    every = frozenset[Ref]().union(*found)
    return [ref in found[-1] for ref in program.new_carry], [ref in every for ref in program.ys]


def active(program: Program, wanted: Iterable[Ref], ends: Ends, stretches: Iterable[Stretch]) -> Refs:
    """What is active, that is sent anything: consts, xs, parts of the initial carry, and the lines on the way there."""
    steps = each_step(stretches)
    first, *others = sent(program, dependent(program, wanted, steps), ends, steps)
    later = frozenset[Ref]().union(*others)
    return frozenset(ref for ref in first | later if not _is_handed_on(program, ref) and (ref.kind != CARRY or ref in first))


def passed(program: Program, wanted: Iterable[Ref], ends: Ends, stretches: Iterable[Stretch]) -> list[Refs]:
    """For each step, the operations that a backward pass from these ends to what is wanted passes: lines, and rows of xs."""
    steps = each_step(stretches)

    @cache
    def operations(live: Refs, taken: bool | None) -> Refs:
        return frozenset(ref for ref in live if _is_recorded(program, ref, taken))

    live = sent(program, dependent(program, wanted, steps), ends, steps)
    return [operations(refs, taken) for refs, (taken, _) in zip(live, steps, strict=True)]


def is_settled(program: Program, wanted: Iterable[Ref], ends: Ends, stretches: Iterable[Stretch]) -> bool:
    """Whether nearly all steps are alike in what depends on what is wanted, and in what they are sent.

    Before others have the first steps found which parts of the carry depend on something, and the last which are sent anything.
    Where that is all that any step ever has, from so many steps on as the carry has parts, and for more than twice as many, a
    loop in which the cotangents that some steps lack are zeros depends on nothing that the steps one by one do not depend on.
    """
    steps, differentiable = each_step(stretches), frozenset(flow(program, wanted))
    found = dependent(program, wanted, steps)
    live = sent(program, [differentiable] * len(steps), ends, steps)
    last = frozenset([Ref(CARRY, i) for i in ends[0] if program.new_carry[i] in differentiable])
    carried = [*map(_carry_of, found), _new_carry(program, found[-1])]
    arriving = [last, *map(_carry_of, reversed(live))]
    return _settles(carried, steps, len(program.carry)) and _settles(arriving, steps[::-1], len(program.carry))


def _settles(states: Sequence[Refs], steps: Sequence[Step], parts: int) -> bool:
    """Whether the state is the largest that it ever is after so many steps as it has parts, and for more than twice as many."""
    most = frozenset[Ref]().union(*states)
    settled = [state for state, (taken, _) in zip(states, steps, strict=False) if taken is not False][parts:]
    return len(settled) > 2 * parts and all(state == most for state in settled)


def _carry_of(found: Refs) -> Refs:
    """The parts of the old carry among these values."""
    return frozenset([ref for ref in found if ref.kind == CARRY])


def _new_carry(program: Program, found: Refs) -> Refs:
    """The parts of the carry that the next step is given, of which the new ones are found."""
    return frozenset([Ref(CARRY, i) for i, ref in enumerate(program.new_carry) if ref in found])
