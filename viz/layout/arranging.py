"""Layered drawing from beginning to end."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

from .layered import Arrangement, Proper, Rows
from .ordering import Ordering
from .positions import Positions

__all__ = ["Rows", "arrange"]

REMEMBERED = 256
"""So many arrangements are known again: the columns of a network are alike, and so is the network when it is drawn again."""


def arrange(rows: Rows) -> Arrangement:
    """Order and place the vertices; the first edge of anything is at 0."""
    found = _arranged(tuple(_frozen(getattr(rows, field.name)) for field in fields(rows)))
    return Arrangement(
        list(found.centre), [list(chain) for chain in found.bends], {r: list(members) for r, members in found.order.items()}
    )


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@lru_cache(REMEMBERED)
def _arranged(asked: tuple[Any, ...]) -> Arrangement:
    """The arrangement of what `Rows` holds, in the order of its fields."""
    proper = Proper(Rows(*asked))
    order = Ordering(proper).best()
    centre = Positions(proper, order).solve()
    return Arrangement(
        centre[: proper.count],
        [[(proper.row[v], centre[v]) for v in chain] for chain in proper.chains],
        {r: [v for v in members if v < proper.count] for r, members in order.items()},
    )
