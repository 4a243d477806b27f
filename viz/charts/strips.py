"""How far does the gradient get? Models one below the other, a small box or a line of colour for every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.arguments import named_one_of

from ..furniture import LEGEND_LABEL_WIDTH, LEGEND_SIZE, LEGEND_WIDTH, SAMPLE_WIDTH, Heights, below_the_scale
from ..palette import FILLS, INK, SOFT, VANISHED, Scale
from ..paths import Pen
from ..scene import Box, Curve, Sample, Scene, Text, Tile
from ..text import Line, Span, clean, heading_of, line_width, number, shorten, symbol_name
from .axes import LEFT, Axis, draw_time, heading, title_of, width_of
from .table import Series, tables_of

__all__ = ["heat_bars", "strips"]

WIDTHS = {None: 1250.0, "page": 1250.0, "slide": 1037.0, "wide": 3200.0}
NAME_SIZE, SMALL_SIZE = 13.0, 11.0
LEGEND_ROOM = 30.0
CELL_HEIGHT, WIRE = 32.0, 4.0
BARS_HEIGHT, BARS_GAP = 44.0, 14.0
ROW_GAP = 19.0
HEAT_HEIGHT, LINE_HEIGHT = 24.0, 48.0
LOSS = 22.0
MOST_TILES = 600


def strips(models: Any, *, title: str | None = None, size: str | None = None, parameter: str | None = None) -> Scene:
    """A row of small boxes for each model, one for each step, coloured by ‖∂L/∂state_t‖, with lines for its states.

    Below each row is a bar for each step: what it contributes to the gradient of the recurrent weights, or of
    ``parameter``. Read it from right to left: the loss is at the end.

    Args:
        models: losses by name, such as ``{"RNN": loss_of_rnn, "LSTM": loss_of_lstm}``; or tables of
            `minigrad.bptt.gradient_by_time`; or one loss.
        title: written above.
        size: "slide", "page" or "wide".
        parameter: whose contributions the bars show; by default the weights that are applied to the state.
    """
    series = tables_of(models)
    known = dict.fromkeys(name for one in series for name in one.contributions)
    if parameter is not None:
        named_one_of(parameter, "strips: parameter", known)
    scene, axis, y = _begun(series, title, size, f"How far does the gradient get? T = {_longest(series)}")
    scale = _scale(scene)
    for number_of_row, one in enumerate(series):
        y = _strip(scene, one, axis, scale, y, number_of_row, parameter)
    scene.height = y
    return _swept(scene)


def heat_bars(models: Any, *, title: str | None = None, size: str | None = None) -> Scene:
    """A bar of colour for each model, ‖∂L/∂state_t‖ over time, with the same as a line on a log scale below it.

    Args: as for `strips`. Of more steps than can be seen, neighbours share a piece of the bar, with their largest.
    """
    series = tables_of(models)
    scene, axis, y = _begun(series, title, size, f"‖∂L/∂state‖ over T = {_longest(series)} steps")
    scale = _scale(scene)
    for number_of_row, one in enumerate(series):
        y = _heat_bar(scene, one, axis, scale, y, number_of_row)
    scene.height = y
    return _swept(scene)


def _swept(scene: Scene) -> Scene:
    """The scene with what grey means, and the stages of the backward sweep, from the last step to the first."""
    small = below_the_scale(_scale(scene), [tile.value for tile in scene.tiles if tile.value is not None])
    if small:
        left = scene.scale_at[0] - 36 - line_width(small, LEGEND_SIZE) - SAMPLE_WIDTH
        scene.samples.append(Sample(max(left, LEFT), scene.scale_at[1] + 22, VANISHED, WIRE, False, small))
    told = {tile.time: tile.tooltip.partition("\n")[0] for tile in scene.tiles if tile.time is not None}
    order = sorted(told, reverse=True)
    scene.stages += [told[t] for t in order]
    stage: dict[int | None, int] = {t: k for k, t in enumerate(order)}
    scene.tiles = [tile._replace(stage=stage[tile.time]) for tile in scene.tiles]
    scene.curves = [curve._replace(stage=stage.get(curve.time)) for curve in scene.curves]
    return scene


def _longest(series: Sequence[Series]) -> int:
    return max(len(one.times) for one in series)


def _begun(series: Sequence[Series], title: str | None, size: str | None, words: str) -> tuple[Scene, Axis, float]:
    """The scene with its title and scale, the axis of time, and where the first row may begin."""
    width = width_of(size, WIDTHS)
    scene = Scene(title_of(title, words), f"Gradients over time of {len(series)} models.", width)
    y = heading(scene)
    found = [v for one in series for v in (*one.total, *(x for s in one.contributions.values() for x in s))]
    values = [v for v in found if math.isfinite(v)]
    scene.scale = Scale.covering(values)
    scene.scale_at = (max(scene.width, width) - LEGEND_WIDTH - LEFT, 17.0)
    if line_width(heading_of(scene.title), 16.0) * 1.1 + LEFT > scene.scale_at[0] - LEGEND_LABEL_WIDTH:
        scene.scale_at = (scene.scale_at[0], 17.0 + LEGEND_ROOM)
        y += LEGEND_ROOM
    x, top = scene.scale_at
    scene.texts.append(Text(x - 8, top + 10, (Span("‖gradient‖"),), LEGEND_SIZE, "end", key="scale"))
    names = [line_width((Span(shorten(clean(one.name), 24)),), NAME_SIZE) * 1.1 for one in series]
    first = LEFT + max([120.0, *names]) + LEFT
    low, high = min(one.times[0] for one in series), max(one.times[-1] for one in series)
    return scene, Axis(low - 0.5, high + 0.5, first, width - 3 * LEFT - LOSS), max(y, 58.0)


def _scale(scene: Scene) -> Scale:
    assert scene.scale is not None
    return scene.scale


def _named(scene: Scene, one: Series, y: float, row: int, below: Sequence[str]) -> None:
    if one.name:
        line: Line = (Span(shorten(clean(one.name), 24)),)
        scene.texts.append(Text(LEFT, y, line, NAME_SIZE, bold=True, colour=INK, key=f"name{row}", group=one.name))
    for k, words in enumerate(below):
        height, about = y + 15 * (k + bool(one.name)), (Span(words),)
        scene.texts.append(Text(LEFT, height, about, SMALL_SIZE, key=f"about{row}-{k}", group=one.name))


def _strip(scene: Scene, one: Series, axis: Axis, scale: Scale, y: float, row: int, parameter: str | None) -> float:
    states = list(one.states)
    _named(scene, one, y + 14, row, [f"{len(states)} states" if len(states) > 3 else ", ".join(states)])
    pitch = axis.at(1.0) - axis.at(0.0)
    width = max(pitch * 0.66, 1.0)
    total, top = one.total, y
    last = axis.at(one.times[-1]) + width / 2
    for k, name in enumerate(states[:2]):
        height = top + CELL_HEIGHT * ((k + 1) / 3 if len(states) > 1 else 0.66)
        for i, t in enumerate(one.times):
            value = one.states[name][i]
            left, right = axis.at(t - 1) + width / 2, axis.at(t) - width / 2
            if right - left < 0.5 or (i == 0 and left < axis.start - pitch) or math.isnan(value):
                continue
            told = f"{name} from step {t - 1} to {t}"
            line = tuple(Pen(left, height).to(right, height).points)
            scene.curves.append(Curve(f"wire{row}-{k}-{t}", line, scale.colour(value), WIRE, (), told, one.name, t))
    for i, t in enumerate(one.times):
        told = "\n".join([f"t = {t}", *(f"‖∂L/∂{name}‖ {number(values[i])}" for name, values in one.states.items())])
        x = axis.at(t) - width / 2
        colour = scale.colour(None if math.isnan(total[i]) else total[i])
        scene.tiles.append(Tile(f"cell{row}-{t}", x, top, width, CELL_HEIGHT, colour, t, told, total[i], one.name))
    middle = top + CELL_HEIGHT / 2
    end = tuple(Pen(last, middle).to(last + LEFT, middle).points)
    strongest = scale.colour(max((v for v in total if not math.isnan(v)), default=0.0))
    scene.curves.append(Curve(f"to-loss{row}", end, strongest, WIRE, (), "", one.name))
    scene.boxes.append(
        Box(f"loss{row}", "loss", "circle", last + LEFT + LOSS / 2, middle, LOSS, LOSS, ((Span("L"),),), 12.0, FILLS["loss"],
            None, f"the loss of {one.name}" if one.name else "the loss", one.name)
    )  # fmt: skip
    y = top + CELL_HEIGHT + BARS_GAP
    chosen = _recurrent(one, parameter)
    if chosen is not None:
        y = _bars(scene, one, chosen, axis, scale, y, row)
    draw_time(scene, Axis(one.times[0], one.times[-1], axis.at(one.times[0]), axis.at(one.times[-1])), y, "", f"t{row}",
              one.name, with_line=False)  # fmt: skip
    return y + 20 + ROW_GAP


def _recurrent(one: Series, parameter: str | None) -> str | None:
    """The parameter whose contributions are shown: the one asked for, or the first whose name says that it acts on a state."""
    if parameter is not None and parameter in one.contributions:
        return parameter
    for begin in ("W_hh", "W_ss", "W_h", ""):
        for name in one.contributions:
            if name.split("/")[-1].startswith(begin):
                return name
    return None


def _bars(scene: Scene, one: Series, name: str, axis: Axis, scale: Scale, y: float, row: int) -> float:
    values = one.contributions[name]
    heights = Heights([value for value in values if math.isfinite(value)])
    width = max((axis.at(1.0) - axis.at(0.0)) * 0.66, 1.0)
    weight = (Span("in ∂L/∂"), *symbol_name(name.split("/")[-1]), *([Span(" (log)")] if heights.is_log else []))
    words: tuple[Line, Line] = (Span("share of step t"),), weight
    for k, line in enumerate(words):
        scene.texts.append(Text(LEFT, y + 18 + 15 * k, line, SMALL_SIZE, key=f"share{row}-{k}", group=one.name))
    for t, value in zip(one.times, values, strict=True):
        height = max(BARS_HEIGHT * heights.of(value), 0.8)
        told, colour = f"t = {t}\n{name}: {number(value)}", scale.colour(value)
        x, top = axis.at(t) - width / 2, y + BARS_HEIGHT - height
        scene.tiles.append(Tile(f"bar{row}-{t}", x, top, width, height, colour, t, told, value, one.name))
    return y + BARS_HEIGHT + 2


def _heat_bar(scene: Scene, one: Series, axis: Axis, scale: Scale, y: float, row: int) -> float:
    total = one.total
    _named(scene, one, y + 17, row, [", ".join(list(one.states)[:4])])
    every = -(-len(one.times) // MOST_TILES)
    points = []
    values = Axis(10.0**scale.low, 10.0**scale.high, y + HEAT_HEIGHT + LINE_HEIGHT, y + HEAT_HEIGHT + 8, True)
    for start in range(0, len(one.times), every):
        part = [v for v in total[start : start + every] if not math.isnan(v)]
        first, last = one.times[start], one.times[min(start + every, len(one.times)) - 1]
        left, right = axis.at(first - 0.5), axis.at(last + 0.5)
        value = max(part) if part else None
        told = f"t = {first}" if every == 1 else f"t = {first} … {last}"
        told += "" if value is None else f"\n‖∂L/∂state‖ {number(value)}"
        colour = scale.colour(value)
        scene.tiles.append(Tile(f"heat{row}-{first}", left, y, right - left, HEAT_HEIGHT, colour, first, told, value, one.name))
        if value is not None:
            points.append(((left + right) / 2, values.at(value if math.isfinite(value) else values.high)))
    if len(points) > 1:
        pen = Pen(*points[0])
        for x, height in points[1:]:
            pen.to(x, height)
        told = f"‖∂L/∂state‖ of {one.name}, log scale" if one.name else "‖∂L/∂state‖, log scale"
        scene.curves.append(Curve(f"line{row}", tuple(pen.points), INK, 1.4, (), told, one.name))
    y += HEAT_HEIGHT + LINE_HEIGHT
    base = tuple(Pen(axis.start, y).to(axis.end, y).points)
    scene.curves.append(Curve(f"base{row}", base, SOFT, 1.0, (), "", one.name))
    draw_time(scene, Axis(one.times[0], one.times[-1], axis.at(one.times[0]), axis.at(one.times[-1])), y, "", f"t{row}",
              one.name, with_line=False)  # fmt: skip
    return y + 20 + ROW_GAP / 2
