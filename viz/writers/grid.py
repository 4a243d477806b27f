"""From points to the columns and rows of a terminal: as close together as the words allow.

A picture for a page has room between its boxes; in a terminal there is none to give away. Along each axis the places of
things keep their order, are pushed apart until their words fit, and otherwise drawn together.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import floor

from ..sheet import Mark, Path, Rectangle, Sheet, Words
from ..text import plain
from .axis import Axis
from .blocks import BAR_POINTS, BAR_ROWS, Block, Span, bar_block, block_of, columns
from .spacing import columns_apart, rows_apart
from .ways import Cell, nearest, way

__all__ = ["Grid"]

POINTS_PER_ROW, POINTS_PER_ROW_OF_A_CHART = 40.0, 18.0
SPARSEST = 60.0
MOST_TRIES = 16
HEADING = ("title", "scale", "scale-name", "lap-name")
"""Words that have lines of their own above the picture."""


class Grid:
    """Where everything of a sheet goes in a terminal of so many columns.

    Attributes:
        blocks: the items, by their keys.
        labels: the words that belong to no item.
    """

    def __init__(self, sheet: Sheet, width: int) -> None:
        layers = dict(sheet.layers())
        self._sheet, self._layers = sheet, layers
        self._panels = [mark.shapes[0] for mark in layers.get("panels", []) if isinstance(mark.shapes[0], Rectangle)]
        self.blocks = {mark.key: block_of(mark) for mark in layers.get("boxes", [])}
        self._bars = [bar_block(bar) for bar in layers.get("bars", [])]
        texts = [mark for mark in layers.get("texts", []) if mark.key.rstrip("0123456789") not in HEADING]
        self.labels = [words for mark in texts for words in mark.shapes if isinstance(words, Words)]
        blocks = list(self.blocks.values())
        self._is_chart = not blocks or "tiles" in layers
        points_per_row = POINTS_PER_ROW_OF_A_CHART if self._is_chart else POINTS_PER_ROW
        self._rows = Axis([], list(rows_apart([*blocks, *self._bars], self._heights())), points_per_row)
        self._columns = self._columns_for(width)
        for block in blocks:
            block.span = self._span(block)
        self._occupied = {cell for block in blocks for cell in block.cells()}
        self._width = max([self.column(sheet.width), *(block.span.right + 1 for block in blocks)])

    def _columns_for(self, width: int) -> Axis:
        """The axis of columns; a chart is drawn together until it fits, a picture of a graph will be cut between its steps."""
        sheet, layers = self._sheet, self._layers
        edges = [x for panel in self._panels for x in (panel.x, panel.x + panel.width)]
        lines = [path.points for mark in (*layers.get("wires", []), *layers.get("edges", [])) for path in _paths(mark)]
        apart = [*columns_apart([*self.blocks.values()], self._panels, lines), *self._bars_apart(), *self._labels_apart()]
        points = min(max(sheet.width / max(width - 2, 1), 6.0), SPARSEST)
        axis = Axis([0.0, sheet.width, *edges], apart, points)
        for _ in range(MOST_TRIES if self._is_chart else 0):
            if axis.at(sheet.width) > width:
                points *= axis.at(sheet.width) / width
                axis = Axis([0.0, sheet.width, *edges], apart, points)
        return axis

    def _heights(self) -> Iterator[float]:
        """The heights of what takes one row: edges of panels, and labels, but for those beside the bars."""
        yield from (y for panel in self._panels for y in (panel.y, panel.y + panel.height))
        yield from (words.y - 4 for words in self.labels if not self._is_beside_bars(words))

    def _is_beside_bars(self, words: Words) -> bool:
        return any(abs(words.y - 4 - bar.y) < BAR_POINTS / 2 + 20 for bar in self._bars[:1])

    def _bars_apart(self) -> Iterator[tuple[float, float, int]]:
        beside = [(words.x, columns(plain(words.line))) for words in self.labels if self._is_beside_bars(words)]
        places = [*((panel.x, 0) for panel in self._panels), *beside, *((bar.x, bar.size[1]) for bar in self._bars)]
        for (a, wide), (b, other) in pairwise(sorted(set(places)) if self._bars else []):
            yield a, b, (wide + other + 1) // 2 + (2 if wide or other else 3)

    def _labels_apart(self) -> Iterator[tuple[float, float, int]]:
        """In a chart, room for the names on its left and on its right, and for the numbers along its axis."""
        if not self._is_chart:
            return
        tiles = [shape.x for mark in self._layers.get("tiles", []) for shape in mark.shapes if isinstance(shape, Rectangle)]
        curves = [path.points[0][0] for mark in self._layers.get("curves", []) for path in _paths(mark)]
        left = min([*tiles, *curves], default=0.0)
        upright = max((columns(plain(words.line)) + 1 for words in self.labels if words.rotated), default=0)
        for words in self.labels:
            wide = columns(plain(words.line))
            if words.anchor == "end":
                yield 0.0, words.x, upright + wide
            elif words.anchor == "start":
                yield (words.x, left, wide + 1) if words.x < left else (words.x, self._sheet.width, wide)

    def _span(self, block: Block) -> Span:
        """The words of a block in their frame, which is larger than they need where lines meet its sides."""
        (left, before), (right, behind) = block.edges()
        (top, above), (bottom, below) = block.levels()
        return Span(self.row(top) - above, self.column(left) - before, self.row(bottom) + below, self.column(right) + behind)

    def column(self, x: float) -> int:
        """The column of a coordinate."""
        return self._columns.at(x)

    def row(self, y: float) -> int:
        """The row of a coordinate."""
        return self._rows.at(y)

    def label_column(self, words: Words) -> int:
        """Where a label begins; one that reads upwards lies at the left."""
        wide = columns(plain(words.line))
        if words.rotated:
            return 0
        return max(self.column(words.x) - {"start": 0, "middle": wide // 2, "end": wide}[words.anchor], 0)

    def label_row(self, words: Words) -> int:
        """The row of a label; of several lines beside the bars, one below the other."""
        if not self._is_beside_bars(words):
            return self.row(words.y - 4)
        bar = self._bars[0]
        return self.row(bar.y) + floor((words.y - 4 - bar.y) / BAR_POINTS * BAR_ROWS)

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
                corners[end] = nearest(self.blocks[key].span, corners[end])
        return way(corners, path.points, self._occupied)


def _paths(mark: Mark) -> Iterator[Path]:
    return (shape for shape in mark.shapes if isinstance(shape, Path))
