"""Keras' weights: numbers that Keras computed (keras_recurrent.py), round trips, refusals."""

import json
from typing import Any

import keras_recurrent
import numpy as np
import pytest
from interop_cases import layers, relative, same_arrays, same_bits
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN
from minigrad.models.interop import WeightsError, from_keras, load_keras, to_keras
from minigrad.models.layers import RecurrentLayers
from minigrad.models.states import parts_of

from minigrad import Tensor

STORED = json.loads(keras_recurrent.FILE.read_text())
KINDS = ("rnn", "rnn relu", "rnn concatenated", "gru before", "gru after", "lstm")
SHAPES: list[dict[str, Any]] = [{}, {"num_layers": 3, "bias": False}, {"num_layers": 2, "bidirectional": True}]


def described(case: dict[str, Any]) -> str:
    return " ".join(map(str, [case["kind"], *case["options"].values(), case["units"], case["bidirectional"]]))


def with_weights_of(case: dict[str, Any]) -> RecurrentLayers:
    options = {"nonlinearity": "relu"} if case["options"].get("activation") == "relu" else {}
    if "reset_after" in case["options"] and not case["options"]["use_bias"]:
        options["reset_after"] = case["options"]["reset_after"]
    return from_keras(keras_recurrent.weights(case), bidirectional=case["bidirectional"], **options)


@pytest.mark.parametrize("case", STORED["cases"], ids=described)
def test_layers_with_keras_weights_have_keras_outputs_states_and_gradients(case: dict[str, Any]) -> None:
    model, given = with_weights_of(case), keras_recurrent.inputs(case)
    xs = Tensor(given["xs"], requires_grad=True)
    hs, states = model(xs)
    finals = [parts_of(state)[-1] for state in (states if isinstance(states, list) else split(states))]
    loss = (hs * given["d_hs"]).sum()
    for number, h in enumerate(finals):
        loss = loss + (h * given[f"d_h{number}"]).sum()
        assert relative(h.numpy(), case["finals"][number]) < 1e-12
    loss.backward()
    assert relative(hs.numpy(), case["hs"]) < 1e-12
    assert relative(xs.grad, case["d_xs"]) < 1e-12
    gradients = [array for one in to_keras(model, grad=True) for array in one.values()]
    assert len(gradients) == len(case["gradients"])
    for got, expected in zip(gradients, case["gradients"], strict=True):
        assert relative(got, expected) < 1e-12


def split(states: Any) -> list[Any]:
    """Stacked states, one for each layer and direction."""
    return [tuple(part[k] for part in parts_of(states)) for k in range(len(parts_of(states)[-1].numpy()))]


def test_the_stored_numbers_are_those_of_the_cases_that_the_script_lists() -> None:
    assert set(STORED["versions"]) == {"python", "keras", "torch", "numpy"}
    cases = [{key: case[key] for key in ("kind", "options", "units", "bidirectional")} for case in STORED["cases"]]
    assert cases == keras_recurrent.cases()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_again_gives_the_same_bits(kind: str, shape: dict[str, Any]) -> None:
    model = layers(kind, dtype=np.float32, **shape)
    weights = to_keras(model)
    assert all(array.flags.owndata and array.flags.c_contiguous for one in weights for array in one.values())
    other = layers(kind, seed=1, dtype=np.float32, **shape)
    load_keras(other, weights)
    assert same_bits(other, model)
    if kind != "rnn concatenated":
        cell = model.cells[0][0]
        options = {"nonlinearity": getattr(cell, "nonlinearity", "tanh"), "bidirectional": model.num_directions == 2}
        made = from_keras(weights, reset_after=getattr(cell, "reset", "after") == "after", **options)
        assert same_bits(made, model)
        assert all(same_arrays(one, two) for one, two in zip(to_keras(made), weights, strict=True))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["gru after", "gru before", "lstm"])
def test_one_long_list_as_get_weights_returns_it_is_read_too(kind: str, bias: bool) -> None:
    model = layers(kind, num_layers=2, bidirectional=True, bias=bias)
    weights = [array for one in to_keras(model) for array in one.values()]
    other = layers(kind, seed=1, num_layers=2, bidirectional=True, bias=bias)
    load_keras(other, weights)
    assert same_bits(other, model)
    made = from_keras(weights, bidirectional=True, use_bias=bias, reset_after=None if bias else kind == "gru after")
    assert same_bits(made, model)


def test_a_single_cell_is_one_dict() -> None:
    cell, other = RNN(3, 4, seed=0), RNN(3, 4, seed=1)
    (weights,) = to_keras(cell)
    load_keras(other, weights)
    assert same_bits(cell, other)
    np.testing.assert_array_equal(weights["kernel"], cell.by_gate()["W_hx"].T)


def test_the_bias_tells_how_a_gru_resets_and_without_one_it_is_keras_default() -> None:
    assert from_keras(to_keras(GRU(3, 4))).cells[0][0].reset == "before"
    assert from_keras(to_keras(GRU(3, 4, reset="after"))).cells[0][0].reset == "after"
    assert from_keras(to_keras(GRU(3, 4, bias=False))).cells[0][0].reset == "after"


GIVEN = to_keras(layers("gru after", num_layers=2))


@pytest.mark.parametrize(
    ("weights", "problems"),
    [
        (GIVEN[:1], ["1 layers and directions were given, 2 are there", "1.kernel is missing"]),
        ([*GIVEN, GIVEN[1]], ["3 layers and directions were given, 2 are there", "2.bias does not belong here"]),
        ([{**GIVEN[0], "gamma": np.zeros(3)}, GIVEN[1]], ["0.gamma does not belong here"]),
        (GIVEN[::-1], ["0.kernel should be (3, 12) and is (4, 12)", "1.kernel should be (4, 12) and is (3, 12)"]),
        (
            to_keras(layers("gru before", num_layers=2)),
            ["0.bias is that of a GRU with reset_after=False", "0.bias should be (2, 12) and is (12,)"],
        ),
        ([GIVEN[0], {**GIVEN[1], "bias": np.zeros((2, 12), int)}], ["1.bias holds int64"]),
        ([GIVEN[0], list(GIVEN[1].values())], ["dicts and arrays are mixed"]),
        (7, ["expected a list of dicts or of arrays, got int"]),
        ([*GIVEN[0].values(), *GIVEN[1].values()][:-1], ["1.bias is missing"]),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_all_problems_and_nothing_changes(weights: Any, problems: list[str]) -> None:
    model = layers("gru after", seed=1, num_layers=2)
    before = model.state_dict()
    with pytest.raises(WeightsError) as caught:
        load_keras(model, weights)
    for problem in ["Keras: nothing was loaded: ", *problems]:
        assert problem in str(caught.value)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("weights", "options", "problem"),
    [
        ([], {}, "0 layers and directions"),
        (GIVEN[:1], {"bidirectional": True}, "1 layers and directions with bidirectional=True"),
        ([{"kernel": np.zeros((3, 8))}], {}, "0.recurrent_kernel is missing"),
        ([{"kernel": np.zeros((3, 8)), "recurrent_kernel": np.zeros((4, 8))}], {}, "belong to no cell"),
        ([{"kernel": np.zeros(8), "recurrent_kernel": np.zeros((4, 8))}], {}, "belong to no cell"),
        (GIVEN[::-1], {}, "layer 2 reads 3 numbers and layer 1 writes 4"),
        (GIVEN, {"reset_after": False}, "reset_after=True"),
        ([{**GIVEN[0], "bias": np.zeros(7)}], {}, r"0.bias should be \(12,\) and is \(7,\)"),
        (to_keras(LSTM(3, 4)), {"nonlinearity": "tanh", "bidirectional": True}, "1 layers and directions"),
    ],
)
def test_weights_of_no_layers_are_refused(weights: Any, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(WeightsError, match=problem):
        from_keras(weights, **options)


@pytest.mark.parametrize(
    "model", [GatedRNN(3, 4), LSTM(3, 4, peepholes=True), LSTM(3, 4, coupled=True), GRU(3, 4, reset_gate=False)]
)
def test_layers_that_keras_does_not_have_are_refused(model: Any) -> None:
    for call in (to_keras, lambda model: load_keras(model, GIVEN)):
        with pytest.raises(WeightsError, match="Keras has no counterpart of"):
            call(model)
