"""What surrounds the graph: the title, the scale of gradients, and the bars of each step's share."""

from __future__ import annotations

import math

from .diagram.items import Diagram
from .layout.geometry import Layout
from .overlay import Overlay
from .palette import INK, NOT_FINITE, THINNEST, UNTRACKED, VANISHED, WIDEST, Scale
from .scene import Bar, Sample, Scene, Text
from .text import Line, Span, line_width, power_of_ten, symbol_name

__all__ = ["LEGEND_HEIGHT", "LEGEND_WIDTH", "SAMPLE_WIDTH", "add_bars", "add_heading", "ticks"]

TITLE_SIZE = 16.0
TITLE_HEIGHT, NO_TITLE_HEIGHT, HEADING_HEIGHT = 44.0, 16.0, 64.0
BOLD = 1.1
LEGEND_WIDTH, LEGEND_HEIGHT, LEGEND_LABEL_WIDTH, LEGEND_SIZE = 190.0, 11.0, 90.0, 11.5
SAMPLE_WIDTH = 22.0
LEFT = 16.0
BAR_HEIGHT, BARS_HEIGHT = 64.0, 118.0
BAR_WIDTH, BAR_PITCH = 32.0, 48.0
LABEL_SIZE = 11.0


def add_heading(scene: Scene, diagram: Diagram, overlay: Overlay | None, width: float) -> float:
    """Put the title to the left and the scale of gradients to the right; returns where the graph may begin."""
    title: Line = (Span(scene.title),)
    if scene.title:
        scene.texts.append(Text(LEFT, 27.0, title, TITLE_SIZE, bold=True, colour=INK))
    if scene.scale is None or overlay is None:
        return TITLE_HEIGHT if scene.title else NO_TITLE_HEIGHT
    title_end = LEFT + line_width(title, TITLE_SIZE) * BOLD + 2 * LEFT if scene.title else LEFT
    left = max(width - LEGEND_WIDTH - LEGEND_LABEL_WIDTH - 2 * LEFT, title_end)
    scene.scale_at = (left + LEGEND_LABEL_WIDTH, 17.0)
    scene.texts.append(Text(scene.scale_at[0] - 8, 27.0, (Span("‖gradient‖"),), LEGEND_SIZE, "end"))
    right = scene.scale_at[0] - 20
    for colour, thickness, dashed, meaning in _meanings(scene.scale, overlay):
        right -= line_width(meaning, LEGEND_SIZE) + SAMPLE_WIDTH + 22
        scene.samples.append(Sample(max(right, LEFT), 39.0, colour, thickness, dashed, meaning))
    scene.width = scene.scale_at[0] + LEGEND_WIDTH + LEFT
    return HEADING_HEIGHT


def _meanings(scale: Scale, overlay: Overlay) -> list[tuple[str, float, bool, Line]]:
    """The kinds of line in this picture that the scale of colours does not explain."""
    found = overlay.of_link
    meanings: list[tuple[str, float, bool, Line]] = []
    vanished = [m for m in found if m is not None and scale.vanished(m)]
    if vanished:
        meaning: Line = (Span("vanished: less than "), *power_of_ten(scale.low))
        meanings.append((VANISHED, THINNEST, False, meaning if any(vanished) else (Span("zero"),)))
    if any(m is None for m in found):
        meanings.append((UNTRACKED, THINNEST, True, (Span("needs no gradient"),)))
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


def add_bars(scene: Scene, diagram: Diagram, layout: Layout, overlay: Overlay, dx: float, floor: float) -> None:
    """Below each step, a bar for every parameter: the norm of what the step contributes to the parameter's gradient."""
    steps = layout.steps
    shared = {number for number, _ in overlay.share}
    parameters = [item for item in diagram.items if item.index in shared and item.role == "parameter"]
    if steps is None or not parameters or scene.scale is None:
        return
    finite = [overlay.share.get((p.index, step), 0.0) for p in parameters for step in range(diagram.after)]
    tallest = max((value for value in finite if math.isfinite(value)), default=0.0)
    foot = floor + BARS_HEIGHT - 22
    for number_of_step, step in enumerate(diagram.steps):
        left, right = steps.edges(number_of_step)
        used = [item for item in parameters if (item.index, number_of_step) in overlay.share]
        pitch = min(BAR_PITCH, (right - left) / max(len(used), 1))
        start = (left + right) / 2 - pitch * (len(used) - 1) / 2 + dx
        for k, parameter in enumerate(used):
            value = overlay.share[parameter.index, number_of_step]
            part = value / tallest if tallest and math.isfinite(value) else float(not math.isfinite(value))
            scene.bars.append(
                Bar(
                    round(start + pitch * k, 2),
                    foot,
                    round(min(BAR_WIDTH, pitch * 0.68), 2),
                    round(max(BAR_HEIGHT * part, 0.8), 2),
                    scene.scale.colour(value),
                    value,
                    symbol_name(parameter.head.name or "leaf", part=parameter.part),
                    parameter.head.name or "leaf",
                    step.time,
                )
            )
    middle = (steps.edges(0)[0] - 8) / 2 + dx
    for k, words in enumerate(("share of", "step t in", "∂L/∂W")):
        scene.texts.append(Text(max(middle, 34.0), foot - 40 + 15 * k, (Span(words),), LABEL_SIZE, "middle"))
    scene.height = foot + 38
