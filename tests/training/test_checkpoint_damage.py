"""No damaged, foreign or hostile file does harm: it is refused by name, quickly, with nothing changed."""

import os
import time
from pathlib import Path
from typing import Any

import damage
import numpy as np
import pytest
from damage import BROKEN, FORGED, Damage, Net

from minigrad.checkpoint import CheckpointError, load_arrays, load_checkpoint, load_notes
from minigrad.optim import Adam


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    damage.saved(path)
    return path


def everything(model: Net, optimizer: Adam) -> dict[str, Any]:
    arrays = model.state_dict() | {f"optimizer.{name}": value for name, value in optimizer.state_dict().items()}
    return {name: (value.tobytes(), value.shape) for name, value in arrays.items()} | model.rng.bit_generator.state


def another() -> tuple[Net, Adam]:
    model = Net(seed=1)
    optimizer = Adam(model.parameters(), lr=0.3, betas=(0.5, 0.6))
    model.train_once(optimizer)
    return model, optimizer


def refused(path: Path) -> str:
    model, optimizer = another()
    before = everything(model, optimizer)
    began = time.process_time()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, model, optimizer)
    assert time.process_time() - began < 3
    assert everything(model, optimizer) == before
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 20_000
    return str(caught.value)


@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_and_nothing_changes(file: Path, break_it: Damage) -> None:
    break_it(file)
    assert "nothing has changed" in refused(file)
    with pytest.raises(CheckpointError):
        load_arrays(file)


@pytest.mark.parametrize("forge_it", FORGED.values(), ids=FORGED.keys())
def test_a_forged_file_is_refused_and_nothing_changes(file: Path, forge_it: Damage) -> None:
    forge_it(file)
    assert "nothing has changed" in refused(file)


def test_the_damages_are_more_than_44_and_none_of_them_breaks_the_way_it_is_made(file: Path) -> None:
    assert len(BROKEN) + len(FORGED) > 100
    damage.with_members(lambda content: content)(file)
    load_checkpoint(file, *another())


def test_every_flipped_byte_and_every_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    damage.saved(path)
    whole = path.read_bytes()
    damaged = [whole[:place] for place in range(0, len(whole), 23)]
    places = [*range(0, len(whole), 11), *range(len(whole) - 100, len(whole))]
    damaged += [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in places]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(CheckpointError):
            load_arrays(path)


def test_all_problems_are_told_at_once(file: Path) -> None:
    for change in ("another shape", "a parameter too many", "no random state", "an optimiser's mean of another shape"):
        FORGED[change](file)
    message = refused(file)
    assert "model: W should be float64 (3, 4) and is float64 (4, 3)" in message
    assert "model: c does not belong here" in message
    assert "optimizer: 0.exp_avg: expected shape (3, 4), got (3,)" in message


def test_problems_of_values_are_told_at_once(file: Path) -> None:
    changes = ("a weight that is not a number", "no random state", "a negative mean of squares", "no update counted")
    for change in changes:
        FORGED[change](file)
    message = refused(file)
    assert "model.W has 12 of 12 entries NaN or infinite" in message
    assert "the random state of rng is missing" in message
    assert "optimizer: 0.exp_avg_sq: a sum or mean of squares has negative entries" in message
    assert "optimizer: 0.step: expected at least 1 and below 2⁵³, got 0" in message


def test_a_message_about_very_many_problems_ends(file: Path) -> None:
    FORGED["5 000 arrays in the contents"](file)
    assert "; and 4900 more" in refused(file)


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "gone.npz")
    assert "does not exist" in refused(tmp_path / "no" / "folder.npz")
    assert "does not exist" in refused(Path("a\0b.npz"))
    assert "does not exist" in refused(tmp_path / ("long" * 1000))
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "link.npz").symlink_to("nowhere")
    assert "does not exist" in refused(tmp_path / "link.npz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert "is not a file but a device or a pipe" in refused(tmp_path / "pipe.npz")


def test_a_file_that_may_not_be_read_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert "may not be read by you" in refused(file)


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad.checkpoint import npz

    original = npz.Npz.check

    def cut(self: npz.Npz, *arguments: Any) -> None:
        original(self, *arguments)
        os.truncate(file, 1000)

    monkeypatch.setattr(npz.Npz, "check", cut)
    refused(file)


def test_notes_are_not_read_from_a_damaged_file(file: Path) -> None:
    assert load_notes(file) == {"text": "é日\n", "sizes": [3, 4]}
    for name in ("a bit in the contents", "cut in the middle", "bytes added at the end"):
        damage.saved(file)
        BROKEN[name](file)
        with pytest.raises(CheckpointError, match="no usable checkpoint"):
            load_notes(file)


def test_only_the_data_that_is_asked_for_takes_memory(file: Path) -> None:
    damage.with_array("optimizer.0.exp_avg", np.zeros((3, 4)))(file)
    model, _ = another()
    load_checkpoint(file, model)
    np.testing.assert_array_equal(model.W.numpy(), damage.saved(file)[0].W.numpy())
