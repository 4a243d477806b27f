"""Random changes of the code: where slips are made and where not, how they are tried, and what the report says."""

import ast
from pathlib import Path

import pytest
from mutation.harness import ROOT, Outcome, Unchanged, first_failure, line
from mutation.random_changes import FLOORS, RandomChange, changes, sample
from mutation.reach import Reach, by_function, likeliest, statement
from mutation.sampled import is_tried, rate, summary

SOURCE = '''"""Words < more."""
from __future__ import annotations

__all__ = ["f"]


def f(x: int = 1, *, y: float | None = 2.0) -> list[int]:
    """Words + more."""
    a = x - 3 if x <= 2 and not y else g(x, y, key=True)
    a.b = -x
    for _ in a[1:]:
        if a in x:
            break
        continue
    a += h(x)
    if a == 0:
        raise ValueError(f"{x} + {y} < 3")
    return a
'''


def made(kind: str, source: str = SOURCE) -> set[str]:
    """What becomes of each place where a slip of that kind is made."""
    return {change.new for change in changes("f.py", source) if change.kind == kind}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("another comparison", {"(x < 2)", "(a not in x)", "(a != 0)"}),
        ("another operator", {"(x + 3)"}),
        ("and for or", {"(x <= 2 or not y)"}),
        ("a sign is lost", {"(y)", "(x)"}),
        ("true for false", {"False"}),
        ("off by one", {"2", "4", "3", "1"}),
        ("another number", {"4.0"}),
        ("the other way round", {"(g(x, y, key=True) if x <= 2 and (not y) else x - 3)"}),
        ("a part is not cut", {"(a[:])"}),
        ("two arguments change places", {"(g(y, x, key=True))"}),
        ("an option is forgotten", {"(g(x, y))"}),
        ("a statement is forgotten", {"pass"}),
        ("nothing is returned", {"return None"}),
        ("continue for break", {"continue"}),
        ("break for continue", {"break"}),
    ],
)
def test_every_kind_of_slip_is_made_where_it_can_be(kind: str, expected: set[str]) -> None:
    assert made(kind) == expected


def test_no_slip_is_made_in_words_and_types() -> None:
    lines = {change.line for change in changes("f.py", SOURCE)}
    assert not lines & {1, 2, 4, 8}
    assert not any("str" in change.kind or '"' in change.new for change in changes("f.py", SOURCE))
    assert {change.old for change in changes("f.py", SOURCE) if change.line == 7} == {"1", "2.0"}


def test_every_slip_changes_what_it_says_and_nothing_else() -> None:
    for change in changes("f.py", SOURCE):
        planted = change.planted(SOURCE)
        assert planted != SOURCE
        assert planted.encode()[: change.start] == SOURCE.encode()[: change.start]
        assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse(SOURCE)), change.name


def test_a_place_behind_letters_of_several_bytes_is_found() -> None:
    source = 'é = "日本"; x = é < 3\n'
    (change,) = [change for change in changes("f.py", source) if change.kind == "another comparison"]
    assert change.planted(source) == 'é = "日本"; x = (é <= 3)\n'


def test_a_source_that_has_changed_is_noticed() -> None:
    (change, *_) = changes("f.py", "x = 1 < 2\n")
    with pytest.raises(AssertionError, match="has changed"):
        change.planted("y = x\nx = 1 < 2\n")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for floor in FLOORS:
        (tmp_path / floor).mkdir()
        (tmp_path / floor / "f.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def test_a_seed_decides_the_sample_and_another_takes_others(small: Path) -> None:
    assert sample(10, 1, small) == sample(10, 1, small) != sample(10, 2, small)
    assert {change.path.split("/")[0] for change in sample(60, 1, small)} == set(FLOORS)


def test_a_sample_compiles(small: Path) -> None:
    for change in sample(1000, 0, small):
        compile(change.planted(SOURCE), "f.py", "exec")


def test_the_cases_of_a_function_are_known_by_its_name() -> None:
    tests = ["tests/a.py::f[x-[1]]", "tests/a.py::g", "tests/a.py::f[y]"]
    assert by_function(tests) == {
        "tests/a.py::f": ["tests/a.py::f[x-[1]]", "tests/a.py::f[y]"],
        "tests/a.py::g": ["tests/a.py::g"],
    }


def test_the_lines_of_a_change_are_those_of_the_innermost_statement() -> None:
    source = "def f(x):\n    if x:\n        return g(\n            1,\n        )\n    return 2\n"
    assert [statement(source, line) for line in (1, 2, 4, 6, 9)] == [[1, 2, 3, 4, 5, 6], [2, 3, 4, 5], [3, 4, 5], [6], [9]]


def test_files_of_tests_with_the_name_of_the_source_are_the_likeliest() -> None:
    tests = [
        *(f"tests/b.py::f{k}[{j}]" for k in range(3) for j in range(2)),
        "tests/test_scope.py::f",
        "tests/c.py::f",
        "tests/c.py::g",
    ]
    assert likeliest("minigrad/scope.py", tests) == {"tests/test_scope.py", "tests/b.py"}
    assert likeliest("minigrad/other.py", tests) == {"tests/b.py", "tests/c.py"}


TESTS = """
import pytest
from minigrad import f

@pytest.mark.parametrize("x", range(9))
def test_small(x): assert f.half(x) == x / 2

def test_large(): assert f.double(4) == 8
"""


def test_a_line_is_tried_by_the_tests_that_reach_it_and_three_cases_tell_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("minigrad", "tests/engine"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "minigrad" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "minigrad" / "f.py").write_text(
        "TWO = 2\n\n\ndef half(x):\n    return x / TWO\n\n\ndef double(x):\n    return (\n        x * TWO\n    )\n",
        encoding="utf-8",
    )
    (tmp_path / "tests" / "engine" / "test_f.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "tests" / "mutation").symlink_to(ROOT / "tests" / "mutation")
    monkeypatch.setattr("mutation.reach.ROOT", tmp_path)
    monkeypatch.setattr("mutation.reach.NOTED", tmp_path / "build" / "reach")
    monkeypatch.setattr("mutation.reach.FOLDERS", ("engine",))
    reach = Reach()
    half = {f"tests/engine/test_f.py::test_small[{x}]" for x in range(9)}
    double = {"tests/engine/test_f.py::test_large"}
    assert [set(tests) for tests in reach.lots("minigrad/f.py", 5, 60.0)] == [half, set()]
    assert [set(tests) for tests in reach.lots("minigrad/f.py", 10, 60.0)] == [double, set()]
    assert [set(tests) for tests in reach.lots("minigrad/f.py", 1, 60.0)] == [half | double, set()]
    assert [len(tests) for tests in reach.lots("minigrad/f.py", 1, 0.0)] == [1, 0]


def test_a_test_that_fails_on_the_unchanged_source_catches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(folder: Path, tests: list[str], limit: float, broken: list[str] = []) -> str:  # noqa: B006 - read only
        there = ["ops/test_a.py::one", "ops/test_a.py::two"] if folder != ROOT else ["ops/test_a.py::one"]
        wanted = [name for name in there if name not in broken and (len(tests) > 1 or tests[0] == f"tests/{name}")]
        return wanted[0] if wanted else ""

    monkeypatch.setattr("mutation.harness.first_failure", failing)
    unchanged = Unchanged()
    assert unchanged.first_failure(Path("changed"), ["tests/ops/test_a.py", "tests/ops/test_b.py"], 1.0) == "ops/test_a.py::two"
    assert unchanged.broken == {"ops/test_a.py::one"}


def test_the_rate_leaves_out_what_changes_nothing() -> None:
    change = RandomChange("models/f.py", 3, "off by one", 0, 1, "1", "2")
    caught, survived = line(Outcome(change, "test_a", 1.0)), line(Outcome(change, "", 1.0))
    assert caught == "models/f.py:3: off by one: 1 → 2: caught by test_a"
    rows = [caught, caught, caught, survived, f"{survived}, equivalent: nobody reads it"]
    assert rate(rows) == (3, 4)
    assert summary(["seed 7", *rows]) == "5 random changes: 3 caught of 4 that change something (75.0%)"
    assert is_tried(change, rows[-1:])
    assert not is_tried(RandomChange("models/f.py", 4, "off by one", 0, 1, "1", "2"), rows)


def test_tests_that_were_killed_by_somebody_else_prove_nothing(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_killed.py").write_text(
        "import os, signal\ndef test_killed():\n    os.kill(os.getpid(), signal.SIGTERM)\n", encoding="utf-8"
    )
    (tmp_path / "tests" / "mutation").symlink_to(ROOT / "tests" / "mutation")
    with pytest.raises(InterruptedError, match="the tests were killed from outside, by signal 15; run them again"):
        first_failure(tmp_path, ["tests/test_killed.py"], 60.0)
