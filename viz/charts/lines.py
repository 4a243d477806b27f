"""Lines of a chart that can be told apart: by colour, by their dashes, and by a label at the end of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..palette import NOT_FINITE, SERIES
from ..paths import Pen, Point
from ..scene import Curve, Scene, Text
from ..sheet import DASHED
from ..text import Line, Span, clean, line_width, number, shorten
from .axes import Axis

__all__ = ["Drawn", "Style", "balanced", "draw_line", "label_ends", "label_room", "style_of"]

DASHES: tuple[tuple[float, ...], ...] = (
    (), (9.0, 4.0), (2.0, 3.0), (12.0, 3.0, 2.0, 3.0), DASHED, (12.0, 3.0, 2.0, 3.0, 2.0, 3.0),
)  # fmt: skip
WIDTH, LEADER_WIDTH, MARK = 2.0, 0.9, 6.0
MOST_POINTS = 1500
LABEL_SIZE, LABEL_PITCH = 12.0, 17.0
LEADER, BESIDE = 34.0, 6.0


class Style(NamedTuple):
    """How a line is drawn: its colour, and for how long it is there and not there, in turn."""

    colour: str
    dash: tuple[float, ...] = ()


class Drawn(NamedTuple):
    """A line that was drawn: what it is called, how, and where its last number lies (None without any)."""

    label: str
    style: Style
    end: Point | None


def style_of(k: int) -> Style:
    """The style of the k-th line: all of them differ in grey too, the first six times six in both."""
    return Style(SERIES[k % len(SERIES)], DASHES[(k + k // len(SERIES)) % len(DASHES)])


def draw_line(
    scene: Scene, key: str, label: str, times: Sequence[int], values: Sequence[float], time: Axis, axis: Axis, style: Style
) -> Drawn:
    """One line, interrupted where there is no number or one below the axis; what is infinite is marked above it."""
    every = -(-len(times) // MOST_POINTS)
    shown = list(zip(times, values, strict=True))[::every]
    told = f"{clean(label)}: {number(values[0])} … {number(values[-1])}"
    last: Point | None = None
    for p, piece in enumerate(_pieces([(time.at(t), value) for t, value in shown], axis)):
        last = piece[-1]
        if len(piece) > 1:
            pen = Pen(*piece[0])
            for point in piece[1:]:
                pen.to(*point)
            scene.curves.append(Curve(f"{key}-{p}", tuple(pen.points), style.colour, WIDTH, style.dash, told, label))
    for t, value in shown:
        if math.isinf(value):
            mark = tuple(Pen(time.at(t), axis.end).to(time.at(t), axis.end + MARK).points)
            words = f"{clean(label)}: {number(value)}"
            scene.curves.append(Curve(f"{key}-inf{t}", mark, NOT_FINITE, WIDTH, (), words, label))
    return Drawn(label, style, last)


def _pieces(numbers: Sequence[tuple[float, float]], axis: Axis) -> Iterator[list[Point]]:
    """The stretches of a line that are on the axis, cut where it leaves or enters it."""
    piece: list[Point] = []
    before: Point | None = None
    for x, value in numbers:
        here = (x, axis.beyond(value)) if math.isfinite(value) and (value > 0 or not axis.is_log) else None
        inside = here is not None and value >= axis.low
        if piece and not inside:
            if here is not None:
                piece.append(_crossing(piece[-1], here, axis.start))
            yield piece
            piece = []
        elif here is not None and inside:
            if not piece and before is not None:
                piece.append(_crossing(before, here, axis.start))
            piece.append(here)
        before = here
    if piece:
        yield piece


def _crossing(one: Point, other: Point, y: float) -> Point:
    """Where the line between two points is at the height y."""
    part = (y - one[1]) / (other[1] - one[1])
    return one[0] + part * (other[0] - one[0]), y


def label_room(labels: Sequence[str]) -> float:
    """How much room the labels need to the right of the lines; none for a single line."""
    widths = [line_width(_words(label), LABEL_SIZE) for label in labels]
    return LEADER + BESIDE + max(widths) if len(labels) > 1 else 0.0


def label_ends(scene: Scene, drawn: Sequence[Drawn], x: float, top: float, bottom: float) -> float:
    """Write what each line is called at its end, each label on a height of its own; returns the lowest.

    Args:
        drawn: the lines.
        x: where the labels may begin: a thin line leads there from the end of each, which nobody takes for numbers.
        top, bottom: between which heights they stand, as far as there is room.
    """
    order = sorted(range(len(drawn)), key=lambda k: (drawn[k].end or (0.0, bottom))[1])
    wished = [(drawn[k].end or (0.0, bottom))[1] for k in order]
    heights = balanced(wished, LABEL_PITCH, top, bottom)
    for k, y in zip(order, heights, strict=True):
        label, style, end = drawn[k]
        if end is not None:
            leader = tuple(Pen(*end).to(max(end[0], x), end[1]).run(x + LEADER, y).points)
            scene.curves.append(Curve(f"to-label{k}", leader, style.colour, LEADER_WIDTH, style.dash, clean(label), label))
        scene.texts.append(Text(x + LEADER + BESIDE, y + 4, _words(label), LABEL_SIZE, key=f"label{k}", group=label))
    return max(heights, default=top)


def balanced(wished: Sequence[float], pitch: float, low: float, high: float) -> list[float]:
    """Ascending places at least a pitch apart, whose squared distances from those wished for are least in sum.

    They begin at ``low`` at the earliest, and end at ``high`` at the latest if there is so much room.

    >>> balanced([1.0, 2.0, 9.0], 3.0, 0.0, 10.0)
    [0.0, 3.0, 9.0]
    """
    groups: list[tuple[float, int]] = []
    for place in wished:
        middle, count = place, 1
        while groups and groups[-1][0] + pitch * (groups[-1][1] + count) / 2 > middle:
            above, many = groups.pop()
            middle, count = (above * many + middle * count) / (many + count), many + count
        groups.append((middle, count))
    places = [middle + pitch * (k - (count - 1) / 2) for middle, count in groups for k in range(count)]
    for k in range(len(places) - 1, -1, -1):
        places[k] = min(places[k], high - pitch * (len(places) - 1 - k))
    for k in range(len(places)):
        places[k] = max(places[k], low + pitch * k)
    return places


def _words(label: str) -> Line:
    return (Span(shorten(clean(label))),)
