"""The encoder–decoder: reading, attention, teacher forcing, writing; and that it learns."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from differences import assert_gradients, leaves_of
from minigrad.models.architectures import EncoderDecoder
from minigrad.models.attention import AdditiveAttention, DotAttention
from minigrad.models.cells import CELLS
from minigrad.models.teacher_forcing import constant, exponential, inverse_sigmoid, linear

from minigrad import Tensor, walk
from minigrad.errors import ArgumentError, IndexingError, LabelError, ShapeError
from minigrad.optim import Adam

START, END = 0, 1
S, N, D, H = 7, 6, 3, 4
T_x, T_y, B = 5, 4, 3
LENGTHS = np.array([3, 5, 1])
ATTENTIONS = [None, "dot", "additive"]
every_attention = pytest.mark.parametrize("attention", ATTENTIONS)
SOURCE = np.random.default_rng(0).integers(S, size=(T_x, B))
TARGET = np.array([[2, 3, 5], [4, 1, 2], [1, 1, 3], [1, 1, 1]])


def model_of(cell: str = "gru", seed: int = 0, **options: Any) -> EncoderDecoder:
    return EncoderDecoder(cell, S, N, embedding_size=D, hidden_size=H, start=START, end=END, seed=seed, **options)


def spread(model: EncoderDecoder, seed: int = 1) -> EncoderDecoder:
    """The model with larger weights, so that its choices differ from place to place."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data = 1.5 * rng.normal(size=parameter.shape) / np.sqrt(parameter.shape[-1])
    return model


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cell", CELLS)
@every_attention
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])
def test_gradients_of_all_parameters_are_those_of_central_differences(
    cell: str, attention: Any, num_layers: int, bidirectional: bool
) -> None:
    model = spread(model_of(cell, attention=attention, num_layers=num_layers, bidirectional=bidirectional))
    logits, weights = model(SOURCE, TARGET, LENGTHS)
    assert logits.shape == (T_y, B, N)
    assert (weights is None) == (attention is None)
    assert_gradients(lambda: model.loss(SOURCE, TARGET, LENGTHS), leaves_of(model), every_entry=False, tolerance=1e-8)


@every_attention
def test_what_stands_in_the_padding_of_the_source_changes_nothing(attention: Any) -> None:
    model = spread(model_of(attention=attention, bidirectional=True))
    other = SOURCE.copy()
    for b, length in enumerate(LENGTHS):
        other[length:, b] = -7
    np.testing.assert_array_equal(model(SOURCE, TARGET, LENGTHS)[0].numpy(), model(other, TARGET, LENGTHS)[0].numpy())
    for b, length in enumerate(LENGTHS):
        alone = model(SOURCE[:length, b : b + 1], TARGET[:, b : b + 1])[0].numpy()[:, 0]
        np.testing.assert_allclose(model(SOURCE, TARGET, LENGTHS)[0].numpy()[:, b], alone, rtol=1e-10, atol=1e-13)


def test_the_decoder_begins_with_the_encoders_final_states_and_the_start_symbol() -> None:
    model = model_of("lstm")
    _, finals = model.encoder(model.E_x.numpy()[SOURCE])
    x = Tensor(np.repeat(model.E_y.numpy()[START][None], B, axis=0))
    state = model.decoder[0].step(x, type(finals)(finals.c[0], finals.h[0]))
    np.testing.assert_allclose(model(SOURCE, TARGET)[0].numpy()[0], model.head(state.h).numpy(), rtol=1e-12)


@every_attention
def test_at_every_step_the_decoder_reads_the_symbol_before_and_attends_with_the_state_before(attention: Any) -> None:
    model = spread(model_of("gru", attention=attention))
    ms, state = model.encoder(model.E_x.numpy()[SOURCE])
    h, expected = state[0], []
    for previous in (np.full(B, START), *TARGET[:-1]):
        x = model.E_y.numpy()[previous]
        if attention:
            context, _ = model.attention(h, model.attention.remember(ms))
            x = np.concatenate([x, context.numpy()], axis=-1)
        h = model.decoder[0].step(Tensor(x), h)
        expected.append(model.head(h).numpy())
    np.testing.assert_allclose(model(SOURCE, TARGET)[0].numpy(), expected, rtol=1e-11, atol=1e-14)


# ---------------------------------------------------------------- attention


def softmax(e: np.ndarray) -> np.ndarray:
    return np.exp(e - e.max(axis=0)) / np.exp(e - e.max(axis=0)).sum(axis=0)


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_attention_is_the_mean_of_the_memory_weighted_by_the_softmax_of_the_scores(kind: str) -> None:
    rng = np.random.default_rng(2)
    q, ms = rng.normal(size=(B, H)), rng.normal(size=(T_x, B, H))
    valid = np.arange(T_x)[:, None] < LENGTHS
    if kind == "dot":
        attend: Any = DotAttention(H, H)
        e = np.einsum("bh,tbh->tb", q, ms)
    else:
        attend = AdditiveAttention(H, H, 5, seed=3)
        e = np.tanh(q @ attend.W_q.numpy().T + ms @ attend.W_m.numpy().T) @ attend.v.numpy()
    for mask in (None, valid):
        context, weights = attend(Tensor(q), attend.remember(Tensor(ms), mask))
        expected = softmax(e if mask is None else np.where(mask, e, -np.inf))
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(context.numpy(), np.einsum("tb,tbh->bh", expected, ms), rtol=1e-12)
    assert not weights.numpy()[~valid].any()


def test_the_weights_returned_are_distributions_over_the_steps_of_the_source() -> None:
    model = spread(model_of(attention="additive"))
    _, weights = model(SOURCE, TARGET, LENGTHS)
    assert weights.shape == (T_y, B, T_x)
    np.testing.assert_allclose(weights.numpy().sum(axis=-1), 1.0, rtol=1e-14)
    for b, length in enumerate(LENGTHS):
        assert not weights.numpy()[:, b, length:].any()
    written = model.write(SOURCE, LENGTHS, max_steps=6)
    assert written.weights.shape == (len(written.symbols), B, T_x)


def test_attention_needs_something_to_attend_to_and_dot_equal_widths() -> None:
    with pytest.raises(ArgumentError, match="attention: every example needs at least one input step to attend to"):
        model_of(attention="dot")(SOURCE, TARGET, [3, 0, 1])
    with pytest.raises(ShapeError, match="dot attention: query and memory must be equally long, got 3 and 4"):
        DotAttention(3, 4)
    with pytest.raises(ArgumentError, match="attention: expected one of 'dot', 'additive', got 'cosine'"):
        model_of(attention="cosine")


# ---------------------------------------------------------------- teacher forcing


def test_without_teacher_forcing_the_decoder_reads_its_own_likeliest_symbols() -> None:
    model = spread(model_of(attention="dot"))
    free = model(SOURCE, TARGET, LENGTHS, teacher_forcing=0.0)[0].numpy()
    own = free.argmax(axis=-1)
    np.testing.assert_allclose(free, model(SOURCE, own, LENGTHS)[0].numpy(), rtol=1e-12)
    written = model.write(SOURCE, LENGTHS, max_steps=T_y).symbols
    before_end = np.cumsum(own == END, axis=0) - (own == END) == 0
    np.testing.assert_array_equal(np.where(before_end, own, END)[: len(written)], written)


def test_the_true_symbol_is_shown_with_the_given_probability_and_as_the_seed_decides() -> None:
    model = spread(model_of())
    lanes, truth = 4000, 0.3
    source, target = np.repeat(SOURCE[:, :1], lanes, axis=1), np.full((2, lanes), 4)
    logits = model(source, target, teacher_forcing=truth, seed=4)[0].numpy()
    assert logits[0, 0].argmax() != 4
    shown = np.abs(logits[1] - model(source[:, :1], target[:, :1])[0].numpy()[1]).max(axis=-1) < 1e-9
    assert abs(shown.mean() - truth) < 0.03
    again, other = (model(source, target, teacher_forcing=truth, seed=seed)[0].numpy() for seed in (4, 5))
    np.testing.assert_array_equal(logits, again)
    assert (logits != other).any()


def test_gradients_with_scheduled_sampling_are_those_of_central_differences() -> None:
    model = spread(model_of("lstm", attention="additive"))
    loss = partial(model.loss, SOURCE, TARGET, LENGTHS, teacher_forcing=0.5, seed=6)
    assert_gradients(loss, leaves_of(model), every_entry=False, tolerance=1e-7)


def test_schedules_begin_with_always_and_fall_as_their_formulas_say() -> None:
    assert [constant(0.7)(i) for i in (0, 10**9)] == [0.7, 0.7]
    assert [linear(10, first=1.0, last=0.2)(i) for i in (0, 5, 10, 99)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert [exponential(0.9)(i) for i in (0, 1, 20)] == pytest.approx([1.0, 0.9, 0.9**20])
    k = 50.0
    assert [inverse_sigmoid(k)(i) for i in (0, 200, 10**9)] == pytest.approx([k / (k + 1), k / (k + np.exp(200 / k)), 0.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: constant(1.5),
        lambda: linear(0),
        lambda: linear(5, last=-1),
        lambda: exponential(2.0),
        lambda: inverse_sigmoid(0.5),
    ],
)
def test_schedules_that_leave_0_to_1_are_refused(make: Any) -> None:
    with pytest.raises(ArgumentError):
        make()
    with pytest.raises(ArgumentError, match=r"teacher_forcing: expected a probability from 0 to 1, got 1\.1"):
        model_of()(SOURCE, TARGET, teacher_forcing=1.1)


# ---------------------------------------------------------------- the loss and the graph


def test_the_loss_counts_every_symbol_up_to_the_first_end() -> None:
    model = spread(model_of())
    logits = model(SOURCE, TARGET)[0].numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    counted = [(t, b) for b, last in enumerate((3, 2, 4)) for t in range(last)]
    expected = -np.mean([log_p[t, b, TARGET[t, b]] for t, b in counted])
    assert abs(model.loss(SOURCE, TARGET).item() - expected) < 1e-13


def test_encoder_and_decoder_are_scopes_with_their_own_time_steps() -> None:
    model = model_of("gru", attention="additive", num_layers=2)
    nodes = walk(model(SOURCE, TARGET)[0])
    times = {part: {n.time for n in nodes if n.scope[:1] == (part,) and n.name == "h"} for part in ("encoder", "decoder")}
    assert times == {"encoder": set(range(T_x + 1)), "decoder": set(range(1, T_y + 1))}
    assert sum(node.name == "α" for node in nodes) == T_y


# ---------------------------------------------------------------- writing


def test_writing_stops_when_all_have_ended_and_fills_with_ends() -> None:
    model = model_of()
    model.head.b_y.data[END] = 100.0
    np.testing.assert_array_equal(model.write(SOURCE, max_steps=9).symbols, [[END] * B])
    model.head.b_y.data[END] = -100.0
    assert model.write(SOURCE, max_steps=9).symbols.shape == (9, B)
    model = spread(model_of())
    drawn = model.write(np.repeat(SOURCE, 50, axis=1), max_steps=30, temperature=1.0, seed=7).symbols
    ended = np.cumsum(drawn == END, axis=0) > 0
    assert (drawn[ended] == END).all()
    assert 1 < ended.sum(axis=0).max() < len(drawn) + 1
    np.testing.assert_array_equal(
        drawn, model.write(np.repeat(SOURCE, 50, axis=1), max_steps=30, temperature=1.0, seed=7).symbols
    )


def test_with_attention_it_learns_to_turn_sequences_round_and_looks_where_it_should() -> None:
    rng = np.random.default_rng(8)
    model = EncoderDecoder(
        "gru", 6, 6, embedding_size=8, hidden_size=16, start=START, end=END, bidirectional=True, attention="additive", seed=9
    )
    optimizer, forced = Adam(model.parameters(), lr=0.02), linear(150, last=0.5)

    def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
        xs = rng.integers(2, 6, size=(4, size))
        return xs, np.concatenate([xs[::-1], np.full((1, size), END)])

    for i in range(150):
        xs, ys = batch(16)
        model.zero_grad()
        model.loss(xs, ys, teacher_forcing=forced(i), seed=i).backward()
        optimizer.step()
    xs, ys = batch(50)
    written = model.write(xs, max_steps=5)
    assert (written.symbols == ys).mean() > 0.95
    assert (written.weights[:4].mean(axis=1).argmax(axis=-1) == [3, 2, 1, 0]).all()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 1}, r"start and end must be two of the symbols 0 … 5, got 1 and 1"),
        ({"end": 6}, r"start and end must be two of the symbols 0 … 5, got 0 and 6"),
        ({"embedding_size": 0}, "encoder–decoder: embedding_size must be an integer ≥ 1, got 0"),
        ({"num_layers": 0}, "layers: num_layers must be an integer ≥ 1, got 0"),
        ({"reset": "sometimes"}, "gru: reset: expected one of 'before', 'after', got 'sometimes'"),
    ],
)
def test_options_that_make_no_encoder_decoder_are_refused(changes: dict[str, Any], message: str) -> None:
    options = {"embedding_size": D, "hidden_size": H, "start": START, "end": END} | changes
    with pytest.raises(ArgumentError, match=message):
        EncoderDecoder("gru", S, N, **options)


def test_symbols_that_are_none_are_refused() -> None:
    model = model_of()
    with pytest.raises(LabelError, match="encoder–decoder: xs: expected symbols, which are integers, got dtype float64"):
        model(SOURCE * 1.0, TARGET)
    with pytest.raises(IndexingError, match="embedding: expected integers from 0 to 6, got 7"):
        model(SOURCE * 0 + 7, TARGET)
    with pytest.raises(ShapeError, match=r"encoder–decoder: ys: expected symbols \(T, B\), .* with T ≥ 1, got \(0, 3\)"):
        model(SOURCE, TARGET[:0])
    with pytest.raises(ArgumentError, match="write: max_steps must be an integer ≥ 1, got 0"):
        model.write(SOURCE, max_steps=0)


def test_dropout_acts_between_the_layers_of_both_parts_in_training_only() -> None:
    xs, ys = np.array([[2, 3], [4, 6], [1, 0]]), np.array([[2, 3], [1, 1]])

    def logits(dropout: float, training: bool) -> Any:
        model = EncoderDecoder(
            "lstm", 7, 5, embedding_size=3, hidden_size=4, start=0, end=1, num_layers=2, dropout=dropout, seed=0
        )
        model.train(training)
        return model(xs, ys)[0].numpy()

    np.testing.assert_array_equal(logits(0.5, training=False), logits(0.0, training=True))
    np.testing.assert_array_equal(logits(0.5, training=True), logits(0.5, training=True))
    assert np.abs(logits(0.5, training=True) - logits(0.0, training=True)).max() > 1e-3


@pytest.mark.parametrize("attention", [None, "dot"])
def test_with_everything_dropped_the_decoders_upper_layer_reads_zeros(attention: Any) -> None:
    model = EncoderDecoder(
        "gru", 7, 5, embedding_size=3, hidden_size=4, start=0, end=1, num_layers=2, dropout=1.0, attention=attention, seed=0
    )
    model.loss(np.array([[2, 3], [4, 6]]), np.array([[2, 3], [1, 1]])).backward()
    for upper in (model.encoder.cells[1][0], model.decoder[1]):
        assert isinstance(upper, CELLS["gru"])
        assert not upper.by_gate(grad=True)["W_cx"].any()
        assert upper.by_gate(grad=True)["W_ch"].any()


def test_sources_and_targets_of_different_batches_are_named() -> None:
    model = EncoderDecoder("gru", 7, 5, embedding_size=3, hidden_size=4, start=0, end=1, seed=0)
    message = "encoder–decoder: xs and ys must be of the same batch, got B = 2 in xs and B = 3 in ys"
    with pytest.raises(ShapeError, match=message):
        model.loss(np.ones((4, 2), int), np.ones((3, 3), int))
