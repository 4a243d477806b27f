"""What the backward pass needs and the forward pass keeps nowhere, or of the last step alone: named, with what to keep."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward


def sigma(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


class Remembering:
    """A gated unit whose state is an attribute, which each call overwrites."""

    def __init__(self) -> None:
        self.Wk, self.Wv, self.Wo = arrays(Wk=(4, 7), Wv=(4, 7), Wo=(2, 4)).values()
        self.state = np.ones((4, 1))

    def run(self, x: Any) -> Any:
        both = np.concatenate((self.state, x))
        k = sigma(self.Wk @ both)
        v = np.tanh(self.Wv @ both)
        self.state = k * self.state + v
        return self.Wo @ self.state

    def learn(self, x: Any, dout: Any, rate: float) -> None:
        dstate = self.Wo.T @ dout
        k = sigma(self.Wk @ np.concatenate((self.state, x)))
        v = np.tanh(self.Wv @ np.concatenate((self.state, x)))
        dv = dstate * (1 - v**2)
        dk = dstate * self.state * k * (1 - k)
        self.Wo -= rate * dout @ self.state.T
        self.Wv -= rate * dv @ np.concatenate((self.state, x)).T
        self.Wk -= rate * dk @ np.concatenate((self.state, x)).T


def test_a_state_that_is_overwritten_has_to_be_kept() -> None:
    unit = Remembering()
    report = check_backward(unit.run, unit.learn, (np.ones((3, 1)),), outputs=("out",))
    assert report.named, report
    assert {finding.kind for finding in report.findings} == {"not kept for the backward pass"}, report
    assert "self.state_before = self.state.copy()" in [finding.right for finding in report.findings], report
    said = " ".join(finding.right for finding in report.findings)
    assert "dk = dstate * self.state_before * k * (1 - k)" in said, report
    assert "dout @ self.state.T" not in said, report  # the new state is meant there


class Kept(Remembering):
    """The same, right: it keeps the state that it begins with."""

    def run(self, x: Any) -> Any:
        self.old = self.state
        return super().run(x)

    def learn(self, x: Any, dout: Any, rate: float) -> None:
        dstate = self.Wo.T @ dout
        both = np.concatenate((self.old, x))
        k, v = sigma(self.Wk @ both), np.tanh(self.Wv @ both)
        dv = dstate * (1 - v**2)
        dk = dstate * self.old * k * (1 - k)
        self.Wo -= rate * dout @ self.state.T
        self.Wv -= rate * dv @ both.T
        self.Wk -= rate * dk @ both.T


def test_what_is_kept_is_not_asked_for() -> None:
    unit = Kept()
    assert check_backward(unit.run, unit.learn, (np.ones((3, 1)),), outputs=("out",)).passed


class Wrong(Kept):
    """The same with a sign wrong: all that is needed is at hand."""

    def learn(self, x: Any, dout: Any, rate: float) -> None:
        dstate = self.Wo.T @ dout
        both = np.concatenate((self.old, x))
        k, v = sigma(self.Wk @ both), np.tanh(self.Wv @ both)
        dv = dstate * (1 - v**2)
        dk = dstate * self.old * k * (1 + k)
        self.Wo -= rate * dout @ self.state.T
        self.Wv -= rate * dv @ both.T
        self.Wk -= rate * dk @ both.T


def test_what_is_at_hand_is_no_matter_of_keeping() -> None:
    unit = Wrong()
    report = check_backward(unit.run, unit.learn, (np.ones((3, 1)),), outputs=("out",))
    assert [finding.right for finding in report.findings] == ["dk = dstate * self.old * k * (1 - k)"], report


class OfTheLastStep:
    """A loop that keeps its gate in an attribute: that of the last step is left."""

    def __init__(self) -> None:
        self.Wk, self.Uk, self.Wv = arrays(Wk=(4, 3), Uk=(4, 4), Wv=(4, 3)).values()

    def run(self, xs: Any, first: Any) -> Any:
        self.xs, self.states = xs, [first]
        for t in range(len(xs)):
            self.gate = sigma(self.Wk @ xs[t] + self.Uk @ self.states[-1])
            self.states.append(self.gate * self.states[-1] + self.Wv @ xs[t])
        return self.states[-1]

    def back(self, dout: Any) -> dict[str, Any]:
        dWk, dUk, dWv = np.zeros_like(self.Wk), np.zeros_like(self.Uk), np.zeros_like(self.Wv)
        dstate = dout
        for t in reversed(range(len(self.xs))):
            dpre = dstate * self.states[t] * self.gate * (1 - self.gate)
            dWk += dpre @ self.xs[t].T
            dUk += dpre @ self.states[t].T
            dWv += dstate @ self.xs[t].T
            dstate = dstate * self.gate + self.Uk.T @ dpre
        return {"dWk": dWk, "dUk": dUk, "dWv": dWv, "dfirst": dstate}


def test_a_gate_of_which_the_last_one_is_left_has_to_be_kept_at_each_step() -> None:
    unit = OfTheLastStep()
    report = check_backward(unit.run, unit.back, ([np.ones((3, 2))] * 4, np.ones((4, 2))), outputs=("out",))
    assert report.named, report
    said = " ".join(finding.right for finding in report.findings)
    assert "self.gate_kept.append(self.gate.copy())" in said, report
    assert "dpre = dstate * self.states[t] * self.gate_kept[t] * (1 - self.gate_kept[t])" in said, report
    assert "dstate = dstate * self.gate_kept[t] + self.Uk.T @ dpre" in said, report


def one_step(x: Any, h: Any, W: Any, U: Any) -> Any:
    total = W @ x + U @ h
    state = np.tanh(total)
    return state * total, (x, h, U, state)


def one_step_back(dout: Any, cache: Any) -> Any:
    x, h, U, state = cache
    dtotal = dout * (1 - state**2) * h + dout * state
    dW, dU = dtotal @ x.T, dtotal @ h.T
    return U.T @ dtotal, dW, dU


def test_what_is_missing_in_a_cache_is_said_without_an_object() -> None:
    example = arrays(x=(3, 2), h=(4, 2), W=(4, 3), U=(4, 4))
    report = check_backward(one_step, one_step_back, example, outputs=("out", "cache"), returns=("h", "W", "U"))
    assert [finding.right for finding in report.findings] == [
        "total_kept = total.copy()",
        "dtotal = dout * (1 - state**2) * total_kept + dout * state",
    ], report


def test_what_is_not_kept_is_said_where_nothing_is_named() -> None:
    unit = OfTheLastStep()
    report = check_backward(unit.run, unit.back, ([np.ones((3, 2))] * 4, np.ones((4, 2))), outputs=("out",), seconds=0)
    assert not report.named
    said = [finding.missing for finding in report.findings]
    assert any("self.gate behind line" in text and "kept nowhere for the backward pass" in text for text in said), report
    assert not any("self.states" in text.partition("kept nowhere")[0] for text in said), report


class AtFirst(OfTheLastStep):
    """The same, where the gate has no value yet before the first step: that is looked at, and is no error."""

    def run(self, xs: Any, first: Any) -> Any:
        self.xs, self.states = xs, [first]
        if not len(xs):
            gate = first
        for t in range(len(xs)):
            if t > 0:
                last = gate
            gate = sigma(self.Wk @ xs[t] + self.Uk @ self.states[-1])
            self.gate = gate if t == 0 else 0 * last + gate
            self.states.append(self.gate * self.states[-1] + self.Wv @ xs[t])
        return self.states[-1]


def test_what_has_no_value_yet_is_not_kept() -> None:
    unit = AtFirst()
    report = check_backward(unit.run, unit.back, ([np.ones((3, 2))] * 4, np.ones((4, 2))), outputs=("out",))
    assert report.named, report
    assert "gate_kept[t]" in " ".join(finding.right for finding in report.findings), report
