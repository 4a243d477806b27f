import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.checkpoint import CheckpointError, load_arrays, load_notes, save_arrays
from minigrad.errors import MinigradError
from minigrad.guard import Array

ARRAYS: dict[str, Array] = {
    "cell.W_hh": np.arange(6, dtype=np.float32).reshape(2, 3),
    "cell.b_h": np.array([0.1, -np.inf, np.nan]),
    "updates": np.asarray(17),
    "mask": np.array([[True, False]]),
    "empty": np.zeros((0, 4)),
}
NOTES = {"cell": "rnn", "vocabulary": ["\n", "é", "日", "\N{REPLACEMENT CHARACTER}"], "sizes": [1, 2.5, None]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    save_arrays(path, ARRAYS, NOTES)
    return path


def test_what_was_saved_is_loaded_with_every_dtype_shape_and_bit(file: Path) -> None:
    loaded = load_arrays(file, ARRAYS)
    assert list(loaded) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array, strict=True)
        assert loaded[name].flags.writeable
    assert load_notes(file) == NOTES


def test_numpy_opens_a_checkpoint_too_without_pickle(file: Path) -> None:
    with np.load(file, allow_pickle=False) as archive:
        assert set(archive.files) == {"contents.json", *ARRAYS}
        np.testing.assert_array_equal(archive["cell.W_hh"], ARRAYS["cell.W_hh"])


def test_arrays_in_any_memory_layout_are_saved_by_their_values(tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(4, 6)
    layouts = {"transposed": array.T, "strided": array[::2, ::-1], "broadcast": np.broadcast_to(array[0], (3, 6))}
    save_arrays(tmp_path / "m.npz", layouts)
    loaded = load_arrays(tmp_path / "m.npz", layouts)
    for name, value in layouts.items():
        np.testing.assert_array_equal(loaded[name], value)


def test_the_same_arrays_make_the_same_file(file: Path) -> None:
    first = file.read_bytes()
    save_arrays(file, ARRAYS, NOTES)
    assert file.read_bytes() == first


def test_a_failed_save_leaves_the_old_file_and_nothing_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        save_arrays(file, {"a": np.zeros(3)})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_save_stopped_by_ctrl_c_leaves_the_old_file_and_nothing_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def pressed(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", pressed)
    with pytest.raises(KeyboardInterrupt):
        save_arrays(file, {"a": np.zeros(3)})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    with pytest.raises(CheckpointError, match="a has dtype object; only numbers"):
        save_arrays(path, {"a": np.array([None])})
    with pytest.raises(CheckpointError, match="a has dtype >c16"):
        save_arrays(path, {"a": np.zeros(1, ">c16")})
    for name in (7, "a\0b", "\ud800"):
        with pytest.raises(CheckpointError, match="names are text"):
            save_arrays(path, {name: np.zeros(1)})
    with pytest.raises(CheckpointError, match="10,001 arrays are too many"):
        save_arrays(path, {str(number): np.zeros(1) for number in range(10_001)})
    with pytest.raises(CheckpointError, match="a has 33 axes"):
        save_arrays(path, {"a": np.zeros((1,) * 33)})
    with pytest.raises(CheckpointError, match="the notes take more than 16,777,216 bytes"):
        save_arrays(path, {}, {"long": "x" * 2**24})
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for notes in ({"a": {1, 2}}, {"loss": float("nan")}, {"deep": deep}):
        with pytest.raises(CheckpointError, match="this cannot be saved"):
            save_arrays(path, {}, notes)
    with pytest.raises(CheckpointError, match="cannot be written: No such file or directory"):
        save_arrays(tmp_path / "no" / "folder" / "m.npz", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "folder", "a\0b.npz", "long" * 100])
def test_a_name_that_cannot_be_written_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_arrays(name, {"a": np.zeros(3)})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_every_problem_of_a_foreign_model_is_listed_at_once(file: Path) -> None:
    expected = {
        "cell.W_hh": np.zeros((2, 3)),
        "cell.b_h": np.zeros(4),
        "head.b_y": np.zeros(2),
        "updates": np.asarray(0),
        "mask": ARRAYS["mask"],
    }
    with pytest.raises(CheckpointError) as caught:
        load_arrays(file, expected)
    for problem in (
        "cell.W_hh should be float64 (2, 3) and is float32 (2, 3)",
        "cell.b_h should be float64 (4,) and is float64 (3,)",
        "head.b_y is missing",
        "empty does not belong here",
    ):
        assert problem in str(caught.value)
    assert str(file) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.npz does not exist"):
        load_arrays(tmp_path / "gone.npz")
    with pytest.raises(CheckpointError, match="is a folder"):
        load_notes(tmp_path)


def test_a_checkpoint_error_is_a_value_error_and_a_minigrad_error() -> None:
    assert issubclass(CheckpointError, ValueError)
    assert issubclass(CheckpointError, MinigradError)


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_the_name_of_a_file_is_refused(path: str) -> None:
    with pytest.raises(CheckpointError, match="cannot be written: it names no file; give one such as"):
        save_arrays(path, {"b": np.ones(2)})
