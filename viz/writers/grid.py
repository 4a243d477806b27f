"""From points to the columns and rows of a terminal: as close together as the words allow.

A picture for a page has room between its boxes; in a terminal there is none to give away. Along each axis the places of
things keep their order, are pushed apart until their words fit, and otherwise drawn together.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from ..paths import Point
from ..sheet import Circle, Mark, Path, Rectangle, Sheet, Words
from ..text import plain
from .axis import Axis

__all__ = ["Block", "Grid", "Span", "columns"]

Cell = tuple[int, int]
SAME_ROW = 6.0
POINTS_PER_ROW = 40.0
SPARSEST = 60.0
BROAD, TOUCHING = 90.0, 32.0
NARROWEST_PANEL = 12
BAR_POINTS, BAR_ROWS = 64.0, 4


class Span(NamedTuple):
    """The first and the last row and column of a rectangle of characters."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True)
class Block:
    """An item of the picture as characters: its words, in a frame or without one."""

    x: float
    y: float
    width: float
    height: float
    lines: list[str]
    framed: bool
    span: Span = field(default_factory=lambda: Span(0, 0, 0, 0))

    @property
    def size(self) -> tuple[int, int]:
        """How many rows and columns it takes."""
        frame = 2 * self.framed
        return max(len(self.lines), 1) + frame, max(map(columns, self.lines), default=1) + frame

    def holds(self, point: Point) -> bool:
        """Whether a point of the picture is in the item or on its outline."""
        return abs(point[0] - self.x) < self.width / 2 + 2 and abs(point[1] - self.y) < self.height / 2 + 2


def columns(text: str) -> int:
    """How many columns of a terminal a text takes.

    >>> columns("h₃"), columns("名前")
    (2, 4)
    """
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text if unicodedata.category(c) not in ("Mn", "Me", "Cf"))


class Grid:
    """Where everything of a sheet goes in a terminal of so many columns.

    Attributes:
        blocks: the items, by their keys.
        labels: the words that belong to no item.
    """

    def __init__(self, sheet: Sheet, width: int) -> None:
        layers = dict(sheet.layers())
        self._panels = [mark.shapes[0] for mark in layers.get("panels", []) if isinstance(mark.shapes[0], Rectangle)]
        bars = layers.get("bars", [])
        self.blocks = {mark.key: _block(mark) for mark in layers.get("boxes", [])}
        feet = [_bar_block(bar) for bar in bars]
        below = min([self._top_of(sheet), *(block.y for block in self.blocks.values())])
        self.labels = [words for mark in layers.get("texts", []) for words in mark.shapes if isinstance(words, Words)]
        self.labels = [words for words in self.labels if words.y > below]
        everything = [*self.blocks.values(), *feet]
        edges = [x for panel in self._panels for x in (panel.x, panel.x + panel.width)]
        points = min(max(sheet.width / max(width - 2, 1), 6.0), SPARSEST)
        self._columns = Axis([0.0, sheet.width, *edges], self._apart(feet), points)
        self._rows = Axis([], _stacked(everything, self._panels, self.labels), POINTS_PER_ROW)
        for block in self.blocks.values():
            block.span = self._span(block)
        self._width = max([self.column(sheet.width), *(block.span.right + 1 for block in self.blocks.values())])

    def _top_of(self, sheet: Sheet) -> float:
        return min([sheet.height, *(panel.y for panel in self._panels)])

    def _apart(self, bars: Sequence[Block]) -> list[tuple[float, float, int]]:
        """Neighbours in a row need room for their words and for an arrow between them."""
        apart = [(panel.x, panel.x + panel.width, NARROWEST_PANEL) for panel in self._panels]
        for row in _rows(list(self.blocks.values())):
            y = row[0].y
            places = [(0.0, 0), *((x, 0) for p in self._panels if p.y <= y <= p.y + p.height for x in (p.x, p.x + p.width))]
            for block in row:
                ends = (block.x - block.width / 2, block.x + block.width / 2)
                places += [(x, 0) for x in ends] if block.width > BROAD else [(block.x, block.size[1])]
                apart += [(*ends, block.size[1] - 1)] * (block.width > BROAD)
            apart += _neighbours(places)
        if bars:
            top = min(bar.y - bar.height for bar in bars)
            beside = [(words.x, columns(plain(words.line))) for words in self.labels if words.y > top]
            feet = [(bar.x, bar.size[1]) for bar in bars]
            apart += _neighbours([*((panel.x, 0) for panel in self._panels), *beside, *feet])
        return apart

    def _span(self, block: Block) -> Span:
        """The words of a block in their frame, which is wider than they need where other things stand along it."""
        height, breadth = block.size
        top, left = self.row(block.y) - (height - 1) // 2, self.column(block.x) - (breadth - 1) // 2
        right = left + breadth - 1
        if block.width > BROAD:
            left = min(left, self.column(block.x - block.width / 2))
            right = max(right, self.column(block.x + block.width / 2))
        return Span(top, left, top + height - 1, right)

    def column(self, x: float) -> int:
        """The column of a coordinate."""
        return self._columns.at(x)

    def row(self, y: float) -> int:
        """The row of a coordinate."""
        return self._rows.at(y)

    def frame(self, panel: Mark) -> Span:
        """The outline of a panel."""
        frame = panel.shapes[0]
        assert isinstance(frame, Rectangle)
        top, bottom = self.row(frame.y), self.row(frame.y + frame.height)
        return Span(top, self.column(frame.x), bottom, self.column(frame.x + frame.width))

    def bar_foot(self, bar: Rectangle) -> int:
        """The row in which a bar stands."""
        return self.row(bar.y + bar.height - BAR_POINTS / 2) + BAR_ROWS // 2

    def bar_rows(self, bar: Rectangle) -> float:
        """How many rows high it is."""
        return bar.height / BAR_POINTS * BAR_ROWS

    def bands(self, width: int) -> Iterator[tuple[int, int]]:
        """The first and the last column (not included) of each part that fits, cut before a step or else before an item."""
        starts = sorted({self.column(panel.x) for panel in self._panels})
        first = 0
        while first < self._width:
            last = first + width
            if last < self._width:
                last = max((start for start in starts if first < start <= last), default=self._before_items(first, last))
            yield first, last
            first = last

    def _before_items(self, first: int, last: int) -> int:
        """The column, at most ``last``, that cuts no item in two; ``last`` if there is none."""
        cut = last
        while torn := [block.span.left for block in self.blocks.values() if block.span.left < cut <= block.span.right]:
            cut = min(torn)
        return cut if cut > first else last

    def walk(self, path: Path, source: str, target: str) -> list[Cell]:
        """The cells of a line, each beside the next, from the item where it starts to the one where it ends."""
        corners = [(self.row(y), self.column(x)) for x, y in path.points[::3]]
        for end, key in ((0, source), (-1, target)):
            if key in self.blocks and self.blocks[key].holds(path.points[end]):
                corners[end] = _nearest(self.blocks[key].span, corners[end])
        cells = [corners[0]]
        for k in range(len(corners) - 1):
            (x0, y0), (x1, y1), (x2, y2), (x3, y3) = path.points[3 * k : 3 * k + 4]
            leaves, arrives = abs(y1 - y0) > abs(x1 - x0), abs(y3 - y2) > abs(x3 - x2)
            for corner in _turns(corners[k], corners[k + 1], leaves, arrives):
                cells += list(_straight(cells[-1], corner))
        return cells


def _block(mark: Mark) -> Block:
    outline = mark.shapes[0]
    lines = [plain(words.line) for words in mark.shapes if isinstance(words, Words)]
    if isinstance(outline, Rectangle):
        return Block(*outline.middle, outline.width, outline.height, lines, framed=True)
    assert isinstance(outline, Circle)
    return Block(outline.x, outline.y, 2 * outline.radii[0], 2 * outline.radii[1], lines, framed=False)


def _bar_block(mark: Mark) -> Block:
    """A bar takes four rows, with one more for its number and one for its name."""
    bar = mark.shapes[0]
    assert isinstance(bar, Rectangle)
    lines = [plain(words.line) for words in mark.shapes if isinstance(words, Words)]
    middle = bar.y + bar.height - BAR_POINTS / 2
    return Block(bar.x + bar.width / 2, middle, bar.width, BAR_POINTS, [*lines, *[""] * BAR_ROWS], framed=False)


def _rows(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks at the same height, from the top."""
    rows: list[list[Block]] = []
    for block in sorted(blocks, key=lambda block: block.y):
        if rows and block.y - rows[-1][0].y < SAME_ROW:
            rows[-1].append(block)
        else:
            rows.append([block])
    return rows


def _stacked(blocks: Sequence[Block], panels: Sequence[Rectangle], labels: Sequence[Words]) -> list[tuple[float, float, int]]:
    """Rows need room for their blocks, and for an arrow between two."""
    places: dict[float, int] = {}
    for row in _rows(blocks):
        places |= dict.fromkeys((block.y for block in row), max(block.size[0] for block in row))
    for y in [y for panel in panels for y in (panel.y, panel.y + panel.height)] + [words.y - 4 for words in labels]:
        places.setdefault(y, 0)
    pairs: list[tuple[float, float, int]] = []
    for (a, high_a), (b, high_b) in pairwise(sorted(places.items())):
        arrow = bool(high_a and high_b and b - a > TOUCHING)
        pairs.append((a, b, 0 if b - a < SAME_ROW else (max(high_a, 1) + max(high_b, 1)) // 2 + arrow))
    return pairs


def _neighbours(places: Iterable[tuple[float, int]]) -> Iterator[tuple[float, float, int]]:
    """How far apart things in a row must be, given where their middles are and how wide they are."""
    for (a, wide_a), (b, wide_b) in pairwise(sorted(set(places))):
        yield a, b, (wide_a + wide_b + 1) // 2 + (2 if wide_a or wide_b else 3)


def _nearest(span: Span, cell: Cell) -> Cell:
    return min(max(cell[0], span.top), span.bottom), min(max(cell[1], span.left), span.right)


def _turns(start: Cell, end: Cell, leaves: bool, arrives: bool) -> list[Cell]:
    """The corners of a line between two cells that leaves and arrives vertically or not."""
    (row, column), (last_row, last_column) = start, end
    if leaves and arrives:
        middle = (row + last_row) // 2
        return [(middle, column), (middle, last_column), end]
    if not leaves and not arrives:
        middle = (column + last_column) // 2
        return [(row, middle), (last_row, middle), end]
    return [(last_row, column), end] if leaves else [(row, last_column), end]


def _straight(start: Cell, end: Cell) -> Iterator[Cell]:
    (row, column), (last_row, last_column) = start, end
    while (row, column) != (last_row, last_column):
        row += (last_row > row) - (last_row < row)
        column += (last_column > column) - (last_column < column) if row == last_row else 0
        yield row, column
