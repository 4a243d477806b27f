"""Which of several parts with the same names something belongs to: h⁽¹⁾ and h⁽²⁾ of a stacked network."""

from __future__ import annotations

from viz.diagram.places import Recorded

__all__ = ["part_numbers"]


def part_numbers(recorded: Recorded) -> dict[int, int]:
    """For nodes whose name is not unique, the number of the part (counted from 1) that they belong to.

    Parameters of one name are numbered one by one. States and gates of one name are numbered by the scopes they were
    recorded in, and initial states by the scope that begins with them.
    """
    owners: dict[tuple[str, bool], list[object]] = {}
    owner_of: dict[int, tuple[tuple[str, bool], object]] = {}
    for i, node in enumerate(recorded.nodes):
        if node.name is None or (node.is_leaf and not node.requires_grad and i not in recorded.initial):
            continue
        parameter = node.is_leaf and i not in recorded.initial
        scope = recorded.nodes[recorded.consumers[i][0][0]].scope if i in recorded.initial else node.scope
        owner: object = i if parameter else scope
        key = (node.name, parameter)
        owner_of[i] = (key, owner)
        if i not in recorded.initial and owner not in owners.setdefault(key, []):
            owners[key].append(owner)
    return {
        i: owners[key].index(owner) + 1
        for i, (key, owner) in owner_of.items()
        if len(owners.get(key, ())) > 1 and owner in owners[key]
    }
