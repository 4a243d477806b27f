"""The table of named mistakes in docs/ is what the checker says: on a sample of its rows."""

from __future__ import annotations

import coverage_table
import pytest
from mistakes import MISTAKES, SAMPLE


def test_the_page_has_a_row_for_every_mistake() -> None:
    rows = coverage_table.recorded()
    assert len(rows) == len(MISTAKES)
    for row, mistake in zip(rows, MISTAKES, strict=True):
        assert row.startswith(f"| {mistake.case.id} | {coverage_table.shown(mistake)} |")


@pytest.mark.parametrize("k", SAMPLE[::4])
def test_a_row_says_what_the_checker_says(k: int) -> None:
    kind, how = coverage_table.outcome(MISTAKES[k])
    assert coverage_table.recorded()[k].endswith(f"| {kind or how} |")
