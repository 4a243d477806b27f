"""check_backward: what is kept for the backward pass, handed to it, added up and moved in places where people put it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import check_backward
from minigrad.checks import Report


def rights(report: Report) -> list[str]:
    return [finding.right for finding in report.findings]


def columns(count: int, size: int) -> list[Any]:
    return [np.ones((size, 1)) for _ in range(count)]


class Diary:
    """Steps by itself, and keeps of each step what the backward pass is to read."""

    def __init__(self) -> None:
        self.A, self.B, self.C, self.a = (np.ones(shape) for shape in ((4, 3), (4, 4), (2, 4), (4, 1)))
        self.state = np.zeros((4, 1))

    def step(self, x: Any) -> Any:
        self.state = np.tanh(self.A @ x + self.B @ self.state + self.a)
        return self.C @ self.state

    def run(self, xs: Any) -> Any:
        self.state, self.seen, self.kept, out = np.zeros((4, 1)), xs, {}, []
        for t, x in enumerate(xs):
            y = self.step(x)
            self.kept[t] = self.state.copy()
            out.append(y)
        return out

    def back(self, d_out: Any) -> Any:
        dA, dB, dC, da, later = (np.zeros_like(w) for w in (self.A, self.B, self.C, self.a, self.a))
        for t in reversed(range(len(self.seen))):
            dC += d_out[t] @ self.kept[t].T
            inner = (self.C.T @ d_out[t] + later) * (1 - self.kept[t] ** 2)
            dA += inner @ self.seen[t].T
            before = self.kept[t - 1] if t > 0 else np.zeros((4, 1))
            dB += inner @ before.T
            da += inner
            later = self.B.T @ inner
        return dA, dB, dC, da


class TooEarly(Diary):
    def run(self, xs: Any) -> Any:
        self.state, self.seen, self.kept, out = np.zeros((4, 1)), xs, {}, []
        for t, x in enumerate(xs):
            self.kept[t] = self.state.copy()
            y = self.step(x)
            out.append(y)
        return out


def of_diary(diary: Diary) -> Report:
    return check_backward(diary.run, diary.back, (columns(4, 3),), outputs=("out",), upstream={"d_out": "out"})


def test_what_is_kept_before_the_step_is_a_line_of_the_forward_pass() -> None:
    assert of_diary(Diary()).passed
    report = of_diary(TooEarly())
    assert [(f.kind, f.right) for f in report.findings] == [
        ("stored at the wrong place", "self.kept[t] = self.state.copy()")
    ], report


class Pairs:
    """Reads pairs of a row and the wanted row, and moves its weights; its gradients stay with it."""

    def __init__(self) -> None:
        self.A, self.B, self.C = np.ones((4, 5)), np.ones((4, 4)), np.ones((5, 4))
        self.a, self.c = np.ones((4, 1)), np.ones((5, 1))
        self.rate = 0.05

    def run(self, data: Any) -> Any:
        self.hs, self.ps, loss = {-1: np.zeros((4, 1))}, {}, 0.0
        for t in range(len(data)):
            self.hs[t] = np.tanh(self.A @ data[t][0].T + self.B @ self.hs[t - 1] + self.a)
            q = np.exp(self.C @ self.hs[t] + self.c)
            self.ps[t] = q / np.sum(q)
            loss = loss - np.sum(data[t][1].T * np.log(self.ps[t]))
        return loss

    def learn(self, data: Any) -> None:
        self.run(data)
        self.dA, self.dB, self.dC = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C)
        self.da, self.dc, later = np.zeros_like(self.a), np.zeros_like(self.c), 0
        for t in reversed(range(len(data))):
            miss = self.ps[t] - data[t][1].T
            self.dC += np.dot(miss, self.hs[t].T)
            self.dc += miss
            inner = (np.dot(self.C.T, miss) + later) * (1 - self.hs[t] ** 2)
            self.dB += np.dot(inner, self.hs[t - 1].T)
            self.da += inner
            later = np.dot(self.B.T, inner)
            self.dA += np.dot(self.B.T, inner)
        self.a -= self.rate * self.a
        self.c -= self.rate * self.c
        self.C -= self.rate * self.dC
        self.B -= self.rate * self.dB
        self.A -= self.rate * self.dA


def test_a_column_for_every_column_and_biases_that_are_moved_by_themselves() -> None:
    pairs = Pairs()
    data = [[np.eye(5)[[i]], np.eye(5)[[j]]] for i, j in ((1, 0), (0, 3), (3, 4))]
    report = check_backward(pairs.run, pairs.learn, (data,))
    assert sorted(rights(report)) == [
        "self.a -= self.rate * self.da", "self.c -= self.rate * self.dc", "self.dA += np.dot(inner, data[t][0])",
    ], report  # fmt: skip


def guess(xs: Any, weights: Any) -> Any:
    A, B, C = weights
    h, hs, ps = np.zeros((B.shape[0], 1)), [], []
    for x in xs:
        h = np.tanh(A @ x + B @ h)
        q = np.exp(C @ h)
        hs.append(h)
        ps.append(q / np.sum(q))
    return ps, hs


def guess_backward(xs: Any, ps: Any, hs: Any, wanted: Any, weights: Any) -> Any:
    A, B, C = weights
    dA, dB, dC, later = np.zeros_like(A), np.zeros_like(B), np.zeros_like(C), np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        d = ps[t].copy()
        d[np.argmax(wanted)] -= 1
        dC += d @ hs[t].T
        inner = (C.T @ d + later) * (1 - hs[t] ** 2)
        dA += inner @ xs[t].T
        dB += inner @ hs[t - 1].T
        later = B.T @ inner
    return dA, dB, dC


def test_the_largest_of_all_steps_and_the_state_before_the_first() -> None:
    def forward(xs: Any, wanted: Any, weights: Any) -> Any:
        ps, _ = guess(xs, weights)
        return -sum(np.sum(np.log(p) * w) for p, w in zip(ps, wanted, strict=True))

    def backward(xs: Any, wanted: Any, weights: Any) -> Any:
        ps, hs = guess(xs, weights)
        return guess_backward(xs, ps, hs, wanted, weights)

    xs, wanted = ([np.eye(5)[:, [k]] for k in order] for order in ((1, 0, 3), (2, 3, 4)))
    weights = [np.ones(shape) for shape in ((4, 5), (4, 4), (5, 4))]
    report = check_backward(forward, backward, (xs, wanted, weights), returns=("weights[0]", "weights[1]", "weights[2]"))
    assert [f.kind for f in report.findings] == ["softmax derivative", "index −1 wraps round"], report
    assert rights(report)[0] == "d[np.argmax(wanted[t])] -= 1"


class Handing:
    """Hands each step's values to a function for one step."""

    def __init__(self) -> None:
        self.A, self.B = np.ones((4, 3)), np.ones((4, 4))

    def run(self, xs: Any) -> Any:
        self.xs, hs = xs, np.zeros((len(xs), 4))
        for t in range(len(xs)):
            hs[t] = np.tanh(self.A @ xs[t] + self.B @ (hs[t - 1] if t > 0 else np.zeros(4)))
        self.hs = hs
        return hs

    def back(self, d_hs: Any) -> None:
        self.dA, self.dB, later, last = np.zeros((4, 3)), np.zeros((4, 4)), np.zeros((4, 1)), len(d_hs) - 1
        for t in range(len(d_hs))[::-1]:
            later = self.one(
                d_hs[t].reshape(-1, 1) + later, self.xs[t].reshape(-1, 1), self.hs[t].reshape(-1, 1),
                self.hs[t + 1].reshape(-1, 1) if t < last else np.zeros((4, 1)),
            )  # fmt: skip

    def one(self, d: Any, x: Any, h: Any, other: Any) -> Any:
        inner = d * (1 - h**2)
        self.dA += inner @ x.T
        self.dB += inner @ other.T
        return self.B.T @ inner


def test_what_is_handed_to_a_function_for_a_step_is_of_the_step_before() -> None:
    handing = Handing()
    report = check_backward(handing.run, handing.back, (np.ones((4, 3)),), outputs=("hs",), upstream={"d_hs": "hs"})
    assert report.named, report
    assert len(report.findings) == 1
    assert "self.hs[t - 1].reshape(-1, 1) if t > 0 else np.zeros((4, 1))" in report.findings[0].right, report


class Rows:
    """Writes rows as matrices of one row into an array of its states."""

    def __init__(self) -> None:
        self.A, self.B, self.a = np.ones((3, 4)), np.ones((4, 4)), np.ones((1, 4))

    def run(self, xs: Any) -> Any:
        hs = np.zeros((len(xs), 4))
        for t in range(len(xs)):
            hs[t] = np.tanh(xs[t] @ self.A + hs[max(t - 1, 0)] @ self.B + self.a)
        self.xs, self.hs = xs, hs
        return hs

    def back(self, d_hs: Any) -> Any:
        dA, dB, da, later = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.a), np.zeros(4)
        for t in range(len(d_hs) - 1, -1, -1):
            inner = (d_hs[t] + later) * (1 - self.hs[t] ** 2)
            if t != 0:
                dB += self.hs[t - 1] @ inner
                da += inner
            dA += np.outer(self.xs[t], inner)
            later = inner @ self.B.T
        return dA, dB, da


def test_an_inner_product_for_an_outer_one_and_a_line_that_is_no_part_of_a_condition() -> None:
    rows = Rows()
    report = check_backward(rows.run, rows.back, (np.ones((5, 3)),), outputs=("hs",), upstream={"d_hs": "hs"})
    assert rights(report) == ["dB += np.outer(self.hs[t - 1], inner)", "da += inner  # behind the condition"], report


class Joined:
    """Joins the input and the state of a batch, and has one matrix for both."""

    def __init__(self) -> None:
        self.W, self.b, self.units = np.ones((7, 4)), np.ones((1, 4)), 4

    def run(self, xs: Any) -> Any:
        h, self.xs, self.before, self.inner, out = np.zeros((2, 4)), xs, [], [], []
        for t in range(xs.shape[1]):
            z = np.concatenate([xs[:, t], h], 1) @ self.W + self.b
            self.before.append(h)
            self.inner.append(z)
            h = np.tanh(z)
            out.append(h)
        return np.stack(out, axis=1)

    def of_step(self, t: int) -> Any:
        return self.xs[:, t], self.before[t], self.inner[t]

    def back(self, d_out: Any) -> Any:
        dW, db, later = np.zeros_like(self.W), np.zeros_like(self.b), np.zeros((2, 4))
        for t in reversed(range(d_out.shape[1])):
            x, h_prev, z = self.of_step(t)
            h = np.tanh(z)
            dz = (d_out[:, t] + later) * (1 - h * h)
            joined = np.concatenate([x, h], 1)
            dW += joined.T @ dz
            db = dz.sum(axis=0, keepdims=True)
            d_joined = dz @ self.W.T
            later = d_joined[:, : self.units]
            self.first = h_prev
        return dW, db


def test_another_name_in_what_is_joined_for_a_batch() -> None:
    joined = Joined()
    report = check_backward(joined.run, joined.back, (np.ones((2, 4, 3)),), outputs=("out",), upstream={"d_out": "out"})
    assert rights(report) == [
        "joined = np.concatenate([x, h_prev], 1)", "db += dz.sum(axis=0, keepdims=True)",
        "later = d_joined[:, -self.units:]",
    ], report  # fmt: skip


class WithoutSlope(Diary):
    """Nothing is done where the slope belongs, and a bias is subtracted where it is to be added up."""

    def back(self, d_out: Any) -> Any:
        dA, dB, dC, da, later = (np.zeros_like(w) for w in (self.A, self.B, self.C, self.a, self.a))
        for t in reversed(range(len(self.seen))):
            dC += d_out[t] @ self.kept[t].T
            dh = self.C.T @ d_out[t] + later
            dz = dh
            dA += dz @ self.seen[t].T
            before = self.kept[t - 1] if t > 0 else np.zeros((4, 1))
            dB += dz @ before.T
            da -= dz
            later = self.B.T @ dz
        return dA, dB, dC, da


def test_a_slope_that_is_missing_where_a_gradient_is_handed_on() -> None:
    assert rights(of_diary(WithoutSlope())) == ["dz = dh * (1 - self.kept[t]**2)", "da += dz"]


@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_a_round_rate_is_known_by_one_gradient_that_is_right(rate: float) -> None:
    class Mover(Diary):
        def learn(self, d_out: Any, speed: Any) -> None:
            dA, dB, dC, da = super().back(d_out)
            self.A -= speed * dA * 1.1
            self.B -= speed * dB * 1.2
            self.C -= speed * dC
            self.a -= speed * da * 1.3

    mover = Mover()
    report = check_backward(
        mover.run, mover.learn, (columns(4, 3),), outputs=("out",), upstream={"d_out": "out", "speed": rate}, seconds=0
    )
    assert report.comparison is not None
    relative = {difference.gradient: difference.relative for difference in report.comparison.differences}
    assert relative["C"] < 1e-6, report
    assert max(relative.values()) < 0.5, report
