"""From recorded nodes to a diagram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from minigrad.graph import Node

from .cuts import mended
from .folding import REARRANGEMENTS, Folding
from .formula import affine_terms, is_telling
from .gates import by_gate
from .items import Diagram, Item, Link, is_square
from .picks import picked
from .places import Recorded
from .roles import assign_roles, set_initial_lineages, set_lineages
from .unhoisting import unhoisted
from .vertices import vertices_of

__all__ = ["build"]

MERGED = (-1, -1)


def build(nodes: Sequence[Node], outputs: Sequence[Node], full: bool = False) -> Diagram:
    """Group recorded nodes into items and links.

    Args:
        nodes: what ``minigrad.walk`` returned.
        outputs: the nodes of the tensors to be drawn.
        full: draw every recorded operation by itself.
    """
    vertices = vertices_of(nodes)
    asked_for = {vertex for vertex in vertices if vertex.node in outputs}
    shown = vertices if full else by_gate(unhoisted(picked(mended(vertices), asked_for), asked_for), asked_for)
    recorded = Recorded(shown)
    folding = Folding(recorded, full)
    roots = {recorded.number[vertex] for vertex in asked_for}
    item_of = [0] * len(recorded.nodes)
    items: list[Item] = []
    for members in folding.groups():
        for i in members:
            item_of[i] = len(items)
        items.append(_item(len(items), members, folding, full, roots))
    set_lineages(items)
    links = _links(recorded, item_of, items)
    for link in links:
        items[link.target].initial = False
    set_initial_lineages(items, links)
    for link in links:
        link.lineage = items[link.source].lineage
    assign_roles(items, links, recorded.after, [not step.between for step in recorded.steps])
    vertex_of = {vertex.node: vertex for vertex in asked_for}
    roots_in_order = [vertex_of[node] for node in outputs]
    return Diagram(items, links, recorded.steps, recorded.nodes, roots_in_order, _lap_names(items, recorded))


def _lap_names(items: Sequence[Item], recorded: Recorded) -> dict[int, str]:
    """What most of the items of each lap were recorded under, if there are several laps."""
    if not any(step.lap for step in recorded.steps):
        return {}
    outermost: dict[int, Counter[str]] = {}
    for item in items:
        if 0 <= item.place < recorded.after and not recorded.steps[item.place].between and item.head.scope:
            outermost.setdefault(recorded.steps[item.place].lap, Counter())[item.head.scope[0]] += 1
    return {lap: found.most_common(1)[0][0] for lap, found in outermost.items()} if len(outermost) > 1 else {}


def _item(index: int, members: list[int], folding: Folding, full: bool, roots: set[int]) -> Item:
    recorded = folding.recorded
    nodes = tuple([recorded.nodes[i] for i in members])
    affine = [] if full else [i for i in members if folding.affine[i]]
    terms = affine_terms(folding, members) if affine else []
    if not is_telling(terms):
        terms = []
    made = [i for i in affine or members if folding.label[i] not in REARRANGEMENTS] or affine or members
    named = [i for i in members if folding.named[i]]
    head, place = recorded.nodes[(named or made)[-1]], recorded.place[made[-1]]
    initial, is_output = not recorded.initial.isdisjoint(members), not roots.isdisjoint(members)
    part = folding.part.get(recorded.number[head])
    return Item(index, nodes, head, place, "", terms, initial, part=part, is_output=is_output)


def _links(recorded: Recorded, item_of: list[int], items: list[Item]) -> list[Link]:
    """One link for each use of an item by another; the uses within an affine box or by a square are one link together."""
    links: dict[tuple[int, int, tuple[int, int]], Link] = {}
    joint = [bool(item.terms) or is_square(item.head) for item in items]
    for i, node in enumerate(recorded.nodes):
        for slot, j in recorded.inputs[i]:
            source, target = item_of[j], item_of[i]
            if source != target:
                which = MERGED if joint[target] else (i, slot)
                links.setdefault((source, target, which), Link(source, target)).edges.append((node, slot))
    return list(links.values())
