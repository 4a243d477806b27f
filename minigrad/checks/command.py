"""The commands of ``python -m minigrad``: check one derivation, grade a folder of them, write a step as C."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigrad.checks.grading import graded, junit, table
from minigrad.checks.isolated import isolated
from minigrad.checks.loading import function_or_value
from minigrad.errors import ArgumentError, MinigradError
from minigrad.loops.emit import emitted
from minigrad.loops.program import CannotCompile

__all__ = ["main"]

ABOUT = """\
minigrad {version}: reverse-mode automatic differentiation on NumPy for recurrent networks and BPTT.

  python -m minigrad check FILE.py:BACKWARD --forward FILE.py:FORWARD
      Is a backward pass derived by hand right, and if not, what is wrong with it? Exit status 0 if it is right, 1 if it is
      wrong, 2 if it could not be checked.
  python -m minigrad grade FOLDER --backward NAME --forward NAME
      The same for every .py and .ipynb file of a folder, each in a process with limits, as a table.
  python -m minigrad emit FILE.py:CELL --c
      One step of a recurrent cell, forward and backward, as a C file and its header.

In Python: minigrad.check_backward(forward, backward, example_arguments), and in tests
minigrad.assert_backward_correct(…). help(minigrad) lists everything; README.md has examples.
The code that is checked is run: this is no sandbox.
"""


def main(arguments: Sequence[str] | None = None, version: str = "") -> int:
    """Run a command; the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments:
        print(ABOUT.format(version=version), end="")
        return 0
    parser = _parser(version)
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except MinigradError as error:
        print(f"minigrad: {error}", file=sys.stderr)
    except OSError as error:
        if error.filename is None:
            raise
        said = f"minigrad: {error.filename}: {error.strerror}; name a file or folder that can be read or written"
        print(said, file=sys.stderr)
    return 2


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m minigrad", description="Checks of backward passes derived by hand.")
    parser.add_argument("--version", action="version", version=f"minigrad {version}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check", help="check one backward pass", description="Hold a backward pass to its forward pass and name what is wrong."
    )
    check.add_argument("backward", metavar="FILE:BACKWARD", help="the backward pass: a function of a .py or .ipynb file")
    check.add_argument("--forward", required=True, metavar="FILE:FORWARD", help="the forward pass that it belongs to")
    check.add_argument("--outputs", metavar="NAMES", help="what the forward pass returns, in order: h,cache")
    check.add_argument("--returns", metavar="NAMES", help="of what each returned value is the gradient, in order: x,h_prev,W,b")
    check.add_argument(
        "--upstream", action="append", metavar="PARAMETER=OUTPUT", help="what a parameter of BACKWARD stands for"
    )
    check.add_argument("--rtol", type=float, help="the largest relative difference (1e-6)")
    check.add_argument("--seed", type=int, help="of the random problems")
    check.set_defaults(run=_check)
    grade = commands.add_parser(
        "grade",
        help="check every file of a folder",
        description="Check the same function of every .py and .ipynb file of a folder, each in a process with limits. "
        "No sandbox: the code is run, and can do whatever you can.",
    )
    grade.add_argument("folder")
    grade.add_argument("--backward", required=True, metavar="NAME")
    grade.add_argument("--forward", required=True, metavar="NAME", help="in every file, or FILE:NAME for one that all share")
    grade.add_argument("--markdown", action="store_true", help="the table as Markdown")
    grade.set_defaults(run=_grade)
    emit = commands.add_parser(
        "emit",
        help="write a cell's step as C",
        description="Write one step of a recurrent cell, forward and backward, as a C99 file and its header, which says how "
        "they are called. The cell's code is run.",
    )
    emit.add_argument("cell", metavar="FILE:CELL", help="a cell, or what makes one of two sizes, or of nothing")
    emit.add_argument("--c", action="store_true", required=True, help="the language")
    emit.add_argument("--sizes", default="3,4", metavar="D,H", help="the sizes of the input and of the state (3,4)")
    emit.add_argument("--double", action="store_true", help="numbers are double, not float")
    emit.add_argument("--name", help="what the files and functions are called (the cell's name, in lower case)")
    emit.add_argument("--out", default=".", metavar="FOLDER", help="where the files are written (here)")
    emit.set_defaults(run=_emit)
    for command in (check, grade):
        command.add_argument("--example", metavar="FILE:NAME", help="an example of the forward pass's arguments")
        command.add_argument("--seconds", type=float, default=30.0, help="stop a check that takes longer (30)")
        command.add_argument("--megabytes", type=int, help="the most memory a check may have")
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML")
    return parser


def _check(given: argparse.Namespace) -> int:
    task: dict[str, Any] = {"backward": given.backward, "forward": given.forward, "example": given.example}
    task |= {"rtol": given.rtol, "seed": given.seed}
    task |= {key: value.split(",") for key, value in (("outputs", given.outputs), ("returns", given.returns)) if value}
    if given.upstream:
        task["upstream"] = dict(pair.split("=", 1) for pair in given.upstream)
    result = isolated(task, given.seconds, given.megabytes)
    _write([result], given.junit)
    print(json.dumps(result, indent=2, ensure_ascii=False) if given.json else result["text"])
    return 2 if result.get("error") else 0 if result["passed"] else 1


def _grade(given: argparse.Namespace) -> int:
    results = graded(given.folder, given.backward, given.forward, given.example, given.seconds, given.megabytes)
    _write(results, given.junit)
    print(json.dumps(results, indent=2, ensure_ascii=False) if given.json else table(results, given.markdown))
    return 0 if all(result["passed"] for result in results) else 1


def _emit(given: argparse.Namespace) -> int:
    made = function_or_value(given.cell, {})
    if re.fullmatch(r"[1-9]\d*,[1-9]\d*", given.sizes) is None:
        raise ArgumentError(f"emit: --sizes: expected two numbers such as 3,4, got {given.sizes!r}")
    sizes = [int(size) for size in given.sizes.split(",")]
    cell = _cell(made, sizes, given.cell)
    name = given.name or given.cell.rpartition(":")[2].lower()
    if re.fullmatch(r"[A-Za-z]\w*", name) is None:
        raise ArgumentError(f"emit: --name: expected a name that C has, got {name!r}")
    try:
        texts = emitted(cell, getattr(cell, "input_size", sizes[0]), name, "double" if given.double else "float")
    except CannotCompile as reason:
        raise ArgumentError(f"emit: {given.cell} cannot be written as C: {reason}") from None
    for end, text in zip(("c", "h"), texts, strict=True):
        path = Path(given.out) / f"{name}.{end}"
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


def _cell(made: Any, sizes: list[int], place: str) -> Any:
    """The cell itself, or what a class or a function makes of the two sizes, or of nothing."""
    for arguments in (sizes, []) if isinstance(made, type) or not hasattr(made, "step") else ():
        try:
            inspect.signature(made).bind(*arguments)
        except (TypeError, ValueError):
            continue
        made = made(*arguments)
        break
    if isinstance(made, type) or not (hasattr(made, "step") and hasattr(made, "initial_state")):
        raise ArgumentError(
            f"emit: {place}: expected a cell with step(x, state) and initial_state(batch), or a class or function that makes "
            "one of two sizes, or of nothing. If yours wants other arguments, write cell = … into the file, and name that"
        )
    return made


def _write(results: list[dict[str, Any]], file: str | None) -> None:
    if file:
        Path(file).write_text(junit(results), encoding="utf-8")
