"""States that are stored, lists that only the forward pass fills, and what a backward pass is given beside gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward


class Slope:
    """An activation that keeps what comes out of it; its method has the name of the whole backward pass."""

    def __call__(self, v: Any) -> Any:
        self.out = 1 / (1 + np.exp(-v))
        return self.out

    def backward(self) -> Any:
        return self.out * (1 - self.out)


class Cell:
    """One step; the memory m is stored, and not returned."""

    def __init__(self) -> None:
        self.W, self.V = arrays(W=(4, 3), V=(4, 3)).values()
        self.m = np.full((4, 2), 0.3)
        self.act = Slope()

    def step(self, x: Any) -> Any:
        self.x, self.before = x, self.m
        self.k, self.v = self.act(self.W @ x), np.tanh(self.V @ x)
        self.m = self.k * self.m + self.v
        self.h = np.tanh(self.m)
        return self.h

    def backward(self, dh: Any, dm_next: Any) -> Any:
        dm = dm_next + dh * (1 - self.h**2)
        self.dW = (dm * self.before * self.act.backward()) @ self.x.T
        self.dV = (dm * (1 - self.v**2)) @ self.x.T
        return self.W.T @ (dm * self.before * self.act.backward()) + self.V.T @ (dm * (1 - self.v**2)), dm * self.k

    def lacking(self, dh: Any, dm_next: Any) -> Any:
        dm = dm_next + dh * (1 - self.h**2)
        self.dW = (dm * self.before * self.act.backward()) @ self.x.T
        self.dV = (dm * (1 - self.v**2)) @ self.x.T
        dx = self.W.T @ (dm * self.act.backward()) + self.V.T @ (dm * (1 - self.v**2))
        return dx, dm * self.k


def test_the_gradient_of_a_state_that_is_stored_is_not_asked_for() -> None:
    cell = Cell()
    assert check_backward(cell.step, cell.backward, (np.ones((3, 2)),), returns=("x", "m")).passed


def test_a_line_is_looked_into_that_calls_methods_of_objects() -> None:
    cell = Cell()
    report = check_backward(cell.step, cell.lacking, (np.ones((3, 2)),), returns=("x", "m"))
    assert [finding.missing for finding in report.findings] == ["the factor self.before is missing in dx"], report


class Listed:
    """A loop whose gates are kept in lists, of which the backward pass reads the sums before them alone."""

    def __init__(self) -> None:
        self.W, self.V = arrays(W=(4, 3), V=(4, 3)).values()

    def run(self, xs: Any) -> Any:
        m, self.sums, self.ks, self.ms = np.zeros((4, 2)), [], [], []
        for x in xs:
            a = self.W @ x
            k = 1 / (1 + np.exp(-a))
            m = k * m + np.tanh(self.V @ x)
            self.sums.append(a)
            self.ks.append(k)
            self.ms.append(m)
        return m

    def slope(self, a: Any) -> Any:
        s = 1 / (1 + np.exp(-a))
        return s * (1 - s)

    def back(self, dm: Any, xs: Any) -> None:
        self.dW, self.dV = np.zeros_like(self.W), np.zeros_like(self.V)
        for t in reversed(range(len(xs))):
            da = dm * (self.ms[t - 1] if t > 0 else 0 * dm) * self.slope(self.sums[t])
            self.dW += da @ xs[t].T
            self.dV += (dm * (1 - np.tanh(self.V @ xs[t]) ** 2)) @ xs[t].T
            dm = da


def test_what_a_list_holds_is_found_though_the_function_does_not_mention_it() -> None:
    listed = Listed()
    report = check_backward(listed.run, listed.back, (np.ones((5, 3, 2)),))
    assert [finding.right for finding in report.findings] == ["dm = dm * self.ks[t]"], report


STEPS = 5


def predicted(xs: Any, W: Any, target: Any) -> Any:
    h, hs = np.zeros((4, 1)), []
    for x in xs:
        h = np.tanh(W @ x + h)
        hs.append(h)
    return 0.5 * np.sum((h - target) ** 2), h, hs


def back_of_five(y_pred: Any, target: Any, hs: Any, xs: Any, W: Any, grads: Any) -> Any:
    """It goes through as many steps as a constant says."""
    dh = y_pred - target
    for t in reversed(range(STEPS)):
        da = dh * (1 - hs[t] ** 2)
        grads["W"] = grads["W"] + da @ xs[t].T
        dh = da
    return grads


def test_what_is_not_called_a_gradient_is_an_output_beside_a_loss() -> None:
    """And a pass that goes through the steps of the example alone is checked with those; what is given may be a dict."""
    given = {"y_pred": "h", "grads": {"W": np.zeros((4, 3))}}
    example = (np.ones((5, 3, 1)), np.ones((4, 3)), np.ones((4, 1)))
    assert check_backward(predicted, back_of_five, example, upstream=given).passed


W = np.ones((4, 3))
weights = {"W": W}


def read_by_name(xs: Any) -> Any:
    h = np.zeros((len(W), 1))
    for x in xs:
        h = np.tanh(W @ x + h)
    return h


def read_by_key(dh: Any, xs: Any) -> Any:
    dW, hs = np.zeros_like(weights["W"]), [np.zeros((len(weights["W"]), 1))]
    for x in xs:
        hs.append(np.tanh(weights["W"] @ x + hs[-1]))
    for t in reversed(range(len(xs))):
        da = dh * (1 - hs[t + 1] ** 2)
        dW += da @ xs[t].T
        dh = da
    return dW


def test_weights_with_two_names_are_the_same_at_each_length() -> None:
    """Though one of their axes is as long as the sequence."""
    assert check_backward(read_by_name, read_by_key, ([np.ones((3, 1))] * 4,)).passed
