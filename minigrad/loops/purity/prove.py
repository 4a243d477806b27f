"""A promise is checked as far as it can be: the last step of a loop is traced too, and must be the first one again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final
from weakref import ref

import numpy as np

from minigrad.errors import PurityError
from minigrad.graph import Leaf
from minigrad.loops.backend import Run
from minigrad.loops.compile import description
from minigrad.loops.program import CONST, CannotCompile, Ref, Undefined
from minigrad.loops.trace import Const, Flat, Trace
from minigrad.loops.traced import TracedStep
from minigrad.tensor import Tensor

__all__ = ["prove"]

MOST: Final = 1024
"""How many steps are known to be proven before all are forgotten."""

proven: dict[Hashable, list[ref[Tensor] | None]] = {}
"""The steps, each with the structure of its program, that were once compared with themselves at another time; what they then
made, or found that has no place in a graph."""


def prove(
    key: Hashable,
    step: Flat,
    traced: TracedStep,
    consts: Sequence[Const],
    run: Run,
    xs: Sequence[Tensor],
    times: range,
    names: Sequence[str | None],
) -> None:
    """Compare the last step with the first, once for each ``key`` and structure of its program.

    Raises:
        PurityError: it is not the same program, or something that it reads is not the same.
    """
    then, made = proven.get((key, traced.structure)), traced.trace.made()
    if then is not None and _are(made, then):
        return
    last = times[-1]
    try:
        again = TracedStep(Trace(step, run.before_last(), [x._array[last - 1] for x in xs], names))
    except Undefined:
        raise
    except CannotCompile as ended:
        raise _impure(f"its first step can be traced, but not its last (t = {last}): {ended}") from None
    if description(again.program) != description(traced.program):
        raise _impure(
            f"it does not do the same at its first and at its last step (t = {last}). First:\n{traced.program}\nlast:\n"
            f"{again.program}\n"
        )
    for k, (first, second) in enumerate(zip(consts, again.consts, strict=True)):
        if not _is_same(first, second):
            word = traced.program.word(Ref(CONST, k))
            raise _impure(f"something that it uses, {word}, is not the same at its first and at its last step (t = {last})")
    if len(proven) >= MOST:
        proven.clear()
    proven[key, traced.structure] = [ref(const) if isinstance(const, Tensor) else None for const in made]


def _are(made: list[Const], then: list[ref[Tensor] | None]) -> bool:
    """Whether the objects are still those that they were."""
    pairs = zip(then, made, strict=False)
    return len(then) == len(made) and all(known is not None and known() is const for known, const in pairs)


def _impure(what: str) -> PurityError:
    return PurityError(
        f"a step that is compiled must be pure, and the same at every time, but {what}. Give what differs from step to step as "
        "part of the xs or of the state; or do not promise that the step is pure, and it is run step by step"
    )


def _is_same(first: Const, second: Const) -> bool:
    if first is second:
        return True
    if first._wants and isinstance(first._node, Leaf):
        return first._node is second._node
    a, b = np.asarray(first._array), np.asarray(second._array)
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
