"""torch's state_dict: numbers that torch computed (torch_recurrent.py), round trips, refusals; torch itself if installed."""

import json
from typing import Any

import numpy as np
import pytest
import torch_recurrent
from interop_cases import layers, outputs, relative, same_arrays, same_bits
from minigrad.models.cells import GRU, LSTM, GatedRNN, LSTMState, make_cell
from minigrad.models.interop import WeightsError, from_torch, load_torch, to_torch
from minigrad.models.layers import RecurrentLayers

from minigrad import Module, Tensor
from minigrad.errors import ArgumentError, GraphError, ShapeError

STORED = json.loads(torch_recurrent.FILE.read_text())
KINDS = ("rnn", "rnn relu", "rnn concatenated", "gru after", "lstm")
SHAPES: list[dict[str, Any]] = [{}, {"num_layers": 3, "bias": False}, {"num_layers": 2, "bidirectional": True}]
EXPORTED = to_torch(layers("gru after", num_layers=2, bidirectional=True))


def described(case: dict[str, Any]) -> str:
    return " ".join(str(case[key]) for key in ("kind", "T", "num_layers", "bidirectional", "bias", "lengths"))


def run(model: RecurrentLayers, given: dict[str, np.ndarray], lengths: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    leaves = {name: Tensor(given[name], requires_grad=True) for name in ("xs", "h_0", "c_0") if name in given}
    state = LSTMState(leaves["c_0"], leaves["h_0"]) if "c_0" in leaves else leaves["h_0"]
    hs, final = model(leaves["xs"], state, lengths)
    results = {"hs": hs} | ({"h": final.h, "c": final.c} if isinstance(final, LSTMState) else {"h": final})
    loss = sum((results[name] * given[f"d_{name}"]).sum() for name in results)
    loss.backward()
    return results, leaves


@pytest.mark.parametrize("case", STORED["cases"], ids=described)
def test_layers_with_torchs_weights_have_torchs_outputs_states_and_gradients(case: dict[str, Any]) -> None:
    name, *nonlinearity = case["kind"].split()
    model = from_torch(torch_recurrent.weights(case), **({"nonlinearity": nonlinearity[0]} if nonlinearity else {}))
    assert model.cells[0][0].label == name.lower()
    results, leaves = run(model, torch_recurrent.inputs(case), case["lengths"])
    for name, result in results.items():
        assert relative(result.numpy(), case["results"][name]) < 1e-12, name
    gradients = to_torch(model, grad=True) | {name: leaf.grad for name, leaf in leaves.items()}
    assert gradients.keys() == case["gradients"].keys()
    for name, got in gradients.items():
        assert relative(got, case["gradients"][name]) < 1e-12, name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back_again_gives_the_same_bits(kind: str, shape: dict[str, Any], dtype: Any) -> None:
    model = layers(kind, dtype=dtype, **shape)
    weights = to_torch(model)
    assert all(array.dtype == dtype and array.flags.owndata for array in weights.values())
    other = layers(kind, seed=1, dtype=dtype, **shape)
    load_torch(other, weights)
    assert same_bits(other, model)
    if kind != "rnn concatenated":
        made = from_torch(weights, nonlinearity=getattr(model.cells[0][0], "nonlinearity", "tanh"))
        assert same_bits(made, model)
        assert same_arrays(to_torch(made), weights)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_a_copy(kind: str) -> None:
    model = layers(kind)
    before = model.state_dict()
    for array in to_torch(model).values():
        array[...] = 7
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


def test_two_biases_are_added_where_they_are_redundant_and_written_as_one_and_zero() -> None:
    weights = torch_recurrent.weights(torch_recurrent.cases()[-1] | {"kind": "GRU"})
    written = to_torch(from_torch(weights))
    b_ih, b_hh = weights["bias_ih_l0"], weights["bias_hh_l0"]
    H = len(b_ih) // 3
    np.testing.assert_array_equal(written["bias_ih_l0"][: 2 * H], (b_ih + b_hh)[: 2 * H])
    np.testing.assert_array_equal(written["bias_hh_l0"][: 2 * H], 0)
    np.testing.assert_array_equal(written["bias_ih_l0"][2 * H :], b_ih[2 * H :])
    np.testing.assert_array_equal(written["bias_hh_l0"][2 * H :], b_hh[2 * H :])


def test_the_update_gate_changes_its_sign_and_no_other_gate_does() -> None:
    cell = GRU(2, 3, reset="after", seed=0)
    written, own = to_torch(cell), cell.by_gate()
    for row, (gate, sign) in enumerate({"r": 1, "u": -1, "c": 1}.items()):
        rows = slice(3 * row, 3 * row + 3)
        np.testing.assert_array_equal(written["weight_ih_l0"][rows], sign * own[f"W_{gate}x"])
        np.testing.assert_array_equal(written["weight_hh_l0"][rows], sign * own[f"W_{gate}h"])
        np.testing.assert_array_equal(written["bias_ih_l0"][rows], sign * own[f"b_{gate}"])


def test_a_single_cell_is_one_layer() -> None:
    cell, other = LSTM(3, 4, seed=0), LSTM(3, 4, seed=1)
    load_torch(other, to_torch(cell))
    assert same_bits(cell, other)
    assert list(to_torch(cell)) == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_the_weights_of_torchs_cells_which_number_no_layers_are_read_as_of_one_layer(kind: str) -> None:
    options = {"reset": "after"} if kind == "gru" else {}
    layers = RecurrentLayers(kind, 3, 4, seed=0, **options)
    of_a_cell = {name.removesuffix("_l0"): array for name, array in to_torch(layers).items()}
    assert set(of_a_cell) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    for weights, prefix in ((of_a_cell, ""), ({f"net.cell.{name}": array for name, array in of_a_cell.items()}, "net.cell.")):
        read = from_torch(weights, prefix=prefix)
        assert all(np.array_equal(layers.state_dict()[name], array) for name, array in read.state_dict().items())
    with pytest.raises(WeightsError, match=r"are read with prefix='net\.cell\.'"):
        from_torch(weights)


def test_only_names_with_the_prefix_count() -> None:
    model = layers("lstm")
    weights = to_torch(model, prefix="encoder.") | {"decoder.weight": np.zeros(3)}
    assert next(iter(weights)) == "encoder.weight_ih_l0"
    assert same_bits(from_torch(weights, prefix="encoder."), model)
    other = layers("lstm", seed=1)
    load_torch(other, weights, prefix="encoder.")
    assert same_bits(other, model)


def test_float32_weights_may_become_float64_but_never_the_other_way_round() -> None:
    model, other = layers("lstm"), layers("lstm", seed=1, dtype=np.float32)
    before = other.state_dict()
    with pytest.raises(WeightsError, match="weight_ih_l0 is float64 and would be rounded to float32; convert it first"):
        load_torch(other, to_torch(model))
    assert all(np.array_equal(value, before[name]) for name, value in other.state_dict().items())
    load_torch(model, to_torch(other))
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


def test_dropout_between_the_layers_is_given_since_the_weights_do_not_tell() -> None:
    assert from_torch(EXPORTED, dropout=0.3).dropout == 0.3


def changed(**changes: Any) -> dict[str, Any]:
    return {name: array for name, array in {**EXPORTED, **changes}.items() if array is not None}


@pytest.mark.parametrize(
    ("weights", "problems"),
    [
        (changed(weight_hh_l1=None), ["weight_hh_l1 is missing"]),
        (changed(weight_hh_l7=np.zeros(3)), ["weight_hh_l7 does not belong here", "3 layers in two directions were given"]),
        (changed(bias_ih_l0=np.zeros(11)), ["bias_ih_l0 should be (12,) and is (11,)"]),
        (
            changed(weight_ih_l1=np.zeros((12, 3)), bias_hh_l0=None, fc=np.zeros(2)),
            ["weight_ih_l1 should be (12, 8) and is (12, 3)", "bias_hh_l0 is missing", "fc does not belong here"],
        ),
        (to_torch(layers("gru after", bidirectional=True)), ["1 layer in two directions were given, 2 layers in two"]),
        (to_torch(layers("gru after", num_layers=2)), ["2 layers in one direction", "weight_ih_l0_reverse is missing"]),
        (to_torch(layers("gru after", num_layers=2, bidirectional=True, bias=False)), ["bias_ih_l0 is missing"]),
        (to_torch(layers("lstm", num_layers=2, bidirectional=True)), ["weight_ih_l0 should be (12, 3) and is (16, 3)"]),
        (changed(weight_hr_l0=np.zeros((2, 4))), ["weight_hr_l0 is a projection (proj_size), and h has the size of c here"]),
        (changed(bias_ih_l0=np.zeros(12, int)), ["bias_ih_l0 holds int64 instead of floating-point numbers"]),
        (changed(bias_ih_l0="text", bias_hh_l0=[[1], [2, 3]]), ["bias_ih_l0 holds <U4", "bias_hh_l0 cannot become an array"]),
        ([], ["expected a dict of arrays, got list"]),
        ({}, ["0 layers in one direction were given", "weight_ih_l0 is missing", "bias_hh_l1_reverse is missing"]),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, list) else "",
)
def test_weights_that_do_not_fit_are_refused_with_all_problems_and_nothing_changes(weights: Any, problems: list[str]) -> None:
    model = layers("gru after", seed=1, num_layers=2, bidirectional=True)
    before = model.state_dict()
    with pytest.raises(WeightsError) as caught:
        load_torch(model, weights)
    assert str(caught.value).startswith("torch: nothing was loaded: ")
    for problem in problems:
        assert problem in str(caught.value)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("weights", "problems"),
    [
        ({}, ["weight_ih_l0 is missing", "weight_hh_l0 is missing"]),
        (changed(weight_hr_l0=np.zeros((2, 4))), ["weight_hr_l0 is a projection"]),
        ({"W": np.zeros(2)}, ["weight_ih_l0 is missing", "W does not belong here"]),
        (changed(weight_hh_l1=None), ["weight_hh_l1 is missing"]),
        (changed(extra=np.zeros(2)), ["extra does not belong here"]),
        (changed(weight_ih_l0=np.zeros((10, 3))), ["(10, 3) for the input and (12, 4) for the state belong to no cell"]),
        (changed(weight_ih_l0=np.zeros((8, 3))), ["belong to no cell", "1, 3 or 4 gates"]),
        (changed(weight_ih_l0=np.zeros(12)), ["belong to no cell"]),
        (changed(weight_hh_l0=np.zeros((12, 0))), ["belong to no cell"]),
        (changed(weight_ih_l999999999=np.zeros((12, 8))), ["weight_ih_l999999999 does not belong", "weight_ih_l2 is missing"]),
        ({name: array for name, array in EXPORTED.items() if "l0" not in name}, ["weight_ih_l0 is missing"]),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, list) else "",
)
def test_weights_of_no_layers_are_refused(weights: Any, problems: list[str]) -> None:
    with pytest.raises(WeightsError) as caught:
        from_torch(weights)
    for problem in problems:
        assert problem in str(caught.value)


class Own(Module):
    input_size = hidden_size = 4

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        return x + state

    def initial_state(self, batch: int) -> Tensor:
        return Tensor(np.zeros((batch, 4)))


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (GatedRNN(3, 4), "the cell GatedRNN"),
        (GRU(3, 4), r'a gru with reset="before" \(reset="after" is another function\)'),
        (GRU(3, 4, reset="after", update_gate=False), "a gru without one of its gates"),
        (LSTM(3, 4, peepholes=True, coupled=True), "coupled=True; an lstm with peepholes=True"),
        (LSTM(3, 4, output_tanh=False), "an lstm with output_tanh=False"),
        (RecurrentLayers("lstm", 4, 4, num_layers=2, residual=True, learn_initial_state=True), "residual=True; .*learn_"),
        (RecurrentLayers([Own()]), "the cell Own"),
        (RecurrentLayers([LSTM(3, 4), LSTM(4, 5)]), "cells of several kinds or sizes"),
        (RecurrentLayers([make_cell("lstm", 3, 4), make_cell("rnn", 4, 4)]), "cells of several kinds or sizes"),
        (np.zeros(3), "expected RecurrentLayers or a cell"),
    ],
)
def test_layers_that_torch_does_not_have_are_refused(model: Any, problem: str) -> None:
    for call in (to_torch, lambda model: load_torch(model, EXPORTED)):
        with pytest.raises(WeightsError, match=problem):
            call(model)


def test_an_error_of_weights_is_both_an_argument_error_and_a_shape_error() -> None:
    assert issubclass(WeightsError, ArgumentError)
    assert issubclass(WeightsError, ShapeError)


def test_gradients_that_are_not_there_are_not_written() -> None:
    with pytest.raises(GraphError, match="has no gradient"):
        to_torch(layers("lstm"), grad=True)


# ---------------------------------------------------------------- with torch itself


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "conc" not in kind])
def test_torch_itself_loads_what_is_written_and_computes_the_same(kind: str, shape: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    model = layers(kind, **shape)
    options = {"nonlinearity": "relu"} if "relu" in kind else {}
    module = getattr(torch.nn, kind.split()[0].upper())(3, 4, dtype=torch.float64, **shape, **options)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in to_torch(model).items()})
    xs = np.random.default_rng(2).normal(size=(7, 2, 3))
    assert relative(outputs(model, xs), module(torch.tensor(xs))[0].detach().numpy()) < 1e-12


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "conc" not in kind])
def test_weights_that_torch_drew_are_read_and_give_torchs_numbers_and_gradients(kind: str, shape: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    options = {"nonlinearity": "relu"} if "relu" in kind else {}
    module = getattr(torch.nn, kind.split()[0].upper())(3, 4, dtype=torch.float64, **shape, **options)
    model = from_torch(module.state_dict(), **options)
    rng = np.random.default_rng(2)
    xs, d_hs = rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2, 4 * model.num_directions))
    theirs, _ = module(torch.tensor(xs))
    (theirs * torch.tensor(d_hs)).sum().backward()
    ours, _ = model(Tensor(xs))
    (ours * d_hs).sum().backward()
    assert relative(ours.numpy(), theirs.detach().numpy()) < 1e-12
    gradients = to_torch(model, grad=True)
    for name, parameter in module.named_parameters():
        assert relative(gradients[name], parameter.grad.numpy()) < 1e-10, name


def test_a_projection_of_torch_is_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(WeightsError, match=r"weight_hr_l0 is a projection \(proj_size\)"):
        from_torch(torch.nn.LSTM(3, 4, proj_size=2).state_dict())


def test_tensors_that_cannot_become_arrays_are_named() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(3, 4)
    with pytest.raises(WeightsError, match="weight_ih_l0 cannot become an array"):
        from_torch(dict(module.named_parameters()))
    with pytest.raises(WeightsError, match="weight_ih_l0 cannot become an array"):
        from_torch(module.to(torch.bfloat16).state_dict())


NETWORK = {
    "embedding.weight": np.zeros((10, 3)),
    "norm.num_batches_tracked": np.array(7),
    **to_torch(RecurrentLayers("gru", 3, 4, reset="after", seed=0), prefix="rnn."),
    "fc.weight": np.zeros((2, 4)),
}


@pytest.mark.parametrize("given", ["", "rnn", "encoder."])
def test_of_a_whole_network_the_message_names_the_prefix_that_there_is(given: str) -> None:
    layers = RecurrentLayers("gru", 3, 4, reset="after", seed=1)
    for load in (lambda: from_torch(NETWORK, prefix=given), lambda: load_torch(layers, NETWORK, prefix=given)):
        with pytest.raises(WeightsError, match=r"state_dict of a whole network.*read with prefix='rnn\.'$"):
            load()
    both = NETWORK | to_torch(layers, prefix="decoder.rnn.")
    with pytest.raises(WeightsError, match=r"with prefix='decoder\.rnn\.' or prefix='rnn\.'$"):
        from_torch(both, prefix=given)
    assert from_torch(NETWORK, prefix="rnn.").cells[0][0].hidden_size == 4
