"""``make mutants-sampled``: random changes of all three floors, tried like the planted mistakes.

    make mutants-sampled N=60 SEED=7

The report, sampled.txt, holds the last sample: what caught each change, which survivors were judged to change nothing that
anybody could see (with the reason, written by hand), and the kill rate of all others.
"""

import argparse
import random
import re
import sys
from functools import partial
from pathlib import Path

from mutation.harness import ROOT, line, outcomes
from mutation.random_changes import RandomChange, sample

REPORT = Path(__file__).parent / "sampled.txt"
SUFFICIENT = 0.95
TIME_LIMIT = 3600
SLOW = ("test_loops_memory", "test_ops_properties", "test_engine_depth", "test_by_hand_gradients", "test_engine_forks")
FLOORS = {
    "minigrad": ("engine", "ops", "loops", "training", "derivation", "checks"),
    "models": ("models", "training"),
    "viz": ("viz",),
}
"""Whose tests are to notice a change of a floor: its own."""


def order(change: RandomChange, near: bool = False) -> list[str]:
    """The tests of the floor and its docstrings: first those that import the changed file, then those of its folder.

    ``near`` takes the former alone, or else the latter, without the slow ones.
    """
    path = Path(change.path)
    name = path.parent.name if path.stem == "__init__" else path.stem
    imported = re.compile(rf"\b(?:import|from)\b.*\b{re.escape(name)}\b")

    def rank(test: Path) -> tuple[bool, bool, bool, str]:
        imports = imported.search(test.read_text(encoding="utf-8")) is not None or name in test.stem
        return test.stem in SLOW, not imports, test.parent.name != path.parent.name, test.name

    tests = [test for folder in FLOORS[path.parts[0]] for test in (ROOT / "tests" / folder).glob("test_*.py")]
    ranked = sorted((rank(test), test) for test in tests)
    importing = [test for (slow, unrelated, _, _), test in ranked if not slow and not unrelated]
    beside = [test for (slow, _, elsewhere, _), test in ranked if not slow and not elsewhere]
    close = importing or beside
    doctests = ROOT / "tests" / "project" / "test_doctests.py"
    chosen = close if near and close else [*(test for _, test in ranked), doctests]
    return [str(test.relative_to(ROOT)) for test in chosen]


def judged(report: Path = REPORT) -> dict[str, str]:
    """The survivors of the last report that somebody found to change nothing, each with the reason."""
    rows = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    return dict(row.split(": SURVIVED, equivalent: ", 1) for row in rows if ": SURVIVED, equivalent: " in row)


def rate(rows: list[str]) -> tuple[int, int]:
    """How many changes were caught, and how many there were to catch."""
    caught = sum(": caught by " in row for row in rows)
    return caught, caught + sum(row.endswith(": SURVIVED") for row in rows)


def summary(rows: list[str]) -> str:
    """The last line of the report."""
    caught, there = rate(rows)
    return f"{len(rows)} random changes: {caught} caught of {there} that change something ({caught / max(there, 1):.1%})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants-sampled", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=60)
    parser.add_argument("seed", type=int, nargs="?", default=None)
    parser.add_argument("--near", action="store_true", help="only the tests that are the likeliest to notice")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    chosen, equivalent, rows = sample(options.number, seed), judged(), []
    for outcome in outcomes(chosen, order=partial(order, near=options.near), limit=TIME_LIMIT):
        row = line(outcome)
        reason = equivalent.get(row.removesuffix(": SURVIVED"))
        rows.append(f"{row}, equivalent: {reason}" if reason and not outcome.caught_by else row)
        print(f"[{len(rows)}/{len(chosen)}] {rows[-1]} ({outcome.seconds:.0f} s)", flush=True)
        REPORT.write_text("\n".join([f"seed {seed}", *rows, summary(rows), ""]), encoding="utf-8")
    print(summary(rows))
    caught, there = rate(rows)
    return int(caught < SUFFICIENT * there)


if __name__ == "__main__":
    sys.exit(main())
