"""The switches of the cells: each variant against the hand-derived pass of the cell it restricts, or differences."""

from typing import Any

import numpy as np
import pytest
from by_hand_cases import BY_NAME, LOSSES, Case, Leaves, every_size, make_case, worst
from cell_cases import by_autograd, gradients
from differences import assert_gradients, leaves_of, weighted
from minigrad.models.cells import CELLS, GRU, LSTM, RNN, LSTMState, make_cell
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of, with_parts

from minigrad import Tensor, walk
from minigrad.errors import ArgumentError, ShapeError

every_loss = pytest.mark.parametrize("losses", LOSSES)
either_way = pytest.mark.parametrize("hoist", [False, True])

OPEN = 1e4
"""σ(OPEN) is 1 exactly: a gate with this bias and no weights is the constant 1."""


def restricted(case: Case, changes: Leaves) -> Case:
    """The case with some parameters replaced."""
    return Case(case.variant, case.params | changes, case.xs, case.state, case.d_hs, case.d_state)


def always_open(gate: str, D: int, H: int) -> Leaves:
    return {f"W_{gate}x": np.zeros((H, D)), f"W_{gate}h": np.zeros((H, H)), f"b_{gate}": np.full(H, OPEN)}


def without(leaves: Leaves, *names: str) -> Leaves:
    return {name: value for name, value in leaves.items() if name not in names}


# ---------------------------------------------------------------- the concatenated form


@pytest.mark.sampled(2)
@every_size
@every_loss
@either_way
@pytest.mark.parametrize("variant", ["rnn", "rnn-nobias", "rnn-relu"])
def test_the_concatenated_rnn_has_the_hand_derived_gradients(
    variant: str, hoist: bool, losses: str, T: int, B: int, D: int, H: int
) -> None:
    case = make_case(BY_NAME[variant], T, B, D, H, losses, seed=4)
    difference, leaf = worst(by_autograd(case, hoist, form="concatenated"), case.by_hand())
    assert difference < 1e-12, leaf


def test_the_concatenated_rnn_has_one_leaf_with_the_state_first_and_the_values_of_the_split_one() -> None:
    split, joined = (RNN(3, 4, form=form, seed=5) for form in ("split", "concatenated"))
    assert {name: p.shape for name, p in joined.named_parameters()} == {"W_h": (4, 7), "b_h": (4,)}
    np.testing.assert_array_equal(joined.W_h.data, np.concatenate([split.W_hh.data, split.W_hx.data], axis=1))
    xs = np.random.default_rng(6).normal(size=(5, 2, 3))
    np.testing.assert_allclose(unroll(joined, xs)[0].numpy(), unroll(split, xs)[0].numpy(), rtol=1e-12, atol=1e-15)
    assert "concatenate" in {node.label for node in walk(unroll(joined, xs)[0])}


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (RNN(3, 4), ["W_h", "b_h"]),
        (RNN(3, 4, form="concatenated"), ["W_h", "b_h"]),
        (make_cell("gated_rnn", 3, 4), ["W_g", "W_s"]),
        (make_cell("gated_rnn", 3, 4, bias=True), ["W_g", "W_s", "b_g", "b_s"]),
        (GRU(3, 4), ["W_u", "W_r", "W_c", "b_u", "b_r", "b_c"]),
        (GRU(3, 4, reset="after"), ["W_u", "W_r", "W_c", "b_u", "b_r", "b_c", "b_ch"]),
        (LSTM(3, 4), ["W_i", "W_f", "W_g", "W_o", "b_i", "b_f", "b_g", "b_o"]),
        (LSTM(3, 4, coupled=True, peepholes=True), ["W_f", "W_g", "W_o", "b_f", "b_g", "b_o", "p_f", "p_o"]),
    ],
)
def test_the_courses_concatenated_matrices_act_on_state_then_input_and_load_back(cell: Any, names: list[str]) -> None:
    gates, joined = cell.by_gate(), cell.by_gate(concatenated=True)
    assert list(joined) == names
    h = cell.state_names[-1]
    for name in names:
        if name.startswith("W_"):
            np.testing.assert_array_equal(joined[name], np.concatenate([gates[name + h], gates[f"{name}x"]], axis=1))
    before = cell.state_dict()
    cell.load_by_gate({name: np.zeros_like(value) for name, value in gates.items()})
    cell.load_by_gate(joined)
    for name, value in cell.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_gradients_come_concatenated_too() -> None:
    cell = GRU(3, 4, seed=0)
    unroll(cell, np.ones((2, 2, 3)))[0].sum().backward()
    apart, joined = cell.by_gate(grad=True), cell.by_gate(grad=True, concatenated=True)
    np.testing.assert_array_equal(joined["W_r"], np.concatenate([apart["W_rh"], apart["W_rx"]], axis=1))


def test_a_concatenated_matrix_of_the_wrong_shape_is_refused_and_nothing_changes() -> None:
    cell = GRU(3, 4, seed=0)
    before = cell.by_gate()
    with pytest.raises(ShapeError, match=r"gru.load_by_gate: W_r must be \(4, 7\), got \(4, 6\)"):
        cell.load_by_gate(cell.by_gate(concatenated=True) | {"W_u": np.zeros((4, 7)), "W_r": np.zeros((4, 6))})
    with pytest.raises(ArgumentError, match=r"missing: W_rx, W_rh$"):
        cell.load_by_gate(without(cell.by_gate(concatenated=True), "W_r"))
    assert worst(cell.by_gate(), before)[0] == 0


# ---------------------------------------------------------------- the ablated GRUs


@pytest.mark.sampled(2)
@every_size
@every_loss
@either_way
@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("removed", ["u", "r", "ur"])
def test_a_gru_without_a_gate_is_the_gru_whose_gate_is_always_open(
    removed: str, reset: str, hoist: bool, losses: str, T: int, B: int, D: int, H: int
) -> None:
    case = make_case(BY_NAME[f"gru-{reset}"], T, B, D, H, losses, seed=7)
    for gate in removed:
        case = restricted(case, always_open(gate, D, H))
    gone = [name for gate in removed for name in always_open(gate, D, H)]
    cell = GRU(D, H, reset=reset, update_gate="u" not in removed, reset_gate="r" not in removed)
    cell.load_by_gate(without(case.params, *gone))
    difference, leaf = worst(gradients(cell, case, hoist), without(case.by_hand(), *gone))
    assert difference < 1e-12, leaf


def test_the_picture_of_an_ablated_gru_lacks_the_gate() -> None:
    def names(**options: bool) -> set[str | None]:
        return {node.name for node in walk(unroll(GRU(3, 4, **options), np.ones((2, 2, 3)))[0]) if not node.is_leaf}

    assert names() - {None} == {"u", "r", "c̃", "h"}
    assert names(update_gate=False) - {None} == {"r", "h"}
    assert names(reset_gate=False) - {None} == {"u", "c̃", "h"}


def test_over_100_steps_the_gru_without_reset_gate_keeps_the_gradient_and_the_one_without_update_gate_does_not() -> None:
    def sent_back(**options: bool) -> float:
        cell = GRU(3, 8, seed=0, **options)
        if "u" in cell.gates:
            cell.load_by_gate(cell.by_gate() | {"b_u": np.full(8, -8.0)})                # Γ_u ≈ 0
        start = Tensor(np.zeros((1, 8)), requires_grad=True)
        unroll(cell, np.random.default_rng(1).normal(size=(100, 1, 3)), start)[1].sum().backward()
        return float(np.abs(start.grad).max())

    assert sent_back(reset_gate=False) > 0.9
    assert sent_back(update_gate=False) < 1e-9


# ---------------------------------------------------------------- the LSTM's options


@pytest.mark.sampled(2)
@every_size
@every_loss
@either_way
@pytest.mark.parametrize("variant", ["lstm", "lstm-no-output-tanh"])
def test_a_coupled_lstm_is_the_lstm_whose_input_gate_mirrors_its_forget_gate(
    variant: str, hoist: bool, losses: str, T: int, B: int, D: int, H: int
) -> None:
    case = make_case(BY_NAME[variant], T, B, D, H, losses, seed=8)
    pairs = {"W_fx": "W_ix", "W_fh": "W_ih", "b_f": "b_i"}
    case = restricted(case, {i: -case.params[f] for f, i in pairs.items()})              # σ(−a) = 1 − σ(a)
    cell = LSTM(D, H, coupled=True, output_tanh=variant == "lstm")
    cell.load_by_gate(without(case.params, *pairs.values()))
    by_hand = case.by_hand()
    mirrored = {f: by_hand[f] - by_hand[i] for f, i in pairs.items()}
    difference, leaf = worst(gradients(cell, case, hoist), without(by_hand, *pairs.values()) | mirrored)
    assert difference < 1e-12, leaf


def test_i_and_f_of_a_coupled_lstm_add_up_to_1_bit_for_bit() -> None:
    _, state = unroll(LSTM(3, 4, coupled=True, seed=0), np.random.default_rng(1).normal(size=(5, 2, 3)))
    i, f = (next(node for node in walk(state.h) if node.name == gate and node.time == 5) for gate in "if")
    assert i.inputs == (None, f)
    assert i.label == "sub"


@pytest.mark.parametrize("coupled", [False, True])
def test_peepholes_add_what_their_equations_say(coupled: bool) -> None:
    cell = LSTM(3, 4, peepholes=True, coupled=coupled, init="uniform", seed=9)
    p, rng = cell.by_gate(), np.random.default_rng(10)
    x, c, h = rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))

    def a(gate: str) -> np.ndarray:
        return h @ p[f"W_{gate}h"].T + x @ p[f"W_{gate}x"].T + p[f"b_{gate}"]

    def sigma(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    f = sigma(a("f") + p["p_f"] * c)
    i = 1 - f if coupled else sigma(a("i") + p["p_i"] * c)
    new_c = f * c + i * np.tanh(a("g"))
    new_h = sigma(a("o") + p["p_o"] * new_c) * np.tanh(new_c)
    state = cell.step(Tensor(x), LSTMState(Tensor(c), Tensor(h)))
    np.testing.assert_allclose(state.c.numpy(), new_c, rtol=1e-13)
    np.testing.assert_allclose(state.h.numpy(), new_h, rtol=1e-13)
    old_cell_in_o = sigma(a("o") + p["p_o"] * c) * np.tanh(new_c)
    assert np.abs(old_cell_in_o - new_h).max() > 1e-3


def test_closed_peepholes_are_no_peepholes() -> None:
    plain, seeing = LSTM(3, 4, seed=11), LSTM(3, 4, peepholes=True, seed=11)
    seeing.load_by_gate(plain.by_gate() | {name: np.zeros(4) for name in ("p_i", "p_f", "p_o")})
    xs = np.random.default_rng(12).normal(size=(5, 2, 3))
    np.testing.assert_array_equal(unroll(plain, xs)[0].numpy(), unroll(seeing, xs)[0].numpy())


def test_the_forget_bias_starts_where_it_is_told_to_and_nothing_else_moves() -> None:
    drawn, told = LSTM(3, 4, seed=13).by_gate(), LSTM(3, 4, forget_bias=1.0, seed=13).by_gate()
    np.testing.assert_array_equal(told["b_f"], np.ones(4))
    assert worst(without(told, "b_f"), without(drawn, "b_f"))[0] == 0


# ---------------------------------------------------------------- without bias


@either_way
@pytest.mark.parametrize("variant", ["gru-before", "gru-after", "lstm"])
def test_a_cell_without_bias_is_the_cell_whose_biases_are_zero(variant: str, hoist: bool) -> None:
    case = make_case(BY_NAME[variant], 7, 3, 4, 3, "every step", seed=14)
    biases = [name for name in case.params if name.startswith("b_")]
    case = restricted(case, {name: np.zeros(3) for name in biases})
    cell = make_cell(variant.split("-")[0], 4, 3, bias=False, **({"reset": variant[4:]} if "gru" in variant else {}))
    cell.load_by_gate(without(case.params, *biases))
    assert worst(gradients(cell, case, hoist), without(case.by_hand(), *biases))[0] < 1e-12


# ---------------------------------------------------------------- every variant, by differences

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("rnn", {"nonlinearity": "tanh"}),
    ("rnn", {"nonlinearity": "relu"}),
    ("rnn", {"form": "concatenated"}),
    ("rnn", {"form": "concatenated", "nonlinearity": "relu", "bias": False}),
    ("gated_rnn", {}),
    ("gated_rnn", {"bias": True}),
    *[
        ("gru", {"reset": reset, "update_gate": u, "reset_gate": r})
        for reset in ("before", "after")
        for u in (True, False)
        for r in (True, False)
    ],
    *[
        ("lstm", {"peepholes": peepholes, "coupled": coupled, "output_tanh": output_tanh})
        for peepholes in (False, True)
        for coupled in (False, True)
        for output_tanh in (True, False)
    ],
]
every_variant = pytest.mark.parametrize(
    ("name", "options"), VARIANTS, ids=[f"{name} {' '.join(f'{k}={v}' for k, v in o.items())}" for name, o in VARIANTS]
)


@pytest.mark.sampled(2)
@every_variant
@either_way
@pytest.mark.parametrize(("T", "B", "D", "H", "every_entry"), [(2, 1, 3, 3, True), (3, 2, 3, 2, True), (30, 2, 2, 3, False)])
def test_every_variants_gradients_are_those_of_central_differences(
    name: str, options: dict[str, Any], hoist: bool, T: int, B: int, D: int, H: int, every_entry: bool
) -> None:
    rng = np.random.default_rng(15)
    cell = make_cell(name, D, H, seed=16, **options)
    for parameter in cell.parameters():
        parameter.data = rng.normal(size=parameter.shape) / np.sqrt(H)
    template = cell.initial_state(B)
    starts = [Tensor(rng.normal(size=(B, H)), requires_grad=True) for _ in parts_of(template)]
    xs = Tensor(rng.normal(size=(T, B, D)), requires_grad=True)

    def loss() -> Tensor:
        hs, final = unroll(cell, xs, with_parts(template, starts), hoist=hoist)
        return weighted(hs, *parts_of(final))

    leaves = leaves_of(cell, xs=xs, **{f"{n}_0": start for n, start in zip(cell.state_names, starts, strict=True)})
    assert_gradients(loss, leaves, every_entry=every_entry, tolerance=1e-8)


@every_variant
def test_every_variant_loads_what_it_gives_and_hoisting_changes_no_number(name: str, options: dict[str, Any]) -> None:
    cell, other = (make_cell(name, 3, 4, seed=seed, **options) for seed in (17, 18))
    other.load_by_gate(cell.by_gate())
    xs = np.random.default_rng(19).normal(size=(6, 2, 3))
    plain, hoisted = unroll(cell, xs)[0].numpy(), unroll(other, xs, hoist=True)[0].numpy()
    np.testing.assert_allclose(plain, hoisted, rtol=1e-13, atol=1e-15)


# ---------------------------------------------------------------- wrong options


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rnn", {"nonlinearity": "sigmoid"}, "rnn: nonlinearity: expected one of 'tanh', 'relu', got 'sigmoid'"),
        ("rnn", {"form": "joined"}, "rnn: form: expected one of 'split', 'concatenated', got 'joined'"),
        ("rnn", {"bias": "no"}, "rnn: bias: expected True or False, got 'no'"),
        ("gru", {"reset": None}, "gru: reset: expected one of 'before', 'after', got None"),
        ("gru", {"update_gate": 1}, "gru: update_gate: expected True or False, got 1"),
        ("lstm", {"peepholes": "yes"}, "lstm: peepholes: expected True or False, got 'yes'"),
        ("lstm", {"forget_bias": "one"}, "lstm: forget_bias: expected None, or a finite number and bias=True, got 'one'"),
        ("lstm", {"forget_bias": 1.0, "bias": False}, "lstm: forget_bias: expected None, or a finite number and bias=True"),
        ("gated_rnn", {"init": "glorot"}, "init: expected one of 'uniform', 'xavier_uniform', .*, got 'glorot'"),
        ("gated_rnn", {"bias": None}, "gated_rnn: bias: expected True or False, got None"),
        ("gated_rnn", {"reset": "after"}, "gated_rnn: an option: expected one of 'bias', 'init', 'dtype', 'seed', got 'reset'"),
        ("lstm", {"reset": "after"}, "lstm: an option: expected one of 'output_tanh', .*, 'seed', got 'reset'"),
    ],
)
def test_wrong_options_are_refused_with_the_right_ones(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make_cell(name, 2, 3, **options)


def test_every_cell_takes_init_dtype_and_seed() -> None:
    for name in CELLS:
        cell = make_cell(name, 2, 3, init="orthogonal", dtype=np.float32, seed=np.random.default_rng(0))
        assert {p.dtype.name for p in cell.parameters()} == {"float32"}
