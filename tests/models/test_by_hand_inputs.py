"""What does not fit is refused in words."""

from typing import Any

import numpy as np
import pytest
from by_hand_cases import BY_NAME, make_case
from minigrad.models import by_hand
from minigrad.models.by_hand import InputError, gru, head, lstm, rnn

RNN = {"W_hx": np.ones((4, 3)), "W_hh": np.ones((4, 4)), "b_h": np.ones(4)}
LSTM = {name: np.ones((2,) * len(letters)) for name, letters in lstm.SHAPES.items()}
XS = np.ones((5, 2, 3))
HEAD = {"W_yh": np.ones((3, 2)), "b_y": np.ones(3)}


def test_integers_are_taken_as_floats() -> None:
    params = {"W_hx": [[2]], "W_hh": [[1]]}
    trace = rnn.forward(params, [[[1]]], [[0]])
    assert trace.hs.item() == np.tanh(2.0)
    assert rnn.backward(params, trace, [[[1]]]).params["W_hx"].item() == 1 - np.tanh(2.0) ** 2


def test_biases_are_all_there_or_none_is() -> None:
    some = {name: value for name, value in LSTM.items() if name not in ("b_f", "b_o")}
    with pytest.raises(InputError, match="parameters missing: b_f, b_o; it takes"):
        lstm.forward(some, np.ones((1, 1, 2)))


def test_an_input_error_is_a_value_error() -> None:
    assert issubclass(InputError, ValueError)


def test_every_cell_of_the_registry_has_both_passes() -> None:
    assert list(by_hand.CELLS) == ["rnn", "gated_rnn", "gru", "lstm"]
    assert all(callable(cell.forward) and callable(cell.backward) and cell.SHAPES for cell in by_hand.CELLS.values())


@pytest.mark.parametrize(
    ("params", "xs", "state", "said"),
    [
        (RNN, XS[..., :2], None, "rnn.forward: xs must be (T, B, D) with D = 3 (from W_hx), got shape (5, 2, 2)"),
        (RNN, XS[0], None, "rnn.forward: xs must be (T, B, D) with D = 3 (from W_hx), got shape (2, 3)"),
        (RNN, XS, np.ones((1, 4)), "rnn.forward: state must be (B, H) with B = 2 (from xs), H = 4 (from W_hx), "
                                   "got shape (1, 4)"),
        (RNN | {"W_hh": np.ones((4, 5))}, XS, None, "rnn.forward: W_hh must be (H, H) with H = 4 (from W_hx), "
                                                    "got shape (4, 5)"),
        (RNN | {"b_h": np.ones((4, 1))}, XS, None, "rnn.forward: b_h must be (H,) with H = 4 (from W_hx), "
                                                   "got shape (4, 1)"),
        ({"W_hx": RNN["W_hx"], "W_xh": 1.0}, XS, None, "rnn.forward: parameters missing: W_hh; unknown: W_xh; "
                                                       "it takes W_hx, W_hh, b_h"),
        (RNN, XS.astype(str), None, "rnn.forward: xs must be an array of floats, got dtype <U32"),
        (RNN, [[[1.0, 2.0, 3.0]], [[1.0]]], None, "rnn.forward: xs must be an array of floats, got a ragged list"),
    ],
)
def test_forward_says_what_does_not_fit(params: Any, xs: Any, state: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        rnn.forward(params, xs, state)
    assert str(caught.value) == said


@pytest.mark.parametrize("name", BY_NAME)
def test_backward_refuses_upstream_gradients_that_do_not_fit(name: str) -> None:
    case = make_case(BY_NAME[name], 3, 2, 2, 4, "every step")
    module = case.variant.module
    trace = module.forward(case.params, case.xs, case.state, **case.variant.options)
    with pytest.raises(InputError, match=r"d_hs must be \(T, B, H\) with T = 3 .* got shape \(2, 2, 4\)"):
        module.backward(case.params, trace, case.d_hs[1:])
    wrong = (np.ones((2, 3)), np.ones((2, 3))) if module is lstm else np.ones((2, 3))
    with pytest.raises(InputError, match=r"d_state.* must be \(B, H\) .* got shape \(2, 3\)"):
        module.backward(case.params, trace, case.d_hs, wrong)
    with pytest.raises(InputError, match="parameters missing"):
        module.backward({}, trace, case.d_hs)


def test_the_lstm_wants_a_pair_for_its_state() -> None:
    with pytest.raises(InputError, match=r"lstm.forward: state must be the pair \(c, h\), got float"):
        lstm.forward(LSTM, np.ones((1, 1, 2)), 1.0)
    with pytest.raises(InputError, match=r"lstm.forward: state h must be \(B, H\)"):
        lstm.forward(LSTM, np.ones((1, 1, 2)), (np.ones((1, 2)), np.ones((2, 2))))


def test_unknown_switches_are_refused_with_the_right_ones() -> None:
    with pytest.raises(InputError, match="activation must be 'tanh' or 'relu', got 'sigmoid'"):
        rnn.forward(RNN, XS, activation="sigmoid")
    with pytest.raises(InputError, match="reset must be 'before' or 'after', got 'none'"):
        gru.forward({}, XS, reset="none")


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([[0], [-1]], r"targets must lie in 0 … 2 \(N = 3 rows of W_yh\), got -1"),
        ([[3], [0]], r"targets must lie in 0 … 2 \(N = 3 rows of W_yh\), got 3"),
        ([[0.0], [1.0]], "targets must be integers, got dtype float64"),
        ([[True], [False]], "targets must be integers, got dtype bool"),
        ([0, 1], r"targets must be \(T, B\) = \(2, 1\), got shape \(2,\)"),
    ],
)
def test_targets_that_name_no_class_are_refused(targets: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        head.forward(HEAD, np.ones((2, 1, 2)), targets)


def test_the_average_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="average over T·B labels, got T = 0 and B = 1"):
        head.forward(HEAD, np.ones((0, 1, 2)), np.ones((0, 1), int))
