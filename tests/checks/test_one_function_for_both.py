"""One function that goes forward and back, and another around it that returns its loss alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward


def squash(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


def slope(v: Any) -> Any:
    return squash(v) * (1 - squash(v))


def both(xs: Any, h0: Any, U: Any, V: Any) -> Any:
    hs, ks, loss = {-1: h0}, {}, 0.0
    for t in range(len(xs)):
        ks[t] = squash(V @ hs[t - 1])
        hs[t] = np.tanh(U @ hs[t - 1] + xs[t]) * ks[t]
        loss = loss + (hs[t] ** 2).sum() / 2
    dU, dV, dh_next = np.zeros_like(U), np.zeros_like(V), np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dh = hs[t] + dh_next
        dk = dh * np.tanh(U @ hs[t - 1] + xs[t])
        dk_raw = slope(dk)
        dz = dh * ks[t] * (1 - np.tanh(U @ hs[t - 1] + xs[t]) ** 2)
        dU += dz @ hs[t - 1].T
        dV += dk_raw @ hs[t - 1].T
        dh_next = U.T @ dz + V.T @ dk_raw
    return loss, dU, dV, hs[len(xs) - 1]


def loss_alone(xs: Any, h0: Any, U: Any, V: Any) -> Any:
    return both(xs, h0, U, V)[0]


EXAMPLE = {"xs": [np.ones((4, 1))] * 3} | arrays(h0=(4, 1), U=(4, 4), V=(4, 4))


def test_the_lines_of_a_function_that_the_forward_pass_runs_too_are_looked_into_and_what_is_of_this_step_is_called_so() -> None:
    report = check_backward(loss_alone, both, EXAMPLE, outputs=("loss",))
    assert report.named, report
    (finding,) = report.findings
    assert finding.right.startswith("dk_raw ="), report
    assert "ks[t]" in finding.right, report
    assert "len(xs)" not in finding.right, report
