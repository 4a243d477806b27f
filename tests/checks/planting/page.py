"""The page docs/proof.md: sums, a table of mistakes and cells, and what was not named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from .layouts import LAYOUTS
from .mistakes import KINDS
from .proof import Outcome
from .subjects import BY_HAND, CELLS
from .trying import FALSE, NAMED, NARROWED, PASSED

__all__ = ["PAGE", "PARTS", "entries", "page"]

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "proof.md"
PARTS = {
    "planted": "one mistake in each cell and by hand",
    "switches": "one mistake in the other cells and switches",
    "pairs": "two of the commonest mistakes",
    "random arrays": "random arrays (nothing may be named)",
    "right": "right, in eight layouts (all must pass)",
    "conventions": "right by convention (all must pass)",
}
INTRODUCTION = """# Planted mistakes, and what they are called

Made by `make proof{options}`, from {done} of its {wanted} checks; a run stops after some minutes, and the next goes on.

Each check plants a mistake in a right backward pass, in what `derive` writes of a cell or in `minigrad.models.by_hand`, lays
the program out in one of four ways (as derived; columns; stacked gates; dicts or tuples), and gives it to `check_backward`.

*named*: the report calls it what it is. *narrowed*: the report says which gradients are wrong, all of them truly, and names
nothing that is not there. *FALSE*: something is named that is not there, a right gradient is blamed, or a wrong one passes. An
empty entry: the mistake cannot be made in that cell, or changes nothing there.
"""


def page(outcomes: Iterable[Outcome | None], wanted: int, options: str) -> str:
    """The page, from the outcomes of so many checks as are wanted, or of some of them."""
    all_of_them = list(outcomes)
    found = [outcome for outcome in all_of_them if outcome is not None]
    words = f' OPTIONS="{options}"' if options else ""
    introduction = INTRODUCTION.format(options=words, done=len(all_of_them), wanted=wanted)
    parts = [introduction, sums(found), "## Mistake by mistake, cell by cell", table(found)]
    return "\n\n".join([*(part.strip("\n") for part in parts), "## What is narrowed down", narrowed(found)]) + "\n"


def sums(outcomes: list[Outcome]) -> str:
    """How many of each part were named."""
    parts: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        parts[outcome.task.part][outcome.result] += 1
    rows = ["| what | tried | named | narrowed | passed | false |", "| --- | --- | --- | --- | --- | --- |"]
    for part, said in PARTS.items():
        found = parts[part]
        if not found:
            continue
        passed, false = found[PASSED], found[FALSE]
        if part in ("planted", "switches", "pairs"):
            passed, false = 0, false + passed
        counts = [sum(found.values()), found[NAMED], found[NARROWED] + found["raised"], passed, false]
        rows.append(f"| {said} | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def table(outcomes: list[Outcome]) -> str:
    """A row for each mistake, a column for each cell."""
    cells = [*CELLS, *BY_HAND]
    rows = [f"| mistake | {' | '.join(cells)} |", f"| --- |{' --- |' * len(cells)}"]
    of: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.task.part == "planted":
            of[outcome.task.kind, outcome.task.cell].append(outcome)
    for kind in KINDS:
        rows.append(f"| {kind.name} | {' | '.join(_entry(of[kind.name, cell]) for cell in cells)} |")
    return "\n".join(rows)


def _entry(found: list[Outcome]) -> str:
    """What became of one kind of mistake in one cell."""
    if not found:
        return ""
    if any(outcome.result in (FALSE, PASSED) for outcome in found):
        return "**FALSE**"
    named = sum(outcome.result == NAMED for outcome in found)
    return "named" if named == len(found) else f"{named} of {len(found)} named" if named else "narrowed"


def narrowed(outcomes: list[Outcome]) -> str:
    """What was planted that is not named, and what is said instead."""
    rows = ["| cell | layout | what was changed | what is said |", "| --- | --- | --- | --- |"]
    for outcome in outcomes:
        if outcome.task.part in ("planted", "switches", "pairs") and outcome.result != NAMED:
            layout = LAYOUTS[outcome.task.layout].name
            mark = "" if outcome.result == NARROWED else f"**{outcome.result}** "
            rows.append(f"| {outcome.task.cell} | {layout} | {_code(outcome.changed)} | {mark}{_plain(outcome.said)} |")
    return "\n".join(rows)


def _code(text: str) -> str:
    return f"`{_plain(text)}`"


def _plain(text: str) -> str:
    """In one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def entries() -> dict[tuple[str, str], str]:
    """What the page says of each mistake in each cell."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    start = next(k for k, row in enumerate(rows) if row[0].strip() == "mistake")
    cells = [cell.strip() for cell in rows[start][1:]]
    found = {}
    for row in rows[start + 2 : start + 2 + len(KINDS)]:
        kind, *said = (word.strip() for word in row)
        found |= {(kind, cell): word for cell, word in zip(cells, said, strict=True)}
    return found
