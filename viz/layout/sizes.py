"""How large each item is drawn, and what is written in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..diagram.formula import join, wrap
from ..diagram.items import Item
from ..tables import NO_TABLE, Table, table_of
from ..text import LINE_HEIGHT, Line, Span, fit, line_width

__all__ = ["FONT", "Look", "look_of"]

FONT = 13.0
FORMULA_FONT = 12.0
HEIGHT, SMALL_HEIGHT, CIRCLE = 28.0, 24.0, 25.0
PADDING = 9.0
NARROWEST = 34.0
CELL_WIDTH, CELL_HEIGHT, SMALL_CELL_HEIGHT = 62.0, 78.0, 46.0
FORMULA_ROOM = 185.0
MOST_LINES = 4


@dataclass(frozen=True, slots=True)
class Look:
    """Shape ("box", "circle"), size, lines of text and numbers of an item."""

    shape: str
    width: float
    height: float
    lines: tuple[Line, ...]
    font: float
    table: Table = NO_TABLE


def look_of(item: Item) -> Look:
    """The shape, size and text of an item, with room for its numbers; those of a circle are told on hover alone."""
    look = _without_numbers(item)
    if not item.printed or look.shape == "circle":
        return look
    table = table_of(item.printed, math.inf if item.role == "parameter" else look.width)
    return replace(look, width=max(look.width, table.width), height=look.height + table.height, table=table)


def _without_numbers(item: Item) -> Look:
    if item.kind == "fold":
        lines = tuple((span,) for span in item.title)
        width = max(line_width(line, FONT) for line in lines) + 4 * PADDING
        return Look("fold", width, len(lines) * LINE_HEIGHT + 4 * PADDING, lines, FONT)
    if item.kind == "cell":
        width = max(line_width(item.title, FONT) + 2 * PADDING, CELL_WIDTH)
        return Look("cell", width, CELL_HEIGHT if len(item.ports) > 1 else SMALL_CELL_HEIGHT, (item.title,), FONT)
    if item.terms:
        return _formula(item)
    caption = item.caption
    if item.role == "operation" or (item.role == "state" and item.elementwise and item.head.name is None):
        width = line_width(caption, FONT) + 8
        if width <= CIRCLE + 3:
            return Look("circle", CIRCLE, CIRCLE, (caption,), fit(caption, FONT, CIRCLE - 2))
        return Look("box", max(width + 4, CIRCLE), SMALL_HEIGHT, (caption,), FONT)
    height = SMALL_HEIGHT if item.role in ("parameter", "activation") else HEIGHT
    return Look("box", max(line_width(caption, FONT) + 2 * PADDING, NARROWEST), height, (caption,), FONT)


def _formula(item: Item) -> Look:
    terms = item.terms
    name: Line = (*item.name, Span(" = ")) if item.name else ()
    lines: list[Line] = []
    for count in range(1, min(len(terms), MOST_LINES) + 1):
        lines = wrap(terms, count) if count > 1 else [join(terms)]
        lines[0] = (*name, *lines[0])
        if max(line_width(line, FORMULA_FONT) for line in lines) <= FORMULA_ROOM:
            break
    width = max(line_width(line, FORMULA_FONT) for line in lines) + 2 * PADDING
    return Look("box", width, HEIGHT + LINE_HEIGHT * (len(lines) - 1), tuple(lines), FORMULA_FONT)
