"""Writing a scene for Graphviz, with the scene's own positions.

Everything is placed already, so the layout asked for is ``nop2``, which only draws: `dot` renders the picture that the
SVG writer makes, and needs no time to think. The source can be made, read and saved without Graphviz's program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import graphviz

from .furniture import LEGEND_HEIGHT, LEGEND_WIDTH, SAMPLE_WIDTH, ticks
from .palette import INK, OUTLINE, PANEL_FILL, PANEL_INK, PANEL_LINE, SOFT, colour_at
from .paths import Pen, Point, shortened
from .scene import Bar, Box, Edge, Panel, Sample, Scene, Text, Wire
from .svg import arrow_size
from .text import Span, clean, fit, line_width, number, plain, power_of_ten

__all__ = ["digraph", "quoted"]

FONT = "DejaVu Sans,Helvetica,Arial,sans-serif"
ESCAPES = str.maketrans({"&": "&amp;", "\\": "\\\\", '"': '\\"', "\n": "\\n"})
POINTS_PER_INCH = 72.0
LEGEND_PIECES = 38


def quoted(text: str) -> str:
    """Text as a quoted string that Graphviz shows as it is: it decodes &…; and backslashes even between quotes.

    >>> print(quoted('a "b" & c\\\\n'))
    "a \\"b\\" &amp; c\\\\n"
    """
    return '"' + "\n".join(map(clean, text.split("\n"))).translate(ESCAPES) + '"'


def digraph(scene: Scene) -> graphviz.Digraph:
    """The scene as a ``graphviz.Digraph`` whose nodes, edges and clusters carry their positions."""
    return graphviz.Digraph("minigrad", body=[f"\t{line}\n" for line in Writer(scene).lines()])


def _attributes(**values: str | float) -> str:
    shown = (f"{name}={quoted(value) if isinstance(value, str) else f'{value:.6g}'}" for name, value in values.items())
    return "[" + ", ".join(shown) + "]"


class Writer:
    """Turns a scene upside down: Graphviz counts heights from the bottom."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def _at(self, x: float, y: float) -> str:
        return f"{x:.2f},{self.scene.height - y:.2f}"

    def lines(self) -> Iterator[str]:
        """The body of the graph."""
        scene = self.scene
        yield "graph " + _attributes(
            layout="nop2",
            bb=f"0,0,{scene.width:.2f},{scene.height:.2f}",
            bgcolor="white",
            outputorder="edgesfirst",
            fontname=FONT,
            tooltip=scene.title or scene.description,
        )
        yield "node " + _attributes(fontname=FONT, fontcolor=INK, color=OUTLINE, fixedsize="shape", margin=0.0)
        yield "edge " + _attributes(fontname=FONT)
        for name, x, y in (("lower_left", 0.0, scene.height), ("upper_right", scene.width, 0.0)):
            yield f"{name} " + _attributes(pos=self._at(x, y), shape="point", width=0.0, height=0.0, style="invis")
        inside = {box.key for box in scene.boxes if self._panel_of(box) is not None}
        for number_of_panel, panel in enumerate(scene.panels):
            yield from self._panel(number_of_panel, panel)
        yield from (self._box(box) for box in scene.boxes if box.key not in inside)
        for k, junction in enumerate(scene.junctions):
            yield f"j{k} " + _attributes(
                shape="circle", pos=self._at(junction.x, junction.y), width=6 / POINTS_PER_INCH, height=6 / POINTS_PER_INCH,
                style="filled", fillcolor=junction.colour, color=junction.colour, label="",
            )  # fmt: skip
        yield from map(self._wire, scene.wires)
        yield from map(self._edge, scene.edges_by_strength())
        for k, bar in enumerate(scene.bars):
            yield from self._bar(k, bar)
        for k, text in enumerate(scene.texts):
            yield self._text(f"t{k}", text)
        if scene.scale is not None:
            yield from self._legend()

    def _panel_of(self, box: Box) -> Panel | None:
        panels = self.scene.panels
        return next((p for p in panels if p.x <= box.x <= p.x + p.width and p.y <= box.y <= p.y + p.height), None)

    def _panel(self, k: int, panel: Panel) -> Iterator[str]:
        low, high = self._at(panel.x, panel.y + panel.height), self._at(panel.x + panel.width, panel.y)
        width = line_width((Span(panel.label),), 13.5)
        yield f"subgraph cluster_{k} {{"
        yield "\tgraph " + _attributes(
            bb=f"{low},{high}",
            style="rounded,filled",
            fillcolor=PANEL_FILL,
            color=PANEL_LINE,
            label=panel.label,
            lp=self._at(panel.label_x + width / 2, panel.y + 12),
            lwidth=width / POINTS_PER_INCH,
            lheight=0.22,
            fontcolor=PANEL_INK,
            fontsize=13.5,
            tooltip=panel.label,
        )
        yield from ("\t" + self._box(box) for box in self.scene.boxes if self._panel_of(box) is panel)
        yield "}"

    def _box(self, box: Box) -> str:
        label = "\n".join(plain(line).strip() for line in box.lines)
        size = min(fit((Span(line),), box.font, box.width - 4) for line in label.split("\n"))
        return f"{box.key} " + _attributes(
            pos=self._at(box.x, box.y),
            width=box.width / POINTS_PER_INCH,
            height=box.height / POINTS_PER_INCH,
            shape="circle" if box.shape == "circle" else "box",
            style="filled" if box.shape == "circle" else "rounded,filled",
            fillcolor=box.fill,
            label=label,
            fontsize=size,
            tooltip=box.tooltip,
        )

    def _spline(self, points: Sequence[Point]) -> str:
        return " ".join(self._at(x, y) for x, y in points)

    def _arrowed(self, points: Sequence[Point], width: float) -> dict[str, str | float]:
        length = arrow_size(width)[0]
        kept, _ = shortened(points, length)
        return {"pos": f"e,{self._at(*points[-1])} {self._spline(kept)}", "arrowsize": length / 10.0}

    def _edge(self, edge: Edge) -> str:
        drawn = self._arrowed(edge.points, edge.width) if edge.arrow else {"pos": self._spline(edge.points), "dir": "none"}
        return f"{edge.source} -> {edge.target} " + _attributes(
            id=edge.key,
            color=edge.colour,
            penwidth=edge.width,
            style="dashed" if edge.dashed else "solid",
            tooltip=edge.tooltip,
            **drawn,
        )

    def _wire(self, wire: Wire) -> str:
        """A wire is an edge between a box and the junction at its other end."""
        x, y = wire.points[0] if wire.arrow else wire.points[-1]
        junctions = self.scene.junctions
        end = min(range(len(junctions)), key=lambda k: abs(junctions[k].x - x) + abs(junctions[k].y - y))
        ends = f"j{end} -> {wire.source}" if wire.arrow else f"{wire.source} -> j{end}"
        drawn = self._arrowed(wire.points, 1.6) if wire.arrow else {"pos": self._spline(wire.points), "dir": "none"}
        return f"{ends} " + _attributes(id=wire.key, color=wire.colour, penwidth=1.6, tooltip=wire.tooltip, **drawn)

    def _bar(self, k: int, bar: Bar) -> Iterator[str]:
        yield f"b{k} " + _attributes(
            pos=self._at(bar.x, bar.y - bar.height / 2),
            width=bar.width / POINTS_PER_INCH,
            height=bar.height / POINTS_PER_INCH,
            shape="box",
            style="filled",
            fillcolor=bar.colour,
            penwidth=0.6,
            label="",
            tooltip=f"share of step {bar.time} in ∂L/∂{bar.parameter}: {number(bar.value)}",
        )
        yield self._words(f"b{k}v", bar.x, bar.y - bar.height - 8, number(bar.value), 10.5, INK)
        yield self._words(f"b{k}n", bar.x, bar.y + 10, plain(bar.label), 11.0, INK)

    def _words(self, key: str, x: float, y: float, text: str, size: float, colour: str, font: str = FONT) -> str:
        return f"{key} " + _attributes(
            pos=self._at(x, y),
            shape="plaintext",
            width=line_width((Span(text),), size) * 1.2 / POINTS_PER_INCH,
            height=size * 1.4 / POINTS_PER_INCH,
            label=text,
            fontsize=size,
            fontcolor=colour,
            fontname=font,
        )

    def _text(self, key: str, text: Text) -> str:
        width = line_width(text.line, text.size) * (1.1 if text.bold else 1.0)
        x = text.x + {"start": width / 2, "middle": 0.0, "end": -width / 2}[text.anchor]
        font = f"{FONT} bold" if text.bold else FONT
        return self._words(key, x, text.y - 0.35 * text.size, plain(text.line), text.size, text.colour, font)

    def _legend(self) -> Iterator[str]:
        x, y = self.scene.scale_at
        step = LEGEND_WIDTH / LEGEND_PIECES
        for k in range(LEGEND_PIECES):
            colour = colour_at((k + 0.5) / LEGEND_PIECES)
            yield f"s{k} " + _attributes(
                pos=self._at(x + (k + 0.5) * step, y + LEGEND_HEIGHT / 2), width=step / POINTS_PER_INCH,
                height=LEGEND_HEIGHT / POINTS_PER_INCH, shape="box", style="filled", fillcolor=colour, color=colour, label="",
            )  # fmt: skip
        for exponent, tick in ticks(self.scene):
            yield self._words(f"s_{tick:.0f}", tick, y + LEGEND_HEIGHT + 11, plain(power_of_ten(exponent)), 11.0, SOFT)
        for k, sample in enumerate(self.scene.samples):
            yield from self._sample(k, sample)

    def _sample(self, k: int, sample: Sample) -> Iterator[str]:
        x, y = sample.x, sample.y
        for end in (0.0, SAMPLE_WIDTH):
            yield f"m{k}_{end:.0f} " + _attributes(
                pos=self._at(x + end, y), shape="point", width=0.01, height=0.01, style="invis"
            )
        yield f"m{k}_0 -> m{k}_{SAMPLE_WIDTH:.0f} " + _attributes(
            pos=self._spline(Pen(x, y).to(x + SAMPLE_WIDTH, y).points),
            dir="none",
            color=sample.colour,
            penwidth=sample.width,
            style="dashed" if sample.dashed else "solid",
        )
        width = line_width(sample.meaning, 11.0)
        yield self._words(f"m{k}", x + SAMPLE_WIDTH + 6 + width / 2, y, plain(sample.meaning), 11.0, SOFT)
