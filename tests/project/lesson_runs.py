"""Every lesson of examples/, run once, and the numbers it prints."""

import atexit
import contextlib
import functools
import io
import re
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest import mock

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NUMBER = re.compile(r"(?<![\w.<_])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w>])")

LESSONS = sorted(path.stem for path in EXAMPLES.glob("*.py") if re.match(r"(c\d|trap)_", path.name))

_pictures = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, _pictures)


class Run(NamedTuple):
    """What a lesson printed, and the folder with its pictures."""

    text: str
    folder: Path

    @property
    def answer(self) -> str:
        """The last line, without the word."""
        last = self.text.splitlines()[-1]
        assert last.startswith("Answer: "), last
        return last.removeprefix("Answer: ")


@functools.cache
def lesson(name: str) -> Run:
    """Run a lesson as ``python examples/NAME.py FOLDER`` would, in this process."""
    folder = _pictures / name
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [name, str(folder)]),
        mock.patch.object(sys, "path", [str(EXAMPLES), *sys.path]),
        contextlib.redirect_stdout(printed),
    ):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return Run(printed.getvalue(), folder)


def numbers(name: str, start: str, after: str = "") -> list[float]:
    """The numbers in the lesson's only line that begins with ``start``: those behind it, or behind ``after`` in the rest."""
    lines = [line for line in lesson(name).text.splitlines() if line.startswith(start)]
    assert len(lines) == 1, f"{name}: {len(lines)} lines begin with {start!r}"
    rest = lines[0].removeprefix(start)
    assert after in rest, f"{name}: {after!r} is not in {rest!r}"
    rest = rest.split(after, 1)[1] if after else rest
    return [float(text) for text in NUMBER.findall(rest)]


def number(name: str, start: str, after: str = "") -> float:
    """The first of them."""
    return numbers(name, start, after)[0]
