"""Planted mistakes are named, each by its name."""

from __future__ import annotations

import pytest
from derivation_cases import functions
from mistakes import MISTAKES, Mistake

from minigrad import check_backward


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{m.case.id}-{k}" for k, m in enumerate(MISTAKES)])
def test_a_planted_mistake_is_named(mistake: Mistake) -> None:
    case = mistake.case
    report = check_backward(*functions(case, *mistake.changes), case.arguments(), seconds=30.0, **case.options)
    assert not report.passed
    assert report.named, report
    if mistake.kinds != ("",):
        assert [finding.kind in mistake.kinds for finding in report.findings] == [True], report
