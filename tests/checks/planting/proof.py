"""The checks that prove that mistakes are named, and named rightly.

Mistakes are planted in what `derive` writes of every cell and in models/by_hand, in four layouts and on other random problems
each; pairs of mistakes; random arrays; right derivations in eight layouts and with conventions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad import check_backward

from .layouts import LAYOUTS, Laid, laid_out
from .mistakes import KINDS, planted
from .program import Program
from .subjects import BY_HAND, CELLS, SWITCHES, derived, written
from .trying import FALSE, NARROWED, PASSED, Tried, tried

__all__ = ["Outcome", "Task", "done", "tasks"]

COMMONEST = (
    "state gradient not carried",
    "activation derivative missing",
    "activation derivative without the square",
    "matrix not transposed",
    "operand of the wrong step",
    "gradient before the activation",
    "overwritten, not accumulated",
    "path missing",
    "bias averaged",
    "sign",
)
BY_NAME = {kind.name: kind for kind in KINDS}


class Task(NamedTuple):
    """One check: of which part of the proof, in which cell, of which kind, at the how-manieth place, layout and problem."""

    part: str
    cell: str
    kind: str
    place: int
    places: int
    layout: int
    seed: int


class Outcome(NamedTuple):
    """What became of a task: the result, what was changed, and what the report says."""

    task: Task
    result: str
    changed: str
    kinds: tuple[str, ...]
    said: str


@lru_cache(maxsize=64)
def subject(name: str) -> Program:
    """A cell, or a module of models/by_hand, as a program."""
    if name in BY_HAND:
        return written(name)
    return derived(CELLS[name] if name in CELLS else SWITCHES[name])


def tasks(places: int, arrays: int) -> Iterator[Task]:
    """All checks of the proof: each kind in each cell ``places`` times, each time elsewhere, in another layout and problem."""
    for (c, name), (k, kind) in itertools.product(enumerate([*CELLS, *BY_HAND]), enumerate(KINDS)):
        for place in range(places):
            turn = c + k + place
            yield Task("planted", name, kind.name, place, places, 0 if name in BY_HAND else turn % 4, turn % 3)
    others = [name for name in SWITCHES if name not in CELLS]
    for c, name in enumerate(others):
        for place in range(places):
            turn = c * places + place
            yield Task("switches", name, COMMONEST[turn % len(COMMONEST)], place, places, turn % 4, turn % 3)
    for k, (name, (first, second)) in enumerate(
        itertools.product(("rnn", "gru", "lstm"), itertools.combinations(COMMONEST, 2))
    ):
        yield Task("pairs", name, f"{first} and {second}", k, 1, k % 4, k % 3)
    for name, layout in itertools.product(SWITCHES, range(len(LAYOUTS))):
        yield Task("right", name, LAYOUTS[layout].name, 0, 1, layout, layout)
    for name, convention in itertools.product(CELLS, CONVENTIONS):
        yield Task("conventions", name, convention, 0, 1, 4, 1)
    for k in range(arrays):
        yield Task("random arrays", ("rnn", "rnn", "rnn", "gru")[k % 4], "", k, 1, 4 + k % 4, k)


# ---------------------------------------------------------------- one check


def done(task: Task, seconds: float) -> Outcome | None:
    """The outcome of a task; None if there is nothing to do: no such place in this cell, or no difference."""
    try:
        found = RUN[task.part](task, seconds)
    except NotImplementedError:
        return None
    return None if found is None else Outcome(task, found[1].result, found[0], found[1].kinds, found[1].said)


def _planted(task: Task, seconds: float) -> tuple[str, Tried] | None:
    mistakes = planted(subject(task.cell), BY_NAME[task.kind], task.places)
    if not mistakes:
        return None
    mistake = mistakes[task.place]
    found = tried(subject(task.cell), mistake, LAYOUTS[task.layout], task.seed, seconds=seconds)
    return None if found is None else (mistake.said, found)


def _pair(task: Task, seconds: float) -> tuple[str, Tried] | None:
    first, second = (BY_NAME[name] for name in task.kind.split(" and "))
    ones = planted(subject(task.cell), first)
    if not ones:
        return None
    one = ones[task.place * 7 % len(ones)]
    twos = planted(one.program, second)
    if not twos:
        return None
    two = twos[task.place * 5 % len(twos)]
    both = two._replace(names=one.names | two.names, kind=task.kind)
    found = tried(subject(task.cell), both, LAYOUTS[task.layout], task.seed, seconds=seconds)
    return None if found is None else (f"{one.said}; {two.said}", found)


def _right(task: Task, seconds: float) -> tuple[str, Tried]:
    laid = laid_out(subject(task.cell), LAYOUTS[task.layout])
    report = check_backward(laid.forward, laid.backward, laid.arguments, seed=task.seed, seconds=seconds)
    return "", Tried(PASSED if report.passed else FALSE, (), "; ".join(f.missing for f in report.findings))


CONVENTIONS: dict[str, Callable[[str, Any, int], Any]] = {
    "all divided by the number of examples": lambda name, g, examples: g / examples,
    "those of parameters divided by the number of examples": lambda name, g, examples: (
        g if name in ("dxs", "dh0", "dc0", "ds0") else g / examples
    ),
    "clipped": lambda name, g, examples: np.clip(g, -0.05, 0.05),
}


def _convention(task: Task, seconds: float) -> tuple[str, Tried]:
    laid = laid_out(subject(task.cell), LAYOUTS[task.layout])
    examples = len(next(iter(subject(task.cell).state.values())))
    change = CONVENTIONS[task.kind]
    backward = wrapping(laid, lambda found: {name: change(name, g, examples) for name, g in found.items()})
    report = check_backward(laid.forward, backward, laid.arguments, seed=task.seed, seconds=seconds)
    return "", Tried(PASSED if report.passed and report.notes else FALSE, (), "; ".join(f.missing for f in report.findings))


def wrapping(laid: Laid, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., Any]:
    """A backward pass whose result, a dict, is changed."""
    signature = ", ".join(laid.backward.__code__.co_varnames[: laid.backward.__code__.co_argcount])
    module: dict[str, Any] = {"right": laid.backward, "change": change}
    exec(f"def backward({signature}):\n    return change(right({signature}))", module)
    return module["backward"]


def _random(task: Task, seconds: float) -> tuple[str, Tried]:
    """Some gradients, or all, are noise; noise is added to them, or they are multiplied by it."""
    rng = np.random.default_rng(task.seed)
    laid = laid_out(subject(task.cell), LAYOUTS[4 + task.seed % 2])
    share, manner = (0.2, 0.5, 1.0)[rng.integers(3)], rng.integers(3)

    def change(found: dict[str, Any]) -> dict[str, Any]:
        noise = np.random.default_rng([task.seed, int(abs(next(iter(found.values())).ravel()[0]) * 1e6)])
        hit = [name for name in found if noise.random() < share] or ["dxs"]
        for name in hit:
            drawn = noise.standard_normal(found[name].shape)
            found[name] = (drawn, found[name] + 0.1 * drawn, found[name] * (1 + drawn))[manner]
        return found

    change.__code__ = change.__code__.replace(co_filename="<noise>")  # else the lines of its source are found
    report = check_backward(laid.forward, wrapping(laid, change), laid.arguments, seed=task.seed, seconds=seconds)
    kinds = tuple(finding.kind for finding in report.findings if finding.kind)
    said = "; ".join(finding.missing for finding in report.findings)
    return "noise", Tried(FALSE if kinds or report.passed else NARROWED, kinds, said)


RUN: dict[str, Callable[[Task, float], tuple[str, Tried] | None]] = {
    "planted": _planted,
    "switches": _planted,
    "pairs": _pair,
    "right": _right,
    "conventions": _convention,
    "random arrays": _random,
}
