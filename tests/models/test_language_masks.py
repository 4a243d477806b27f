"""A language model on sequences with padding in front, behind and between; and what no symbols are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from minigrad.models import EncoderDecoder, LanguageModel
from minigrad.models.ngram import NGram
from minigrad.models.sampling import symbols
from minigrad.models.streams import Streams

from minigrad.errors import DTypeError, ShapeError

MASK = np.array([[False, True, True], [True, True, False], [True, False, True], [True, True, False]])
RNG = np.random.default_rng(0)
SYMBOLS, TARGETS = RNG.integers(5, size=(4, 3)), RNG.integers(5, size=(4, 3))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("filling", [0, -100, 99])
def test_masked_steps_count_for_nothing_whatever_stands_there(layers: int, filling: int) -> None:
    model = LanguageModel(5, 4, cell="gru", num_layers=layers, seed=0)
    padded, wanted = np.where(MASK, SYMBOLS, filling), np.where(MASK, TARGETS, filling)
    loss, state = model.loss(padded, wanted, mask=MASK)
    loss.backward()
    found = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    nats = 0.0
    for b in range(3):
        own = MASK[:, b]
        alone, end = model.loss(SYMBOLS[own, b : b + 1], TARGETS[own, b : b + 1])
        (alone * (own.sum() / MASK.sum())).backward()
        nats += alone.item() * own.sum() / MASK.sum()
        np.testing.assert_allclose(state.numpy()[..., b, :], end.numpy()[..., 0, :], rtol=1e-12)
    assert loss.item() == pytest.approx(nats, rel=1e-12)
    for parameter, gradient in zip(model.parameters(), found, strict=True):
        np.testing.assert_allclose(gradient, parameter.grad, rtol=1e-9, atol=1e-14)


def test_lengths_and_a_mask_must_both_hold() -> None:
    model = LanguageModel(5, 4, seed=0)
    lengths, both = [4, 2, 3], MASK & (np.arange(4)[:, None] < [4, 2, 3])
    loss, _ = model.loss(SYMBOLS, TARGETS, lengths=lengths, mask=MASK)
    assert loss.item() == model.loss(SYMBOLS, TARGETS, mask=both)[0].item()


def test_a_mask_of_another_shape_is_refused_with_the_axes_that_look_exchanged() -> None:
    with pytest.raises(ShapeError, match=r"language model: the mask must be \(T, B\) = \(4, 3\).*pass mask.swapaxes\(0, 1\)"):
        LanguageModel(5, 4, seed=0)(SYMBOLS, mask=MASK.T)


TRANSLATOR = EncoderDecoder("gru", 5, 6, embedding_size=3, hidden_size=4, start=0, end=1, seed=0)
MODEL = LanguageModel(5, 4, seed=0)


@pytest.mark.parametrize(
    "read",
    [
        MODEL,
        MODEL.embed,
        lambda s: MODEL.loss(SYMBOLS, s),
        lambda s: MODEL.perplexity(s[:, 0]),
        lambda s: MODEL.distribution(s[:, 0]),
        lambda s: MODEL.sample(3, prompt=s[:, 0]),
        lambda s: MODEL(SYMBOLS, mask=s == 1),
        TRANSLATOR.encode,
        lambda s: TRANSLATOR.loss(SYMBOLS, s),
        lambda s: Streams(s[:, 0], batch=1, steps=1),
        lambda s: NGram(s[:, 0], order=2, size=5),
        lambda s: symbols("here", s),
    ],
)
@pytest.mark.parametrize("kind", ["masked", "subclass"])
def test_symbols_in_an_array_that_means_more_are_refused(read: Callable[[Any], Any], kind: str) -> None:
    class Marked(np.ndarray[Any, Any]):
        pass

    given = np.ma.masked_equal(SYMBOLS, 1) if kind == "masked" else SYMBOLS.view(Marked)
    with pytest.raises(DTypeError, match="whose mask would be lost" if kind == "masked" else "Marked, a subclass of ndarray"):
        read(given)
