"""T × T heat maps: ‖∂L_t/∂h_k‖ and ‖∂h_t/∂h_k‖, or any table of sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.arguments import MOST, count, text
from minigrad.errors import DTypeError, ShapeError
from minigrad.recording import plain

from ..furniture import LEGEND_SIZE, LEGEND_WIDTH, SAMPLE_WIDTH, below_the_scale
from ..palette import INK, VANISHED, Scale
from ..scene import Sample, Scene, Text, Tile
from ..text import Line, Span, clean, line_width, number
from .axes import LEFT, Axis, draw_time, heading, title_of, width_of

__all__ = ["heat_map"]

SIDE = {None: 420.0, "page": 420.0, "slide": 470.0, "wide": 640.0}
MARGIN_LEFT, BELOW, LEGEND_ROOM = 64.0, 52.0, 36.0
MOST_TILES, SAMPLE_THICKNESS = 100, 8.0
NAME_SIZE, TICK_SIZE = 12.0, 11.0
UPRIGHT = 2
"""A name of so few letters is not turned."""


def heat_map(
    table: Any,
    *,
    title: str | None = None,
    size: str | None = None,
    rows: str = "t",
    columns: str = "k",
    first: int = 1,
) -> Scene:
    """A square of colour for each entry of a table of sizes, the first row on top, as matrices are written.

    Args:
        table: (n, m) numbers ≥ 0, such as ``contributions(losses, W).norms`` or ``state_jacobians(cell, xs).norms()``;
            zeros and NaN are left white. Of more than a hundred rows or columns neighbours share a square, with their largest.
        title: written above.
        size: "slide", "page" or "wide".
        rows, columns: what the axes are called.
        first: the number of the first row and column.

    Raises:
        ShapeError: the table has another number of axes, or no entries.
        DTypeError: it is not made of real numbers.
        ArgumentError: an option that is none.

    >>> scene = heat_map([[1.0, 0.0], [0.5, 1.0]], title="∂h_t/∂h_k")
    >>> [tile.tooltip for tile in scene.tiles][:3]
    ['t = 1, k = 1: 1', 't = 2, k = 1: 0.5', 't = 2, k = 2: 1']
    """
    values = plain(table, "heat_map: table")
    if values.dtype.kind not in "fiub":
        raise DTypeError(f"heat_map: expected a table of real numbers, got dtype {values.dtype}")
    values = values.astype(float)
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"heat_map: expected a table (n, m) with entries, got shape {values.shape}")
    n, m, first = *values.shape, count(first, "heat_map: first", -MOST)
    rows, columns = clean(text(rows, "heat_map: rows")), clean(text(columns, "heat_map: columns"))
    every = -(-max(n, m) // MOST_TILES)
    scene = Scene(title_of(title, ""), f"A heat map of {n} × {m} numbers.")
    top = heading(scene) + LEGEND_ROOM
    scale = scene.scale = Scale.covering([float(v) for v in values.ravel() if math.isfinite(v)])
    side = width_of(size, SIDE)
    tile = side / -(-max(n, m) // every)
    for i in range(0, n, every):
        for j in range(0, m, every):
            part = values[i : i + every, j : j + every]
            value = 0.0 if np.isnan(part).all() else float(np.nanmax(part))
            if not value:
                continue
            where = f"{rows} = {_range(i, every, n, first)}, {columns} = {_range(j, every, m, first)}"
            x, y = MARGIN_LEFT + tile * (j // every), top + tile * (i // every)
            told = f"{where}: {number(value)}"
            scene.tiles.append(Tile(f"tile{i}-{j}", x, y, tile, tile, scale.colour(value), None, told, value))
    right, bottom = MARGIN_LEFT + tile * -(-m // every), top + tile * -(-n // every)
    left = MARGIN_LEFT + tile / 2
    across = Axis(first, first + m - 1, left, right - tile / 2) if m > 1 else Axis(first, first + 1, left, right)
    draw_time(scene, across, bottom, columns, "columns", with_line=False)
    _rows_axis(scene, n, first, top + tile / 2, bottom - tile / 2, rows)
    scene.width = max(scene.width, right + LEFT, _add_legend(scene, scale, top - LEGEND_ROOM + 2))
    scene.height = bottom + BELOW
    return scene


def _add_legend(scene: Scene, scale: Scale, y: float) -> float:
    """What the colours mean; returns where it ends."""
    x = MARGIN_LEFT + 70
    scene.scale_at = (x, y)
    scene.texts.append(Text(x - 8, y + 10, (Span("size"),), LEGEND_SIZE, "end", key="scale"))
    end = x + LEGEND_WIDTH + LEFT
    small = below_the_scale(scale, [tile.value for tile in scene.tiles if tile.value is not None])
    if not small:
        return end
    scene.samples.append(Sample(end, y + 6, VANISHED, SAMPLE_THICKNESS, False, small))
    return end + SAMPLE_WIDTH + 6 + line_width(small, LEGEND_SIZE) + LEFT


def _range(start: int, every: int, end: int, first: int) -> str:
    last = min(start + every, end) - 1
    return str(start + first) if last == start else f"{start + first} … {last + first}"


def _rows_axis(scene: Scene, n: int, first: int, start: float, end: float, name: str) -> None:
    axis = Axis(first, first + max(n - 1, 1), start, end if n > 1 else start + 1)
    inner = [round(v) for v, _ in axis.ticks(8) if v == round(v) and first < v < first + n - 1]
    shown = dict.fromkeys([first, *inner, first + n - 1])
    placed: list[float] = []
    for t in shown:
        y = axis.at(t)
        if any(abs(y - other) < TICK_SIZE for other in placed):
            continue
        placed.append(y)
        scene.texts.append(Text(MARGIN_LEFT - 8, y + 4, (Span(str(t)),), TICK_SIZE, "end", key=f"row{t}"))
    line: Line = (Span(name),)
    middle, turned = (start + end) / 2, len(name) > UPRIGHT
    scene.texts.append(Text(LEFT + 8, middle, line, NAME_SIZE, "middle", colour=INK, key="rows-name", rotated=turned))
