"""Checkpoints as ``.safetensors``: the same promises in the other container, and a clear word where the package is missing."""

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damage
import numpy as np
import pytest

from minigrad.checkpoint import CheckpointError, load_arrays, load_checkpoint, load_notes, save_arrays
from minigrad.optim import Adam

safetensors = pytest.importorskip("safetensors.numpy")

ARRAYS: dict[str, np.ndarray] = {
    "cell.W_hh": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "cell.b_h": np.array([0.1, -np.inf, np.nan, -0.0]),
    "half": np.array([1.5], np.float16),
    "updates": np.asarray(17),
    "mask": np.array([[True, False]]),
    "empty": np.zeros((0, 4)),
    "big-endian": np.arange(3, dtype=">i4"),
}


def split(file: Path) -> tuple[dict[str, Any], bytes]:
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def join(file: Path, header: Any, data: bytes) -> None:
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def header(change: Callable[[dict[str, Any]], Any]) -> damage.Damage:
    def damaging(file: Path) -> None:
        found, data = split(file)
        change(found)
        join(file, found, data)

    return damaging


def contents(change: Callable[[dict[str, Any]], Any]) -> damage.Damage:
    def changed(found: dict[str, Any]) -> None:
        inner = json.loads(found["__metadata__"]["minigrad"])
        change(inner)
        found["__metadata__"]["minigrad"] = json.dumps(inner)

    return header(changed)


def huge_header(file: Path) -> None:
    file.write_bytes(struct.pack("<Q", 2**62) + file.read_bytes()[8:])


DAMAGE: dict[str, damage.Damage] = {
    **{name: break_it for name, break_it in damage.BROKEN.items() if "directory" not in name and "array's header" not in name},
    "a header longer than the file": huge_header,
    "a header that is no JSON": lambda file: file.write_bytes(struct.pack("<Q", 4) + b"{{{{"),
    "no metadata": header(lambda found: found.pop("__metadata__")),
    "somebody's tensors": lambda file: safetensors.save_file({"model.W": np.zeros((3, 4))}, file),
    "no contents": header(lambda found: found["__metadata__"].pop("minigrad")),
    "no seal": header(lambda found: found["__metadata__"].pop("sha256")),
    "contents that are no JSON": header(lambda found: found["__metadata__"].update(minigrad="{")),
    "contents that are too large": header(lambda found: found["__metadata__"].update(minigrad=" " * (16 * 2**20 + 1))),
    "contents changed": contents(lambda found: found["notes"].update(text="other")),
    "a version from the future": contents(lambda found: found.update(version=2)),
    "another shape": header(lambda found: found["model.W"].update(shape=[4, 3])),
    "another dtype": header(lambda found: found["model.W"].update(dtype="I64")),
    "a dtype that NumPy lacks": header(lambda found: found["optimizer.0.step"].update(dtype="F8_E4M3", shape=[8])),
    "a huge shape": header(lambda found: found["model.W"].update(shape=[2**40, 2**40])),
    "offsets beyond the file": header(lambda found: found["model.W"].update(data_offsets=[0, 2**40])),
    "offsets that overlap": header(lambda found: found["model.W"].update(data_offsets=found["model.b"]["data_offsets"])),
    "an array under another name": header(lambda found: found.update({"model.c": found.pop("model.W")})),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    damage.saved(path)
    return path


def test_what_was_saved_is_loaded_with_every_dtype_shape_and_bit(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_arrays(path, ARRAYS, {"é": [1, None]})
    loaded = load_arrays(path, ARRAYS)
    assert load_notes(path) == {"é": [1, None]}
    assert list(loaded) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded[name], array)
        np.testing.assert_array_equal(np.signbit(loaded[name]), np.signbit(array))
        loaded[name][...] = 0


def test_the_package_itself_reads_a_checkpoint(file: Path) -> None:
    model, _ = damage.saved(file)
    np.testing.assert_array_equal(safetensors.load_file(file)["model.W"], model.W.numpy())


@pytest.mark.parametrize("damaging", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_refused_and_nothing_changes(file: Path, damaging: damage.Damage) -> None:
    damaging(file)
    model = damage.Net(seed=1)
    optimizer, before = Adam(model.parameters()), model.state_dict()
    with pytest.raises(CheckpointError, match="nothing has changed") as caught:
        load_checkpoint(file, model, optimizer)
    assert str(file) in str(caught.value)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


def test_no_flipped_byte_ever_loads_other_values(file: Path) -> None:
    whole, expected = file.read_bytes(), load_arrays(file)
    refused = 0
    for place in range(0, len(whole), 5):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            loaded = load_arrays(file)
        except CheckpointError:
            refused += 1
        else:
            assert all(loaded[name].tobytes() == expected[name].tobytes() for name in expected)
    assert refused > 0.98 * len(whole) / 5


def test_all_problems_of_another_model_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_arrays(path, ARRAYS)
    with pytest.raises(CheckpointError, match=r"half is missing.*updates should be float64 \(\) and is int64 \(\)"):
        load_arrays(path, {**ARRAYS, "updates": np.asarray(1.0), "another half": np.zeros(1)})


def test_a_missing_package_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    save_arrays(path, {"a": np.zeros(1)})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: load_arrays(path), lambda: load_notes(path), lambda: save_arrays(path, {"a": np.ones(1)})):
        with pytest.raises(CheckpointError, match=r"minigrad-bptt\[safetensors\]', or give the file a name") as caught:
            call()
        assert str(path) in str(caught.value)
    monkeypatch.undo()
    assert load_arrays(path)["a"] == 0
