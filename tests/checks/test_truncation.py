"""Truncated backpropagation: each step's loss goes back a few steps; that is a convention, and its parts by lag add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward
from minigrad.checks.adapter import Adapter
from minigrad.checks.planning import plan_of
from minigrad.checks.trial import trial_of
from minigrad.checks.truncation import parts_by_lag

EXAMPLE = arrays(xs=(6, 3), ts=(6, 2), W=(3, 5), U=(5, 5), V=(5, 2))


def forward(xs: Any, ts: Any, W: Any, U: Any, V: Any) -> Any:
    loss, hs = 0.0, [np.zeros(5)]
    for x, t in zip(xs, ts, strict=True):
        hs.append(np.tanh(x @ W + hs[-1] @ U))
        loss = loss + np.sum((hs[-1] @ V - t) ** 2)
    return loss, hs


def truncated(window: int, transposed: bool = True) -> Any:
    def backward(xs: Any, ts: Any, W: Any, U: Any, V: Any, hs: Any) -> Any:
        dW, dU, dV = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V)
        for t in range(len(xs)):
            dy = 2 * (hs[t + 1] @ V - ts[t])
            dV += np.outer(hs[t + 1], dy)
            dh = V @ dy
            for s in range(t, max(t - window, -1), -1):
                da = dh * (1 - hs[s + 1] ** 2)
                dW += np.outer(xs[s], da)
                dU += np.outer(hs[s], da)
                dh = (U if transposed else U.T) @ da
        return {"dW": dW, "dU": dU, "dV": dV}

    return backward


@pytest.mark.parametrize("window", [2, 3])
def test_a_window_that_moves_with_the_loss_is_a_convention(window: int) -> None:
    report = check_backward(forward, truncated(window), EXAMPLE)
    assert report.passed, report
    assert any(f"goes back through {window} steps and no more" in note for note in report.notes)


def test_a_window_of_one_step_is_no_backpropagation_through_time() -> None:
    report = check_backward(forward, truncated(1), EXAMPLE)
    assert [finding.right for finding in report.findings] == ["for s in range(t, -1, -1):"], report


def test_a_truncated_pass_with_a_mistake_is_wrong() -> None:
    report = check_backward(forward, truncated(2, transposed=False), EXAMPLE)
    assert [finding.right for finding in report.findings] == ["for s in range(t, -1, -1):", "dh = U @ da"], report


def test_the_parts_of_a_gradient_by_lag_are_those_of_windows_of_each_length() -> None:
    shorter = {name: value[:4] if name in ("xs", "ts") else value for name, value in EXAMPLE.items()}
    adapter = Adapter(forward, truncated(9), shorter)
    example = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
    trial = trial_of(adapter, plan_of(adapter, example), 0, False)
    parts = parts_by_lag(trial)
    values = trial.problem.values
    _, hs = forward(**values)
    for window in range(1, 5):
        expected = truncated(window)(**values, hs=hs)
        for name in ("W", "U", "V"):
            assert np.allclose(np.sum(parts[name][:window], axis=0), expected[f"d{name}"], rtol=1e-11, atol=1e-12)
