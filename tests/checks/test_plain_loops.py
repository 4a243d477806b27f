"""Loops of plain recurrent networks as people write them: what is missing, what is in the wrong place, what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import check_backward
from minigrad.checks import Report


def rights(report: Report) -> list[str]:
    return [finding.right for finding in report.findings]


class Reader:
    """Reads vectors one by one, and says at each step what it expects."""

    def __init__(self) -> None:
        self.A, self.B, self.C = np.ones((4, 3)), np.ones((4, 4)), np.ones((2, 4))
        self.a, self.c = np.ones((4, 1)), np.ones((2, 1))
        self.da, self.dc = np.zeros((4, 1)), np.zeros((2, 1))

    def read(self, xs: Any) -> Any:
        self.xs, self.hs, out = xs, {-1: np.zeros((4, 1))}, []
        for t, x in enumerate(xs):
            self.hs[t] = np.tanh(self.A @ x + self.B @ self.hs[t - 1] + self.a)
            out.append(self.C @ self.hs[t] + self.c)
        return out

    def back(self, d_out: Any) -> Any:
        dA, dB, dC = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C)
        dh_next = np.zeros((4, 1))
        for t in reversed(range(len(self.xs))):
            dC += d_out[t] @ self.hs[t].T
            self.dc += d_out[t]
            dz = (self.C.T @ d_out[t] + dh_next) * (1 - self.hs[t] ** 2)
            dA += dz @ self.xs[t].T
            dB += dz @ self.hs[t - 1].T
            self.da += dz
            dh_next = self.B.T @ dz
        return dA, dB, dC


def of_reader(reader: Reader) -> Report:
    xs = [np.ones((3, 1)) for _ in range(4)]
    return check_backward(reader.read, reader.back, (xs,), outputs=("out",), upstream={"d_out": "out"})


def test_the_reader_is_right() -> None:
    assert of_reader(Reader()).passed


class WithoutTheLastLines(Reader):
    def back(self, d_out: Any) -> Any:
        dA, dB, dC = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C)
        dh_next = np.zeros((4, 1))
        for t in reversed(range(len(self.xs))):
            dC += d_out[t] @ self.hs[t].T
            dz = (self.C.T @ d_out[t] + dh_next) * (1 - self.hs[t] ** 2)
            dA += dz @ self.xs[t].T
            dB += dz @ self.hs[t - 1].T
            self.da += dz
        return dA, dB, dC


def test_lines_that_are_missing_in_a_loop_are_written_down_with_the_weights_that_nothing_else_reads_there() -> None:
    assert rights(of_reader(WithoutTheLastLines())) == ["self.dc += d_out[t]", "dh_next = self.B.T @ dz"]


class FromZero(Reader):
    def back(self, d_out: Any) -> Any:
        dA, dB, dC = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C)
        dh_next = 0
        for t in reversed(range(len(self.xs))):
            dC += d_out[t] @ self.hs[t].T
            self.dc += d_out[t]
            dz = (self.C.T @ d_out[t]) * (1 - self.hs[t] ** 2)
            dA += dz @ self.xs[t].T
            dB += dz @ self.hs[t - 1].T
            self.da += dz
            dh_next = self.B.T @ dz
        return dA, dB, dC, dh_next


def test_what_is_the_number_zero_before_the_last_step_is_at_hand() -> None:
    xs = [np.ones((3, 1)) for _ in range(4)]
    reader, returned = FromZero(), ("A", "B", "C", None)
    report = check_backward(reader.read, reader.back, (xs,), outputs=("out",), upstream={"d_out": "out"}, returns=returned)
    assert rights(report) == ["dz = (self.C.T @ d_out[t] + dh_next) * (1 - self.hs[t] ** 2)"]


class ByAnOptimiser(Reader):
    """Keeps each step's gradients as attributes, and moves the weights by their sum."""

    def back(self, d_out: Any, rate: float = 0.1) -> None:
        totals = [np.zeros_like(weight) for weight in (self.A, self.B, self.C, self.a, self.c)]
        self.dh = np.zeros((4, 1))
        for t in reversed(range(len(self.xs))):
            self.of_step(d_out[t], t)
            for total, part in zip(totals, (self.dA, self.dB, self.dC, self.da, self.dc), strict=True):
                total += part
        self.A, self.B, self.C = self.A - rate * totals[0], self.B - rate * totals[1], self.C - rate * totals[2]
        self.a, self.c = self.a - rate * totals[3], self.c - rate * totals[4]

    def of_step(self, d: Any, t: int) -> None:
        dz = (self.C.T @ d + self.dh) * (1 - self.hs[t] ** 2)
        self.dA, self.dB, self.dC = dz @ self.xs[t].T, dz @ self.hs[t - 1].T, d @ self.hs[t].T
        self.da, self.dc, self.dh = dz, d, self.B.T @ dz


def test_gradients_of_one_step_that_are_stored_are_not_taken_for_those_that_the_weights_are_moved_by() -> None:
    report = of_reader(ByAnOptimiser())
    assert report.passed, report


class ByAnOptimiserWithoutSlope(ByAnOptimiser):
    def of_step(self, d: Any, t: int) -> None:
        dz = (self.C.T @ d + self.dh) * (1 - self.hs[t] ** 2)
        self.dA, self.dB, self.dC = dz @ self.xs[t].T, dz @ self.hs[t].T, d @ self.hs[t].T
        self.da, self.dc, self.dh = dz, d, self.B.T @ dz


def test_nor_where_one_of_them_is_wrong() -> None:
    right = "self.dA, self.dB, self.dC = dz @ self.xs[t].T, dz @ self.hs[t - 1].T, d @ self.hs[t].T"
    assert rights(of_reader(ByAnOptimiserWithoutSlope())) == [right]


class AtTheEnd:
    """Reads a batch, and is asked once; its gradients have names that say nothing, and it is a global object."""

    def __init__(self) -> None:
        self.A, self.B, self.C = np.ones((3, 5)), np.ones((5, 5)), np.ones((5, 2))

    def read(self, x: Any) -> Any:
        h = np.zeros((x.shape[0], 5))
        self.kept = [h]
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ self.A + h @ self.B)
            self.kept.append(h)
        self.x, self.y = x, h @ self.C
        return self.y

    def back(self, wanted: Any) -> Any:
        found = {"A": np.zeros_like(self.A), "B": np.zeros_like(self.B)}
        miss = self.y - wanted
        found["C"] = self.kept[-1].T @ miss
        e = miss @ self.C.T
        for t in reversed(range(self.x.shape[1])):
            found["A"] += self.x[:, t].T @ e
            found["B"] += self.kept[t].T @ e
            e = (e @ self.B.T) * (1 - self.kept[t] ** 2)
        return found


ASKED = AtTheEnd()


def asked(x: Any, wanted: Any) -> Any:
    return 0.5 * np.sum((ASKED.read(x) - wanted) ** 2)


def asked_back(x: Any, wanted: Any) -> Any:
    ASKED.read(x)
    return ASKED.back(wanted)


def test_the_gradients_of_a_global_object_are_followed_whatever_they_are_called() -> None:
    report = check_backward(asked, asked_back, (np.ones((2, 4, 3)), np.ones((2, 2))))
    assert rights(report) == ["e = miss @ self.C.T * (1 - self.kept[-1]**2)"], report


def seen_by(R: Any, x: Any, W: Any, V: Any) -> Any:
    s, y = np.zeros((len(x) + 1, 4)), np.zeros((len(x), 2))
    for t in range(len(x)):
        s[t] = np.tanh(W @ x[t] + R @ s[t - 1])
        y[t] = V @ s[t]
    return y, s


def loss_of(R: Any, x: Any, W: Any, V: Any, wanted: Any) -> Any:
    return 0.5 * np.sum((seen_by(R, x, W, V)[0] - wanted) ** 2)


def back_from_each(R: Any, x: Any, W: Any, V: Any, wanted: Any) -> Any:
    y, s = seen_by(R, x, W, V)
    dR, dW, dV = np.zeros_like(R), np.zeros_like(W), np.zeros_like(V)
    for t in range(len(x)):
        dV += np.outer(y[t] - wanted[t], s[t])
        d = V.T.dot(y[t] - wanted[t]) * (1 - s[t] ** 2)
        for k in np.arange(t + 1)[::-1]:
            dR += np.outer(d, s[t - 1])
            dW += np.outer(d, x[t])
            d = R.T.dot(d) * (1 - s[k - 1] ** 2)
    return dR, dW, dV


def twice_in_a_line(R: Any, x: Any, W: Any, V: Any, wanted: Any) -> Any:
    y, s = seen_by(R, x, W, V)
    dR, dW, dV = np.zeros_like(R), np.zeros_like(W), np.zeros_like(V)
    for t in range(len(x))[::-1]:
        dV += np.outer(y[t] - wanted[t], s[t])
        d = V.T.dot(y[t] - wanted[t]) * (1 - s[t] ** 2)
        for k in np.arange(t + 1)[::-1]:
            dR += np.outer(d, s[k - 1])
            dW += np.outer(d, x[k])
            d = R.dot(d) * (1 - s[k] ** 2)
    return dR, dW, dV


def slope_inside(R: Any, x: Any, W: Any, V: Any, wanted: Any) -> Any:
    y, s = seen_by(R, x, W, V)
    dR, dW, dV = np.zeros_like(R), np.zeros_like(W), np.zeros_like(V)
    for t in range(len(x)):
        dV += np.outer(y[t] - wanted[t], s[t])
        d = V.T.dot(y[t] - wanted[t]) * (1 - s[t] ** 2)
        for k in np.arange(t + 1)[::-1]:
            dR += np.outer(d, s[k - 1])
            dW += np.outer(d, x[k])
            d *= R.T.dot(1 - s[k - 1] ** 2)
    return dR, dW, dV


@pytest.mark.parametrize(
    ("backward", "lines"),
    [
        (back_from_each, ["dR += np.outer(d, s[k - 1])", "dW += np.outer(d, x[k])"]),
        (twice_in_a_line, ["d = R.T.dot(d) * (1 - s[k-1] ** 2)"]),
        (slope_inside, ["d = R.T.dot(d) * (1 - s[k - 1] ** 2)"]),
    ],
)
def test_lines_are_found_in_loops_that_go_back_from_each_step(backward: Callable[..., Any], lines: list[str]) -> None:
    example = [np.ones(shape) for shape in ((4, 4), (5, 3), (4, 3), (2, 4), (5, 2))]
    report = check_backward(loss_of, backward, example)
    assert [right.replace(" - 1", "-1") for right in rights(report)] == [line.replace(" - 1", "-1") for line in lines], report


def letters(E: Any, U: Any, V: Any, words: Any, following: Any) -> Any:
    h, loss = np.zeros(4), 0.0
    for word, wanted in zip(words, following, strict=True):
        one = np.zeros(6)
        one[word] = 1
        h = np.tanh(E @ one + U @ h)
        z = np.exp(V @ h)
        loss = loss - np.log(z[wanted] / z.sum())
    return loss


def letters_back(E: Any, U: Any, V: Any, words: Any, following: Any) -> Any:
    hs, ps = [np.zeros(4)], []
    for word in words:
        hs.append(np.tanh(E[:, word] + U @ hs[-1]))
        ps.append(np.exp(V @ hs[-1]) / np.exp(V @ hs[-1]).sum())
    dE, dU, dV, dh = np.zeros_like(E), np.zeros_like(U), np.zeros_like(V), np.zeros(4)
    for t in reversed(range(len(words))):
        dy = ps[t].copy()
        dy[following[t]] -= 1
        dV += np.outer(dy, hs[t + 1])
        dz = (V.T @ dy + dh) * (1 - hs[t + 1] ** 2)
        dE += np.outer(dz, words[t])
        dU += np.outer(dz, hs[t])
        dh = U.T @ dz
    return dE, dU, dV


def test_an_index_that_is_multiplied_with_as_if_it_were_its_unit_vector_is_named() -> None:
    example = ([np.ones(shape) for shape in ((4, 6), (4, 4), (6, 4))], [1, 3, 0, 2, 5], [3, 0, 2, 5, 4])
    report = check_backward(letters, letters_back, (*example[0], *example[1:]))
    assert rights(report) == ["dE[:, words[t]] += dz"]
    assert report.findings[0].kind == "index as a vector"


def left_back(E: Any, U: Any, V: Any, words: Any, following: Any) -> Any:
    hs, ps = [np.zeros(4)], []
    for word in words:
        hs.append(np.tanh(E[:, word] + U @ hs[-1]))
        ps.append(np.exp(V @ hs[-1]) / np.exp(V @ hs[-1]).sum())
    dE, dU, dV, dh = np.zeros_like(E), np.zeros_like(U), np.zeros_like(V), np.zeros(4)
    for t in reversed(range(len(words))):
        dy = ps[t].copy()
        dy[following[t]] -= 1
        dV += np.outer(dy, hs[t + 1])
        dz = (V.T @ dy + dh) * (1 - hs[t + 1])
        dE[:, words[t]] += dz
        dU += np.outer(dz, hs[t])
        dh = U.T @ dz
        return dE, dU, dV
    return None


def test_a_return_that_stands_in_the_loop_is_named_beside_another_mistake() -> None:
    example = ([np.ones(shape) for shape in ((4, 6), (4, 4), (6, 4))], [1, 3, 0, 2, 5], [3, 0, 2, 5, 4])
    report = check_backward(letters, left_back, (*example[0], *example[1:]))
    lines = ["dz = (V.T @ dy + dh) * (1 - hs[t + 1]**2)", "return dE, dU, dV  # behind the loop"]
    assert sorted(rights(report)) == lines, report


def kept(x: Any, h0: Any, W: Any, U: Any) -> Any:
    h = np.zeros((*x.shape[:2], 5))
    for t in range(x.shape[1]):
        h[:, t] = np.tanh(x[:, t] @ W + (h[:, t - 1] if t > 0 else h0) @ U)
    return h, (x, h0, W, U, h)


def kept_back(dh: Any, cache: Any) -> Any:
    x, h0, W, U, h = cache
    dx, dW, dU, d_next = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        before = h[:, t - 1]
        dz = (dh[:, t] + d_next) * (1 - np.tanh(x[:, t] @ W + before @ U) ** 2)
        dx[:, t], d_next = dz @ W.T, dz @ U.T
        dW += x[:, t].T @ dz
        dU += before.T @ dz
    return dx, d_next, dW, dU


def test_what_the_first_step_should_read_is_the_state_that_was_given() -> None:
    example = [np.ones(shape) for shape in ((2, 4, 3), (2, 5), (3, 5), (5, 5))]
    report = check_backward(kept, kept_back, example, outputs=("h", "cache"), returns=("x", "h0", "W", "U"))
    assert rights(report) == ["before = h[:, t - 1] if t > 0 else h0"], report


class Leaky:
    """A state that leaks: a number with a name multiplies what comes in."""

    def __init__(self) -> None:
        self.A, self.B, self.leak = np.ones((4, 3)), np.ones((4, 4)), 0.3

    def read(self, xs: Any) -> Any:
        self.xs, self.hs = xs, [np.zeros(4)]
        for x in xs:
            self.hs.append(self.hs[-1] + self.leak * np.tanh(self.A @ x + self.B @ self.hs[-1]))
        return self.hs[-1]

    def back(self, d: Any) -> Any:
        dA, dB = np.zeros_like(self.A), np.zeros_like(self.B)
        for t in reversed(range(len(self.xs))):
            y = np.tanh(self.A @ self.xs[t] + self.B @ self.hs[t])
            dz = d * (1 - y**2)
            dA += np.outer(dz, self.xs[t])
            dB += np.outer(dz, self.hs[t])
            d = d + self.B.T @ dz
        return dA, dB


def test_a_number_that_has_a_name_is_found_to_be_missing() -> None:
    leaky = Leaky()
    report = check_backward(leaky.read, leaky.back, ([np.ones(3) for _ in range(4)],), outputs=("h",), upstream={"d": "h"})
    assert len(report.findings) == 1
    assert "self.leak" in rights(report)[0], report


class Resuming(Reader):
    """Goes on where it stopped; its backward pass reads the sequence again."""

    def __init__(self) -> None:
        super().__init__()
        self.h = np.zeros((4, 1))

    def loss(self, xs: Any, wanted: Any) -> Any:
        out = self.resume(xs)
        return 0.5 * sum(np.sum((y - z) ** 2) for y, z in zip(out, wanted, strict=True))

    def resume(self, xs: Any) -> Any:
        self.xs, self.hs, out = xs, {-1: self.h}, []
        for t, x in enumerate(xs):
            self.hs[t] = np.tanh(self.A @ x + self.B @ self.hs[t - 1] + self.a)
            out.append(self.C @ self.hs[t] + self.c)
        self.h = self.hs[len(xs) - 1]
        return out

    def learn(self, xs: Any, wanted: Any) -> Any:
        out = self.resume(xs)
        return self.back([y - z for y, z in zip(out, wanted, strict=True)])


def test_a_backward_pass_that_runs_the_forward_pass_again_begins_where_that_began() -> None:
    resuming = Resuming()
    example = ([np.ones((3, 1)) for _ in range(5)], [np.ones((2, 1)) for _ in range(5)])
    report = check_backward(resuming.loss, resuming.learn, example, returns=("A", "B", "C"))
    assert report.passed, report


class WithoutBiases(Reader):
    def __init__(self) -> None:
        super().__init__()
        del self.da, self.dc


class ScaledToANorm(WithoutBiases):
    def loss(self, xs: Any, wanted: Any) -> Any:
        return 0.5 * sum(np.sum((y - z) ** 2) for y, z in zip(self.read(xs), wanted, strict=True))

    def learn(self, xs: Any, wanted: Any, momentum: float = 0.0) -> Any:
        out = self.read(xs)
        dA, dB, dC, dh = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C), np.zeros((4, 1))
        for t in reversed(range(len(xs))):
            dy = out[t] - wanted[t]
            dC += dy @ self.hs[t].T
            dz = (self.C.T @ dy + dh) * (1 - np.tanh(self.hs[t]) ** 2)
            dA += dz @ xs[t].T
            dB += dz @ self.hs[t - 1].T
            dh = self.B.T @ dz
        for grad in (dA, dB, dC):
            norm = np.linalg.norm(grad)
            if norm > 0.5:
                grad *= 0.5 / norm
        return dA, dB, dC


def test_that_gradients_are_scaled_to_a_norm_is_no_line_to_be_corrected() -> None:
    reader = ScaledToANorm()
    example = ([np.ones((3, 1)) for _ in range(5)], [np.ones((2, 1)) for _ in range(5)])
    report = check_backward(reader.loss, reader.learn, example, returns=("A", "B", "C"))
    assert rights(report) == ["dz = (self.C.T @ dy + dh) * (1 - self.hs[t] ** 2)"], report


class AtAnUnknownRate(WithoutBiases):
    def loss(self, xs: Any, wanted: Any) -> Any:
        return 0.5 * sum(np.sum((y - z) ** 2) for y, z in zip(self.read(xs), wanted, strict=True))

    def learn(self, xs: Any, wanted: Any, pace: float = 0.001) -> None:
        out = self.read(xs)
        dA, dB, dC, dh = np.zeros_like(self.A), np.zeros_like(self.B), np.zeros_like(self.C), np.zeros((4, 1))
        for t in reversed(range(1, len(xs) + 1)):
            dy = out[t - 1] - wanted[t - 2]
            dC += dy @ self.hs[t - 1].T
            dz = (self.C.T @ dy + dh) * (1 - self.hs[t - 1] ** 2)
            dA += dz @ xs[t - 1].T
            dB += dz @ self.hs[t - 2].T
            dh = self.B.T @ dz
        self.A -= pace * dA
        self.B -= pace * dB
        self.C -= pace * dC


def test_a_rate_that_another_length_has_shown_is_known_where_all_gradients_are_wrong() -> None:
    reader = AtAnUnknownRate()
    example = ([np.ones((3, 1)) for _ in range(5)], [np.ones((2, 1)) for _ in range(5)])
    report = check_backward(reader.loss, reader.learn, example)
    assert "dy = out[t - 1] - wanted[t - 1]" in rights(report), report


class TwoLayers:
    """Two recurrent layers of two sizes, gone through in a loop; the weights are in lists."""

    def __init__(self) -> None:
        self.W, self.U = [np.ones((3, 5)), np.ones((5, 4))], [np.ones((5, 5)), np.ones((4, 4))]

    def read(self, x: Any) -> Any:
        states, self.kept = [np.zeros((2, 5)), np.zeros((2, 4))], []
        for t in range(len(x)):
            below, here = x[t], []
            for k in range(2):
                now = 1 / (1 + np.exp(-below @ self.W[k] - states[k] @ self.U[k]))
                here.append((below, states[k], now))
                below = states[k] = now
            self.kept.append(here)
        return below

    def back(self, d_out: Any) -> Any:
        dW, dU = [np.zeros_like(w) for w in self.W], [np.zeros_like(u) for u in self.U]
        carried = [np.zeros((2, 5)), d_out]
        for here in self.kept[::-1]:
            above = 0
            for k in (1, 0):
                below, before, now = here[k]
                dz = (carried[k] + above) * (1 - now**2)
                dW[k] += below.T @ dz
                dU[k] += before.T @ dz
                carried[k], above = dz @ self.U[k].T, dz @ self.W[k].T
        return dW, dU


def test_a_line_that_serves_layers_of_several_sizes_is_corrected_and_lists_are_declared_by_their_name() -> None:
    layers = TwoLayers()
    report = check_backward(layers.read, layers.back, (np.ones((4, 2, 3)),), upstream={"d_out": "below"}, returns=("W", "U"))
    assert [right.replace("(now * (1 - now))", "now * (1 - now)") for right in rights(report)] == [
        "dz = (carried[k] + above) * now * (1 - now)"
    ], report


def added_up(a: Any, b: Any, c: Any, W: Any, U: Any, V: Any) -> Any:
    states, deltas, loss = [np.zeros(4)], [], 0.0
    for t in range(3):
        states.append(np.tanh(np.array([[a[t], b[t]]]) @ W + states[-1] @ U))
        miss = c[t] - states[-1] @ V
        deltas.append(miss)
        loss = loss + 0.5 * np.sum(miss**2)
    W_update, U_update, V_update, later = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros(4)
    for back in range(3):
        state, earlier = states[-back - 1], states[-back - 1]
        delta = (later @ U.T + deltas[-back - 1] @ V.T) * (1 - state**2)
        V_update += np.atleast_2d(state).T @ deltas[-back - 1]
        U_update += np.atleast_2d(earlier).T @ delta
        W_update += np.array([[a[2 - back], b[2 - back]]]).T @ delta
        later = delta
    return loss, W_update, U_update, V_update


def test_what_is_added_to_the_weights_is_followed_with_its_sign_and_zeros_without_a_batch_are_a_state() -> None:
    example = [np.ones(3), np.ones(3), np.ones(3), np.ones((2, 4)), np.ones((4, 4)), np.ones((4, 1))]
    report = check_backward(added_up, added_up, example, returns=(None, "W", "U", "V"))
    right = "state, earlier = states[-back - 1], "
    assert rights(report) in ([f"{right}states[2 - back]"], [f"{right}states[-back - 2]"]), report


def alone(x: Any, h: Any, W: Any, U: Any, b: Any) -> Any:
    out = np.tanh(W @ x + U @ h + b)
    return out, (x, h, W, U, out)


def alone_back(d_out: Any, cache: Any) -> Any:
    x, h, W, U, out = cache
    dz = d_out * (1 - out**2)
    db = dz.sum(axis=1, keepdims=True)
    return W.T @ d_out, U @ dz, dz @ x.T, dz @ h.T, db


def test_of_two_names_for_one_value_it_is_not_the_bias_s() -> None:
    example = [np.ones(shape) for shape in ((3, 1), (5, 1), (5, 3), (5, 5), (5, 1))]
    report = check_backward(alone, alone_back, example, outputs=("out", "cache"), returns=("x", "h", "W", "U", "b"))
    assert rights(report) == ["return W.T @ dz, U.T @ dz, dz @ x.T, dz @ h.T, db"], report


def of_vectors_back(d_out: Any, cache: Any) -> Any:
    x, h, W, U, out = cache
    dz = d_out * (1 - out**2)
    return W.T @ dz, U @ dz, np.outer(dz, x), np.outer(dz, h), dz


def test_of_a_product_with_a_vector_it_is_the_matrix_that_is_not_transposed() -> None:
    example = [np.ones(shape) for shape in ((3,), (5,), (5, 3), (5, 5), (5,))]
    report = check_backward(alone, of_vectors_back, example, outputs=("out", "cache"), returns=("x", "h", "W", "U", "b"))
    assert rights(report) == ["return W.T @ dz, U.T @ dz, np.outer(dz, x), np.outer(dz, h), dz"], report


def set_before_the_inner_loop(R: Any, x: Any, W: Any, V: Any, wanted: Any) -> Any:
    y, s = seen_by(R, x, W, V)
    dR, dW, dV, dx = np.zeros_like(R), np.zeros_like(W), np.zeros_like(V), np.zeros_like(x)
    for t in range(len(x))[::-1]:
        dV += np.outer(y[t] - wanted[t], s[t])
        d = V.T.dot(y[t] - wanted[t]) * (1 - s[t] ** 2)
        dx[t] = W.T.dot(d)
        for k in np.arange(t + 1)[::-1]:
            dR += np.outer(d, s[k - 1])
            dW += np.outer(d, x[k])
            d = R.T.dot(d) * (1 - s[k - 1] ** 2)
    return dR, dx, dW, dV


def test_a_line_that_belongs_into_the_inner_loop_is_moved_there() -> None:
    example = [np.ones(shape) for shape in ((4, 4), (5, 3), (4, 3), (2, 4), (5, 2))]
    report = check_backward(loss_of, set_before_the_inner_loop, example)
    assert any("dx[k] += W.T.dot(d)" in right for right in rights(report)), report
