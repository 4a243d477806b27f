"""The graph as it will be drawn, before anything has a position: items (boxes, circles) and the links between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush

from minigrad.graph import Node
from viz.folding import REARRANGEMENTS, Folding
from viz.formula import affine_terms, join, transposes
from viz.places import BEFORE, Recorded, Step
from viz.text import Line, Span, plain, symbol_name

__all__ = ["Diagram", "Item", "Link"]

ELEMENTWISE = frozenset({"add", "sub", "mul", "div", "neg", "pow", "maximum", "minimum", "where"})
LIGHT = ELEMENTWISE | {"tanh", "sigmoid", "relu", "getitem", "split", "reshape"}


@dataclass
class Item:
    """One thing in the picture: a recorded node, or several drawn as one.

    Attributes:
        index: its number among the items; grows from inputs to consumers.
        nodes: the recorded nodes it stands for, in the order they were recorded.
        head: the node that gives it its name and operation.
        place: BEFORE, a column, or the number of columns for what comes after the steps.
        role: "parameter", "input", "state", "gate", "affine", "operation" (a small circle), "activation", "loss".
        terms: the terms of an affine expression, else empty.
        initial: drawn beside the first (or last) column rather than with a wire to every step.
        lineage: what it has in common with the items that play its part at other steps.
        part: which of several parts with the same names it belongs to, counted from 1; None where there is one.
    """

    index: int
    nodes: tuple[Node, ...]
    head: Node
    place: int
    role: str
    terms: list[Line]
    initial: bool = False
    lineage: tuple[object, ...] = ()
    part: int | None = None
    is_output: bool = False

    @property
    def elementwise(self) -> bool:
        """Whether each entry of the result depends on the same entries of the operands only, linearly or by product."""
        return self.head.label in ELEMENTWISE and not self.terms

    @property
    def light(self) -> bool:
        """Whether it is an element-wise operation or activation, not a matrix product or a reduction."""
        return self.head.label in LIGHT and not self.terms

    @cached_property
    def spoken(self) -> str:
        """The caption as plain text."""
        return plain(self.caption).strip()

    @cached_property
    def caption(self) -> Line:
        """Name and operation, as far as there are any."""
        name: Line = ()
        if self.head.name is not None:
            name = symbol_name(self.head.name, self.head.time, self.part)
        elif self.is_output and self.head.shape == ():
            name = (Span("L"),)
        if not self.terms and not self.head.is_leaf and self.role != "input":
            symbol = Span(operation_symbol(self.head), soft=bool(name))
            return (*name, Span(" "), symbol) if name else (symbol,)
        if self.terms:
            return name or join(self.terms)
        return name or (Span("constant" if self.head.is_leaf and not self.head.requires_grad else "leaf"),)


@dataclass(slots=True)
class Link:
    """An arrow from one item to another, and the inputs of recorded operations that it stands for."""

    source: int
    target: int
    edges: list[tuple[Node, int]] = field(default_factory=list)


@dataclass(slots=True)
class Diagram:
    """Items and links of one picture, with the steps that become its columns."""

    items: list[Item]
    links: list[Link]
    steps: list[Step]

    @property
    def after(self) -> int:
        """The place of what comes after the last step."""
        return len(self.steps)


def operation_symbol(node: Node) -> str:
    """What a picture shows for an operation: 1− for what is subtracted from one."""
    minuend = getattr(node, "minuend", None)
    if minuend is not None:
        return f"{minuend:g}{node.symbol}"
    return "const −" if node.label == "sub" and node.inputs[0] is None else node.symbol


def build(nodes: Sequence[Node], outputs: Sequence[Node], full: bool = False) -> Diagram:
    """Group recorded nodes into items and links.

    Args:
        nodes: what ``minigrad.walk`` returned.
        outputs: the nodes of the tensors to be drawn.
        full: draw every recorded operation by itself.
    """
    recorded = Recorded(nodes)
    folding = Folding(recorded, full)
    roots = {recorded.number[node] for node in outputs}
    item_of = [0] * len(nodes)
    items: list[Item] = []
    for members in _inputs_first(folding):
        for i in members:
            item_of[i] = len(items)
        items.append(_item(len(items), members, folding, full, roots))
    _set_lineages(items)
    links = _links(recorded, item_of, items)
    for link in links:
        items[link.target].initial = False
    _set_initial_lineages(items, links)
    _assign_roles(items, links, recorded)
    return Diagram(items, links, recorded.steps)


def _inputs_first(folding: Folding) -> list[list[int]]:
    """The groups in the order of recording, as far as every group comes after those it is computed from."""
    recorded, group = folding.recorded, folding.group
    sources = {members[0]: {group[j] for i in members for _, j in recorded.inputs[i]} for members in folding.groups()}
    users: dict[int, list[int]] = {g: [] for g in sources}
    for g, needed in sources.items():
        needed.discard(g)
        for j in needed:
            users[j].append(g)
    ready = [g for g, needed in sources.items() if not needed]
    heapify(ready)
    ordered: list[list[int]] = []
    while ready:
        g = heappop(ready)
        ordered.append(folding.members(g))
        for user in users[g]:
            sources[user].discard(g)
            if not sources[user]:
                heappush(ready, user)
    return ordered


def _set_lineages(items: list[Item]) -> None:
    """Scope and name tell what an item is from step to step; items that share both are numbered within their step."""
    counts: dict[tuple[object, ...], int] = {}
    for item in items:
        head = item.head
        alike = (item.place, head.scope, head.name, None if head.name is not None else head.label)
        counts[alike] = counts.get(alike, 0) + 1
        item.lineage = (*alike[1:], counts[alike])


def _set_initial_lineages(items: list[Item], links: list[Link]) -> None:
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


def _item(index: int, members: list[int], folding: Folding, full: bool, roots: set[int]) -> Item:
    recorded = folding.recorded
    nodes = tuple(recorded.nodes[i] for i in members)
    affine = [] if full else [i for i in members if folding.affine[i]]
    terms = affine_terms(folding, members) if affine else []
    made = [i for i in affine or members if folding.label[i] not in REARRANGEMENTS] or affine or members
    best = next((i for i in reversed(members) if folding.named[i]), made[-1])
    head, place = recorded.nodes[best], recorded.place[made[-1]]
    initial = any(i in recorded.initial for i in members)
    part = folding.part.get(recorded.number[head])
    return Item(index, nodes, head, place, "", terms, initial, part=part, is_output=any(i in roots for i in members))


def _links(recorded: Recorded, item_of: list[int], items: list[Item]) -> list[Link]:
    links: dict[tuple[int, int, int], Link] = {}
    for i, node in enumerate(recorded.nodes):
        for slot, j in recorded.inputs[i]:
            source, target = item_of[j], item_of[i]
            if source != target:
                which = slot if len(items[target].nodes) == 1 else -1
                links.setdefault((source, target, which), Link(source, target)).edges.append((node, slot))
    return list(links.values())


def _assign_roles(items: list[Item], links: list[Link], recorded: Recorded) -> None:
    sources: list[set[int]] = [set() for _ in items]
    for link in links:
        sources[link.target].add(link.source)
    carried = _carried(items, links, recorded.after)
    for item in items:
        item.role = _role(item, carried, [items[j] for j in sorted(sources[item.index])], recorded.after)
    targets: list[list[Item]] = [[] for _ in items]
    uses: list[list[tuple[Node, int]]] = [[] for _ in items]
    for link in links:
        targets[link.source].append(items[link.target])
        uses[link.source] += link.edges
    for item in items:
        if item.role == "parameter" and targets[item.index]:
            operand = all(node.label == "matmul" and slot == 0 and transposes(node) for node, slot in uses[item.index])
            if operand or all(t.role == "input" for t in targets[item.index]):
                item.role = "input"


def _carried(items: list[Item], links: list[Link], after: int) -> set[tuple[object, ...]]:
    """The lineages of states: what begins with an initial state, or what most steps where it is hand to another step."""
    found: set[tuple[object, ...]] = set()
    steps: dict[tuple[object, ...], set[int]] = {}
    made = Counter(item.lineage for item in items if 0 <= item.place < after)
    for link in links:
        source, target = items[link.source], items[link.target]
        if source.initial:
            found.add(source.lineage)
        elif 0 <= source.place < after and 0 <= target.place < after and source.place != target.place:
            steps.setdefault(source.lineage, set()).add(source.place)
    return found | {lineage for lineage, places in steps.items() if 2 * len(places) >= made[lineage] - 1}


def _role(item: Item, carried: set[tuple[object, ...]], sources: list[Item], after: int) -> str:
    head = item.head
    if item.is_output and head.shape == () and not head.is_leaf:
        return "loss"
    if item.lineage in carried:
        return "state"
    if head.is_leaf:
        return "parameter" if head.time is None and head.requires_grad else "input"
    if item.terms:
        return "affine"
    if 0 <= item.place < after and sources and all(s.place == BEFORE and not s.initial for s in sources) and head.name:
        return "input"
    if head.name is not None:
        return "gate" if 0 <= item.place < after else "activation"
    return "operation" if len(operation_symbol(head)) <= 3 else "activation"
