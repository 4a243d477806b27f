"""Lines of gated cells that are named though his objects change while they run, or though what is right has no name there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays
from mistakes import report_of

from minigrad import check_backward


def sigma(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


class Gated:
    """A gate k on what is remembered; the weights are moved in place at the end of the backward pass."""

    def __init__(self) -> None:
        self.Wk, self.Wv, self.Uv = arrays(Wk=(4, 3), Wv=(4, 3), Uv=(4, 4)).values()

    def run(self, x: Any, before: Any) -> Any:
        self.x, self.before = x, before
        self.k = sigma(self.Wk @ x)
        self.v = np.tanh(self.Wv @ x + self.Uv @ (self.k * before))
        return self.v

    def learn(self, dv: Any, lr: float) -> None:
        da = dv * (1 - self.v**2)
        dk = (self.Uv.T @ da) * self.before
        dUv = da * self.k @ self.before.T
        self.Uv -= lr * dUv
        self.Wv -= lr * (da @ self.x.T)
        self.Wk -= lr * ((dk * self.k * (1 - self.k)) @ self.x.T)


def test_a_factor_on_the_wrong_side_of_a_product_is_named_though_the_weights_are_moved_later() -> None:
    cell = Gated()
    report = check_backward(cell.run, cell.learn, arrays(x=(3, 2), before=(4, 2)))
    assert [finding.right for finding in report.findings] == ["dUv = da @ (self.k * self.before).T"], report


class Slow(Gated):
    """The same at a rate of its own, of which most gradients are wrong."""

    def learn(self, dv: Any, lr: float) -> None:
        da, dk = dv * (1 - self.v**2), dv * self.k
        self.Uv, self.Wv = self.Uv - lr / 7 * (da @ self.before.T), self.Wv - lr / 7 * (da @ self.x.T)
        self.Wk, self.bv = self.Wk - lr / 7 * (dk @ self.x.T), self.bv - lr / 7 * da.sum(axis=1, keepdims=True)
        self.bk = self.bk - lr / 7 * dk.sum(axis=1, keepdims=True)

    def run(self, x: Any, before: Any) -> Any:
        self.x, self.before = x, before
        self.k = sigma(self.Wk @ x + self.bk)
        self.v = np.tanh(self.Wv @ x + self.Uv @ (self.k * before) + self.bv)
        return self.v

    def __init__(self) -> None:
        super().__init__()
        self.bk, self.bv = arrays(bk=(4, 1), bv=(4, 1)).values()


def test_a_rate_of_its_own_is_told_by_two_gradients_that_are_right() -> None:
    cell = Slow()
    example = arrays(x=(3, 2), before=(4, 2))
    report = check_backward(cell.run, cell.learn, example, upstream={"lr": 0.3}, seconds=0)
    assert [stage.text for stage in report.stages if not stage.passed] == ["dWk, dUv, dbk differ"]


def leaky(x: Any, c_prev: Any, W: Any, V: Any) -> Any:
    keep, new = sigma(W @ x), np.tanh(V @ x)
    c = keep * c_prev + (1 - keep) * new
    return c, (x, c_prev, keep, new)


def leaky_backward(dc: Any, cache: Any) -> Any:
    x, c_prev, new, keep = cache
    dkeep = dc * (c_prev - new)
    dnew = dc * (1 - keep)
    dc_prev = dc * keep
    dW = (dkeep * keep * (1 - keep)) @ x.T
    dV = (dnew * (1 - new**2)) @ x.T
    return dc_prev, dW, dV


def test_names_that_are_unpacked_in_another_order_are_one_mistake() -> None:
    report = check_backward(leaky, leaky_backward, arrays(x=(3, 2), c_prev=(4, 2), W=(4, 3), V=(4, 3)))
    (finding,) = report.findings
    assert finding.kind == "parts in the wrong order"
    assert finding.right == "x, c_prev, keep, new = cache"
    assert finding.missing == "new and keep are exchanged: cache holds them in another order"


def memory(xs: Any, W: Any, V: Any) -> Any:
    c, kept = np.zeros((4, 1)), []
    for x in xs:
        keep, new = sigma(W @ x), np.tanh(V @ x)
        c = keep * c + new
        kept.append((x, keep, new, c))
    return c, kept


def of_the_same_step(dc: Any, kept: Any) -> Any:
    dW = dV = 0
    for t in reversed(range(len(kept))):
        x, keep, new, c = kept[t]
        dkeep = dc * c
        dW = dW + (dkeep * keep * (1 - keep)) @ x.T
        dV = dV + (dc * (1 - new**2)) @ x.T
        dc = dc * keep
    return dW, dV


def test_the_value_of_the_step_before_is_named_where_it_has_no_name() -> None:
    example = [[np.ones((3, 1))] * 3, np.ones((4, 3)), np.ones((4, 3))]
    (finding,) = check_backward(memory, of_the_same_step, example, returns=("W", "V")).findings
    assert finding.kind == "operand of the wrong step"
    assert finding.right == "dkeep = dc * (kept[t - 1][3] if t > 0 else np.zeros_like(c))"
    assert "in the place of kept[t - 1][3], that of the step before" in finding.missing


class Insisting:
    """An output whose name the source tells only while it is followed; and a number of steps that it insists on."""

    def __init__(self, steps: int | None = None) -> None:
        (self.W,) = arrays(W=(4, 4)).values()
        self.every, self.steps = True, steps

    def forward(self, x: Any) -> Any:
        assert self.steps in (None, x.shape[0])
        self.h = np.zeros((len(x) + 1, 4))
        for t in range(len(x)):
            self.h[t + 1] = np.tanh(self.W @ self.h[t] + x[t])
        states = self.h[1:] * 2
        return states if self.every else self.h[-1]

    def backward(self, grad: Any) -> Any:
        self.dW, back, dx = np.zeros_like(self.W), np.zeros(4), np.zeros_like(grad)
        for t in reversed(range(len(grad))):
            dx[t] = (2 * grad[t] + back) * (1 - self.h[t + 1] ** 2)
            self.dW += np.outer(dx[t], self.h[t])
            back = self.W.T @ dx[t]
        return dx


@pytest.mark.parametrize("make", [Insisting, lambda: Insisting(3)], ids=["name", "assertion"])
def test_an_object_that_insists_on_something_is_no_mistake(make: Callable[[], Insisting]) -> None:
    cell = make()
    report = check_backward(cell.forward, cell.backward, [np.ones((3, 4))])
    assert report.passed, report


def test_a_gradient_that_does_not_depend_on_what_arrives_is_not_called_scaled() -> None:
    def blend(x: Any, W: Any) -> Any:
        return np.tanh(W @ x)

    def of_values(dh: Any, x: Any, W: Any) -> Any:
        return W.T @ np.tanh(W @ x), ((1 - np.tanh(W @ x) ** 2) * dh) @ x.T

    report = check_backward(blend, of_values, arrays(x=(3, 2), W=(4, 3)), returns=("x", "W"), seconds=0)
    assert not any("scaled" in note for note in report.notes), report


def test_what_a_function_is_handed_is_looked_at_where_it_is_called() -> None:
    """Lines of the function that is called give no gradients then, though each of them is right."""
    found = report_of(
        "course_columns:lstm_backward", ("da[:, :, t] + da_prevt, dc_prevt", "da[:, :, t] + da_prevt, da_prevt")
    ).findings
    assert [finding.right for finding in found] == [
        "gradients = lstm_cell_backward(da[:, :, t] + da_prevt, dc_prevt, caches[t])"
    ]
