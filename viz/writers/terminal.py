"""Text for terminals: boxes and lines of Unicode's box drawing characters, or of ASCII.

A picture wider than the terminal is cut between its steps, and its parts stand below one another, as lines of a score.
Colours cannot be counted on, so the strength of a line is its weight: ┄ vanished or not needed, ─ weak, ━ strong.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..palette import THINNEST, WIDEST, contrast
from ..sheet import Circle, Mark, Path, Rectangle, Sheet, Words
from ..text import clean, plain, shorten
from .blocks import Block, Span, columns
from .characters import GLYPHS, in_ascii
from .grid import Grid

__all__ = ["write"]

UP, DOWN, LEFT, RIGHT = (-1, 0), (1, 0), (0, -1), (0, 1)
PLACE = {UP: 27, DOWN: 9, LEFT: 3, RIGHT: 1}
ARROWS = {UP: "▲", DOWN: "▼", LEFT: "◀", RIGHT: "▶"}
FAINT = {"─": "┄", "│": "┆"}
HEAVY = (THINNEST + WIDEST) / 2
EIGHTHS, SHADES = " ▁▂▃▄▅▆▇█", " ░▒▓█"
KEY = "‖gradient‖: ┄ vanished or not needed, ─ weak, ━ strong"
Cell = tuple[int, int]
NARROWEST = 8
"""Columns; nothing can be told in fewer."""


def write(sheet: Sheet, width: int = 80, ascii_only: bool = False) -> str:
    """The sheet as lines no wider than ``width`` characters; ``ascii_only`` for terminals that know nothing else."""
    name = "".join(c for c in clean(sheet.name) if columns(c) or unicodedata.combining(c))
    heading = [shorten(name, width), *[KEY[:width]] * any(mark.layer == "legend" for mark in sheet.marks)]
    text = "\n".join(line.rstrip() for line in [*heading, *Canvas(sheet, width).parts(width)]) + "\n"
    return in_ascii(text) if ascii_only else text


class Canvas:
    """Characters by row and column."""

    def __init__(self, sheet: Sheet, width: int) -> None:
        layers = dict(sheet.layers())
        self.grid = Grid(sheet, width)
        self._ground: dict[Cell, str] = {}
        self._arms: dict[Cell, dict[Cell, int]] = {}
        self._solid: set[Cell] = set()
        self._top: dict[Cell, str] = {}
        self._taken: set[Cell] = set()
        for panel in layers.get("panels", []):
            self._frame(self.grid.frame(panel), "╭╮╰╯")
        for tile in layers.get("tiles", []):
            self._shade(tile, sheet.page)
        for block in self.grid.blocks.values():
            self._block(block)
        for layer in ("wires", "curves", "edges"):
            for mark in layers.get(layer, []):
                self._line(mark)
        for panel in layers.get("panels", []):
            self._label(panel)
        for mark in [*layers.get("junctions", []), *layers.get("badges", [])]:
            self._sign(mark)
        for bar in layers.get("bars", []):
            self._bar(bar)
        for words in self.grid.labels:
            self._write(self.grid.label_row(words), self.grid.label_column(words), plain(words.line))
        for mark in layers.get("curves", []):
            if mark.key.startswith("lap"):
                self._name_of_lap(mark)

    def parts(self, width: int) -> Iterator[str]:
        """The lines of one part after the other, each after an empty line, without empty ones around them."""
        bands = list(self.grid.bands(width))
        filled: list[dict[int, dict[int, str]]] = [{} for _ in bands]
        starts = [first for first, _ in bands]
        for (row, column), character in self._cells().items():
            band = bisect_right(starts, column) - 1
            if band >= 0 and character != " ":
                filled[band].setdefault(row, {})[column] = character
        for (first, last), rows in zip(bands, filled, strict=True):
            yield ""
            for row in range(min(rows, default=0), max(rows, default=-1) + 1):
                there = rows.get(row, {})
                yield "".join(there.get(column, " ") for column in range(first, min(max(there, default=-1) + 1, last)))

    def _cells(self) -> dict[Cell, str]:
        return {**self._ground, **{cell: self._glyph(cell) for cell in self._arms}, **self._top}

    def _glyph(self, cell: Cell) -> str:
        glyph = GLYPHS[sum(PLACE[arm] * weight for arm, weight in self._arms[cell].items())]
        return glyph if cell in self._solid else FAINT.get(glyph, glyph)

    def _write(self, row: int, column: int, text: str) -> None:
        last: Cell | None = None
        for character in text:
            cells = [(row, column + k) for k in range(columns(character))]
            if cells:
                self._top |= dict(zip(cells, [character, ""], strict=False))
                last = cells[0]
            elif last is not None and unicodedata.combining(character):
                self._top[last] += character
            column += len(cells)

    def _frame(self, span: Span, corners: str, ground: bool = True) -> None:
        top, left, bottom, right = span
        cells = {(row, column): "│" for row in range(top, bottom + 1) for column in (left, right)}
        cells |= {(row, column): "─" for column in range(left, right + 1) for row in (top, bottom)}
        places = ((top, left), (top, right), (bottom, left), (bottom, right))
        cells |= dict(zip(places, corners, strict=True))
        (self._ground if ground else self._top).update(cells)

    def _label(self, panel: Mark) -> None:
        top, left, _, _ = self.grid.frame(panel)
        for words in panel.shapes[1:]:
            if isinstance(words, Words):
                self._write(top, left + 2, f" {plain(words.line)} ")

    def _shade(self, tile: Mark, page: str) -> None:
        for shape in tile.shapes:
            if isinstance(shape, Rectangle):
                strength = contrast(shape.fill, page)
                shade = SHADES[min(4, 1 + sum(strength > limit for limit in (2.5, 4.5, 8.0)))]
                rows = range(self.grid.row(shape.y), max(self.grid.row(shape.y + shape.height), self.grid.row(shape.y) + 1))
                across = range(self.grid.column(shape.x), self.grid.column(shape.x + shape.width))
                self._ground |= {(row, column): shade for row in rows for column in across}

    def _block(self, block: Block) -> None:
        top, left, bottom, right = block.span
        self._taken.update(block.cells())
        if block.framed:
            self._top |= dict.fromkeys(block.cells(), " ")
            self._frame(block.span, "┌┐└┘", ground=False)
        first = top + (bottom - top + 1 - len(block.lines)) // 2
        for k, line in enumerate(block.lines):
            self._write(first + k, left + (right - left + 1 - columns(line)) // 2, line)

    def _line(self, mark: Mark) -> None:
        for path in mark.shapes:
            if isinstance(path, Path):
                ends = (mark.target, mark.source) if mark.layer == "wires" and path.arrow else (mark.source, mark.target)
                cells = self.grid.walk(path, *ends)
                faint = bool(path.dash) or path.width <= THINNEST
                self._trace(cells, 2 if path.width >= HEAVY else 1, faint, path.arrow)

    def _trace(self, cells: Sequence[Cell], weight: int, faint: bool, arrow: bool) -> None:
        for a, b in pairwise(cells):
            step = (b[0] - a[0], b[1] - a[1])
            for cell, arm in ((a, step), (b, (-step[0], -step[1]))):
                if cell not in self._taken:
                    arms = self._arms.setdefault(cell, {})
                    arms[arm] = max(weight, arms.get(arm, 0))
                    if not faint:
                        self._solid.add(cell)
            if arrow and a not in self._taken and (b in self._taken or b == cells[-1]):
                self._top[a] = ARROWS[step]

    def _name_of_lap(self, mark: Mark) -> None:
        """What some steps are called stands on the line above them, where it begins: it may go on in the next part."""
        line = mark.shapes[0]
        if isinstance(line, Path):
            (x, y) = line.points[0]
            self._write(self.grid.row(y), self.grid.column(x) + 2, f" {mark.tooltip} ")

    def _sign(self, mark: Mark) -> None:
        circle = mark.shapes[0]
        if isinstance(circle, Circle):
            sign = {"junctions": "●"}.get(mark.layer, "✂" if mark.role == "cut" else "!")
            self._top[self.grid.row(circle.y), self.grid.column(circle.x)] = sign

    def _bar(self, mark: Mark) -> None:
        """The height of a bar in eighths of a row, its number above it and its name below."""
        bar, *words = mark.shapes
        if not isinstance(bar, Rectangle):
            return
        foot, middle, rows = self.grid.bar_foot(bar), self.grid.column(bar.x + bar.width / 2), self.grid.bar_rows(bar)
        eighths = max(round(rows * 8), 1)
        for k in range(-(-eighths // 8)):
            self._write(foot - k, middle - 1, EIGHTHS[min(8, eighths - 8 * k)] * 3)
        for row, line in zip((foot - -(-eighths // 8), foot + 1), words, strict=True):
            if isinstance(line, Words):
                text = plain(line.line)
                self._write(row, middle - columns(text) // 2, text)
