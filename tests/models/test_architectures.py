"""The five architectures: what each reads and writes, and that its gradients are right."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from differences import assert_gradients, leaves_of, weighted
from minigrad.models.architectures import ManyToMany, ManyToOne, OneToMany, OneToOne
from minigrad.models.cells import CELLS
from minigrad.models.layers import unroll

from minigrad import Parameter, Tensor, binary_cross_entropy_with_logits, mse_loss, tanh, walk
from minigrad.errors import ArgumentError, IndexingError, LabelError, ShapeError

T, B, D, H, N = 5, 3, 2, 4, 6
every_cell = pytest.mark.parametrize("cell", CELLS)


def inputs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def labels(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(N, size=shape)


@every_cell
def test_one_to_one_is_a_single_step_from_the_state_of_zeros(cell: str) -> None:
    model, x = OneToOne(cell, D, H, N, seed=0), inputs(B, D)
    own = model.layers.cells[0][0]
    state = own.step(Tensor(x), own.initial_state(B))
    h = state[-1] if isinstance(state, tuple) else state
    np.testing.assert_allclose(model(x).numpy(), model.head(h).numpy(), rtol=1e-12, atol=1e-15)
    leaf = Tensor(x, requires_grad=True)
    layers_alone = {name: p for name, p in leaves_of(model).items() if not name.endswith(("W_h", "W_hh", "W_gs", "W_ss"))}
    assert_gradients(lambda: model.loss(leaf, labels(B)), layers_alone | {"x": leaf}, every_entry=True, tolerance=1e-8)


@pytest.mark.sampled(1)
@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_many_to_one_answers_from_the_state_after_the_whole_sequence_in_each_direction(cell: str, bidirectional: bool) -> None:
    model = ManyToOne(cell, D, H, N, num_layers=2, bidirectional=bidirectional, seed=2)
    xs, lengths = inputs(T, B, D), [4, 1, 5]
    logits = model(xs, lengths)
    assert logits.shape == (B, N)
    for b, length in enumerate(lengths):
        hs = model.layers(xs[:length, b : b + 1])[0].numpy()[:, 0]
        seen = np.concatenate([hs[-1, :H], hs[0, H:]])           # forward after x_T, backward after x_1
        np.testing.assert_allclose(logits.numpy()[b], model.head(Tensor(seen)).numpy(), rtol=1e-11, atol=1e-14)
    leaf = Tensor(xs, requires_grad=True)
    loss = partial(model.loss, leaf, labels(B), lengths)
    assert_gradients(loss, leaves_of(model, xs=leaf), every_entry=False, tolerance=1e-8)


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_many_to_many_answers_at_every_step_from_what_it_has_read(cell: str, bidirectional: bool) -> None:
    model = ManyToMany(cell, D, H, N, bidirectional=bidirectional, seed=3)
    xs = Tensor(inputs(T, B, D), requires_grad=True)
    logits = model(xs)
    assert logits.shape == (T, B, N)
    logits[2].sum().backward()
    read = [bool(np.abs(xs.grad[t]).max()) for t in range(T)]
    assert read == ([True] * T if bidirectional else [True, True, True, False, False])
    loss = partial(model.loss, xs, labels(T, B), [4, 1, 5])
    assert_gradients(loss, leaves_of(model, xs=xs), every_entry=False, tolerance=1e-8)


def test_the_loss_counts_only_the_steps_of_each_sequence_and_looks_at_no_target_beyond() -> None:
    model, xs, lengths = ManyToMany("gru", D, H, N, seed=4), inputs(T, B, D), [4, 1, 5]
    targets = labels(T, B)
    each = [
        model.loss(xs[:n, b : b + 1], targets[:n, b : b + 1]).item() * n for b, n in enumerate(lengths)
    ]
    for b, n in enumerate(lengths):
        targets[n:, b] = -99
    assert abs(model.loss(xs, targets, lengths).item() - sum(each) / sum(lengths)) < 1e-14
    with pytest.raises(LabelError):
        model.loss(xs, targets)


# ---------------------------------------------------------------- one to many


@every_cell
def test_one_to_many_reads_x_and_then_its_own_symbols(cell: str) -> None:
    model, x, ys = OneToMany(cell, D, H, N, seed=5), inputs(B, D), labels(T, B)
    fed = np.concatenate([x[None], model.E.numpy()[ys[:-1]]])
    expected = model.head(unroll(model.layers.cells[0][0], fed)[0]).numpy()
    np.testing.assert_allclose(model(x, ys).numpy(), expected, rtol=1e-12, atol=1e-15)
    leaf = Tensor(x, requires_grad=True)
    assert_gradients(lambda: model.loss(leaf, ys), leaves_of(model, x=leaf), every_entry=False, tolerance=1e-8)


def test_what_is_written_greedily_is_the_likeliest_given_what_was_written() -> None:
    model, x = OneToMany("lstm", D, H, N, num_layers=2, seed=6), inputs(B, D)
    written = model.generate(x, steps=8, temperature=None)
    assert written.shape == (8, B)
    np.testing.assert_array_equal(model(x, written).numpy().argmax(axis=-1), written)


def test_what_is_drawn_follows_the_distribution_and_the_seed() -> None:
    model, x = OneToMany("gru", D, H, N, seed=7), np.repeat(inputs(1, D), 20_000, axis=0)
    model.head.b_y.data = np.linspace(-1.0, 1.0, N)
    logits = model(x[:1], np.zeros((1, 1), int)).numpy()[0, 0]
    for temperature in (1.0, 0.3):
        drawn = model.generate(x, steps=1, temperature=temperature, seed=8)[0]
        p = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
        np.testing.assert_allclose(np.bincount(drawn, minlength=N) / len(drawn), p, atol=0.012)
    first, again, other = (model.generate(x[:50], steps=3, seed=seed) for seed in (9, 9, 10))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan, "hot", True])
def test_a_temperature_that_is_none_is_refused(temperature: Any) -> None:
    with pytest.raises(ArgumentError, match="temperature: expected a positive finite number, or None for the likeliest"):
        OneToMany("gru", D, H, N).generate(inputs(B, D), steps=1, temperature=temperature)


def test_what_does_not_fit_an_architecture_is_refused() -> None:
    with pytest.raises(ArgumentError, match="one-to-many: what is written step by step cannot be read backward"):
        OneToMany("gru", D, H, N, bidirectional=True)
    model = OneToMany("gru", D, H, N)
    with pytest.raises(LabelError, match="one-to-many: targets: expected symbols, which are integers, got dtype float64"):
        model(inputs(B, D), np.ones((T, B)))
    with pytest.raises(ShapeError, match=r"one-to-many: targets: expected symbols \(T, B\), .* with T ≥ 1, got \(3,\)"):
        model(inputs(B, D), labels(B))
    with pytest.raises(IndexingError, match="embedding: expected integers from 0 to 5, got -1"):
        model(inputs(B, D), np.full((T, B), -1))
    with pytest.raises(ArgumentError, match="generate: steps must be an integer ≥ 1, got 0"):
        model.generate(inputs(B, D), steps=0)
    with pytest.raises(ShapeError, match=r"layers: xs must be \(T, B, D\) with D = 2, time first, got \(1, 5, 3, 2\)"):
        OneToOne("gru", D, H, N)(inputs(T, B, D))


def test_models_of_one_seed_are_equal_in_every_parameter() -> None:
    for architecture in (OneToOne, OneToMany, ManyToOne, ManyToMany):
        first, again = (architecture("lstm", D, H, N, seed=11).state_dict() for _ in range(2))
        assert all((first[name] == again[name]).all() for name in first)
        assert {p.dtype.name for p in architecture("lstm", D, H, N, dtype=np.float32).parameters()} == {"float32"}


def test_weighted_sees_every_entry() -> None:
    leaf = Tensor(np.zeros((2, 3)), requires_grad=True)
    weighted(leaf).backward()
    assert len(set(leaf.grad.ravel())) == 6


def test_an_input_and_targets_of_different_batches_are_named() -> None:
    model = OneToMany("gru", 3, 4, 7, seed=0)
    with pytest.raises(ShapeError, match="one-to-many: x and targets must be of the same batch, got B = 2 in x and B = 5"):
        model.loss(np.ones((2, 3)), np.ones((4, 5), int))
    with pytest.raises(ShapeError, match=r"one-to-many: x must be \(B, D\) with D = 3, got \(2, 4\)"):
        model.loss(np.ones((2, 4)), np.ones((4, 2), int))


class OwnCell:
    """As a user writes it: h_t = tanh(W x_t + h_{t−1} / 2)."""

    def __init__(self, D: int, H: int) -> None:
        self.W = Parameter(np.random.default_rng(0).normal(size=(H, D)))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return tanh(x @ self.W.T + 0.5 * h)

    def initial_state(self, batch: int) -> Tensor:
        return Tensor(np.zeros((batch, len(self.W))))


@pytest.mark.parametrize("kind", [ManyToOne, ManyToMany])
def test_a_cell_of_ones_own_or_several_are_as_good_as_a_name(kind: Any) -> None:
    alone, stacked = kind(OwnCell(3, 4), output_size=2, seed=0), kind([OwnCell(3, 5), OwnCell(5, 4)], output_size=2, seed=0)
    xs = np.random.default_rng(1).normal(size=(5, 2, 3))
    h = np.zeros((2, 4))
    for x in xs:
        h = np.tanh(x @ alone.layers.cells[0][0].W.numpy().T + 0.5 * h)
    expected = h @ alone.head.W_yh.numpy().T + alone.head.b_y.numpy()
    found = alone(xs).numpy()
    np.testing.assert_allclose(found[-1] if kind is ManyToMany else found, expected, rtol=1e-12)
    assert len(stacked.parameters()) == 4
    both_ways = kind([(OwnCell(3, 4), OwnCell(3, 4))], output_size=2, seed=0)
    assert both_ways.head.hidden_size == 8


def test_one_to_many_takes_a_cell_of_ones_own() -> None:
    model = OneToMany(OwnCell(3, 4), input_size=3, output_size=7, seed=0)
    assert model.generate(np.ones((2, 3)), steps=5, seed=1).shape == (5, 2)
    with pytest.raises(ArgumentError, match="one-to-many: input_size is missing"):
        OneToMany(OwnCell(3, 4), output_size=7)


@pytest.mark.parametrize("hoist", [False, True])
def test_a_loss_of_ones_own_makes_a_regression_and_hoist_changes_no_number(hoist: bool) -> None:
    rng = np.random.default_rng(2)
    xs, lengths = rng.normal(size=(5, 3, 2)), [5, 2, 3]
    wanted = rng.normal(size=(5, 3, 1))
    model = ManyToMany("gru", 2, 4, 1, loss=mse_loss, seed=0)
    outputs = model(xs, lengths, hoist=hoist).numpy()
    valid = np.arange(5)[:, None] < lengths
    wanted[~valid] = np.nan
    expected = ((outputs - wanted)[valid] ** 2).mean()
    assert model.loss(xs, wanted, lengths, hoist=hoist).item() == pytest.approx(expected, rel=1e-12)
    assert model.forward(xs, lengths).shape == (5, 3, 1)
    last = ManyToOne("gru", 2, 4, 1, loss=binary_cross_entropy_with_logits, seed=0)
    assert last.loss(xs, np.ones((3, 1)), lengths, hoist=hoist).item() == pytest.approx(
        np.logaddexp(0, -last(xs, lengths).numpy()).mean(), rel=1e-12
    )


@pytest.mark.parametrize("kind", [ManyToOne, ManyToMany])
def test_whether_the_projection_is_hoisted_is_asked_of_outputs_and_of_losses_alike(kind: Any) -> None:
    model, xs = kind("gru", D, H, N, seed=0), inputs(T, B, D)
    targets = labels(B) if kind is ManyToOne else labels(T, B)
    for made in (model.forward, model.__call__, lambda xs, hoist: model.loss(xs, targets, hoist=hoist)):
        hoisted, stepwise = (len(walk(made(xs, hoist=hoist))) for hoist in (True, False))
        assert hoisted < stepwise


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ManyToOne("gru", 2, 4), "ManyToOne: output_size is missing"),
        (lambda: ManyToOne("gru", 2, 4, 1, loss="mse"), "loss must be a function of outputs and targets, got 'mse'"),
        (lambda: ManyToOne(OwnCell(3, 4), 3, 4, 1), "go with the name of a cell"),
        (lambda: ManyToOne(3, output_size=1), "a cell needs step"),
    ],
)
def test_architectures_that_cannot_be_made_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_targets_that_do_not_fit_the_steps_are_refused() -> None:
    model = ManyToMany("gru", 2, 4, 3, seed=0)
    with pytest.raises(ShapeError, match=r"the targets must begin with the axes \(5, 3\), got \(3, 5\)"):
        model.loss(np.ones((5, 3, 2)), np.zeros((3, 5), int), [5, 2, 3])
