"""The planted mistakes of tests/mutation: every one can be planted, some are tried here, none survived the last full run."""

from pathlib import Path

import pytest
from mutation.harness import MUTANTS, REPORT, ROOT, Outcome, line, lots_of, order, outcomes, renew, summary
from mutation.mutant import Mutant, PlantingError
from sampling import EXHAUSTIVE

SAMPLE = MUTANTS[:: 120 if EXHAUSTIVE else 240]


def test_there_are_at_least_a_hundred_each_with_its_own_name():
    assert len({(mutant.file, mutant.name) for mutant in MUTANTS}) == len(MUTANTS) >= 100


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.name}")
def test_the_place_for_the_mistake_is_found_exactly_once_and_the_result_is_python(mutant: Mutant):
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    planted = mutant.planted(source)
    assert planted != source
    compile(planted, mutant.file, "exec")


def test_a_place_that_is_missing_or_ambiguous_is_an_error():
    source = "class A:\n    x = 1\n    x = 1\n\nclass B:\n    x = 1\n"
    assert Mutant("m", "f.py", "class B", "x = 1", "x = 2").planted(source) == source[:-2] + "2\n"
    for where, old in [("class A", "x = 1"), ("class B", "y"), ("class C", "x = 1"), ("", "x = 1")]:
        with pytest.raises(PlantingError):
            Mutant("m", "f.py", where, old, "x = 2").planted(source)


def test_the_last_full_run_knew_every_mistake_and_none_survived():
    *said, last = REPORT.read_text(encoding="utf-8").splitlines()
    assert [row.split(": caught by ")[0] for row in said] == [f"{mutant.file}: {mutant.name}" for mutant in MUTANTS]
    assert last == f"{len(MUTANTS)} planted mistakes, {len(MUTANTS)} caught, 0 survived"


def test_a_sample_is_caught_now_and_the_source_stays_as_it_is():
    sources = {path: path.read_bytes() for path in Path(ROOT, "minigrad").rglob("*.py")}
    found = list(outcomes(SAMPLE))
    assert all(outcome.caught_by for outcome in found), "\n".join(map(line, found))
    assert summary(map(line, found)) == f"{len(SAMPLE)} planted mistakes, {len(SAMPLE)} caught, 0 survived"
    assert all(path.read_bytes() == source for path, source in sources.items())


def test_a_mistake_that_no_test_can_see_survives():
    harmless = Mutant("a docstring", "pytree.py", "", '"""Pytrees: ', '"""Pytrees, that is: ')
    (outcome,) = outcomes([harmless], workers=1, lots=lambda mutant: [["tests/loops/test_loops_spread.py"]])
    assert outcome.caught_by == ""
    assert line(outcome) == "pytree.py: a docstring: SURVIVED"


def test_the_test_that_caught_a_mistake_before_comes_first_and_one_that_is_gone_proves_nothing():
    mutant = MUTANTS[0]
    before, *others = lots_of(mutant)
    assert before == [f"tests/{REPORT.read_text(encoding='utf-8').splitlines()[0].split(': caught by ')[1]}"]
    assert [test for lot in others for test in lot] == order(mutant)
    harmless = Mutant("a docstring", "pytree.py", "", '"""Pytrees: ', '"""Pytrees, that is: ')
    (outcome,) = outcomes([harmless], workers=1, lots=lambda mutant: [["tests/loops/test_loops_spread.py::test_that_is_gone"]])
    assert outcome.caught_by == ""


def test_a_run_of_some_mistakes_renews_their_lines_of_the_report_and_no_others(tmp_path: Path):
    report = tmp_path / "report.txt"
    first, second = MUTANTS[0], MUTANTS[1]
    report.write_text("gone.py: no longer planted: caught by test_old\n", encoding="utf-8")
    renew([Outcome(first, "", 1.0), Outcome(second, "test_a[x: y]", 1.0)], report)
    renew([Outcome(first, "test_b", 1.0)], report)
    assert report.read_text(encoding="utf-8").splitlines() == [
        f"{first.file}: {first.name}: caught by test_b",
        f"{second.file}: {second.name}: caught by test_a[x: y]",
        "2 planted mistakes, 2 caught, 0 survived",
    ]
