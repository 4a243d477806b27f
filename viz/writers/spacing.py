"""How far apart things must be in a terminal, along both axes, lest words or lines run over one another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from ..paths import Point
from ..sheet import Rectangle
from .blocks import Block, rows_of
from .ways import vertical_pieces

__all__ = ["Apart", "columns_apart", "rows_apart"]

Apart = tuple[float, float, int]
"""Two places, and how many rows or columns the second comes after the first."""
Level = tuple[float, float, int, int]
"""The least and the greatest height of what stands in a row, and how many rows it takes above and below that one."""
SAME_ROW = 12.0
TOUCHING = 32.0
NARROWEST_PANEL = 12


def rows_apart(blocks: Sequence[Block], others: Iterable[float]) -> Iterator[Apart]:
    """Rows need room for their blocks, and for an arrow between two; ``others`` are heights of what takes one row."""
    levels: list[Level] = []
    for _, row in rows_of([block for block in blocks if not block.is_tall], SAME_ROW):
        heights, beyond = [block.y for block in row], zip(*(block.levels() for block in row), strict=True)
        above, below = (max(rows for _, rows in side) for side in beyond)
        levels.append((min(heights), max(heights), above, below))
    for (_, a, _, below), (b, _, above, _) in pairwise(levels):
        yield a, b, below + above + 1 + (b - a > TOUCHING)
    edges = [y for block in blocks if block.is_tall for (y, _) in block.levels()]
    yield from ((block.levels()[0][0], block.levels()[1][0], block.size[0] - 1) for block in blocks if block.is_tall)
    single = sorted((y, y, 0, 0) for y in (*others, *edges))
    for some in (single, sorted([*levels, *single])):
        for (_, a, _, below), (b, _, above, _) in _apart(some):
            yield a, b, below + above + 1


def _apart(levels: Sequence[Level]) -> Iterator[tuple[Level, Level]]:
    """Each level with the first below it that is not at about the same height, and each with the last above it."""
    found: dict[tuple[int, int], None] = {}
    for this in range(len(levels)):
        below = next((k for k in range(this + 1, len(levels)) if levels[k][0] - levels[this][1] >= SAME_ROW), None)
        above = next((k for k in range(this - 1, -1, -1) if levels[this][0] - levels[k][1] >= SAME_ROW), None)
        found.update(dict.fromkeys([(this, below)] if below is not None else []))
        found.update(dict.fromkeys([(above, this)] if above is not None else []))
    yield from ((levels[a], levels[b]) for a, b in found)


def columns_apart(blocks: Sequence[Block], panels: Sequence[Rectangle], lines: Sequence[Sequence[Point]]) -> Iterator[Apart]:
    """Neighbours in a row need room for their words and for an arrow between them, and lines that pass need a column."""
    yield from ((panel.x, panel.x + panel.width, NARROWEST_PANEL) for panel in panels)
    yield from ((b.edges()[0][0], b.edges()[1][0], b.size[1] - 1) for b in blocks if b.is_broad)
    passing = sorted({piece for line in lines for piece in vertical_pieces(line)})
    for y, row in rows_of(blocks, SAME_ROW):
        beside = [p for p in panels if p.y <= y <= p.y + p.height]
        walls = [((x, 0), (x, 0)) for x in (0.0, *(x for p in beside for x in (p.x, p.x + p.width)))]
        ends = sorted([*(block.edges() for block in row), *walls])
        for ((_, _), (a, right)), ((b, left), (_, _)) in pairwise(ends):
            yield a, b, right + left + 3
        yield from _around(row, y, passing)


def _around(row: Sequence[Block], y: float, passing: Sequence[tuple[float, float, float]]) -> Iterator[Apart]:
    """Lines that pass between the blocks of a row."""
    middles = [block.x for block in row]
    for x, top, bottom in passing:
        if top <= y <= bottom:
            k = bisect_left(middles, x)
            if k and x > row[k - 1].x + row[k - 1].width / 2:
                (_, (a, right)) = row[k - 1].edges()
                yield a, x, right + 1
            if k < len(row) and x < row[k].x - row[k].width / 2:
                ((b, left), _) = row[k].edges()
                yield x, b, left + 1
