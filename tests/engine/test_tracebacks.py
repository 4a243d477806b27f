"""A failing pytest shows the user's line, not minigrad's source; what minigrad did not mean to raise is shown whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

USER = '''
import numpy as np
import pytest
from minigrad import Tensor, gradcheck, mse
from minigrad.models import LSTM, Head, unroll
from minigrad.viz import draw


def test_an_operation():
    Tensor(np.ones(3)) @ Tensor(np.ones(4))  # my line


def test_a_loss():
    mse(Tensor(np.ones(3)), np.ones((3, 1)))  # my line


def test_a_cell():
    unroll(LSTM(3, 4), np.ones((5, 2, 7)))  # my line


def test_a_head():
    Head(4, 2)(Tensor(np.ones((2, 5))))  # my line


def test_a_check():
    gradcheck(lambda x: x * x.detach(), Tensor([1.0, 2.0], requires_grad=True))  # my line


def test_a_picture():
    draw(Tensor([1.0]))  # my line


def test_a_backward_pass():
    Tensor([1.0, 2.0], requires_grad=True).backward()  # my line
'''

BUG = '''
from minigrad import Tensor
from minigrad.ops import arithmetic


def test_a_mistake_of_minigrads_own(monkeypatch):
    monkeypatch.setattr(arithmetic, "record_multiply", None)
    Tensor([1.0], requires_grad=True) * 2
'''


def failures(text: str, folder: Path) -> list[str]:
    """What pytest prints of each failing test."""
    file = folder / "test_mine.py"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--color=no", str(file)]
    found_here = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=found_here).stdout
    return printed.split("= FAILURES =")[1].split("= short test summary info =")[0].split("\n____")[1:]


def test_the_traceback_ends_at_the_users_line(tmp_path: Path) -> None:
    found = failures(USER, tmp_path)
    assert len(found) == USER.count("def test_")
    for failure in found:
        assert "# my line" in failure
        assert re.findall(r"^(\S+)\.py:\d+: ", failure, re.MULTILINE) == ["test_mine"], failure


def test_a_mistake_of_minigrads_own_is_shown_whole(tmp_path: Path) -> None:
    (failure,) = failures(BUG, tmp_path)
    assert "arithmetic.py:" in failure
    assert "TypeError" in failure
