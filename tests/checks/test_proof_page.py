"""The page docs/proof.md is what the checker says: on a sample of its entries."""

from __future__ import annotations

import pytest
from planting.__main__ import digest
from planting.mistakes import KINDS
from planting.page import PAGE, entries, page
from planting.proof import Outcome, Task, done, tasks
from planting.subjects import BY_HAND, CELLS
from planting.trying import FALSE, NAMED, NARROWED

PLANTED = {(task.kind, task.cell): task for task in tasks(places=1, arrays=0) if task.part == "planted"}
SAID = entries()
NAMED_THERE = [key for key, said in SAID.items() if said == "named" and key[1] in ("rnn", "gated rnn", "rnn by hand")]
"""Of cells for which a check takes no long time."""


def test_the_page_has_a_row_for_every_mistake_and_a_column_for_every_cell() -> None:
    assert SAID.keys() == {(kind.name, cell) for kind in KINDS for cell in [*CELLS, *BY_HAND]}
    assert set(SAID.values()) <= {"", "named", "narrowed"}
    assert "make proof" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", NAMED_THERE[:: max(len(NAMED_THERE) // 8, 1)], ids=", in ".join)
def test_an_entry_says_what_the_checker_says(key: tuple[str, str]) -> None:
    outcome = done(PLANTED[key], seconds=30.0)
    assert outcome is not None
    assert outcome.result == NAMED, outcome


def test_an_empty_entry_is_a_mistake_that_cannot_be_made() -> None:
    key = ("activation derivative of c, not of tanh c", "rnn")
    assert SAID[key] == ""
    assert done(PLANTED[key], seconds=1.0) is None


def test_a_wrong_name_and_a_wrong_program_that_passes_are_called_false() -> None:
    task = PLANTED["sign", "rnn"]
    results = (NAMED, NARROWED, FALSE, "passed")
    told = {result: page([Outcome(task, result, "a → b | c", (), "said")], 3, "--places 2") for result in results}
    row = {result: next(line for line in text.splitlines() if line.startswith("| sign |")) for result, text in told.items()}
    assert row[NAMED].startswith("| sign | named |")
    assert row[NARROWED].startswith("| sign | narrowed |")
    assert row[FALSE].startswith("| sign | **FALSE** |")
    assert row["passed"].startswith("| sign | **FALSE** |")
    assert 'make proof OPTIONS="--places 2"`, from 1 of its 3 checks' in told[NAMED]
    assert "`a → b \\| c` | said |" in told[NARROWED]
    assert "| one mistake in each cell and by hand | 1 | 0 | 0 | 0 | 1 |" in told["passed"]


def test_what_was_found_is_forgotten_when_the_code_has_changed() -> None:
    assert len(digest()) == 16
    assert digest() == digest()


def test_tasks_are_the_same_in_every_run() -> None:
    assert list(tasks(1, 3)) == list(tasks(1, 3))
    assert all(isinstance(task, Task) for task in tasks(1, 3))
