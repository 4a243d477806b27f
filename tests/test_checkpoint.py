import io
import json
import os
import zipfile
from collections.abc import Callable
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


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(file: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


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
    with pytest.raises(CheckpointError, match="notes cannot be written as JSON"):
        save_arrays(path, {}, {"a": {1, 2}})
    with pytest.raises(CheckpointError, match="notes cannot be written as JSON"):
        save_arrays(path, {}, {"loss": float("nan")})
    with pytest.raises(CheckpointError, match="cannot be written: No such file or directory"):
        save_arrays(tmp_path / "no" / "folder" / "m.npz", {})
    assert list(tmp_path.iterdir()) == []


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


def without(name: str) -> Callable[[Path], None]:
    return lambda file: rewrite(file, {key: data for key, data in members(file).items() if key != name})


def replaced(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda file: rewrite(file, {**members(file), name: data})


def about(**changes: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        content = members(file)
        rewrite(file, {**content, "notes.json": json.dumps(json.loads(content["notes.json"]) | changes).encode()})

    return change


def twice(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("updates.npy", npy(np.asarray(3)))


def bomb(file: Path) -> None:
    rewrite(file, {**members(file), "updates.npy": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED)


def header_only(shape: str, dtype: str = "<f8") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty file": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("hello"),
    "a bare array": lambda file: file.write_bytes(npy(np.zeros(3))),
    "a pickle": lambda file: file.write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94."),
    "cut in the middle": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "last byte missing": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "somebody else's npz": lambda file: np.savez(file, **{"cell.W_hh": ARRAYS["cell.W_hh"]}),
    "compressed": lambda file: rewrite(file, members(file), zipfile.ZIP_DEFLATED),
    "a bomb": bomb,
    "a member twice": twice,
    "no notes": without("notes.json"),
    "an array missing": without("updates.npy"),
    "an array too many": replaced("extra.npy", npy(np.zeros(3))),
    "something that is no array": replaced("readme.txt", b"hello"),
    "notes that are no JSON": replaced("notes.json", b"{"),
    "notes that are too deep": replaced("notes.json", b"[" * 100_000),
    "notes of another program": about(format="something else"),
    "a version from the future": about(version=2),
    "notes that are a list": about(notes=[]),
    "no list of arrays": about(arrays=None),
    "an empty array file": replaced("updates.npy", b""),
    "an array that is text": replaced("updates.npy", b"hello"),
    "an array of objects": replaced("updates.npy", npy(np.array([None]), allow_pickle=True)),
    "an array of strings": replaced("updates.npy", npy(np.array(["a"]))),
    "a record array": replaced("updates.npy", npy(np.zeros(2, dtype=[("a", "f8")]))),
    "a header without data": replaced("updates.npy", header_only("(3,)")),
    "a huge header": replaced("updates.npy", header_only("(1000000, 1000000, 1000000)")),
    "a shape beyond int64": replaced("updates.npy", header_only(f"({2**70},)")),
    "a negative shape": replaced("updates.npy", header_only("(-1, -1)")),
    "a shape that is code": replaced("updates.npy", header_only("__import__('os').getcwd()")),
    "a header that never ends": replaced("updates.npy", b"\x93NUMPY\x01\x00\xff\xff"),
    "a header nested too deep": replaced("updates.npy", header_only("(" * 9000 + ")" * 9000)),
    "an unknown npy version": replaced("updates.npy", b"\x93NUMPY\x09\x00" + npy(np.asarray(3))[8:]),
    "bytes after the data": replaced("updates.npy", npy(np.asarray(3)) + b"more"),
    "bytes missing from the data": replaced("updates.npy", npy(np.asarray(3))[:-1]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("expected", [ARRAYS, None], ids=["expected", "anything"])
def test_a_damaged_or_hostile_file_is_refused_by_name(file: Path, damage: Callable[[Path], Any], expected: Any) -> None:
    damage(file)
    with pytest.raises(CheckpointError) as caught:
        load_arrays(file, expected)
    assert str(file) in str(caught.value)
    assert "nothing has changed" in str(caught.value)


def test_no_flipped_byte_and_no_cut_ever_loads_other_values_or_raises_another_error(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    arrays = {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}
    save_arrays(path, arrays, {"x": 1})
    whole = path.read_bytes()
    damaged = [whole[:place] for place in range(0, len(whole), 3)]
    damaged += [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in range(len(whole))]
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        for expected in (arrays, None):
            try:
                loaded = load_arrays(path, expected)
            except CheckpointError:
                refused += 1
            else:
                assert loaded.keys() == arrays.keys()
                assert all(np.array_equal(loaded[name], arrays[name]) for name in arrays)
    assert refused > len(damaged)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.npz does not exist"):
        load_arrays(tmp_path / "gone.npz")
    with pytest.raises(CheckpointError, match="is a folder"):
        load_notes(tmp_path)


def test_a_checkpoint_error_is_a_value_error_and_a_minigrad_error() -> None:
    assert issubclass(CheckpointError, ValueError)
    assert issubclass(CheckpointError, MinigradError)
