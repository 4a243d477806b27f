"""``make mutants-sampled``: random changes of all three floors, tried like the planted mistakes.

    make mutants-sampled N=60 SEED=7

Each change is tried by the tests that reach its line, the quickest first; once for all, which those are is found out by
running the tests (`reach`). The report, sampled.txt, holds every change that was ever tried: what caught it, which survivors
were judged to change nothing that anybody could see (with the reason, written by hand), and the kill rate of all others. A
change that is in it already is not tried again.
"""

import argparse
import random
import sys
from pathlib import Path

from mutation.harness import line, outcomes
from mutation.random_changes import RandomChange, sample
from mutation.reach import Reach

REPORT = Path(__file__).parent / "sampled.txt"
SUFFICIENT = 0.95
TIME_LIMIT = 3600


def known(report: Path = REPORT) -> list[str]:
    """The rows of the report, with the seeds that they were made by."""
    return report.read_text(encoding="utf-8").splitlines()[:-1] if report.exists() else []


def rate(rows: list[str]) -> tuple[int, int]:
    """How many changes were caught, and how many there were to catch."""
    caught = sum(": caught by " in row for row in rows)
    return caught, caught + sum(row.endswith(": SURVIVED") for row in rows)


def summary(rows: list[str]) -> str:
    """The last line of the report."""
    caught, there = rate(rows)
    tried = caught + sum(": SURVIVED" in row for row in rows)
    return f"{tried} random changes: {caught} caught of {there} that change something ({caught / max(there, 1):.1%})"


def is_tried(change: RandomChange, rows: list[str]) -> bool:
    """Whether the report has a row for it."""
    return any(row.startswith(f"{change.file}: {change.name}: ") for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants-sampled", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=60)
    parser.add_argument("seed", type=int, nargs="?", default=None)
    parser.add_argument("--most", type=float, default=120.0, help="seconds of tests that a survivor goes through")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    reach, rows = Reach(), known()
    fresh = [change for change in sample(options.number, seed) if not is_tried(change, rows)]
    rows.append(f"seed {seed}")
    found = outcomes(fresh, options.workers, lambda change: reach.lots(change.path, change.line, options.most), TIME_LIMIT)
    for number, outcome in enumerate(found, 1):
        rows.append(line(outcome))
        print(f"[{number}/{len(fresh)}] {rows[-1]} ({outcome.seconds:.0f} s)", flush=True)
        REPORT.write_text("\n".join([*rows, summary(rows), ""]), encoding="utf-8")
    print(summary(rows))
    caught, there = rate(rows)
    return int(caught < SUFFICIENT * there)


if __name__ == "__main__":
    sys.exit(main())
