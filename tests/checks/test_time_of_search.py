"""How long lines are looked through: longer, as long as each correction makes more gradients right."""

from __future__ import annotations

from minigrad.checks.located.search import Search


def test_a_search_that_gains_goes_on_until_the_last() -> None:
    search = object.__new__(Search)
    search.is_over, search.is_over_at_last = (lambda: True), (lambda: False)
    search.gaining = False
    assert search.late()
    search.gaining = True
    assert not search.late()
    search.is_over_at_last = lambda: True
    assert search.late()
