"""What part each item plays: state, gate, parameter, input … Told from the graph alone: who is carried on, who is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..text import plain
from .formula import transposes
from .items import Item, Link, operation_symbol
from .places import BEFORE
from .vertices import Vertex

__all__ = ["assign_roles", "set_initial_lineages", "set_lineages"]

LOOK_UP = "embedding"
LONGEST_SYMBOL_IN_A_CIRCLE = 3


def set_lineages(items: list[Item]) -> None:
    """Scope and name tell what an item is from step to step; items that share both are numbered within their step.

    Of several with one name the last comes first: it is the one that a step hands on, whatever it was computed from.
    """
    counts: dict[tuple[object, ...], int] = {}
    named = [item for item in items if item.head.name is not None]
    for item in (*(item for item in items if item.head.name is None), *reversed(named)):
        head = item.head
        alike = (item.place, head.scope, head.name, None if head.name is not None else head.label)
        counts[alike] = counts.get(alike, 0) + 1
        item.lineage = (*alike[1:], counts[alike])
        if head.name is not None and head.time is not None and item.place != BEFORE:
            item.primes = counts[alike] - 1


def set_initial_lineages(items: list[Item], links: list[Link]) -> None:
    """An initial state is the ancestor of what the second step gets where the first step gets the initial state."""
    at_first: dict[int, set[object]] = {}
    at_second: dict[int, set[object]] = {}
    for link in links:
        source, target = items[link.source], items[link.target]
        if source.initial:
            at_first.setdefault(link.source, set()).add(target.lineage)
        elif abs(source.place - target.place) == 1 and source.place != BEFORE:
            at_second.setdefault(link.source, set()).add(target.lineage)
    successors = {frozenset(targets): items[j].lineage for j, targets in sorted(at_second.items(), reverse=True)}
    for j, targets in at_first.items():
        found = successors.get(frozenset(targets))
        if found is None:
            target = next(items[link.target] for link in links if link.source == j)
            found = (target.head.scope, *items[j].lineage[1:])
        items[j].lineage = found


def assign_roles(items: list[Item], links: list[Link], after: int, is_step: Sequence[bool]) -> None:
    """Set the role of every item; ``is_step`` tells the columns that are steps from those between laps."""
    sources: list[set[int]] = [set() for _ in items]
    for link in links:
        sources[link.target].add(link.source)
    carried = _carried(items, links, is_step)
    for item in items:
        item.role = _role(item, carried, [items[j] for j in sources[item.index]], after)
    targets: list[list[Item]] = [[] for _ in items]
    uses: list[list[tuple[Vertex, int]]] = [[] for _ in items]
    for link in links:
        targets[link.source].append(items[link.target])
        uses[link.source] += link.edges
    for item in items:
        if item.role == "parameter" and item.head.role != "parameter" and targets[item.index]:
            operand = all(node.label == "matmul" and slot == 0 and transposes(node) for node, slot in uses[item.index])
            if operand:
                item.role = "input"


def _carried(items: list[Item], links: list[Link], is_step: Sequence[bool]) -> set[tuple[object, ...]]:
    """The lineages of states: what begins with an initial state, or what most steps where it is hand to another step.

    With them go those that have the name of one: what a step would have handed on, had the sequence not ended before it.
    """
    found: set[tuple[object, ...]] = set()
    steps: dict[tuple[object, ...], set[int]] = {}
    made = Counter(item.lineage for item in items if 0 <= item.place < len(is_step))
    for link in links:
        source, target = items[link.source], items[link.target]
        if source.initial:
            found.add(source.lineage)
        elif _both(source, target, is_step) and source.place != target.place:
            steps.setdefault(source.lineage, set()).add(source.place)
    found |= {lineage for lineage, places in steps.items() if 2 * len(places) >= made[lineage] - 1}
    named = {lineage[:2] for lineage in found if lineage[1] is not None}
    return found | {lineage for lineage in made if lineage[:2] in named}


def _both(source: Item, target: Item, is_step: Sequence[bool]) -> bool:
    """Whether both belong to steps."""
    first, second, steps = source.place, target.place, len(is_step)
    return 0 <= first < steps and 0 <= second < steps and is_step[first] and is_step[second]


def _role(item: Item, carried: set[tuple[object, ...]], sources: list[Item], after: int) -> str:
    head = item.head
    if item.is_output and head.shape == () and not head.is_leaf:
        return "loss"
    if item.lineage in carried and (head.name is not None or item.initial or 0 <= item.place < after):
        return "state"
    if head.role in ("parameter", "input"):
        return str(head.role)
    if head.is_leaf:
        return "parameter" if head.time is None and head.requires_grad else "input"
    if item.terms:
        return "affine"
    may_be_given = 0 <= item.place < after and bool(sources) and (head.name or head.label == LOOK_UP)
    if may_be_given and all(s.place == BEFORE and not s.initial for s in sources):
        return "input"
    if head.name is not None:
        return "gate" if 0 <= item.place < after else "activation"
    return "operation" if len(plain(operation_symbol(head))) <= LONGEST_SYMBOL_IN_A_CIRCLE else "activation"
