"""From a scene to a sheet: what a box, a wire or a bar looks like, in rectangles, circles, lines and words.

A scene knows gates, wires and bars; a writer knows the four shapes. What things look like is decided here, once, and so
is their colour on a light or a dark page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .furniture import LEGEND_HEIGHT, LEGEND_WIDTH, SAMPLE_WIDTH, ticks
from .palette import ALARM, INK, OUTLINE, PAGE, PANEL_FILL, PANEL_INK, PANEL_LINE, SOFT, VANISHED, VANISHED_FILL, colour_at
from .paths import Pen
from .scene import Badge, Bar, Box, Curve, Edge, Junction, Panel, Sample, Scene, Text, Tile, Wire
from .sheet import DASHED, Circle, Mark, Path, Rectangle, Shape, Sheet, Words
from .tables import GAP, PITCH, SIZE, Table
from .text import LINE_HEIGHT, Line, Span, fit, line_width, number, plain, power_of_ten, shorten

__all__ = ["marked"]

BASELINE = 0.35
WIRE_WIDTH = 1.6
SMALL, SMALLEST = 11.0, 6.5
"""The names of bars: what would have to be smaller is shortened, and told in full on hover."""
SCALE_PIECES = 38


def marked(scene: Scene, colour: Callable[[str], str] = str) -> Sheet:
    """The sheet of a scene.

    Args:
        scene: what to show.
        colour: from the colours of the light theme to those that are wanted (see `palette.THEMES`).
    """
    marks = tuple(Marker(scene, colour).marks())
    return Sheet(
        scene.title, scene.description, scene.width, scene.height, colour(PAGE), colour(INK), colour(SOFT),
        tuple(scene.stages), marks,
    )  # fmt: skip


class Marker:
    """Turns what is in one scene into marks of one theme."""

    def __init__(self, scene: Scene, colour: Callable[[str], str]) -> None:
        self._scene = scene
        self._colour = colour
        self._parameters = {box.lines[0]: box.key for box in scene.boxes if box.role == "parameter" and box.lines}

    def marks(self) -> Iterator[Mark]:
        """All of them, in the order of painting."""
        scene = self._scene
        yield from (self._panel(k, panel) for k, panel in enumerate(scene.panels))
        yield from map(self._tile, scene.tiles)
        yield from map(self._wire, scene.wires)
        yield from map(self._curve, scene.curves)
        yield from map(self._edge, scene.edges_by_strength())
        yield from (self._junction(k, junction) for k, junction in enumerate(scene.junctions))
        yield from map(self._box, scene.boxes)
        yield from map(self._badge, scene.badges)
        yield from (self._bar(k, bar) for k, bar in enumerate(scene.bars))
        yield from (self._text(k, text) for k, text in enumerate(scene.texts))
        if scene.scale is not None:
            yield Mark("legend", "legend", tuple(self._legend()))

    def _panel(self, k: int, panel: Panel) -> Mark:
        c = self._colour
        frame = Rectangle(panel.x, panel.y, panel.width, panel.height, c(PANEL_FILL), c(PANEL_LINE), radius=14.0)
        label = Words(panel.label_x, panel.y + 17, (Span(panel.label),), 13.5, c(PANEL_INK))
        return Mark("panels", f"p{k}", (frame, label), "", "", panel.time, panel.stage, panel.group)

    def _tile(self, tile: Tile) -> Mark:
        vanished = tile.colour == VANISHED
        stands_apart = bool(tile.group) and 4.0 < tile.width < 30.0
        outline = self._colour(VANISHED) if vanished and stands_apart else None
        fill = self._colour(VANISHED_FILL if vanished else tile.colour)
        shape = Rectangle(tile.x, tile.y, tile.width, tile.height, fill, outline)
        return Mark("tiles", tile.key, (shape,), tile.tooltip, "", tile.time, tile.stage, tile.group)

    def _wire(self, wire: Wire) -> Mark:
        path = Path(wire.points, self._colour(wire.colour), WIRE_WIDTH, arrow=wire.arrow)
        return Mark("wires", wire.key, (path,), wire.tooltip, "", None, wire.stage, wire.group, wire.source)

    def _curve(self, curve: Curve) -> Mark:
        path = Path(curve.points, self._colour(curve.colour), curve.width, curve.dash)
        return Mark("curves", curve.key, (path,), curve.tooltip, "", curve.time, curve.stage, curve.group)

    def _edge(self, edge: Edge) -> Mark:
        path = Path(edge.points, self._colour(edge.colour), edge.width, _dash(edge.dashed), edge.arrow)
        return Mark("edges", edge.key, (path,), edge.tooltip, "", edge.time, edge.stage, edge.group, edge.source, edge.target)

    def _junction(self, k: int, junction: Junction) -> Mark:
        dot = Circle(junction.x, junction.y, 3.0, self._colour(junction.colour))
        return Mark("junctions", f"j{k}", (dot,), "", "", junction.time, junction.stage, junction.group)

    def _box(self, box: Box) -> Mark:
        c = self._colour
        outline: Shape
        if box.shape == "circle":
            vertical = box.height / 2 if box.height != box.width else None
            outline = Circle(box.x, box.y, box.width / 2, c(box.fill), c(OUTLINE), vertical)
        else:
            left, top = box.x - box.width / 2, box.y - box.height / 2
            radius = min(9.0, box.height / 3)
            dashed = box.shape == "fold"
            outline = Rectangle(left, top, box.width, box.height, c(box.fill), c(OUTLINE), 1.0, radius, dashed)
        high = LINE_HEIGHT * len(box.lines) + box.table.height
        foot = box.y - high / 2 + LINE_HEIGHT / 2 + BASELINE * box.font
        ink = c(INK)
        words = [Words(box.x, foot + k * LINE_HEIGHT, line, box.font, ink, "middle") for k, line in enumerate(box.lines)]
        if box.table.columns:
            words += self._numbers(box.table, box.x, box.y - high / 2 + LINE_HEIGHT * len(box.lines))
        told = box.tooltip if box.tooltip.startswith(box.full_name) else f"{box.full_name}\n{box.tooltip}"
        return Mark("boxes", box.key, (outline, *words), told, box.role, box.time, box.stage, box.group)

    def _numbers(self, table: Table, x: float, top: float) -> Iterator[Words]:
        widths = table.widths
        left = x - (sum(widths) + GAP * (len(widths) - 1)) / 2
        for column, width in zip(table.columns, widths, strict=True):
            for k, line in enumerate(column):
                yield self._words(left + width / 2, top + PITCH * (k + 0.8), line, SIZE, INK, "middle")
            left += width + GAP

    def _badge(self, badge: Badge) -> Mark:
        x, y, c = badge.x, badge.y, self._colour
        shapes: list[Shape] = [Circle(x, y, 9.0, c(PAGE), c(OUTLINE))]
        if badge.kind == "cut":
            for side in (-1, 1):
                shapes.append(Circle(x - 3.6, y + 2.9 * side, 2.1, None, c(INK)))
                shapes.append(Path(Pen(x - 1.8, y + 1.9 * side).to(x + 6.0, y - 2.6 * side).points, c(INK), 1.4))
        else:
            shapes[0] = Circle(x, y, 9.0, c(ALARM), c(OUTLINE))
            shapes.append(Words(x, y + 5.0, (Span("!"),), 14.0, c(PAGE), "middle", bold=True))
        return Mark("badges", badge.key, tuple(shapes), badge.tooltip, badge.kind, badge.time, badge.stage, badge.group)

    def _bar(self, k: int, bar: Bar) -> Mark:
        c = self._colour
        value = number(bar.value)
        told = f"share of step {bar.time} in ∂L/∂{bar.parameter}\n‖·‖ = {value}"
        room = bar.width * 1.45
        label = bar.label
        if fit(label, SMALL, room) < SMALLEST:
            label = (Span(shorten(plain(label), int(room / line_width((Span("n"),), SMALLEST)))),)
        shapes = (
            Rectangle(bar.x - bar.width / 2, bar.y - bar.height, bar.width, bar.height, c(bar.colour), c(OUTLINE), 0.6),
            self._words(bar.x, bar.y - bar.height - 4, (Span(value),), fit((Span(value),), 10.5, room), INK, "middle"),
            self._words(bar.x, bar.y + 14, label, fit(label, SMALL, room), INK, "middle"),
        )
        source = self._parameters.get(bar.label, "")
        return Mark("bars", f"b{k}", shapes, told, "", bar.time, bar.stage, bar.group, source)

    def _text(self, k: int, text: Text) -> Mark:
        words = Words(text.x, text.y, text.line, text.size, self._colour(text.colour), text.anchor, text.bold, text.rotated)
        return Mark("texts", text.key or f"t{k}", (words,), group=text.group)

    def _words(self, x: float, y: float, line: Line, size: float, colour: str, anchor: str = "start") -> Words:
        return Words(x, y, line, size, self._colour(colour), anchor)

    def _legend(self) -> Iterator[Shape]:
        x, y = self._scene.scale_at
        step = LEGEND_WIDTH / SCALE_PIECES
        for k in range(SCALE_PIECES):
            colour = self._colour(colour_at((k + 0.5) / SCALE_PIECES))
            yield Rectangle(x + k * step, y, LEGEND_WIDTH - k * step, LEGEND_HEIGHT, colour)
        for exponent, tick in ticks(self._scene):
            yield Path(Pen(tick, y).to(tick, y + LEGEND_HEIGHT + 3).points, self._colour(SOFT), 0.8)
            yield self._words(tick, y + LEGEND_HEIGHT + 15, power_of_ten(exponent), SMALL, SOFT, "middle")
        for sample in self._scene.samples:
            yield from self._sample(sample)

    def _sample(self, sample: Sample) -> Iterator[Shape]:
        line = Pen(sample.x, sample.y).to(sample.x + SAMPLE_WIDTH, sample.y).points
        yield Path(line, self._colour(sample.colour), sample.width, _dash(sample.dashed))
        yield self._words(sample.x + SAMPLE_WIDTH + 6, sample.y + 4, sample.meaning, SMALL, SOFT)


def _dash(dashed: bool) -> tuple[float, ...]:
    return DASHED if dashed else ()
