"""check_backward: functions of a line or two around a user's code, which say what is the loss, and what it is a loss of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import check_backward

PACE = 0.02


class Stage:
    """A layer that runs on from where it was, and divides its steps by a memory of squares."""

    def __init__(self, entries: int, units: int, results: int) -> None:
        self.A, self.B, self.C = np.ones((units, entries)), np.ones((units, units)), np.ones((results, units))
        self.squares_A, self.squares_B, self.squares_C = (np.zeros_like(w) for w in (self.A, self.B, self.C))
        self.states, self.last = dict[int, Any](), np.zeros((units, 1))

    def run(self, xs: Any) -> Any:
        self.xs, self.states[-1], out = xs, self.last, {}
        for t in range(len(xs)):
            self.states[t] = np.tanh(self.A @ xs[t] + self.B @ self.states[t - 1])
            out[t] = self.C @ self.states[t]
        self.last = self.states[len(xs) - 1]
        return out

    def back(self, d_out: Any) -> Any:
        dA, dB, dC, later, dxs = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C), 0.0, {}
        for t in reversed(range(len(self.xs))):
            dC += d_out[t] @ self.states[t].T
            inner = (self.C.T @ d_out[t] + later) * (1 - self.states[t] ** 2)
            dA += inner @ self.xs[t].T
            dB += inner @ self.states[t - 1].T
            later, dxs[t] = self.carried(inner), self.A.T @ inner
        weights, memories = (self.A, self.B, self.C), (self.squares_A, self.squares_B, self.squares_C)
        for w, d, squares in zip(weights, (dA, dB, dC), memories, strict=True):
            squares += d * d
            w -= lr * d / np.sqrt(squares + 1e-8)
        return dxs

    def carried(self, inner: Any) -> Any:
        return self.B.T @ inner


class Turned(Stage):
    def carried(self, inner: Any) -> Any:
        return self.B @ inner


lr = PACE


@pytest.mark.parametrize("kind", [Stage, Turned])
def test_layers_that_learn_at_a_global_rate_and_run_on_from_their_last_state(kind: type[Stage]) -> None:
    def forward(first: Stage, second: Stage, xs: Any, wanted: Any) -> Any:
        out = second.run(first.run(xs))
        return sum(np.sum((out[t] - wanted[t]) ** 2) for t in range(len(xs)))

    def backward(first: Stage, second: Stage, xs: Any, wanted: Any) -> None:
        out = second.run(first.run(xs))
        first.back(second.back({t: 2 * (out[t] - wanted[t]) for t in range(len(xs))}))

    xs, wanted = [np.ones((3, 1)) for _ in range(5)], [np.ones((2, 1)) for _ in range(5)]
    report = check_backward(forward, backward, (kind(3, 4, 6), kind(6, 4, 2), xs, wanted))
    assert report.passed == (kind is Stage), report
    assert [finding.right for finding in report.findings] == ["return self.B.T @ inner"] * (kind is Turned), report


def table(p: Any, columns: Any, wanted: Any, before: Any) -> Any:
    """The mean loss of a sequence of columns in one array; all states and the last, which is no loss, beside."""
    count = columns.shape[1]
    states = np.zeros((p["B"].shape[0], count + 1))
    states[:, [0]] = before
    total, out = 0.0, np.zeros((p["C"].shape[0], count))
    for t in range(count):
        states[:, t + 1 : t + 2] = np.tanh(p["A"] @ columns[:, t : t + 1] + p["B"] @ states[:, t : t + 1])
        out[:, t : t + 1] = p["C"] @ states[:, t + 1 : t + 2]
        total += np.sum((out[:, t : t + 1] - wanted[:, t : t + 1]) ** 2) / 2
    mean = total / count
    cache = {"columns": columns, "wanted": wanted, "states": states, "out": out}
    return mean, cache, states[:, [count]]


def table_backward(p: Any, cache: Any) -> Any:
    columns, states = cache["columns"], cache["states"]
    grads, later, count = {name: np.zeros_like(w) for name, w in p.items()}, np.zeros((p["B"].shape[0], 1)), columns.shape[1]
    for t in reversed(range(count)):
        d = cache["out"][:, t : t + 1] - cache["wanted"][:, t : t + 1]
        grads["C"] += d @ states[:, t + 1 : t + 2].T
        inner = (p["C"].T @ d + later) * (1 - states[:, t + 1 : t + 2] ** 2)
        grads["A"] += inner @ columns[:, t : t + 1].T
        grads["B"] += inner @ states[:, t : t + 1].T
        later = p["B"].T @ inner
    return {name: g / count for name, g in grads.items()}


@pytest.mark.parametrize("units", [1, 4, 5])
def test_as_many_units_as_steps_or_one_alone_are_no_loss_and_no_sequence(units: int) -> None:
    p = {"A": np.ones((units, 3)), "B": np.ones((units, units)), "C": np.ones((2, units))}
    report = check_backward(table, table_backward, (p, np.ones((3, 4)), np.ones((2, 4)), np.ones((units, 1))))
    assert report.passed, report
    assert f"{units} × {units}" in str(report.comparison)


MODULE = """
import numpy as np

A, B, C, shift = np.ones((3, 3)), np.ones((3, 3)), np.ones((3, 1)), np.zeros((1, 1))

def step(x, h):
    h = np.tanh(x @ A + h @ B)
    return h, h @ C + shift

def step_backward(x, h, h_new, miss, dh_new):
    dz = (dh_new + miss @ C.T) * (1 - h_new**2)
    return x.T @ dz, h.T @ dz, h_new.T @ miss, miss, dz @ B{turned}
"""


@pytest.mark.parametrize("turned", [".T", ""])
def test_global_weights_of_another_module_and_a_loss_beside_what_arrives(tmp_path: Path, turned: str) -> None:
    file = tmp_path / "of_another_module.py"
    file.write_text(MODULE.replace("{turned}", turned))
    spec = importlib.util.spec_from_file_location("of_another_module", file)
    assert spec is not None
    assert spec.loader is not None
    other: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = other
    spec.loader.exec_module(other)
    space = {"step": other.step, "step_backward": other.step_backward, "other": other}
    source = (
        "def forward(x, h, wanted):\n    h_new, y = step(x, h)\n    loss = ((y - wanted) ** 2).sum() / 2\n"
        "    return h_new, loss\n"
        "def backward(x, h, wanted, dh_new):\n    h_new, y = other.step(x, h)\n"
        "    return step_backward(x, h, h_new, y - wanted, dh_new)\n"
    )
    exec(source, space)
    report = check_backward(
        space["forward"], space["backward"], (np.ones((1, 3)), np.ones((1, 3)), np.array([[1]])), outputs=("h_new", "loss"),
        upstream={"dh_new": "h_new"}, returns=("A", "B", "C", "shift", "h"),
    )  # fmt: skip
    del sys.modules[spec.name]
    assert report.passed == bool(turned), report
    if not turned:
        assert [finding.right for finding in report.findings] == ["return x.T @ dz, h.T @ dz, h_new.T @ miss, miss, dz @ B.T"]


class Counting:
    """Learns by steps that it does itself, so many; of one value there is nothing to learn."""

    def __init__(self) -> None:
        self.w, self.v, self.b = np.ones((3, 2)), np.ones(3), np.ones(3)

    def read(self, data: Any) -> Any:
        self.h = np.zeros((len(data) + 1, 3))
        y = np.zeros(len(data))
        for t in range(len(data)):
            self.h[t + 1] = np.tanh(self.w[:, 0] * self.h[t] + self.w[:, 1] * data[t] + self.b)
            y[t] = np.sum(self.v * self.h[t + 1])
        self.y = y
        return np.sum((y[:-1] - data[1:]) ** 2) / 2

    def learn(self, data: Any, step_size: float = 0.01) -> Any:
        self.step_size = step_size
        self.read(data)
        dw, dv, db, later = np.zeros((3, 2)), np.zeros(3), np.zeros(3), np.zeros(3)
        for t in range(len(data) - 2, -1, -1):
            d = self.y[t] - data[t + 1]
            dv += d * self.h[t + 1]
            da = (d * self.v + later) * (1 - self.h[t + 1] ** 2)
            dw[:, 0] += da * self.h[t]
            dw[:, 1] += da * data[t]
            db += da
            later = da * self.w[:, 0]
        self.w -= dw * self.step_size
        self.v -= dv * self.step_size
        self.b -= db * self.step_size


def test_nothing_to_learn_from_one_step_is_no_question() -> None:
    counting = Counting()
    report = check_backward(counting.read, counting.learn, (np.ones(5) / 2,))
    assert report.passed, report
