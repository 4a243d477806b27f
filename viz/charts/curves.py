"""Line charts: how the gradient shrinks over time in several models, and what a training did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.errors import ArgumentError

from ..palette import SERIES
from ..scene import Scene
from ..text import Line, Span, clean
from .axes import Axis, covering, draw_time, draw_values, heading, title_of, width_of
from .lines import Style, draw_line, label_ends, label_room, style_of
from .table import tables_of

__all__ = ["gradient_lines", "learning_curves"]

WIDTHS = {None: 900.0, "page": 900.0, "slide": 1000.0, "wide": 1800.0}
HEIGHT, PANEL_HEIGHT = 340.0, 150.0
MARGIN_LEFT, MARGIN_RIGHT = 92.0, 24.0
BELOW, GAP = 52.0, 30.0


def gradient_lines(models: Any, *, title: str | None = None, size: str | None = None) -> Scene:
    """‖∂L/∂h_t‖ over t for several models, on a log axis: a straight line is a gradient that vanishes exponentially.

    Args:
        models: losses by name; or tables of `minigrad.bptt.gradient_by_time`; or one loss. Of a model with several states
            every one is a line.
        title: written above.
        size: "slide", "page" or "wide".
    """
    lines: dict[str, tuple[list[int], list[float]]] = {}
    tables_of_models = tables_of(models)
    for one in tables_of_models:
        for state, values in one.states.items():
            label = f"{one.name}: {state}" if one.name and len(one.states) > 1 else one.name or state
            lines[label] = (one.times, values)
    words = title_of(title, "The gradient of the state, step by step")
    scene = Scene(words, f"{len(lines)} lines over time.", width_of(size, WIDTHS))
    top = heading(scene) + 8
    time = _time_axis([times for times, _ in lines.values()], scene.width - label_room(list(lines)))
    axis = covering((v for _, values in lines.values() for v in values), top + HEIGHT, top, is_log=True)
    states = dict.fromkeys(state for one in tables_of_models for state in one.states)
    of = next(iter(states)) if len(states) == 1 else "state"
    draw_values(scene, axis, time.start, time.end, (Span(f"‖∂L/∂{clean(of)}‖"), Span(" (log)", soft=True)), "values")
    draw_time(scene, time, top + HEIGHT, "t", "time")
    drawn = [
        draw_line(scene, f"line{k}", label, times, values, time, axis, style_of(k))
        for k, (label, (times, values)) in enumerate(lines.items())
    ]
    lowest = label_ends(scene, drawn, time.end, top, top + HEIGHT) if len(drawn) > 1 else top
    scene.height = max(top + HEIGHT + BELOW, lowest + BELOW)
    return scene


def learning_curves(log: Any, *, title: str | None = None, size: str | None = None) -> Scene:
    """What a training did: a panel for each number that it logged (loss, norm of the gradient, learning rate), over updates.

    Args:
        log: records, each with ``step`` and numbers, as attributes or by name: such as the log of a training of
            `minigrad.models`; or a mapping from names to lists of numbers, which may say with ``updates(name)`` when each
            was so.
        title: written above.
        size: "slide", "page" or "wide".

    Raises:
        ArgumentError: there are no numbers in it.

    >>> scene = learning_curves({"loss": [2.0, 1.0, 0.5], "learning rate": [0.1, 0.1, 0.01]})
    >>> [text.line[0].text for text in scene.texts if text.rotated]
    ['loss', 'learning rate']
    """
    columns = _columns_of(log)
    scene = Scene(title_of(title, "Training"), f"{len(columns)} curves of a training.", width_of(size, WIDTHS))
    y = heading(scene) + 8
    time = _time_axis([steps for steps, _ in columns.values()], scene.width)
    for k, (name, (steps, values)) in enumerate(columns.items()):
        last = k == len(columns) - 1
        positive = [v for v in values if math.isfinite(v) and v > 0]
        is_log = bool(positive) and min(values) > 0 and max(positive) > 100 * min(positive)
        axis = covering(values, y + PANEL_HEIGHT, y, is_log)
        words: Line = (Span(clean(name)), *([Span(" (log)", soft=True)] if is_log else []))
        draw_values(scene, axis, time.start, time.end, words, f"values{k}")
        draw_time(scene, time, y + PANEL_HEIGHT, "update" if last else "", f"time{k}")
        draw_line(scene, f"line{k}", name, steps, values, time, axis, Style(SERIES[k % len(SERIES)]))
        y += PANEL_HEIGHT + GAP
    leftmost = min(text.x for text in scene.texts if text.rotated)
    scene.texts = [text._replace(x=leftmost) if text.rotated else text for text in scene.texts]
    scene.height = y + BELOW - GAP
    return scene


def _columns_of(log: Any) -> dict[str, tuple[list[int], list[float]]]:
    """The numbers of a log by name, each with the updates after which they were so; NaN where one is missing."""
    try:
        columns = _read(log)
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError):
        columns = {}
    if not columns:
        raise ArgumentError(
            "learning_curves: expected a log with numbers: records with a step, a loss …, or lists of numbers by name; got "
            f"{log!r:.60}"
        )
    return columns


def _read(log: Any) -> dict[str, tuple[list[int], list[float]]]:
    if isinstance(log, Mapping):
        names = [name for name in log if name != "step"]
        given = {str(name): ([int(s) for s in _steps_of(log, name)], [_number(v) for v in log[name]]) for name in names}
    else:
        records = [dict(entry) if isinstance(entry, Mapping) else _fields(entry) for entry in log]
        numbers = dict.fromkeys(name for record in records for name, value in record.items() if _is_number(value))
        steps = [int(record.get("step", k + 1)) for k, record in enumerate(records)]
        given = {name: (steps, [_number(record.get(name)) for record in records]) for name in numbers if name != "step"}
    for steps, values in given.values():
        if len(steps) != len(values):
            raise ValueError
    return {name: column for name, column in given.items() if any(map(math.isfinite, column[1]))}


def _steps_of(log: Any, name: str) -> Sequence[int]:
    """The updates of one list of numbers: those that the log tells of it, those of all, or 1, 2, …"""
    if hasattr(log, "updates"):
        steps: Sequence[int] = log.updates(name)
        return steps
    return log["step"] if "step" in log else range(1, len(log[name]) + 1)


def _fields(entry: Any) -> dict[str, Any]:
    names = getattr(entry, "_fields", None) or getattr(entry, "__dataclass_fields__", None) or vars(entry)
    return {name: getattr(entry, name) for name in names}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if value is not None else math.nan


def _time_axis(times: Sequence[Sequence[int]], width: float) -> Axis:
    low, high = min(t[0] for t in times), max(t[-1] for t in times)
    return Axis(low, high if high > low else low + 1, MARGIN_LEFT, width - MARGIN_RIGHT)
