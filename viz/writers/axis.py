"""Where a coordinate of a picture lies among the columns or rows of a terminal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import floor

__all__ = ["Axis"]


class Axis:
    """Where a coordinate lies on an axis that is counted in characters.

    Args:
        places: coordinates that keep their order.
        apart: pairs of coordinates, the smaller first, with how many characters must lie between them.
        points: how many points go to a character where nothing needs more.

    >>> axis = Axis([0.0, 50.0, 100.0], [(0.0, 50.0, 8)], points=25.0)
    >>> [axis.at(x) for x in (0.0, 25.0, 50.0, 100.0, 125.0)]
    [0, 4, 8, 10, 11]
    """

    def __init__(self, places: Iterable[float], apart: Sequence[tuple[float, float, int]], points: float) -> None:
        self._points = points
        needs: dict[float, list[tuple[float, int]]] = {}
        for a, b, room in apart:
            needs.setdefault(round(b, 1), []).append((round(a, 1), room))
        known = {round(place, 1) for place in places} | needs.keys() | {a for pairs in needs.values() for a, _ in pairs}
        self._places = sorted(known) or [0.0]
        reached: dict[float, float] = {self._places[0]: 0.0}
        for before, place in pairwise(self._places):
            free = reached[before] + (place - before) / points
            reached[place] = max([free, *(reached[a] + room for a, room in needs.get(place, []) if a < place)])
        self._reached = [reached[place] for place in self._places]

    def at(self, coordinate: float) -> int:
        """The column or row of a coordinate."""
        places, reached = self._places, self._reached
        k = bisect_right(places, coordinate + 0.05) - 1
        if k < 0 or k == len(places) - 1:
            k = max(k, 0)
            return floor(reached[k] + (coordinate - places[k]) / self._points + 0.5)
        part = (coordinate - places[k]) / (places[k + 1] - places[k])
        return floor(reached[k] + part * (reached[k + 1] - reached[k]) + 0.5)
