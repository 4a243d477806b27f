import os
import threading
from pathlib import Path

import numpy as np
import pytest
from minigrad.models.streams import Streams, check_symbols
from minigrad.models.text import TextError, held_out_split, python_sources, read_text

from minigrad.errors import ArgumentError, LabelError, MinigradError, ShapeError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "text.txt"


def test_a_utf8_file_is_read_without_its_byte_order_mark(file: Path) -> None:
    file.write_bytes("\N{BYTE ORDER MARK}déjà vu 日本".encode())
    assert read_text(file) == "déjà vu 日本"


def test_every_line_ending_becomes_a_newline(file: Path) -> None:
    file.write_bytes(b"one\r\ntwo\rthree\n")
    assert read_text(file) == "one\ntwo\nthree\n"


@pytest.mark.parametrize("limit", [2, 3, 10, 11])
def test_a_limit_counts_characters_and_never_splits_one(file: Path, limit: int) -> None:
    text = "é日𝄞" * 10
    file.write_text(text, encoding="utf-8")
    assert read_text(file, limit=limit) == text[:limit]


def test_an_endless_file_is_read_up_to_the_limit_only() -> None:
    with pytest.raises(TextError, match="binary"):
        read_text("/dev/zero", limit=1000)


def test_a_pipe_is_read_too(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("hello",))
    writer.start()
    assert read_text(pipe) == "hello"
    writer.join()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"x", "single character"),
        ("日".encode(), "single character"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "binary file .*zero byte at 7"),
        ("naïve".encode("latin-1"), r"not UTF-8 \(byte 0xef at 2\).*iconv -f LATIN1"),
        ("text".encode("utf-16"), "UTF-16.*iconv -f UTF-16"),
        (b"ends in the middle \xe6\x97", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_its_name_and_advice(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(TextError, match=message) as caught:
        read_text(file)
    assert str(file) in str(caught.value)


def test_a_wrong_byte_before_the_limit_is_refused_though_the_cut_itself_is_forgiven(file: Path) -> None:
    file.write_bytes(b"\xff" + b"x" * 100)
    with pytest.raises(TextError, match="byte 0xff at 0"):
        read_text(file, limit=10)


def test_missing_files_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"nothing\.txt does not exist"):
        read_text(tmp_path / "nothing.txt")
    with pytest.raises(TextError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(TextError, match="cannot be read"):
        read_text("null\0byte")


def test_an_unreadable_file_is_refused_by_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TextError, match=r"text\.txt may not be read; change its permissions"):
        read_text(file)


def test_a_text_error_is_a_value_error_and_a_minigrad_error() -> None:
    assert issubclass(TextError, ValueError)
    assert issubclass(TextError, MinigradError)


def test_the_python_sources_are_python_and_the_same_on_every_call() -> None:
    text = python_sources(20_000)
    assert len(text) == 20_000
    assert text == python_sources(30_000)[:20_000]
    assert text.count("\n    def ") > 5


def test_an_interpreter_without_sources_is_told_to_take_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    (tmp_path / "binary.py").write_bytes(b"\0\0")
    with pytest.raises(TextError, match="no Python source files; give a text file of your own"):
        python_sources(1000)


def test_no_characters_are_no_text() -> None:
    with pytest.raises(ArgumentError, match="characters: expected an integer ≥ 1, got 0"):
        python_sources(0)


def test_training_and_held_out_part_together_are_the_text() -> None:
    text = "".join(chr(97 + k % 26) for k in range(1003))
    learn, judge = held_out_split(text, 0.1)
    assert learn + judge == text
    assert len(judge) == 100


def test_at_least_two_characters_are_held_out() -> None:
    assert held_out_split("abcdef", 0.01) == ("abcd", "ef")


def test_a_text_shorter_than_the_sequence_length_is_refused_by_name() -> None:
    with pytest.raises(TextError, match=r"note\.txt is too short: 50 characters, 5 of them held out, leave 45 .*65"):
        held_out_split("x" * 50, 0.1, shortest=65, name="note.txt")


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        held_out_split("abcdef", share)


@pytest.mark.parametrize(
    ("length", "batch", "steps"), [(1001, 3, 7), (43, 6, 7), (10, 1, 9), (17, 4, 2), (13, 4, 1), (2, 1, 1)]
)
def test_streams_deal_out_the_text_with_every_target_one_symbol_later(length: int, batch: int, steps: int) -> None:
    symbols = np.random.default_rng(0).integers(50, size=length)
    streams = Streams(symbols, batch=batch, steps=steps)
    inputs = np.concatenate([chunk.inputs for chunk in streams])
    targets = np.concatenate([chunk.targets for chunk in streams])
    share = (length - 1) // batch
    read = share // steps * steps
    assert inputs.shape == targets.shape == (read, batch)
    for b in range(batch):
        assert inputs[:, b].tolist() == symbols[b * share : b * share + read].tolist()
        assert targets[:, b].tolist() == symbols[b * share + 1 : b * share + read + 1].tolist()


def test_only_the_first_chunk_starts_from_the_zero_state() -> None:
    assert [chunk.starts for chunk in Streams(np.arange(25), batch=2, steps=4)] == [True, False, False]


def test_streams_that_are_too_long_for_the_text_are_refused_with_the_numbers() -> None:
    with pytest.raises(ArgumentError, match="3 streams of 5 steps need 16 symbols, and the text has 15"):
        Streams(np.arange(15), batch=3, steps=5)


@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (3, 0), (-1, 5)])
def test_streams_need_at_least_one_stream_and_one_step(batch: int, steps: int) -> None:
    with pytest.raises(ArgumentError, match=r"must be an integer ≥ 1, got"):
        Streams(np.arange(100), batch=batch, steps=steps)


def test_a_chunk_outside_the_text_is_an_index_error() -> None:
    with pytest.raises(IndexError, match=r"chunk 3 does not exist; there are 0 \.\. 2"):
        Streams(np.arange(25), batch=2, steps=4)[3]


def test_symbols_that_are_no_sequence_of_numbers_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        check_symbols(np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(LabelError, match="symbol -1 is outside"):
        check_symbols(np.array([3, -1]))
    with pytest.raises(LabelError, match=r"symbol 5 is outside 0 \.\. 4"):
        check_symbols(np.array([3, 5]), size=5)
    with pytest.raises(LabelError, match="float64"):
        check_symbols(np.array([0.0, 1.0]))
