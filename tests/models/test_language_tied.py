"""A language model whose embedding and output weights are one parameter."""

from pathlib import Path

import numpy as np
import pytest
from minigrad.models.checkpoints import load_language_model, save_language_model
from minigrad.models.language import LanguageModel
from minigrad.models.proof import compare_by_hand

from minigrad.checks.finite_differences import numerical_gradient
from minigrad.errors import ArgumentError

SYMBOLS, TARGETS = np.array([[0, 4], [2, 2], [3, 1]]), np.array([[2, 2], [3, 1], [4, 0]])


def tied_model(cell: str = "gru") -> LanguageModel:
    return LanguageModel(5, 3, cell=cell, embedding_size=3, tied=True, seed=0)


def test_embedding_and_output_weights_are_one_parameter() -> None:
    model = tied_model()
    assert model.E is model.head.W_yh
    names = [name for name, _ in model.named_parameters()]
    assert names.count("E") == 1
    assert "head.W_yh" not in names


def test_its_gradient_is_the_sum_of_both_uses() -> None:
    model = tied_model()
    model.loss(SYMBOLS, TARGETS)[0].backward()
    assert model.E is not None
    values = model.E.numpy()

    def loss() -> float:
        model.E.data = values
        return float(model.loss(SYMBOLS, TARGETS)[0].item())

    np.testing.assert_allclose(model.E.grad, numerical_gradient(loss, values), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cell", ["rnn", "gated_rnn", "gru", "lstm"])
def test_the_hand_derived_gradients_agree(cell: str) -> None:
    rows = compare_by_hand(tied_model(cell), SYMBOLS, TARGETS)
    assert all(row.equal for row in rows)
    assert "W_yh" not in [row.name for row in rows]


def test_a_saved_one_is_tied_again(tmp_path: Path) -> None:
    model = tied_model()
    save_language_model(tmp_path / "model.npz", model)
    loaded = load_language_model(tmp_path / "model.npz").model
    assert loaded.E is loaded.head.W_yh
    np.testing.assert_array_equal(loaded.distribution(SYMBOLS[:, 0]), model.distribution(SYMBOLS[:, 0]))


@pytest.mark.parametrize("size", [None, 4])
def test_sizes_that_cannot_be_tied_are_refused(size: int | None) -> None:
    with pytest.raises(ArgumentError, match="embedding_size must be hidden_size = 3"):
        LanguageModel(5, 3, embedding_size=size, tied=True)
