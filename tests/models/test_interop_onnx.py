"""ONNX's weights: numbers that its reference evaluator computed (onnx_recurrent.py), round trips, refusals."""

import json
from typing import Any

import numpy as np
import onnx_recurrent
import pytest
from interop_cases import layers, relative, same_arrays, same_bits
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN, LSTMState
from minigrad.models.interop import WeightsError, from_onnx, load_onnx, onnx_attributes, to_onnx
from minigrad.models.layers import RecurrentLayers
from minigrad.models.unrolling import unroll

STORED = json.loads(onnx_recurrent.FILE.read_text())
KINDS = ("rnn", "rnn relu", "rnn concatenated", "gru before", "gru after", "lstm")
SHAPES: list[dict[str, Any]] = [{}, {"num_layers": 3, "bias": False}, {"num_layers": 2, "bidirectional": True}]


def described(case: dict[str, Any]) -> str:
    return " ".join(map(str, [case["kind"], *case["attributes"].values(), case["given"]]))


@pytest.mark.parametrize("case", STORED["cases"], ids=described)
def test_layers_with_onnx_weights_have_onnx_outputs_and_states(case: dict[str, Any]) -> None:
    given, reset = onnx_recurrent.inputs(case), case["attributes"].get("linear_before_reset", 0)
    model = from_onnx(onnx_recurrent.weights(case), linear_before_reset=reset)
    state: Any = given["initial_h"]
    if case["kind"] == "LSTM":
        state = LSTMState(given["initial_c"], given["initial_h"])
    if case["attributes"]["direction"] == "reverse":
        (cell,) = model.cells[0]
        own = LSTMState(state.c[0], state.h[0]) if isinstance(state, LSTMState) else state[0]
        hs, final = unroll(cell, given["X"], own, reverse=True)
    else:
        hs, final = model(given["X"], state)
    T, B, directions = len(hs), hs.shape[1], model.num_directions
    Y = hs.numpy().reshape(T, B, directions, -1).swapaxes(1, 2)
    assert relative(Y, case["Y"]) < 1e-12
    parts = final if isinstance(final, LSTMState) else LSTMState(final, final)
    assert relative(parts.h.numpy(), case["Y_h"]) < 1e-12
    if case["kind"] == "LSTM":
        assert relative(parts.c.numpy(), case["Y_c"]) < 1e-12


def test_the_stored_numbers_are_those_of_the_cases_that_the_script_lists() -> None:
    assert set(STORED["versions"]) == {"python", "onnx", "numpy"}
    assert [{key: case[key] for key in ("kind", "attributes", "given")} for case in STORED["cases"]] == onnx_recurrent.cases()


@pytest.mark.parametrize("options", [{}, {"peepholes": True}], ids=["", "peepholes"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_again_gives_the_same_bits(kind: str, shape: dict[str, Any], options: dict[str, Any]) -> None:
    options = options if kind == "lstm" else {}
    model = layers(kind, dtype=np.float32, **shape, **options)
    weights = to_onnx(model)
    other = layers(kind, seed=1, dtype=np.float32, **shape, **options)
    load_onnx(other, weights)
    assert same_bits(other, model)
    if kind != "rnn concatenated":
        cell = model.cells[0][0]
        after = int(getattr(cell, "reset", "") == "after")
        made = from_onnx(weights, linear_before_reset=after, nonlinearity=getattr(cell, "nonlinearity", "tanh"))
        assert same_bits(made, model)
        assert all(same_arrays(one, two) for one, two in zip(to_onnx(made), weights, strict=True))


def test_what_is_none_is_left_out() -> None:
    (weights,) = to_onnx(LSTM(3, 4, bias=False, seed=0))
    assert same_bits(from_onnx({**weights, "B": None, "P": None}), from_onnx(weights))


def test_gates_and_peepholes_lie_in_onnx_order() -> None:
    cell = LSTM(2, 3, peepholes=True, seed=0)
    (weights,) = to_onnx(cell)
    own = cell.by_gate()
    np.testing.assert_array_equal(weights["W"][0], np.concatenate([own[f"W_{gate}x"] for gate in "iofg"]))
    np.testing.assert_array_equal(weights["B"][0], np.concatenate([own[f"b_{gate}"] for gate in "iofg"] + [np.zeros(12)]))
    np.testing.assert_array_equal(weights["P"][0], np.concatenate([own["p_i"], own["p_o"], own["p_f"]]))


def test_the_attributes_say_what_the_weights_do_not() -> None:
    both = RecurrentLayers("rnn", 3, 4, num_layers=2, bidirectional=True, nonlinearity="relu")
    assert onnx_attributes(both) == [
        {"hidden_size": 4, "direction": "bidirectional", "activations": ["Relu", "Relu"]},
        {"hidden_size": 4, "direction": "bidirectional", "activations": ["Relu", "Relu"]},
    ]
    assert onnx_attributes(RNN(3, 4)) == [{"hidden_size": 4, "direction": "forward", "activations": ["Tanh"]}]
    assert onnx_attributes(GRU(3, 5, reset="after"))[0]["linear_before_reset"] == 1
    assert onnx_attributes(GRU(3, 5))[0]["linear_before_reset"] == 0
    assert onnx_attributes(LSTM(3, 5)) == [{"hidden_size": 5, "direction": "forward"}]


def test_gradients_are_written_as_onnx_would_have_them() -> None:
    model = layers("gru after", bidirectional=True)
    xs = np.random.default_rng(0).normal(size=(4, 2, 3))
    model(xs)[0].sum().backward()
    (gradients,) = to_onnx(model, grad=True)
    forward = model.cells[0][0].by_gate(grad=True)
    np.testing.assert_array_equal(gradients["W"][0][:4], -forward["W_ux"])
    np.testing.assert_array_equal(gradients["B"][0][4:8], forward["b_r"])
    np.testing.assert_array_equal(gradients["B"][0][16:20], forward["b_r"])
    np.testing.assert_array_equal(gradients["B"][0][20:], forward["b_ch"])


GIVEN = to_onnx(layers("lstm", num_layers=2))


@pytest.mark.parametrize(
    ("weights", "problems"),
    [
        (GIVEN[:1], ["1 layers were given, 2 are there", "1.W is missing", "1.B is missing"]),
        ([{**GIVEN[0], "P": np.zeros((1, 12))}, GIVEN[1]], ["0.P does not belong here"]),
        (to_onnx(layers("lstm", num_layers=2, bidirectional=True)), ["0.W should be (1, 16, 3) and is (2, 16, 3)"]),
        ([GIVEN[0], {**GIVEN[1], "B": "text"}], ["1.B holds <U4"]),
        ([GIVEN], ["expected a list of dicts, got list"]),
        (None, ["expected a list of dicts, got NoneType"]),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_all_problems_and_nothing_changes(weights: Any, problems: list[str]) -> None:
    model = layers("lstm", seed=1, num_layers=2)
    before = model.state_dict()
    with pytest.raises(WeightsError) as caught:
        load_onnx(model, weights)
    for problem in ["ONNX: nothing was loaded: ", *problems]:
        assert problem in str(caught.value)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ([], "no layers"),
        ({}, "0.W is missing; 0.R is missing"),
        ({"W": np.zeros((12, 3)), "R": np.zeros((12, 4))}, r"should be \(directions, gates · H, D\)"),
        ({"W": np.zeros((3, 12, 3)), "R": np.zeros((3, 12, 4))}, "in 1 or 2 directions"),
        ({"W": np.zeros((2, 12, 3)), "R": np.zeros((1, 12, 4))}, r"and are \(2, 12, 3\) and \(1, 12, 4\)"),
        ({"W": np.zeros((1, 12, 3)), "R": np.zeros((1, 12, 7))}, "belong to no cell"),
        ([GIVEN[0], GIVEN[0]], "layer 2 reads 3 numbers and layer 1 writes 4"),
        ({**GIVEN[0], "B": np.zeros((1, 16))}, r"0.B should be \(1, 32\) and is \(1, 16\)"),
        ({**GIVEN[0], "X": np.zeros((1, 16))}, "0.X does not belong here"),
        ({**to_onnx(GRU(3, 4))[0], "P": np.zeros((1, 12))}, "0.P does not belong here"),
    ],
)
def test_weights_of_no_layers_are_refused(weights: Any, problem: str) -> None:
    with pytest.raises(WeightsError, match=problem):
        from_onnx(weights)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (GatedRNN(3, 4), "the cell GatedRNN"),
        (LSTM(3, 4, coupled=True, output_tanh=False), "coupled=True; an lstm with output_tanh=False"),
        (GRU(3, 4, update_gate=False), "without one of its gates"),
        (RecurrentLayers([(LSTM(3, 4), LSTM(3, 5))]), "two kinds or sizes"),
        (RecurrentLayers([(LSTM(3, 4), RNN(3, 4))]), "two kinds or sizes"),
        (RecurrentLayers([(GRU(3, 4), GRU(3, 4, reset="after"))]), "two kinds or sizes"),
        (RecurrentLayers([(GRU(3, 4, bias=False), GRU(3, 4, bias=False, reset="after"))]), "two kinds or sizes"),
        (RecurrentLayers([(RNN(3, 4, nonlinearity="relu"), RNN(3, 4))]), "two kinds or sizes"),
    ],
)
def test_layers_that_onnx_does_not_have_are_refused(model: Any, problem: str) -> None:
    for call in (to_onnx, onnx_attributes, lambda model: load_onnx(model, GIVEN)):
        with pytest.raises(WeightsError, match=problem):
            call(model)
