"""Two mistakes in classes as people write them: gradients made in parts, weights moved at once, paths left out whole."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward
from minigrad.checks.report import Report

PARTS = """
import numpy as np

class Gated:
    def __init__(self, W, U, R, Q, b):
        self.W, self.U, self.R, self.Q, self.b = W, U, R, Q, b

    def run(self, xs):
        self.xs, self.h, self.r = xs, np.zeros((len(xs), 4, 1)), np.zeros((len(xs), 4, 1))
        before = np.zeros((4, 1))
        for t in range(len(xs)):
            self.r[t] = 1 / (1 + np.exp(-(self.R @ xs[t] + self.Q @ before)))
            self.h[t] = np.tanh(self.W @ xs[t] + self.U @ (self.r[t] * before) + self.b)
            before = self.h[t]
        return self.h

    def back(self, dhs):
        self.dW, self.dU, self.dR = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.R)
        self.dQ, self.db = np.zeros_like(self.Q), np.zeros_like(self.b)
        dxs, dzs, drs = np.zeros_like(self.xs), np.zeros((len(self.xs), 4, 1)), np.zeros((len(self.xs), 4, 1))
        later = np.zeros((4, 1))
        for t in reversed(range(len(self.xs))):
            dzs[t] = (dhs[t] + later) * (1 - self.h[t] ** 2)
            if t > 0:
                inner = self.U.T @ dzs[t]
                drs[t] = inner * self.h[t - 1] * self.r[t] * (1 - self.r[t])
                later = inner * self.r[t] + self.Q.T @ drs[t]
        for t in range(len(self.xs)):
            self.db += dzs[t]
            self.dW += dzs[t] @ self.xs[t].T
            if t > 0:
                self.dU += dzs[t] @ (self.r[t] * self.h[t - 1]).T
                self.dR += drs[t] @ self.xs[t].T
                self.dQ += drs[t] @ self.h[t - 1].T
            dxs[t] = self.W.T @ dzs[t]
            if t > 0:
                dxs[t] += self.R.T @ drs[t]
        return dxs
"""

MOVED = """
import numpy as np

class Step:
    def __init__(self, F, I, b, c):
        self.F, self.I, self.b, self.c = F, I, b, c

    def run(self, x, m):
        self.m, self.z = m, np.concatenate((m, x))
        self.f, self.i = 1 / (1 + np.exp(-(self.F @ self.z + self.b))), np.tanh(self.I @ self.z + self.c)
        return self.f * m + self.i

    def back(self, dnext, rate):
        df = dnext * self.m * self.f * (1 - self.f)
        di = dnext * (1 - self.i**2)
        self.F -= rate * np.outer(df, self.z)
        self.b -= rate * df
        self.I -= rate * np.outer(di, self.z)
        self.c -= rate * di
        dm = self.F[:, :4].T @ df + self.I[:, :4].T @ di + dnext * self.f
        return dm
"""

LEFT_OUT = """
import numpy as np

class Read:
    def __init__(self, W, U, V, h):
        self.W, self.U, self.V, self.h = W, U, V, h

    def run(self, xs):
        self.xs, self.hs = xs, np.zeros((len(xs) + 1, 4))
        self.hs[-1] = self.h
        out = np.zeros((len(xs), 2))
        for t in range(len(xs)):
            self.h = np.tanh(xs[t] @ self.W + self.h @ self.U)
            self.hs[t] = self.h
            out[t] = self.h @ self.V
        return out

    def back(self, d_out):
        self.dW, self.dU, self.dV = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.V)
        dh_next = np.zeros((1, 4))
        for t in reversed(range(len(d_out))):
            self.dV += np.outer(self.hs[t], d_out[t])
            dh = d_out[t] @ self.V.T + dh_next
            dz = (1 - self.hs[t] ** 2) * dh
            self.dU += np.outer(self.hs[t - 1], dz[0])
            self.dW += np.outer(self.xs[t], dz)
            dh_next = dz @ self.U.T
"""

STEPS = """
from dataclasses import dataclass

import numpy as np

@dataclass
class Kept:
    before: np.ndarray
    k: np.ndarray
    v: np.ndarray
    both: np.ndarray

class Mixing:
    def __init__(self, Wk, Wv, bv):
        self.Wk, self.Wv, self.bv = Wk, Wv, bv

    def run(self, xs):
        h, self.steps = np.zeros(4), []
        for x in xs:
            both = np.concatenate((x, h))
            k, v = 1 / (1 + np.exp(-(self.Wk @ both))), np.tanh(self.Wv @ both + self.bv)
            self.steps.append(Kept(h, k, v, both))
            h = (1 - k) * h + k * v
        return h

    def back(self, dh):
        g = {"Wk": np.zeros_like(self.Wk), "Wv": np.zeros_like(self.Wv), "bv": np.zeros_like(self.bv)}
        for s in reversed(self.steps):
            dk = dh * (s.v - s.before) * s.k * (1 - s.k)
            dv = dh * s.k * (1 - s.v**2)
            dh_prev = dh * (1.0 - s.k)
            dh_prev += (self.Wv.T @ dv)[3:]
            dh_prev += (self.Wk.T @ dk)[3:]
            g["bv"] += dv
            g["Wv"] += np.outer(dv, s.both)
            g["Wk"] += np.outer(dk, s.both)
            dh = dh_prev
        return g
"""


def report_of(folder: Path, text: str, changes: dict[str, str], weights: Any, *example: Any) -> Report:
    """The report of the one class in a text, with some of it changed."""
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = folder / "written.py"
    file.write_text(text)
    kind = [value for value in run_path(str(file)).values() if isinstance(value, type)][-1]
    made = kind(*arrays(**weights).values())
    return check_backward(made.run, made.back, example)


def test_a_gradient_that_is_made_in_two_parts_hides_no_other_line(tmp_path: Path) -> None:
    weights = {"W": (4, 3), "U": (4, 4), "R": (4, 3), "Q": (4, 4), "b": (4, 1)}
    changes = {"self.db += dzs[t]": "self.db = dzs[t]", "(self.r[t] * self.h[t - 1]).T": "self.h[t - 1].T"}
    assert report_of(tmp_path, PARTS, {}, weights, np.ones((4, 3, 1))).passed
    report = report_of(tmp_path, PARTS, changes, weights, np.ones((4, 3, 1)))
    right = ["self.db += dzs[t]", "self.dU += dzs[t] @ (self.h[t - 1] * self.r[t]).T"]
    assert [finding.right for finding in report.findings] == right, report


def test_weights_that_are_moved_before_they_are_used_are_named_beside_what_they_are_used_for(tmp_path: Path) -> None:
    weights = {"F": (4, 7), "I": (4, 7), "b": (4,), "c": (4,)}
    assert report_of(tmp_path, MOVED, {}, weights, np.ones(3), np.ones(4)).passed
    changes = {"np.outer(df, self.z)": "np.outer(dnext, self.z)", "self.F[:, :4].T @ df": "self.F[:, :4] @ df"}
    report = report_of(tmp_path, MOVED, changes, weights, np.ones(3), np.ones(4))
    right = [
        "self.F -= rate * np.outer(df, self.z)",
        "dm = self.F[:, :4].T @ df + self.I[:, :4].T @ di + dnext * self.f",
    ]
    assert [finding.right for finding in report.findings] == right, report


def test_a_path_that_is_left_out_so_that_nothing_arrives_is_named_beside_another_mistake(tmp_path: Path) -> None:
    weights = {"W": (3, 4), "U": (4, 4), "V": (4, 2), "h": (1, 4)}
    assert report_of(tmp_path, LEFT_OUT, {}, weights, np.ones((4, 3))).passed
    changes = {"d_out[t] @ self.V.T + dh_next": "dh_next", "(1 - self.hs[t] ** 2) * dh": "(1 - self.hs[t] ** 2 * 2 * dh)"}
    report = report_of(tmp_path, LEFT_OUT, changes, weights, np.ones((4, 3)))
    right = ["dh = dh_next + d_out[t] @ self.V.T", "dz = (dh * (1 - self.hs[t]**2))"]
    assert [finding.right for finding in report.findings] == right, report


def test_what_is_added_to_no_entry_of_a_dict_is_named_beside_the_first_part_of_a_sum(tmp_path: Path) -> None:
    weights = {"Wk": (4, 7), "Wv": (4, 7), "bv": (4,)}
    assert report_of(tmp_path, STEPS, {}, weights, np.ones((4, 3))).passed
    changes = {'            g["Wv"] += np.outer(dv, s.both)\n': "", "dh * (1.0 - s.k)": "dh * 2 * 1.0 - s.k"}
    report = report_of(tmp_path, STEPS, changes, weights, np.ones((4, 3)))
    right = ["dh_prev = dh * (1 - s.k)", 'g["Wv"] += np.outer(dv, s.both)']
    assert [finding.right for finding in report.findings] == right, report


def test_one_weight_that_is_moved_without_the_rate_is_named_beside_another_mistake(tmp_path: Path) -> None:
    weights = {"F": (4, 7), "I": (4, 7), "b": (4,), "c": (4,)}
    changes = {"self.b -= rate * df": "self.b -= df", "dnext * (1 - self.i**2)": "dnext * (1 - self.i)"}
    report = report_of(tmp_path, MOVED, changes, weights, np.ones(3), np.ones(4))
    right = ["di = dnext * (1 - self.i**2)", "self.b -= rate * df"]
    assert [finding.right for finding in report.findings] == right, report


def test_rows_that_are_picked_at_the_wrong_step_are_named_beside_another_mistake(tmp_path: Path) -> None:
    weights = {"W": (3, 4), "U": (4, 4), "V": (4, 2), "h": (1, 4)}
    picked = "d_part = np.zeros_like(self.W); d_part[self.xs[t, :] == 1] = dz; self.dW += d_part"
    text = LEFT_OUT.replace("self.dW += np.outer(self.xs[t], dz)", picked.replace("; ", "\n            "))
    ids = np.eye(3)[[0, 2, 1, 2]]
    assert report_of(tmp_path, text, {}, weights, ids).passed
    changes = {"self.xs[t, :] == 1": "self.xs[t - 1, :] == 1", "(1 - self.hs[t] ** 2)": "(1 + self.hs[t] ** 2)"}
    report = report_of(tmp_path, text, changes, weights, ids)
    right = ["dz = (1 - self.hs[t] ** 2) * dh", "d_part[self.xs[t, :] == 1] = dz"]
    assert [finding.right for finding in report.findings] == right, report
