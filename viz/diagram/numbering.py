"""Which of several parts with the same names something belongs to: h⁽¹⁾ and h⁽²⁾ of a stacked network."""

from __future__ import annotations

import re

from .places import Recorded

__all__ = ["part_numbers"]


LAYER = re.compile(r"layer[ _]?(\d+)")
ARROWS = {"forward": "→", "backward": "←"}


def part_numbers(recorded: Recorded) -> dict[int, str]:
    """For nodes whose name is not unique, the number of the part (counted from 1) that they belong to, as text.

    Parameters of one name are numbered one by one. States and gates of one name are numbered by the scopes they were
    recorded in, and initial states by the scope that begins with them. Where the scopes name layers and directions, the
    parts are called by these: 1→, 1←, 2→, 2←.
    """
    owners: dict[tuple[str, bool], list[object]] = {}
    owner_of: dict[int, tuple[tuple[str, bool], object]] = {}
    titles: dict[tuple[str, bool], list[str]] = {}
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
            places = [recorded.nodes[k].scope for k, _ in recorded.consumers[i]] if parameter else [node.scope]
            found = {_title(place) for place in places}
            titles.setdefault(key, []).append(found.pop() if len(found) == 1 else "")
    for key, known in titles.items():
        if "" in known or len(set(known)) < len(known):
            titles[key] = [str(k) for k in range(1, len(known) + 1)]
    return {
        i: titles[key][owners[key].index(owner)]
        for i, (key, owner) in owner_of.items()
        if len(owners.get(key, ())) > 1 and owner in owners[key]
    }


def _title(scope: tuple[str, ...]) -> str:
    """What a scope says about layer and direction: ("layer 2", "backward", "gru") is 2←."""
    layers = [found[1] for found in map(LAYER.fullmatch, scope) if found]
    return "".join(layers[-1:] + [ARROWS[name] for name in scope if name in ARROWS][-1:])
