"""Manners of plain recurrent networks: rates that are defaults, weights handed back, objects that count the steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import check_backward
from minigrad.checks.adapter import Adapter


class Teller:
    """Tells at the end of a sequence how likely each of two answers is, and learns at a rate that is a default."""

    def __init__(self) -> None:
        self.A, self.B, self.C = np.ones((4, 3)), np.ones((4, 4)), np.ones((2, 4))

    def tell(self, xs: Any) -> Any:
        self.states = {-1: np.zeros((4, 1))}
        for t, x in enumerate(xs):
            self.states[t] = np.tanh(self.A @ x + self.B @ self.states[t - 1])
        return self.C @ self.states[len(xs) - 1]

    def learn(self, xs: Any, d_out: Any, learning_rate: float = 0.005) -> None:
        d_A, d_B = np.zeros_like(self.A), np.zeros_like(self.B)
        d_C = d_out @ self.states[len(xs) - 1].T
        back = self.C.T @ d_out
        for t in reversed(range(len(xs))):
            inner = (1 - self.states[t] ** 2) * back
            d_A += inner @ xs[t].T
            d_B += inner @ self.states[t - 1].T
            back = self.B.T @ inner
        for part in (d_A, d_B, d_C):
            np.clip(part, -1, 1, out=part)
        self.A -= learning_rate * d_A
        self.B -= learning_rate * d_B
        self.C -= learning_rate * d_C


def test_a_rate_that_is_a_default_further_down_is_set_too() -> None:
    """Clipped gradients times a rate that nobody knows would be no gradients at all."""
    teller = Teller()

    def loss(xs: Any, wanted: Any) -> Any:
        return 0.5 * np.sum((teller.tell(xs) - wanted) ** 2)

    def learn(xs: Any, wanted: Any) -> None:
        teller.learn(xs, teller.tell(xs) - wanted)

    report = check_backward(loss, learn, ([np.ones((3, 1))] * 4, np.ones((2, 1))))
    assert report.passed, report


def leaky(z: Any, alpha: float = 0.1) -> Any:
    return np.where(z > 0, z, alpha * z)


def leaky_slope(z: Any, alpha: float = 0.1) -> Any:
    return np.where(z > 0, 1.0, alpha)


def test_a_default_that_moves_nothing_stays_as_it_is() -> None:
    def forward(x: Any, W: Any) -> Any:
        return leaky(W @ x)

    def backward(x: Any, W: Any, d_out: Any) -> Any:
        inner = leaky_slope(W @ x) * d_out
        return inner @ x.T

    report = check_backward(forward, backward, (np.ones((3, 2)), np.ones((4, 3))), returns=("W",), outputs=("out",))
    assert report.passed, report


def run(xs: Any, W: Any, U: Any) -> Any:
    h = [np.zeros(len(U))]
    for x in xs:
        h.append(np.tanh(x @ W + h[-1] @ U))
    return np.array(h)


def loss_of(xs: Any, target: Any, W: Any, U: Any) -> Any:
    return 0.5 * np.sum((run(xs, W, U)[-1] - target) ** 2)


def trained(xs: Any, target: Any, W: Any, U: Any, lr: float = 0.1, rounds: int = 1) -> Any:
    for _ in range(rounds):
        h = run(xs, W, U)
        dh = h[-1] - target
        dW, dU = np.zeros_like(W), np.zeros_like(U)
        for t in reversed(range(len(xs))):
            dh = dh * (1 - h[t + 1] ** 2)
            dW += np.outer(xs[t], dh)
            dU += np.outer(h[t], dh)
            dh = U.T @ dh
        W -= lr * dW
        U -= lr * dU
    return W, U


def test_weights_that_are_moved_and_handed_back_are_no_gradients() -> None:
    example = np.ones((4, 3)), np.ones(5), np.ones((3, 5)), np.ones((5, 5))
    report = check_backward(loss_of, trained, example)
    assert [finding.right for finding in report.findings] == ["dh = U @ dh"], report


def test_what_a_call_returns_is_not_called_as_what_it_is_given() -> None:
    teller = Teller()

    def telling(xs: Any) -> Any:
        return teller.tell(xs)

    def learning(xs: Any, d_out: Any, lr: float) -> None:
        teller.learn(xs, d_out, lr)

    report = check_backward(telling, learning, ([np.ones((3, 1))] * 4,))
    assert report.passed, report


def test_what_is_overwritten_at_every_step_is_said_of_those_gradients_alone() -> None:
    class Forgetful(Teller):
        def learn(self, xs: Any, d_out: Any, learning_rate: float = 0.005) -> None:
            d_C = d_out @ self.states[len(xs) - 1].T
            back = self.C.T @ d_out
            for t in reversed(range(len(xs))):
                inner = (1 - self.states[t] ** 2) * back
                d_A = inner @ xs[t].T
                d_B = inner @ self.states[t - 1].T
                back = self.B.T @ inner
            self.A -= learning_rate * d_A
            self.B -= learning_rate * d_B
            self.C -= learning_rate * d_C

    teller = Forgetful()
    (finding,) = check_backward(teller.tell, teller.learn, ([np.ones((3, 1))] * 4,)).findings
    assert finding.missing == "each of dA, dB has only the first step: at every step it is overwritten, not added to"


def test_what_nobody_wants_is_not_called_an_underscore() -> None:
    def loss(x: Any, W: Any) -> Any:
        out, _ = both(x, W)
        return np.sum(out**2)

    adapter = Adapter(loss, loss, (np.ones((3, 2)), np.ones((4, 3))))
    lines = adapter.traced({leaf.name: np.ones(leaf.value.shape) for leaf in adapter.leaves}).tape.lines
    called = {name for line in lines for name in line.names}
    assert "h" in called
    assert "_" not in called


def both(x: Any, W: Any) -> Any:
    h = np.tanh(W @ x)
    return np.sin(h), h


class Counted:
    """Knows in an object of its own how many steps there are."""

    def __init__(self) -> None:
        self.W, self.sizes = np.ones((3, 3)), Sizes()

    def run(self, x: Any) -> Any:
        h = x
        for _ in range(self.sizes.T):
            h = np.tanh(self.W @ h)
        return h


class Sizes:
    T = 4

    def __init__(self) -> None:
        self.T = 4


def test_the_number_of_steps_may_be_known_to_an_object_further_down() -> None:
    counted = Counted()

    def back(self: Counted, x: Any, d_h: Any) -> Any:
        states = [x]
        for _ in range(self.sizes.T):
            states.append(np.tanh(self.W @ states[-1]))
        d_W = np.zeros_like(self.W)
        for t in reversed(range(self.sizes.T)):
            inner = d_h * (1 - states[t + 1] ** 2)
            d_W += inner @ states[t].T
            d_h = self.W @ inner
        return d_W

    report = check_backward(Counted.run, back, (counted, np.ones((3, 2))), outputs=("h",))
    assert [stage.name for stage in report.stages][-2:] == ["T = 1", "T = 2"], report
    assert [finding.right for finding in report.findings] == ["d_h = self.W.T @ inner"], report


def test_as_many_classes_as_steps_do_not_become_fewer_with_the_steps() -> None:
    def states_of(xs: Any, W: Any, U: Any) -> Any:
        states = [np.zeros(len(U))]
        for x in xs:
            states.append(np.tanh(W @ x + U @ states[-1]))
        return states

    def likely(z: Any) -> Any:
        e = np.exp(z - np.max(z))
        return e / np.sum(e)

    def loss(xs: Any, wanted: Any, W: Any, U: Any, V: Any) -> Any:
        states = states_of(xs, W, U)
        return -sum(np.sum(wanted[t] * np.log(likely(V @ states[t + 1]))) for t in range(len(xs)))

    def back(xs: Any, wanted: Any, W: Any, U: Any, V: Any) -> Any:
        states = states_of(xs, W, U)
        dW, dU, dV, carried = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros(len(U))
        for t in reversed(range(len(xs))):
            dz = likely(V @ states[t + 1])
            dz[np.argmax(wanted[t])] -= 1
            dV += np.outer(dz, states[t + 1])
            da = (V.T @ dz + carried) * (1 - states[t + 1] ** 2)
            dW += np.outer(da, xs[t])
            dU += np.outer(da, states[t])
            carried = U.T @ da
        return dW, dU, dV

    example = np.ones((4, 3)), np.eye(4)[[2, 0, 1, 3]], np.ones((5, 3)), np.ones((5, 5)), np.ones((4, 5))
    report = check_backward(loss, back, example)
    assert report.passed, report
