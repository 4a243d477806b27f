"""The command behind `make demo`, with tiny settings: as a user runs it, in a process of its own, and called."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from minigrad.models.checkpoints import load_language_model
from minigrad.models.text import python_sources

from examples import character_model
from minigrad.checkpoint import load_arrays

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, str(ROOT / "examples" / "character_model.py")]
TINY = ["--characters", "4000", "--hidden", "8", "--embedding", "4", "--steps", "12", "--seq-len", "8", "--batch", "4"]
TINY += ["--order", "3", "--sample", "40"]


def environment() -> dict[str, str]:
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}


def run(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    return subprocess.run(
        [*COMMAND, *options], cwd=folder, env=environment(), capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def called(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has imported everything."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = character_model.main([*options])
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess([*options], status, output.getvalue(), errors.getvalue())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, run(*TINY, folder=folder)


def test_the_whole_path_runs_and_says_so(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, result = finished
    assert result.returncode == 0, result.stderr
    assert "4,000 characters of the beginning of Python's standard library" in result.stdout
    for row in ("uniform", "1-gram, Kneser–Ney", "3-gram, Kneser–Ney", "lstm (this model)"):
        assert re.search(rf"^{re.escape(row)} +\d+\.\d{{3}} +\d+\.\d{{3}}$", result.stdout, re.MULTILINE), row
    assert "A sample, drawn at temperature 0.7" in result.stdout


def test_the_progress_on_stderr_shows_loss_perplexity_and_speed(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, result = finished
    assert re.search(r"^100 %  loss \d+\.\d+  perplexity +\d+\.\d+  [\d,]+ characters/s$", result.stderr, re.MULTILINE)


def test_every_gradient_of_the_trained_weights_is_proven(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, result = finished
    rows = re.findall(r"^(\S.*?) {2,}[\d ×]+? +(\S+) +(\S+) {3}(equal|DIFFERS)$", result.stdout, re.MULTILINE)
    assert {"W_ix", "W_fh", "b_g", "W_oh", "W_yh", "b_y", "E", "c_0", "h_0", "x_1 … x_T"} <= {row[0] for row in rows}
    assert {row[3] for row in rows} == {"equal"}
    assert all(float(row[2]) <= 1e-10 for row in rows)


def test_the_uniform_model_has_as_many_choices_as_there_are_symbols(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, result = finished
    _, vocabulary, _ = load_language_model(folder / "demo-output" / "model.npz")
    assert re.search(rf"^uniform +{len(vocabulary)}\.000 ", result.stdout, re.MULTILINE)


def test_the_saved_weights_and_notes_make_the_model_again(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    model, vocabulary, _ = load_language_model(finished[0] / "demo-output" / "model.npz")
    assert model.distribution(vocabulary.encode("d")).sum() == pytest.approx(1)


def test_the_picture_is_written_as_svg_and_nothing_else_is_left(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = finished
    assert sorted(path.name for path in (folder / "demo-output").iterdir()) == ["model.npz", "unrolled.svg"]
    assert (folder / "demo-output" / "unrolled.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert sorted(path.name for path in folder.iterdir()) == ["demo-output"]


@pytest.mark.parametrize("cell", ["rnn", "gated_rnn", "gru"])
def test_every_other_cell_goes_the_whole_path_on_a_text_of_ones_own(cell: str, tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("Wer reitet so spät durch Nacht und Wind?\n" * 40, encoding="utf-8")
    result = called(*TINY, "--text", "own.txt", "--cell", cell, "--out", "out", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "characters of own.txt" in result.stdout
    assert "DIFFERS" not in result.stdout


def test_the_same_seed_gives_the_same_output(tmp_path: Path) -> None:
    ways = ((run, "3"), (called, "3"), (called, "4"))
    first, second, other = (way(*TINY, "--seed", seed, folder=tmp_path).stdout for way, seed in ways)

    def without_time(output: str) -> str:
        return re.sub(r"\(\d+ s in all\)", "", output)

    assert without_time(first) == without_time(second) != without_time(other)


def test_the_recurrent_model_beats_the_n_grams_on_a_text_with_long_memory(tmp_path: Path) -> None:
    """In every line the same digit comes again after three letters, too far back for a 3-gram, which sees two symbols.

    A model that remembers has to guess one of ten digits in each line of six symbols: perplexity 10^(1/6) = 1.468."""
    rng = np.random.default_rng(0)
    lines = (f"{digit}abc{digit}\n" for digit in rng.integers(10, size=2500))
    (tmp_path / "memory.txt").write_text("".join(lines))
    options = ["--text", "memory.txt", "--hidden", "24", "--embedding", "8", "--seq-len", "12", "--batch", "16"]
    options += ["--steps", "400", "--lr", "0.03", "--order", "3", "--weight-decay", "0.001", "--cell", "gru"]
    result = called(*options, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "The gru beats every n-gram model up to order 3." in result.stdout
    perplexity = re.search(r"^gru \(this model\) +(\S+)", result.stdout, re.MULTILINE)
    assert perplexity is not None
    assert 10 ** (1 / 6) < float(perplexity[1]) < 1.6


# ---------------------------------------------------------------- what is refused


def refused(result: subprocess.CompletedProcess[str], folder: Path, *words: str) -> None:
    """One message, a status that says so, and nothing written."""
    assert result.returncode not in (0, 130)
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("character_model: ")
    for word in words:
        assert word in result.stderr
    assert not (folder / "demo-output").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("text.txt does not exist", "give the path")),
        (b"", ("text.txt is empty",)),
        (b"x", ("text.txt holds a single character",)),
        (b"\x00\x01\x02\x03" * 100, ("text.txt is a binary file", "give a file of text")),
        ("naïve café ".encode("latin-1") * 50, ("text.txt is not UTF-8", "iconv")),
        (b"too short", ("text.txt is too short", "longer text or a shorter sequence length")),
    ],
    ids=["missing", "empty", "one character", "binary", "not UTF-8", "shorter than the sequence length"],
)
def test_a_bad_text_is_refused_in_one_line(tmp_path: Path, content: bytes | None, words: tuple[str, ...]) -> None:
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    refused(called(*TINY, "--text", "text.txt", folder=tmp_path), tmp_path, *words)


def test_a_folder_instead_of_a_text_is_refused(tmp_path: Path) -> None:
    refused(run(*TINY, "--text", ".", folder=tmp_path), tmp_path, "is a folder")


@pytest.mark.parametrize("out", ["a-file", "a-file/inside", "/proc/nowhere"])
def test_an_output_folder_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path, out: str) -> None:
    (tmp_path / "a-file").write_text("here already")
    result = called(*TINY, "--out", out, folder=tmp_path)
    refused(result, tmp_path, f"the output folder {out} cannot be written", "--out")
    assert "Training" not in result.stdout


@pytest.mark.parametrize("there_before", [False, True])
def test_without_enough_memory_no_empty_folder_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there_before: bool
) -> None:
    def too_large(*sizes: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(character_model, "LanguageModel", too_large)
    monkeypatch.chdir(tmp_path)
    if there_before:
        (tmp_path / "results").mkdir()
    assert character_model.main([*TINY, "--out", "results/first"]) == 1
    assert "there is not enough memory; a smaller --hidden" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["results"] * there_before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hidden", "0"], ("--hidden", "a whole number from 1 to 100,000 is needed, not '0'")),
        (["--hidden", "9" * 5000], ("--hidden", "a whole number")),
        (["--cell", "lsmt"], ("lsmt", "rnn", "gated_rnn", "gru", "lstm")),
        (["--seq-len", "-3"], ("--seq-len", "from 1")),
        (["--batch", "many"], ("--batch", "'many'")),
        (["--lr", "0"], ("--lr", "above 0")),
        (["--lr", "nan"], ("--lr", "above 0")),
        (["--weight-decay", "-0.1"], ("--weight-decay", "0 or more")),
        (["--seconds", "soon"], ("--seconds", "'soon'")),
        (["--seed", "-1"], ("--seed", "from 0")),
        (["--prompt", ""], ("--prompt", "at least one character")),
        (["--unknown-option"], ("--unknown-option",)),
    ],
)
def test_a_bad_option_is_refused_in_one_line(tmp_path: Path, options: list[str], words: tuple[str, ...]) -> None:
    refused(called(*TINY, *options, folder=tmp_path), tmp_path, *words)


@pytest.mark.parametrize("decay", ["0", "0.1"])
@pytest.mark.parametrize("lr", ["1e300", "1e30"])
def test_a_training_that_diverges_is_told_in_one_line_of_its_own(tmp_path: Path, lr: str, decay: str) -> None:
    result = called(*TINY, "--steps", "2", "--lr", lr, "--weight-decay", decay, folder=tmp_path)
    assert result.returncode == 1
    said = [line for line in result.stderr.splitlines() if "%" not in line]
    assert len(said) == 1, result.stderr
    assert said[0].startswith("character_model: ")
    assert "lower" in said[0].lower()


def test_exploding_gradients_end_the_run_with_what_was_learnt_before_saved(tmp_path: Path) -> None:
    options = ["--cell", "rnn", "--lr", "1e30", "--steps", "50"]
    result = called(*TINY, *options, folder=tmp_path)
    assert result.returncode == 1
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("character_model: update ")
    assert "What was learnt before is saved in demo-output/model.npz" in message
    assert load_arrays(tmp_path / "demo-output" / "model.npz")


def started(*options: str, folder: Path) -> subprocess.Popen[str]:
    """The command in the background, deaf to no signal even where the test run itself is."""
    return subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_ctrl_c_ends_the_training_with_what_was_learnt_saved_and_status_130(tmp_path: Path) -> None:
    options = ["--characters", "4000", "--hidden", "8", "--seq-len", "8", "--batch", "4", "--steps", "100000000"]
    process = started(*options, folder=tmp_path)
    assert process.stderr is not None
    assert "perplexity" in process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    message = errors.strip().splitlines()[-1]
    assert re.fullmatch(r"character_model: stopped by Ctrl-C after [\d,]+ updates; what was learnt is saved in .*npz", message)
    assert "Traceback" not in errors
    assert "Held-out" not in output
    assert load_arrays(tmp_path / "demo-output" / "model.npz")


def test_ctrl_c_before_the_training_ends_the_command_with_status_130_and_nothing_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = started("--text", "pipe", folder=tmp_path)
    with (tmp_path / "pipe").open("wb"):  # opened by both sides: the command has begun to read
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "character_model: stopped by Ctrl-C\n"
    assert output == ""
    assert not (tmp_path / "demo-output").exists()


def test_a_terminal_without_these_characters_gets_their_numbers_instead_of_a_crash(tmp_path: Path) -> None:
    text = "日本語のテキスト。\n" * 50
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    result = subprocess.run(
        [*COMMAND, *TINY, "--text", "text.txt"],
        cwd=tmp_path,
        env={**environment(), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        encoding="ascii",
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Kneser\\u2013Ney" in result.stdout


def test_the_default_text_is_long_enough_for_the_default_options() -> None:
    assert len(python_sources(500_000)) == 500_000
