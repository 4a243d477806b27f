"""fit and Trainer with models, losses and data of every kind."""

import io
import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models import EncoderDecoder, Head, LanguageModel, ManyToMany, ManyToOne, RecurrentLayers, fit
from minigrad.models.progress import Progress, TqdmBar
from minigrad.models.streams import Streams
from minigrad.models.training import Batch, Batches, EarlyStopping, Trainer, cosine, evaluate

import minigrad as mg
from minigrad import Module, Parameter, Tensor, mse_loss, viz
from minigrad.errors import ArgumentError, CheckpointError, NonFiniteGradientError, ShapeError
from minigrad.optim import SGD, Adam
from minigrad.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

RNG = np.random.default_rng(5)
XS, W = RNG.normal(size=(50, 3)), np.array([[1.0], [-2.0], [0.5]])
YS = XS @ W
SEQUENCES = [RNG.normal(size=(T, 2)) for T in (3, 5, 1, 4, 2, 5, 3)]
LABELS = np.array([int(sequence.sum() > 0) for sequence in SEQUENCES])


class Noisy(Module):
    """A small network with dropout, so that random numbers matter."""

    def __init__(self, seed: int = 0) -> None:
        self.below, self.above = Head(3, 8, seed=seed), Head(8, 1, seed=seed + 1)
        self.rng = np.random.default_rng(seed)

    def forward(self, x: Tensor) -> Tensor:
        hidden = mg.dropout(mg.tanh(self.below(x)), 0.3, self.training, rng=self.rng)
        return self.above.forward(hidden)


def same(one: Module, other: Module) -> bool:
    return all(value.tobytes() == other.state_dict()[name].tobytes() for name, value in one.state_dict().items())


# ---------------------------------------------------------------- what is learnt


def test_a_regression_is_the_loop_that_one_would_write() -> None:
    model, by_hand = Head(3, 1, seed=0), Head(3, 1, seed=0)
    log = fit(model, (XS, YS), loss=mse_loss, optimizer=SGD(model.parameters(), lr=0.1), epochs=3, batch_size=20, max_norm=2.0)
    optimizer, losses = SGD(by_hand.parameters(), lr=0.1), []
    for epoch in range(3):
        order = np.random.default_rng([0, epoch]).permutation(50)
        for start in (0, 20, 40):
            chosen = order[start : start + 20]
            optimizer.zero_grad()
            loss = mse_loss(by_hand(Tensor(XS[chosen])), YS[chosen])
            loss.backward()
            mg.optim.clip_grad_norm_(by_hand.parameters(), 2.0)
            optimizer.step()
            losses.append(loss.item())
    assert log["loss"] == losses
    assert same(model, by_hand)
    assert log.finished


def test_sequences_of_different_lengths_are_padded_and_what_is_beyond_them_does_not_count() -> None:
    model, one_by_one = (ManyToOne("gru", 2, 4, 2, seed=0) for _ in range(2))
    trainer = Trainer(model, (SEQUENCES, LABELS), SGD(model.parameters(), lr=0.0), batch_size=7)
    trainer.run(updates=1)
    for sequence, label in zip(SEQUENCES, LABELS, strict=True):
        (one_by_one.loss(sequence[:, None], [label]) / 7).backward()
    for trained, expected in zip(model.parameters(), one_by_one.parameters(), strict=True):
        np.testing.assert_allclose(trained.grad, expected.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", [None, mse_loss])
def test_a_loss_of_ones_own_is_given_the_steps_that_count(loss: Any) -> None:
    wanted = [sequence[:, :1] * 2 for sequence in SEQUENCES]
    model = ManyToMany("rnn", 2, 4, 1, seed=0, loss=mse_loss)
    trainer = Trainer(model, (SEQUENCES, wanted), SGD(model.parameters(), lr=0.0), loss=loss, max_norm=math.inf, batch_size=7)
    trainer.run(updates=1)
    found = [parameter.grad.copy() for parameter in model.parameters()]
    model.zero_grad()
    steps = sum(map(len, SEQUENCES))
    for sequence, target in zip(SEQUENCES, wanted, strict=True):
        (mse_loss(model(sequence[:, None]), target[:, None]) * (len(sequence) / steps)).backward()
    for one, parameter in zip(found, model.parameters(), strict=True):
        np.testing.assert_allclose(one, parameter.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "data",
    [
        (XS, YS),
        (SEQUENCES, LABELS),
        (SEQUENCES, [np.arange(len(sequence)) % 2 for sequence in SEQUENCES]),
        (RNG.normal(size=(6, 9, 2)), RNG.integers(2, size=(6, 9))),
        ([[1, 0, 2], [2], [0, 1]], [[0, 1, 1], [1], [1, 0]]),
    ],
    ids=["vectors", "one target", "a target for each step", "arrays in time", "symbols"],
)
def test_a_gradient_added_up_over_batches_is_that_of_one_batch(data: Any) -> None:
    kinds: dict[str, Any] = {
        "symbols": lambda: LanguageModel(3, 4, cell="gru", seed=0),
        "vectors": lambda: Head(3, 1, seed=0),
        "one": lambda: ManyToOne("gru", 2, 4, 2, seed=0),
        "steps": lambda: ManyToMany("gru", 2, 4, 2, seed=0),
    }
    is_list = isinstance(data[0], list)
    kind = "vectors" if data[0] is XS else "one" if data[1] is LABELS else "steps"
    kind = "symbols" if is_list and isinstance(data[0][0], list) else kind
    found = []
    for size, accumulate in ((64, 1), (2, 64)):
        model = kinds[kind]()
        loss: Any = {"vectors": mse_loss, "symbols": lambda outputs, targets: mg.cross_entropy(outputs, targets)}.get(kind)
        if kind == "symbols":
            model = Predictor()
        trainer = Trainer(model, data, SGD(model.parameters(), lr=0.0), loss=loss, batch_size=size, accumulate=accumulate)
        trainer.run(updates=1)
        found.append([trainer.losses[0], *(parameter.grad for parameter in model.parameters())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


class Predictor(Module):
    """Symbols in, logits out, at every step; written as a user would."""

    def __init__(self) -> None:
        self.E = Parameter(np.random.default_rng(0).normal(size=(3, 4)))
        self.layers, self.head = RecurrentLayers("lstm", 4, 4, seed=0), Head(4, 2, seed=0)

    def forward(self, symbols: Any, lengths: Any = None) -> Tensor:
        hs, _ = self.layers(self.E[symbols], lengths=lengths)
        return self.head.forward(hs)


def test_a_model_that_returns_its_state_too_is_judged_by_its_outputs_and_carries_it_through_a_text() -> None:
    text = np.array([0, 1, 2, 0, 2, 1] * 30)
    own, built_in = (LanguageModel(3, 6, cell="gru", seed=0) for _ in range(2))
    for model, loss in ((own, mg.cross_entropy), (built_in, None)):
        Trainer(model, Streams(text, batch=3, steps=8), Adam(model.parameters(), lr=0.05), loss=loss).run(updates=20)
    assert same(own, built_in)


def test_a_language_model_of_layers_with_dropout_learns_and_goes_on_to_the_bit(tmp_path: Path) -> None:
    text = np.array([0, 1, 2, 0, 2, 1] * 40)

    def make() -> Trainer:
        model = LanguageModel(3, 8, cell="lstm", num_layers=2, dropout=0.1, embedding_size=4, init="orthogonal", seed=0)
        return Trainer(model, Streams(text, batch=3, steps=8), Adam(model.parameters(), lr=0.02))

    whole, stopped, resumed = make(), make(), make()
    whole.run(updates=120)
    stopped.run(updates=33)
    stopped.save(tmp_path / "training.npz")
    resumed.load(tmp_path / "training.npz")
    resumed.run(updates=120)
    assert same(whole.model, resumed.model)
    assert resumed.losses == whole.losses
    assert whole.model.eval().perplexity(text) < 1.3


def test_sentences_of_different_lengths_are_learnt_as_each_by_itself() -> None:
    sentences = [np.array([0, 1, 2, 1]), np.array([2, 2]), np.array([1, 0, 2])]
    for layers in (1, 2):
        model, apart = (LanguageModel(3, 4, cell="gru", num_layers=layers, seed=0) for _ in range(2))
        data = ([sentence[:-1] for sentence in sentences], [sentence[1:] for sentence in sentences])
        Trainer(model, data, SGD(model.parameters(), lr=0.0), max_norm=math.inf).run(updates=1)
        for symbols, targets in zip(*data, strict=True):
            loss, _ = apart.loss(symbols[:, None], targets[:, None])
            (loss * (len(symbols) / 6)).backward()
        for one, other in zip(model.parameters(), apart.parameters(), strict=True):
            np.testing.assert_allclose(one.grad, other.grad, rtol=1e-12, atol=1e-15)


def test_sources_and_targets_of_different_lengths_train_an_encoder_decoder() -> None:
    model = EncoderDecoder("gru", 5, 7, embedding_size=3, hidden_size=4, start=5, end=6, seed=0)
    sources = [RNG.integers(5, size=T) for T in (2, 4, 3, 1)]
    data = Batches(sources, [np.append(source, 6) for source in sources], batch_size=4, padding=6)
    trainer = Trainer(model, data, Adam(model.parameters(), lr=0.02))
    assert [batch.weight for batch in data.batches(0)] == [14]
    trainer.run(updates=150)
    assert trainer.losses[-1] < 0.2 < trainer.losses[0]


# ---------------------------------------------------------------- where batches come from


def pairs() -> Iterator[tuple[Any, Any]]:
    for start in range(0, 50, 10):
        yield XS[start : start + 10], YS[start : start + 10]


@pytest.mark.parametrize("data", [pairs, list(pairs()), Batches(XS, YS, batch_size=10, shuffle=False)])
def test_a_function_a_list_of_batches_and_arrays_in_order_are_the_same_training(data: Any) -> None:
    model, expected = Head(3, 1, seed=0), Head(3, 1, seed=0)
    log = fit(model, data, loss=mse_loss, lr=0.1, epochs=3)
    reference = fit(expected, (b for _ in range(3) for b in pairs()), loss=mse_loss, lr=0.1, updates=15)
    assert log["loss"] == reference["loss"]
    assert same(model, expected)
    assert len(log["loss"]) == 15


def test_a_generator_lasts_for_one_epoch_and_then_says_what_to_give() -> None:
    log = fit(Head(3, 1, seed=0), pairs(), loss=mse_loss, epochs=1)
    assert len(log["loss"]) == 5
    with pytest.raises(ArgumentError, match=r"a generator can be read once, .* give the function that makes the generator"):
        fit(Head(3, 1, seed=0), pairs(), loss=mse_loss, epochs=2)


def test_a_batch_of_ones_own_says_where_its_examples_lie() -> None:
    batch = Batch((XS.T,), YS, axes=(1, 0))

    class Across(Module):
        def __init__(self) -> None:
            self.W = Parameter(np.zeros((1, 3)))

        def forward(self, x: Any) -> Tensor:
            return (self.W @ x).T

    assert fit(Across(), [batch], loss=mse_loss, lr=0.1, epochs=200)["loss"][-1] < 1e-3


@pytest.mark.parametrize("data", [None, 3, "text", XS, {"xs": XS}])
def test_what_is_no_data_is_refused(data: Any) -> None:
    with pytest.raises(ArgumentError, match=r"expected data as a tuple \(inputs, targets\)"):
        fit(Head(3, 1, seed=0), data, loss=mse_loss)


def test_an_empty_iterable_is_refused() -> None:
    with pytest.raises(ArgumentError, match="the data has no batch number 0 in epoch 0"):
        fit(Head(3, 1, seed=0), [], loss=mse_loss)
    with pytest.raises(ArgumentError, match="evaluate: the data has no batch"):
        evaluate(Head(3, 1, seed=0), [], mse_loss)


# ---------------------------------------------------------------- stopping and going on


def noisy_trainer(seed: int = 0, **options: Any) -> Trainer:
    model = Noisy(seed)
    optimizer = Adam([{"params": model.below.parameters()}, {"params": model.above.parameters(), "lr": 0.02}], lr=0.01)
    schedule = ExponentialLR(optimizer, 0.99)
    return Trainer(
        model,
        Batches(XS, YS, batch_size=8, seed=3),
        optimizer,
        loss=mse_loss,
        scheduler=schedule,
        validation=(XS[:10], YS[:10]),
        patience=9,
        accumulate=2,
        **options,
    )


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
@pytest.mark.parametrize("name", ["training.npz", "training.safetensors"])
def test_a_training_with_everything_goes_on_from_any_update_to_the_bit(tmp_path: Path, stop: int, name: str) -> None:
    whole, stopped, resumed = noisy_trainer(), noisy_trainer(), noisy_trainer(seed=7)
    whole.run(updates=17)
    stopped.run(updates=stop)
    stopped.save(tmp_path / name)
    resumed.run(updates=2)
    resumed.load(tmp_path / name)
    assert (resumed.updates, resumed.epoch) == (stop, stop // 4)
    resumed.run(updates=17)
    assert resumed.losses == whole.losses
    assert same(whole.model, resumed.model)
    assert whole.optimizer.state_dict().keys() == resumed.optimizer.state_dict().keys()


def test_ctrl_c_saves_and_the_same_call_goes_on_to_the_bit(tmp_path: Path) -> None:
    def call(path: Path | None, *, pressed_at: int | None = None) -> tuple[Noisy, Any]:
        def press(trainer: Trainer, event: str) -> None:
            if event == "update" and trainer.updates == pressed_at:
                signal.raise_signal(signal.SIGINT)

        model = Noisy()
        log = fit(
            model, (XS, YS), loss=mse_loss, lr=0.01, epochs=4, batch_size=8, schedule=cosine, callbacks=[press], checkpoint=path
        )
        return model, log

    uninterrupted, whole = call(None)
    _, begun = call(tmp_path / "fit.npz", pressed_at=12)
    model, rest = call(tmp_path / "fit.npz")
    assert (begun.finished, rest.finished) == (False, True)
    assert rest == whole
    assert [rest.updates(name) for name in rest] == [whole.updates(name) for name in whole]
    assert same(model, uninterrupted)
    _, nothing_more = call(tmp_path / "fit.npz")
    assert nothing_more == whole


def test_early_stopping_ends_with_the_best_weights_and_stays_ended(tmp_path: Path) -> None:
    seen: list[tuple[float, dict[str, Any]]] = []

    def note(trainer: Trainer, event: str) -> None:
        if event == "epoch":
            seen.append((trainer.log["validation"][-1], trainer.model.state_dict()))

    def call() -> tuple[Head, Any]:
        model = Head(3, 1, seed=0)
        log = fit(
            model,
            (XS, YS),
            loss=mse_loss,
            lr=0.3,
            epochs=100,
            batch_size=10,
            validation=(XS, -YS),  # what is learnt makes it worse, after a while
            patience=4,
            callbacks=[note],
            checkpoint=tmp_path / "early.npz",
        )
        return model, log

    model, log = call()
    best = int(np.argmin(log["validation"]))
    assert len(log["validation"]) == best + 1 + 4 < 100
    assert log.updates("validation") == [5 * (k + 1) for k in range(len(log["validation"]))]
    np.testing.assert_array_equal(model.W_yh.numpy(), seen[best][1]["W_yh"])
    again, nothing_more = call()
    assert nothing_more == log
    assert same(again, model)


def test_without_an_early_end_fit_gives_the_best_weights_too() -> None:
    model = Head(3, 1, seed=0)
    log = fit(model, (XS, YS), loss=mse_loss, lr=0.3, epochs=5, batch_size=10, validation=(XS, -YS), patience=99)
    assert evaluate(model, (XS, -YS), mse_loss) == pytest.approx(min(log["validation"]), rel=1e-12)
    assert min(log["validation"]) < log["validation"][-1]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, epochs=1, checkpoint=path)
    for options, message in (
        ({"batch_size": 7}, "data.batch_size: expected 7, got 32"),
        ({"accumulate": 2}, "accumulate: expected 2, got 1"),
        ({"seed": 1}, "data.seed: expected 1, got 0"),
        ({"validation": (XS, YS), "patience": 2}, "stopping: missing: bad"),
    ):
        with pytest.raises(CheckpointError, match=message):
            fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, epochs=2, checkpoint=path, **options)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"stopping.bad": np.asarray(-1)}, "stopping: bad: expected at least 0, got -1"),
        ({"stopping.bad": np.asarray(1.0)}, "stopping: bad: expected int64"),
        ({"stopping.loss": np.asarray(1.0)}, "stopping: missing: weights"),
        ({"stopping.extra": np.asarray(1.0)}, "stopping: unknown: extra"),
        ({"updates": np.asarray(2**60)}, "updates: expected at least 0, got"),
        ({"epoch": np.asarray(-1)}, "epoch: expected at least 0, got -1"),
    ],
)
def test_a_state_that_could_not_have_been_saved_is_refused(saved: Any, message: str) -> None:
    trainer = noisy_trainer()
    with pytest.raises(ArgumentError, match=message):
        trainer.load_state_dict({**trainer.state_dict(), **saved})
    assert trainer.updates == 0


# ---------------------------------------------------------------- what happens on the way


def test_the_validation_loss_is_the_mean_over_all_examples_in_evaluation_mode() -> None:
    model = Noisy()
    model.above.eval()
    expected = float(((model.above(mg.tanh(model.below(XS))).numpy() - YS) ** 2).mean())
    assert evaluate(model, (XS, YS), mse_loss, batch_size=7) == pytest.approx(expected, rel=1e-12)
    assert (model.training, model.above.training) == (True, False)
    lengths = [len(sequence) for sequence in SEQUENCES]
    targets = [np.zeros(T, int) for T in lengths]
    tagger = ManyToMany("rnn", 2, 3, 2, seed=0)
    whole = evaluate(tagger, (SEQUENCES, targets), batch_size=100)
    assert evaluate(tagger, (SEQUENCES, targets), batch_size=2) == pytest.approx(whole, rel=1e-12)


def test_evaluation_modes_are_back_after_an_error() -> None:
    model = Noisy()
    with pytest.raises(ShapeError, match="a loss is one number"):
        evaluate(model, (XS, YS), lambda outputs, targets: outputs)
    assert model.training


def test_callbacks_hear_of_every_update_and_epoch_and_may_end_it() -> None:
    heard: list[tuple[str, int]] = []

    def listen(trainer: Trainer, event: str) -> None:
        heard.append((event, trainer.updates))
        if trainer.updates == 5:
            trainer.stop()

    log = fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, batch_size=20, epochs=9, callbacks=[listen])
    assert heard == [(u, n) for n in (1, 2, 3) for u in ("update", "epoch")[: 1 + (n == 3)]] + [("update", 4), ("update", 5)]
    assert len(log["loss"]) == 5
    assert log.finished


def test_a_callback_may_add_to_the_log_and_the_log_says_what_it_holds() -> None:
    def note(trainer: Trainer, event: str) -> None:
        trainer.log.add(trainer.updates, **{event: 1.0})

    log = fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, batch_size=25, epochs=2, callbacks=[note])
    assert log.updates("epoch") == [2, 4]
    assert set(log) == {"loss", "norm", "lr", "update", "epoch"}
    assert repr(log).startswith("Log(loss: 4 values, the last ")


def test_the_log_is_drawn_with_every_number_at_its_own_update() -> None:
    log = fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, batch_size=5, epochs=3, validation=(XS, YS))
    drawn = viz.learning_curves(log).svg()
    assert [log.updates(name)[-1] for name in ("loss", "validation")] == [30, 30]
    for panel in ("loss", "norm", "lr", "validation"):
        assert f">{panel}<" in drawn


def test_schedules_are_stepped_by_update_by_epoch_or_on_a_plateau() -> None:
    def rates(make: Any, **options: Any) -> list[float]:
        model = Head(3, 1, seed=0)
        sgd = SGD(model.parameters(), lr=1e-3)
        options = {"optimizer": sgd, "scheduler": make(sgd), **options}
        return fit(model, (XS, YS), loss=mse_loss, batch_size=25, epochs=3, **options)["lr"]

    assert rates(lambda sgd: ExponentialLR(sgd, 0.5)) == pytest.approx([1e-3 * 0.5**k for k in range(6)])
    by_epoch = rates(lambda sgd: ExponentialLR(sgd, 0.5), step_scheduler="epoch")
    assert by_epoch == pytest.approx([1e-3 * 0.5 ** (k // 2) for k in range(6)])
    worse = rates(lambda sgd: ReduceLROnPlateau(sgd, factor=0.5, patience=0), validation=(XS, -YS))
    assert worse == pytest.approx([1e-3, 1e-3, 1e-3, 1e-3, 5e-4, 5e-4])


def test_a_learning_rate_that_a_callback_sets_is_kept() -> None:
    model = Head(3, 1, seed=0)

    def halve(trainer: Trainer, event: str) -> None:
        if trainer.updates == 2:
            trainer.optimizer.lr = 0.5

    log = fit(model, (XS, YS), loss=mse_loss, optimizer=SGD, batch_size=50, epochs=4, callbacks=[halve])
    assert log["lr"] == [1e-3, 1e-3, 0.5, 0.5]


def test_gradients_that_are_not_finite_are_refused_with_the_update_and_nothing_changes() -> None:
    model = Head(3, 1, seed=0)
    bad = YS.copy()
    bad[7] = math.nan
    before = model.state_dict()
    with pytest.raises(NonFiniteGradientError, match=r"update 1: 1 of 50 numbers in the targets of a batch are NaN .* look at"):
        fit(model, (XS, bad), loss=mse_loss, epochs=1, batch_size=50)
    assert all((model.state_dict()[name] == before[name]).all() for name in before)
    with np.errstate(all="ignore"):
        fit(model, (XS, bad), loss=mse_loss, epochs=1, batch_size=50, error_if_nonfinite=False)
    assert np.isnan(model.W_yh.numpy()).all()


def test_a_bad_gradient_of_a_finite_loss_is_reported_without_time_steps() -> None:
    model = Head(3, 1, seed=0)
    with pytest.raises(NonFiniteGradientError, match="update 1: clip_grad_norm_: the gradients of these parameters are not"):
        fit(model, (XS, YS), loss=lambda outputs, targets: mg.sqrt((outputs * 0.0).sum()), epochs=1)


@pytest.mark.parametrize("progress", [True, "own"])
def test_progress_shows_loss_and_speed(progress: Any, capsys: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    bar = Progress(log) if progress == "own" else progress
    fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, epochs=5, validation=(XS, YS), progress=bar)
    shown = log.getvalue() or capsys.readouterr().err
    assert "100" in shown
    assert "loss " in shown
    assert "validation " in shown
    assert " examples/s" in shown


def test_without_tqdm_the_bar_is_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, epochs=2, progress=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("100 %  loss ")


def test_a_bar_that_is_none_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"progress: expected True, False or an object with show"):
        fit(Head(3, 1, seed=0), (XS, YS), loss=mse_loss, progress="yes")
    with TqdmBar(io.StringIO()) as bar:
        bar.show(1.0, "done")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": None}, "give one: loss=mse_loss"),
        ({"max_norm": -1.0}, "max_norm must be a number ≥ 0"),
        ({"max_norm": "1"}, "max_norm must be a number ≥ 0"),
        ({"accumulate": 0}, "accumulate must be an integer ≥ 1"),
        ({"patience": 3}, "patience needs validation data"),
        ({"scheduler": ExponentialLR(SGD([Parameter([1.0])]), 0.5)}, "the scheduler was made for another optimiser"),
        ({"patience": 0, "validation": (XS, YS)}, "patience must be an integer ≥ 1"),
        ({"step_scheduler": "day"}, "step_scheduler: expected one of 'update', 'epoch'"),
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"epochs": 1.5}, "epochs=1.5 must be at least 1"),
        ({"updates": True}, "updates=True and"),
        ({"optimizer": SGD([Parameter([1.0])])}, "none of the model's parameters is in the optimiser"),
        ({"optimizer": lambda parameters: 3}, "expected a Module and an Optimizer"),
        ({"optimizer": SGD, "lr": 0.1}, "lr is that of Adam"),
        ({"batch_size": 0}, "batch_size must be an integer ≥ 1"),
        ({"seed": -1}, "seed must be an integer ≥ 0"),
        ({"error_if_nonfinite": "no"}, "error_if_nonfinite: expected True or False"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    class Plain(Module):
        def __init__(self) -> None:
            self.W = Parameter(np.zeros((3, 1)))

        def forward(self, x: Any) -> Any:
            return x @ self.W

    with pytest.raises(ArgumentError, match=message):
        fit(Plain(), (XS, YS), **{"loss": mse_loss, **options})


def test_a_training_has_an_end_and_one_schedule() -> None:
    with pytest.raises(ArgumentError, match="one of them must be given"):
        noisy_trainer().run()
    with pytest.raises(ArgumentError, match="this trainer has a scheduler"):
        noisy_trainer().run(updates=3, schedule=cosine)


def test_a_loss_that_is_no_number_is_refused() -> None:
    for loss, got in ((lambda o, t: o, r"got \(32, 1\)"), (lambda o, t: 3.0, "got float")):
        with pytest.raises(ShapeError, match="a loss is one number, a Tensor of shape .*" + got):
            fit(Head(3, 1, seed=0), (XS, YS), loss=loss)


def test_a_model_without_lengths_is_told_so() -> None:
    class Deaf(Predictor):
        def forward(self, symbols: Any) -> Tensor:
            return super().forward(symbols)

    with pytest.raises(ArgumentError, match=r"different lengths, and Deaf\.forward takes no argument lengths"):
        fit(Deaf(), ([[0, 1], [1]], [[0, 1], [1]]), loss=mg.cross_entropy)


def test_a_model_that_carries_a_state_and_cannot_begin_one_says_so_on_resuming() -> None:
    class Own(Module):
        def __init__(self) -> None:
            self.inner = LanguageModel(3, 4, seed=0)

        def forward(self, symbols: Any, state: Any = None) -> Any:
            return self.inner(symbols, state)

    def make() -> Trainer:
        model = Own()
        streams = Streams(np.array([0, 1, 2] * 30), batch=2, steps=5)
        return Trainer(model, streams, SGD(model.parameters()), loss=mg.cross_entropy)

    trained = make()
    trained.run(updates=2)
    with pytest.raises(ArgumentError, match=r"Own needs initial_state\(batch\)"):
        make().load_state_dict(trained.state_dict())


def test_the_best_so_far_is_never_not_a_number() -> None:
    stopping = EarlyStopping(Head(3, 1, seed=0), patience=2)
    for loss in (math.nan, 2.0, math.nan):
        stopping.look(loss)
    assert (stopping.best, stopping.bad, stopping.over) == (2.0, 1, False)


def test_the_best_so_far_is_kept_with_how_long_ago_that_was() -> None:
    stopping, resumed = (EarlyStopping(Head(3, 1, seed=seed), patience=3) for seed in (0, 1))
    for loss in (2.0, 1.0, 1.5):
        stopping.look(loss)
    resumed.load_state_dict(stopping.state_dict())
    assert (resumed.best, resumed.bad, resumed.over) == (1.0, 1, False)
    resumed.look(1.2)
    assert (resumed.best, resumed.bad) == (1.0, 2)
    resumed.restore()
    for name, values in stopping.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], values)


def test_the_log_of_a_training_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    def make() -> Trainer:
        model = Head(3, 1, seed=0)
        options: dict[str, Any] = {"loss": mse_loss, "validation": (XS, YS), "batch_size": 16}
        trainer = Trainer(model, (XS, YS), Adam(model.parameters()), **options)
        trainer.log.add(0, **{"my own": math.nan})
        return trainer

    whole, stopped, resumed = make(), make(), make()
    whole.run(updates=11)
    stopped.run(updates=7)
    stopped.save(tmp_path / "training.npz")
    resumed.run(updates=2)
    resumed.load(tmp_path / "training.npz")
    assert repr(resumed.log) == repr(stopped.log)
    resumed.run(updates=11)
    for name in whole.log:
        np.testing.assert_array_equal(resumed.log[name], whole.log[name])
        assert resumed.log.updates(name) == whole.log.updates(name)
    assert list(resumed.log) == list(whole.log) == ["my own", "loss", "norm", "lr", "validation"]


def test_a_checkpoint_without_a_log_is_loaded_with_an_empty_one(tmp_path: Path) -> None:
    model = Head(3, 1, seed=0)
    trainer = Trainer(model, (XS, YS), Adam(model.parameters()), loss=mse_loss)
    trainer.run(updates=3)
    saved = {name: array for name, array in trainer.state_dict().items() if not name.startswith("log.")}
    trainer.load_state_dict(saved)
    assert (trainer.updates, len(trainer.log)) == (3, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"log.loss.updates": np.arange(3.0)}, r"loss.updates: expected int64 \(n,\), got float64 \(3,\)"),
        ({"log.loss.bits": np.ones((3, 1), int)}, r"loss.bits: expected int64 \(n,\), got int64 \(3, 1\)"),
        ({"log.loss.bits": np.ones(2, int)}, r"loss.updates: expected as many as in loss.bits, \(2,\), got \(3,\)"),
        ({"log.more.bits": np.ones(2, int)}, "missing: more.updates"),
        ({"log.more.updates": np.ones(2, int)}, "missing: more.bits"),
        ({"log.more": np.ones(2, int)}, "unknown: more"),
        ({"log.loss.updates": np.array([1, -2, 3])}, "loss.updates: expected numbers of updates, at least 0"),
        ({"log.loss.updates": np.array([1, 2, 2**53])}, "loss.updates: expected numbers of updates, at least 0"),
    ],
)
def test_a_log_that_is_none_is_refused_and_nothing_changes(changes: dict[str, Any], message: str) -> None:
    model = Head(3, 1, seed=0)
    trainer = Trainer(model, (XS, YS), Adam(model.parameters()), loss=mse_loss)
    trainer.run(updates=3)
    before = trainer.state_dict()
    with pytest.raises(ArgumentError, match=f"log: .*{message}"):
        trainer.load_state_dict(before | changes)
    after = trainer.state_dict()
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], before[name]) for name in after)
