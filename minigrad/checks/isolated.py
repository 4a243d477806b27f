"""A check in a process of its own: code that hangs, prints, exits or eats memory is stopped there, and said.

This is no sandbox. The code can read and write whatever the user who runs it can: run the work of strangers in a
container, or under a user who may do nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minigrad.checks.backward import check_backward
from minigrad.checks.loading import EXAMPLE, examples_for, function_from
from minigrad.checks.report import Report
from minigrad.errors import ArgumentError, MinigradError

__all__ = ["checked", "isolated"]

SAID = 400
"""So many characters of what the code prints are kept."""


def isolated(task: dict[str, Any], seconds: float, megabytes: int | None = None) -> dict[str, Any]:
    """The result of `checked` in another process, or what became of that.

    Args:
        task: what `checked` takes, as it can be written in JSON.
        seconds: the longest time it may take.
        megabytes: the most memory it may have, where the system can limit it.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "task.json", Path(folder) / "result.json"
        given.write_text(json.dumps(task | {"megabytes": megabytes}), encoding="utf-8")
        command = [sys.executable, "-m", "minigrad.checks.worker", str(given), str(result)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return _failed(task, f"did not end within {seconds:g} seconds and was stopped: is there a loop without an end?")
        if result.exists():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
            return found
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return _failed(task, f"ended its process (exit status {done.returncode}) without a result: {last[:SAID]}")


def _failed(task: dict[str, Any], said: str) -> dict[str, Any]:
    name = task["backward"].rpartition(":")[2]
    return {
        "backward": name, "forward": task["forward"].rpartition(":")[2], "passed": False, "named": False, "error": said,
        "findings": [], "stages": [], "notes": [], "uncompared": [], "gradients": [], "text": f"{name}: {said}",
    }  # fmt: skip


def _first_that_runs(forward: Any, backward: Any, examples: Iterable[Any], options: dict[str, Any], made_up: bool) -> Report:
    """The check with the first example with which the backward pass runs.

    What only does not sum over examples may be written for one alone: if it is right for one, that is said.

    Raises:
        ArgumentError: there is none, and they were made up: they may be what is wrong.
    """
    first: Report | None = None
    several: Report | None = None
    question: ArgumentError | None = None
    for example in examples:
        try:
            report = check_backward(forward, backward, example, **options)
        except ArgumentError as error:
            if not made_up:
                raise
            question = question or error
            continue
        unsummed = made_up and bool(report.findings) and all(finding.kind == "not summed" for finding in report.findings)
        if unsummed and several is None:
            several = report
            continue
        if several is not None and report.passed:
            shown = ", ".join(name for finding in several.findings for name in finding.gradients)
            report.notes += (f"right for one example at a time: of several, {shown} would have to be summed over them",)
            return report
        if several is None and report.stages[-1].name != "runs":
            return report
        first = report if first is None else first
    if several is not None:
        return several
    if first is None or question is not None:
        assert question is not None
        raise question
    if made_up:
        raise ArgumentError(
            f"check: with made-up arguments of the usual shapes {first.stages[-1].text}. Are these the shapes that it takes? "
            f"Write {EXAMPLE} = (…), arrays in order, into the file, or name it: --example file.py:name"
        )
    return first


def checked(task: dict[str, Any]) -> dict[str, Any]:
    """A check by the names of files and functions, as a dict; errors of the code are results like others.

    Args:
        task: "backward" and "forward", each "file.py:function"; and, where wanted, "example", "outputs", "upstream",
            "returns", "rtol", "seed".
    """
    printed = io.StringIO()
    options = {key: task[key] for key in ("outputs", "upstream", "returns", "rtol", "seed") if task.get(key) is not None}
    modules: dict[str, Any] = {}
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            backward = function_from(task["backward"], modules)
            forward = function_from(task["forward"], modules)
            made_up = task.get("example") is None and not any(hasattr(module, EXAMPLE) for module in modules.values())
            examples = examples_for(forward, task.get("example"), modules)
            report = _first_that_runs(forward, backward, examples, options, made_up)
    except SystemExit as error:
        return _failed(task, f"calls exit({error.code!r})")
    except MinigradError as error:
        return _failed(task, str(error)) | {"question": isinstance(error, ArgumentError)}
    except RecursionError:
        return _failed(task, "calls itself without an end")
    except MemoryError:
        return _failed(task, "needs more memory than it may have")
    except Exception as error:
        return _failed(task, f"raises {type(error).__name__}: {error}")
    found = report.as_dict() | {"text": str(report), "error": None}
    if printed.getvalue().strip():
        found["printed"] = printed.getvalue()[:SAID]
        found["text"] += f"\n  note: it prints: {printed.getvalue().strip().splitlines()[0][:100]}"
    return found
