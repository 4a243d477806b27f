"""Cells of a user's own in loops: those whose steps are alike are rolled, all others run step by step, all are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rolling_cases import D, H, Pass, assert_close, bits, each_kind, pair, plain, rolled, signature

from minigrad import Module, Parameter, Tensor, concatenate, detect_anomaly, relu, sigmoid, tanh, walk
from minigrad.errors import AnomalyError, ArgumentError, ShapeError
from models.cells import LSTM, RNN
from models.layers import unroll


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape) / 2


class Own:
    """The simple RNN, without any base class and without a bias."""

    steps_alike = True
    state_names = ("h",)

    def __init__(self) -> None:
        self.W, self.U, self.b = (Tensor(weights(*s), requires_grad=True) for s in ((H, D), (H, H), (H,)))

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Tensor)]

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.full((batch, H), 0.1))

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h @ self.U.T)


class OwnModule(Module):
    """The same with a bias, as a Module."""

    steps_alike = True
    state_names: tuple[str, ...] = ("h",)
    initial_state = Own.initial_state

    def __init__(self) -> None:
        self.W, self.U, self.b = (Parameter(weights(*s)) for s in ((4 * H, D), (4 * H, H), (4 * H,)))

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h @ self.U.T + self.b)[:, :H]


class GatesBySlicing(OwnModule):
    """An LSTM with plain operators, whose gates are slices; the state is a plain tuple."""

    steps_alike = True
    state_names = ("c", "h")

    def initial_state(self, batch: int) -> Any:
        zero = Tensor(np.zeros((batch, H)))
        return zero, zero

    def step(self, x: Tensor, state: Any) -> Any:
        c, h = state
        a = x @ self.W.T + h @ self.U.T + self.b
        i, f, g, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), tanh(a[:, 2 * H : 3 * H]), sigmoid(a[:, 3 * H :])
        c = f * c + i * g
        return c, o * tanh(c)


class OneGate(OwnModule):
    """Slices that leave parts of a product unused, and a weight that is cut at every step."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W[:H].T + h @ self.U[H : 2 * H].T + self.b[:H]
        u = sigmoid(a)
        return u * tanh(x @ self.W[2 * H : 3 * H].T) + (1 - u) * h


class UnusedParts(OwnModule):
    """Of a product only two parts are used, and not those that lie side by side."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T + self.b
        return sigmoid(a[:, :H]) * tanh(a[:, 2 * H : 3 * H])


class WholeAndParts(Own):
    """A sum is used as a whole and in parts."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        return sigmoid(a) * concatenate([tanh(a[:, :2]), -a[:, 2:]], axis=1)


class OnePartTwice(Own):
    """Of a sum one half is used twice, the other not at all."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        a = x @ self.W.T + h @ self.U.T
        return tanh(concatenate([sigmoid(a[:, :2]), -a[:, :2]], axis=1))


class Residual(OwnModule):
    """x is used as it is, and so is the old state."""

    steps_alike = True

    def __init__(self) -> None:
        self.U, self.b = Parameter(weights(H, D + H)), Parameter(weights(H))

    def step(self, x: Tensor, h: Any) -> Any:
        return h + tanh(concatenate([x, h], axis=1) @ self.U.T - self.b)


class UnrecordedInput(Own):
    """What is computed of x is not recorded when xs needs no gradient; the product with W is."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh((x * 2.0) @ self.W.T + h @ self.U.T + self.b)


class Detached(Own):
    """Part of the step is cut off from its history, and differs from step to step all the same."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h.detach() @ self.U.T + self.b) + 0.0 * h


class CutOffAndNamed(Own):
    """The same under a name."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(h @ self.U.T + (x * 2.0).named("y") @ self.W.T - self.b)


class Scaled(Own):
    """Numbers stand in the step."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return 0.5 * h + 0.5 * tanh(x @ self.W.T / 2.0 + h @ self.U.T) - 0.1


class Leaky(Own):
    """A number times the old state, and a number minus it."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return 0.5 * h + (1.0 - h) * tanh(x @ self.W.T + h @ self.U.T)


class OutputPassedOn(Own):
    """The memory's new value is the old output: a part of the state that no operation computes."""

    steps_alike = True
    state_names = ("c", "h")

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, H))), Tensor(np.ones((batch, H)))

    def step(self, x: Tensor, state: Any) -> Any:
        c, h = state
        return h, tanh(x @ self.W.T + h @ self.U.T + c * self.b)


class Twice(Own):
    """Both parts of the state are the same tensor."""

    steps_alike = True
    state_names = ("c", "h")
    initial_state = OutputPassedOn.initial_state

    def step(self, x: Tensor, state: Any) -> Any:
        h = tanh(x @ self.W.T + state[1] @ self.U.T + state[0] * self.b)
        return h, h


class NoState(Own):
    """A step that does not look at the state."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + self.b)


class BiasOfNoModule(Own):
    """A bias that no operation keeps, of a cell that does not say what its parameters are."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W.T + h @ self.U.T + self.b)


class NotTransposed(Own):
    """Matrices that stand on the right as they are."""

    steps_alike = True

    def __init__(self) -> None:
        self.W, self.U = (Tensor(weights(*s), requires_grad=True) for s in ((D, H), (H, H)))

    def step(self, x: Tensor, h: Any) -> Any:
        return tanh(x @ self.W + h @ self.U)


class ByMaxima(Own):
    """An operation that nobody knows how to repeat."""

    steps_alike = True

    def step(self, x: Tensor, h: Any) -> Any:
        return relu(x @ self.W.T + h @ self.U.T + self.b)


ROLLED = (Own, WholeAndParts, Leaky, GatesBySlicing, OneGate, Residual)
STEP_BY_STEP = (Detached, CutOffAndNamed, Scaled, OutputPassedOn, NoState, BiasOfNoModule, ByMaxima)
EITHER = (OnePartTwice, UnrecordedInput, UnusedParts, Twice, NotTransposed)


@pytest.mark.parametrize("kind", [*ROLLED, *STEP_BY_STEP, *EITHER])
@pytest.mark.parametrize("wants_xs", [False, True])
@pytest.mark.parametrize("T", [1, 2, 7])
def test_a_users_cell_whose_steps_are_alike_is_right(kind: Any, wants_xs: bool, T: int) -> None:
    for reverse in (False, True):
        one, other = (Pass(k(), T=T, wants_xs=wants_xs, learnt=False, reverse=reverse) for k in (kind, plain(kind)))
        assert kind in EITHER or rolled(one.hs) == (kind in ROLLED)
        assert not rolled(other.hs)
        assert_close(one.results(), other.results())
        assert_close(one.gradients(), other.gradients())


@pytest.mark.parametrize("kind", ROLLED)
def test_its_graph_is_that_of_the_steps_one_by_one(kind: Any) -> None:
    plainly = type(kind.__name__, (kind,), {})
    one, other = (signature(walk(Pass(k(), T=3).loss)) for k in (kind, plainly))
    assert one == other


@each_kind
def test_a_derived_class_says_nothing_of_its_steps_unless_it_says_so_itself(name: str) -> None:
    kind = type(pair(name)[0])
    xs = np.ones((3, 2, 3))
    again = type("Again", (kind,), {"steps_alike": True})
    not_alike = type("NotAlike", (kind,), {"steps_alike": False})
    assert [rolled(unroll(k(D, H), xs)[0]) for k in (kind, plain(kind), again, not_alike)] == [True, False, True, False]


def test_a_step_that_counts_its_calls_is_called_at_every_step() -> None:
    class Counting(LSTM):
        label = "lstm"
        calls = 0

        def step(self, x: Tensor, state: Any) -> Any:
            self.calls += 1
            return super().step(x, state)

    cell = Counting(D, H)
    unroll(cell, np.ones((9, 2, 3)))
    assert cell.calls == 9


@each_kind
def test_lengths_and_truncation_run_the_steps_one_by_one(name: str) -> None:
    xs = np.random.default_rng(0).standard_normal((5, 2, 3))
    for options in ({"lengths": [5, 3]}, {"truncated": 2}, {"lengths": [4, 1], "reverse": True}):
        found = []
        for cell in pair(name):
            hs, _ = unroll(cell, xs, **options)
            assert not rolled(hs)
            (hs * hs).sum().backward()
            found.append({"hs": hs.numpy()} | {key: p.grad for key, p in cell.named_parameters()})
        assert bits(found[0]) == bits(found[1])
    assert rolled(unroll(pair(name)[0], xs, lengths=[5, 5])[0])


def test_a_relu_has_no_recipe_and_runs_step_by_step() -> None:
    cells = [kind(D, H, nonlinearity="relu", seed=0) for kind in (RNN, plain(RNN))]
    one, other = (Pass(cell, T=6) for cell in cells)
    assert not rolled(one.hs)
    assert bits(one.results()) == bits(other.results())
    assert bits(one.gradients()) == bits(other.gradients())


@pytest.mark.parametrize("wants_xs", [False, True])
def test_a_step_that_returns_another_shape_is_refused_by_the_same_words(wants_xs: bool) -> None:
    class Growing(Own):
        steps_alike = True

        def step(self, x: Tensor, h: Any) -> Any:
            return concatenate([h, h], axis=1)

    words = []
    for kind in (Growing, type("Growing", (Growing,), {})):
        with pytest.raises(ShapeError, match="Growing at time step 1: step must return a state like the one") as error:
            unroll(kind(), Tensor(np.ones((3, 2, D)), requires_grad=wants_xs))
        words.append(str(error.value))
    assert words[0] == words[1]


@pytest.mark.parametrize("reverse", [False, True])
def test_an_error_in_a_step_is_the_same_and_leaves_nothing_behind(reverse: bool) -> None:
    class Failing(Own):
        steps_alike = True

        def step(self, x: Tensor, h: Any) -> Any:
            return super().step(x, h) @ self.W.T

    words = []
    for kind in (Failing, type("Failing", (Failing,), {})):
        with pytest.raises(ShapeError, match="matmul: expected") as error:
            unroll(kind(), np.ones((3, 2, D)), reverse=reverse)
        words.append(str(error.value))
    assert words[0] == words[1]
    x = Tensor(np.ones(2), requires_grad=True)
    assert (x * x).node.place.line is None
    assert (x * x).node.time is None
    with pytest.raises(ArgumentError, match="batch"):
        unroll(LSTM(D, H), np.ones((3, 2, D)), LSTM(D, H).initial_state(-1))


@each_kind
def test_detect_anomaly_still_names_operation_and_time_step(name: str) -> None:
    xs = np.ones((6, 2, 3))
    xs[3, 1, 2] = np.nan
    words = []
    for cell in pair(name):
        with detect_anomaly(), pytest.raises(AnomalyError, match="time step 4") as error:
            unroll(cell, xs)
        words.append(str(error.value).splitlines()[0])
    assert words[0] == words[1]


LOOKALIKES = {
    "a transpose": (lambda x, h, U: tanh(x + h @ U.T), lambda x, h, U: tanh(x + h @ U)),
    "a number": (lambda x, h, U: tanh(x @ U.T) + 0.5 * h, lambda x, h, U: tanh(x @ U.T) + 0.25 * h),
    "a number that something is taken from": (
        lambda x, h, U: tanh(x @ U.T) * (1.0 - h),
        lambda x, h, U: tanh(x @ U.T) * (2.0 - h),
    ),
    "the order of a difference": (lambda x, h, U: tanh(x @ U.T) - h, lambda x, h, U: h - tanh(x @ U.T)),
    "a curve": (lambda x, h, U: tanh(x + h @ U.T), lambda x, h, U: sigmoid(x + h @ U.T)),
    "parts": (
        lambda x, h, U: tanh(concatenate([(h @ U.T)[:, :2], x[:, 2:]], axis=1)),
        lambda x, h, U: tanh(concatenate([(h @ U.T)[:, 2:], x[:, 2:]], axis=1)),
    ),
    "the order in which parts are joined": (
        lambda x, h, U: tanh(concatenate([(h @ U.T)[:, :2], x[:, :2]], axis=1)),
        lambda x, h, U: tanh(concatenate([x[:, :2], (h @ U.T)[:, :2]], axis=1)),
    ),
}


@pytest.mark.parametrize("difference", LOOKALIKES)
@pytest.mark.parametrize("wants_xs", [False, True])
def test_steps_that_look_much_alike_are_not_taken_for_each_other(difference: str, wants_xs: bool) -> None:
    class Either(Module):
        steps_alike = True

        def __init__(self, choice: int) -> None:
            self.choice, self.U = choice, Parameter(weights(H, H))

        def initial_state(self, batch: int) -> Tensor:
            return Tensor(np.full((batch, H), 0.1))

        def step(self, x: Tensor, h: Tensor) -> Tensor:
            return LOOKALIKES[difference][self.choice](x, h, self.U)

    for choice in (0, 1, 0):
        found = []
        for cell in (Either(choice), plain(Either)(choice)):
            xs = Tensor(weights(5, 2, H), requires_grad=wants_xs)
            hs, _ = unroll(cell, xs)
            (hs * weights(5, 2, H)).sum().backward()
            found.append({"hs": hs.numpy(), "U": cell.U.grad, "xs": xs.grad})
        assert_close(*found)
