"""Planted mistakes are named, each by its name: so many that every derivation and every name is among them.

`make mistakes` and `make test-exhaustive` try all.
"""

from __future__ import annotations

import linecache

import pytest
from derivation_cases import functions
from mistakes import BY_ID, MISTAKES, SAMPLE, Mistake, report_of
from sampling import EXHAUSTIVE

from minigrad import check_backward

CHOSEN = {f"{m.case.id}-{k}": m for k, m in enumerate(MISTAKES) if EXHAUSTIVE or k in SAMPLE}


@pytest.mark.parametrize("mistake", CHOSEN.values(), ids=CHOSEN)
def test_a_planted_mistake_is_named(mistake: Mistake) -> None:
    report = report_of(mistake.case.id, *mistake.changes)
    assert not report.passed
    assert report.named, report
    if mistake.kinds != ("",):
        assert [finding.kind in mistake.kinds for finding in report.findings] == [True], report


def test_without_a_source_a_path_that_one_derivation_lacks_is_missing_there_and_in_no_other() -> None:
    """No line can be corrected: the change of the right derivation is looked for that gives these numbers."""
    case, old = BY_ID["course_columns:lstm_cell_backward"], "dc_next * ft + ot * (1 - np.tanh(c_next) ** 2) * ft * da_next"
    forward, backward = functions(case, (old, "dc_next * ft"))
    del linecache.cache[backward.__code__.co_filename]
    report = check_backward(forward, backward, case.arguments())
    assert [finding.kind for finding in report.findings] == ["path missing"], report
