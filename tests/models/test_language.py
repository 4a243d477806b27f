import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models.cells import CELLS
from minigrad.models.checkpoints import load_language_model, save_language_model
from minigrad.models.language import LanguageModel
from minigrad.models.proof import compare_by_hand
from minigrad.models.unrolling import unroll
from minigrad.models.vocabulary import IntArray

from minigrad import Parameter, Tensor, no_grad, tanh
from minigrad.checks.finite_differences import numerical_gradient
from minigrad.errors import ArgumentError, LabelError, NonFiniteGradientError, ShapeError
from minigrad.optim import SGD

CELL_NAMES = list(CELLS)


def some_text(length: int, size: int = 7, seed: int = 0) -> IntArray:
    return np.random.default_rng(seed).integers(size, size=length)


def small_model(cell: str = "lstm", embedding_size: int | None = 3) -> LanguageModel:
    return LanguageModel(vocabulary_size=7, hidden_size=5, cell=cell, embedding_size=embedding_size, seed=3)


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("embedding_size", [None, 3])
def test_logits_are_those_of_embedding_cell_and_head_one_after_the_other(cell: str, embedding_size: int | None) -> None:
    model, symbols = small_model(cell, embedding_size), some_text(12).reshape(4, 3)
    table = np.eye(7) if model.E is None else model.E.numpy()
    hs, _ = unroll(model.cell, table[symbols])
    expected = hs.numpy() @ model.head.W_yh.numpy().T + model.head.b_y.numpy()
    np.testing.assert_allclose(model(symbols)[0].numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_one_hot_inputs_are_an_embedding_whose_table_is_the_identity(cell: str) -> None:
    one_hot, embedded = small_model(cell, None), small_model(cell, 7)
    values = one_hot.state_dict() | {"E": np.eye(7)}
    embedded.load_state_dict(values)
    symbols = some_text(10).reshape(5, 2)
    np.testing.assert_array_equal(one_hot(symbols)[0].numpy(), embedded(symbols)[0].numpy())


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_the_loss_is_the_mean_negative_log_probability_of_the_targets(cell: str) -> None:
    model, text = small_model(cell), some_text(13)
    loss, _ = model.loss(text[:-1, None], text[1:, None])
    expected = -np.mean([np.log(model.distribution(text[:end])[text[end]]) for end in range(1, 13)])
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_the_gradient_of_the_loss_agrees_with_finite_differences(cell: str) -> None:
    model, text = small_model(cell), some_text(11)
    inputs, targets = text[:-1].reshape(5, 2), text[1:].reshape(5, 2)

    @no_grad()
    def loss() -> float:
        return model.loss(inputs, targets)[0].item()

    model.loss(inputs, targets)[0].backward()
    for parameter in model.parameters():
        numerical = numerical_gradient(loss, parameter.data)
        np.testing.assert_allclose(parameter.grad, numerical, rtol=1e-6, atol=1e-9)


def test_the_state_is_carried_from_one_call_to_the_next() -> None:
    model, symbols = small_model(), some_text(24).reshape(8, 3)
    whole, _ = model(symbols)
    first, state = model(symbols[:5])
    second, _ = model(symbols[5:], state)
    np.testing.assert_allclose(np.concatenate([first.numpy(), second.numpy()]), whole.numpy(), rtol=1e-12)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_distribution_is_a_distribution(cell: str) -> None:
    p = small_model(cell).distribution(some_text(9))
    assert p.shape == (7,)
    assert p.min() > 0
    assert p.sum() == pytest.approx(1, abs=1e-14)


def test_perplexity_counts_every_symbol_but_the_first_and_follows_its_definition() -> None:
    model, text = small_model(), some_text(30)
    probabilities = [model.distribution(text[:end])[text[end]] for end in range(1, 30)]
    assert model.perplexity(text) == pytest.approx(np.exp(-np.mean(np.log(probabilities))), rel=1e-12)


def test_perplexity_of_a_text_longer_than_what_is_read_at_once() -> None:
    model, text = small_model(), some_text(700)
    loss, _ = model.loss(text[:-1, None], text[1:, None])
    assert model.perplexity(text) == pytest.approx(np.exp(loss.item()), rel=1e-12)


@pytest.mark.parametrize("lanes", [2, 3, 7, 28, 29, 100])
def test_lanes_share_the_predictions_among_them_and_lose_none(lanes: int) -> None:
    model, text = small_model("gru"), some_text(30)
    share = math.ceil(29 / min(lanes, 29))
    nats = 0.0
    for start in range(0, 29, share):
        part = text[start : start + share + 1]
        nats += model.loss(part[:-1, None], part[1:, None])[0].item() * (len(part) - 1)
    assert model.perplexity(text, lanes=lanes) == pytest.approx(np.exp(nats / 29), rel=1e-12)


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_model_that_knows_nothing_has_perplexity_n(lanes: int) -> None:
    model = small_model()
    model.head.W_yh.data[...] = 0
    model.head.b_y.data[...] = 0
    assert model.perplexity(some_text(50), lanes=lanes) == pytest.approx(7, rel=1e-12)


def independent_model(p: list[float]) -> LanguageModel:
    """A model that draws every symbol from p, whatever came before."""
    model = LanguageModel(vocabulary_size=len(p), hidden_size=2, seed=0)
    model.head.W_yh.data[...] = 0
    model.head.b_y.data[...] = np.log(p)
    return model


def test_sampling_draws_from_the_distribution_and_not_its_peak() -> None:
    p = [0.5, 0.3, 0.15, 0.05]
    drawn = independent_model(p).sample(4000, prompt=np.array([0]), seed=0)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, p, atol=0.025)


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    for temperature in (0.5, 2.0):
        drawn = independent_model(p.tolist()).sample(4000, prompt=np.array([0]), temperature=temperature, seed=1)
        expected = p ** (1 / temperature)
        np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, expected / expected.sum(), atol=0.025)


def test_a_very_low_temperature_takes_the_likeliest_without_overflow() -> None:
    assert set(independent_model([0.4, 0.6]).sample(50, prompt=np.array([0]), temperature=1e-6, seed=0)) == {1}


def test_top_k_draws_among_the_k_likeliest_in_proportion() -> None:
    drawn = independent_model([0.05, 0.6, 0.05, 0.3]).sample(3000, prompt=np.array([0]), top_k=2, seed=0)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 3000, [0, 2 / 3, 0, 1 / 3], atol=0.03)


def test_a_drawn_symbol_is_fed_back_in() -> None:
    model, prompt = small_model("gru"), np.array([1, 4])
    drawn = model.sample(12, prompt=prompt, seed=5)
    rng = np.random.default_rng(5)
    written = prompt
    for symbol in drawn:
        assert symbol == rng.choice(7, p=model.distribution(written))
        written = np.append(written, symbol)


def test_the_same_seed_draws_the_same_sample_and_another_another() -> None:
    model, prompt = small_model(), np.array([0])
    first, second, third = (model.sample(40, prompt=prompt, seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == second.tolist() != third.tolist()


def test_the_same_seed_makes_the_same_model_and_another_another() -> None:
    one, same, other = (LanguageModel(7, 5, embedding_size=3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert all((one[name] != other[name]).any() for name in one)


def test_a_float32_model_computes_in_float32_throughout() -> None:
    model = LanguageModel(7, 5, cell="gru", embedding_size=3, dtype=np.float32, seed=0)
    loss, state = model.loss(some_text(6).reshape(3, 2), some_text(6).reshape(3, 2))
    loss.backward()
    assert {loss.dtype, state.dtype, *(p.grad.dtype for p in model.parameters() if p.grad is not None)} == {np.dtype("f4")}


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("embedding_size", [None, 3])
def test_weights_may_be_updated_after_backward_while_the_loss_is_still_at_hand(cell: str, embedding_size: int | None) -> None:
    model, text = small_model(cell, embedding_size), some_text(11)
    optimizer = SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        loss, _ = model.loss(text[:-1].reshape(5, 2), text[1:].reshape(5, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    assert losses[0].item() > losses[1].item() > losses[2].item()


def test_reading_and_sampling_record_nothing() -> None:
    model = small_model()
    model.perplexity(some_text(20))
    model.sample(5, prompt=np.array([0]), seed=0)
    assert all(parameter.grad is None for parameter in model.parameters())
    model.cell.W_h.data[...] = 0


@pytest.mark.parametrize("bad", [-1, 7])
@pytest.mark.parametrize("embedding_size", [None, 3])
def test_symbols_outside_the_vocabulary_never_wrap_round(bad: int, embedding_size: int | None) -> None:
    model = small_model(embedding_size=embedding_size)
    with pytest.raises(LabelError, match=rf"symbol {bad} is outside 0 \.\. 6"):
        model(np.array([[0], [bad]]))
    with pytest.raises(LabelError, match=str(bad)):
        model.perplexity(np.array([0, 1, bad]))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="hidden_size must be an integer ≥ 1, got 0"):
        LanguageModel(7, 0)
    with pytest.raises(ArgumentError, match="embedding_size must be an integer ≥ 1, got 0"):
        LanguageModel(7, 5, embedding_size=0)
    with pytest.raises(ArgumentError, match="vocabulary_size must be an integer ≥ 1, got 0"):
        LanguageModel(0, 5)
    with pytest.raises(ArgumentError, match="'rnn', 'gated_rnn', 'gru', 'lstm', got 'lsmt'"):
        LanguageModel(7, 5, cell="lsmt")
    model = small_model()
    with pytest.raises(ArgumentError, match="at least 2 symbols is needed, got 1"):
        model.perplexity(np.array([0]))
    with pytest.raises(ArgumentError, match="lanes must be an integer ≥ 1, got 0"):
        model.perplexity(np.array([0, 1]), lanes=0)
    with pytest.raises(ArgumentError, match="at least 1 symbols is needed, got 0"):
        model.sample(5, prompt=np.array([], dtype=np.int64))
    with pytest.raises(ShapeError, match=r"shape \(n,\)"):
        model.perplexity(np.array([[0, 1]]))


@pytest.mark.parametrize(
    "options",
    [
        {"length": -1}, {"length": 2.5}, {"top_k": 0}, {"top_k": 1.5},
        {"temperature": 0.0}, {"temperature": math.nan}, {"temperature": math.inf}, {"temperature": "hot"},
    ],
)
def test_bad_options_of_sampling_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="sample:"):
        small_model().sample(**{"length": 3, "prompt": np.array([0]), **options})


# ---------------------------------------------------------------- lists, and numbers that are none


def test_symbols_may_be_given_as_lists() -> None:
    model, text = small_model(), some_text(12).tolist()
    assert model.perplexity(text) == model.perplexity(np.array(text))
    assert model.distribution(text).tolist() == model.distribution(np.array(text)).tolist()
    assert model.sample(3, prompt=[1, 2], seed=0).tolist() == model.sample(3, prompt=np.array([1, 2]), seed=0).tolist()
    assert model([[1, 2]])[0].shape == (1, 2, 7)


def test_symbols_without_a_time_axis_are_refused_as_symbols() -> None:
    with pytest.raises(ShapeError, match=r"language model: symbols: expected symbols \(T, B\)"):
        small_model()(some_text(4))
    with pytest.raises(LabelError, match="symbols are integers"):
        small_model().sample(3, prompt="abc")


def test_the_tiniest_temperature_takes_the_likeliest_without_a_warning() -> None:
    model, prompt = small_model(), np.array([1])
    likeliest = model.sample(5, prompt=prompt, top_k=1)
    np.testing.assert_array_equal(model.sample(5, prompt=prompt, temperature=5e-324, seed=0), likeliest)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_whose_weights_are_not_finite_has_no_distribution_and_says_so(value: float) -> None:
    model = small_model()
    model.head.b_y.data[2] = value
    with pytest.raises(NonFiniteGradientError, match="no distribution"):
        model.distribution(some_text(3))
    with pytest.raises(NonFiniteGradientError, match="lower the learning rate"):
        model.sample(3, prompt=some_text(3))


@pytest.mark.parametrize("options", [{"num_layers": 2, "dropout": 0.3}, {"bias": False, "init": "orthogonal"}])
def test_a_model_of_layers_or_with_options_of_its_cell_is_saved_and_made_again(options: Any, tmp_path: Path) -> None:
    options = dict(options)
    model = LanguageModel(5, 4, cell="gru", embedding_size=3, seed=1, **options)
    save_language_model(tmp_path / "model.npz", model)
    loaded = load_language_model(tmp_path / "model.npz").model
    symbols = np.array([0, 3, 1, 4, 2, 2])
    assert loaded.eval().perplexity(symbols) == model.eval().perplexity(symbols)
    assert (loaded.num_layers, loaded.options) == (options.pop("num_layers", 1), options)


def test_layers_read_as_layers_do() -> None:
    model = LanguageModel(5, 4, cell="lstm", num_layers=2, seed=0)
    symbols = np.array([[0, 1], [2, 3], [4, 0]])
    hs, _ = model.cell(model.embed(symbols))
    np.testing.assert_array_equal(model(symbols)[0].numpy(), model.head(hs).numpy())
    whole, state = model(symbols)
    _, begun = model(symbols[:2])
    np.testing.assert_allclose(model(symbols[2:], begun)[0].numpy()[0], whole.numpy()[2], rtol=1e-12)
    assert model.initial_state(2).h.shape == state.h.shape == (2, 2, 4)


def test_a_cell_of_ones_own_makes_a_language_model_that_no_file_can_make_again(tmp_path: Path) -> None:
    class Decaying:
        def __init__(self) -> None:
            self.W = Parameter(np.random.default_rng(0).normal(size=(4, 5)))

        def step(self, x: Any, h: Any) -> Any:
            return tanh(x @ self.W.T + 0.5 * h)

        def initial_state(self, batch: int) -> Any:
            return Tensor(np.zeros((batch, 4)))

    model = LanguageModel(5, 4, cell=Decaying(), seed=0)
    assert "cell.W" in model.state_dict()
    assert LanguageModel(5, 4, cell=[Decaying()], dropout=0.0).num_layers == 1
    with pytest.raises(ArgumentError, match="a Decaying cannot be made from a file: save the model with"):
        save_language_model(tmp_path / "model.npz", model)
    with pytest.raises(ArgumentError, match="the proof is of one layer of rnn"):
        compare_by_hand(model, np.array([[0], [1]]), np.array([[1], [2]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bidirectional": True}, "would read what they are to predict"),
        ({"num_layers": 0}, "num_layers must be an integer ≥ 1"),
        ({"cell": [object()], "num_layers": 2}, "num_layers=2 needs a list of as many cells, got 1"),
        ({"colour": 1}, "lstm: an option: expected one of"),
    ],
)
def test_layers_that_cannot_be_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        LanguageModel(5, 4, **options)
