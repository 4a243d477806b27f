"""Folded time: the first and the last steps of a lap, and one box for all between them."""

from __future__ import annotations

from dataclasses import replace

from ..text import Line, Span
from .items import Diagram, Item
from .merging import Group, merged
from .places import BEFORE, Step

__all__ = ["shortened", "thinned"]


def shortened(diagram: Diagram, kept: int, shown: int | None = None) -> Diagram:
    """The diagram with only the first and the last ``kept`` steps of each lap, and what was between them in one item.

    The step at the time ``shown`` is kept too. A single step is not hidden.
    """
    column: dict[int, int] = {}
    steps: list[Step] = []
    folds: dict[int, tuple[Step, int]] = {}
    run_of = {c: run for run in _hidden(diagram, kept, shown) for c in run}
    for c, step in enumerate(diagram.steps):
        run = run_of.get(c, [c])
        if c == run[0]:
            is_fold = len(run) > 1
            steps.append(step._replace(last=diagram.steps[run[-1]].time) if is_fold else step)
            if is_fold:
                folds[len(steps) - 1] = (steps[-1], len(run))
        column[c] = len(steps) - 1
    places = {**column, diagram.after: len(steps), BEFORE: BEFORE}
    for item in diagram.items:
        item.place = places[item.place]
    group: dict[int, Group] = {item.index: item.place for item in diagram.items if item.place in folds and not item.initial}
    short = merged(diagram, group, lambda place, members: _fold(*folds[members[0].place], members))
    return replace(short, steps=steps)


def _hidden(diagram: Diagram, kept: int, shown: int | None) -> list[list[int]]:
    """The runs of columns to be hidden."""
    runs: list[list[int]] = []
    for lap in dict.fromkeys(step.lap for step in diagram.steps):
        columns = [c for c, step in enumerate(diagram.steps) if step.lap == lap and not step.between]
        inner = columns[kept:-kept]
        ends = [k for k, c in enumerate(inner) if diagram.steps[c].time == shown]
        for start, end in zip([0, *(k + 1 for k in ends)], [*ends, len(inner)], strict=True):
            if end - start > 1:
                runs.append(inner[start:end])
    return runs


def thinned(diagram: Diagram, most: int, kept: int) -> Diagram:
    """The diagram with the middle of every place that holds more than ``most`` items in one item."""
    places: dict[int, list[Item]] = {}
    for item in diagram.items:
        places.setdefault(item.place, []).append(item)
    crowded = {place: items[kept:-kept] for place, items in places.items() if len(items) > most}
    if not crowded:
        return diagram
    group: dict[int, Group] = {item.index: place for place, items in crowded.items() for item in items}
    return merged(diagram, group, lambda _, members: _crowd(members))


def _crowd(members: list[Item]) -> Item:
    crowd = _joint(members, (Span("⋯"), Span(f"{len(members)} operations"), Span("⋯")))
    crowd.lineage = ("crowd", members[0].place)
    return crowd


def _fold(step: Step, hidden: int, members: list[Item]) -> Item:
    fold = _joint(members, (Span("⋯"), Span(f"t = {step.time} … {step.last}"), Span(f"{hidden} steps")))
    fold.lineage = ("fold", step.lap)
    return fold


def _joint(members: list[Item], title: Line) -> Item:
    last = members[-1]
    return Item(
        0,
        tuple(vertex for item in members for vertex in item.nodes),
        last.head,
        last.place,
        "fold",
        [],
        kind="fold",
        title=title,
        is_output=any(item.is_output for item in members),
        inner=frozenset(item.lineage for item in members),
    )
