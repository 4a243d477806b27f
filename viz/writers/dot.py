"""DOT for Graphviz, with positions.

Everything is placed already, so the layout asked for is ``nop2``, which only draws: `dot` renders the picture that the
SVG writer makes, and needs no time to think. Items are nodes, the lines between them edges and the steps clusters, so
that the source is a graph to other programs too; what else there is (bars, words, the legend) are nodes and edges
without meaning. The text can be made, read and saved without Graphviz's program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import graphviz

from ..paths import Point
from ..sheet import Circle, Mark, Path, Rectangle, Shape, Sheet, Words, arrow_size
from ..text import Span, fit, line_width, plain
from .dot_text import attributes, hover, quoted

__all__ = ["digraph"]

FONT = "DejaVu Sans,Helvetica,Arial,sans-serif"
INCH = 72.0


def digraph(sheet: Sheet) -> graphviz.Digraph:
    """The sheet as a ``graphviz.Digraph`` whose nodes, edges and clusters carry their positions."""
    return graphviz.Digraph("minigrad", body=[f"\t{line}\n" for line in Writer(sheet).lines()])


class Writer:
    """Turns a sheet upside down: Graphviz counts heights from the bottom."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def lines(self) -> Iterator[str]:
        """The body of the graph."""
        sheet = self._sheet
        bounds = f"0,0,{sheet.width:.2f},{sheet.height:.2f}"
        yield "graph " + attributes(
            layout="nop2",
            bb=bounds,
            pad=0.0,
            margin=0.0,
            bgcolor=sheet.page,
            outputorder="edgesfirst",
            fontname=FONT,
            tooltip=hover(sheet.name),
        )
        yield "node " + attributes(fontname=FONT, fontcolor=sheet.ink, fixedsize="shape", margin=0.0, style="filled", label="")
        yield "edge " + attributes(dir="none")
        yield self._point("lower left", (0.0, sheet.height))
        yield self._point("upper right", (sheet.width, 0.0))
        layers = dict(sheet.layers())
        boxes = layers.pop("boxes", [])
        panels = layers.pop("panels", [])
        members = _members(panels, boxes)
        for panel in panels:
            yield from self._panel(panel, members[panel.key])
        contained = {box.key for inside in members.values() for box in inside}
        yield from (self._item(box) for box in boxes if box.key not in contained)
        for marks in layers.values():
            for mark in marks:
                yield from self._parts(mark)

    def _at(self, point: Point) -> str:
        return f"{point[0]:.2f},{self._sheet.height - point[1]:.2f}"

    def _panel(self, panel: Mark, inside: Sequence[Mark]) -> Iterator[str]:
        frame, label = panel.shapes
        assert isinstance(frame, Rectangle)
        assert isinstance(label, Words)
        width = line_width(label.line, label.size)
        yield f"subgraph {quoted('cluster_' + panel.key)} {{"
        yield "\tgraph " + attributes(
            bb=f"{self._at((frame.x, frame.y + frame.height))},{self._at((frame.x + frame.width, frame.y))}",
            style="rounded,filled", fillcolor=frame.fill, color=frame.stroke or frame.fill, label=plain(label.line),
            lp=self._at((label.x + width / 2, label.y - 0.35 * label.size)), lwidth=width / INCH, lheight=label.size / INCH,
            fontcolor=label.colour, fontsize=label.size, tooltip=hover(plain(label.line)),
        )  # fmt: skip
        yield from ("\t" + self._item(box) for box in inside)
        yield "}"

    def _item(self, box: Mark) -> str:
        outline, *words = box.shapes
        lines = [part for part in words if isinstance(part, Words)]
        room = outline.width if isinstance(outline, Rectangle) else 2 * lines[0].size
        size = min((fit((Span(plain(line.line)),), line.size, room - 2.0) for line in lines), default=10.0)
        label = "\n".join(plain(line.line) for line in lines)
        return self._node(box.key, outline, label=label, fontsize=size, tooltip=hover(box.tooltip))

    def _parts(self, mark: Mark) -> Iterator[str]:
        for k, shape in enumerate(mark.shapes):
            if isinstance(shape, Path):
                yield from self._line(mark, k, shape)
            else:
                yield self._node(f"{mark.key} {k}", shape, tooltip=hover(mark.tooltip))

    def _node(self, name: str, shape: Shape, **more: str | float) -> str:
        match shape:
            case Rectangle():
                style = ",".join(["filled", *["rounded"] * (shape.radius > 0), *["dashed"] * shape.dashed])
                pen = shape.stroke_width if shape.stroke else 0.0
                drawn = attributes(
                    pos=self._at(shape.middle), width=shape.width / INCH, height=shape.height / INCH, shape="box", style=style,
                    fillcolor=shape.fill, color=shape.stroke or shape.fill, penwidth=pen, **more,
                )  # fmt: skip
            case Circle():
                (rx, ry), name_of = shape.radii, "circle" if shape.vertical is None else "ellipse"
                drawn = attributes(
                    pos=self._at(shape.middle), width=2 * rx / INCH, height=2 * ry / INCH, shape=name_of,
                    fillcolor=shape.fill or "transparent", color=shape.stroke or shape.fill or "transparent", **more,
                )  # fmt: skip
            case Words():
                drawn = self._words(shape, **more)
            case Path():
                raise TypeError("a line is no node")
        return f"{quoted(name)} {drawn}"

    def _words(self, words: Words, **more: str | float) -> str:
        """Words as a node without outline. Graphviz cannot turn words, so those that read upwards lie down."""
        width = line_width(words.line, words.size) * (1.1 if words.bold else 1.0)
        middle = max(words.x, width / 2 + 2) if words.rotated else words.start + width / 2
        return attributes(
            pos=self._at((middle, words.y - 0.35 * words.size)), width=width / INCH, height=words.size * 1.4 / INCH,
            shape="plaintext", style="", label=plain(words.line), fontsize=words.size, fontcolor=words.colour,
            fontname=f"{FONT} bold" if words.bold else FONT, **more,
        )  # fmt: skip

    def _line(self, mark: Mark, k: int, path: Path) -> Iterator[str]:
        """A line as an edge: between the items that it joins, or with points that nobody sees where it joins none."""
        source, target = mark.source, mark.target
        if mark.layer == "wires" and path.arrow:
            source, target = target, source
        if not source:
            source = f"{mark.key} {k} start"
            yield self._point(source, path.points[0])
        if not target:
            target = f"{mark.key} {k} end"
            yield self._point(target, path.points[-1])
        stem, _ = path.stem_and_head()
        pos = " ".join(map(self._at, stem))
        head: dict[str, str | float] = {}
        if path.arrow:
            pos = f"e,{self._at(path.points[-1])} {pos}"
            head = {"dir": "forward", "arrowsize": arrow_size(path.width)[0] / 10.0}
        dashed = {"style": "dotted" if path.dash[0] < path.dash[1] else "dashed"} if path.dash else {}
        yield f"{quoted(source)} -> {quoted(target)} " + attributes(
            id=mark.key, pos=pos, color=path.stroke, penwidth=path.width, tooltip=hover(mark.tooltip), **head, **dashed
        )

    def _point(self, name: str, point: Point) -> str:
        return f"{quoted(name)} " + attributes(pos=self._at(point), shape="point", width=0.0, height=0.0, style="invis")


def _members(panels: Sequence[Mark], boxes: Sequence[Mark]) -> dict[str, list[Mark]]:
    """The boxes in each panel; each is looked for among the panels of its own step alone, so that this takes no time."""
    members: dict[str, list[Mark]] = {panel.key: [] for panel in panels}
    of_step: dict[int | None, list[Mark]] = {}
    for panel in panels:
        of_step.setdefault(panel.time, []).append(panel)
    for box in boxes:
        outline = box.shapes[0]
        for panel in of_step.get(box.time, []):
            frame = panel.shapes[0]
            if isinstance(frame, Rectangle) and isinstance(outline, Rectangle | Circle) and frame.holds(outline.middle):
                members[panel.key].append(box)
                break
    return members
