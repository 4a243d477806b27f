"""Mistakes that stand in several lines, lists of gradients, and what a function that does both passes has in its loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward


def sigma(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


def slope(v: Any) -> Any:
    return sigma(v) * (1 - sigma(v))


class Embedded:
    """Gates that read an embedding, where the backward pass reads what was embedded."""

    def __init__(self) -> None:
        self.E, self.Wk, self.Wv, self.Wo = arrays(E=(3, 3), Wk=(4, 7), Wv=(4, 7), Wo=(4, 7)).values()

    def run(self, x: Any, h: Any) -> Any:
        both = np.concatenate((h, self.E @ x))
        k, v, o = sigma(self.Wk @ both), np.tanh(self.Wv @ both), sigma(self.Wo @ both)
        return o * (k * h + v), (x, h, k, v, o)

    def back(self, dout: Any, cache: Any) -> dict[str, Any]:
        x, h, k, v, o = cache
        do = dout * (k * h + v) * o * (1 - o)
        dk = dout * o * h * k * (1 - k)
        dv = dout * o * (1 - v**2)
        dWk = dk @ np.concatenate((h, x)).T
        dWv = dv @ np.concatenate((h, x)).T
        dWo = do @ np.concatenate((h, x)).T
        dboth = self.Wk.T @ dk + self.Wv.T @ dv + self.Wo.T @ do
        return {"dWk": dWk, "dWv": dWv, "dWo": dWo, "dE": dboth[4:] @ x.T}


def test_one_mistake_in_three_lines_is_corrected_in_all_of_them() -> None:
    unit = Embedded()
    report = check_backward(unit.run, unit.back, arrays(x=(3, 2), h=(4, 2)), outputs=("out", "cache"))
    assert report.named, report
    right = "; ".join(finding.right for finding in report.findings)
    assert [right.count(text) for text in ("np.concatenate((h, self.E @ x)).T", "dW")] == [3, 3], report


def both_passes(x: Any, Wk: Any, Uk: Any, Wv: Any, first: Any) -> Any:
    """A forward and a backward pass in one function, both of which count by t: the slopes are taken of gradients."""
    hs, ks, vs = {-1: first}, {}, {}
    loss = np.zeros(())
    for t in range(len(x)):
        ks[t] = sigma(Wk @ x[t] + Uk @ hs[t - 1])
        vs[t] = sigma(Wv @ x[t])
        hs[t] = ks[t] * hs[t - 1] + vs[t]
        loss = loss + (hs[t] ** 2).sum() / 2
    dWk, dUk, dWv = np.zeros_like(Wk), np.zeros_like(Uk), np.zeros_like(Wv)
    dnext = np.zeros_like(first)
    for t in reversed(range(len(x))):
        dh = hs[t] + dnext
        dk = dh * hs[t - 1]
        dpre = slope(dk)
        dv = slope(dh)
        dWk += dpre @ x[t].T
        dUk += dpre @ hs[t - 1].T
        dWv += dv @ x[t].T
        dnext = dh * ks[t] + Uk.T @ dpre
    return loss, dWk, dUk, dWv


def test_what_both_loops_count_by_is_not_left_over_from_the_first() -> None:
    def forward(x: Any, Wk: Any, Uk: Any, Wv: Any, first: Any) -> Any:
        return both_passes(x, Wk, Uk, Wv, first)[0]

    example = ([np.ones((3, 1))] * 3, *arrays(Wk=(4, 3), Uk=(4, 4), Wv=(4, 3), first=(4, 1)).values())
    report = check_backward(forward, both_passes, example, outputs=("loss",))
    found = [finding.right for finding in report.findings]
    assert report.named, report
    assert len(found) == 2, report
    assert "dpre = dk * ks[t] * (1 - ks[t])" in found, report
    assert "dv = dh * vs[t] * (1 - vs[t])" in found, report


class Listing:
    """A loop that returns the gradients of its inputs in a list, the last step's first, without those through one weight."""

    def __init__(self) -> None:
        self.Wa, self.Wb, self.U = arrays(Wa=(4, 3), Wb=(4, 3), U=(4, 4)).values()
        self.lost = True

    def run(self, sequence: Any, h: Any) -> Any:
        self.xs, self.hs, self.gates = sequence, [h], []
        for t in range(len(sequence)):
            self.gates.append(sigma(self.Wa @ sequence[t]))
            self.hs.append(np.tanh(self.gates[t] * (self.Wb @ sequence[t]) + self.U @ self.hs[t]))
        return self.hs[-1]

    def back(self, dout: Any) -> Any:
        self.dWa, self.dWb, self.dU = np.zeros_like(self.Wa), np.zeros_like(self.Wb), np.zeros_like(self.U)
        dh, found = dout, []
        for t in reversed(range(len(self.xs))):
            dpre = dh * (1 - self.hs[t + 1] ** 2)
            da = dpre * (self.Wb @ self.xs[t]) * self.gates[t] * (1 - self.gates[t])
            self.dWa += da @ self.xs[t].T
            self.dWb += (dpre * self.gates[t]) @ self.xs[t].T
            self.dU += dpre @ self.hs[t].T
            dx = self.Wb.T @ (dpre * self.gates[t])
            found.append(dx)
            dh = self.U.T @ dpre
        return found


class Whole(Listing):
    """The same, right."""

    def back(self, dout: Any) -> Any:
        self.dWa, self.dWb, self.dU = np.zeros_like(self.Wa), np.zeros_like(self.Wb), np.zeros_like(self.U)
        dh, found = dout, []
        for t in reversed(range(len(self.xs))):
            dpre = dh * (1 - self.hs[t + 1] ** 2)
            da = dpre * (self.Wb @ self.xs[t]) * self.gates[t] * (1 - self.gates[t])
            self.dWa += da @ self.xs[t].T
            self.dWb += (dpre * self.gates[t]) @ self.xs[t].T
            self.dU += dpre @ self.hs[t].T
            found.append(self.Wb.T @ (dpre * self.gates[t]) + self.Wa.T @ da)
            dh = self.U.T @ dpre
        return found


class Turned(Whole):
    """The same, turned round at the end."""

    def back(self, dout: Any) -> Any:
        found = super().back(dout)
        found.reverse()
        return found


SEQUENCE = ([np.ones((3, 2))] * 4, np.ones((4, 2)))


@pytest.mark.parametrize("kind", [Whole, Turned])
def test_a_list_of_gradients_belongs_to_the_list_of_inputs(kind: Any) -> None:
    unit = kind()
    report = check_backward(unit.run, unit.back, SEQUENCE, outputs=("out",))
    assert report.passed, report
    assert "sequence" not in " ".join(note for note in report.notes if "no gradient" in note), report


def test_a_weight_that_the_backward_pass_does_not_mention_is_found_where_its_path_is_missing() -> None:
    unit = Listing()
    report = check_backward(unit.run, unit.back, SEQUENCE, outputs=("out",))
    assert report.named, report
    right = [finding.right for finding in report.findings]
    assert right == ["dx = self.Wb.T @ (dpre * self.gates[t]) + self.Wa.T @ da"], report


def predicting(x: Any, W: Any, U: Any, h: Any) -> Any:
    """Each column predicts the next: one step less than there are columns, by whose number the loss is divided."""
    states, loss = [h], np.zeros(())
    for t in range(x.shape[2] - 1):
        states.append(np.tanh(W @ x[:, :, t] + U @ states[-1]))
        loss = loss + ((states[-1] - x[:, :, t + 1]) ** 2).sum() / 2
    return loss / x.shape[2], (states, x, U)


def predicting_back(cache: Any) -> Any:
    states, x, U = cache
    dW, dU, dh = 0, 0, 0
    for t in reversed(range(x.shape[2] - 1)):
        dh = dh + states[t + 1] - x[:, :, t + 1]
        dpre = dh * (1 - states[t + 1] ** 2)
        dW, dU = dW + dpre @ x[:, :, t].T, dU + dpre @ states[t + 1].T
        dh = U.T @ dpre
    return {"dW": dW, "dU": dU}


def test_a_loss_that_is_divided_by_all_columns_hides_no_mistake() -> None:
    example = arrays(x=(3, 1, 5), W=(3, 3), U=(3, 3), h=(3, 1))
    report = check_backward(predicting, predicting_back, example, outputs=("loss", "cache"))
    found = [finding.right for finding in report.findings]
    assert found == ["dW, dU = dW + dpre @ x[:, :, t].T, dU + dpre @ states[t].T"], report
    assert any("right for the sum, where this loss is the mean" in note for note in report.notes), report


class Penalised:
    """A unit whose gradients have a penalty that its loss does not have; its slope is a function that it holds."""

    def __init__(self, strength: float = 0.01) -> None:
        self.W, self.U, self.V = arrays(W=(4, 3), U=(4, 4), V=(4, 3)).values()
        self.strength = strength
        self.slope = lambda y: 1 - y**2

    def run(self, x: Any, h: Any) -> Any:
        self.x, self.h = x, h
        self.v, self.gate = np.tanh(self.W @ x + self.U @ h), sigma(self.V @ x)
        return self.v * self.gate

    def back(self, dout: Any) -> Any:
        dv = dout * self.gate * self.slope(self.v)
        dgate = dout * self.v * self.gate * (1 - self.gate)
        self.dW = dv @ self.x.T + self.strength * self.W
        self.dU = dv @ self.h.T + self.strength * self.U
        self.dV = dgate @ self.x.T


class Sloping(Penalised):
    """The same with a mistake: the slope of tanh for that of a sigmoid."""

    def back(self, dout: Any) -> Any:
        dv = dout * self.gate * self.slope(self.v)
        dgate = dout * self.v
        da = dgate * self.slope(self.gate)
        self.dW = dv @ self.x.T + self.strength * self.W
        self.dU = dv @ self.h.T + self.strength * self.U
        self.dV = da @ self.x.T


def test_a_penalty_is_no_mistake_beside_one_that_is() -> None:
    unit = Sloping()
    report = check_backward(unit.run, unit.back, arrays(x=(3, 2), h=(4, 2)), outputs=("out",))
    assert [finding.right for finding in report.findings] == ["da = dgate * (self.gate * (1 - self.gate))"], report
    said = [note for note in report.notes if "L2 penalty" in note]
    assert [note.partition(" is added")[0] for note in said] == ["self.strength * self.W", "self.strength * self.U"], report


def test_a_slope_that_an_object_holds_can_be_looked_at_beside_its_line() -> None:
    unit = Sloping(strength=0.0)
    report = check_backward(unit.run, unit.back, arrays(x=(3, 2), h=(4, 2)), outputs=("out",))
    assert [finding.right for finding in report.findings] == ["da = dgate * (self.gate * (1 - self.gate))"], report
    assert not any("L2 penalty" in note for note in report.notes), report


def test_a_penalty_alone_is_a_convention() -> None:
    unit = Penalised()
    assert check_backward(unit.run, unit.back, arrays(x=(3, 2), h=(4, 2)), outputs=("out",)).passed


class Raising:
    """A loop over tokens that is wrong at the last step already, and raises an error where it goes back by one."""

    def __init__(self) -> None:
        self.W, self.U = arrays(W=(4, 3), U=(4, 4)).values()

    def run(self, tokens: Any, h: Any) -> Any:
        self.xs, self.hs = {}, {-1: h}
        loss = np.zeros(())
        for t in range(len(tokens)):
            self.xs[t] = np.eye(3)[:, [tokens[t]]]
            self.hs[t] = np.tanh(self.W @ self.xs[t] + self.U @ self.hs[t - 1])
            loss = loss + self.hs[t].sum()
        return loss

    def back(self, tokens: Any) -> Any:
        self.dW, self.dU = np.zeros_like(self.W), np.zeros_like(self.U)
        dnext = np.zeros((4, 1))
        for t in reversed(range(len(tokens))):
            dpre = (1 + dnext) * (1 - self.hs[t])
            self.dW += dpre @ self.xs[t].T
            self.dU += dpre @ self.hs[t - 1].T
            dnext = (self.U.T @ dpre) * self.dW


def test_what_raises_an_error_with_more_steps_is_not_named_whole_by_what_is_wrong_with_one() -> None:
    unit = Raising()
    report = check_backward(unit.run, unit.back, ([1, 2, 0], np.ones((4, 1))), outputs=("loss",))
    assert not report.named, report
    assert "dpre = (1 + dnext) * (1 - self.hs[t]**2)" in [finding.right for finding in report.findings], report
    assert "with all steps of the example, back raises ValueError" in report.findings[-1].missing, report
