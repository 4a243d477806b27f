"""Many submissions at once: one check for each file of a folder, in a process of its own, and a table.

No sandbox: see `minigrad.checks.isolated`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from minigrad.checks.isolated import isolated
from minigrad.errors import ArgumentError

__all__ = ["graded", "junit", "table"]

WIDE = 100


def graded(
    folder: str | Path,
    backward: str,
    forward: str,
    example: str | None = None,
    seconds: float = 30.0,
    megabytes: int | None = None,
) -> list[dict[str, Any]]:
    """The results of all .py and .ipynb files of a folder, in order of their names.

    Args:
        folder: where the submissions are.
        backward: the name of the function that each of them has.
        forward: the name of the forward pass in each of them, or ``file.py:name`` for one that is the same for all.
        example: ``file.py:name`` of an example of its arguments.
        seconds, megabytes: what each may take.

    Raises:
        ArgumentError: there is no such folder, or no file in it.
    """
    folder = Path(folder)
    files = sorted(
        path for path in folder.glob("*") if path.suffix in (".py", ".ipynb") and not path.name.startswith(("_", "."))
    )
    if not files:
        raise ArgumentError(f"grade: expected a folder with .py or .ipynb files, got {folder}")
    results = []
    for path in files:
        task = {
            "backward": f"{path}:{backward}",
            "forward": forward if ":" in forward else f"{path}:{forward}",
            "example": example,
        }
        results.append(isolated(task, seconds, megabytes) | {"file": path.name})
    return results


def verdict(result: dict[str, Any]) -> str:
    """The result in a line: right, the mistakes, or what kept it from being checked."""
    if result.get("error"):
        return str(result["error"]).splitlines()[0]
    if result["passed"]:
        lacking = f" in what was compared: not {', '.join(result['uncompared'])}" if result["uncompared"] else ""
        return "right" + lacking + "".join(f" ({note})" for note in result["notes"] if "mean" in note or "clipped" in note)
    return "; ".join(finding["missing"] for finding in result["findings"]) or "; ".join(
        stage["text"] for stage in result["stages"] if not stage["passed"]
    )


def word(result: dict[str, Any]) -> str:
    """right, wrong or error."""
    return "error" if result.get("error") else "right" if result["passed"] else "wrong"


def table(results: Sequence[dict[str, Any]], markdown: bool = False) -> str:
    """One line for each submission.

    >>> print(table([{"file": "ada.py", "passed": True, "notes": [], "uncompared": []}]))
    file     result   what
    ada.py   right    right
    """
    rows = [("file", "result", "what")]
    rows += [(str(result["file"]), word(result), _short(verdict(result))) for result in results]
    if markdown:
        cells = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        return "\n".join([lines[0], "| --- | --- | --- |", *lines[1:]])
    widths = [max(len(row[k]) for row in rows) for k in range(2)]
    return "\n".join(f"{name.ljust(widths[0])}   {result.ljust(widths[1])}    {what}" for name, result, what in rows)


def _short(text: str) -> str:
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def junit(results: Iterable[dict[str, Any]]) -> str:
    """The results as JUnit XML, as continuous integration reads it."""
    results = list(results)
    wrong = sum(1 for result in results if word(result) == "wrong")
    errors = sum(1 for result in results if word(result) == "error")
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<testsuite name="minigrad check" tests="{len(results)}" failures="{wrong}" errors="{errors}">',
    ]
    for result in results:
        name = quoteattr(result["backward"])
        place = quoteattr(str(result.get("file", "minigrad")))
        lines.append(f"  <testcase classname={place} name={name}>")
        if word(result) != "right":
            tag = "failure" if word(result) == "wrong" else "error"
            message = quoteattr(verdict(result))
            lines.append(f"    <{tag} message={message}>{escape(_clean(result['text']))}</{tag}>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>", ""])


def _clean(text: str) -> str:
    """Without characters that XML cannot have."""
    return "".join(c for c in text if c in "\n\t" or ord(c) >= 32)
