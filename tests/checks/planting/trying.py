"""One check of a planted mistake, and whether what the report says is true."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad import check_backward

from .layouts import Laid, Layout, laid_out
from .mistakes import Planted
from .program import Program

__all__ = ["NAMED", "NARROWED", "Tried", "judged", "tried", "wrong_gradients"]

NAMED, NARROWED, FALSE, PASSED, RAISED = "named", "narrowed", "FALSE", "passed", "raised"


class Tried(NamedTuple):
    """What became of one planted mistake.

    Attributes:
        result: named, narrowed, FALSE (named as another kind, or other gradients are said to be wrong), passed, or raised.
        kinds: what the report calls it.
        said: the first sentence of each finding, or what is not true.
    """

    result: str
    kinds: tuple[str, ...]
    said: str


def wrong_gradients(right: Laid, wrong: Laid, seed: int = 7) -> set[str]:
    """Which gradients differ, by running both on random numbers; none where the wrong one does not run."""
    with np.errstate(all="ignore"):
        expected = right.results(seed)
        try:
            found = wrong.results(seed)
        except ValueError:  # states of two sizes, exchanged
            return set()
    return {name for name, g in expected.items() if not np.allclose(g, found[name], rtol=1e-9, atol=1e-12)}


def tried(program: Program, mistake: Planted, layout: Layout, seed: int, **options: Any) -> Tried | None:
    """Check a program with a mistake in it, in a layout, on random problems; None if the mistake changes nothing there."""
    right, wrong = laid_out(program, layout), laid_out(mistake.program, layout)
    differing = wrong_gradients(right, wrong)
    if not differing:
        return None
    report = check_backward(wrong.forward, wrong.backward, wrong.arguments, seed=seed, **options)
    return judged(report, mistake.names, differing)


def judged(report: Any, names: frozenset[str], differing: set[str]) -> Tried:
    """Whether what a report says is true: the kind of the mistake, and which gradients it makes wrong."""
    kinds = tuple(dict.fromkeys(finding.kind for finding in report.findings if finding.kind))
    said = "; ".join(finding.missing for finding in report.findings) or "; ".join(report.notes)
    if report.passed:
        return Tried(PASSED, kinds, said)
    if not report.findings:
        return Tried(RAISED, kinds, next(stage.text for stage in report.stages if not stage.passed))
    blamed = {name for finding in report.findings for name in finding.gradients}
    if blamed - differing:
        return Tried(FALSE, kinds, f"{', '.join(sorted(blamed - differing))} is right: {said}")
    if not report.named:
        return Tried(NARROWED if set(kinds) <= names else FALSE, kinds, said)
    if not set(kinds) <= names:
        return Tried(FALSE, kinds, said)
    return Tried(NAMED, kinds, said)
