"""What a check finds is tested, not how quick the machine is: every check here has more time than a user gives it."""

from __future__ import annotations

import pytest

from minigrad import check_backward


@pytest.fixture(autouse=True)
def _with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check_backward.__kwdefaults__, "seconds", 60.0)
