"""The numbers of a box as they are printed in it: columns of short lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .text import Line, Span, clean, line_width

__all__ = ["GAP", "NO_TABLE", "PITCH", "SIZE", "Table", "table_of"]

SIZE, PITCH = 9.0, 10.5
GAP, MARGIN = 8.0, 6.0
BROAD = 90.0


class Table(NamedTuple):
    """The numbers of a box, in columns one beside the other, each a list of lines."""

    columns: tuple[tuple[Line, ...], ...]

    @property
    def widths(self) -> list[float]:
        """How wide each column is."""
        return [max(line_width(line, SIZE) for line in column) for column in self.columns]

    @property
    def width(self) -> float:
        """How much room it needs from left to right, with a margin."""
        return sum(self.widths) + GAP * (len(self.columns) - 1) + MARGIN if self.columns else 0.0

    @property
    def height(self) -> float:
        """How much room it needs below the name of the box."""
        return PITCH * max(map(len, self.columns)) + MARGIN if self.columns else 0.0


NO_TABLE = Table(())


def table_of(values: Sequence[str], width: float) -> Table:
    """Values in words as a table: below one another, or side by side in a box as broad as two of them.

    >>> table = table_of(["value: 1, 2", "gradient: 0.5"], width=40.0)
    >>> [[line[0].text for line in column] for column in table.columns]
    [['value', '1', '2', 'gradient', '0.5']]
    >>> len(table_of(["value: 1, 2", "gradient: 0.5"], width=120.0).columns)
    2
    """
    columns = tuple(_lines(value) for value in values)
    return Table(columns) if width > BROAD or not columns else Table((tuple(line for column in columns for line in column),))


def _lines(value: str) -> tuple[Line, ...]:
    """'value: min 0, mean 1, max 2' in four lines."""
    head, colon, numbers = clean(value).partition(": ")
    parts = numbers.split(", ") if colon else [head]
    return (*([(Span(head, soft=True),)] if colon else []), *((Span(part),) for part in parts))
