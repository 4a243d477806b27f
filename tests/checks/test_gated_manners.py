"""Manners in which gated cells are written: nodes that store all they make, names of gates at a step, gradients of states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward, errors
from minigrad.checks.tracing import Tape


def sigma(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


class Weights:
    """Weights of a gated cell with the places for their gradients."""

    def __init__(self) -> None:
        self.wk, self.wv, self.pk = arrays(wk=(5, 8), wv=(5, 8), pk=(5,)).values()
        self.wk_diff, self.wv_diff, self.pk_diff = (np.zeros_like(w) for w in (self.wk, self.wv, self.pk))


class Values:
    """What a node keeps of a step."""

    def __init__(self) -> None:
        self.h, self.bottom_diff_h = np.zeros(5), np.zeros(5)


class Node:
    """One step that returns nothing: values and gradients are stored in what it holds."""

    def __init__(self) -> None:
        self.weights, self.values = Weights(), Values()

    def enter(self, x: Any, h_prev: Any) -> None:
        self.both, self.h_prev = np.hstack((x, h_prev)), h_prev
        self.values.k = sigma(self.weights.wk @ self.both + self.weights.pk * h_prev)
        self.values.v = np.tanh(self.weights.wv @ self.both)
        self.values.h = self.values.k * h_prev + (1 - self.values.k) * self.values.v

    def leave(self, top_diff_h: Any) -> None:
        k, v, w = self.values.k, self.values.v, self.weights
        before_k = top_diff_h * (self.h_prev - v) * k * (1 - k)
        before_v = top_diff_h * (1 - k) * (1 - v**2)
        w.wk_diff += np.outer(before_k, self.both)
        w.wv_diff += np.outer(before_v, self.both)
        w.pk_diff += before_k * self.h_prev
        back = w.wk.T @ before_k + w.wv.T @ before_v
        self.values.bottom_diff_h = back[3:] + w.pk * before_k + top_diff_h * k


class WrongNode(Node):
    """The same with a path missing."""

    def leave(self, top_diff_h: Any) -> None:
        super().leave(top_diff_h)
        k, v = self.values.k, self.values.v
        self.values.bottom_diff_h -= self.weights.pk * top_diff_h * (self.h_prev - v) * k * (1 - k)


def step(x: Any) -> tuple[Any, ...]:
    return np.ones(x), np.ones(5)


def test_a_node_that_stores_its_outputs_and_gradients_is_checked_as_it_is() -> None:
    node = Node()
    report = check_backward(node.enter, node.leave, step(3))
    assert report.passed, report
    assert report.comparison is not None
    assert {d.gradient for d in report.comparison.differences} == {"h_prev", "wk", "wv", "pk"}


def test_a_stored_gradient_of_the_state_before_is_not_that_of_the_value_left_of_a_call_before() -> None:
    node = WrongNode()
    report = check_backward(node.enter, node.leave, step(3))
    assert not report.passed
    assert {name for finding in report.findings for name in finding.gradients} == {"bottom_diff_h"}


def test_outputs_that_are_stored_can_be_declared() -> None:
    class Cell(Node):
        def leave(self, delta: Any) -> None:  # type: ignore[override]
            super().leave(delta)

    cell = Cell()
    assert check_backward(cell.enter, cell.leave, step(3), outputs=("h",)).passed
    with pytest.raises(errors.ArgumentError, match=r"returns nothing to follow.*outputs=.*'h'"):
        check_backward(cell.enter, cell.leave, step(3))


def keep(x: Any, a_prev: Any, W: Any) -> Any:
    both = np.concatenate((a_prev, x))
    u = sigma(W @ both)
    a_next = u * a_prev
    return a_next, (both, u, a_prev, W)


def exchange(a_prev: Any, c_prev: Any) -> Any:
    a_next, c_next = np.tanh(c_prev), a_prev * c_prev
    return a_next, c_next, (a_next, a_prev, c_prev)


def test_gradients_that_are_called_after_the_step_are_those_of_the_states_before() -> None:
    def backward(da_next: Any, dc_next: Any, cache: Any) -> Any:
        a_next, a_prev, c_prev = cache
        return {"dc_prevt": da_next * (1 - a_next**2) + dc_next * a_prev, "da_prevt": dc_next * c_prev}

    report = check_backward(exchange, backward, tuple(arrays(a_prev=(5, 2), c_prev=(5, 2)).values()))
    assert report.passed, report
    assert not report.notes


def rolled(xs: Any, h0: Any, W: Any) -> Any:
    hs, h = np.zeros((len(xs), *h0.shape)), h0
    for t in range(len(xs)):
        h = np.tanh(xs[t] + h @ W)
        hs[t] = h
    return hs, (hs, h0, W)


def of_all_states(dhs_in: Any, cache: Any) -> Any:
    hs, h0, W = cache
    dxs, dW, dh = np.zeros_like(hs), np.zeros_like(W), dhs_in.copy()
    for t in reversed(range(len(hs))):
        dxs[t] = dh[t] * (1 - hs[t] ** 2)
        dW += (hs[t - 1] if t else h0).T @ dxs[t]
        if t:
            dh[t - 1] += dxs[t] @ W.T
    return {"xs": dxs, "W": dW, "hs_out": dh}


def test_the_gradients_of_all_states_are_not_taken_for_that_of_the_first() -> None:
    report = check_backward(rolled, of_all_states, tuple(arrays(xs=(4, 2, 5), h0=(2, 5), W=(5, 5)).values()))
    assert report.passed, report


def test_a_shape_that_is_wrong_at_more_steps_than_one_is_found() -> None:
    def backward(dhs: Any, cache: Any) -> Any:
        found = of_all_states(dhs, cache)
        return found["xs"], found["hs_out"], found["W"]

    example = tuple(arrays(xs=(4, 2, 5), h0=(2, 5), W=(5, 5)).values())
    report = check_backward(rolled, backward, example, returns=("xs", "h0", "W"))
    assert not report.passed
    assert "(4, 2, 5)" in report.findings[0].missing


def test_gradients_of_which_one_entry_is_clipped_pass_and_are_said_to_be() -> None:
    def loss(x: Any, W: Any, b: Any) -> Any:
        return np.sum((x @ W + b - 1) ** 2), x

    def backward(x: Any, W: Any, b: Any) -> Any:
        d = 2 * (x @ W + b - 1)
        found = {"dW": x.T @ d, "db": d.sum(axis=0)}
        sizes = sorted(np.abs(np.concatenate([g.ravel() for g in found.values()])))
        bound = max(known for known in (0.5, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0) if known < sizes[-1])
        clipped.append(sum(size > bound for size in sizes))
        return {name: np.clip(g, -bound, bound) for name, g in found.items()}

    clipped: list[int] = []
    report = check_backward(loss, backward, tuple(arrays(x=(3, 4), W=(4, 2), b=(2,)).values()))
    assert report.passed, report
    assert any("clipped to ±" in note for note in report.notes), report
    assert clipped[0] == 1


def test_a_target_that_no_argument_is_asks_for_the_loss() -> None:
    def forward(x: Any, W: Any) -> Any:
        return x @ W

    def backward(x: Any, y_true: Any, W: Any) -> Any:
        return {"dW": x.T @ (x @ W - y_true)}

    with pytest.raises(errors.ArgumentError, match="y_true is the target of a loss"):
        check_backward(forward, backward, tuple(arrays(x=(3, 4), W=(4, 2)).values()))


class Mixer:
    """A gated cell that moves its weights itself."""

    def __init__(self) -> None:
        self.wk, self.wv = arrays(wk=(3, 2), wv=(3, 2)).values()
        self.seen = np.zeros((3, 2))

    def forward(self, x: Any) -> Any:
        self.x, self.k, self.v = x, sigma(x @ self.wk), np.tanh(x @ self.wv)
        return self.k * self.v

    def learn(self, errors: Any) -> None:
        dk, dv = self.gradients(errors)
        self.wk += 0.1 * dk
        self.wv += 0.1 * dv

    def gradients(self, errors: Any) -> tuple[Any, Any]:
        dk = self.x.T @ (errors * self.v * self.k * (1 - self.k))
        return dk, self.x.T @ (errors * self.k * (1 - self.v**2))


def test_weights_that_are_moved_along_the_error_are_right_by_convention() -> None:
    mixer = Mixer()
    report = check_backward(mixer.forward, mixer.learn, [np.ones((4, 3))])
    assert report.passed, report
    assert any("the target less the output" in note for note in report.notes)


def test_steps_up_the_loss_of_the_forward_pass_itself_are_wrong() -> None:
    def loss(mixer: Any, x: Any, y: Any) -> Any:
        return ((mixer.forward(x) - y) ** 2).sum() / 2, mixer.k * mixer.v

    def learn(mixer: Any, y: Any, output: Any) -> None:
        mixer.learn(output - y)

    report = check_backward(loss, learn, [Mixer(), *arrays(x=(4, 3), y=(4, 2)).values()], outputs=("loss", "output"))
    assert not report.passed


def test_small_gradients_of_moved_weights_are_not_lost_in_rounding() -> None:
    class Slow(Mixer):
        def forward(self, x: Any) -> Any:
            return 1e-3 * super().forward(x)

        def learn(self, errors: Any, lr: float) -> None:  # type: ignore[override]
            dk, dv = self.gradients(1e-3 * errors)
            self.wk -= lr * dk
            self.wv -= lr * dv

    slow = Slow()
    report = check_backward(slow.forward, slow.learn, [np.ones((4, 3))])
    assert report.passed, report


def test_steps_that_show_signs_alone_are_refused() -> None:
    class Adaptive(Mixer):
        def learn(self, errors: Any) -> None:
            for w, d in zip((self.wk, self.wv), self.gradients(errors), strict=True):
                w -= 0.1 * np.sign(d)

    cell = Adaptive()
    with pytest.raises(errors.ArgumentError, match="let it return the gradients"):
        check_backward(cell.forward, cell.learn, [np.ones((4, 3))])


def test_zeros_that_a_state_begins_with_are_called_as_the_state() -> None:
    def forward(xs: Any, W: Any, U: Any) -> Any:
        memory = np.zeros((2, 5))
        kept = []
        for x in xs:
            kept.append(memory)
            memory = np.tanh(x @ W + memory @ U)
        return memory, (xs, [*kept, memory], W, U)

    def backward(dmemory: Any, cache: Any) -> Any:
        xs, kept, W, U = cache
        dW, dU = np.zeros_like(W), np.zeros_like(U)
        for t in reversed(range(len(xs))):
            da = dmemory * (1 - kept[t + 1] ** 2)
            dW += xs[t].T @ da
            dU += kept[-1].T @ da
            dmemory = da @ U.T
        return {"dW": dW, "dU": dU}

    report = check_backward(forward, backward, tuple(arrays(xs=(4, 2, 3), W=(3, 5), U=(5, 5)).values()))
    assert not report.passed
    assert "the initial 0" not in str(report)


def test_a_zero_gradient_is_said_to_be_zero_and_no_more() -> None:
    def backward(da_next: Any, cache: Any) -> Any:
        both, u, a_prev, _ = cache
        return {"da_prev": 0 * da_next, "dx": 0 * both[5:], "dW": (da_next * a_prev * u * (1 - u)) @ both.T}

    report = check_backward(keep, backward, tuple(arrays(x=(3, 2), a_prev=(5, 2), W=(5, 8)).values()), seconds=0)
    said = {finding.missing.partition(",")[0] for finding in report.findings}
    assert said == {"dx is 0 in every entry", "da_prev is 0 in every entry"}
    assert {finding.kind for finding in report.findings} == {"is zero"}


def test_a_gradient_of_stacked_biases_that_is_not_summed_is_named() -> None:
    def forward(x: Any, W: Any, b: Any) -> Any:
        k, v = sigma(x @ W[:, :3] + b[:3]), np.tanh(x @ W[:, 3:] + b[3:])
        return k * v, (x, k, v)

    def backward(dout: Any, cache: Any) -> Any:
        x, k, v = cache
        da = np.hstack((dout * v * k * (1 - k), dout * k * (1 - v**2)))
        return {"dW": x.T @ da, "db": da}

    report = check_backward(forward, backward, tuple(arrays(x=(4, 2), W=(2, 6), b=(6,)).values()), outputs=("y", "cache"))
    assert [finding.kind for finding in report.findings] == ["not summed"]


def test_values_that_objects_keep_by_step_have_the_names_of_where_they_are_kept() -> None:
    class Kept:
        pass

    class Net:
        def __init__(self) -> None:
            self.gates: dict[int, Any] = {}
            self.inner: Any = Kept()
            self.weights: list[Any] = []

        def run(self, x: Any) -> None:
            self.weights.append(x)
            self.gates[0] = np.tanh(x)
            self.inner.h = self.gates[0] * np.exp(self.gates[0])

    net, tape = Net(), Tape()
    x = tape.leaf(np.ones(3), "x")
    tape.run(lambda: net.run(x), [Net])
    assert [(line.op, line.name) for line in tape.lines] == [
        ("argument", "x"), ("tanh", "gates"), ("exp", None), ("mul", "h")
    ]  # fmt: skip
