"""In which row each item of a column stands.

Rows count from the bottom. A state that is carried from step to step through element-wise operations only (the LSTM's
c, the GRU's h) has a *highway*: these operations and the state stand in one row of their own, and since every column
has it at the same height, the line runs straight across the picture. What is computed from a highway and carried on
(the LSTM's h) stands below it, what goes to the output above it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import pairwise

from ..diagram.items import Item
from ..diagram.numbering import band_of
from .columns import Column, Lineage

__all__ = ["reachable", "set_rows"]

Band = tuple[int, int]
NO_BAND = (0, 0)


Bands = dict[Band, int]
"""The lowest row of each band, the same in all columns."""


def set_rows(columns: list[Column]) -> int:
    """Choose the rows of all columns, equal for what plays the same part; returns how many rows there are.

    Layers and directions have bands of rows of their own, one above the other.
    """
    for column in columns:
        column.highways = _highways(column)
    least: dict[Lineage, int] = {}
    bands: Bands = {}
    for _ in range(2 * len(columns) + 8):
        for column in columns:
            column.row = _rows(column, least, bands)
        before = (dict(least), dict(bands))
        for column in columns:
            for item, row in zip(column.first, column.row, strict=True):
                if item.head.name is not None:
                    least[item.lineage] = max(least.get(item.lineage, 0), row)
            for band, row in _lowest_rows(column).items():
                bands[band] = max(bands.get(band, 0), row)
        if (least, bands) == before:
            break
    return max((row + 1 for column in columns for row in column.row), default=0)


def _lowest_rows(column: Column) -> Bands:
    """For each band of a column the lowest row above all bands below it."""
    found: Bands = {}
    highest = -1
    of_item = _bands_of(column)
    for band in sorted(set(of_item) - {NO_BAND}):
        rows = [row for other, row in zip(of_item, column.row, strict=True) if other == band]
        found[band] = max(min(rows), highest + 1)
        highest = max([highest, *rows])
    return found


def _bands_of(column: Column) -> list[Band]:
    """The band of each item; what merely enters a step, or joins the directions of a layer, has none."""
    found = [band_of(item.head.scope) if item.role != "input" else NO_BAND for item in column.first]
    divided = {layer for layer, direction in found if direction}
    return [NO_BAND if layer in divided and not direction else (layer, direction) for layer, direction in found]


def _highways(column: Column) -> list[list[int]]:
    """For each carried state its way through the step, if it is element-wise throughout."""
    users: dict[int, list[int]] = defaultdict(list)
    for source, target in column.links:
        users[source].append(target)
    found: list[list[int]] = []
    taken: set[int] = set()
    for k, item in enumerate(column.first):
        entrances = sorted({j for lineage, j, _ in column.arrives if lineage == item.lineage})
        reverse = any(right for lineage, _, right in column.arrives if lineage == item.lineage)
        way = _elementwise_way(entrances, k, column.first, users)
        if way and not taken.intersection(way):
            taken.update(way)
            found.append(way[::-1] if reverse else way)
    return found


def _elementwise_way(entrances: Iterable[int], goal: int, items: list[Item], users: dict[int, list[int]]) -> list[int]:
    came_from: dict[int, int] = {}
    queue = deque(j for j in entrances if items[j].elementwise)
    seen = set(queue)
    while queue:
        j = queue.popleft()
        if j == goal:
            way = [j]
            while way[-1] in came_from:
                way.append(came_from[way[-1]])
            return way[::-1]
        for user in users[j]:
            if user not in seen and items[user].elementwise and (user == goal or items[user].head.name is None):
                seen.add(user)
                came_from[user] = j
                queue.append(user)
    return []


def _rows(column: Column, least: dict[Lineage, int], bands: Bands) -> list[int]:
    """Rows as low as the constraints allow: above what it is computed from, or below, for what hangs from a highway."""
    highway_of = {j: way[0] for way in column.highways for j in way}
    stands_for = [highway_of.get(j, j) for j in range(len(column.first))]
    users: dict[int, list[int]] = defaultdict(list)
    for source, target in column.links:
        users[source].append(target)
    hanging = _hanging(column, users)
    above: set[tuple[int, int]] = set()
    for u, v in column.links:
        down = v in hanging and (u in hanging or u in highway_of)
        above.add((stands_for[v], stands_for[u]) if down else (stands_for[u], stands_for[v]))
    for way in column.highways:
        for v in reachable(way, users) - hanging - set(way):
            above.add((stands_for[way[0]], stands_for[v]))
    above = {(low, high) for low, high in above if low != high}
    of_item = _bands_of(column)
    between_bands = _between_bands(of_item, stands_for)
    if _longest_ways([0] * len(column.first), above | between_bands) is None:
        of_item, between_bands = [NO_BAND] * len(of_item), set()
    above |= between_bands
    lowest = [0] * len(column.first)
    for j, item in enumerate(column.first):
        lowest[stands_for[j]] = max(lowest[stands_for[j]], least.get(item.lineage, 0), bands.get(of_item[j], 0))
    rows = _longest_ways(lowest, above)
    if rows is None:
        column.highways = []
        return _rows(column, least, bands)
    for _ in range(4 * len(rows)):
        intruder = _intruder(column, stands_for, rows, highway_of)
        if intruder is None:
            break
        lowest[intruder] = rows[intruder] + 1
        rows = _longest_ways(lowest, above) or rows
    return [rows[stands_for[j]] for j in range(len(rows))]


def _between_bands(of_item: list[Band], stands_for: list[int]) -> set[tuple[int, int]]:
    """Everything in one band stands below everything in the next."""
    members: dict[Band, set[int]] = defaultdict(set)
    for j, band in enumerate(of_item):
        if band != NO_BAND:
            members[band].add(stands_for[j])
    ordered = [members[band] for band in sorted(members)]
    return {(low, high) for lower, upper in pairwise(ordered) for low in lower for high in upper if low != high}


def _hanging(column: Column, users: dict[int, list[int]]) -> set[int]:
    """What is computed from a highway by element-wise operations, and nothing else above it, and carried on.

    It stands below the highway.
    """
    items = column.first
    on_highway = {j for way in column.highways for j in way}
    light = {j for j, item in enumerate(items) if item.light and j not in on_highway}
    carried = {lineage for lineage, _, _ in column.arrives}
    sources: dict[int, list[int]] = defaultdict(list)
    for source, target in column.links:
        sources[target].append(source)
    found: set[int] = set()
    for way in column.highways:
        after = reachable(way, users)
        hanging = reachable(way, {j: [u for u in users[j] if u in light] for j in users})
        previous: set[int] = set()
        while hanging != previous:
            previous = hanging
            states = {j for j in hanging if items[j].lineage in carried}
            hanging = states | reachable(states, {j: [u for u in sources[j] if u in previous] for j in previous})
            hanging = {j for j in hanging if all(u in hanging or u in way or u not in after for u in sources[j])}
        found |= hanging
    return found


def reachable(starts: Iterable[int], steps: dict[int, list[int]]) -> set[int]:
    """All that can be reached from ``starts``, without these unless a way leads back to them."""
    found: set[int] = set()
    stack = sorted(starts)
    while stack:
        for j in steps.get(stack.pop(), ()):
            if j not in found:
                found.add(j)
                stack.append(j)
    return found


def _longest_ways(lowest: list[int], above: set[tuple[int, int]]) -> list[int] | None:
    """The lowest rows with every pair (low, high) in order; None if the pairs go in a circle."""
    rows = list(lowest)
    higher: dict[int, list[int]] = defaultdict(list)
    waiting = [0] * len(rows)
    for low, high in sorted(above):
        higher[low].append(high)
        waiting[high] += 1
    ready = [j for j in range(len(rows)) if not waiting[j]]
    done = 0
    while ready:
        j = ready.pop()
        done += 1
        for high in higher[j]:
            rows[high] = max(rows[high], rows[j] + 1)
            waiting[high] -= 1
            if not waiting[high]:
                ready.append(high)
    return rows if done == len(rows) else None


def _intruder(column: Column, stands_for: list[int], rows: list[int], highway_of: dict[int, int]) -> int | None:
    """Something that must move up because it stands in a highway's row, or beside what it is linked with."""
    for way in sorted({way[0] for way in column.highways}):
        for j in range(len(rows)):
            if stands_for[j] == j != way and rows[j] == rows[way]:
                return max(j, way) if j in highway_of else way
    for u, v in column.links:
        if stands_for[u] != stands_for[v] and rows[stands_for[u]] == rows[stands_for[v]]:
            return stands_for[v]
    return None
