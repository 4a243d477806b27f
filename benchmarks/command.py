"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks.agreement import Disagreement
from benchmarks.peers import advice, installed
from benchmarks.picture import picture
from benchmarks.problem import CELLS, GATES, SIZES
from benchmarks.run import OURS, Plan, measure
from benchmarks.tables import report

QUICK = Plan(
    CELLS, ("tiny", "char", "medium"), ("float32",), seconds=1.0, least_rounds=2, lengths=(10, 100, 1000), tapes_of_peers=False
)
FULL = Plan(CELLS, tuple(SIZES), ("float32", "float64"), seconds=10)


def parser() -> argparse.ArgumentParser:
    """Its options."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time one training step (forward, cross-entropy at each step, backward) against hand-written NumPy.",
    )
    options.add_argument("--quick", action="store_true", help="three sizes, float32, about a minute")
    options.add_argument("--cells", nargs="+", choices=tuple(GATES), metavar="CELL", help=", ".join(GATES))
    options.add_argument("--sizes", nargs="+", choices=tuple(SIZES), metavar="SIZE", help=", ".join(SIZES))
    options.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), metavar="DTYPE", help="float32, float64")
    options.add_argument("--seconds", type=float, help="time for each cell, size and dtype")
    options.add_argument("--no-peers", action="store_true", help="leave other frameworks out")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for results.json, results.svg")
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """The quick or the full plan, with what the options change."""
    plan = QUICK if options.quick else FULL
    return Plan(
        tuple(options.cells or plan.cells),
        tuple(options.sizes or plan.sizes),
        tuple(options.dtypes or plan.dtypes),
        plan.seconds if options.seconds is None else options.seconds,
        plan.least_rounds,
        plan.lengths,
        plan.tapes_of_peers,
    )


def command(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = parser().parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"benchmarks: the folder {options.out} cannot be made: {error.strerror}") from None
    kinds = list(OURS)
    if not options.no_peers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peers, missing = installed()
        kinds += peers
        for line in advice(missing):
            print(line)
    try:
        results = measure(plan_of(options), kinds, lambda line: print(line, flush=True))
    except Disagreement as error:
        raise SystemExit(f"benchmarks: nobody is timed, since the gradients differ: {error}") from None
    except KeyboardInterrupt:
        print("benchmarks: stopped; nothing was written", file=sys.stderr)
        raise SystemExit(130) from None
    print("", *report(results), sep="\n")
    results.save(options.out / "results.json")
    (options.out / "results.svg").write_text(picture(results), encoding="utf-8")
    print(f"\nwritten: {options.out / 'results.json'}, {options.out / 'results.svg'}")
