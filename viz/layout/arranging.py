"""Layered drawing from beginning to end."""

from __future__ import annotations

from .layered import Arrangement, Proper, Rows
from .ordering import Ordering
from .positions import Positions

__all__ = ["Rows", "arrange"]


def arrange(rows: Rows) -> Arrangement:
    """Order and place the vertices; the first edge of anything is at 0."""
    proper = Proper(rows)
    order = Ordering(proper).best()
    centre = Positions(proper, order).solve()
    return Arrangement(
        centre[: proper.count],
        [[(proper.row[v], centre[v]) for v in chain] for chain in proper.chains],
        {r: [v for v in members if v < proper.count] for r, members in order.items()},
    )
