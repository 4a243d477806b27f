"""Initial values: each rule's law, gate by gate, and the seed."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from minigrad.models.cells import CELLS, GRU, LSTM, RNN, make_cell
from minigrad.models.initialisers import INITIALISERS, Initialiser

from minigrad.errors import ArgumentError

every_rule = pytest.mark.parametrize("init", INITIALISERS)


@every_rule
@pytest.mark.parametrize("name", CELLS)
def test_a_seed_decides_all_initial_values(name: str, init: str) -> None:
    first, again, other = (make_cell(name, 3, 4, init=init, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all((first[key] == again[key]).all() for key in first)
    assert any((first[key] != other[key]).any() for key in first)


@pytest.mark.parametrize("init", ["xavier_uniform", "xavier_normal"])
def test_xavier_has_variance_2_over_rows_plus_columns_of_one_gate(init: str) -> None:
    D, H = 300, 100
    for name, matrix in LSTM(D, H, init=init, seed=0).by_gate().items():
        if name.startswith("W_"):
            variance = 2 / sum(matrix.shape)
            assert abs(matrix.var() / variance - 1) < 0.05, name
            assert abs(matrix.mean()) < 4 * np.sqrt(variance / matrix.size), name
            reach = np.abs(matrix).max() / np.sqrt(variance)
            assert (reach < np.sqrt(3)) == (init == "xavier_uniform"), name
        else:
            assert not matrix.any()


def test_orthogonal_makes_every_gates_recurrent_matrix_orthogonal_and_different() -> None:
    gates = GRU(5, 6, init="orthogonal", seed=0).by_gate()
    recurrent = [gates[f"W_{gate}h"] for gate in "urc"]
    for Q in recurrent:
        np.testing.assert_allclose(Q.T @ Q, np.eye(6), atol=1e-14)
    assert all(np.abs(a - b).max() > 0.1 for a, b in pairwise(recurrent))
    assert not any(gates[name].any() for name in ("b_u", "b_r", "b_c"))


def test_orthogonal_matrices_are_drawn_evenly_their_determinants_of_both_signs() -> None:
    make = Initialiser("orthogonal", 3, seed=0)
    signs = [np.linalg.det(make.recurrent("W_hh", 3, 3).numpy()) for _ in range(200)]
    assert 70 < sum(sign > 0 for sign in signs) < 130
    assert abs(np.mean([make.recurrent("W_hh", 3, 3).numpy() for _ in range(500)])) < 0.05


def test_identity_makes_the_relu_rnn_carry_its_state_unchanged() -> None:
    cell = RNN(2, 5, nonlinearity="relu", init="identity", seed=0)
    np.testing.assert_array_equal(cell.W_hh.numpy(), np.eye(5))
    assert not cell.b_h.numpy().any()
    assert 0 < np.abs(cell.W_hx.numpy()).max() < 0.01


def test_peepholes_start_as_biases_do() -> None:
    assert not LSTM(2, 3, peepholes=True, init="orthogonal", seed=0).p_f.numpy().any()
    assert LSTM(2, 3, peepholes=True, init="uniform", seed=0).p_f.numpy().all()


@pytest.mark.parametrize("init", ["Orthogonal", "", None, 3, ["uniform"]])
def test_another_rule_is_refused_with_the_list_of_those_there_are(init: Any) -> None:
    right = "'uniform', 'xavier_uniform', 'xavier_normal', 'orthogonal', 'identity'"
    with pytest.raises(ArgumentError, match=f"init: expected one of {right}, got"):
        LSTM(2, 3, init=init)
