"""Plant one mistake at a time in a copy of the package, run the tests against it, and report which test noticed.

The source in the repository is never touched: every worker has its own copy of the three floors in a temporary folder, from
which the tests import it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import Queue
from typing import Generic, NamedTuple, Protocol, TypeVar

from mutation import checks, derivations, derivatives, engine, loops, pictures, robustness
from mutation.mutant import Mutant

ROOT = Path(__file__).parent.parent.parent
REPORT = Path(__file__).parent / "report.txt"
FILES = {path.stem: str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
MUTANTS: tuple[Mutant, ...] = (
    *derivatives.MUTANTS, *engine.MUTANTS, *loops.MUTANTS, *robustness.MUTANTS, *derivations.MUTANTS, *checks.MUTANTS,
    *pictures.MUTANTS,
)  # fmt: skip

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
    "turned",
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
LOOPS = (
    "loops",
    "loops_own_cells",
    "loops_assumptions",
    "loops_simplifying",
    "loops_layout",
    "loops_plan",
    "loops_pool",
    "loops_oracle",
    "loops_graph",
    "loops_watching",
    "loops_memory",
    "loops_writing",
    "loops_borrowing",
    "loops_changes",
    "loops_copies",
    "loops_activity",
    "loops_recorded",
    "loops_comparing",
    "what_a_trace_sees",
    "what_a_step_changes",
    "adversarial",
    "scan",
    "masks",
    "layers_truncated",
)
PICTURES = (
    "viz_picks",
    "viz_truth",
    "viz_diagram",
    "viz_gradients",
    "viz_layout",
    "viz_golden",
    "viz_marks",
    "viz_details",
    "viz_charts",
    "viz_svg",
)
FIRST = {
    "bptt/terms.py": ("bptt", "explain"),
    "bptt/jacobians.py": ("bptt",),
    "bptt/by_loop.py": ("bptt_loop",),
    "bptt/by_time.py": ("bptt_loop",),
    "bptt/parts.py": ("bptt_loop",),
    "loops/observe.py": ("bptt_loop",),
    "derivation/algebra.py": ("derive_parts", "derive_text", "derive_numpy"),
    "derivation/apart.py": ("derive_text", "derive_numpy"),
    "derivation/recognising.py": ("derive_text", "derive_users"),
    "derivation/backward.py": ("derive_text", "derive_numpy"),
    "derivation/source.py": ("derive_numpy",),
    "derivation/writing.py": ("derive_parts", "derive_text"),
    "derivation/explaining.py": ("explain", "bptt_brute_force"),
    "derivation/formulas.py": ("explain", "bptt_brute_force"),
    "derivation/statements.py": ("derive_numpy", "derive_users"),
    "derivation/arrays.py": ("derive_users",),
    "derivation/parameters.py": ("derive_users",),
    "derivation/observing.py": ("derive_parts", "derive_users"),
    "transforms.py": ("transforms",),
    "jacobians.py": ("transforms",),
    "scan.py": ("scan",),
    "pytree.py": ("transforms", "bad_arguments"),
    "checks/finite_differences.py": ("gradcheck",),
    "checks/comparison.py": ("gradcheck",),
    "checks/run.py": ("naming",),
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
    "guard.py": ("engine_mutation", "array_subclasses", "reference_counts", "bad_arguments"),
    "function.py": ("function",),
    "axes.py": ("axes", "ops_errors"),
    "tracebacks.py": ("tracebacks",),
    "module.py": ("module", "engine_interrupts"),
    "clipping.py": ("optim", "engine_interrupts"),
    "reporting.py": ("engine_interrupts",),
    "checkpoint/whole.py": ("resume",),
    "optim/lr_scheduler.py": ("lr_scheduler",),
    "optim/plateau.py": ("lr_scheduler",),
    "tensor.py": ("engine_objects", "engine_mutation", "engine_interrupts"),
    "values.py": ("engine_objects", "engine_mutation", "loops_reading"),
    "python_object.py": ("engine_objects", "loops_reading", "what_a_trace_sees"),
    "operators.py": ("engine_objects", "engine_mutation", "what_a_trace_sees"),
    "recording.py": ("engine_objects", "engine_mutation"),
    "ops/protocol.py": ("numpy_protocol",),
    "ops/losses.py": ("ops_errors",),
    "sums.py": ("engine_sums",),
    "gradients.py": ("gradients_of_parts", "engine_sums"),
    "loops/program.py": ("loops_plan", "loops_layout", "derive_text"),
    "loops/trace.py": ("adversarial", "loops_own_cells", "what_a_step_changes", "what_a_trace_sees", "loops_borrowing"),
    "loops/differentiate.py": ("loops_layout", "loops_oracle", "adversarial", "loops_writing"),
    "loops/simplify.py": ("loops_simplifying",),
    "loops/compile.py": (
        "loops_borrowing", "loops_own_cells", "what_a_trace_sees", "loops_simplifying", "loops_oracle", "loops_together",
    ),
    "loops/schedule.py": ("loops_layout", "loops_plan", "what_a_trace_sees"),
    "loops/buffers.py": ("loops_layout", "loops_plan"),
    "loops/fuse.py": ("loops_plan", "loops_layout"),
    "loops/kernels.py": ("loops_plan", "loops_layout", "adversarial"),
    "loops/backend.py": ("loops_plan", "loops_layout", "loops_pool", "loops_activity", "loops_oracle"),
    "loops/pool.py": ("loops_pool",),
    "loops/purity/effects.py": ("what_a_step_changes", "what_a_trace_sees"),
    "loops/purity/reachable.py": ("what_a_step_changes", "what_a_step_may_use"),
    "loops/purity/c_objects.py": ("what_a_step_changes", "what_a_step_may_use"),
    "loops/purity/snapshots.py": ("what_a_step_changes",),
    "loops/purity/allowlist.py": ("what_a_step_changes", "what_a_step_may_use"),
    "loops/execute.py": ("what_a_trace_sees", "adversarial", "loops_changes"),
    "loops/borrowed.py": ("loops_borrowing", "loops_releasing"),
    "loops/running.py": (
        "loops_borrowing", "loops_together", "loops_releasing", "what_a_trace_sees", "adversarial", "loops_changes",
    ),
    "loops/recorded.py": ("loops_recorded",),
    "loops/loop.py": ("loops_together", "loops_releasing", "loops_what_arrives", "loops_oracle", "adversarial", "loops_graph"),
    "loops/written.py": (
        "loops_borrowing", "loops_together", "loops_releasing", "loops_graph", "loops_watching", "loops_oracle",
    ),
    "loops/purity/assumptions.py": ("loops_assumptions",),
    "loops/activity.py": ("loops_activity", "loops_together", "loops_releasing", "loops_oracle"),
    "loops/native/run.py": ("native_code", "native_products", "native"),
    "loops/native/compiler.py": ("native_compiler",),
    "loops/native/build.py": ("native_code",),
    "loops/windows.py": ("loops_own_cells", "loops_oracle"),
    "loops/traced.py": ("loops_together", "loops_assumptions", "what_a_trace_sees", "loops_changes", "loops_own_cells"),
    "loops/purity/prove.py": ("adversarial", "loops_own_cells", "what_a_step_changes"),
    "models/promise.py": ("loops_assumptions", "adversarial", "loops_own_cells", "loops_changes"),
    "models/lengths.py": ("loops_oracle", "layers_lengths", "masks"),
    "arguments.py": ("arguments", "bad_arguments"),
    "models/training/log.py": ("fit",),
    "models/training/trainer.py": ("fit",),
    "models/language.py": ("language_masks",),
    "models/unrolling.py": ("native", "loops_together", "loops_oracle", "adversarial"),
    "models/recurrence.py": ("loops_together", "loops_oracle", "masks", "layers_truncated", "adversarial"),
    "models/states.py": ("what_a_trace_sees", "states"),
    "viz/titles.py": ("viz_picture",),
    "viz/overlay.py": ("viz_gradients",),
    "viz/painting.py": ("viz_details", "viz_layout"),
    "viz/layout/sizes.py": ("viz_marks",),
    "viz/layout/column_lines.py": ("viz_marks", "viz_layout"),
    "viz/layout/ordering.py": ("viz_golden", "viz_layout"),
    "viz/charts/lines.py": ("viz_charts",),
    "viz/charts/strips.py": ("viz_charts",),
    "viz/writers/svg.py": ("viz_svg",),
    "viz/writers/html.py": ("viz_charts",),
}
"""The tests that are the likeliest to notice a mistake in a file come first; all others follow."""

TEST_FOLDERS = tuple(f"{folder.name}/" for folder in (ROOT / "tests").iterdir() if folder.is_dir())
TIME_LIMIT = 300


class Planted(Protocol):
    """A mistake that was thought of, or a random change."""

    @property
    def name(self) -> str:
        """What it is."""

    @property
    def file(self) -> str:
        """Where it is, for the report."""

    @property
    def path(self) -> str:
        """The file, from the root of the repository."""

    def planted(self, source: str, /) -> str:
        """The source with the mistake in it."""


P = TypeVar("P", bound=Planted)


class Outcome(NamedTuple, Generic[P]):
    """What became of one mistake: the first test that failed, or "" if none did."""

    mutant: P
    caught_by: str
    seconds: float


def order(mutant: Mutant) -> list[str]:
    """The test files to run against a mistake, the likeliest first."""
    first = FIRST.get(mutant.file, ("optim",) if mutant.file.startswith("optim/") else ())
    floors = {"ops/": OPERATIONS, "loops/": LOOPS, "models/": LOOPS, "viz/": PICTURES}
    rest = next((tests for start, tests in floors.items() if mutant.file.startswith(start)), ENGINE)
    return [FILES[f"test_{name}"] for name in dict.fromkeys((*first, *rest))]


def lots_of(mutant: Mutant) -> Iterator[list[str]]:
    """What to run against a mistake: the test that caught it before, the likeliest file, all others."""
    yield caught_before().get(f"{mutant.file}: {mutant.name}", [])
    tests = order(mutant)
    yield tests[:1]
    yield tests[1:]


@cache
def caught_before() -> dict[str, list[str]]:
    """By file and name, the test that caught a mistake when it was last tried."""
    rows = REPORT.read_text(encoding="utf-8").splitlines() if REPORT.exists() else []
    found = [row.split(": caught by ") for row in rows if ": caught by " in row]
    return {name: [f"tests/{test}"] for name, test in found if test.startswith(TEST_FOLDERS)}


def prepare(folder: Path) -> None:
    """A copy of the package, with what Python has compiled of it, and of all that its tests need, in ``folder``."""
    for name in ("minigrad", "models", "viz"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)


def first_failure(folder: Path, tests: list[str], limit: float = TIME_LIMIT, broken: Iterable[str] = ()) -> str:
    """The first of the tests that fails in ``folder``, those that are ``broken`` left out; "" if all pass, or there is none."""
    if not tests:
        return ""
    plugins = ("-p", "no:cacheprovider", "-p", "mutation.alarm")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--assert=plain", *plugins, "-o", "addopts=", *tests]
    command += [f"--deselect=tests/{name}" if "::" in name else f"--ignore=tests/{name}" for name in broken]
    paths = os.pathsep.join((str(folder), str(folder / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    environment.setdefault("MINIGRAD_NATIVE_CACHE", str(ROOT / "build" / "native"))  # names tell changed code from unchanged
    try:
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return "the time limit"
    if run.returncode == 0 or "\nERROR: not found: " in f"\n{run.stderr}":  # a test that had noticed it may be gone
        return ""
    if run.returncode in (-signal.SIGTERM, -signal.SIGKILL):
        raise InterruptedError(f"the tests were killed from outside, by signal {-run.returncode}; run them again")
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", run.stdout, re.MULTILINE)
    return failed.group(1).removeprefix("tests/") if failed else f"exit status {run.returncode}"


class Unchanged:
    """Which tests fail already on the unchanged source: that one of them fails proves nothing."""

    def __init__(self) -> None:
        self.sound: set[str] = set()
        self.broken: set[str] = set()

    def first_failure(self, folder: Path, tests: list[str], limit: float) -> str:
        """The first of the tests that fails in ``folder`` and passes on the unchanged source."""
        while (failed := first_failure(folder, tests, limit, sorted(self.broken))).startswith(TEST_FOLDERS):
            if failed not in self.sound and first_failure(ROOT, [f"tests/{failed}"], limit):
                self.broken.add(failed)
                continue
            self.sound.add(failed)
            break
        return failed


def outcomes(
    mutants: Iterable[P],
    workers: int = 2,
    lots: Callable[[P], Iterable[list[str]]] = lots_of,
    limit: float = TIME_LIMIT,
) -> Iterator[Outcome[P]]:
    """Plant the mistakes one at a time, ``workers`` of them at once; the outcomes come in the order of the mistakes.

    ``lots`` says which tests are run against a mistake: one lot after the other, until a test fails.
    """
    folders: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(workers) as pool:
        for number in range(workers):
            folder = Path(place, str(number))
            folder.mkdir()
            prepare(folder)
            folders.put(folder)

        unchanged = Unchanged()

        def judge(mutant: P) -> Outcome[P]:
            folder = folders.get()
            path = folder / mutant.path
            right = path.read_text(encoding="utf-8")
            start = time.perf_counter()
            try:
                for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
                    compiled.unlink()
                path.write_text(mutant.planted(right), encoding="utf-8")
                failures = (unchanged.first_failure(folder, tests, limit) for tests in lots(mutant))
                return Outcome(mutant, next(filter(None, failures), ""), time.perf_counter() - start)
            finally:
                path.write_text(right, encoding="utf-8")
                folders.put(folder)

        yield from pool.map(judge, mutants)


def line(outcome: Outcome[P]) -> str:
    """One line of the report."""
    said = f"caught by {outcome.caught_by}" if outcome.caught_by else "SURVIVED"
    return f"{outcome.mutant.file}: {outcome.mutant.name}: {said}"


def summary(lines: Iterable[str]) -> str:
    """The last line of the report."""
    said = list(lines)
    survivors = sum(row.endswith("SURVIVED") for row in said)
    return f"{len(said)} planted mistakes, {len(said) - survivors} caught, {survivors} survived"


def renew(found: list[Outcome[Mutant]], report: Path = REPORT) -> None:
    """Put the lines of these outcomes in the place of older ones; mistakes that no longer exist leave the report."""
    known = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    lines = {re.split(": (?:caught by |SURVIVED)", row)[0]: row for row in [*known, *map(line, found)]}
    rows = [lines[name] for m in MUTANTS if (name := f"{m.file}: {m.name}") in lines]
    report.write_text("\n".join([*rows, summary(rows), ""]), encoding="utf-8")
