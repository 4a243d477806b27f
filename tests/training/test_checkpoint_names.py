"""A file that somebody changed is refused, and the message names the arrays that do not fit, whatever became of its seal."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import damage
import numpy as np
import pytest
from damage import Members, Net, npy

from minigrad.checkpoint import CheckpointError, load_arrays, load_checkpoint, load_notes, save_arrays
from minigrad.guard import Array

Rewrite = Callable[[Path, Members], None]

MISSING = "W is missing"
EXTRA = "extra does not belong here"


def zipped(file: Path, content: Members) -> None:
    """Rewritten with zipfile: no seal any more."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def zipped_with_the_old_seal(file: Path, content: Members) -> None:
    with zipfile.ZipFile(file) as archive:
        comment = archive.comment
    zipped(file, content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = comment


def saved_by_numpy(file: Path, content: Members) -> None:
    """Opened and saved again as arrays by name: what the file said of itself is gone."""
    zipped(file, {name: data for name, data in content.items() if name != "contents.json"})


REWRITES: list[Rewrite] = [zipped, zipped_with_the_old_seal, saved_by_numpy, damage.rewrite]
every_rewrite = pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite.__name__)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    damage.saved(path)
    return path


def refused(file: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(file, Net(seed=1))
    with pytest.raises(CheckpointError):
        load_arrays(file)
    return str(caught.value)


def without(content: Members, name: str) -> Members:
    return {key: data for key, data in content.items() if key != name}


@every_rewrite
def test_a_missing_array_is_named(file: Path, rewrite: Rewrite) -> None:
    rewrite(file, without(damage.members(file), "model.W.npy"))
    assert MISSING in refused(file)


@every_rewrite
def test_an_extra_array_is_named(file: Path, rewrite: Rewrite) -> None:
    rewrite(file, {**damage.members(file), "model.extra.npy": npy(np.zeros(2))})
    assert EXTRA in refused(file)


@every_rewrite
def test_a_renamed_array_is_named_by_both_names(file: Path, rewrite: Rewrite) -> None:
    content = damage.members(file)
    rewrite(file, {**without(content, "model.W.npy"), "model.extra.npy": content["model.W.npy"]})
    message = refused(file)
    assert MISSING in message
    assert EXTRA in message


@every_rewrite
def test_an_array_of_another_shape_is_named(file: Path, rewrite: Rewrite) -> None:
    rewrite(file, {**damage.members(file), "model.W.npy": npy(np.zeros((4, 3)))})
    message = refused(file)
    assert "W should be float64 (3, 4) and is float64 (4, 3)" in message or "model.W is damaged" in message


def test_the_file_itself_is_named_before_its_arrays(file: Path) -> None:
    zipped(file, without(damage.members(file), "model.W.npy"))
    assert "nothing has changed: minigrad did not write it, or it has been cut off or added to; model.W is missing" in refused(
        file
    )


@pytest.mark.parametrize("rewrite", [zipped, saved_by_numpy])
def test_a_file_whose_arrays_all_fit_is_refused_for_its_seal_alone(file: Path, rewrite: Rewrite) -> None:
    rewrite(file, damage.members(file))
    message = refused(file)
    assert "minigrad did not write it" in message
    assert "is missing" not in message
    with pytest.raises(CheckpointError, match="minigrad did not write it"):
        load_notes(file)


def test_a_file_saved_by_numpy_names_what_differs_from_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, W=np.zeros((2, 3)), c=np.ones(1))
    expected: dict[str, Array] = {"W": np.zeros((3, 2)), "b": np.zeros(3)}
    with pytest.raises(CheckpointError) as caught:
        load_arrays(path, expected)
    for problem in ("W should be float64 (3, 2) and is float64 (2, 3)", "b is missing", "c does not belong here"):
        assert problem in str(caught.value)


def test_compressed_contents_are_not_unpacked_to_name_arrays(file: Path) -> None:
    content = damage.members(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("contents.json", content["contents.json"].replace(b"model.b", b"model.ghost"))
        archive.writestr("model.W.npy", content["model.W.npy"])
    message = refused(file)
    assert "minigrad did not write it" in message
    assert "b is missing" in message
    assert "ghost" not in message


@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 1, 3), (0, 5), ()])
def test_an_array_in_fortrans_order_is_loaded_by_its_values(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path, values = tmp_path / "a.npz", np.random.default_rng(0).normal(size=shape)
    save_arrays(path, {"a": values, "b": np.arange(3)})
    header = {"descr": "<f8", "fortran_order": True, "shape": shape}
    with open(tmp_path / "header", "wb+") as opened:
        np.lib.format.write_array_header_1_0(opened, header)
        opened.write(values.tobytes("F"))
    damage.replaced("a.npy", (tmp_path / "header").read_bytes())(path)
    loaded = load_arrays(path)["a"]
    np.testing.assert_array_equal(loaded, values, strict=True)
    assert loaded.flags.c_contiguous
    assert loaded.flags.writeable


def test_an_array_in_fortrans_order_of_another_shape_or_length_is_refused(file: Path) -> None:
    for array, cut in ((np.ones((4, 3), order="F"), 0), (np.asfortranarray(np.ones((3, 4))), -1)):
        damage.saved(file)
        data = npy(array)
        damage.replaced("model.W.npy", data[:cut] if cut else data)(file)
        assert "model.W is damaged" in refused(file)
