"""The heights that all columns share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .column import ColumnDrawing

__all__ = ["FIRST_TRACK", "HALF_CHANNEL", "TRACK", "Frame", "frame_of"]

HALF_CHANNEL = 13.5
WIDEST_CHANNEL = 46.0
PER_SIDEWAYS = 0.12
FIRST_TRACK, TRACK = 14.0, 8.0


@dataclass(frozen=True, slots=True)
class Frame:
    """For each row its middle and half its extent, counted downwards from the top of the highest row.

    Between two rows lies a channel, where lines go sideways and no box stands.
    """

    middle: list[float]
    half: list[float]
    height: float

    def top(self, row: int) -> float:
        """The upper edge of a row."""
        return self.middle[row] - self.half[row]

    def bottom(self, row: int) -> float:
        """The lower edge of a row."""
        return self.middle[row] + self.half[row]


def frame_of(drawings: Sequence[ColumnDrawing], rows: int) -> Frame:
    """Heights for so many rows, with wider channels where lines have far to go sideways."""
    half = [0.0] * rows
    sideways, tracks = [0.0] * (rows + 1), [0] * (rows + 1)
    for drawing in drawings:
        for look, r in zip(drawing.look, drawing.column.row, strict=True):
            half[r] = max(half[r], look.height / 2)
        for r, reach in drawing.sideways().items():
            sideways[r] = max(sideways[r], reach)
        for r in range(rows):
            tracks[r] = max(tracks[r], len(drawing.comes_in_below(r)))
    middle = [0.0] * rows
    y = 0.0
    for r in range(rows - 1, -1, -1):
        middle[r] = y + half[r]
        y += 2 * half[r]
        if r:
            y += min(2 * HALF_CHANNEL + PER_SIDEWAYS * sideways[r], WIDEST_CHANNEL) + TRACK * tracks[r]
    return Frame(middle, half, y + (FIRST_TRACK + TRACK * tracks[0] if tracks[0] else 0.0))
