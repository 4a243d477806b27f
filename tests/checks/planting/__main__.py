"""``make proof``: runs the checks of the proof, goes on where the last run stopped, and writes docs/proof.md.

What was found is kept in build/proof.jsonl for as long as the checker, what it checks and the planted mistakes stay the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from .page import PAGE, PARTS, page
from .proof import Outcome, Task, done, tasks

ROOT = Path(__file__).parent.parent.parent.parent
KEPT = ROOT / "build" / "proof.jsonl"
UNFINISHED = 3
"""The exit status of a run that has not done all."""


def digest() -> str:
    """Of all that the outcomes depend on."""
    files = [*(ROOT / "minigrad").rglob("*.py"), *(ROOT / "models" / "cells").glob("*.py")]
    files += [*(ROOT / "models" / "by_hand").glob("*.py"), *Path(__file__).parent.glob("*.py")]
    files.append(ROOT / "tests" / "derivation" / "cells_to_derive.py")
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def kept(code: str) -> dict[Task, Outcome | None]:
    """What earlier runs with the same code have found; None where there was nothing to do."""
    found: dict[Task, Outcome | None] = {}
    for row in KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else ():
        of_code, task, outcome = json.loads(row)
        if of_code == code:
            known = Task(*task)
            found[known] = None if outcome is None else Outcome(known, *outcome[:2], tuple(outcome[2]), outcome[3])
    return found


def run(wanted: Iterable[Task], code: str, jobs: int, seconds: float, minutes: float) -> None:
    """Do the tasks, and keep each outcome at once; after so many minutes none is begun any more."""
    KEPT.parent.mkdir(exist_ok=True)
    end = time.monotonic() + 60 * minutes
    waiting = iter(list(wanted))
    with ProcessPoolExecutor(jobs) as pool, KEPT.open("a", encoding="utf-8") as file:
        going = {}
        while True:
            while len(going) < 2 * jobs and time.monotonic() < end and (task := next(waiting, None)) is not None:
                going[pool.submit(partial(done, seconds=seconds), task)] = task
            if not going:
                return
            future = next(as_completed(going))
            task, found = going.pop(future), future.result()
            kept_of_it = None if found is None else [found.result, found.changed, list(found.kinds), found.said]
            file.write(json.dumps([code, list(task), kept_of_it], ensure_ascii=False) + "\n")
            file.flush()


def main() -> int:
    """The exit status: 0 when the page rests on all checks, `UNFINISHED` when there is more to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=1, help="how often each kind is planted in each cell")
    parser.add_argument("--arrays", type=int, default=100, help="how many random wrong gradients")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each check")
    parser.add_argument("--minutes", type=float, default=8.0, help="for this run; the next one goes on where it stopped")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", nargs="*", default=list(PARTS))
    given = parser.parse_args()
    wanted = [task for task in tasks(given.places, given.arrays) if task.part in given.parts]
    code, start = digest(), time.perf_counter()
    run([task for task in wanted if task not in kept(code)], code, given.jobs, given.seconds, given.minutes)
    found = kept(code)
    left = [task for task in wanted if task not in found]
    print(f"{len(wanted) - len(left)} of {len(wanted)} checks are done, {time.perf_counter() - start:.0f} s in this run")
    options = re.sub(r"--(jobs|minutes) \S+ ?", "", shlex.join(sys.argv[1:])).strip()
    there = [found[task] for task in wanted if task in found]
    PAGE.write_text(page(there, len(wanted), options), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}{'; run it again to go on' * bool(left)}")
    return UNFINISHED if left else 0


if __name__ == "__main__":
    sys.exit(main())
