"""A gradient taken apart as the courses write it."""

from typing import Any

import numpy as np
import pytest
from cells_to_derive import MinimalGated
from minigrad.models import GRU, LSTM, RNN, Head, RecurrentLayers, unroll

import minigrad as mg
from minigrad import Tensor, derive, explain

T, D, H, N = 6, 2, 3, 4


def sequence(steps: int = T) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(steps, 1, D))


def with_head(cell: Any, head: Head, truncated: int | None = None) -> Tensor:
    hs, _ = unroll(cell, sequence(), truncated=truncated)
    return mg.cross_entropy(head(hs), np.arange(T)[:, None] % N, reduction="sum")


def handed_in(cell: Any, head: Head, truncated: int) -> np.ndarray:
    """What a program computes that stops gradients after so many steps."""
    cell.zero_grad()
    with_head(cell, head, truncated).backward()
    return np.array(cell.b_h.grad)


def test_the_formula_of_the_quiz_has_the_symbols_of_the_cell() -> None:
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    explanation = explain(with_head(cell, head), cell.b_h, cell)
    lines = str(explanation).splitlines()
    assert lines[0] == "∂L/∂b_h = Σₜ ∂Lₜ/∂ŷₜ · ∂ŷₜ/∂hₜ · Σ_{k ≤ t} ( Π_{i = k+1 … t} ∂hᵢ/∂hᵢ₋₁ ) · ∂⁺hₖ/∂b_h"
    assert [line.strip() for line in lines[3:7]] == [
        "∂L/∂hₜ = ∂Lₜ/∂hₜ + ∂L₊/∂hₜ",
        "∂L/∂a_hₜ = ∂L/∂hₜ ⊙ (1 − hₜ²)",
        "∂L/∂b_h = Σₜ ∂L/∂a_hₜ",
        "∂L₊/∂hₜ₋₁ = W_hhᵀ ∂L/∂a_hₜ",
    ]
    assert explain(with_head(cell, head), head.b_y, cell).formula == "∂L/∂b_y = Σₜ ∂Lₜ/∂ŷₜ · ∂ŷₜ/∂b_y"


def test_without_the_cell_the_symbols_are_those_of_the_step_as_it_was_recorded() -> None:
    cell, head = LSTM(D, H, seed=1), Head(H, N, seed=2)
    recorded, given = (explain(with_head(cell, head), cell.W_x, of) for of in (None, cell))
    assert "s = (c, h) is the whole state." in recorded.factors
    assert "        ∂L/∂cₜ = ∂L/∂tanh(cₜ) ⊙ (1 − tanh²(cₜ)) + ∂L₊/∂cₜ" in str(recorded).splitlines()
    assert recorded.formula == given.formula
    assert (recorded.terms.table == given.terms.table).all()


def test_in_stacked_layers_it_is_the_layer_that_has_the_parameter() -> None:
    layers = RecurrentLayers([RNN(D, H, seed=0), GRU(H, H, seed=1)])
    hs, _ = layers(sequence())
    lower, upper = (cell for (cell,) in layers.cells)
    assert "∂L/∂a_hₜ = ∂L/∂hₜ ⊙ (1 − hₜ²)" in str(explain((hs * hs).sum(), lower.W_hx))
    assert "∂L/∂c̃ₜ = ∂L/∂hₜ ⊙ uₜ" in str(explain((hs * hs).sum(), upper.W_h))


def test_of_an_lstm_the_whole_state_stands_in_the_product() -> None:
    cell = LSTM(D, H, seed=1)
    hs, _ = unroll(cell, sequence())
    explanation = explain((hs * hs).sum(), "W_fh", cell)
    assert "∂Lₜ/∂hₜ · ∂hₜ/∂sₜ · Σ_{k ≤ t} ( Π_{i = k+1 … t} ∂sᵢ/∂sᵢ₋₁ ) · ∂⁺sₖ/∂W_fh" in explanation.formula
    assert "s = (c, h) is the whole state." in explanation.factors
    (gradient,) = mg.grad((hs * hs).sum(), cell.W_h)
    np.testing.assert_allclose(explanation.terms.gradient, gradient.numpy()[H : 2 * H], rtol=1e-12)


@pytest.mark.parametrize("mean", [False, True])
def test_a_sum_over_time_is_split_by_the_steps_that_it_reads(mean: bool) -> None:
    cell = GRU(D, H, seed=1)
    hs, _ = unroll(cell, sequence())
    losses = (hs * hs).sum(axis=(1, 2))
    split = mg.contributions(losses.mean() if mean else losses.sum(), cell.W_h)
    apart = mg.contributions(losses, cell.W_h)
    np.testing.assert_allclose(split.table, apart.table / (T if mean else 1), rtol=1e-12, atol=1e-17)


def test_a_loss_at_one_step_and_one_made_within_a_step_have_one_row() -> None:
    cell = RNN(D, H, seed=1)
    hs, h = unroll(cell, sequence())
    for loss in ((hs[2] * hs[2]).sum(), hs[2].sum()):
        norms = mg.contributions(loss, cell.W_hh).norms
        assert norms[2].any()
        assert not np.delete(norms, 2, axis=0).any()
    with mg.time_step(T):
        loss = (h * h).sum()
    assert mg.contributions(loss, cell.W_hx).norms[T - 1].all()


def test_in_stacked_layers_the_loss_reads_the_upper_one_only_and_a_skip_both() -> None:
    layers = RecurrentLayers("rnn", D, H, num_layers=2, seed=0)
    lower, upper = (cell for (cell,) in layers.cells)
    middle, _ = unroll(lower, sequence())
    top, _ = unroll(upper, middle)
    loss = (top * top).sum() + 3 * middle.sum()
    for parameter in layers.parameters():
        terms = mg.contributions(loss, parameter)
        (gradient,) = mg.grad(loss, parameter, retain_graph=True)
        np.testing.assert_allclose(terms.gradient, gradient.numpy(), rtol=1e-12)
        assert not terms.outside.any()
        assert not np.triu(terms.norms, 1).any()


@pytest.mark.parametrize(
    ("truncated", "expected"), [(1, "k = t only, no product"), (T, "the double sum with the product")]
)
def test_a_gradient_that_was_handed_in_is_recognised(truncated: int, expected: str) -> None:
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    explanation = explain(with_head(cell, head), cell.b_h, cell)
    assert explanation.recognise(handed_in(cell, head, truncated)) == [expected]


def test_a_gradient_that_no_formula_gives_is_not_named() -> None:
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    explanation = explain(with_head(cell, head), cell.b_h)
    assert explanation.recognise(handed_in(cell, head, 2)) == []
    assert explanation.recognise(2 * explanation.terms.gradient) == []
    rng = np.random.default_rng(0)
    assert not any(explanation.recognise(rng.normal(size=H)) for _ in range(100))


def test_the_sum_without_the_product_is_that_of_the_formula() -> None:
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    loss = with_head(cell, head)
    formulas = explain(loss, cell.b_h, cell).formulas
    table = mg.contributions(loss, cell.b_h).table
    hs, _ = unroll(cell, sequence())
    h = hs.numpy()[:, 0]
    expected = sum(table[t, t] / (1 - h[t] ** 2) * (1 - h[k] ** 2) for t in range(T) for k in range(t + 1))
    np.testing.assert_allclose(formulas["the sum without the product"], expected, rtol=1e-11)
    np.testing.assert_allclose(formulas["the first step only, k = 1"], table[:, 0].sum(axis=0), rtol=1e-12)


def test_vanished_terms_are_counted_and_what_truncation_would_leave_away_is_measured() -> None:
    cell = RNN(D, H, seed=1)
    cell.W_hh.data = 0.05 * np.eye(H)
    hs, _ = unroll(cell, sequence(20))
    explanation = explain((hs * hs).sum(), cell.W_hx, cell)
    norms = explanation.terms.norms
    expected = sum(norms[t, k] < 1e-6 * norms.max() for t in range(20) for k in range(t + 1))
    assert explanation.vanished.sum() == expected > 50
    assert f"{expected} have vanished" in str(explanation)
    whole = explanation.terms.gradient
    kept = sum(explanation.terms.table[t, k] for t in range(20) for k in range(max(0, t - 1), t + 1))
    assert explanation.without(1) == pytest.approx(np.linalg.norm(whole - kept) / np.linalg.norm(whole), rel=1e-9)
    assert explanation.without(19) == 0


def test_a_sequence_that_is_read_in_reverse_says_so() -> None:
    cell = RNN(D, H, seed=1)
    hs, _ = unroll(cell, sequence(), reverse=True)
    explanation = explain((hs * hs).sum(), cell.b_h, cell)
    assert "read in reverse" in str(explanation)
    assert explanation.without(T - 1) == 0
    assert 0 < explanation.without(0) < 1
    assert not np.tril(explanation.vanished, -1).any()


def test_a_cell_of_ones_own_is_explained() -> None:
    cell = MinimalGated(D, H)
    hs, _ = unroll(cell, sequence())
    explanation = explain(hs.sum(), cell.U_f, derive(cell, np.ones((1, D))))
    assert "∂L/∂U_f = Σₜ ∂L/∂a_fₜ hₜ₋₁ᵀ" in str(explanation)
    assert (explain(hs.sum(), "U_f", derive(cell, np.ones((1, D)))).terms.table == explanation.terms.table).all()


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda cell, loss: explain(1.0, cell.b_h), mg.errors.DTypeError, "the loss as a Tensor, got float"),
        (lambda cell, loss: explain(loss, 3), mg.errors.DTypeError, "a Tensor or its name, got int"),
        (lambda cell, loss: explain(loss, "W_f", cell), mg.errors.ArgumentError, "no parameter 'W_f'; the cell has W_hx, W_hh"),
        (lambda cell, loss: explain(loss, "W_hh"), mg.errors.ArgumentError, "only beside the cell that has it"),
        (lambda cell, loss: explain(loss, Tensor(1.0)), mg.errors.GraphError, "does not require a gradient"),
        (lambda cell, loss: explain(loss, RNN(2, 3).b_h), mg.errors.GraphError, "was not computed from b_h"),
        (lambda cell, loss: explain(loss, cell.b_h).recognise(np.ones(7)), mg.errors.ShapeError, "b_h has the shape"),
    ],
)
def test_bad_questions_are_refused(ask: Any, error: type[Exception], message: str) -> None:
    cell = RNN(D, H, seed=1)
    with pytest.raises(error, match=message):
        ask(cell, with_head(cell, Head(H, N, seed=2)))
