"""Folded time: the first and the last steps of a lap, and one box for all between them."""

from __future__ import annotations

from dataclasses import replace

from ..text import Line, Span
from .items import Diagram, Item
from .merging import Group, merged
from .places import BEFORE, Step

__all__ = ["shortened", "thinned"]


def shortened(diagram: Diagram, kept: int) -> Diagram:
    """The diagram with only the first and the last ``kept`` steps of each lap, and what was between them in one item.

    A lap of which a single step would be hidden is shown whole.
    """
    column: dict[int, int] = {}
    steps: list[Step] = []
    folds: dict[int, tuple[Step, int]] = {}
    for lap in dict.fromkeys(step.lap for step in diagram.steps):
        columns = [c for c, step in enumerate(diagram.steps) if step.lap == lap and not step.between]
        hidden = columns[kept:-kept] if len(columns) > 2 * kept + 1 else []
        for c, step in enumerate(diagram.steps):
            if step.lap != lap:
                continue
            if c not in hidden[1:]:
                first = c in hidden[:1]
                steps.append(replace(step, last=diagram.steps[hidden[-1]].time) if first else step)
                if first:
                    folds[len(steps) - 1] = (steps[-1], len(hidden))
            column[c] = len(steps) - 1
    places = {**column, diagram.after: len(steps), BEFORE: BEFORE}
    for item in diagram.items:
        item.place = places[item.place]
    group: dict[int, Group] = {
        item.index: item.place for item in diagram.items if item.place in folds and not item.initial
    }
    short = merged(diagram, group, lambda place, members: _fold(*folds[members[0].place], members))
    short.steps = steps
    return short


def thinned(diagram: Diagram, most: int, kept: int) -> Diagram:
    """The diagram with the middle of every place that holds more than ``most`` items in one item."""
    places: dict[int, list[Item]] = {}
    for item in diagram.items:
        places.setdefault(item.place, []).append(item)
    crowded = {place: items[kept:-kept] for place, items in places.items() if len(items) > most}
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
