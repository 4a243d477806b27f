"""What the search for a wrong line raises itself is an error in every test; and it has the time that slow machines need."""

from importlib import import_module

import pytest

from minigrad.checks.backward import check_backward

SECONDS = 30.0
"""So many more than what any test needs that a machine of half the speed finds the same."""


@pytest.fixture(autouse=True)
def nothing_is_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search is given up where it raises an error; here that is seen."""
    for name in ("naming", "penalties", "so_far"):
        monkeypatch.setattr(import_module(f"minigrad.checks.located.{name}"), "FAILURES", ())


@pytest.fixture(autouse=True)
def nothing_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found within the default time on one machine may not be on another."""
    defaults = check_backward.__kwdefaults__ or {}
    assert "seconds" in defaults
    monkeypatch.setitem(defaults, "seconds", SECONDS)
