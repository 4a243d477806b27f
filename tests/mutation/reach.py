"""Which tests reach which lines of the three floors, and how long each takes: what random changes are tried by.

As a plugin of pytest this notes it while the tests run, ``Reach`` reads it. Every folder of tests has a file of its own.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path

import coverage
import pytest

ROOT = Path(os.environ.get("REACH_ROOT", Path(__file__).parent.parent.parent))
NOTED = ROOT / "build" / "reach"
FLOORS = ("minigrad", "models", "viz")
FOLDERS = ("engine", "ops", "loops", "training", "derivation", "checks", "models", "viz", "project")
FEW = {"project": ("test_doctests.py", "test_bad_arguments.py")}
"""Of these folders only the tests that run in the process of pytest, and not for minutes."""

SLOW = ("test_loops_memory", "test_ops_properties", "test_engine_depth", "test_by_hand_gradients", "test_engine_forks",
        "test_viz_matrix")  # fmt: skip


def function_of(test: str) -> str:
    """A test without the case that it is of."""
    return test.partition("[")[0]


def file_of(test: str) -> str:
    """The file that a test stands in."""
    return test.partition("::")[0]


def by_function(tests: Iterable[str]) -> dict[str, list[str]]:
    """All cases of each function."""
    found: dict[str, list[str]] = {}
    for test in tests:
        found.setdefault(function_of(test), []).append(test)
    return found


class Notes:
    """The plugin: while a test runs, the lines that are reached are its own."""

    def __init__(self, folder: str) -> None:
        self._place = NOTED / folder
        self._seconds: dict[str, float] = {}
        self._left_out: list[str] = []
        self._lines = coverage.Coverage(
            data_file=str(self._place), config_file=False, source=[str(ROOT / floor) for floor in FLOORS], messages=False
        )
        self._lines.start()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Of a function with many cases three are enough to know what it reaches."""
        for cases in by_function(item.nodeid for item in items).values():
            few = {cases[0], cases[len(cases) // 2], cases[-1]}
            self._left_out += [case for case in cases if case not in few]
        items[:] = [item for item in items if item.nodeid not in set(self._left_out)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._lines.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._lines.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        self._lines.stop()
        self._lines.save()
        known = by_function(self._seconds)
        for case in self._left_out:
            cases = known.get(function_of(case), [])
            self._seconds[case] = sum(self._seconds[one] for one in cases) / max(len(cases), 1)
        self._place.with_suffix(".json").write_text(json.dumps(self._seconds), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Begin before anything of minigrad is imported."""
    config.pluginmanager.register(Notes(os.environ["REACH"]))


def note(folder: str) -> None:
    """Run the tests of a folder, if that has not been done; which of them pass does not matter."""
    if (NOTED / folder).with_suffix(".json").exists():
        return
    NOTED.mkdir(parents=True, exist_ok=True)
    (NOTED / folder).unlink(missing_ok=True)
    tests = sorted(path for path in (ROOT / "tests" / folder).glob("test_*.py") if path.stem not in SLOW)
    chosen = [str(path.relative_to(ROOT)) for path in tests if path.name in FEW.get(folder, (path.name,))]
    plugins = ("-p", "no:cacheprovider", "-p", "mutation.reach")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", *plugins, "-o", "addopts="]
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    subprocess.run(
        [*command, *chosen],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "REACH": folder, "REACH_ROOT": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
        stdout=subprocess.DEVNULL,
    )


class Reach:
    """What has been noted of all folders."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._data: list[coverage.CoverageData] = []
        for folder in FOLDERS:
            note(folder)
            self._seconds |= json.loads((NOTED / folder).with_suffix(".json").read_text(encoding="utf-8"))
            self._data.append(coverage.CoverageData(str(NOTED / folder)))
            self._data[-1].read()
        self._cases = by_function(self._seconds)

    def lots(self, path: str, line: int, most: float) -> list[list[str]]:
        """The tests that reach a line, as many as take ``most`` seconds together: the likeliest to notice, and the rest.

        Of a line that is run as its file is imported: the tests that reach any line of the file.
        """
        reached: dict[int, set[str]] = {}
        for data in self._data:
            for number, tests in data.contexts_by_lineno(str(ROOT / path)).items():
                reached.setdefault(number, set()).update(filter(None, tests))
        lines = [[line], statement((ROOT / path).read_text(encoding="utf-8"), line), list(reached)]
        found: set[str] = next((tests for tried in lines if (tests := union(reached, tried))), set())
        quickest = self._quickest(found, most)
        near = likeliest(path, found)
        return [[test for test in quickest if (file_of(test) in near) is first] for first in (True, False)]

    def _quickest(self, tests: Iterable[str], most: float) -> list[str]:
        """One case of each function, the quickest first; then the others."""
        reaching = by_function(tests)
        firsts = [min(cases, key=self._seconds_of) for cases in reaching.values()]
        others = [case for function in reaching for case in self._cases.get(function, ())]
        chosen, spent = [], 0.0
        for test in dict.fromkeys([*sorted(firsts, key=self._seconds_of), *sorted(others, key=self._seconds_of)]):
            spent += self._seconds_of(test)
            if chosen and spent > most:
                break
            chosen.append(test)
        return chosen

    def _seconds_of(self, test: str) -> float:
        return self._seconds.get(test, 0.0)


def likeliest(path: str, tests: Iterable[str]) -> set[str]:
    """The two files of tests that are about a file of the source, by their names, or else have the most tests that reach it."""
    counts = Counter(map(file_of, map(function_of, by_function(tests))))
    name = Path(path).parent.name if path.endswith("__init__.py") else Path(path).stem
    return set(sorted(counts, key=lambda file: (name not in file, -counts[file], file))[:2])


def union(reached: dict[int, set[str]], lines: Iterable[int]) -> set[str]:
    """All tests that reach one of the lines."""
    return {test for number in lines for test in reached.get(number, ())}


def statement(source: str, line: int) -> list[int]:
    """The lines of the innermost statement that a line belongs to."""
    around = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return list(min(around, key=len, default=[line]))


if __name__ == "__main__":
    for name in sys.argv[1:] or FOLDERS:
        note(name)
