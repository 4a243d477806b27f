"""Averages over the examples, losses of a step's own beside what later steps send back, losses made numbers, kept states."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward


def squash(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


def gate(x: Any, m_prev: Any, W: Any, b: Any) -> Any:
    k = squash(x @ W + b)
    m = k * m_prev
    return m, (x, m_prev, W, k)


def averaging(dm: Any, cache: Any) -> Any:
    x, m_prev, W, k = cache
    dk = dm * m_prev * k * (1 - k)
    dW, db = x.T @ dk, dk.sum(axis=0)
    for d in [dW, db]:
        d /= len(x)
    return dk @ W.T, dm * k, dW, db


GATE = (np.ones((2, 3)), np.ones((2, 2)), np.ones((3, 2)), np.ones(2))
"""Two examples and two units: by its shape W could be divided by either."""
OF = ("x", "m_prev", "W", "b")


def test_weights_gradients_that_are_averaged_are_right_though_a_weight_is_as_long_as_there_are_examples() -> None:
    report = check_backward(gate, averaging, GATE, outputs=("m", "cache"), returns=OF)
    assert report.passed, report
    assert "the gradients of the parameters are divided by 2" in str(report)


def averaging_too(dy: Any, cache: Any) -> Any:
    x, m_prev, W, k, V, m = cache
    dV, dc = m.T @ dy, dy.sum(axis=0)
    dm = dy @ V.T
    dk = dm * m_prev * k * (1 + k)
    dW, db = x.T @ dk, dk.sum(axis=0)
    for d in [dW, db, dV, dc]:
        d /= len(x)
    return dk @ W.T, dm * k, dW, db, dV, dc


def gate_with_head(x: Any, m_prev: Any, W: Any, b: Any, V: Any, b_y: Any) -> Any:
    k = squash(x @ W + b)
    m = k * m_prev
    return m @ V + b_y, (x, m_prev, W, k, V, m)


def test_averages_do_not_hide_a_mistake() -> None:
    example = arrays(x=(5, 3), m_prev=(5, 4), W=(3, 4), b=(4,), V=(4, 2), b_y=(2,))
    report = check_backward(gate_with_head, averaging_too, example, outputs=("y", "cache"), returns=(*OF, "V", "b_y"))
    assert [finding.right for finding in report.findings] == ["dk = dm * m_prev * k * (1 - k)"], report
    assert "the gradients of the parameters are divided by 5" in str(report)


def averaging_of_y(y: Any, cache: Any) -> Any:
    return averaging_too(y, cache)


def loss_of_head(x: Any, m_prev: Any, W: Any, b: Any, V: Any, b_y: Any) -> Any:
    y, cache = gate_with_head(x, m_prev, W, b, V, b_y)
    return (y**2).sum() / 2, y, cache


def test_averages_of_the_gradients_of_a_sum_are_a_finding_beside_the_mistake() -> None:
    example = arrays(x=(5, 3), m_prev=(5, 4), W=(3, 4), b=(4,), V=(4, 2), b_y=(2,))
    report = check_backward(
        loss_of_head, averaging_of_y, example, outputs=("loss", "y", "cache"), returns=(*OF, "V", "b_y")
    )
    assert report.named, report
    assert "divided by 5" in report.findings[0].missing, report
    assert report.findings[1].right == "dk = dm * m_prev * k * (1 - k)", report


def divided_once(dm: Any, cache: Any) -> Any:
    x, m_prev, W, k = cache
    dk = dm * m_prev * k * (1 - k)
    dW = x.T @ dk
    dW /= len(x)
    return dk @ W.T, dm * k, dW, dk.sum(axis=0)


def test_a_division_is_no_subtraction() -> None:
    report = check_backward(gate, divided_once, arrays(x=(5, 3), m_prev=(5, 4), W=(3, 4), b=(4,)), returns=OF)
    assert report.named, report
    assert "subtracted" not in str(report), report


class Step:
    """A step that computes its own loss, and is handed what the step after sends back."""

    def __init__(self) -> None:
        self.V, self.W = arrays(V=(4, 4), W=(3, 4)).values()

    def forward(self, h_prev: Any, label: int) -> Any:
        self.h_prev, self.h = h_prev, np.tanh(self.V @ h_prev)
        self.p = np.exp(self.W @ self.h) / np.exp(self.W @ self.h).sum()
        return self.h, -np.log(self.p[label, 0])

    def backward(self, label: int, dh_next: Any) -> Any:
        dy = self.p.copy()
        dy[label] -= 1
        dh = self.W.T @ dy + dh_next
        dz = dh * self.slope()
        return {"dW": dy @ self.h.T, "dV": dz @ self.h_prev.T, "dh_prev": self.V.T @ dz}

    def slope(self) -> Any:
        return 1 - self.h**2


class WrongStep(Step):
    def slope(self) -> Any:
        return 1 - self.h


def test_a_steps_own_loss_counts_beside_what_is_sent_back() -> None:
    step = Step()
    assert check_backward(step.forward, step.backward, (np.ones((4, 1)), 1), outputs=("h", "loss")).passed


def test_a_mistake_beside_a_steps_own_loss_is_named() -> None:
    step = WrongStep()
    (finding,) = check_backward(step.forward, step.backward, (np.ones((4, 1)), 1), outputs=("h", "loss")).findings
    assert "1 - self.h ** 2" in finding.missing.replace("self.h**2", "self.h ** 2"), finding


class Keeping:
    """An object that holds no array before its forward pass has run."""

    def forward(self, x: Any, W: Any) -> Any:
        self.x, self.h = x, np.tanh(x @ W)
        return self.h

    def backward(self, dh: Any, W: Any) -> Any:
        dz = dh * (1 - self.h**2)
        return {"dx": dz @ W.T, "dW": self.x.T @ dz}


def test_an_object_that_a_function_around_its_method_fills_is_that_of_the_backward_pass() -> None:
    kept = Keeping()

    def forward(x: Any, W: Any) -> Any:
        return kept.forward(x, W)

    assert check_backward(forward, kept.backward, arrays(x=(2, 3), W=(3, 4)), outputs=("h",)).passed


def loss_and_gradients(x: Any, W: Any) -> Any:
    h = np.tanh(x @ W)
    loss = float((h**2).mean())
    dz = 2 * h / h.size * (1 - h**2)
    return loss, {"dW": x.T @ dz, "dx": dz @ W.T}


def test_a_loss_that_is_made_a_number_is_followed() -> None:
    assert check_backward(loss_and_gradients, loss_and_gradients, arrays(x=(2, 3), W=(3, 4)), outputs=("loss", "grads")).passed


def typed(x: Any, W: Any) -> Any:
    mask = np.ones(3, dtype=float)
    return np.sum((x * mask.astype(float) @ W) ** 2) if isinstance(0.5, float) and not isinstance(1, float) else 0 * x


def typed_backward(x: Any, W: Any) -> Any:
    return {"dx": 2 * x @ W @ W.T, "dW": 2 * x.T @ (x @ W)}


def test_float_stays_the_type_of_real_numbers() -> None:
    assert check_backward(typed, typed_backward, arrays(x=(2, 3), W=(3, 4)), outputs=("loss",)).passed


def states(xs: Any, h0: Any, U: Any) -> Any:
    hs = {-1: h0}
    for t in range(len(xs)):
        hs[t] = np.tanh(U @ hs[t - 1] + xs[t])
    return hs


def states_backward(dhs: Any, hs: Any, U: Any) -> Any:
    dU, dh_next = np.zeros_like(U), np.zeros_like(hs[0])
    for t in reversed(range(len(dhs))):
        dz = (dhs[t] + dh_next) * (1 - hs[t] ** 2)
        dU += dz @ hs[t - 1].T
        dh_next = U.T @ dz
    return {"dU": dU}


def test_the_state_before_the_first_step_in_a_dict_is_no_output() -> None:
    example = ([np.ones((4, 1))] * 3, np.ones((4, 1)), np.ones((4, 4)))
    assert check_backward(states, states_backward, example, outputs=("hs",), upstream={"dhs": "hs"}).passed


def unrolled(xs: Any, h0: Any, W: Any, U: Any) -> Any:
    h, hs = h0, np.zeros((*xs.shape[:2], U.shape[0]))
    for t in range(xs.shape[1]):
        h = np.tanh(xs[:, t] @ W + h[:, : len(U)] @ U[:, : U.shape[1]])
        hs[:, t] = h
    return hs, (xs, h0, hs, W, U)


def unrolled_backward(dhs: Any, cache: Any) -> Any:
    xs, h0, hs, W, U = cache
    dW, dU, dh_next = np.zeros_like(W), np.zeros_like(U), np.zeros_like(h0)
    for t in reversed(range(xs.shape[1])):
        dz = (dhs[:, t] + dh_next) * (1 - hs[:, t] ** 2)
        dW += xs[:, t].T @ dz
        dU += (hs[:, t - 1] if t else h0).T @ dz
        dh_next = dz @ U.T
    return {"dW": dW, "dU": dU, "dh0": dh_next}


def test_weights_are_not_cut_where_there_are_as_many_units_as_steps() -> None:
    report = check_backward(unrolled, unrolled_backward, arrays(xs=(2, 4, 3), h0=(2, 4), W=(3, 4), U=(4, 4)))
    assert report.passed, report


class Held:
    """An array and its gradient, as many call them."""

    def __init__(self, data: Any) -> None:
        self.data, self.grad = data, np.zeros_like(data)


class OfHeld:
    def __init__(self) -> None:
        self.W = Held(np.ones((3, 4)))

    def forward(self, x: Any) -> Any:
        self.x, self.h = x, np.tanh(x @ self.W.data)
        return self.h

    def backward(self, dh: Any) -> Any:
        dz = dh * (1 - self.h)
        self.W.grad += self.x.T @ dz
        return dz @ self.W.data.T


def test_what_is_called_data_is_no_gradient() -> None:
    layer = OfHeld()
    (finding,) = check_backward(layer.forward, layer.backward, (np.ones((2, 3)),), outputs=("h",), returns=("x",)).findings
    assert finding.right == "dz = dh * (1 - self.h**2)", finding


def with_head(xs: Any, h0: Any, W: Any, U: Any, V: Any) -> Any:
    hs = [h0]
    for x in xs:
        hs.append(np.tanh(x @ W + hs[-1] @ U))
    return np.stack(hs[1:]) @ V, (xs, hs, W, U, V)


def with_head_backward(dys: Any, cache: Any) -> Any:
    xs, hs, W, U, V = cache
    dW, dU, dV, dh = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dz = (dys[t] @ V.T + dh) * (1 - hs[t + 1] ** 2)
        dW += xs[t].T @ dz
        dU += hs[t].T @ dz
        dV += hs[t + 1].T @ dys[t]
        dh = dz @ U
    for d in [dW, dU, dV]:
        d /= xs.shape[1]
    return dh, dW, dU, dV


def test_averages_that_are_seen_at_one_length_hold_at_the_others() -> None:
    """At T = 1 all weights are right but for that; later on one alone is, and there may be as many examples as steps."""
    example = arrays(xs=(4, 2, 3), h0=(2, 5), W=(3, 5), U=(5, 5), V=(5, 2))
    report = check_backward(with_head, with_head_backward, example, outputs=("ys", "cache"), returns=("h0", "W", "U", "V"))
    assert [finding.right for finding in report.findings] == ["dh = dz @ U.T"], report
    assert any("divided by 2" in note for note in report.notes)
