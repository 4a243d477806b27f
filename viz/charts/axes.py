"""Axes: where numbers lie along them, and which of the numbers are written beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from minigrad.arguments import named_one_of, text

from ..palette import INK, SOFT
from ..paths import Pen
from ..scene import Curve, Scene, Text
from ..text import Line, Span, clean, heading_of, line_width, number, power_of_ten

__all__ = ["Axis", "TICK_SIZE", "covering", "draw_time", "draw_values", "heading", "round_steps"]

TICK_SIZE, NAME_SIZE, TITLE_SIZE = 11.0, 12.0, 16.0
TICK = 4.0
MOST_DECADES = 12.0
LEFT = 16.0
TITLE_HEIGHT, PLAIN_HEIGHT = 44.0, 16.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Numbers from ``low`` to ``high`` between the places ``start`` and ``end``, in proportion or by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The place of a number; what is below a log axis, zero too, lies at its low end."""
        return self.beyond(min(max(value, self.low), self.high) if self.is_log else value)

    def beyond(self, value: float) -> float:
        """The place of a number, outside of the axis if it is."""
        low, high = self._own(self.low), self._own(self.high)
        return self.start + (self.end - self.start) * (self._own(value) - low) / ((high - low) or 1.0)

    def holds(self, value: float) -> bool:
        """Whether a number is on the axis."""
        return self.low <= value <= self.high

    def _own(self, value: float) -> float:
        return (math.log10(value) if value > 0 else -math.inf) if self.is_log else value

    def ticks(self, most: int = 6) -> list[tuple[float, Line]]:
        """The numbers to write beside it: round ones, or powers of ten."""
        if self.is_log:
            low, high = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, -(-(high - low) // most))
            return [(10.0**e, power_of_ten(e)) for e in range(high, low - 1, -every)]
        return [(value, (Span(number(value)),)) for value in round_steps(self.low, self.high, most)]


def round_steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from ``low`` to ``high``, at most so many.

    >>> round_steps(0.0, 1.0, 6)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(s * power for s in (1, 2, 5, 10, 20) if span / (s * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def covering(values: Iterable[float], start: float, end: float, is_log: bool) -> Axis:
    """The axis that holds all finite values; a log axis the positive ones, at most twelve decades of them."""
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not is_log)]
    if not finite:
        return Axis(0.1, 1.0, start, end, is_log)
    low, high = min(finite), max(finite)
    if is_log:
        top = math.ceil(math.log10(high) - 1e-9)
        bottom = min(max(math.floor(math.log10(low) + 1e-9), top - MOST_DECADES), top - 1)
        return Axis(10.0**bottom, 10.0**top, start, end, True)
    low = min(low, 0.0)
    return Axis(low, high if high > low else low + 1.0, start, end)


def title_of(title: Any, default: str) -> str:
    """The title as it can be shown, or another one where none is given; ArgumentError for what is no text."""
    return clean(default if title is None else text(title, "title"))


def width_of(size: Any, widths: Mapping[str | None, float]) -> float:
    """How wide a chart of that size is; ArgumentError for one that does not exist."""
    names = [name for name in widths if name is not None]
    return widths[None if size is None else named_one_of(size, "size", names)]


def heading(scene: Scene) -> float:
    """Write the title; returns where what follows may begin."""
    if not scene.title:
        return PLAIN_HEIGHT
    line = heading_of(scene.title)
    scene.texts.append(Text(LEFT, 27.0, line, TITLE_SIZE, bold=True, colour=INK, key="title"))
    scene.width = max(scene.width, line_width(line, TITLE_SIZE) * 1.1 + 2 * LEFT)
    return TITLE_HEIGHT


def draw_time(scene: Scene, axis: Axis, y: float, name: str, key: str, group: str = "", with_line: bool = True) -> None:
    """The axis of time below a chart: whole numbers only, with the first and the last."""
    if with_line:
        scene.curves.append(Curve(f"{key}-axis", tuple(Pen(axis.start, y).to(axis.end, y).points), SOFT, 1.0, (), "", group))
    low, high = round(axis.low), round(axis.high)
    inner = [round(value) for value in round_steps(low, high, 8) if value == round(value)]
    room = line_width((Span(str(high)),), TICK_SIZE) + TICK_SIZE
    shown = [t for t in inner if abs(axis.at(t) - axis.at(low)) > room and abs(axis.at(t) - axis.at(high)) > room]
    for t in dict.fromkeys((low, *shown, high)):
        x = axis.at(t)
        scene.curves.append(Curve(f"{key}-tick{t}", tuple(Pen(x, y).to(x, y + TICK).points), SOFT, 1.0, (), "", group))
        scene.texts.append(Text(x, y + 16, (Span(str(t)),), TICK_SIZE, "middle", key=f"{key}-{t}", group=group))
    if name:
        middle = (axis.start + axis.end) / 2
        scene.texts.append(Text(middle, y + 33, (Span(name),), NAME_SIZE, "middle", key=f"{key}-name", group=group))


def draw_values(scene: Scene, axis: Axis, x: float, right: float, name: Line, key: str) -> None:
    """The axis of values at the left of a chart, with faint lines across it."""
    scene.curves.append(Curve(f"{key}-axis", tuple(Pen(x, axis.start).to(x, axis.end).points), SOFT, 1.0, (), ""))
    widest = 0.0
    for k, (value, line) in enumerate(axis.ticks()):
        y = axis.at(value)
        scene.curves.append(Curve(f"{key}-line{k}", tuple(Pen(x, y).to(right, y).points), SOFT, 0.35, (), ""))
        scene.texts.append(Text(x - 7, y + 4, line, TICK_SIZE, "end", key=f"{key}-{k}"))
        widest = max(widest, line_width(line, TICK_SIZE))
    middle = (axis.start + axis.end) / 2
    scene.texts.append(Text(x - widest - 18, middle, name, NAME_SIZE, "middle", key=f"{key}-name", rotated=True))
