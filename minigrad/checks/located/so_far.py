"""How far a backward pass is right, said of one whose mistake was not found."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.located.frontier import UNKNOWN, Seen, looked_at, target_of
from minigrad.checks.located.functions import editable
from minigrad.checks.located.lines import shown
from minigrad.checks.located.running import FAILURES, gradients_of, quietly
from minigrad.checks.located.search import Search, kept_meanwhile
from minigrad.checks.located.truths import Truths, marks_of
from minigrad.checks.located.watching import watched
from minigrad.checks.trial import Trial

__all__ = ["SoFar", "so_far"]

RTOL = 1e-6


class SoFar(NamedTuple):
    """What is true of the lines of a backward pass: a sentence, and the first line that is wrong; "" if nothing is known."""

    text: str = ""
    where: str = ""


def so_far(trial: Trial) -> SoFar:
    """The first line that gives no gradient of the derivation, though all that it is computed from is one."""
    search = Search([trial], RTOL, math.inf)
    truths = search.truths
    said = _returned(trial, truths)
    try:
        with quietly(trial):
            functions = editable(trial)
            moving = bool(trial.answer.moved)
            seen = watched(functions, lambda: gradients_of(trial), moving, globals_read=trial.adapter.globals)
            lines = looked_at(functions, seen, truths)
            with kept_meanwhile(search, trial, functions) as unkept:
                said = "; ".join(filter(None, (said, unkept.said)))
    except FAILURES:
        lines = []  # his code does what cannot be tried in passing
    first = next((line for line in lines if line.clean and line.known == UNKNOWN), None)
    if first is None:
        return SoFar(said)
    here = f"line {first.function.line(first.statement)}, {shown(first.function, first.statement)}"
    before = list(dict.fromkeys(_called(line) for line in lines[: lines.index(first)] if line.known and _called(line)))
    sentence = f"{_called(first) or 'the result'} in {here.partition(', ')[0]} is the first value that is "
    sentence += (
        f"not the gradient that its name says, but that of something else{'; right before it: ' if before else ''}"
        if first.misnamed
        else f"no gradient of the derivation and no part of one{'; those before it are: ' if before else ''}"
    ) + ", ".join(before)
    return SoFar("; ".join(filter(None, (said, sentence))), here)


def _called(line: Seen) -> str:
    return target_of(line.function, line.statement)


def _returned(trial: Trial, truths: Truths) -> str:
    """What is true of the gradients of intermediate values that are returned beside."""
    known: dict[bool, list[str]] = {True: [], False: []}
    for name, value in trial.answer.others.items():
        array = np.asarray(value)
        if names.is_gradient(name) and array.dtype.kind == "f" and array.size > 1:
            mark = float(marks_of(array, array.ndim))
            known[truths.how_known(mark, array.size) > UNKNOWN].append(name)
    parts = [
        f"{', '.join(found)}, returned beside, {'is' if len(found) == 1 else 'are'} {what}"
        for found, what in ((known[True], "right"), (known[False], "no gradient of any value of the forward pass"))
        if found
    ]
    return "; ".join(parts)
