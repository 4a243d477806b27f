"""Plain recurrent networks that move their own weights: what they compute is seen with the weights as they were then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import check_backward
from minigrad.checks import Report


class Reader:
    """Assumptions a sequence of columns, and puts out a number at its end."""

    def __init__(self) -> None:
        self.A, self.B, self.C, self.shift = (np.ones(shape) for shape in ((3, 2), (3, 3), (1, 3), (3, 1)))

    def read(self, xs: Any) -> Any:
        self.xs, self.states = xs, {0: np.zeros((3, 1))}
        for t, x in enumerate(xs):
            self.states[t + 1] = np.tanh(self.A @ x + self.B @ self.states[t] + self.shift)
        out: Any
        self.out = out = self.C @ self.states[len(xs)]
        return out

    def learn(self, d_out: Any, rate: float = 0.05) -> None:
        d_C = d_out @ self.states[len(self.xs)].T
        d_A, d_B, d_shift = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.shift)
        d_state = self.C.T @ d_out
        for t in reversed(range(len(self.xs))):
            inner = (1 - self.states[t + 1] ** 2) * d_state
            d_shift += inner
            d_B += np.dot(inner.T, self.states[t])
            d_A += inner @ self.xs[t].T
            d_state = self.B @ inner
        self.A -= rate * d_A
        self.B -= rate * d_B
        self.C -= rate * d_C
        self.shift -= rate * d_shift


def of(reader: Reader) -> Report:
    return check_backward(reader.read, reader.learn, ([np.ones((2, 1))] * 4,), seconds=40.0)


def test_two_wrong_lines_of_a_loop_that_moves_its_weights_are_named() -> None:
    report = of(Reader())
    assert [(finding.kind, finding.right) for finding in report.findings] == [
        ("inner product", "d_B += np.dot(inner, self.states[t].T)"),
        ("not transposed", "d_state = self.B.T @ inner"),
    ], report
    assert all(f"\n{name} " in str(report) for name in ("A", "B", "C", "shift")), "all that moves is compared"


ETA = 0.05


def test_the_rate_may_be_a_global_name() -> None:
    class Adder:
        def __init__(self) -> None:
            self.W = np.ones((3, 2))

        def read(self, xs: Any) -> Any:
            out: Any
            self.out = out = self.W @ (xs[0] + xs[1])
            return out

        def learn(self, xs: Any, d_out: Any) -> None:
            self.W -= ETA * d_out @ (xs[0] + np.sin(xs[1])).T

    adder = Adder()
    report = check_backward(adder.read, adder.learn, (np.ones((2, 2, 1)),), seconds=0)
    assert not report.passed
    assert report.comparison is not None
    assert max(difference.relative for difference in report.comparison.differences) < 10


class Impatient(Reader):
    """Moves its weights at every step, and goes on with what they are then."""

    def learn(self, d_out: Any, rate: float = 0.05) -> None:
        d_state = self.C.T @ d_out
        self.C -= rate * d_out @ self.states[len(self.xs)].T
        for t in reversed(range(len(self.xs))):
            inner = (1 - self.states[t + 1] ** 2) * d_state
            self.shift -= rate * inner
            self.A -= rate * inner @ self.xs[t].T
            self.B -= rate * inner @ self.states[t].T
            d_state = self.B.T @ inner


def test_weights_that_are_moved_before_they_are_used_are_said_to_be() -> None:
    report = of(Impatient())
    assert report.passed, report
    assert any("updated before they are used for the last time" in note for note in report.notes), report.notes


def test_what_is_added_to_the_weights_is_no_mistake_beside_one() -> None:
    W, U = np.ones((3, 2)), np.ones((3, 3))

    def forward(x: Any, h: Any, W: Any, U: Any) -> Any:
        return np.tanh(W @ x + U @ h)

    def backward(x: Any, h: Any, out: Any, d_out: Any) -> Any:
        slope = -d_out * (1 - out**2)
        W_update = slope @ x.T
        U_update = slope @ out.T
        return W_update, U_update

    report = check_backward(forward, backward, (np.ones((2, 1)), np.ones((3, 1)), W, U), outputs=("out",))
    assert [finding.right for finding in report.findings] == ["U_update = slope @ h.T"], report


def walked(xs: Any, W: Any, U: Any) -> Any:
    h, path = np.zeros((3, 1)), []
    for x in xs:
        h = np.tanh(W @ x + U @ h)
        path.append(h)
    return h, path


def walked_wrapping(xs: Any, W: Any, U: Any, path: Any, dh: Any) -> Any:
    dW, dU, back = np.zeros_like(W), np.zeros_like(U), dh
    for t in reversed(range(len(xs))):
        da = back * (1 - path[t] ** 2)
        dW += da @ xs[t].T
        dU += da @ path[t - 1].T
        back = U.T @ da
    return dW, dU


def walked_repeating(xs: Any, W: Any, U: Any, path: Any, dh: Any) -> Any:
    dW, dU, back = np.zeros_like(W), np.zeros_like(U), np.zeros_like(dh)
    for t in reversed(range(len(xs))):
        da = (dh + back) * (1 - path[t] ** 2)
        dW += da @ xs[t].T
        if t > 0:
            dU += da @ path[t - 1].T
        back = U.T @ da
    return dW, dU


@pytest.mark.parametrize(
    ("backward", "kind", "right"),
    [
        (walked_wrapping, "index −1 wraps round", "dU += da @ (path[t - 1] if t > 0 else 0 * path[t - 1]).T"),
        (
            walked_repeating, "upstream of the wrong step",
            "da = ((dh if t == len(xs) - 1 else 0 * dh) + back) * (1 - path[t] ** 2)",
        ),
    ],
)  # fmt: skip
def test_what_is_true_of_one_end_of_the_loop_alone_is_said_with_its_condition(backward: Any, kind: str, right: str) -> None:
    example = [np.ones((2, 1))] * 4, np.ones((3, 2)), np.ones((3, 3))
    report = check_backward(walked, backward, example, outputs=("h", "path"), seconds=40.0)
    assert [(finding.kind, finding.right) for finding in report.findings] == [(kind, right)], report
