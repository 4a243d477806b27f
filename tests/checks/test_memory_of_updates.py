"""check_backward: a backward pass that updates the weights by a rule with a memory is right or wrong as its gradients are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward
from minigrad.checks.memory import only_signs
from minigrad.errors import ArgumentError


def adagrad(w: Any, g: Any, first: Any, second: Any, rate: float) -> None:
    second += g * g
    w -= rate * g / np.sqrt(second + 1e-8)


def rmsprop(w: Any, g: Any, first: Any, second: Any, rate: float) -> None:
    second[...] = 0.9 * second + 0.1 * g * g
    w -= rate * g / (np.sqrt(second) + 1e-8)


def adam(w: Any, g: Any, first: Any, second: Any, rate: float) -> None:
    first[...] = 0.9 * first + 0.1 * g
    second[...] = 0.999 * second + 0.001 * g * g
    w -= rate * (first / 0.1) / (np.sqrt(second / 0.001) + 1e-8)


def momentum(w: Any, g: Any, first: Any, second: Any, rate: float) -> None:
    first[...] = 0.9 * first - rate * g
    w += first


RULES = {"adagrad": adagrad, "rmsprop": rmsprop, "adam": adam, "momentum": momentum}


class Net:
    """Two layers that learn by themselves."""

    def __init__(self, rule: str) -> None:
        self.W, self.U = arrays(W=(4, 4), U=(4, 2)).values()
        self.rule, self.lr = RULES[rule], 0.1
        if rule in ("adam", "momentum"):
            self.mW, self.mU = np.zeros((4, 4)), np.zeros((4, 2))
        if rule != "momentum":
            self.vW, self.vU = np.zeros((4, 4)), np.zeros((4, 2))

    def forward(self, x: Any, y: Any) -> Any:
        self.x, self.h = x, np.tanh(np.tanh(x @ self.W) @ self.W)
        self.out = self.h @ self.U
        return 0.5 * np.sum((self.out - y) ** 2)

    def through(self, da: Any) -> Any:
        return da @ self.W.T

    def backward(self, y: Any) -> None:
        dy, first = self.out - y, np.tanh(self.x @ self.W)
        dU, da = self.h.T @ dy, dy @ self.U.T * (1 - self.h**2)
        dh = self.through(da)
        dW = first.T @ da + self.x.T @ (dh * (1 - first**2))
        for w, g, name in ((self.W, dW, "W"), (self.U, dU, "U")):
            self.rule(w, g, getattr(self, f"m{name}", None), getattr(self, f"v{name}", None), self.lr)


class WrongNet(Net):
    """The same with one mistake."""

    def through(self, da: Any) -> Any:
        return da @ self.W


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", [Net, WrongNet])
def test_the_gradients_are_read_from_the_updates_of_a_rule_with_a_memory(rule: str, kind: type[Net]) -> None:
    net = kind(rule)
    report = check_backward(net.forward, net.backward, (np.ones((5, 4)), np.ones((5, 2))))
    assert report.passed == (kind is Net), report
    assert (rule != "momentum") == any("made so large" in note for note in report.notes)
    if kind is WrongNet:
        assert [finding.kind for finding in report.findings] == ["not transposed"], report


def test_steps_of_one_size_are_told_from_gradients() -> None:
    g = np.random.default_rng(0).standard_normal((6, 7))
    assert only_signs([np.sign(g), np.sign(g[0])])
    assert not only_signs([g, np.sign(g)])
    assert not only_signs([])


class WithBias:
    """One layer with a bias, whose memory vb is called after it."""

    def __init__(self) -> None:
        self.W, self.b = arrays(W=(4, 3), b=(3,)).values()
        self.lr = 0.01
        self.mW, self.mb, self.vW, self.vb = np.zeros((4, 3)), np.zeros(3), np.zeros((4, 3)), np.zeros(3)

    def forward(self, x: Any, y: Any) -> Any:
        self.x = x
        self.out = np.tanh(x @ self.W + self.b)
        return 0.5 * np.sum((self.out - y) ** 2)

    def backward(self, y: Any) -> None:
        dz = (self.out - y) * (1 - self.out**2)
        for w, g, m, v in ((self.W, self.x.T @ dz, self.mW, self.vW), (self.b, dz.sum(axis=0), self.mb, self.vb)):
            adam(w, g, m, v, self.lr)


def test_the_memory_of_a_bias_is_told_from_its_mean_by_its_name() -> None:
    net = WithBias()
    report = check_backward(net.forward, net.backward, (np.ones((5, 4)), np.ones((5, 3))))
    assert report.passed, report


class Faint(WithBias):
    """The same where gradients are tiny beside the weights."""

    def forward(self, x: Any, y: Any) -> Any:
        return 1e-4 * super().forward(x, y)

    def backward(self, y: Any) -> None:
        dz = 1e-4 * (self.out - y) * (1 - self.out**2)
        for w, g, m, v in ((self.W, self.x.T @ dz, self.mW, self.vW), (self.b, dz.sum(axis=0), self.mb, self.vb)):
            adam(w, g, m, v, self.lr)


def test_steps_that_a_memory_makes_small_are_not_lost_beside_the_weights() -> None:
    net = Faint()
    report = check_backward(net.forward, net.backward, (np.ones((5, 4)), np.ones((5, 3))))
    assert report.passed, report


class Steps:
    """Adam that makes its memory when it first steps."""

    def __init__(self) -> None:
        self.first: Any = None
        self.second: Any = None

    def after(self, w: Any, g: Any) -> Any:
        if self.first is None:
            self.first, self.second = np.zeros_like(w), np.zeros_like(w)
        self.first = 0.9 * self.first + 0.1 * g
        self.second = 0.999 * self.second + 0.001 * g**2
        return w - 0.01 * (self.first / 0.1) / (np.sqrt(self.second / 0.001) + 1e-8)


class Stepping(WithBias):
    """A layer whose gradients are variables, and all that is seen of them is steps of one size."""

    def __init__(self) -> None:
        self.W, self.b = arrays(W=(4, 3), b=(3,)).values()
        self.steps = {"W": Steps(), "b": Steps()}

    def backward(self, y: Any) -> None:
        dz = (self.out - y) * (1 - self.out**2)
        dW = self.x.T @ dz
        db = dz.sum(axis=0)
        self.W = self.steps["W"].after(self.W, dW)
        self.b = self.steps["b"].after(self.b, db)


class WrongStepping(Stepping):
    """The same with one mistake."""

    def backward(self, y: Any) -> None:
        dz = (self.out - y) * (1 - self.out**2)
        grads = {"W": self.x.T @ dz, "b": dz.mean(axis=0)}
        self.W = self.steps["W"].after(self.W, grads["W"])
        self.b = self.steps["b"].after(self.b, grads["b"])


@pytest.mark.parametrize("kind", [Stepping, WrongStepping])
def test_gradients_are_the_variables_that_are_called_so_where_steps_show_signs_alone(kind: type[Stepping]) -> None:
    net = kind()
    report = check_backward(net.forward, net.backward, (np.ones((5, 4)), np.ones((5, 3))))
    assert report.passed == (kind is Stepping), report
    assert any("taken are the variables" in note for note in report.notes)
    assert [finding.kind for finding in report.findings] == ["averaged instead of summed"] * (kind is WrongStepping)


class Unnamed(Stepping):
    """The same where no variable is called a gradient."""

    def backward(self, y: Any) -> None:
        inner = (self.out - y) * (1 - self.out**2)
        self.W = self.steps["W"].after(self.W, self.x.T @ inner)
        self.b = self.steps["b"].after(self.b, inner.sum(axis=0))


def test_steps_of_one_size_are_refused_where_no_variable_is_called_a_gradient() -> None:
    net = Unnamed()
    with pytest.raises(ArgumentError, match="steps of one size"):
        check_backward(net.forward, net.backward, (np.ones((5, 4)), np.ones((5, 3))))
