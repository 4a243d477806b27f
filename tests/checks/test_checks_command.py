"""python -m minigrad check and grade: what they print, their exit status, and code that hangs, raises, prints or exits."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import minigrad
from minigrad import errors
from minigrad.checks.command import main
from minigrad.checks.grading import graded, junit, table
from minigrad.checks.isolated import checked, isolated
from minigrad.checks.loading import module_from

RIGHT = """\
import numpy as np

def cell(x, h_prev, Wx, Wh, b):
    h = np.tanh(x @ Wx + h_prev @ Wh + b)
    return h, (x, h_prev, h, Wx, Wh)

def cell_backward(dh, cache):
    x, h_prev, h, Wx, Wh = cache
    dz = dh * (1 - h**2)
    dx, dh_prev, dWx, dWh, db = dz @ Wx.T, dz @ Wh.T, x.T @ dz, h_prev.T @ dz, dz.sum(axis=0)
    return dx, dh_prev, dWx, dWh, db
"""
WRONG = RIGHT.replace("(1 - h**2)", "(1 - h)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ada.py").write_text(RIGHT)
    (tmp_path / "ben.py").write_text(WRONG)
    return tmp_path


def task(path: Path) -> dict[str, str]:
    return {"backward": f"{path}:cell_backward", "forward": f"{path}:cell"}


def test_a_pass_for_one_example_at_a_time_is_right_for_one_and_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(
        "import numpy as np\n\n"
        "def cell(x, h_prev, Wx, Wh, b):\n    h = np.tanh(Wx @ x + Wh @ h_prev + b)\n    return h, (x, h_prev, h, Wx, Wh)\n\n"
        "def cell_backward(dh, cache):\n    x, h_prev, h, Wx, Wh = cache\n    dz = dh * (1 - h**2)\n"
        "    dx, dh_prev, dWx, dWh, db = Wx.T @ dz, Wh.T @ dz, dz @ x.T, dz @ h_prev.T, dz\n"
        "    return dx, dh_prev, dWx, dWh, db\n"
    )
    found = checked(task(file))
    assert found["passed"], found["text"]
    assert any("right for one example at a time: of several, db " in note for note in found["notes"])
    file.write_text(file.read_text().replace("(1 - h**2)", "(1 - h)"))
    assert not checked(task(file))["passed"]


def test_without_arguments_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], minigrad.__version__) == 0
    said = capsys.readouterr().out
    assert f"minigrad {minigrad.__version__}" in said
    assert "python -m minigrad check" in said
    assert "no sandbox" in said


@pytest.mark.parametrize(("name", "status", "said"), [("ada", 0, "is right"), ("ben", 1, "it should be 1 - h ** 2")])
def test_check_prints_the_report_and_its_exit_status_is_the_verdict(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, status: int, said: str
) -> None:
    file = folder / f"{name}.py"
    assert main(["check", f"{file}:cell_backward", "--forward", f"{file}:cell"]) == status
    assert said in capsys.readouterr().out


def test_check_writes_json_and_junit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, xml = folder / "ben.py", folder / "out.xml"
    assert main(["check", f"{file}:cell_backward", "--forward", f"{file}:cell", "--json", "--junit", str(xml)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["named"]
    assert found["findings"][0]["kind"] == "activation derivative"
    suite = ElementTree.parse(xml).getroot()
    assert suite.get("failures") == "1"


def test_a_function_that_is_not_there_is_said_with_those_that_are(folder: Path) -> None:
    file = folder / "ada.py"
    said = checked({"backward": f"{file}:cel_backward", "forward": f"{file}:cell"})["error"]
    assert "has no function 'cel_backward'; it has cell, cell_backward" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    raise KeyError('dWf')", "raises KeyError: 'dWf'"),
        ("    import sys; sys.exit(3)", "calls exit(3)"),
        ("    return cell_backward(dh, cache)", "raises RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_code_that_raises_exits_or_never_returns_is_a_result_like_others(tmp_path: Path, body: str, said: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(RIGHT[: RIGHT.index("    x, h_prev, h, Wx, Wh = cache")] + body + "\n")
    result = checked(task(path))
    assert not result["passed"]
    assert said in result["text"]


def test_code_that_hangs_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text(RIGHT.replace("    dz = dh", "    while True:\n        pass\n    dz = dh"))
    result = isolated(task(path), seconds=3)
    assert "did not end within 3 seconds" in result["error"]


def test_what_code_prints_is_kept_out_of_the_result_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "chatty.py"
    path.write_text(RIGHT.replace("    dz = dh", "    print('so far so good')\n    dz = dh"))
    result = checked(task(path))
    assert result["passed"]
    assert "note: it prints: so far so good" in result["text"]


def test_a_folder_is_graded_with_a_table_and_notebooks_are_read(folder: Path) -> None:
    cells = [{"cell_type": "code", "source": ["%matplotlib inline\n", WRONG]}, {"cell_type": "markdown", "source": ["hello"]}]
    (folder / "cleo.ipynb").write_text(json.dumps({"cells": cells}))
    (folder / "dan.py").write_text("def cell_backward(:\n")
    results = graded(folder, "cell_backward", str(folder / "ada.py") + ":cell", seconds=60)
    assert [(r["file"], bool(r["passed"])) for r in results] == [
        ("ada.py", True), ("ben.py", False), ("cleo.ipynb", False), ("dan.py", False),
    ]  # fmt: skip
    assert "invalid syntax" in results[3]["error"]
    lines = table(results).splitlines()
    assert lines[1].split() == ["ada.py", "right", "right"]
    assert "it should be 1 - h" in lines[2]
    assert ElementTree.fromstring(junit(results).encode()).get("errors") == "1"
    assert table(results, markdown=True).splitlines()[1] == "| --- | --- | --- |"


def test_a_folder_without_submissions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ArgumentError, match="expected a folder with"):
        graded(tmp_path, "cell_backward", "cell")


def test_shapes_nobody_can_make_up_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text("def cell(q, r):\n    return q.reshape(17) @ r\n\ndef cell_backward(dout, q, r):\n    return {'dr': q}\n")
    said = checked(task(path))["error"]
    assert "which shapes does cell(q, r) take?" in said
    path.write_text(path.read_text() + "\nimport numpy as np\nexample_arguments = np.ones(17), np.ones(17)\n")
    assert "which shapes" not in checked(task(path))["text"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ArgumentError, match=r"expected a .py or an .ipynb file"):
        module_from(tmp_path / "x.txt")
    with pytest.raises(errors.ArgumentError, match="cannot read"):
        module_from(tmp_path / "x.py")


VECTORS = """\
import numpy as np

def cell(x_t, h_prev, W, U, b):
    h_t = np.tanh(W @ x_t + U @ h_prev + b)
    return h_t, (x_t, h_prev, h_t, W, U)

def cell_backward(dh, cache):
    x_t, h_prev, h_t, W, U = cache
    dz = dh * (1 - h_t**2)
    dx_t, dh_prev, dW, dU, db = dz @ W, dz @ U, np.outer(dz, x_t), np.outer(dz, h_prev), dz
    return dx_t, dh_prev, dW, dU, db
"""


def test_examples_are_made_up_for_single_vectors_too(tmp_path: Path) -> None:
    path = tmp_path / "vectors.py"
    path.write_text(VECTORS)
    assert checked(task(path))["passed"]


def test_a_state_with_a_default_is_given_to_the_forward_pass_if_the_backward_pass_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "optional.py"
    text = RIGHT.replace("def cell(x, h_prev, Wx, Wh, b)", "def cell(x, Wx, Wh, b, h_prev=None)")
    path.write_text(text.replace("def cell_backward(dh, cache)", "def cell_backward(dh, cache, h_prev)"))
    assert checked(task(path))["passed"]


def test_made_up_examples_with_which_the_backward_pass_raises_are_asked_about_and_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "special.py"
    path.write_text(RIGHT.replace("    dz =", "    assert dh.shape[0] == 7\n    dz ="))
    result = checked(task(path))
    assert result["question"]
    assert "made-up arguments" in result["error"]
    assert "example_arguments" in result["error"]
    path.write_text(path.read_text() + "\nexample_arguments = [np.ones(s) for s in ((7, 3), (7, 5), (3, 5), (5, 5), (5,))]\n")
    assert checked(task(path))["passed"]
