"""The lessons run, answer, draw, and are listed with the answers that they really give."""

import html
import importlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from lesson_runs import EXAMPLES, LESSONS, lesson, numbers

README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+?) \| \[(\w+\.py)\]\(\2\) \| (.+?) \|$", re.MULTILINE)


def question(name: str) -> str:
    """The first line of a lesson."""
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()[0].strip('"')


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_listed_with_its_question_and_the_answer_it_gives(name: str) -> None:
    rows = {file: (asked, answered) for asked, file, answered in ROW.findall(README)}
    assert rows[f"{name}.py"] == (html.escape(question(name), quote=False), html.escape(lesson(name).answer, quote=False))


def test_the_list_names_no_lesson_that_is_not_there() -> None:
    assert sorted(file for _, file, _ in ROW.findall(README)) == [f"{name}.py" for name in LESSONS]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_draws_its_pictures(name: str) -> None:
    pictures = sorted(lesson(name).folder.iterdir())
    assert pictures
    for picture in pictures:
        assert picture.name.startswith(name.split("_")[0])
        svg = ET.fromstring(picture.read_text(encoding="utf-8"))
        space = "{http://www.w3.org/2000/svg}"
        assert svg.tag == f"{space}svg"
        assert svg.findtext(f"{space}title")
        assert list(svg.iter(f"{space}text"))


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_short_enough_to_be_read_at_a_sitting(name: str) -> None:
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 100
    assert question(name).endswith("?")


def test_every_fact_names_lessons_that_exist() -> None:
    facts = README.split("## Every fact")[1]
    named = set(re.findall(r"`((?:c\d|trap)_\w+)`", facts))
    assert named == set(LESSONS)


def test_a_lesson_says_in_one_line_that_its_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, EXAMPLES / "c1_gates.py", tmp_path / "file"]
    found_here = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=found_here)
    assert run.returncode == 1
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert str(tmp_path / "file") in run.stderr


def test_a_row_of_numbers_has_15_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    helper = importlib.import_module("lesson")
    assert helper.row([1 / 3, -2.0]) == " 0.333333333333333  -2.000000000000000"


def test_numbers_are_read_from_the_only_line_that_begins_so() -> None:
    assert numbers("c1_lstm_by_numbers", "c_t = ") == [1.9950424957219832]
    for missing in ("no such line", "wrong"):
        with pytest.raises(AssertionError, match="lines begin with"):
            numbers("c1_lstm_by_numbers", missing)
    with pytest.raises(AssertionError, match="is not in"):
        numbers("c1_lstm_by_numbers", "c_t = ", after="no such words")
