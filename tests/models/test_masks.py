"""Masks: padding in front, behind and in between; every example is what it is alone, on the steps that count."""

from typing import Any

import numpy as np
import pytest
from minigrad.models import GRU, LSTM, RNN, EncoderDecoder, GatedRNN, ManyToMany, ManyToOne, RecurrentLayers, unroll
from minigrad.models.states import parts_of, with_parts

from minigrad import Tensor, sigmoid, tanh
from minigrad.errors import ArgumentError, DTypeError, ShapeError

T, B, D, H = 6, 4, 3, 4
MASK = np.array(
    [
        [1, 0, 1, 0],
        [1, 0, 0, 0],
        [1, 1, 1, 0],
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
    ],
    bool,
)
"""All, padding in front, holes, nothing at all."""


class Plain:
    """A cell of one's own, of which nothing is promised: run as it is written."""

    label = "plain"

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.W, self.V = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((H, D), (H, H)))

    def initial_state(self, batch: int) -> Tensor:
        return Tensor(np.zeros((batch, H)))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return tanh(x @ self.W.T + h @ self.V.T) * sigmoid(h)


def parameters(cell: Any) -> list[Tensor]:
    return [cell.W, cell.V] if isinstance(cell, Plain) else cell.parameters()


CELLS = {"rnn": RNN, "gated_rnn": GatedRNN, "gru": GRU, "lstm": LSTM, "plain": lambda D, H, seed: Plain()}
every_cell = pytest.mark.parametrize("name", CELLS)
ways = pytest.mark.parametrize(("reverse", "truncated"), [(False, None), (True, None), (False, 2), (True, 2)])


def leaves(cell: Any, xs: np.ndarray) -> tuple[Tensor, Any]:
    """The inputs, and an initial state that needs gradients."""
    rng = np.random.default_rng(1)
    template = cell.initial_state(B)
    state = with_parts(template, [Tensor(rng.normal(size=(B, H)), requires_grad=True) for _ in parts_of(template)])
    return Tensor(xs, requires_grad=True), state


def gradients(cell: Any, *others: Tensor) -> list[np.ndarray]:
    return [np.zeros(leaf.shape) if leaf.grad is None else leaf.grad for leaf in (*parameters(cell), *others)]


def weighted(hs: Tensor, final: Any, hs_weights: np.ndarray, final_weights: np.ndarray) -> Tensor:
    return (hs * hs_weights).sum() + sum(((part * final_weights).sum() for part in parts_of(final)), Tensor(0.0))


@pytest.mark.parametrize(("name", "hoist"), [*((name, False) for name in CELLS), *((name, True) for name in list(CELLS)[:-1])])
@ways
def test_every_example_is_what_it_is_alone(name: str, reverse: bool, truncated: int | None, hoist: bool) -> None:
    rng = np.random.default_rng(0)
    xs, hs_weights, final_weights = rng.normal(size=(T, B, D)), rng.normal(size=(T, B, H)), rng.normal(size=(B, H))
    options: dict[str, Any] = {"reverse": reverse, "truncated": truncated}
    cell, alone = CELLS[name](D, H, seed=0), CELLS[name](D, H, seed=0)
    holed = np.where(MASK[..., None], xs, np.nan)
    given, state = leaves(cell, holed)
    hs, final = unroll(cell, given, state, hoist, mask=MASK, **options)
    weighted(hs, final, hs_weights, final_weights).backward()

    own, begun = leaves(alone, xs)
    for b in range(B):
        steps = np.flatnonzero(MASK[:, b])
        start = with_parts(state, [part[b : b + 1] for part in parts_of(begun)])
        one, last = unroll(alone, own[steps, b : b + 1], start, **options)
        np.testing.assert_allclose(hs.numpy()[steps, b], one.numpy()[:, 0], rtol=1e-12, atol=1e-14)
        assert not hs.numpy()[~MASK[:, b], b].any()
        for part, expected in zip(parts_of(final), parts_of(last), strict=True):
            np.testing.assert_allclose(part.numpy()[b], expected.numpy()[0], rtol=1e-12, atol=1e-14)
        weighted(one, last, hs_weights[steps, b : b + 1], final_weights[b : b + 1]).backward()
    for found, expected in zip(gradients(cell, given, *parts_of(state)), gradients(alone, own, *parts_of(begun)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@every_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_behind_is_what_lengths_say(name: str, reverse: bool) -> None:
    cell, lengths = CELLS[name](D, H, seed=0), np.array([6, 2, 0, 4])
    xs = np.random.default_rng(0).normal(size=(T, B, D))
    mask = np.arange(T)[:, None] < lengths
    by_mask, by_lengths = unroll(cell, xs, mask=mask, reverse=reverse), unroll(cell, xs, lengths=lengths, reverse=reverse)
    both, _ = unroll(cell, xs, mask=np.roll(mask, 1, axis=0) | mask, lengths=lengths, reverse=reverse)
    np.testing.assert_array_equal(by_mask[0].numpy(), by_lengths[0].numpy())
    np.testing.assert_array_equal(both.numpy(), by_lengths[0].numpy())
    for part, other in zip(parts_of(by_mask[1]), parts_of(by_lengths[1]), strict=True):
        np.testing.assert_array_equal(part.numpy(), other.numpy())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("front", [0, 1, 2])
def test_truncation_does_not_depend_on_the_padding_in_front(front: int, reverse: bool) -> None:
    cell, xs = RNN(D, H, seed=0), np.random.default_rng(0).normal(size=(T, 2, D))
    (unroll(cell, xs, truncated=3, reverse=reverse)[0] ** 2).sum().backward()
    expected = [parameter.grad.copy() for parameter in cell.parameters()]
    cell.zero_grad()
    padded, mask = np.zeros((front + T, 2, D)), np.ones((front + T, 2), bool)
    padded[front:], mask[:front] = xs, False
    (unroll(cell, padded, mask=mask, truncated=3, reverse=reverse)[0] ** 2).sum().backward()
    for parameter, gradient in zip(cell.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-12)


def test_layers_take_a_mask_in_both_directions() -> None:
    layers = RecurrentLayers("lstm", D, H, num_layers=2, bidirectional=True, seed=0)
    xs = np.random.default_rng(0).normal(size=(T, B, D))
    hs, states = layers(np.where(MASK[..., None], xs, np.nan), mask=MASK)
    for b in range(3):
        steps = np.flatnonzero(MASK[:, b])
        one, own = layers(xs[steps, b : b + 1])
        np.testing.assert_allclose(hs.numpy()[steps, b], one.numpy()[:, 0], rtol=1e-12)
        np.testing.assert_allclose(states.c.numpy()[:, b], own.c.numpy()[:, 0], rtol=1e-12)
    assert not hs.numpy()[~MASK].any()


@pytest.mark.parametrize("lengths", [None, [6, 6, 3, 6]])
def test_architectures_are_trained_on_the_steps_that_count(lengths: list[int] | None) -> None:
    rng = np.random.default_rng(0)
    xs = np.where(MASK[..., None], rng.normal(size=(T, B, D)), np.nan)
    mask = MASK if lengths is None else MASK & (np.arange(T)[:, None] < lengths)
    tags = np.where(mask, rng.integers(0, 2, (T, B)), -7)
    tagger, reader = ManyToMany("gru", D, H, 2, seed=0), ManyToOne("gru", D, H, 2, seed=0)
    logits = tagger(np.nan_to_num(xs), mask=mask).numpy()[mask]
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log(p[np.arange(len(p)), tags[mask]]).mean()
    np.testing.assert_allclose(tagger.loss(xs, tags, lengths, mask=MASK).item(), expected, rtol=1e-12)
    outputs = reader(xs, lengths, mask=MASK).numpy()
    for b in range(B):
        steps = np.flatnonzero(mask[:, b])
        np.testing.assert_allclose(outputs[b], reader(xs[steps, b : b + 1]).numpy()[0], rtol=1e-12)
    with pytest.raises(ShapeError, match=r"axes \(6, 4\), got \(4, 6\); in xs or in the targets axes 0 and 1 look"):
        tagger.loss(xs, tags.T, mask=MASK)


@pytest.mark.parametrize("attention", [None, "dot", "additive"])
def test_an_encoder_reads_and_attends_to_what_counts(attention: str | None) -> None:
    model = EncoderDecoder("gru", 7, 5, embedding_size=3, hidden_size=4, attention=attention, start=0, end=1, seed=0)
    mask, rng = MASK[:, :3], np.random.default_rng(0)
    xs, ys = np.where(mask, rng.integers(0, 7, (T, 3)), -7), rng.integers(2, 5, (3, 3))
    logits, weights = model(xs, ys, mask=mask)
    written = model.write(xs, mask=mask, max_steps=3).symbols
    for b in range(3):
        steps = np.flatnonzero(mask[:, b])
        alone, own = model(xs[steps, b : b + 1], ys[:, b : b + 1])
        np.testing.assert_allclose(logits.numpy()[:, b], alone.numpy()[:, 0], rtol=1e-10)
        if weights is not None and own is not None:
            np.testing.assert_allclose(weights.numpy()[:, b, steps], own.numpy()[:, 0], rtol=1e-10)
            assert not weights.numpy()[:, b, ~mask[:, b]].any()
        one = model.write(xs[steps, b : b + 1], max_steps=3).symbols[:, 0]
        np.testing.assert_array_equal(written[: len(one), b], one)


def test_a_mask_that_counts_everything_leaves_the_numbers_of_none() -> None:
    cell, xs = GRU(D, H, seed=0), np.ones((T, B, D))
    np.testing.assert_array_equal(unroll(cell, xs, mask=np.ones((T, B), bool))[0].numpy(), unroll(cell, xs)[0].numpy())


def test_masks_that_do_not_fit_are_refused() -> None:
    cell, xs = RNN(D, H, seed=0), np.ones((5, 2, D))
    with pytest.raises(DTypeError, match="unroll rnn: the mask must be made of booleans, got dtype int64"):
        unroll(cell, xs, mask=np.ones((5, 2), int))
    with pytest.raises(ShapeError, match=r"the mask must be \(T, B\) = \(5, 2\), .* got \(2, 5\); axes 0 and 1 look exchanged"):
        unroll(cell, xs, mask=np.ones((2, 5), bool))
    with pytest.raises(ShapeError, match=r"layers: the mask must be \(T, B\) = \(5, 2\), one entry for each step, got \(5,\)"):
        RecurrentLayers("rnn", D, H, seed=0)(xs, mask=np.ones(5, bool))


BATCH_FIRST = np.ones((2, 5, D))
EXCHANGED = r"; axes 0 and 1 of xs look exchanged, as in data whose batch comes first: pass xs\.swapaxes\(0, 1\)$"


@pytest.mark.parametrize("pure", [False, True])
def test_a_part_of_a_state_that_is_one_number_cannot_be_chosen_by_example(pure: bool) -> None:
    class Counting(Plain):
        pure_step = pure

        def initial_state(self, batch: int) -> Any:
            return Tensor(0.0), Tensor(np.zeros((batch, H)))

        def step(self, x: Tensor, state: Any) -> Any:
            return state[0] + 1.0, super().step(x, state[1])

    xs = np.ones((T, B, D))
    assert unroll(Counting(), xs)[1][0].item() == T
    with pytest.raises(ShapeError, match="one number for all of them: give it"):
        unroll(Counting(), xs, mask=MASK)


def test_inputs_whose_batch_comes_first_are_told_by_what_comes_with_them() -> None:
    cell = RNN(D, H, seed=0)
    with pytest.raises(ShapeError, match=rf"lengths must be \(B,\) = \(5,\), .* got \(2,\){EXCHANGED}"):
        unroll(cell, BATCH_FIRST, lengths=[5, 3])
    with pytest.raises(ShapeError, match=rf"the state h must be \(B, H\) = \(5, 4\), got \(2, 4\){EXCHANGED}"):
        unroll(cell, BATCH_FIRST, np.zeros((2, H)))
    with pytest.raises(ShapeError, match=r"D = 3, time first, got \(5, 3, 2\); axes 1 and 2 look exchanged: pass xs\.swapaxes"):
        unroll(cell, np.ones((5, D, 2)))
    for model, targets in ((ManyToOne, np.zeros(2, int)), (ManyToMany, np.zeros((5, 2), int))):
        with pytest.raises(ShapeError, match=r"in xs or in the targets axes 0 and 1 look exchanged.* xs\.swapaxes\(0, 1\)$"):
            model("rnn", D, H, 2, seed=0).loss(BATCH_FIRST, targets)
    with pytest.raises(ShapeError, match=r"got \(3, 4\)$"):
        unroll(cell, BATCH_FIRST, np.zeros((3, H)))
    with pytest.raises(ArgumentError, match="lengths must be from 0 to T = 2, got 5 for example 0"):
        unroll(cell, BATCH_FIRST, lengths=[5, 3, 1, 1, 1])
