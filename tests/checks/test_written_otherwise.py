"""Passes that are written otherwise: indented by tabs, with what is kept in dicts, or both in one function that others call."""

from __future__ import annotations

import linecache
import types
from typing import Any

import numpy as np
from derivation_cases import arrays

from minigrad import check_backward

INDENTED = '''
import numpy as np

class Cell(object):
\tdef __init__(self, D, H):
\t\tself.W = np.ones((H, D))
\t\tself.U = np.ones((H, H))

\tdef forward(self, xs, h0):
\t\tself.xs = xs
\t\tself.hs = {-1: h0}
\t\tkept = []
\t\tfor t in range(len(xs)):
\t\t\th = np.tanh(self.W @ xs[t] + self.U @ self.hs[t - 1])
\t\t\tkept.append(h)
\t\t\tself.hs[t] = h
\t\treturn kept

\tdef backward(self, dkept):
\t\tdW, dU = np.zeros_like(self.W), np.zeros_like(self.U)
\t\tdh = np.zeros_like(self.hs[0])
\t\tfor t in reversed(range(len(self.xs))):
\t\t\tdh = dh + dkept[t]
\t\t\tda = dh * (1 - self.hs[t])
\t\t\tdW += da @ self.xs[t].T
\t\t\tdU += da @ self.hs[t - 1].T
\t\t\tdh = self.U.T @ da
\t\treturn {"W": dW, "U": dU, "h0": dh}
'''


def test_lines_that_are_indented_by_tabs_are_written_otherwise_too() -> None:
    module = types.ModuleType("indented_by_tabs")
    linecache.cache["indented_by_tabs.py"] = (len(INDENTED), None, INDENTED.splitlines(keepends=True), "indented_by_tabs.py")
    exec(compile(INDENTED, "indented_by_tabs.py", "exec"), module.__dict__)
    cell = module.Cell(3, 4)
    report = check_backward(cell.forward, cell.backward, ([np.ones((3, 2)) for _ in range(4)], np.ones((4, 2))))
    assert [finding.right for finding in report.findings] == ["da = dh * (1 - self.hs[t]**2)"], report
    assert "line 24" in report.findings[0].where


def loss(params: Any, xs: Any, ys: Any, h0: Any) -> Any:
    hs, total = {-1: h0}, 0.0
    for t in range(len(xs)):
        hs[t] = np.tanh(params["W"] @ xs[t] + params["U"] @ hs[t - 1])
        total += 0.5 * np.sum((params["V"] @ hs[t] - ys[t]) ** 2)
    return total


def through_one(grads: Any, params: Any, dy: Any, x: Any, h: Any, h_prev: Any) -> Any:
    grads["dV"] += dy @ h.T
    dh = params["V"].T @ dy
    da = (1 - h * h) * dh
    grads["dW"] += da @ x.T
    grads["dU"] += da @ h_prev.T
    grads["dh_next"] = params["U"].T @ da
    return grads


def through_all(params: Any, xs: Any, ys: Any, h0: Any) -> Any:
    hs = {-1: h0}
    for t in range(len(xs)):
        hs[t] = np.tanh(params["W"] @ xs[t] + params["U"] @ hs[t - 1])
    grads = {f"d{name}": np.zeros_like(value) for name, value in params.items()}
    grads["dh_next"] = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        grads = through_one(grads, params, params["V"] @ hs[t] - ys[t], xs[t], hs[t], hs[t - 1])
    return {name: grads[f"d{name}"] for name in params}


def test_what_is_kept_in_a_dict_for_the_step_before_and_never_read_is_at_hand() -> None:
    params = arrays(W=(4, 3), U=(4, 4), V=(2, 4))
    xs, ys = [np.ones((3, 1)) for _ in range(4)], [np.ones((2, 1)) for _ in range(4)]
    report = check_backward(loss, through_all, (params, xs, ys, np.ones((4, 1))))
    assert [finding.right for finding in report.findings] == ['dh = params["V"].T @ dy + grads["dh_next"]'], report


def loss_and_gradients(W: Any, U: Any, x: Any, y: Any) -> Any:
    h = np.tanh(W @ x)
    error = U @ h - y
    dU = error @ h.T
    dh = U.T @ error
    dW = dh * (1 - h) @ x.T
    return 0.5 * np.sum(error**2), {"W": dW, "U": dU}


def loss_alone(W: Any, U: Any, x: Any, y: Any) -> Any:
    return loss_and_gradients(W, U, x, y)[0]


def gradients_alone(W: Any, U: Any, x: Any, y: Any) -> Any:
    return loss_and_gradients(W, U, x, y)[1]


def test_one_function_that_both_passes_call_is_looked_into() -> None:
    example = arrays(W=(4, 3), U=(2, 4), x=(3, 5), y=(2, 5))
    report = check_backward(loss_alone, gradients_alone, tuple(example.values()))
    assert [finding.right for finding in report.findings] == ["dW = dh * (1 - h**2) @ x.T"], report


def gate(h: Any, x: Any, W: Any, U: Any) -> Any:
    z = 1 / (1 + np.exp(-W @ x))
    n = np.tanh(U @ x)
    return (1 - z) * h + z * n, (h, x, W, U, z, n)


def gate_backward(dh_new: Any, cache: Any) -> Any:
    h, x, W, U, z, n = cache
    dz = np.multiply(dh_new, h - n)
    da_z = dz * z * (1 - z)
    da_n = dh_new * z * (1 - n**2)
    dW = np.dot(da_z, x.T)
    dx = np.dot(W.T, da_z) + np.dot(U.T, da_n)
    return {"h": dh_new * (1 - z), "x": dx, "W": dW, "U": np.dot(da_n, x.T)}


def test_one_line_is_named_where_several_behind_it_could_make_up_for_it() -> None:
    example = arrays(h=(4, 2), x=(3, 2), W=(4, 3), U=(4, 3))
    report = check_backward(gate, gate_backward, tuple(example.values()), outputs=("h_new", "cache"))
    assert [finding.right for finding in report.findings] == ["dz = np.multiply(dh_new, n - h)"], report


class LastOnly:
    """A network with one output after the last step, whose error is taken at every step."""

    def __init__(self) -> None:
        self.W, self.U, self.V = arrays(W=(4, 3), U=(4, 4), V=(2, 4)).values()

    def output(self, xs: Any) -> Any:
        self.hs: dict[int, Any] = {}
        h = np.zeros((4, 1))
        for t in range(len(xs)):
            self.hs[t] = np.tanh(self.W @ xs[t] + self.U @ h)
            h = self.hs[t]
        return self.V @ h

    def loss(self, xs: Any, y: Any) -> Any:
        return 0.5 * np.sum((self.output(xs) - y) ** 2)

    def gradients(self, xs: Any, y: Any) -> Any:
        out = self.output(xs)
        dW, dU, dV = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.V)
        dnext = np.zeros((4, 1))
        for t in reversed(range(len(xs))):
            dout = out - y
            dV += dout @ self.hs[t].T
            dh = self.V.T @ dout + dnext
            da = dh * (1 - self.hs[t] ** 2)
            dW += da @ xs[t].T
            dU += da @ self.hs[t - 1].T
            dnext = self.U.T @ da
        return {"W": dW, "U": dU, "V": dV}


def test_an_error_of_the_last_step_taken_at_every_step_and_a_state_that_there_is_not_are_named() -> None:
    net = LastOnly()
    report = check_backward(net.loss, net.gradients, ([np.ones((3, 1)) for _ in range(4)], np.ones((2, 1))))
    assert [finding.right for finding in report.findings] == [
        "dU += da @ (self.hs[t - 1] if t > 0 else 0 * self.hs[t]).T",
        "dout = out - y if t == len(xs) - 1 else 0 * (out - y)",
    ], report
    assert [finding.kind for finding in report.findings] == ["raises an error", "some steps only"]


class LastTerm(LastOnly):
    """The same where what the output sends back is computed once, and added at every step."""

    def gradients(self, xs: Any, y: Any) -> Any:
        dout = self.output(xs) - y
        dW, dU = np.zeros_like(self.W), np.zeros_like(self.U)
        dnext = np.zeros((4, 1))
        for t in range(len(xs) - 1, -1, -1):
            dh = self.V.T @ dout + dnext
            da = dh * (1 - self.hs[t] ** 2)
            dW += da @ xs[t].T
            if t > 0:
                dU += da @ self.hs[t - 1].T
            dnext = self.U.T @ da
        return {"W": dW, "U": dU, "V": dout @ self.hs[len(xs) - 1].T}


def test_a_term_of_the_last_step_added_at_every_step_is_named() -> None:
    net = LastTerm()
    report = check_backward(net.loss, net.gradients, ([np.ones((3, 1)) for _ in range(4)], np.ones((2, 1))))
    assert [finding.right for finding in report.findings] == [
        "dh = (self.V.T @ dout if t == len(xs) - 1 else 0 * (self.V.T @ dout)) + dnext"
    ], report


def projected(inputs: Any, W: Any) -> Any:
    return np.tanh(inputs @ W)


def test_what_arrives_from_above_may_be_called_an_error_of_any_kind() -> None:
    def backward(error_tensor: Any, inputs: Any, W: Any) -> Any:
        inner = error_tensor * (1 - np.tanh(inputs @ W) ** 2)
        return {"inputs": inner @ W.T, "W": inputs.T @ inner}

    assert check_backward(projected, backward, tuple(arrays(inputs=(4, 3), W=(3, 2)).values())).passed


def test_a_parameter_that_is_not_needed_is_given_no_cache() -> None:
    def forward(x: Any, W: Any, mask: Any = None) -> Any:
        y = np.tanh(x @ W)
        return y if mask is None else y * mask, {"x": x, "y": y}

    def backward(dy: Any, W: Any, kept: Any, scale: Any = None) -> Any:
        inner = dy * (1 - kept["y"] ** 2) * (1 if scale is None else scale["no"])
        return {"x": inner @ W.T, "W": kept["x"].T @ inner}

    report = check_backward(forward, backward, tuple(arrays(x=(4, 3), W=(3, 2)).values()), outputs=("y", "kept"))
    assert report.passed, report


def embedded(E: Any, V: Any, words: Any, following: Any) -> Any:
    scores = np.exp(np.tanh(E[words]) @ V)
    p = scores / scores.sum(axis=1, keepdims=True)
    rows = np.arange(len(words))
    loss = -np.sum(np.log(p[rows, following]))
    p[rows, following] -= 1
    dE = np.zeros_like(E)
    np.add.at(dE, words, p @ V.T * (1 - np.tanh(E[words]) ** 2))
    return loss, {"E": dE, "V": np.tanh(E[words]).T @ p}


def test_what_is_added_at_indices_is_followed_in_a_function_that_does_both() -> None:
    words, following = np.array([1, 0, 1, 3]), np.array([0, 2, 2, 1])
    report = check_backward(embedded, embedded, (*arrays(E=(4, 5), V=(5, 3)).values(), words, following))
    assert report.passed, report


class Carrying:
    """A network that keeps its state's gradient in itself, of one example at first, and hands on a part of it."""

    def __init__(self) -> None:
        self.W, self.U = arrays(W=(3, 4), U=(4, 4)).values()
        self.dnext = np.zeros((1, 4))

    def forward(self, X: Any) -> Any:
        self.X, self.h = X, np.zeros((len(X), X.shape[1] + 1, 4))
        for t in range(X.shape[1]):
            self.h[:, t] = np.tanh(X[:, t] @ self.W + self.h[:, t - 1] @ self.U)
        return self.h[:, :-1]

    def backward(self, delta: Any) -> Any:
        dW, dU, dX = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.X)
        for t in reversed(range(self.X.shape[1])):
            dh = delta[:, t] + self.dnext * 0.01
            da = dh * (1 - self.h[:, t] ** 2)
            dW += self.X[:, t].T @ da
            dU += self.h[:, t - 1].T @ da
            dX[:, t] = da @ self.W.T
            self.dnext = da @ self.U.T
        return {"X": dX, "W": dW, "U": dU}


def test_a_state_gradient_that_is_zeros_of_one_example_at_first_is_looked_at() -> None:
    net = Carrying()
    report = check_backward(net.forward, net.backward, (np.ones((2, 4, 3)),))
    assert [finding.right for finding in report.findings] == ["dh = delta[:, t] + self.dnext"], report


class Stored:
    """A layer whose gradients are attributes, scaled together to a norm; one is added to another's."""

    def __init__(self) -> None:
        self.W_f, self.W_g, self.b_f, self.b_g = arrays(W_f=(3, 4), W_g=(3, 4), b_f=(1, 4), b_g=(1, 4)).values()

    def loss(self, x: Any) -> Any:
        self.x, self.f, self.g = x, np.tanh(x @ self.W_f + self.b_f), np.tanh(x @ self.W_g + self.b_g)
        return 5 * np.sum(self.f * self.g)

    def backward(self) -> None:
        self.dW_f, self.dW_g = np.zeros_like(self.W_f), np.zeros_like(self.W_g)
        self.db_f, self.db_g = np.zeros_like(self.b_f), np.zeros_like(self.b_g)
        self.through(5 * self.g * (1 - self.f**2), 5 * self.f * (1 - self.g**2))
        gradients = [self.dW_f, self.dW_g, self.db_f, self.db_g]
        part = 0.5 / np.sqrt(sum(np.sum(g**2) for g in gradients))
        for g in gradients:
            g *= min(part, 1.0)

    def through(self, df: Any, dg: Any) -> None:
        self.dW_f += self.x.T @ df
        self.db_f += df.sum(axis=0, keepdims=True)
        self.dW_g += self.x.T @ dg
        self.dW_g += dg.sum(axis=0, keepdims=True)


def test_a_gradient_that_is_added_to_another_is_named_though_all_are_scaled_together() -> None:
    net = Stored()
    report = check_backward(net.loss, net.backward, (np.ones((5, 3)),))
    assert [finding.right for finding in report.findings] == ["self.db_g += dg.sum(axis=0, keepdims=True)"], report
    assert "gradients are scaled together to the norm 0.5" in report.notes


def mean_of_wrong(dy: Any, xs: Any, W: Any, U: Any) -> Any:
    hs = [np.zeros((len(xs[0]), 4))]
    for x in xs:
        hs.append(np.tanh(x @ W + hs[-1] @ U))
    dW, dU, dh = np.zeros_like(W), np.zeros_like(U), dy
    for t in reversed(range(len(xs))):
        da = dh * (1 - hs[t + 1])
        dW += xs[t].T @ da
        dU += hs[t].T @ da
        dh = da @ U.T
    dW /= len(dy)
    dU /= len(dy)
    return {"W": dW, "U": dU}


def test_the_mean_over_the_examples_is_no_line_too_many() -> None:
    def forward(xs: Any, W: Any, U: Any) -> Any:
        h = np.zeros((len(xs[0]), 4))
        for x in xs:
            h = np.tanh(x @ W + h @ U)
        return h

    example = ([np.ones((5, 3)) for _ in range(3)], *arrays(W=(3, 4), U=(4, 4)).values())
    report = check_backward(forward, mean_of_wrong, example)
    assert [finding.right for finding in report.findings] == ["da = dh * (1 - hs[t + 1]**2)"], report


class Handed:
    """A step whose backward pass is called by another function."""

    def __init__(self) -> None:
        self.W, self.U = arrays(W=(3, 4), U=(4, 4)).values()

    def forward(self, x: Any, h_prev: Any) -> Any:
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(x @ self.W + h_prev @ self.U)
        return self.h

    def backward(self, dh: Any) -> Any:
        da = dh * (1 - self.h**2)
        self.dW, self.dU = self.x.T @ da, self.h_prev.T @ da
        dx, dh_prev = da @ self.W.T, da @ self.U.T
        return dx, dh_prev


def test_results_that_are_handed_on_are_called_as_where_they_are_made() -> None:
    cell = Handed()

    def backward(dh: Any) -> Any:
        return cell.backward(dh)

    report = check_backward(cell.forward, backward, tuple(arrays(x=(2, 3), h_prev=(2, 4)).values()))
    assert report.passed, report
    assert not report.notes
