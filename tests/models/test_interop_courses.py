"""The matrices of C3 and C4, acting on [h, x]: their equations computed with them, round trips, refusals."""

from typing import Any

import numpy as np
import pytest
from interop_cases import same_bits
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN, make_cell
from minigrad.models.interop import WeightsError, from_courses, load_courses, to_courses

from minigrad import Tensor
from minigrad.errors import ArgumentError

rng = np.random.default_rng(0)
X, H, C = rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))
HX = np.concatenate([H, X], axis=1)


def σ(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def step(cell: Any, *state: np.ndarray) -> Any:
    given = [Tensor(part) for part in state]
    return cell.step(Tensor(X), type(cell.initial_state(2))(*given) if len(given) > 1 else given[0])


def test_c4_in_one_matrix() -> None:
    cell = RNN(3, 4, seed=1)
    p = to_courses(cell)
    np.testing.assert_allclose(step(cell, H).numpy(), np.tanh(HX @ p["W_h"].T + p["b_h"]), rtol=1e-13)


def test_c3_gru() -> None:
    cell = GRU(3, 4, seed=1)
    p = to_courses(cell)
    Γ_u, Γ_r = (σ(HX @ p[f"W_{gate}"].T + p[f"b_{gate}"]) for gate in "ur")
    candidate = np.tanh(np.concatenate([Γ_r * H, X], axis=1) @ p["W_c"].T + p["b_c"])
    np.testing.assert_allclose(step(cell, H).numpy(), Γ_u * candidate + (1 - Γ_u) * H, rtol=1e-13)


def test_c3_lstm_as_printed_there_and_in_the_standard_form() -> None:
    for output_tanh in (False, True):
        cell = LSTM(3, 4, output_tanh=output_tanh, seed=1)
        p = to_courses(cell)
        candidate = np.tanh(HX @ p["W_c"].T + p["b_c"])
        Γ_u, Γ_f, Γ_o = (σ(HX @ p[f"W_{gate}"].T + p[f"b_{gate}"]) for gate in "ufo")
        c = Γ_u * candidate + Γ_f * C
        new = step(cell, C, H)
        np.testing.assert_allclose(new.c.numpy(), c, rtol=1e-13)
        np.testing.assert_allclose(new.h.numpy(), Γ_o * (np.tanh(c) if output_tanh else c), rtol=1e-13)


def test_c1_gated_rnn() -> None:
    cell = GatedRNN(3, 4, seed=1)
    p = to_courses(cell)
    g = σ(HX @ p["W_g"].T)
    np.testing.assert_allclose(step(cell, H).numpy(), (1 - g) * H + g * np.tanh(HX @ p["W_s"].T), rtol=1e-13)


CELLS = [
    ("rnn", {}),
    ("rnn", {"form": "concatenated", "bias": False}),
    ("gated_rnn", {}),
    ("gated_rnn", {"bias": True}),
    ("gru", {"dtype": np.float32}),
    ("gru", {"reset": "after"}),
    ("gru", {"reset_gate": False, "bias": False}),
    ("lstm", {}),
    ("lstm", {"coupled": True, "peepholes": True, "output_tanh": False}),
]


@pytest.mark.parametrize(("name", "options"), CELLS)
def test_there_and_back_again_gives_the_same_bits(name: str, options: dict[str, Any]) -> None:
    cell, other = make_cell(name, 3, 4, seed=0, **options), make_cell(name, 3, 4, seed=1, **options)
    load_courses(other, to_courses(cell))
    assert same_bits(cell, other)
    assert same_bits(from_courses(name, to_courses(cell), **options), cell)


def test_gradients_have_the_same_names_and_shapes() -> None:
    cell = LSTM(3, 4, seed=0)
    step(cell, C, H).h.sum().backward()
    gradients = to_courses(cell, grad=True)
    assert {name: array.shape for name, array in gradients.items()} == {n: a.shape for n, a in to_courses(cell).items()}
    np.testing.assert_array_equal(gradients["W_c"][:, :4], cell.by_gate(grad=True)["W_gh"])


def test_weights_that_do_not_fit_are_refused_with_all_problems_and_nothing_changes() -> None:
    cell = LSTM(3, 4, seed=0)
    before, weights = cell.state_dict(), to_courses(cell)
    del weights["W_u"]
    weights |= {"W_i": np.zeros((4, 7)), "b_o": np.zeros(5), "W_f": np.zeros((7, 4))}
    with pytest.raises(WeightsError) as caught:
        load_courses(cell, weights)
    for problem in (
        "courses, lstm: nothing was loaded",
        "W_u is missing",
        "W_i does not belong here",
        "b_o should be (4,) and is (5,)",
        "W_f should be (4, 7) and is (7, 4)",
    ):
        assert problem in str(caught.value)
    assert all(np.array_equal(value, before[name]) for name, value in cell.state_dict().items())


@pytest.mark.parametrize(
    ("name", "weights", "problem"),
    [
        ("rnn", {}, r"expected matrices W_· \(H, H \+ D\), .* names W_h \(or Waa and Wax, or W and V\); found nothing"),
        ("rnn", {"W_h": np.zeros((4, 4))}, r"expected matrices W_· \(H, H \+ D\)"),
        ("rnn", {"W_h": np.zeros((0, 4))}, r"expected matrices W_· \(H, H \+ D\)"),
        ("gru", {"W_u": np.zeros((2, 5))}, "W_r is missing; W_c is missing"),
        ("gru", {"W_u": np.zeros((2, 5)), "b_u": [0, 1]}, "b_u holds int64"),
    ],
)
def test_weights_of_no_cell_are_refused(name: str, weights: Any, problem: str) -> None:
    with pytest.raises(WeightsError, match=problem):
        from_courses(name, weights)


def test_a_cell_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ArgumentError, match="expected one of 'rnn'"):
        from_courses("lsmt", {"W_h": np.zeros((2, 5))})


def programs(cell: Any) -> dict[str, np.ndarray]:
    """The weights of a cell as the courses' programs hold them: no underscores, biases as columns, Wi for Γ_u."""
    written = {name.replace("_", ""): array for name, array in to_courses(cell).items()}
    if cell.label == "lstm":
        written = {{"Wu": "Wi", "bu": "bi"}.get(name, name): array for name, array in written.items()}
    return {name: array[:, None] if array.ndim == 1 else array for name, array in written.items()}


@pytest.mark.parametrize("cell", [LSTM(3, 4, seed=0), GRU(3, 4, seed=0), LSTM(3, 4, bias=False, seed=0)])
def test_the_names_and_columns_of_the_courses_programs_are_read(cell: Any) -> None:
    assert same_bits(from_courses(cell.label, programs(cell)), cell)


def test_an_rnns_two_matrices_are_put_side_by_side() -> None:
    cell = RNN(3, 4, seed=0)
    apart = {"Waa": cell.W_hh.numpy(), "Wax": cell.W_hx.numpy(), "ba": cell.b_h.numpy()[:, None]}
    assert same_bits(from_courses("rnn", apart), cell)
    assert same_bits(from_courses("rnn", cell.state_dict()), cell)
    assert same_bits(from_courses("rnn", {"W": cell.W_hh.numpy(), "V": cell.W_hx.numpy(), "b_h": cell.b_h.numpy()}), cell)
    with pytest.raises(WeightsError, match=r"Waa \(3, 3\) and Wax \(4, 3\) differ in H"):
        from_courses("rnn", apart | {"Waa": np.zeros((3, 3))})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"Wy": np.zeros((2, 4))}, r"Wy belongs to the output layer, a Head\(H, N\): its W_yh and b_y"),
        ({"W_f": np.zeros((4, 7))}, "Wf and W_f are one and the same"),
        ({"bf": np.zeros((1, 4))}, r"bf should be \(4,\) and is \(1, 4\)"),
        ({"Wz": np.zeros((4, 7))}, "Wz does not belong here"),
    ],
)
def test_names_that_are_not_of_the_cell_are_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(WeightsError, match=problem):
        from_courses("lstm", programs(LSTM(3, 4, seed=0)) | more)


def test_where_nothing_fits_the_names_that_are_there_and_that_are_wanted_are_listed() -> None:
    with pytest.raises(WeightsError, match=r"W_u, W_f, W_c, W_o \(or Wi, Wf, Wc, Wo\); found kernel \(4, 7\), bias \(4,\)"):
        from_courses("lstm", {"kernel": np.zeros((4, 7)), "bias": np.zeros(4)})


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("lstm", ("Wf", "bf"), "Wi is missing; Wc is missing; Wo is missing; bi is missing; bc is missing; bo is missing"),
        ("lstm", ("Wu", "Wf", "Wc", "bu", "bf", "bc"), "nothing was loaded: Wo is missing; bo is missing"),
        ("lstm", ("W_f", "b_f"), "W_u is missing; W_c is missing; W_o is missing; b_u is missing; b_c is missing"),
        ("gru", ("Wu", "bu"), "Wr is missing; Wc is missing; br is missing; bc is missing"),
    ],
)
def test_what_is_missing_has_the_name_that_its_giver_would_write(name: str, given: tuple[str, ...], problem: str) -> None:
    weights = {key: np.ones((4, 7)) if key[0] == "W" else np.ones((4, 1)) for key in given}
    with pytest.raises(WeightsError, match=problem):
        from_courses(name, weights)
