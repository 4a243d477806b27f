"""Activity analysis: which values of a loop depend on what wants a gradient, and which are sent one.

Both are found over all steps, and are as fine as the steps are.

A gradient that is never sent is None, not zero. Over many steps that depends on how many there are (a value may take some
to get from one part of the carry to another), on where history is cut off, and on masks: where all examples take a step, the
old state is not selected by any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from minigrad.guard import Array
from minigrad.loops.program import CARRY, LOCAL, XS, Line, Program, Ref
from minigrad.loops.trace import Pass
from minigrad.ops.kinks import Where

__all__ = ["Stretch", "active", "after", "depending", "flow", "flow_once", "is_masked", "is_settled", "meet", "stretches_of"]

Refs: TypeAlias = frozenset[Ref]
State = TypeVar("State")


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
    """The steps of a loop, in the order in which they are computed; those of whole windows that add nothing are left out.

    Args:
        T: how many there are.
        window: after how many each time the carry loses its history.
        mask: (T, B, 1), which example takes which; None: all take all, and there is no selection in the program.
        reverse: whether the last is computed first.
        ends: (T, B, 1), before which step which example's window ends, if that is a line of the program, and there is a mask.

    >>> stretches_of(7, 3, None, False)
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
    last = (T - 1) % window + 1
    return (Stretch(T, None, False),) if window >= T else (Stretch(window, None, False), Stretch(last, None, True))


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
    """Whether a value is the result of an operation: what is handed on is none, nor what a mask of all or none selects."""
    if ref.kind != LOCAL:
        return False
    line = program.lines[ref.number]
    return type(line.op) is not Pass and (taken is None or not is_masked(program, line))


def is_masked(program: Program, line: Line) -> bool:
    """Whether a line selects by the last of the xs, which is the mask if there is one."""
    return type(line.op) is Where and line.operands[-1] == Ref(XS, len(program.xs) - 1)


def depending(program: Program, wanted: Iterable[Ref], stretches: Iterable[Stretch]) -> tuple[list[bool], list[bool]]:
    """Which parts of the last carry, and which ys, depend on what is wanted."""
    state = frozenset(ref for ref in wanted if ref.kind == CARRY)
    others, every = frozenset(wanted) - state, set[Ref]()
    for steps, taken, is_cut in stretches:

        def step(state: Refs, taken: bool | None = taken) -> Refs:
            found = flow_once(program, set(others | state), taken)
            every.update(found)
            return frozenset(Ref(CARRY, i) for i, ref in enumerate(program.new_carry) if ref in found)

        state = after(steps, frozenset() if is_cut else state, step)
    return [Ref(CARRY, i) in state for i in range(len(program.carry))], [ref in every for ref in program.ys]


def active(
    program: Program, wanted: Iterable[Ref], carry: Iterable[int], ys: Iterable[int], stretches: Sequence[Stretch]
) -> Refs:
    """What is active, that is sent anything: consts, xs, parts of the initial carry, and the lines on the way there.

    Args:
        program: the step.
        wanted: the consts, xs and parts of the initial carry that want a gradient.
        carry: the parts of the last carry at which a cotangent arrives.
        ys: the outputs at which cotangents arrive, at every step.
        stretches: the steps.
    """
    differentiable, found = flow(program, wanted), set[Ref]()
    outputs, state = {program.ys[j] for j in ys}, frozenset(Ref(CARRY, i) for i in carry)
    for steps, taken, is_cut in reversed(stretches):

        def step(state: Refs, taken: bool | None = taken) -> Refs:
            live = _sent_once(program, differentiable, outputs, state, taken)
            passed = {ref for ref in live if ref.kind == LOCAL and type(program.lines[ref.number].op) is Pass}
            found.update(ref for ref in live - passed if ref.kind != CARRY)
            return frozenset(ref for ref in live if ref.kind == CARRY)

        state = after(steps, state, step)
        if is_cut:
            state = frozenset()
    return frozenset(found | state)


def _sent_once(program: Program, differentiable: set[Ref], outputs: set[Ref], state: Refs, taken: bool | None) -> set[Ref]:
    """What one step of a backward pass reaches, from its outputs and from the parts of the carry that are sent something."""
    live = differentiable.intersection(outputs | {program.new_carry[ref.number] for ref in state})
    for k in reversed(range(len(program.lines))):
        if Ref(LOCAL, k) in live:
            live.update(differentiable.intersection(_sources(program, program.lines[k], taken)))
    return live


Ends: TypeAlias = tuple[Iterable[int], Iterable[int]]
"""At which parts of the last carry, and at which ys, cotangents arrive."""


def meet(program: Program, wanted: Iterable[Ref], first: Ends, second: Ends, stretches: Sequence[Stretch]) -> bool:
    """Whether two backward passes go through the same line at the same step: what the one has released, the other lacks."""
    differentiable, found = flow(program, wanted), set[Ref]()
    outputs = [{program.ys[j] for j in ys} for _, ys in (first, second)]
    states = tuple([frozenset(Ref(CARRY, i) for i in carry) for carry, _ in (first, second)])
    nowhere = (frozenset[Ref](), frozenset[Ref]())
    for steps, taken, is_cut in reversed(stretches):

        def step(states: tuple[Refs, ...], taken: bool | None = taken) -> tuple[Refs, ...]:
            passed = [_sent_once(program, differentiable, *ends, taken) for ends in zip(outputs, states, strict=True)]
            found.update(ref for ref in passed[0] & passed[1] if _is_recorded(program, ref, taken))
            return tuple([frozenset(ref for ref in live if ref.kind == CARRY) for live in passed])

        states = after(steps, states, step)
        if is_cut:
            states = nowhere
    return bool(found)


def is_settled(
    program: Program, wanted: Iterable[Ref], carry: Iterable[int], ys: Iterable[int], stretches: Sequence[Stretch]
) -> bool:
    """Whether nearly all steps are alike in what depends on what is wanted, and in what they are sent.

    Before others have the first steps found which parts of the carry depend on something, and the last which are sent anything.
    Where that is all that any step ever has, from so many steps on as the carry has parts, and for more than twice as many, a
    loop in which the cotangents that some steps lack are zeros depends on nothing that the steps one by one do not depend on.
    """
    state, outputs = frozenset(ref for ref in wanted if ref.kind == CARRY), {program.ys[j] for j in ys}
    others, differentiable = frozenset(wanted) - state, flow(program, wanted)

    def forward(state: Refs, taken: bool | None) -> Refs:
        found = flow_once(program, set(others | state), taken)
        return frozenset(Ref(CARRY, i) for i, ref in enumerate(program.new_carry) if ref in found)

    def backward(state: Refs, taken: bool | None) -> Refs:
        sent = _sent_once(program, differentiable, outputs, state, taken)
        return frozenset(Ref(CARRY, i) for i in range(len(program.carry)) if Ref(CARRY, i) in sent)

    arriving = frozenset(Ref(CARRY, i) for i in carry if program.new_carry[i] in differentiable)
    return _settles(state, forward, stretches, len(program.carry)) and _settles(
        arriving, backward, stretches[::-1], len(program.carry)
    )


def _settles(state: Refs, step: Callable[[Refs, bool | None], Refs], stretches: Iterable[Stretch], parts: int) -> bool:
    """Whether the state is the largest that it ever is after so many steps as it has parts, and for more than twice as many."""
    seen, most = [], state
    for steps, taken, _ in stretches:
        for _ in range(min(steps, 4 * parts + 4) if taken is not False else 0):
            seen.append(state)
            state = step(state, taken)
            most |= state
    settled = seen[parts:]
    return len(settled) > 2 * parts and all(state == most for state in settled)


def after(steps: int, state: State, step: Callable[[State], State]) -> State:
    """What matters of the carry after so many steps that are alike; what would only repeat itself is left out."""
    seen: list[State] = []
    for number in range(steps):
        if state in seen:
            first = seen.index(state)
            return seen[first + (steps - number) % (number - first)]
        seen.append(state)
        state = step(state)
    return state
