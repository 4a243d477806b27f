"""What surrounds the graph: the title, the scale of gradients, and the bars of each step's share."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .diagram.items import Diagram, Link
from .layout.geometry import Layout
from .overlay import Overlay
from .palette import INK, NOT_FINITE, PANEL_INK, PANEL_LINE, THINNEST, UNTRACKED, VANISHED, WIDEST, Scale
from .paths import Pen
from .scene import Bar, Curve, Sample, Scene, Text
from .stages import Stages
from .text import Line, Span, clean, heading_of, line_width, power_of_ten, shorten, symbol_name

__all__ = [
    "LEGEND_HEIGHT", "LEGEND_WIDTH", "SAMPLE_WIDTH", "Heights", "add_bars", "add_heading", "add_lap_names", "add_notes",
    "below_the_scale", "ticks", "wants",
]  # fmt: skip

TITLE_SIZE = 16.0
TITLE_HEIGHT, NO_TITLE_HEIGHT, HEADING_HEIGHT = 44.0, 16.0, 64.0
BOLD = 1.1
LEGEND_WIDTH, LEGEND_HEIGHT, LEGEND_LABEL_WIDTH, LEGEND_SIZE = 190.0, 11.0, 90.0, 11.5
SAMPLE_WIDTH = 22.0
LEFT = 16.0
BAR_HEIGHT, BARS_HEIGHT = 64.0, 118.0
BAR_WIDTH, BAR_PITCH, NARROW_PITCH = 32.0, 48.0, 34.0
LABEL_SIZE = 11.0
LAP_HEIGHT, LAP_SIZE = 30.0, 13.0
NOTE_HEIGHT = 18.0
LARGEST_RATIO, MOST_DECADES = 100.0, 12.0


def add_heading(scene: Scene, diagram: Diagram, overlay: Overlay | None, width: float) -> float:
    """Put the title to the left and the scale of gradients to the right; returns where the graph may begin."""
    title = heading_of(scene.title)
    if scene.title:
        scene.texts.append(Text(LEFT, 27.0, title, TITLE_SIZE, bold=True, colour=INK, key="title"))
    if scene.scale is None or overlay is None:
        return TITLE_HEIGHT if scene.title else NO_TITLE_HEIGHT
    title_end = LEFT + line_width(title, TITLE_SIZE) * BOLD + 2 * LEFT if scene.title else LEFT
    left = max(width - LEGEND_WIDTH - LEGEND_LABEL_WIDTH - 2 * LEFT, title_end)
    scene.scale_at = (left + LEGEND_LABEL_WIDTH, 17.0)
    scene.texts.append(Text(scene.scale_at[0] - 8, 27.0, (Span("‖gradient‖"),), LEGEND_SIZE, "end", key="scale-name"))
    right = scene.scale_at[0] - 36
    for colour, thickness, dashed, meaning in _meanings(scene.scale, diagram, overlay):
        right -= line_width(meaning, LEGEND_SIZE) + SAMPLE_WIDTH + 22
        scene.samples.append(Sample(max(right, LEFT), 39.0, colour, thickness, dashed, meaning))
    scene.width = scene.scale_at[0] + LEGEND_WIDTH + LEFT
    return HEADING_HEIGHT


def below_the_scale(scale: Scale, values: Iterable[float]) -> Line:
    """What the colour of vanished gradients means among these values; nothing if none has it."""
    vanished = [value for value in values if scale.vanished(value)]
    if not vanished:
        return ()
    return (Span("below the scale: less than "), *power_of_ten(scale.low)) if any(vanished) else (Span("zero"),)


def wants(link: Link) -> bool:
    """Whether a line without a gradient starts from something that wants one: the loss does not depend on it this way."""
    sources = [vertex.inputs[slot] for vertex, slot in link.edges]
    return not link.is_cut and any(source is not None and source.requires_grad for source in sources)


def _meanings(scale: Scale, diagram: Diagram, overlay: Overlay) -> list[tuple[str, float, bool, Line]]:
    """The kinds of line in this picture that the scale of colours does not explain."""
    found = overlay.of_link
    meanings: list[tuple[str, float, bool, Line]] = []
    small = below_the_scale(scale, [m for m in found if m is not None])
    if small:
        meanings.append((VANISHED, THINNEST, False, small))
    dead = [link for link, m in zip(diagram.links, found, strict=True) if m is None]
    if dead:
        meanings.append((UNTRACKED, THINNEST, True, (Span("no gradient" if any(map(wants, dead)) else "needs no gradient"),)))
    if any(m is not None and not math.isfinite(m) for m in found):
        meanings.append((NOT_FINITE, WIDEST, False, (Span("NaN or infinite"),)))
    return meanings


def ticks(scene: Scene) -> list[tuple[int, float]]:
    """The powers of ten written at the scale of gradients, and where."""
    if scene.scale is None:
        return []
    low, high = scene.scale.low, scene.scale.high
    every = 1 if high - low <= 4 else 3 if (high - low) % 3 == 0 else 2
    return [(e, scene.scale_at[0] + LEGEND_WIDTH * (e - low) / (high - low)) for e in range(high, low - 1, -every)]


def add_lap_names(scene: Scene, diagram: Diagram, layout: Layout, dx: float, heading: float) -> float:
    """Write above its steps what each lap is called, with a line as long as they are; returns where the graph may begin."""
    steps = layout.steps
    if steps is None or len(diagram.lap_names) < 2:
        return heading
    y = heading + LAP_HEIGHT - 12
    for lap, name in diagram.lap_names.items():
        columns = [c for c, step in enumerate(diagram.steps) if step.lap == lap and not step.between]
        left, right = steps.edges(columns[0])[0] + dx, steps.edges(columns[-1])[1] + dx
        line = Pen(left, y).to(right, y).points
        scene.curves.append(Curve(f"lap{lap}", tuple(line), PANEL_LINE, 1.5, (), clean(name), name))
        words: Line = (Span(shorten(clean(name))),)
        middle = (left + right) / 2
        scene.texts.append(Text(middle, y - 6, words, LAP_SIZE, "middle", True, PANEL_INK, f"lap-name{lap}", name))
    return heading + LAP_HEIGHT


def add_notes(scene: Scene) -> None:
    """Write below everything what the picture leaves out."""
    for number, note in enumerate(scene.notes):
        y = scene.height + NOTE_HEIGHT * (number + 0.5)
        line: Line = (Span(note),)
        scene.texts.append(Text(LEFT, y, line, LABEL_SIZE, key=f"note{number}"))
        scene.width = max(scene.width, line_width(line, LABEL_SIZE) + 2 * LEFT)
    scene.height += NOTE_HEIGHT * len(scene.notes)


def add_bars(
    scene: Scene, diagram: Diagram, layout: Layout, overlay: Overlay, stages: Stages, dx: float, floor: float
) -> None:
    """Below each step, a bar for every parameter: the norm of what the step contributes to the parameter's gradient.

    If the norms span more than two decades, the heights are on a log scale.
    """
    steps = layout.steps
    shared = {number for number, _ in overlay.share}
    parameters = [item for item in diagram.items if item.index in shared and item.role == "parameter"]
    if steps is None or not parameters or scene.scale is None:
        return
    values = [overlay.share[key] for key in overlay.share if diagram.items[key[0]].role == "parameter"]
    heights = Heights([value for value in values if math.isfinite(value)])
    stage_of = {(link.source, diagram.items[link.target].place): stages.of_item[link.target] for link in diagram.links}
    foot = floor + BARS_HEIGHT - 22
    for place in range(diagram.after + 1):
        used = [item for item in parameters if (item.index, place) in overlay.share]
        if not used:
            continue
        left, right = _edges(diagram, layout, place, len(used))
        room = right - left
        if place < diagram.after and diagram.steps[place].last is not None:
            room = max(room, min(_between_neighbours(diagram, layout, place), NARROW_PITCH * len(used)))
        pitch = min(BAR_PITCH, room / len(used))
        start = (left + right) / 2 - pitch * (len(used) - 1) / 2 + dx
        for k, parameter in enumerate(used):
            value = overlay.share[parameter.index, place]
            scene.bars.append(
                Bar(
                    round(start + pitch * k, 2),
                    foot,
                    round(min(BAR_WIDTH, pitch * 0.68), 2),
                    round(max(BAR_HEIGHT * heights.of(value), 0.8), 2),
                    scene.scale.colour(value),
                    value,
                    parameter.symbol or symbol_name(parameter.head.name or "leaf", part=parameter.part),
                    parameter.full_name if parameter.symbol else parameter.head.name or "leaf",
                    diagram.steps[place].time if place < diagram.after else diagram.steps[-1].time + 1,
                    "" if place < diagram.after else "after the steps",
                    stage_of.get((parameter.index, place)),
                )
            )
    middle = (steps.edges(0)[0] - 8) / 2 + dx
    words = ["share of", "step t in", "∂L/∂W", *(["(log)"] if heights.is_log else [])]
    for k, word in enumerate(words):
        scene.texts.append(Text(max(middle, 34.0), foot - 40 + 15 * k, (Span(word),), LABEL_SIZE, "middle", key=f"share{k}"))
    scene.width = max(scene.width, max(bar.x + bar.width for bar in scene.bars) + LEFT)
    scene.height = foot + 38


def _edges(diagram: Diagram, layout: Layout, place: int, bars: int) -> tuple[float, float]:
    """Between which x the bars of a column stand; after the steps, below what comes there."""
    if layout.steps is not None and place < diagram.after:
        return layout.steps.edges(place)
    left = min(layout.places[item.index].x for item in diagram.items if item.place == place)
    return left - BAR_PITCH / 2, left + BAR_PITCH * (bars - 0.5)


def _between_neighbours(diagram: Diagram, layout: Layout, place: int) -> float:
    """How much room there is for the bars of steps that are not shown, between those of the steps beside them."""
    steps = layout.steps
    if steps is None or not 0 < place < diagram.after - 1:
        return 0.0
    return steps.edges(place + 1)[0] - steps.edges(place - 1)[1]


class Heights:
    """How tall a bar is, as a part of the tallest: in proportion, or on a log scale."""

    def __init__(self, values: list[float]) -> None:
        positive = [value for value in values if value > 0]
        self.tallest = max(positive, default=1.0)
        self.is_log = self.tallest > LARGEST_RATIO * min(positive, default=1.0)
        self._low = max(math.floor(math.log10(min(positive, default=1.0)) - 1e-9), math.log10(self.tallest) - MOST_DECADES)

    def of(self, value: float) -> float:
        """From 0 to 1; what is not finite is as tall as the tallest."""
        if not math.isfinite(value):
            return 1.0
        if not self.is_log:
            return value / self.tallest
        return max((math.log10(value) - self._low) / (math.log10(self.tallest) - self._low), 0.0) if value > 0 else 0.0
