"""Which mistakes are named in which cells: the table of docs/wrong_backward_passes.md. ``make mistakes`` writes it anew."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mistakes import MISTAKES, Mistake, report_of

__all__ = ["PAGE", "outcome", "recorded", "table"]

PAGE = Path(__file__).parent.parent.parent / "docs" / "wrong_backward_passes.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"


def outcome(mistake: Mistake) -> tuple[str, str]:
    """What the mistake is called, and whether it was named or narrowed down."""
    report = report_of(mistake.case.id, *mistake.changes)
    kinds = [finding.kind for finding in report.findings]
    return (" and ".join(dict.fromkeys(kinds)), "named") if report.named else ("", "narrowed")


def shown(mistake: Mistake) -> str:
    """The changed line in a cell of a table."""
    old, new = mistake.changes[0]
    text = " ".join(f"{old} → {new}".split())
    return "`" + text.replace("|", "\\|") + "`"


def table(mistakes: list[Mistake]) -> str:
    """One row for each mistake."""
    lines = ["| derivation | what was changed | named as |", "| --- | --- | --- |"]
    for mistake in mistakes:
        kind, how = outcome(mistake)
        lines.append(f"| {mistake.case.id} | {shown(mistake)} | {kind or how} |")
    named = sum("| narrowed |" not in line for line in lines[2:])
    return f"{named} of {len(mistakes)} named, the others narrowed down.\n\n" + "\n".join(lines)


def recorded() -> list[str]:
    """The rows that the page has."""
    found = re.search(f"{BEGIN}\n(.*){END}", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return [line for line in found.group(1).splitlines() if line.startswith("|")][2:]


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(MISTAKES)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
