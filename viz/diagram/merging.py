"""Several items drawn as one: a closed cell, a stretch of folded steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from .items import Diagram, Item, Link

__all__ = ["Group", "merged"]

Group = Hashable


def merged(diagram: Diagram, group: Mapping[int, Group], make: Callable[[Group, list[Item]], Item]) -> Diagram:
    """The diagram with the items of every group drawn as one, which stands where the last of them stood.

    Args:
        diagram: what is drawn item by item.
        group: the group of each item, by its number; items without one stay as they are.
        make: the item that stands for the members of a group.
    """
    members: dict[Group, list[Item]] = {}
    for item in diagram.items:
        if item.index in group:
            members.setdefault(group[item.index], []).append(item)
    number: dict[int, int] = {}
    items: list[Item] = []
    for item in diagram.items:
        own = members.get(group[item.index]) if item.index in group else [item]
        if own is None or own[-1] is not item:
            continue
        number.update(dict.fromkeys((member.index for member in own), len(items)))
        items.append(make(group[item.index], own) if item.index in group else item)
    links: dict[tuple[object, ...], Link] = {}
    is_group = {number[k] for k in group}
    for k, link in enumerate(diagram.links):
        source, target = number[link.source], number[link.target]
        if source == target:
            continue
        key: tuple[object, ...] = (source, target, link.lineage) if is_group & {source, target} else (k,)
        links.setdefault(key, Link(source, target, link.lineage)).edges.extend(link.edges)
    for index, item in enumerate(items):
        item.index = index
    return Diagram(items, list(links.values()), diagram.steps, diagram.vertices, diagram.roots, diagram.lap_names)
