"""Backward passes that raise an error: the line that does so is named, and so is what is wrong besides."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward
from minigrad.checks.report import Report


class Cell:
    def __init__(self) -> None:
        self.W, self.U = arrays(W=(4, 3), U=(4, 4)).values()

    def forward(self, x: Any, h_prev: Any) -> Any:
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(self.W @ x + self.U @ h_prev)
        return self.h


EXAMPLE = arrays(x=(3, 2), h_prev=(4, 2))


UNDEFINED = """
import numpy as np

class Cell:
    def __init__(self, W, U):
        self.W, self.U = W, U

    def forward(self, x, h_prev):
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(self.W @ x + self.U @ h_prev)
        return self.h

    def backward(self, dh):
        dz = dh * (1 - self.h**2)
        return {"dW": dz @ self.x.T, "dU": dz @ self.h_prev.T, "dx": self.W.T @ dz, "dh_prev": self.U.T @ dz}
"""


def report_of(folder: Path, **changed: str) -> Report:
    """The report of a file with names in the backward pass that there are not."""
    text = UNDEFINED
    for old, new in changed.items():
        head, found, tail = text.rpartition(f"self.{old}")
        text = head + new + tail if found else text
    file = folder / "undefined.py"
    file.write_text(text)
    cell = run_path(str(file))["Cell"](*arrays(W=(4, 3), U=(4, 4)).values())
    return check_backward(cell.forward, cell.backward, EXAMPLE, outputs=("h",))


def test_a_name_that_an_object_has_is_named(tmp_path: Path) -> None:
    report = report_of(tmp_path, **{"h**2": "h**2"})
    assert not report.passed
    assert [finding.right for finding in report.findings] == ["dz = dh * (1 - self.h**2)"], report


def test_what_is_wrong_besides_is_named_too(tmp_path: Path) -> None:
    report = report_of(tmp_path, **{"h_prev.T": "h_prev.T", "h**2": "self.h"})
    assert report.named, report
    assert [finding.kind for finding in report.findings] == ["raises an error", "activation derivative"], report
    assert "dz @ self.h_prev.T" in report.findings[0].right


class NotTurned(Cell):
    def backward(self, dh: Any) -> Any:
        dz = dh * (1 - self.h**2)
        dx = self.W @ dz
        return {"dW": dz @ self.x.T, "dU": dz @ self.h_prev.T, "dx": dx, "dh_prev": self.U.T @ dz}


def test_a_matrix_that_does_not_fit_is_turned() -> None:
    cell = NotTurned()
    report = check_backward(cell.forward, cell.backward, EXAMPLE, outputs=("h",))
    assert [finding.right for finding in report.findings] == ["dx = self.W.T @ dz"], report


class FilledLikeAnArray(Cell):
    def backward(self, dh: Any) -> Any:
        dz = dh * (1 - self.h**2)
        dx = np.zeros(self.x)
        dx += self.W.T @ dz
        return {"dW": dz @ self.x.T, "dU": dz @ self.h_prev.T, "dx": dx, "dh_prev": self.U.T @ dz}


def test_zeros_of_an_array_are_zeros_like_it() -> None:
    cell = FilledLikeAnArray()
    report = check_backward(cell.forward, cell.backward, EXAMPLE, outputs=("h",))
    assert [finding.right for finding in report.findings] == ["dx = np.zeros_like(self.x)"], report


def kept(x: Any, W: Any) -> Any:
    h = np.tanh(x @ W)
    return h, {"x": x, "weights": W, "h": h}


def misspelt(dh: Any, cache: Any) -> Any:
    dz = dh * (1 - cache["h"] ** 2)
    return {"dx": dz @ cache["weight"].T, "dW": cache["x"].T @ dz}


def test_a_key_that_is_written_otherwise_is_named() -> None:
    report = check_backward(kept, misspelt, arrays(x=(2, 3), W=(3, 4)), outputs=("h", "cache"))
    assert report.named, report
    assert 'cache[\'weights\']' in report.findings[0].right, report


def hopeless(dh: Any, cache: Any) -> Any:
    raise RuntimeError("not written yet")


def test_what_no_line_lets_run_is_said_to_raise() -> None:
    report = check_backward(kept, hopeless, arrays(x=(2, 3), W=(3, 4)), outputs=("h", "cache"), returns=("x", "W"))
    assert not report.passed
    assert not report.findings
    assert "not written yet" in str(report)


LOOP = """
import numpy as np

class Net:
    def __init__(self, W, U):
        self.W, self.U = W, U

    def forward(self, xs):
        self.xs, self.hs = xs, {-1: np.zeros((4, 1))}
        for t in range(len(xs)):
            self.hs[t] = np.tanh(self.W @ xs[t] + self.U @ self.hs[t - 1])
        return [self.hs[t] for t in range(len(xs))]

    def backward(self, dhs):
        dW, dU, later = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros((4, 1))
        for t in reversed(range(len(dhs))):
            dz = (dhs[t] + later) * (1 - self.hs[t] ** 2)
            dW += dz @ self.xs[t].T
            dU += dz @ self.hs[t - 1].T
            later = self.U.T @ dz
        return dW, dU
"""


@pytest.mark.parametrize(
    "changes",
    [
        {"(dhs[t] + later)": "(dhs[t + 1] + later)"},
        {"self.hs[t] ** 2": "self.hs[t + 1] ** 2"},
        {"reversed(range(len(dhs)))": "range(len(dhs), -1, -1)"},
        {"(dhs[t] + later)": "(dhs[t + 1] + later)", "self.U.T @ dz": "self.U @ dz"},
        {"self.hs[t] ** 2": "self.hs[t + 1] ** 2", "dU += dz": "dU -= dz"},
        {"dz = (dhs[t]": "dz = (dz"},
        {"dU += dz @": "dU += dW @"},
        {"dW += dz @": "dW += dU @", "dz = (": "dz = -("},
        {"+ later)": "+ dz)"},
    ],
    ids=["a list", "a dict", "the loop", "a list, and more", "a dict, and more", "elsewhere", "a gradient", "two", "unbound"],
)
def test_what_there_is_not_or_does_not_fit_is_named(tmp_path: Path, changes: dict[str, str]) -> None:
    text = LOOP
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    file = tmp_path / "net.py"
    file.write_text(text)
    net = run_path(str(file))["Net"](*arrays(W=(4, 3), U=(4, 4)).values())
    report = check_backward(net.forward, net.backward, ([np.ones((3, 1))] * 4,))
    right = [LOOP.splitlines()[k] for k, line in enumerate(text.splitlines()) if line != LOOP.splitlines()[k]]
    said = [f.right.replace("range(len(dhs) - 1, -1, -1):", "reversed(range(len(dhs))):") for f in report.findings]
    assert sorted(said) == sorted(line.strip() for line in right), report


MOVING = """
import numpy as np

class Net:
    def __init__(self, W, U, b):
        self.W, self.U, self.b = W, U, b

    def forward(self, xs):
        self.xs, self.hs = xs, {-1: np.zeros((4, 2))}
        for t in range(len(xs)):
            self.hs[t] = np.tanh(self.W @ xs[t] + self.U @ self.hs[t - 1] + self.b)
        return [self.hs[t] for t in range(len(xs))]

    def backward(self, dhs):
        dW, dU, db = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b)
        later = np.zeros((4, 2))
        for t in reversed(range(len(dhs))):
            dz = (dhs[t] + later) * (1 - self.hs[t])
            dW, dU = dW + dz @ self.xs[t].T, dU + dz @ self.hs[t - 1].T
            db = db + dz.sum(axis=0, keepdims=True)
            later = self.U.T @ dz
        self.learn(dW, dU, db)

    def learn(self, dW, dU, db, rate=0.1):
        self.W -= rate * dW
        self.U -= rate * dU
        self.b -= rate * db
"""


def test_the_line_that_makes_what_does_not_fit_is_named_and_not_the_one_that_raises(tmp_path: Path) -> None:
    file = tmp_path / "moving.py"
    file.write_text(MOVING)
    net = run_path(str(file))["Net"](*arrays(W=(4, 3), U=(4, 4), b=(4, 1)).values())
    report = check_backward(net.forward, net.backward, ([np.ones((3, 2))] * 4,))
    assert [finding.right for finding in report.findings] == [
        "db = db + dz.sum(axis=1, keepdims=True)", "dz = (dhs[t] + later) * (1 - self.hs[t]**2)",
    ], report  # fmt: skip
    assert report.findings[0].missing.startswith("because of this line, line 27 raises ValueError"), report
