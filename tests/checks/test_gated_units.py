"""Units with gates, as classes: helpers that are methods, gradients copied from one gate to another, states not kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward


class Unit:
    """One step of a unit with three gates, whose activations are methods; attributes for what is kept."""

    def __init__(self) -> None:
        self.Wk, self.Ww, self.Wv, self.Wr = arrays(Wk=(4, 7), Ww=(4, 7), Wv=(4, 7), Wr=(4, 7)).values()

    def squash(self, v: Any) -> Any:
        return 1 / (1 + np.exp(-v))

    def slope(self, s: Any) -> Any:
        return s * (1 - s)

    def bend(self, y: Any) -> Any:
        return 1 - y**2

    def step(self, x: Any, h_prev: Any, m_prev: Any) -> Any:
        self.z = np.vstack((h_prev, x))
        self.k, self.w = self.squash(self.Wk @ self.z), self.squash(self.Ww @ self.z)
        self.v, self.r = np.tanh(self.Wv @ self.z), self.squash(self.Wr @ self.z)
        self.m_prev = m_prev
        self.m = self.k * m_prev + self.w * self.v
        self.h = self.r * np.tanh(self.m)
        return self.h, self.m


EXAMPLE = arrays(x=(3, 2), h_prev=(4, 2), m_prev=(4, 2))


class Bent(Unit):
    """The slope of the activation at the sum before it, where the helper wants what comes after."""

    def back(self, dh: Any, dm: Any) -> Any:
        dr = dh * np.tanh(self.m) * self.slope(self.r)
        dm_all = dm + dh * self.r * self.bend(self.m)
        dk = dm_all * self.m_prev * self.slope(self.k)
        dw = dm_all * self.v * self.slope(self.w)
        dv = dm_all * self.w * self.bend(self.v)
        dz = self.Wk.T @ dk + self.Ww.T @ dw + self.Wv.T @ dv + self.Wr.T @ dr
        self.dWk, self.dWw, self.dWv, self.dWr = dk @ self.z.T, dw @ self.z.T, dv @ self.z.T, dr @ self.z.T
        return dz[4:], dz[:4], dm_all * self.k


def test_the_argument_of_a_helper_that_is_a_method_is_named() -> None:
    unit = Bent()
    report = check_backward(unit.step, unit.back, EXAMPLE, returns=("x", "h_prev", "m_prev"))
    assert [finding.right for finding in report.findings] == ["dm_all = dm + dh * self.r * self.bend(np.tanh(self.m))"], report


class Many(Unit):
    """Six lines that are wrong, each by itself."""

    def back(self, dh: Any, dm: Any) -> Any:
        dm_all = dm + dh * self.r * (1 - np.tanh(self.m))
        dr = dh * self.m * self.r * (1 - self.r)
        dk = dm_all * self.m * self.k * (1 - self.k)
        dw = dm_all * self.v * self.w
        dv = dm_all * self.k * (1 - self.v**2)
        dz = self.Wk.T @ dk + self.Ww.T @ dw + self.Wv.T @ dv + self.Wr.T @ dr
        self.dWk, self.dWw, self.dWv, self.dWr = dk @ self.z.T, dw @ self.z.T, dv @ self.z.T, dr @ self.z.T
        dm_prev = dm * self.k
        return dz[4:], dz[:4], dm_prev


def test_six_mistakes_in_one_backward_pass_are_named() -> None:
    unit = Many()
    report = check_backward(unit.step, unit.back, EXAMPLE, returns=("x", "h_prev", "m_prev"))
    assert report.named, report
    right = {line for finding in report.findings for line in finding.right.split("; ")}
    assert right == {
        "dm_all = dm + dh * self.r * (1 - np.tanh(self.m)**2)",
        "dr = dh * np.tanh(self.m) * self.r * (1 - self.r)",
        "dk = dm_all * self.m_prev * self.k * (1 - self.k)",
        "dw = dm_all * self.v * self.w * (1 - self.w)",
        "dv = dm_all * self.w * (1 - self.v**2)",
        "dm_prev = dm_all * self.k",
    }


class Forgetful(Unit):
    """The state before is not kept: the new one stands in its place, and in the place of a gate another."""

    def step(self, x: Any, h_prev: Any, m_prev: Any) -> Any:
        self.z = np.vstack((h_prev, x))
        self.k, self.w = self.squash(self.Wk @ self.z), self.squash(self.Ww @ self.z)
        self.v, self.r = np.tanh(self.Wv @ self.z), self.squash(self.Wr @ self.z)
        self.m = self.k * m_prev + self.w * self.v
        self.h = self.r * self.m
        return self.h, self.m

    def back(self, dh: Any, dm: Any) -> Any:
        dr, dm_all = dh * self.m * self.slope(self.r), dm + dh * self.r
        dk, dw = dm_all * self.m * self.slope(self.k), dm_all * self.v * self.slope(self.w)
        dv = dm_all * self.w * self.bend(self.v)
        dz = self.Wk.T @ dk + self.Ww.T @ dw + self.Wv.T @ dv + self.Wr.T @ dr
        self.dWk, self.dWw, self.dWv, self.dWr = dk @ self.z.T, dw @ self.z.T, dv @ self.z.T, dr @ self.z.T
        return dz[4:], dz[:4], dm_all * self.k


def test_what_is_put_out_in_the_place_of_the_state_before_is_named_though_that_is_not_kept() -> None:
    unit = Forgetful()
    report = check_backward(unit.step, unit.back, EXAMPLE, returns=("x", "h_prev", "m_prev"))
    kept, read = report.findings
    assert "the backward pass needs m_prev" in kept.missing, report
    assert kept.right == "self.m_prev_kept = m_prev.copy()", report
    assert read.missing == "self.m stands in the place of self.m_prev_kept", report
    assert read.right.startswith("dk, dw = dm_all * self.m_prev_kept * self.slope(self.k), "), report


class Gates:
    """A loop over steps, and gradients of two gates of which one is copied to the other: both are 0 in a single step."""

    def __init__(self) -> None:
        self.Wk, self.bk, self.Wv, self.bv = arrays(Wk=(4, 3), bk=(4, 1), Wv=(4, 3), bv=(4, 1)).values()

    def forward(self, xs: Any) -> Any:
        m, self.kept = np.zeros((4, 1)), []
        for x in xs:
            k, v = 1 / (1 + np.exp(-(self.Wk @ x + self.bk))), np.tanh(self.Wv @ x + self.bv)
            before, m = m, k * m + v
            self.kept.append((x, k, v, before))
        return m

    def backward(self, dm: Any) -> Any:
        dWk, dWv = np.zeros_like(self.Wk), np.zeros_like(self.Wv)
        dbk, dbv = np.zeros_like(self.bk), np.zeros_like(self.bv)
        for x, k, v, before in reversed(self.kept):
            keep, new = dm * before * k * (1 - k), dm * (1 - v**2)
            dWk += keep @ x.T
            dWv += new @ x.T
            dbk += keep
            dbv += keep
            dm = dm * k
        return dWk, dbk, dWv, dbv


def test_a_gradient_that_is_copied_from_another_gate_is_told_by_its_name() -> None:
    gates = Gates()
    (finding,) = check_backward(gates.forward, gates.backward, ([np.ones((3, 1))] * 3,)).findings
    assert finding.right == "dbv += new", finding


class Last(Gates):
    """Attributes hold what was computed last, and stand for the values of every step."""

    def forward(self, xs: Any) -> Any:
        self.xs, self.m = xs, np.zeros((4, 1))
        for x in xs:
            self.k, self.v = 1 / (1 + np.exp(-(self.Wk @ x + self.bk))), np.tanh(self.Wv @ x + self.bv)
            self.m = self.k * self.m + self.v
        return self.m

    def backward(self, dm: Any) -> Any:
        dWk, dWv = np.zeros_like(self.Wk), np.zeros_like(self.Wv)
        dbk, dbv = np.zeros_like(self.bk), np.zeros_like(self.bv)
        for x in reversed(self.xs):
            keep, new = dm * self.m * self.k * (1 - self.k), dm * (1 - self.v**2)
            dWk, dWv = dWk + keep @ x.T, dWv + new @ x.T
            dbk, dbv = dbk + keep, dbv + new
            dm = dm * self.k
        dWk, dbk, dWv, dbv = -dWk, -dbk, -dWv, -dbv
        return dWk, dbk, dWv, dbv


def test_what_explains_one_step_alone_is_not_named() -> None:
    last = Last()
    report = check_backward(last.forward, last.backward, ([np.ones((3, 1))] * 3,), seconds=12.0)
    assert not report.passed
    assert not any("wraps round" in finding.missing for finding in report.findings), report


class Moving(Unit):
    """The weights are moved before the gradients that go on are computed from them."""

    def __init__(self) -> None:
        super().__init__()
        self.learning_rate = 0.1

    def back(self, dh: Any, dm: Any) -> Any:
        dm_all = dm + dh * self.r * self.bend(np.tanh(self.m))
        dr, dk = dh * np.tanh(self.m) * self.slope(self.r), dm_all * self.m_prev * self.slope(self.k)
        dw, dv = dm_all * self.v * self.slope(self.w), dm_all * self.w * self.bend(self.v)
        for name, d in (("Wk", dk), ("Ww", dw), ("Wv", dv), ("Wr", dr)):
            setattr(self, name, getattr(self, name) - self.learning_rate * d @ self.z.T)
        dz = self.Wk.T @ dk + self.Ww.T @ dw + self.Wv.T @ dv + self.Wr.T @ dr
        return dz[4:], dz[:4], dm_all * self.k


def test_what_is_returned_from_weights_that_are_moved_already_is_right_at_small_rates_and_said_to_be_wrong_at_larger() -> None:
    unit = Moving()
    report = check_backward(unit.step, unit.back, EXAMPLE, returns=("x", "h_prev", "m_prev"))
    assert report.passed, report
    assert any("at larger rates these are wrong" in note for note in report.notes)


class Ended(Unit):
    """Two mistakes: the part of the input is handed on as that of the state, and one gate has the slope of another."""

    def back(self, dh: Any, dm: Any) -> Any:
        dm_all = dm + dh * self.r * self.bend(np.tanh(self.m))
        dr, dk = dh * np.tanh(self.m) * self.slope(self.r), dm_all * self.m_prev * self.slope(self.k)
        dw = dm_all * self.v * self.slope(self.k)
        dv = dm_all * self.w * self.bend(self.v)
        dz = self.Wk.T @ dk + self.Ww.T @ dw + self.Wv.T @ dv + self.Wr.T @ dr
        self.dWk, self.dWw, self.dWv, self.dWr = dk @ self.z.T, dw @ self.z.T, dv @ self.z.T, dr @ self.z.T
        dh_prev = dz[-self.size :]
        return dh_prev, dm_all * self.k

    size = 4


def test_the_wrong_end_of_what_was_joined_is_named_beside_another_mistake() -> None:
    unit = Ended()
    report = check_backward(unit.step, unit.back, EXAMPLE, returns=("h_prev", "m_prev"))
    assert report.named, report
    right = {line for finding in report.findings for line in finding.right.split("; ")}
    assert right == {"dw = dm_all * self.v * self.slope(self.w)", "dh_prev = dz[:self.size]"}
    assert "dz[-self.size:], in dh_prev, is the wrong end of what was joined" in str(report), report


def kept_in_dicts(x: Any, weights: Any, biases: Any) -> Any:
    g = 1 / (1 + np.exp(-(weights["gate"] @ x + biases["gate"])))
    v = np.tanh(weights["value"] @ x + biases["value"])
    return g * v, (x, g, v)


def under_long_names(dy: Any, cache: Any) -> Any:
    x, g, v = cache
    dg, dv = dy * v * g * (1 - g), dy * g * (1 - v)
    return {
        "weights_gate": dg @ x.T,
        "weights_value": dv @ x.T,
        "bias_gate": dg.sum(axis=1, keepdims=True),
        "bias_value": dv.sum(axis=1, keepdims=True),
    }


def test_gradients_under_the_words_of_where_something_is_kept_are_compared() -> None:
    weights, biases = arrays(gate=(4, 3), value=(4, 3)), arrays(gate=(4, 1), value=(4, 1))
    report = check_backward(kept_in_dicts, under_long_names, (np.ones((3, 2)), weights, biases), upstream={"dy": "output 0"})
    assert [finding.right for finding in report.findings] == ["dg, dv = dy * v * g * (1 - g), dy * g * (1 - v**2)"], report
    assert {d.gradient for d in report.comparison.differences} >= {"biases.gate", "biases.value"}  # type: ignore[union-attr]
