"""What people hand to a training by mistake: the message is about what they gave, not about what became of it."""

import warnings
from typing import Any

import numpy as np
import pytest
from minigrad.models import LSTM, Batches, ManyToMany, ManyToOne, RecurrentLayers, fit, padded, unroll

from minigrad import Tensor, cross_entropy, mse_loss, relu
from minigrad.errors import ArgumentError, NonFiniteGradientError, ShapeError

RNG = np.random.default_rng(2)
XS, YS = RNG.normal(size=(5, 8, 3)), RNG.normal(size=(8, 1))
SEQUENCES = [RNG.normal(size=(T, 3)) for T in (4, 2, 5)]


def regression() -> ManyToOne:
    return ManyToOne("rnn", 3, 4, 1, loss=mse_loss, seed=0)


def squared(outputs: Tensor, targets: Any) -> Tensor:
    return ((outputs - targets) ** 2).mean()


def ranking(outputs: Tensor, targets: Any) -> Tensor:
    return relu(1.0 - (outputs - outputs.T) * np.sign(targets[:, None] - targets)).mean()


def test_a_loss_of_ones_own_that_compares_every_output_with_every_target_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"outputs \(8, 1\) and targets \(8,\) to \(8, 8\), every output with every target"):
        fit(regression(), (XS, YS[:, 0]), loss=squared, epochs=1)
    square = RNG.normal(size=(8, 8, 3)), RNG.normal(size=(8, 8))
    with pytest.warns(UserWarning, match=r"outputs \(8, 8, 1\) and targets \(8, 8\) to \(8, 8, 8\)"):
        fit(ManyToMany("rnn", 3, 4, 1, loss=mse_loss, seed=0), Batches(*square, batch_axis=1), loss=squared, epochs=1)


@pytest.mark.parametrize(
    ("targets", "loss"),
    [
        (YS, squared),
        (YS[:, 0], lambda outputs, targets: squared(outputs[:, 0], targets)),
        (YS[:, 0], lambda outputs, targets: squared(outputs.reshape(-1), targets)),
        (YS[:, 0], ranking),
        (YS[:1].repeat(8, axis=0), squared),
    ],
)
def test_a_loss_that_means_what_it_does_is_not_warned_of(targets: Any, loss: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(regression(), (XS, targets), loss=loss, epochs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("inputs", r"update 1: 2 of 120 numbers in the inputs of a batch are NaN or infinite, the first at \(3, \d, 1\); look"),
        ("targets", r"update 1: 1 of 8 numbers in the targets of a batch are NaN or infinite, the first at \(\d, 0\); look"),
    ],
)
def test_numbers_in_the_data_that_are_not_finite_are_named_instead_of_an_explosion(change: str, message: str) -> None:
    xs, ys = XS.copy(), YS.copy()
    if change == "inputs":
        xs[3:, 2, 1] = np.nan
    else:
        ys[2] = np.inf
    with pytest.raises(NonFiniteGradientError, match=message) as caught, np.errstate(all="ignore"):
        fit(regression(), (xs, ys), epochs=1)
    assert "exploded" not in str(caught.value)


def test_padding_is_not_what_is_named() -> None:
    xs, lengths = padded(SEQUENCES, padding=np.nan)
    ys = YS[:3].copy()
    fit(regression(), Batches(xs, ys, lengths=lengths), epochs=1)
    ys[1] = np.nan
    with pytest.raises(NonFiniteGradientError, match="1 of 3 numbers in the targets"):
        fit(regression(), Batches(xs, ys, lengths=lengths), epochs=1)


def test_a_list_of_examples_is_told_from_a_list_of_batches() -> None:
    with pytest.raises(ShapeError, match=r"if these are examples, give all inputs and all targets, \(\[x for x, _ in data\]"):
        fit(regression(), [(XS[:, b], YS[b]) for b in range(8)], epochs=1)


def test_a_cell_that_is_called_says_what_to_write() -> None:
    cell = LSTM(3, 4, seed=0)
    with pytest.raises(ArgumentError, match=r"lstm: a cell is not called: unroll\(cell, xs\) .* cell\.step\(x, state\)"):
        cell(XS)
    with pytest.raises(ArgumentError, match="a model for fit is ManyToOne or ManyToMany with this cell"):
        fit(cell, (XS, YS), loss=mse_loss, epochs=1)


@pytest.mark.parametrize("read", [lambda xs: unroll(LSTM(3, 4, seed=0), xs), RecurrentLayers("lstm", 3, 4, seed=0)])
def test_sequences_of_different_lengths_are_told_to_be_padded(read: Any) -> None:
    with pytest.raises(ShapeError, match=r"xs are sequences of different lengths; xs, lengths = padded\(xs\) makes what"):
        read(SEQUENCES)


def test_padded_sequences_give_what_each_gives_by_itself() -> None:
    cell = LSTM(3, 4, seed=0)
    xs, lengths = padded(SEQUENCES, padding=np.nan)
    hs, last = unroll(cell, xs, lengths=lengths)
    for b, sequence in enumerate(SEQUENCES):
        alone, end = unroll(cell, sequence[:, None])
        np.testing.assert_allclose(hs.numpy()[: len(sequence), b], alone.numpy()[:, 0], rtol=0, atol=1e-15)
        np.testing.assert_allclose(last.c.numpy()[b], end.c.numpy()[0], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("sequences", "padding", "dtype", "filled"),
    [
        ([[1, 2], [3]], 0, np.int64, 0),
        ([[1, 2], [3]], 7.0, np.int64, 7),
        ([[1.5, 2.0], [3]], -1, np.float64, -1),
        ([np.ones(2, np.float32), np.ones(1, np.float32)], 0.1, np.float32, np.float32(0.1)),
        ([[1, 2], []], 0.0, np.float64, 0),
    ],
)
def test_padding_keeps_the_dtype_of_the_sequences(sequences: Any, padding: float, dtype: Any, filled: float) -> None:
    xs, lengths = padded(sequences, padding)
    assert (xs.dtype, xs[1, 1], lengths.tolist()) == (dtype, filled, [len(sequence) for sequence in sequences])


@pytest.mark.parametrize(
    ("sequences", "padding", "error", "message"),
    [
        ([], 0, ArgumentError, "expected at least one sequence of numbers"),
        (["words"], 0, ArgumentError, "expected at least one sequence of numbers"),
        ([1, 2], 0, ShapeError, r"all sequences must be \(T_b, …\) with the same …, got \(\)"),
        ([np.ones((2, 3)), np.ones((2, 4))], 0, ShapeError, r"got \(2, 3\), \(2, 4\)"),
        ([[1, 2], [3]], 0.5, ArgumentError, "padding must be a number like those of the sequences, int64, got 0.5"),
        ([np.ones(2, np.uint8)], -1, ArgumentError, "uint8, got -1"),
        ([[1.0]], "nan", ArgumentError, "float64, got 'nan'"),
    ],
)
def test_what_cannot_be_padded_is_refused(sequences: Any, padding: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=f"padded: .*{message}"):
        padded(sequences, padding)


def test_labels_need_no_column_of_their_own() -> None:
    model = ManyToOne("rnn", 3, 4, 2, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, (XS, np.arange(8) % 2), loss=cross_entropy, epochs=1)
