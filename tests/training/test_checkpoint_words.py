"""Arguments of the wrong kind are named by the functions that save and load, before anything is read or written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import Net
from minigrad.models.checkpoints import load_language_model, resume_training, save_language_model, save_training
from minigrad.models.language import LanguageModel

from minigrad import Tensor
from minigrad.checkpoint import CheckpointError, load_arrays, load_checkpoint, load_notes, save_arrays, save_checkpoint
from minigrad.errors import DTypeError, MinigradError

Anything: Any = object()
MODEL = LanguageModel(3, hidden_size=2, seed=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: save_arrays(p, [1, 2]), r"save_arrays: expected arrays by name, got \[1, 2\]"),
        (lambda p: save_arrays(p, {}, notes=[1, 2]), r"save_arrays: expected notes by name, or None, got \[1, 2\]"),
        (lambda p: save_arrays(p, {}, notes=[]), r"save_arrays: expected notes by name, or None, got \[\]"),
        (lambda p: save_checkpoint(p, Net(), notes="ab"), "save_checkpoint: expected notes by name, or None, got 'ab'"),
        (lambda p: save_arrays(None, {}), r"save_arrays: expected a path \(text or a pathlib.Path\), got NoneType"),
        (lambda p: save_checkpoint(7, Net()), r"save_checkpoint: expected a path .*, got int"),
        (lambda p: load_arrays(b"model.npz"), r"load_arrays: expected a path .*, got bytes"),
        (lambda p: save_checkpoint(p, Net(), epoch=3), r"numbers and words are notes, as in save_checkpoint\(…, notes="),
        (lambda p: load_notes(None), r"load_notes: expected a path .*, got NoneType"),
        (lambda p: load_checkpoint(None, Net()), r"load_checkpoint: expected a path .*, got NoneType"),
        (lambda p: save_checkpoint(p, None), "save_checkpoint: expected a Module to save or load, got None"),
        (lambda p: load_checkpoint(p, Tensor([1.0])), r"load_checkpoint: expected a Module to save or load, got Tensor\("),
        (lambda p: save_checkpoint(p, Net(), 0.1), "save_checkpoint: optimizer: expected an optimiser, .*, got 0.1"),
        (lambda p: save_checkpoint(p, Net(), plan=3), "save_checkpoint: plan: expected an optimiser, .*, got 3"),
        (lambda p: load_checkpoint(p, Net(), "adam"), "load_checkpoint: optimizer: expected an optimiser, .*, got 'adam'"),
        (lambda p: save_language_model(p, None), "save_language_model: expected a LanguageModel, got None"),
        (lambda p: save_language_model(p, MODEL, "abc"), "save_language_model: expected a Vocabulary or None, got 'abc'"),
        (lambda p: save_language_model(p, MODEL, notes=[1]), r"save_language_model: expected a Mapping or None, got \[1\]"),
        (lambda p: save_training(p, MODEL), "save_training: expected a Trainer, got LanguageModel"),
        (lambda p: resume_training(p, None), "resume_training: expected a Trainer, got None"),
        (lambda p: load_language_model(None), "expected a path"),
    ],
)
def test_an_argument_of_another_kind_is_named_and_nothing_is_written(
    tmp_path: Path, call: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(DTypeError, match=message):
        call(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("expected", [{"a": [1, 2]}, {"a": Anything}, 3, ["a"]])
def test_what_is_expected_must_be_arrays_by_name(tmp_path: Path, expected: Any) -> None:
    save_arrays(tmp_path / "a.npz", {"a": np.zeros(2)})
    with pytest.raises(DTypeError, match="load_arrays: expected arrays by name as ``expected``, got"):
        load_arrays(tmp_path / "a.npz", expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [([1, 2], "list"), (1.5, "float"), (None, "NoneType"), (Tensor([1.0]), "Tensor"), (np.ma.array([1.0]), "MaskedArray")],
)
def test_what_is_no_array_is_named_with_what_makes_one(tmp_path: Path, value: Any, kind: str) -> None:
    with pytest.raises(CheckpointError, match=rf"b_h is a {kind}, not a NumPy array; np.asarray\(...\) makes one"):
        save_arrays(tmp_path / "a.npz", {"W": np.zeros(2), "b_h": value})
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_numpy_is_an_array_without_axes(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", {"lr": np.float64(0.5)})
    assert load_arrays(tmp_path / "a.npz")["lr"] == 0.5


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_name_may_be_long_but_not_endless(tmp_path: Path, ending: str) -> None:
    path, longest = tmp_path / f"a.{ending}", "é" * 5_000
    save_arrays(path, {longest: np.ones(2)})
    np.testing.assert_array_equal(load_arrays(path)[longest], np.ones(2))
    for name in ("é" * 5_000 + "a", "a" * 70_000):
        with pytest.raises(CheckpointError, match="10,000 bytes are the most a name may take") as caught:
            save_arrays(path, {name: np.ones(2)})
        assert len(str(caught.value)) < 1_000


def test_a_picture_is_saved_to_a_path() -> None:
    from minigrad.viz import draw

    picture = draw((Tensor([1.0], requires_grad=True) * 2.0).sum())
    path: Any
    for path in (None, 3):
        with pytest.raises(DTypeError, match="save: expected a path"):
            picture.save(path)
    with pytest.raises(MinigradError, match="cannot be written: no file can have such a name"):
        picture.save("a\0b.svg")


def test_an_array_of_the_most_axes_there_may_be_comes_back(tmp_path: Path) -> None:
    array = np.ones((1,) * 32)
    save_arrays(tmp_path / "arrays.npz", {"a": array})
    assert load_arrays(tmp_path / "arrays.npz")["a"].shape == array.shape
    with pytest.raises(CheckpointError, match="a has 33 axes; 32 are the most there may be"):
        save_arrays(tmp_path / "arrays.npz", {"a": array[None]})
