"""Results as a picture: one panel for each cell, one row for each size, a dot for each contestant on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import floor, log10

from benchmarks.problem import SIZES
from benchmarks.results import Results
from benchmarks.tables import dtypes, heading

COLOURS = (
    "#222222", "#8f8f8f", "#d1495b", "#e07b39", "#e8a0a8", "#2e6f9e", "#7fb2d6", "#1f9e96", "#7a9e3b", "#b58bc9", "#e3a93c"
)  # fmt: skip
"""By hand is black and grey, minigrad red and its like; peers follow in the order in which they were measured."""

LEFT, TOP, PANEL, GAP, ROW = 150, 92, 300, 26, 46
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def picture(results: Results) -> str:
    """An SVG document."""
    cells, sizes, contestants = results.cells(), results.sizes(), results.contestants()
    dtype = dtypes(results)[0]
    ratios = [step.timing.ratio for step in results.steps if step.dtype == dtype]
    axis = Axis(min(0.8, min(ratios) * 0.85), max(2.5, max(ratios) * 1.15))
    width = LEFT + len(cells) * (PANEL + GAP)
    bottom = TOP + len(sizes) * ROW
    per_line = max(1, (width - 40) // 170)
    height = bottom + 62 + 20 * (-(-len(contestants) // per_line))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="30" font-size="17" font-weight="bold">One training step, time divided by hand-written NumPy '
        f"({dtype}, smaller is better)</text>",
        f'<text x="20" y="50" font-size="11" fill="#666">{escape(heading(results))}</text>',
    ]
    for row, size in enumerate(sizes):
        y = TOP + (row + 0.5) * ROW
        lines.append(f'<text x="{LEFT - 14}" y="{y:g}" text-anchor="end" font-weight="bold">{size}</text>')
        dimensions = escape(str(tuple(SIZES[size])))
        lines.append(f'<text x="{LEFT - 14}" y="{y + 13:g}" text-anchor="end" font-size="9" fill="#666">{dimensions}</text>')
    for column, cell in enumerate(cells):
        lines += panel(results, cell, dtype, LEFT + column * (PANEL + GAP), axis)
    for number, contestant in enumerate(contestants):
        x, y = 30 + number % per_line * 170, bottom + 58 + number // per_line * 20
        lines.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour(number)}"/>')
        lines.append(f'<text x="{x + 11}" y="{y}">{escape(contestant)}</text>')
    return "\n".join([*lines, "</svg>", ""])


class Axis:
    """A logarithmic axis from `low` to `high`, as long as a panel is wide."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def place(self, ratio: float) -> float:
        """Where the ratio lies, from 0 to `PANEL`."""
        return PANEL * log10(ratio / self.low) / log10(self.high / self.low)

    def ticks(self) -> list[float]:
        """The round numbers within."""
        return [tick for tick in TICKS if self.low <= tick <= self.high]


def panel(results: Results, cell: str, dtype: str, left: float, axis: Axis) -> Iterator[str]:
    """One cell's dots over their grid."""
    sizes, bottom = results.sizes(), TOP + len(results.sizes()) * ROW
    yield f'<text x="{left + PANEL / 2:g}" y="{TOP - 12}" text-anchor="middle" font-weight="bold">{cell.upper()}</text>'
    for row in range(0, len(sizes), 2):
        yield f'<rect x="{left}" y="{TOP + row * ROW}" width="{PANEL}" height="{ROW}" fill="#f4f4f2"/>'
    for tick in axis.ticks():
        x = left + axis.place(tick)
        strong = 'stroke="#222"' if tick == 1 else 'stroke="#d0d0d0"'
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" {strong}/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" font-size="11">{label(tick)}</text>'
    contestants = results.contestants()
    for row, size in enumerate(sizes):
        for number, contestant in enumerate(contestants):
            ratio = results.ratio(cell, size, dtype, contestant)
            if ratio is not None:
                y = TOP + row * ROW + 5 + (ROW - 10) * (number + 0.5) / len(contestants)
                yield (
                    f'<circle cx="{left + axis.place(ratio):.1f}" cy="{y:.1f}" r="4" '
                    f'fill="{colour(number)}" stroke="#fff"><title>{escape(contestant)}, {cell}, {size}: {ratio:.2f}</title>'
                    "</circle>"
                )


def colour(number: int) -> str:
    """The contestant's colour."""
    return COLOURS[number % len(COLOURS)]


def label(tick: float) -> str:
    """A number without needless digits, and a times sign.

    >>> label(0.5), label(20)
    ('×0.5', '×20')
    """
    return f"×{floor(tick)}" if tick >= 1 else f"×{tick:g}"
