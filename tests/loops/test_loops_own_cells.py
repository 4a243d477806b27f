"""Cells of a user's own in loops: those whose steps are pure are compiled, all others run step by step, all are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, Pass, assert_close, both_directions, each_kind, is_compiled, pair, plain, signature
from loops_own_cells import COMPILED, LOOKALIKES, STEP_BY_STEP, Own, weights
from minigrad.models.cells import LSTM, RNN
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of

from minigrad import Module, Parameter, Tensor, concatenate, detect_anomaly, walk
from minigrad.errors import AnomalyError, ArgumentError, ShapeError


@pytest.mark.parametrize("kind", [*COMPILED, *STEP_BY_STEP])
@pytest.mark.parametrize("wants_xs", [False, True])
@pytest.mark.parametrize("T", [1, 2, 7])
def test_a_users_cell_that_promises_a_pure_step_is_right(kind: Any, wants_xs: bool, T: int) -> None:
    for reverse in (False, True):
        one, other = (Pass(k(), T=T, wants_xs=wants_xs, learnt=False, reverse=reverse) for k in (kind, plain(kind)))
        assert is_compiled(one.hs) == (kind in COMPILED)
        assert not is_compiled(other.hs)
        assert_close(one.results(), other.results())
        assert_close(one.gradients(), other.gradients())


@pytest.mark.parametrize("kind", COMPILED)
def test_its_graph_is_that_of_the_steps_one_by_one(kind: Any) -> None:
    plainly = type(kind.__name__, (kind,), {"pure_step": False})
    one, other = (signature(walk(Pass(k(), T=3).loss)) for k in (kind, plainly))
    assert one == other


@each_kind
def test_a_derived_class_says_nothing_of_its_steps_unless_it_says_so_itself(name: str) -> None:
    kind = type(pair(name)[0])
    xs = np.ones((3, 2, 3))
    again = type("Again", (kind,), {"pure_step": True})
    not_alike = type("NotAlike", (kind,), {"pure_step": False})
    assert [is_compiled(unroll(k(D, H), xs)[0]) for k in (kind, plain(kind), again, not_alike)] == [True, False, True, False]


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
@pytest.mark.parametrize(
    "options",
    [{"lengths": [5, 3]}, {"truncated": 2}, {"lengths": [4, 1], "reverse": True}, {"lengths": [4, 3], "truncated": 2},
     {"lengths": [5, 2], "truncated": 2}, {"lengths": [5, 3], "truncated": 2, "reverse": True},
     {"mask": np.array([[0, 1], [1, 1], [0, 0], [1, 1], [1, 0]], bool), "truncated": 1}],
)
def test_lengths_and_truncation_are_compiled_too(name: str, options: dict[str, Any]) -> None:
    xs = np.random.default_rng(0).standard_normal((5, 2, 3))
    found = []
    for cell in pair(name):
        hs, final = unroll(cell, xs, **options)
        assert is_compiled(hs) == (type(cell) is type(pair(name)[0]))
        sum((part.sum() for part in parts_of(final)), (hs * hs).sum()).backward()
        found.append({"hs": hs.numpy()} | {key: p.grad for key, p in cell.named_parameters()})
    assert_close(*found)


def test_a_relu_is_compiled_too() -> None:
    cells = [kind(D, H, nonlinearity="relu", seed=0) for kind in (RNN, plain(RNN))]
    one, other = (Pass(cell, T=6) for cell in cells)
    assert is_compiled(one.hs)
    assert_close(one.results(), other.results())
    assert_close(one.gradients(), other.gradients())


@both_directions
@pytest.mark.parametrize("wants_xs", [False, True])
def test_a_step_that_returns_another_shape_is_refused_by_the_same_words(wants_xs: bool, reverse: bool) -> None:
    class Growing(Own):
        pure_step = True

        def step(self, x: Tensor, h: Any) -> Any:
            return concatenate([h, h], axis=1)

    words = []
    for kind in (Growing, type("Growing", (Growing,), {})):
        with pytest.raises(ShapeError, match=r"Growing at time step \d: step must return a state like the one") as error:
            unroll(kind(), Tensor(np.ones((3, 2, D)), requires_grad=wants_xs), reverse=reverse)
        words.append(str(error.value))
    assert words[0] == words[1]


@pytest.mark.parametrize("reverse", [False, True])
def test_an_error_in_a_step_is_the_same_and_leaves_nothing_behind(reverse: bool) -> None:
    class Failing(Own):
        pure_step = True

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


def test_a_state_of_another_dtype_than_its_results_is_run_step_by_step() -> None:
    for dtype in (np.float64, np.float32):
        cell = Own()
        hs, _ = unroll(cell, weights(3, 2, D), Tensor(np.ones((2, H), dtype)))
        assert is_compiled(hs) == (dtype is np.float64)


@pytest.mark.parametrize("difference", LOOKALIKES)
@pytest.mark.parametrize("wants_xs", [False, True])
def test_steps_that_look_much_alike_are_not_taken_for_each_other(difference: str, wants_xs: bool) -> None:
    class Either(Module):
        pure_step = True

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
