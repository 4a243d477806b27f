"""Plant one mistake at a time in a copy of the package, run the tests against it, and report which test noticed.

The source in the repository is never touched: every worker has its own copy of minigrad in a temporary folder, from which
the tests import it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from mutation import derivatives, engine, loops, robustness
from mutation.mutant import Mutant

ROOT = Path(__file__).parent.parent.parent
REPORT = Path(__file__).parent / "report.txt"
FILES = {path.stem: str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
MUTANTS: tuple[Mutant, ...] = (*derivatives.MUTANTS, *engine.MUTANTS, *loops.MUTANTS, *robustness.MUTANTS)

OPERATIONS = (
    "ops_against_torch",
    "ops_kinks",
    "ops_matmul",
    "ops_extremes",
    "ops_dtypes",
    "ops_empty",
    "ops_in_place",
    "ops_errors",
    "numpy_protocol",
    "numpy_protocol_learner",
    "gradients_of_parts",
    "engine_accumulation",
    "engine_mutation",
    "transforms",
    "ops_programs",
    "ops_properties",
)
ENGINE = (
    "backward",
    "engine_accumulation",
    "engine_mutation",
    "engine_hooks",
    "engine_objects",
    "engine_state",
    "gradients_of_parts",
    "transforms",
    "scan",
    "gradcheck",
    "anomaly",
    "module",
    "optim",
    "lr_scheduler",
    "ops_against_torch",
    "ops_kinks",
    "ops_programs",
    "engine_depth",
    "ops_properties",
)
LOOPS = tuple(
    f"loops{part}"
    for part in (
        "",
        "_own_cells",
        "_simplifying",
        "_layout",
        "_plan",
        "_workspace",
        "_graph",
        "_watching",
        "_memory",
        "_writing",
        "_changes",
        "_copies",
    )
)
FIRST = {
    "transforms.py": ("transforms",),
    "jacobians.py": ("transforms",),
    "scan.py": ("scan",),
    "pytree.py": ("transforms",),
    "checks/finite_differences.py": ("gradcheck",),
    "checks/comparison.py": ("gradcheck",),
    "anomaly.py": ("anomaly", "engine_interrupts"),
    "diagnosis.py": ("anomaly",),
    "scope.py": ("engine_state", "engine_interrupts"),
    "files.py": ("files",),
    "locks.py": ("engine_forks",),
    "backward.py": ("engine_cycles",),
    "graph.py": ("engine_cycles",),
    "checkpoint/npz.py": ("files", "checkpoint_names", "checkpoint_damage"),
    "checkpoint/files.py": ("checkpoint_names", "checkpoint_words"),
    "checkpoint/contents.py": ("checkpoint_words",),
    "guard.py": ("engine_mutation", "array_subclasses", "reference_counts"),
    "function.py": ("function",),
    "axes.py": ("axes", "ops_errors"),
    "tracebacks.py": ("tracebacks",),
    "module.py": ("module",),
    "clipping.py": ("optim",),
    "optim/lr_scheduler.py": ("lr_scheduler",),
    "optim/plateau.py": ("lr_scheduler",),
    "tensor.py": ("engine_objects", "engine_mutation"),
    "ops/protocol.py": ("numpy_protocol",),
    "ops/losses.py": ("ops_errors",),
    "sums.py": ("engine_sums",),
    "gradients.py": ("gradients_of_parts", "engine_sums"),
    "loops/simplifying.py": ("loops_simplifying",),
    "loops/schedule.py": ("loops_layout", "loops_plan"),
    "loops/layout.py": ("loops_layout", "loops_plan"),
    "loops/plan.py": ("loops_plan", "loops_layout"),
    "loops/workspace.py": ("loops_workspace",),
}
"""The tests that are the likeliest to notice a mistake in a file come first; all others follow."""

TIME_LIMIT = 300


class Outcome(NamedTuple):
    """What became of one mistake: the first test that failed, or "" if none did."""

    mutant: Mutant
    caught_by: str
    seconds: float


def order(mutant: Mutant) -> list[str]:
    """The test files to run against a mistake, the likeliest first."""
    first = FIRST.get(mutant.file, ("optim",) if mutant.file.startswith("optim/") else ())
    rest = OPERATIONS if mutant.file.startswith("ops/") else LOOPS if mutant.file.startswith("loops/") else ENGINE
    return [FILES[f"test_{name}"] for name in dict.fromkeys((*first, *rest))]


def prepare(folder: Path) -> None:
    """A copy of the package, and of all that its tests need, in ``folder``."""
    shutil.copytree(ROOT / "minigrad", folder / "minigrad", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("models", "viz", "tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)


def first_failure(folder: Path, tests: list[str]) -> str:
    """The first of the tests that fails in ``folder``; "" if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", "addopts=", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    try:
        run = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return "the time limit"
    if run.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", run.stdout, re.MULTILINE)
    return failed.group(1).removeprefix("tests/") if failed else f"exit status {run.returncode}"


def outcomes(mutants: Iterable[Mutant], workers: int = 2, order: Callable[[Mutant], list[str]] = order) -> Iterator[Outcome]:
    """Plant the mistakes one at a time, ``workers`` of them at once; the outcomes come in the order of the mistakes."""
    folders: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(workers) as pool:
        for number in range(workers):
            folder = Path(place, str(number))
            folder.mkdir()
            prepare(folder)
            folders.put(folder)

        def judge(mutant: Mutant) -> Outcome:
            folder = folders.get()
            path = folder / "minigrad" / mutant.file
            right = path.read_text(encoding="utf-8")
            start = time.perf_counter()
            try:
                path.write_text(mutant.planted(right), encoding="utf-8")
                return Outcome(mutant, first_failure(folder, order(mutant)), time.perf_counter() - start)
            finally:
                path.write_text(right, encoding="utf-8")
                folders.put(folder)

        yield from pool.map(judge, mutants)


def line(outcome: Outcome) -> str:
    """One line of the report."""
    said = f"caught by {outcome.caught_by}" if outcome.caught_by else "SURVIVED"
    return f"{outcome.mutant.file}: {outcome.mutant.name}: {said}"


def summary(lines: Iterable[str]) -> str:
    """The last line of the report."""
    said = list(lines)
    survivors = sum(row.endswith("SURVIVED") for row in said)
    return f"{len(said)} planted mistakes, {len(said) - survivors} caught, {survivors} survived"


def renew(found: list[Outcome], report: Path = REPORT) -> None:
    """Put the lines of these outcomes in the place of older ones; mistakes that no longer exist leave the report."""
    known = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    lines = {re.split(": (?:caught by |SURVIVED)", row)[0]: row for row in [*known, *map(line, found)]}
    rows = [lines[name] for m in MUTANTS if (name := f"{m.file}: {m.name}") in lines]
    report.write_text("\n".join([*rows, summary(rows), ""]), encoding="utf-8")
