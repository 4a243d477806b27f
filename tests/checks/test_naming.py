"""Planted mistakes are named, each by its name: so many that every derivation and every name is among them.

`make mistakes` and `make test-exhaustive` try all.
"""

from __future__ import annotations

import pytest
from mistakes import MISTAKES, SAMPLE, Mistake, report_of
from sampling import EXHAUSTIVE

CHOSEN = {f"{m.case.id}-{k}": m for k, m in enumerate(MISTAKES) if EXHAUSTIVE or k in SAMPLE}


@pytest.mark.parametrize("mistake", CHOSEN.values(), ids=CHOSEN)
def test_a_planted_mistake_is_named(mistake: Mistake) -> None:
    report = report_of(mistake.case.id, *mistake.changes)
    assert not report.passed
    assert report.named, report
    if mistake.kinds != ("",):
        assert [finding.kind in mistake.kinds for finding in report.findings] == [True], report
