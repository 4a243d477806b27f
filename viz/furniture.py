"""What surrounds the graph: the title, the scale of gradients, and the bars of each step's share."""

from __future__ import annotations

import math

from viz.diagram import Diagram
from viz.geometry import Layout
from viz.overlay import Overlay
from viz.palette import INK
from viz.scene import Bar, Scene, Text
from viz.text import Span, line_width, symbol_name

__all__ = ["BAR_HEIGHT", "LEGEND_WIDTH", "add_bars", "add_heading"]

TITLE_SIZE = 16.0
TITLE_HEIGHT, NO_TITLE_HEIGHT = 44.0, 16.0
LEGEND_WIDTH, LEGEND_HEIGHT = 190.0, 11.0
LEGEND_LABEL = "‖gradient‖"
LEFT = 16.0
BAR_HEIGHT, BARS_HEIGHT = 64.0, 118.0
BAR_WIDTH, BAR_PITCH = 32.0, 48.0
NUMBER_SIZE, LABEL_SIZE = 10.5, 11.0


def add_heading(scene: Scene, width: float) -> float:
    """Put the title to the left and the scale to the right; returns where the graph may begin."""
    if scene.title:
        scene.texts.append(Text(LEFT, 27.0, (Span(scene.title),), TITLE_SIZE, bold=True, colour=INK))
    if scene.scale is None:
        return TITLE_HEIGHT if scene.title else NO_TITLE_HEIGHT
    legend = LEGEND_WIDTH + 90.0
    title_end = LEFT + line_width((Span(scene.title),), TITLE_SIZE) * 1.08 + 30 if scene.title else LEFT
    left = max(width - legend - LEFT, title_end)
    scene.texts.append(Text(left + 74, 27.0, (Span(LEGEND_LABEL),), 11.5, "end"))
    scene.scale_at = (left + 82, 17.0)
    return 62.0


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
    scene.height = foot + 34
