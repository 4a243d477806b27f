"""The ways of lines through a terminal: from a cell to one beside it, with turns where no item is in the way."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from math import inf

from ..paths import Point
from .blocks import Span

__all__ = ["Cell", "nearest", "vertical_pieces", "way"]

Cell = tuple[int, int]
FARTHEST = 6
"""How far from its middle a piece of a line may turn."""


def ends_of_piece(points: Sequence[Point]) -> tuple[bool, bool]:
    """Whether a cubic piece leaves its start vertically, and whether it arrives vertically at its end."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points
    return abs(y1 - y0) > abs(x1 - x0), abs(y3 - y2) > abs(x3 - x2)


def vertical_pieces(points: Sequence[Point]) -> Iterator[tuple[float, float, float]]:
    """Where a line goes up or down: x, and from which height to which."""
    for k in range(0, len(points) - 3, 3):
        leaves, arrives = ends_of_piece(points[k : k + 4])
        (x0, y0), (x3, y3) = points[k], points[k + 3]
        middle = (y0 + y3) / 2 if leaves and arrives else y3 if leaves else y0
        if leaves:
            yield x0, min(y0, middle), max(y0, middle)
        if arrives:
            yield x3, min(middle, y3), max(middle, y3)


def nearest(span: Span, cell: Cell) -> Cell:
    """The cell of an outline where a line meets it: at its sides not in a corner."""
    row, column = min(max(cell[0], span.top), span.bottom), min(max(cell[1], span.left), span.right)
    if column in (span.left, span.right) and span.bottom - span.top > 1:
        row = min(max(row, span.top + 1), span.bottom - 1)
    return row, column


def way(corners: Sequence[Cell], points: Sequence[Point], occupied: Container[Cell]) -> list[Cell]:
    """The cells of a line, each beside the next, given those of the ends of its pieces.

    Args:
        corners: the cells of every third of the points.
        points: the line in the picture.
        occupied: cells that are better left alone.
    """
    cells = [corners[0]]
    for k, end in enumerate(corners[1:]):
        cells += _piece(cells[-1], end, *ends_of_piece(points[3 * k : 3 * k + 4]), occupied)
    return cells


def _piece(start: Cell, end: Cell, leaves: bool, arrives: bool, occupied: Container[Cell]) -> list[Cell]:
    """The first of the ways that meets nothing, or else the one that meets least."""
    best: list[Cell] = []
    fewest = inf
    for corners in _turns(start, end, leaves, arrives):
        cells = [cell for a, b in pairwise([start, *corners]) for cell in _straight(a, b)]
        met = sum(cell in occupied for cell in cells[:-1])
        if met < fewest:
            best, fewest = cells, met
        if not met:
            break
    return best


def _turns(start: Cell, end: Cell, leaves: bool, arrives: bool) -> Iterator[list[Cell]]:
    """The corners of a line that leaves and arrives vertically or not; turns in the middle come first."""
    (row, column), (last_row, last_column) = start, end
    if leaves and arrives:
        yield from ([(turn, column), (turn, last_column), end] for turn in _from_the_middle(row, last_row))
    elif not leaves and not arrives:
        yield from ([(row, turn), (last_row, turn), end] for turn in _from_the_middle(column, last_column))
    else:
        yield [(last_row, column), end] if leaves else [(row, last_column), end]


def _from_the_middle(a: int, b: int) -> list[int]:
    middle = (a + b) // 2
    near = range(max(min(a, b), middle - FARTHEST), min(max(a, b), middle + FARTHEST) + 1)
    return sorted(near, key=lambda place: abs(place - middle))


def _straight(start: Cell, end: Cell) -> Iterator[Cell]:
    (row, column), (last_row, last_column) = start, end
    while (row, column) != (last_row, last_column):
        row += (last_row > row) - (last_row < row)
        column += (last_column > column) - (last_column < column) if row == last_row else 0
        yield row, column
