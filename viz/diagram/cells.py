"""Closed cells: all that a cell does at one step drawn as one box, as in the classic pictures of recurrent networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from ..text import Span
from .circles import components
from .items import Diagram, Item
from .merging import Group, merged
from .places import BEFORE

__all__ = ["closed"]

NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "gated_rnn": "gated RNN"}
LEAST = 3
"""How many items beside the cells are drawn as one: fewer say what they do in as little room."""


def closed(diagram: Diagram, opened: Collection[int] = ()) -> Diagram:
    """The diagram with a box for each cell and step, except at the columns ``opened``, and one for its parameters."""
    users: dict[int, list[int]] = defaultdict(list)
    for link in diagram.links:
        if diagram.items[link.source].place == diagram.items[link.target].place:
            users[link.source].append(link.target)
    group: dict[int, Group] = {}
    for place, items in _columns(diagram).items():
        if place not in opened:
            group |= _cells(place, items, users)
    group = _without_circles(diagram, group)
    boxes = merged(diagram, group, _cell)
    return merged(boxes, _parameters(boxes), _joint_parameters)


def _columns(diagram: Diagram) -> dict[int, list[Item]]:
    """The items of every step, without what enters it."""
    found: dict[int, list[Item]] = defaultdict(list)
    for item in diagram.items:
        is_step = 0 <= item.place < diagram.after and not diagram.steps[item.place].between
        if is_step and not item.initial and item.role != "input":
            found[item.place].append(item)
    return found


def _cells(place: int, items: list[Item], users: dict[int, list[int]]) -> dict[int, Group]:
    """For each item of a column the cell that it is part of: all that a scope does to find its states."""
    with_states = {item.head.scope for item in items if item.role == "state"}
    group: dict[int, Group] = {}
    leads = {item.index for item in items if item.role == "state"}
    for item in reversed(items):
        if item.index in leads or any(user in leads for user in users[item.index]):
            leads.add(item.index)
    beside: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for item in reversed(items):
        scope, read_by = item.head.scope, [group.get(user) for user in users[item.index]]
        own = next((scope[:n] for n in range(len(scope), -1, -1) if scope[:n] in with_states), None)
        if own is not None and item.index in leads:
            group[item.index] = (place, own)
        elif item.head.label == "concatenate" and item.head.name is None and read_by and len(set(read_by)) == 1 and read_by[0]:
            group[item.index] = read_by[0]  # what the cell alone reads, side by side
        elif not item.is_output:
            beside[scope].insert(0, item.index)
    for scope, numbers in beside.items():
        if len(numbers) >= LEAST:
            group |= dict.fromkeys(numbers, (place, "beside", scope))
    return group


def _without_circles(diagram: Diagram, group: dict[int, Group]) -> dict[int, Group]:
    """Groups of one column that need each other's results become one."""
    while True:
        users: dict[Group, set[Group]] = {}
        for link in diagram.links:
            if diagram.items[link.source].place == diagram.items[link.target].place:
                ends = [group.get(k, k) for k in (link.source, link.target)]
                users.setdefault(ends[1], set())
                if ends[0] != ends[1]:
                    users.setdefault(ends[0], set()).add(ends[1])
        circles = [c for c in components({g: sorted(found, key=repr) for g, found in users.items()}) if len(c) > 1]
        if not circles:
            return group
        joint: dict[Group, Group] = {}
        for circle in circles:
            joint |= dict.fromkeys(circle, next((g for g in circle if isinstance(g, tuple)), circle[0]))
        for item in diagram.items:
            own = group.get(item.index, item.index)
            if own in joint:
                group[item.index] = joint[own]


def _cell(group: Group, members: list[Item]) -> Item:
    states = [item for item in members if item.role == "state"]
    last = states[-1] if states else members[-1]
    scope = last.head.scope
    name = scope[-1] if scope else "cell"
    if not states:
        name = "attention" if any(item.head.name == "α" for item in members) else name
    inner = frozenset(item.lineage for item in members)
    return Item(
        0,
        tuple(vertex for item in members for vertex in item.nodes),
        last.head,
        members[0].place,
        "cell",
        [],
        lineage=("cell", scope, name),
        part=last.part,
        is_output=any(item.is_output for item in members),
        kind="cell",
        title=(Span(NAMES.get(name, name)), *([Span(f"({last.part})", 1)] if last.part else [])),
        inner=inner,
        ports=tuple(dict.fromkeys(item.lineage for item in states)),
    )


def _parameters(diagram: Diagram) -> dict[int, Group]:
    """The parameters that are used by the same cells."""
    uses: dict[int, set[object]] = defaultdict(set)
    for link in diagram.links:
        target = diagram.items[link.target]
        uses[link.source].add(target.lineage if 0 <= target.place < diagram.after else link.target)
    found: dict[frozenset[object], list[int]] = defaultdict(list)
    for item in diagram.items:
        if item.role == "parameter" and item.place == BEFORE and not item.initial and item.head.is_leaf:
            found[frozenset(uses[item.index])].append(item.index)
    return {k: ("parameters", *numbers) for numbers in found.values() if len(numbers) > 1 for k in numbers}


def _joint_parameters(group: Group, members: list[Item]) -> Item:
    first = members[0]
    names = [span for item in members for span in (Span(", "), *item.name)][1:]
    few = len(members) <= LEAST
    parts = {item.part for item in members}
    part = parts.pop() if len(parts) == 1 else None
    theta = (Span("θ"), *([Span(f"({part})", 1)] if part else []))
    title = [*theta, Span(" = "), *names] if few else theta
    joint = Item(0, tuple(vertex for item in members for vertex in item.nodes), first.head, first.place, "parameter", [])
    joint.lineage, joint.part, joint.title = first.lineage, part, tuple(title)
    joint.symbol = theta
    return joint

