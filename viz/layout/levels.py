"""At which height closed cells and folds stand beside open steps, and at which height each state's line meets them."""

from __future__ import annotations

from collections.abc import Sequence

from .column import ColumnDrawing
from .columns import Lineage
from .frame import HALF_CHANNEL, Frame, frame_of

__all__ = ["LEVELS", "aligned_frame", "levels_of"]

LEVELS = 34.0
"""The distance of two states' lines at a closed cell, where nothing else says at which height they run."""


def aligned_frame(drawing: ColumnDrawing, rows: int, main: Sequence[ColumnDrawing], frame: Frame) -> Frame:
    """The heights of the rows of a column of closed cells, or of a fold, beside the columns that are ``main``.

    A closed cell is as tall as what it would show if it were open; a fold as tall as a step without its inputs.
    """
    own = frame_of([drawing], rows)
    row_of = {item.lineage: r for other in main for item, r in zip(other.column.first, other.column.row, strict=True)}
    inner = {lineage: r for other in main for item, r in zip(other.column.first, other.column.row, strict=True)
             for lineage in item.inner}  # fmt: skip
    middle, half = list(own.middle), list(own.half)
    for item, r in zip(drawing.column.first, drawing.column.row, strict=True):
        if item.kind == "fold":
            lowest = _lowest_row(main)
            span: list[int] = [lowest, len(frame.middle) - 1]
        elif item.kind == "cell":
            span = [known[lineage] for lineage in item.inner for known in (row_of, inner) if lineage in known]
        else:
            span = [row_of[item.lineage]] if item.lineage in row_of else []
        if span:
            top, bottom = frame.top(max(span)), frame.bottom(min(span))
            if (bottom - top) / 2 >= half[r] or not item.kind:
                middle[r], half[r] = (top + bottom) / 2, (bottom - top) / 2
    found = _pushed_apart(Frame(middle, half, max(frame.height, own.height)))
    return found if found is not None else _centred(own, frame)


def _lowest_row(main: Sequence[ColumnDrawing]) -> int:
    """The lowest row that holds more than what enters the steps."""
    rows = [r for d in main for item, r in zip(d.column.first, d.column.row, strict=True) if item.role != "input"]
    return min(rows, default=0)


def _pushed_apart(frame: Frame) -> Frame | None:
    """The frame if each row stands above the one before; None otherwise."""
    for r in range(1, len(frame.middle)):
        if frame.bottom(r) > frame.top(r - 1) - HALF_CHANNEL / 2:
            return None
    return frame


def _centred(own: Frame, frame: Frame) -> Frame:
    """The column's own heights, in the middle of the others."""
    dy = max((frame.height - own.height) / 2, 0.0)
    return Frame([y + dy for y in own.middle], own.half, max(frame.height, own.height + dy))


def levels_of(aligned: Sequence[tuple[ColumnDrawing, Frame]]) -> dict[Lineage, float]:
    """The height at which the line of each state runs: that of its own box where a step is open, else of its port."""
    levels: dict[Lineage, float] = {}
    for drawing, frame in aligned:
        column = drawing.column
        carried = {lineage for lineage, _, _ in column.arrives} | {lineage for _, lineage, _ in column.leaves}
        for item, row in zip(column.first, column.row, strict=True):
            if not item.kind and item.lineage in carried:
                levels.setdefault(item.lineage, frame.middle[row])
    for drawing, frame in aligned:
        for item, row in zip(drawing.column.first, drawing.column.row, strict=True):
            for number, lineage in enumerate(item.ports):
                levels.setdefault(lineage, frame.middle[row] + (number - (len(item.ports) - 1) / 2) * LEVELS)
    return levels
