"""A backward run of a loop that keeps what it passes: the cotangents of chosen values, at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from minigrad.guard import Array
from minigrad.loops.backend import Executable, Run
from minigrad.loops.differentiate import Derivative, differentiate
from minigrad.loops.fuse import Plan
from minigrad.loops.loop import Loop
from minigrad.loops.program import CONST, LOCAL, Program, Ref
from minigrad.loops.schedule import Schedule
from minigrad.ops.casting import Copy
from minigrad.reporting import within

__all__ = ["Observed", "observed"]


class Observed(NamedTuple):
    """What a loop passed backwards: the derivative, its run, the forward run; and values of the derivative, (T, …) each."""

    derivative: Derivative
    back: Run
    run: Run
    kept: dict[Ref, Array]


def observed(loop: Loop, g: dict[int, Array], keep: Callable[[Derivative], Iterable[Ref]]) -> Observed:
    """Run a loop backward for the cotangents ``g`` of its results, and keep the values of its derivative that are asked for.

    Raises:
        CannotCompile: the derivative has no form that can be repeated.
    """
    run: Run = loop.needed()[0]
    count = len(run.chains)
    carry, ys = sorted(k for k in g if k < count), sorted(k - count for k in g if k >= count)
    compiled = loop.compiled_loop.compiled
    derivative = differentiate(compiled.program, compiled.wanted, carry, ys)
    program, places = _with_copies(derivative.program, keep(derivative))
    ends = [ref.number for ref in (*program.ys, *(part.g for part in derivative.contributions))]
    executable = Executable(Plan(Schedule(program, [*ends, *places.values()], every_carry=False)))
    arriving = [
        g[i] if i in g else np.zeros(value.shape, value.dtype)
        for i, value in zip(derivative.carry, program.carry, strict=True)
    ]
    xs = [*map(run.of, derivative.residuals), *[g[count + j] for j in derivative.ys]]
    consts = [*run.given[CONST], *derivative.literals]
    back = within({"all": "ignore"}, executable.run, run.T, xs, arriving, consts, not run.reverse, loop.cuts())
    return Observed(derivative, back, run, {ref: back.of(Ref(LOCAL, place)) for ref, place in places.items()})


def _with_copies(program: Program, refs: Iterable[Ref]) -> tuple[Program, dict[Ref, int]]:
    """The program with a line for each of these values, and the numbers of the lines."""
    lines, places = list(program.lines), dict[Ref, int]()
    for ref in dict.fromkeys(refs):
        op, value = Copy(), program.value(ref)
        op.sources, op.saved, op.watch, op.name, op.place = (None,), (), None, None, program.lines[0].op.place
        op.shape, op.dtype = value.shape, value.dtype
        places[ref] = len(lines)
        lines.append(program.lines[0]._replace(op=op, operands=(ref,), origin=None))
    return replace(program, lines=tuple(lines)), places
