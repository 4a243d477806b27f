"""A training that was stopped, saved, loaded into fresh objects and resumed gives the numbers of an uninterrupted one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models.cells import CELLS
from minigrad.models.checkpoints import load_language_model, resume_training, save_language_model, save_training
from minigrad.models.head import Head
from minigrad.models.language import LanguageModel
from minigrad.models.layers import RecurrentLayers
from minigrad.models.streams import Streams
from minigrad.models.training import Trainer, cosine
from minigrad.models.vocabulary import Vocabulary

from minigrad import Module, Tensor
from minigrad.checkpoint import CheckpointError, load_checkpoint, load_notes, save_checkpoint
from minigrad.optim import SGD, Adam, AdamW, RMSprop, clip_grad_norm_
from minigrad.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: SGD(p, lr=0.1),
    "SGD with momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: Adam(p, lr=0.05, amsgrad=True),
    "AdamW": lambda p: AdamW(p, lr=0.05, betas=(0.8, 0.95)),
    "RMSprop": lambda p: RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}
WORDS = Vocabulary.from_text("to be or not to be", unit="word")
TEXT = np.array([0, 1, 2, 3, 0, 1] * 40)
STREAMS, CUT_ELSEWHERE = Streams(TEXT, batch=3, steps=8), Streams(TEXT, batch=3, steps=7)


@pytest.fixture(params=["npz", "safetensors"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"training.{request.param}"


class Tagger(Module):
    """Two layers with dropout between them, so that the random state matters."""

    def __init__(self, seed: int, dtype: Any = np.float64) -> None:
        self.layers = RecurrentLayers("lstm", 3, 4, num_layers=2, dropout=0.4, seed=seed, dtype=dtype)
        self.head = Head(4, 5, seed=seed, dtype=dtype)

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng([step])
        hs, _ = self.layers(rng.normal(size=(6, 2, 3)).astype(self.head.W_yh.dtype))
        return self.head.loss(hs, rng.integers(5, size=(6, 2)))


class Run:
    """A model in training, with all that belongs to it."""

    def __init__(self, make: Any, seed: int, dtype: Any = np.float64) -> None:
        self.model = Tagger(seed, dtype)
        self.optimizer = make(self.model.parameters())
        parts = [LinearLR(self.optimizer, total_iters=4), CosineAnnealingLR(self.optimizer, T_max=20)]
        self.schedule = SequentialLR(self.optimizer, parts, [4])

    def train(self, steps: range) -> list[float]:
        losses = []
        for step in steps:
            self.optimizer.zero_grad()
            loss = self.model.loss(step)
            loss.backward()
            clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.item())
        return losses

    def save(self, path: Path) -> None:
        save_checkpoint(path, self.model, self.optimizer, scheduler=self.schedule, notes={"epoch": 3})

    def load(self, path: Path) -> dict[str, Any]:
        return load_checkpoint(path, self.model, self.optimizer, scheduler=self.schedule)


def assert_same(one: Module, other: Module) -> None:
    for name, value in one.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_every_optimiser_schedule_and_random_state_goes_on_bit_for_bit(path: Path, make: Any, dtype: Any) -> None:
    whole, stopped, resumed = Run(make, 0, dtype), Run(make, 0, dtype), Run(make, 99, dtype)
    expected = whole.train(range(20))
    losses = stopped.train(range(7))
    stopped.save(path)
    resumed.train(range(3))
    assert resumed.load(path) == {"epoch": 3}
    assert losses + resumed.train(range(7, 20)) == expected
    assert_same(resumed.model, whole.model)
    assert resumed.optimizer.lr == whole.optimizer.lr


def test_without_the_random_state_the_numbers_would_differ(path: Path) -> None:
    whole, stopped, resumed = (Run(OPTIMIZERS["Adam"], seed) for seed in (0, 0, 99))
    expected = whole.train(range(5))
    stopped.train(range(4))
    stopped.save(path)
    resumed.load(path)
    resumed.model.layers.rng.random()
    assert resumed.train(range(4, 5)) != expected[4:]


@pytest.mark.parametrize(
    "bits", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_every_generator_of_numpy_goes_on_where_it_was(path: Path, bits: Any) -> None:
    model, other = Tagger(0), Tagger(1)
    model.layers.rng, other.layers.rng = np.random.Generator(bits(3)), np.random.Generator(bits(4))
    model.layers.rng.integers(5, size=7, dtype=np.uint32)
    save_checkpoint(path, model)
    load_checkpoint(path, other)
    np.testing.assert_array_equal(other.layers.rng.random(9), model.layers.rng.random(9))


def test_a_model_may_be_loaded_without_its_optimiser_but_no_optimiser_out_of_nothing(path: Path) -> None:
    run, other = Run(OPTIMIZERS["Adam"], 0), Run(OPTIMIZERS["Adam"], 1)
    run.train(range(2))
    run.save(path)
    load_checkpoint(path, other.model)
    assert_same(other.model, run.model)
    save_checkpoint(path, run.model)
    with pytest.raises(CheckpointError, match="it holds no optimizer; it holds no scheduler"):
        other.load(path)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda path: Run(OPTIMIZERS["AdamW"], 0).load(path), "optimizer: it holds that of a 'Adam', and this one is a AdamW"),
        (lambda path: Run(OPTIMIZERS["Adam"], 0, np.float32).load(path), "head.b_y should be float32 .* and is float64"),
        (lambda path: load_checkpoint(path, Head(4, 5)), "model: layers.cells.0.0.W_h does not belong here"),
    ],
)
def test_what_does_not_fit_is_refused(path: Path, load: Any, message: str) -> None:
    Run(OPTIMIZERS["Adam"], 0).save(path)
    with pytest.raises(CheckpointError, match=message):
        load(path)


def test_a_model_that_is_no_longer_finite_never_replaces_one_that_was(path: Path) -> None:
    run = Run(OPTIMIZERS["Adam"], 0)
    run.save(path)
    before = path.read_bytes()
    run.model.head.b_y.data[2] = np.nan
    with pytest.raises(CheckpointError, match=r"was not written: model.head.b_y has 1 of 5 entries NaN or infinite"):
        run.save(path)
    assert path.read_bytes() == before


# ---------------------------------------------------------------- the training loop


def trainer(seed: int = 0, cell: str = "lstm", **options: Any) -> Trainer:
    model = LanguageModel(len(WORDS), 6, cell=cell, embedding_size=2, seed=seed)
    return Trainer(model, Streams(TEXT, batch=3, steps=8), AdamW(model.parameters(), lr=0.02), **options)


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("stop", [0, 1, 10, 24])
def test_a_saved_training_goes_on_bit_for_bit(path: Path, cell: str, stop: int) -> None:
    whole, stopped, resumed = (trainer(seed, cell) for seed in (0, 0, 99))
    resumed.optimizer.lr, resumed.max_norm = 7.0, 3.0
    whole.run(25, schedule=cosine)
    if stop:
        stopped.run(stop, schedule=lambda share: cosine(share * stop / 25))
    save_training(path, stopped, WORDS, {"title": "Hamlet"})
    assert resume_training(path, resumed, WORDS) == {"title": "Hamlet"}
    resumed.run(25, schedule=cosine)
    assert resumed.losses == whole.losses
    assert_same(resumed.model, whole.model)


def test_a_training_with_a_schedule_of_the_optimiser_goes_on_bit_for_bit(path: Path) -> None:
    def scheduled(seed: int) -> Trainer:
        training = trainer(seed)
        training.scheduler = CosineAnnealingLR(training.optimizer, T_max=30)
        return training

    whole, stopped, resumed = (scheduled(seed) for seed in (0, 0, 99))
    whole.run(25)
    stopped.run(11)
    save_training(path, stopped)
    resume_training(path, resumed)
    resumed.run(25)
    assert resumed.losses == whole.losses
    assert_same(resumed.model, whole.model)
    assert resumed.optimizer.lr == whole.optimizer.lr < 0.005


@pytest.mark.parametrize(
    ("other", "vocabulary", "message"),
    [
        (lambda: trainer(cell="gru"), WORDS, r"trainer: state.1: expected|trainer: unknown: state.1"),
        (trainer, Vocabulary.from_text("a b c d", unit="word"), "saved with another vocabulary"),
        (lambda: Trainer((t := trainer()).model, CUT_ELSEWHERE, t.optimizer), WORDS, "data.steps: expected 7, got 8"),
        (lambda: Trainer((t := trainer()).model, STREAMS, SGD(t.model.parameters())), WORDS, "unknown: 0.exp_avg"),
    ],
)
def test_another_training_is_refused_and_nothing_changes(path: Path, other: Any, vocabulary: Any, message: str) -> None:
    training = trainer()
    training.run(5)
    save_training(path, training, WORDS)
    refusing = other()
    before, weights = refusing.state_dict(), refusing.model.state_dict()
    with pytest.raises(CheckpointError, match=message):
        resume_training(path, refusing, vocabulary)
    assert all(np.array_equal(refusing.state_dict()[name], before[name]) for name in before)
    assert all(np.array_equal(refusing.model.state_dict()[name], weights[name]) for name in weights)


# ---------------------------------------------------------------- a model with its vocabulary


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize(("embedding_size", "dtype"), [(None, np.float32), (2, np.float64)])
def test_a_saved_language_model_reads_and_writes_as_before(path: Path, cell: str, embedding_size: Any, dtype: Any) -> None:
    model = LanguageModel(len(WORDS), 6, cell=cell, embedding_size=embedding_size, dtype=dtype, seed=3)
    save_language_model(path, model, WORDS, {"title": "Hamlet"})
    loaded, vocabulary, notes = load_language_model(path)
    assert_same(loaded, model)
    assert (vocabulary, notes) == (WORDS, {"title": "Hamlet"})
    prompt = WORDS.encode("not to")
    np.testing.assert_array_equal(loaded.sample(9, prompt=prompt, seed=0), model.sample(9, prompt=prompt, seed=0))


def test_a_saved_training_is_a_saved_language_model(path: Path) -> None:
    training = trainer()
    training.run(5)
    save_training(path, training)
    model, vocabulary, notes = load_language_model(path)
    assert_same(model, training.model)
    assert (vocabulary, notes) == (None, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "says nothing of a language model"),
        ({"notes": []}, "says nothing of a language model"),
        ({"model": {}}, "describes a language model that does not exist"),
        ({"model": {"hidden_size": 0}}, "describes a language model that does not exist"),
        ({"model": {"cell": "lsmt"}}, "describes a language model that does not exist"),
        ({"model": {"cell": ["lstm"]}}, "describes a language model that does not exist"),
        ({"model": {"dtype": "int64"}}, "describes a language model that does not exist"),
        ({"model": {"more": 1}}, "describes a language model that does not exist"),
        ({"model": {"hidden_size": 10**9}}, "a language model larger than the file"),
        ({"model": {"vocabulary_size": 10**9}}, "a language model larger than the file"),
        ({"model": {"hidden_size": 5}}, r"model: head.W_yh should be float64 \(4, 5\) and is float64 \(4, 6\)"),
        ({"model": {"cell": "gru"}}, "model: cell.W_h should be"),
        ({"vocabulary": "abcd"}, "its vocabulary cannot be used: it is not one"),
        ({"vocabulary": {"symbols": [1, 2, 3, 4]}}, "its symbols are not text"),
        ({"vocabulary": {"symbols": ["a", "a", "b", "c"]}}, "'a' was given 2 times"),
        ({"vocabulary": {"symbols": ["a", "b"]}}, "the model has 4 symbols and the vocabulary 2"),
        ({"vocabulary": {"unknown": 7}}, "its special symbols are not text"),
        ({"vocabulary": {"unit": "syllable"}}, "unit: expected one of 'character', 'word', got 'syllable'"),
        ({"vocabulary": {"unit": None}}, "unit: expected one of 'character', 'word', got None"),
    ],
)
def test_notes_that_describe_no_language_model_are_refused(path: Path, changes: dict[str, Any], message: str) -> None:
    model = LanguageModel(len(WORDS), 6, embedding_size=2, seed=3)
    save_language_model(path, model, WORDS)
    notes = load_notes(path)
    for key, value in changes.items():
        notes[key] = {**notes[key], **value} if isinstance(value, dict) and value else value
    save_checkpoint(path, model, notes=notes)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_language_model(path)
    assert str(path) in str(caught.value)


class Interrupted(Module):
    """Ctrl-C is heard as soon as it has been loaded, but once."""

    def __init__(self, seed: int) -> None:
        self.head = Head(3, 2, seed=seed)
        self.rng = np.random.default_rng(seed)
        self.waits = False

    def load_state_dict(self, state: Any) -> None:
        super().load_state_dict(state)
        if self.waits:
            self.waits = False
            raise KeyboardInterrupt


def test_ctrl_c_leaves_all_of_a_checkpoint_loaded_or_nothing(tmp_path: Path) -> None:
    saved, model = Interrupted(seed=1), Interrupted(seed=2)
    save_checkpoint(tmp_path / "m.npz", saved, SGD(saved.parameters(), lr=0.5))
    optimizer = SGD(model.parameters(), lr=0.1)
    before, drawn = model.state_dict(), model.rng.bit_generator.state
    model.waits = True
    with pytest.raises(KeyboardInterrupt):
        load_checkpoint(tmp_path / "m.npz", model, optimizer)
    assert optimizer.lr == 0.1
    assert model.rng.bit_generator.state == drawn
    for name, values in model.state_dict().items():
        np.testing.assert_array_equal(values, before[name])
    load_checkpoint(tmp_path / "m.npz", model, optimizer)
    assert optimizer.lr == 0.5
