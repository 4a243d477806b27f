"""The items of a picture as characters: their words, in a frame or without one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..paths import Point
from ..sheet import Circle, Mark, Rectangle, Words
from ..text import plain

__all__ = ["BAR_POINTS", "BAR_ROWS", "Block", "Span", "bar_block", "block_of", "columns", "rows_of"]

BROAD, TALL = 90.0, 60.0
BAR_POINTS, BAR_ROWS = 64.0, 4


class Span(NamedTuple):
    """The first and the last row and column of a rectangle of characters."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True)
class Block:
    """An item: where it is in the picture, what is written in it, and which characters it takes."""

    x: float
    y: float
    width: float
    height: float
    lines: list[str]
    framed: bool
    span: Span = field(default_factory=lambda: Span(0, 0, 0, 0))

    @property
    def size(self) -> tuple[int, int]:
        """How many rows and columns it takes at least."""
        frame = 2 * self.framed
        return max(len(self.lines), 1) + frame, max(map(columns, self.lines), default=1) + frame

    @property
    def is_broad(self) -> bool:
        """Whether its sides go where they are in the picture, for the lines that meet it there."""
        return self.width > BROAD

    @property
    def is_tall(self) -> bool:
        """The same of its upper and its lower edge."""
        return self.framed and self.height > TALL

    def edges(self) -> tuple[tuple[float, int], tuple[float, int]]:
        """A place for its left side and one for its right, each with how many columns it takes beyond that place."""
        if self.is_broad:
            return (self.x - self.width / 2, 0), (self.x + self.width / 2, 0)
        left = (self.size[1] - 1) // 2
        return (self.x, left), (self.x, self.size[1] - 1 - left)

    def levels(self) -> tuple[tuple[float, int], tuple[float, int]]:
        """The same for its top and its bottom."""
        if self.is_tall:
            return (self.y - self.height / 2, 0), (self.y + self.height / 2, 0)
        above = (self.size[0] - 1) // 2
        return (self.y, above), (self.y, self.size[0] - 1 - above)

    def cells(self) -> Iterator[tuple[int, int]]:
        """The row and the column of every character that it takes."""
        top, left, bottom, right = self.span
        return ((row, column) for row in range(top, bottom + 1) for column in range(left, right + 1))

    def holds(self, point: Point) -> bool:
        """Whether a point of the picture is in the item or on its outline."""
        return abs(point[0] - self.x) < self.width / 2 + 2 and abs(point[1] - self.y) < self.height / 2 + 2


def columns(text: str) -> int:
    """How many columns of a terminal a text takes.

    >>> columns("h₃"), columns("名前")
    (2, 4)
    """
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text if unicodedata.category(c) not in ("Mn", "Me", "Cf"))


def block_of(mark: Mark) -> Block:
    """The block of an item's mark."""
    outline = mark.shapes[0]
    lines = [plain(words.line) for words in mark.shapes if isinstance(words, Words)]
    if isinstance(outline, Rectangle):
        return Block(*outline.middle, outline.width, outline.height, lines, framed=True)
    assert isinstance(outline, Circle)
    return Block(outline.x, outline.y, 2 * outline.radii[0], 2 * outline.radii[1], lines, framed=False)


def bar_block(mark: Mark) -> Block:
    """A bar takes four rows, with one more for its number and one for its name."""
    bar = mark.shapes[0]
    assert isinstance(bar, Rectangle)
    lines = [plain(words.line) for words in mark.shapes if isinstance(words, Words)]
    middle = bar.y + bar.height - BAR_POINTS / 2
    return Block(bar.x + bar.width / 2, middle, bar.width, BAR_POINTS, [*lines, *[""] * BAR_ROWS], framed=False)


def rows_of(blocks: Sequence[Block], tolerance: float) -> list[tuple[float, list[Block]]]:
    """Blocks at about the same height, from the top, each row from the left; what is tall is in all rows beside it."""
    rows: list[tuple[float, list[Block]]] = []
    for block in sorted(blocks, key=lambda block: block.y):
        if rows and block.y - rows[-1][0] < tolerance:
            rows[-1][1].append(block)
        else:
            rows.append((block.y, [block]))
    tall = [block for block in blocks if block.is_tall]
    for y, row in rows:
        row += [block for block in tall if abs(block.y - y) < block.height / 2 and block not in row]
        row.sort(key=lambda block: block.x)
    return rows
