"""Planted mistakes are named, each by its name: a part of those that take long, and all others.

`make mistakes` and `make test-exhaustive` try all.
"""

from __future__ import annotations

import pytest
from mistakes import MISTAKES, Mistake, report_of
from sampling import EXHAUSTIVE

LONG = (
    "course_columns:lstm_backward", "rows_stacked:lstm_backward", "gru_columns:gru_step_backward",
    "gru_columns:gru_sequence_backward",
)  # fmt: skip
CHOSEN = {f"{m.case.id}-{k}": m for k, m in enumerate(MISTAKES) if EXHAUSTIVE or m.case.id not in LONG or k % 4 == 0}


@pytest.mark.parametrize("mistake", CHOSEN.values(), ids=CHOSEN)
def test_a_planted_mistake_is_named(mistake: Mistake) -> None:
    report = report_of(mistake.case.id, *mistake.changes)
    assert not report.passed
    assert report.named, report
    if mistake.kinds != ("",):
        assert [finding.kind in mistake.kinds for finding in report.findings] == [True], report
