"""Steps that look alike share one drawing: which items a column has, how they are linked, what comes in and goes out."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..diagram.items import Diagram, Item
from ..diagram.places import BEFORE

__all__ = ["Column", "Lineage", "columns_of"]

Lineage = tuple[object, ...]


@dataclass(slots=True)
class Column:
    """One drawing that serves all steps with the same items and links.

    Attributes:
        steps: the numbers of the steps it serves.
        items: for each of these steps, its items, in corresponding order; everything below counts within this order.
        links: (source, target) pairs within the step, repeated if an operation uses one value twice.
        arrives: for what comes from other steps or from an initial state, (lineage, item, from the right) and at which
            steps it does.
        leaves: (item, lineage of what goes, to the right) for what goes to other places.
        taps: (source item of the diagram, item) for what comes from before all steps.
        highways: for each, its items in the order in which the state passes them.
        row: the row of each item.
    """

    steps: list[int]
    items: list[list[Item]]
    links: list[tuple[int, int]]
    arrives: dict[tuple[Lineage, int, bool], set[int]] = field(default_factory=dict)
    leaves: set[tuple[int, Lineage, bool]] = field(default_factory=set)
    taps: set[tuple[int, int]] = field(default_factory=set)
    highways: list[list[int]] = field(default_factory=list)
    row: list[int] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """"fold" or "cell" where a step is not open to be looked into."""
        return next((item.kind for item in self.first if item.kind == "fold" or item.ports), "")

    @property
    def first(self) -> list[Item]:
        """The items of the first of its steps."""
        return self.items[0]


def columns_of(diagram: Diagram) -> list[Column]:
    """The different columns of a diagram, in the order of their first steps."""
    members: list[list[Item]] = [[] for _ in diagram.steps]
    local: dict[int, int] = {}
    for item in diagram.items:
        if 0 <= item.place < diagram.after and not item.initial:
            local[item.index] = len(members[item.place])
            members[item.place].append(item)
    inner: list[list[tuple[int, int]]] = [[] for _ in diagram.steps]
    for link in diagram.links:
        place = diagram.items[link.target].place
        if link.source in local and link.target in local and diagram.items[link.source].place == place:
            inner[place].append((local[link.source], local[link.target]))
    alike: dict[object, Column] = {}
    column_at: list[Column] = []
    for step, items in enumerate(members):
        looks = (tuple((i.lineage, i.role, len(i.terms), i.part, i.ports) for i in items), tuple(inner[step]))
        column = alike.setdefault(looks, Column([], [], inner[step]))
        column.steps.append(step)
        column.items.append(items)
        column_at.append(column)
    _find_ports(diagram, column_at, local)
    return list(alike.values())


def _find_ports(diagram: Diagram, column_at: list[Column], local: dict[int, int]) -> None:
    for link in diagram.links:
        source, target = diagram.items[link.source], diagram.items[link.target]
        if source.place == target.place and link.source in local and link.target in local:
            continue
        if link.target in local:
            column = column_at[target.place]
            if source.place == BEFORE and not source.initial:
                column.taps.add((link.source, local[link.target]))
            else:
                reverse = source.place == target.place + 1 or (source.initial and _starts_last(target, diagram))
                column.arrives.setdefault((link.lineage, local[link.target], reverse), set()).add(target.place)
        if link.source in local:
            column_at[source.place].leaves.add((local[link.source], link.lineage, target.place != source.place - 1))


def _starts_last(target: Item, diagram: Diagram) -> bool:
    return target.place == diagram.after - 1 and target.place > 0
