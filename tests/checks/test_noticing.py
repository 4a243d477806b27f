"""A profiler that is on while a backward pass is checked goes on afterwards, and the check does not mind it."""

from __future__ import annotations

import cProfile
import sys
from typing import Any

import numpy as np

from minigrad import check_backward
from minigrad.checks import Report


def forward(x: Any, W: Any) -> Any:
    a = W @ x
    y = np.tanh(a)
    return y, (x, W, y)


def backward(dy: Any, cache: Any) -> Any:
    x, W, y = cache
    da = dy * (1 - y)
    return W.T @ da, da @ x.T


def afterwards() -> None:
    """Something to be noticed."""


def checked() -> Report:
    report = check_backward(forward, backward, [np.ones((3, 4)), np.ones((5, 3))], returns=("x", "W"))
    afterwards()
    return report


def test_cprofile_sees_what_comes_after_a_check() -> None:
    profiler = cProfile.Profile()
    report = profiler.runcall(checked)
    assert report.named, report
    seen = {getattr(entry.code, "co_name", entry.code) for entry in profiler.getstats()}
    assert "afterwards" in seen


def test_a_function_that_profiles_is_told_again_after_a_check() -> None:
    seen: set[str] = set()

    def told(frame: Any, event: str, argument: Any) -> None:
        seen.add(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(told)
    try:
        checked()
        kept = sys.getprofile()
    finally:
        sys.setprofile(before)
    assert kept is told
    assert "afterwards" in seen


def test_a_profiler_is_told_again_after_a_forward_pass_that_fails() -> None:
    def fails(x: Any) -> Any:
        raise ZeroDivisionError

    profiler = cProfile.Profile()

    def run() -> None:
        try:
            check_backward(fails, backward, [np.ones(3)])
        except ZeroDivisionError:
            afterwards()

    profiler.runcall(run)
    assert "afterwards" in {getattr(entry.code, "co_name", entry.code) for entry in profiler.getstats()}
