import io
import math
import signal
import threading
from typing import Any

import numpy as np
import pytest
from minigrad.models.cells import CELLS
from minigrad.models.interruption import deferred_interrupt
from minigrad.models.language import LanguageModel
from minigrad.models.progress import Progress
from minigrad.models.streams import Streams
from minigrad.models.training import Trainer, constant, cosine

from minigrad import Tensor
from minigrad.errors import ArgumentError, NonFiniteGradientError
from minigrad.optim import SGD, Adam

TEXT = np.array([0, 1, 2, 0, 2, 1] * 40)


def trainer(cell: str = "lstm", seed: int = 0, lr: float = 0.02) -> Trainer:
    model = LanguageModel(vocabulary_size=3, hidden_size=6, cell=cell, embedding_size=2, seed=seed)
    return Trainer(model, Streams(TEXT, batch=3, steps=8), Adam(model.parameters(), lr=lr))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cell", list(CELLS))
def test_every_cell_learns_a_periodic_text(cell: str) -> None:
    training = trainer(cell)
    before = training.model.perplexity(TEXT)
    assert training.run(200)
    assert before > 2.5
    assert training.model.perplexity(TEXT) < 1.2
    assert training.updates == len(training.losses) == len(training.norms) == 200


def test_training_is_the_same_to_the_bit_on_every_run() -> None:
    one, other = trainer(), trainer()
    one.run(30)
    other.run(30)
    assert one.losses == other.losses
    assert same(one.model.state_dict(), other.model.state_dict())


def test_each_update_is_one_clipped_step_on_the_next_chunk_with_the_state_carried_over() -> None:
    training, model = trainer("gru"), LanguageModel(3, 6, cell="gru", embedding_size=2, seed=0)
    training.run(23)
    optimizer, state = Adam(model.parameters(), lr=0.02), None
    streams = Streams(TEXT, batch=3, steps=8)
    assert len(streams) < 23
    for update in range(23):
        chunk = streams[update % len(streams)]
        loss, state = model.loss(chunk.inputs, chunk.targets, None if chunk.starts else Tensor(state.numpy()))
        optimizer.zero_grad()
        loss.backward()
        total = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
        for parameter in model.parameters():
            parameter.grad *= min(1.0, 1.0 / (total + 1e-6))
        optimizer.step()
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(training.model.state_dict()[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("stop", [1, 7, 10])
def test_a_resumed_training_gives_the_numbers_of_an_uninterrupted_one_bit_for_bit(cell: str, stop: int) -> None:
    whole, first, second = trainer(cell), trainer(cell), trainer(cell, seed=99)
    whole.run(25, schedule=cosine)
    first.optimizer.lr = 0.02
    first.run(stop, schedule=lambda share: cosine(share * stop / 25))
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(first.state_dict())
    second.run(25, schedule=cosine)
    assert second.losses == whole.losses
    assert same(second.model.state_dict(), whole.model.state_dict())


def test_a_saved_training_of_another_kind_is_refused_and_nothing_changes() -> None:
    training, other = trainer("gru"), trainer("lstm")
    training.run(3)
    other.run(3)
    before = training.state_dict()
    with pytest.raises(ArgumentError, match=r"optimizer: 1.exp_avg: expected shape \(18, 2\), .* unknown: state\.1"):
        training.load_state_dict(other.state_dict())
    wrong = {**before, "state.0": np.zeros((2, 2)), "max_norm": np.ones(1), "x": np.zeros(1)}
    del wrong["updates"]
    with pytest.raises(ArgumentError) as caught:
        training.load_state_dict(wrong)
    for problem in (
        "missing: updates",
        "state.0: expected float64 (3, 6), got float64 (2, 2)",
        "max_norm: expected float64 (), got float64 (1,)",
        "unknown: x",
    ):
        assert problem in str(caught.value)
    with pytest.raises(ArgumentError, match=r"unknown: 0\.momentum"):
        training.load_state_dict({**before, "optimizer.0.momentum": np.zeros(1)})
    negative, others = np.asarray(-1.0), np.asarray(9)
    with pytest.raises(ArgumentError, match=r"data.steps: expected 8, got 9; max_norm: .* got -1.0; optimizer: lr must "):
        training.load_state_dict({**before, "max_norm": negative, "optimizer.lr": negative, "data.steps": others})
    assert same(training.state_dict(), before)


def test_a_training_that_has_not_begun_can_be_saved_and_restored() -> None:
    fresh, restored = trainer(), trainer()
    restored.run(5)
    restored.load_state_dict(fresh.state_dict())
    assert restored.updates == 0


def test_the_schedule_multiplies_the_learning_rate_given_at_first() -> None:
    training, seen = trainer(lr=0.5), []

    def schedule(share: float) -> float:
        seen.append(share)
        return 0.1

    training.run(4, schedule=schedule)
    assert seen == [0, 0.25, 0.5, 0.75]
    assert training.optimizer.lr == pytest.approx(0.05)


def test_cosine_rises_first_then_falls_and_never_reaches_zero() -> None:
    factors = [cosine(share) for share in np.linspace(0, 1, 501)]
    peak = int(np.argmax(factors))
    assert factors[peak] == pytest.approx(1)
    assert peak == 10
    assert np.all(np.diff(factors[: peak + 1]) > 0)
    assert np.all(np.diff(factors[peak:]) < 0)
    assert min(factors) == pytest.approx(0.01)
    assert constant(0.3) == 1


def test_a_time_limit_ends_the_training_and_drives_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    training, seen = trainer(), []

    def schedule(share: float) -> float:
        seen.append(share)
        return 1.0

    assert training.run(1000, seconds=4, schedule=schedule)
    assert training.updates == 4
    assert seen == [0, 0.25, 0.5, 0.75]


def test_an_end_that_never_comes_is_refused() -> None:
    for options in ({"updates": 0}, {"updates": 5, "seconds": 0.0}, {"updates": 5, "seconds": math.nan}):
        with pytest.raises(ArgumentError, match=r"Trainer\.run"):
            trainer().run(**options)


def test_progress_shows_loss_perplexity_and_speed() -> None:
    log = io.StringIO()
    trainer().run(20, progress=Progress(log))
    last = log.getvalue().splitlines()[-1]
    assert last.startswith("100 %  loss ")
    assert "perplexity" in last
    assert last.endswith(" symbols/s")


def test_ctrl_c_finishes_the_update_and_ends_the_training() -> None:
    training = trainer()

    def pressed_at_the_third(share: float) -> float:
        if training.updates == 2:
            signal.raise_signal(signal.SIGINT)
        return 1.0

    assert not training.run(100, schedule=pressed_at_the_third)
    assert training.updates == 3
    uninterrupted = trainer()
    uninterrupted.run(3)
    assert same(training.model.state_dict(), uninterrupted.model.state_dict())


def test_ctrl_c_is_pythons_own_again_afterwards() -> None:
    with deferred_interrupt() as interruption:
        signal.raise_signal(signal.SIGINT)
    assert interruption.requested
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_pressed_again_a_second_later_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.9, 11.1])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    survived = []

    def pressed_three_times() -> None:
        with deferred_interrupt():
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
                survived.append("still here")

    with pytest.raises(KeyboardInterrupt):
        pressed_three_times()
    assert len(survived) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_training_inside_a_deferred_block_hears_ctrl_c_and_so_does_the_block() -> None:
    training = trainer()

    def pressed_at_the_second(share: float) -> float:
        if training.updates == 1:
            signal.raise_signal(signal.SIGINT)
        return 1.0

    with deferred_interrupt() as interruption:
        assert not training.run(100, schedule=pressed_at_the_second)
        assert interruption.requested
    assert training.updates == 2


def test_a_reaction_of_the_programs_own_is_left_alone() -> None:
    heard = []
    found = signal.signal(signal.SIGINT, lambda *_: heard.append("own"))
    try:
        with deferred_interrupt() as interruption:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, found)
    assert heard == ["own"]
    assert not interruption.requested


def test_training_works_in_a_thread_that_ctrl_c_never_reaches() -> None:
    training, finished = trainer(), []
    thread = threading.Thread(target=lambda: finished.append(training.run(5)))
    thread.start()
    thread.join()
    assert finished == [True]


def explosive() -> Trainer:
    """A simple RNN around h = 0, where tanh′ = 1 and W_hh multiplies the gradient by 1e8 at every step back."""
    model = LanguageModel(vocabulary_size=3, hidden_size=4, cell="rnn", embedding_size=2, dtype=np.float32, seed=0)
    values = {name: np.zeros_like(value) for name, value in model.state_dict().items()}
    values["cell.W_hh"] = np.eye(4, dtype=np.float32) * np.float32(1e8)
    values["head.W_yh"] = model.state_dict()["head.W_yh"]
    model.load_state_dict(values)
    return Trainer(model, Streams(TEXT, batch=3, steps=12), SGD(model.parameters(), lr=0.1))


def test_exploding_gradients_are_reported_with_the_time_step_where_they_left_the_numbers() -> None:
    training = explosive()
    before = training.model.state_dict()
    with pytest.raises(NonFiniteGradientError) as caught:
        training.run(5)
    message = str(caught.value)
    assert message.startswith("update 1: backpropagating from time step 12")
    assert "it grew to 1.1e+38 at time step 8 and was no longer finite at time step 7" in message
    assert "2 (W_hh) (16 of 16 entries NaN or infinite)" in message
    assert "clip to a smaller norm" in message
    assert same(training.model.state_dict(), before)
    assert training.updates == 0


def test_an_update_that_would_ruin_the_parameters_is_taken_back_and_reported() -> None:
    training = trainer(lr=0.9)
    training.run(3)
    before = training.model.state_dict()
    with pytest.raises(NonFiniteGradientError, match=r"update 4: Adam.step: it would have made .*: 0 \(E\), 1 "):
        training.run(5, schedule=lambda share: 1.7e308)
    assert same(training.model.state_dict(), before)
    assert training.updates == 3


def test_a_loss_that_is_not_a_number_is_reported_as_such() -> None:
    training = trainer()
    training.model.head.b_y.data[...] = math.nan
    with pytest.raises(NonFiniteGradientError, match="update 1: the loss is nan"):
        training.run(5)
