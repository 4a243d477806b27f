"""Which of several parts with the same names something belongs to: h⁽¹⁾ and h⁽²⁾ of a stacked network."""

from __future__ import annotations

import re
from functools import lru_cache

from .places import Recorded

__all__ = ["band_of", "part_numbers"]


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
        given = node.is_leaf and (node.time is not None or not node.requires_grad)
        if node.name is None or (given and i not in recorded.given):
            continue
        parameter = node.is_leaf and i not in recorded.given
        scope = recorded.nodes[recorded.consumers[i][0][0]].scope if i in recorded.given else node.scope
        owner: object = i if parameter else scope
        key = (node.name, parameter)
        owner_of[i] = (key, owner)
        if i not in recorded.given and owner not in owners.setdefault(key, []):
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


@lru_cache(maxsize=1024)
def band_of(scope: tuple[str, ...]) -> tuple[int, int]:
    """Layer and direction that a scope tells of, (0, 0) where it tells nothing: what stands apart in a column.

    >>> band_of(("encoder", "layer 2", "backward", "gru")), band_of(("decoder",))
    ((2, 2), (0, 0))
    """
    layers = [int(found[1]) for found in map(LAYER.fullmatch, scope) if found]
    directions = [list(ARROWS).index(name) + 1 for name in scope if name in ARROWS]
    return (layers or [0])[-1], (directions or [0])[-1]


def _title(scope: tuple[str, ...]) -> str:
    """What a scope says about layer and direction: ("layer 2", "backward", "gru") is 2←."""
    layers = [found[1] for found in map(LAYER.fullmatch, scope) if found]
    return "".join(layers[-1:] + [ARROWS[name] for name in scope if name in ARROWS][-1:])
