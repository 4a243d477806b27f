"""Manners in which gated cells are written: nodes that store all they make, names of gates at a step, gradients of states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward, errors


def sigma(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


class Weights:
    """Weights of a gated cell with the places for their gradients."""

    def __init__(self) -> None:
        self.wk, self.wv, self.pk = arrays(wk=(5, 8), wv=(5, 8), pk=(5,)).values()
        self.wk_diff, self.wv_diff, self.pk_diff = (np.zeros_like(w) for w in (self.wk, self.wv, self.pk))


class Values:
    """What a node keeps of a step."""

    def __init__(self) -> None:
        self.h, self.bottom_diff_h = np.zeros(5), np.zeros(5)


class Node:
    """One step that returns nothing: values and gradients are stored in what it holds."""

    def __init__(self) -> None:
        self.weights, self.values = Weights(), Values()

    def enter(self, x: Any, h_prev: Any) -> None:
        self.both, self.h_prev = np.hstack((x, h_prev)), h_prev
        self.values.k = sigma(self.weights.wk @ self.both + self.weights.pk * h_prev)
        self.values.v = np.tanh(self.weights.wv @ self.both)
        self.values.h = self.values.k * h_prev + (1 - self.values.k) * self.values.v

    def leave(self, top_diff_h: Any) -> None:
        k, v, w = self.values.k, self.values.v, self.weights
        before_k = top_diff_h * (self.h_prev - v) * k * (1 - k)
        before_v = top_diff_h * (1 - k) * (1 - v**2)
        w.wk_diff += np.outer(before_k, self.both)
        w.wv_diff += np.outer(before_v, self.both)
        w.pk_diff += before_k * self.h_prev
        back = w.wk.T @ before_k + w.wv.T @ before_v
        self.values.bottom_diff_h = back[3:] + w.pk * before_k + top_diff_h * k


class WrongNode(Node):
    """The same with a path missing."""

    def leave(self, top_diff_h: Any) -> None:
        super().leave(top_diff_h)
        k, v = self.values.k, self.values.v
        self.values.bottom_diff_h -= self.weights.pk * top_diff_h * (self.h_prev - v) * k * (1 - k)


def step(x: Any) -> tuple[Any, ...]:
    return np.ones(x), np.ones(5)


def test_a_node_that_stores_its_outputs_and_gradients_is_checked_as_it_is() -> None:
    node = Node()
    report = check_backward(node.enter, node.leave, step(3))
    assert report.passed, report
    assert report.comparison is not None
    assert {d.gradient for d in report.comparison.differences} == {"h_prev", "wk", "wv", "pk"}


def test_a_stored_gradient_of_the_state_before_is_not_that_of_the_value_left_of_a_call_before() -> None:
    node = WrongNode()
    report = check_backward(node.enter, node.leave, step(3))
    assert not report.passed
    assert {name for finding in report.findings for name in finding.gradients} == {"bottom_diff_h"}


def test_outputs_that_are_stored_can_be_declared() -> None:
    class Cell(Node):
        def leave(self, delta: Any) -> None:  # type: ignore[override]
            super().leave(delta)

    cell = Cell()
    assert check_backward(cell.enter, cell.leave, step(3), outputs=("h",)).passed
    with pytest.raises(errors.ArgumentError, match=r"returns nothing to follow.*outputs=.*'h'"):
        check_backward(cell.enter, cell.leave, step(3))


def keep(x: Any, a_prev: Any, W: Any) -> Any:
    both = np.concatenate((a_prev, x))
    u = sigma(W @ both)
    a_next = u * a_prev
    return a_next, (both, u, a_prev, W)


def test_gradients_that_are_called_after_the_step_are_those_of_the_state_before() -> None:
    def backward(da_next: Any, cache: Any) -> Any:
        both, u, a_prev, W = cache
        du = da_next * a_prev * u * (1 - u)
        return {"da_prevt": (W.T @ du)[:5] + da_next * u, "dxt": (W.T @ du)[5:], "dW": du @ both.T}

    report = check_backward(keep, backward, tuple(arrays(x=(3, 2), a_prev=(5, 2), W=(5, 8)).values()))
    assert report.passed, report
    assert not report.notes


def rolled(xs: Any, h0: Any, W: Any) -> Any:
    hs, h = np.zeros((len(xs), *h0.shape)), h0
    for t in range(len(xs)):
        h = np.tanh(xs[t] + h @ W)
        hs[t] = h
    return hs, (hs, h0, W)


def of_all_states(dhs_in: Any, cache: Any) -> Any:
    hs, h0, W = cache
    dxs, dW, dh = np.zeros_like(hs), np.zeros_like(W), dhs_in.copy()
    for t in reversed(range(len(hs))):
        dxs[t] = dh[t] * (1 - hs[t] ** 2)
        dW += (hs[t - 1] if t else h0).T @ dxs[t]
        if t:
            dh[t - 1] += dxs[t] @ W.T
    return {"xs": dxs, "W": dW, "hs_out": dh}


def test_the_gradients_of_all_states_are_not_taken_for_that_of_the_first() -> None:
    report = check_backward(rolled, of_all_states, tuple(arrays(xs=(4, 2, 5), h0=(2, 5), W=(5, 5)).values()))
    assert report.passed, report


def test_a_shape_that_is_wrong_at_more_steps_than_one_is_found() -> None:
    def backward(dhs: Any, cache: Any) -> Any:
        found = of_all_states(dhs, cache)
        return found["xs"], found["hs_out"], found["W"]

    example = tuple(arrays(xs=(4, 2, 5), h0=(2, 5), W=(5, 5)).values())
    report = check_backward(rolled, backward, example, returns=("xs", "h0", "W"))
    assert not report.passed
    assert "(4, 2, 5)" in report.findings[0].missing


def test_gradients_of_which_one_entry_is_clipped_pass_and_are_said_to_be() -> None:
    def loss(x: Any, W: Any, b: Any) -> Any:
        return np.sum((x @ W + b - 1) ** 2), x

    def backward(x: Any, W: Any, b: Any) -> Any:
        d = 2 * (x @ W + b - 1)
        found = {"dW": x.T @ d, "db": d.sum(axis=0)}
        sizes = sorted(np.abs(np.concatenate([g.ravel() for g in found.values()])))
        bound = max(known for known in (0.5, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0) if known < sizes[-1])
        clipped.append(sum(size > bound for size in sizes))
        return {name: np.clip(g, -bound, bound) for name, g in found.items()}

    clipped: list[int] = []
    report = check_backward(loss, backward, tuple(arrays(x=(3, 4), W=(4, 2), b=(2,)).values()))
    assert report.passed, report
    assert any("clipped to ±" in note for note in report.notes), report
    assert clipped[0] == 1


def test_a_target_that_no_argument_is_asks_for_the_loss() -> None:
    def forward(x: Any, W: Any) -> Any:
        return x @ W

    def backward(x: Any, y_true: Any, W: Any) -> Any:
        return {"dW": x.T @ (x @ W - y_true)}

    with pytest.raises(errors.ArgumentError, match="y_true is the target of a loss"):
        check_backward(forward, backward, tuple(arrays(x=(3, 4), W=(4, 2)).values()))
