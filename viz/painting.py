"""From positions to a scene: colours, widths, hover texts, and everything moved to where the picture begins."""

from __future__ import annotations

import math
from itertools import pairwise

from .describing import described, summary_of
from .diagram.items import Diagram, Item, Link
from .furniture import add_bars, add_heading, add_lap_names, add_notes, wants
from .layout.geometry import Layout
from .overlay import Overlay
from .palette import COLLECTOR, COLLECTOR_JUNCTION, FILLS, JUNCTION, UNTRACKED, WIRE, Scale, gate_fills
from .paths import Point
from .scene import Badge, Box, Edge, Junction, Panel, Scene, Wire
from .stages import Stages, group_of
from .text import clean, number

__all__ = ["paint"]

MARGIN = 16.0
ABOVE_A_LAP = 42.0
LEAST_OF_A_PAGE = 0.7
"""A small picture fills its page by being drawn larger there, up to this part of the page."""
PLAIN_WIDTH = 1.5
PLAIN_COLOUR = "#546e7a"
CUT_HERE = "truncated backpropagation through time cut the history here: no gradient goes back"


def paint(
    diagram: Diagram, layout: Layout, overlay: Overlay | None, title: str, notes: list[str], page: Point | None = None
) -> Scene:
    """The finished scene of a diagram: as large as it comes, or in the middle of a page of that shape."""
    scene = _painted(diagram, layout, overlay, title, notes, (0.0, 0.0))
    if page is None:
        return scene
    scale = max(scene.width / page[0], scene.height / page[1], LEAST_OF_A_PAGE)
    width, height = page[0] * scale, page[1] * scale
    scene = _painted(diagram, layout, overlay, title, notes, (width - scene.width, height - scene.height))
    scene.width, scene.height = width, height
    return scene


def _painted(
    diagram: Diagram, layout: Layout, overlay: Overlay | None, title: str, notes: list[str], spare: Point
) -> Scene:
    scene = Scene(clean(title), summary_of(diagram))
    Painter(scene, diagram, layout, overlay).paint(spare)
    scene.notes += notes
    add_notes(scene)
    return scene


class Painter:
    """Fills one scene."""

    def __init__(self, scene: Scene, diagram: Diagram, layout: Layout, overlay: Overlay | None) -> None:
        self.scene, self.diagram, self.layout, self.overlay = scene, diagram, layout, overlay
        self.stages = Stages(diagram)
        self.groups = [group_of(diagram, item) for item in diagram.items]
        scene.stages += self.stages.labels
        if overlay is not None:
            magnitudes = [m for m in (*overlay.of_link, *overlay.share.values()) if m is not None]
            scene.scale = Scale.covering([*magnitudes, overlay.seed], around=overlay.seed)

    def paint(self, spare: Point) -> None:
        """Add everything to the scene; half of the ``spare`` width and height is left free before it."""
        scene, diagram, layout, overlay = self.scene, self.diagram, self.layout, self.overlay
        left = MARGIN + spare[0] / 2
        heading = add_heading(scene, diagram, overlay, layout.right + 2 * MARGIN + spare[0]) + spare[1] / 2
        if layout.steps is not None:
            heading = add_lap_names(scene, diagram, layout, left, heading)
        self.dx, self.dy = left, heading - layout.ceiling
        self._add_panels()
        fills = gate_fills(str(item.head.name) for item in diagram.items if item.role == "gate")
        for item in diagram.items:
            self._add_box(item, fills)
        for bus in layout.buses:
            item = diagram.items[bus.item]
            colour = COLLECTOR if bus.collects else WIRE
            points = self._shifted(bus.points)
            stage = self.stages.of_item[bus.item] if bus.collects else None
            scene.wires.append(Wire(f"w{bus.item}", f"n{bus.item}", points, colour, bus.collects, item.full_name, stage=stage))
        for k, link in enumerate(diagram.links):
            self._add_edge(k, link)
        self._add_origin()
        scene.width = max(scene.width, layout.right + self.dx + MARGIN)
        scene.height = layout.floor + self.dy + MARGIN
        if overlay is not None and overlay.share:
            add_bars(scene, diagram, layout, overlay, self.stages, self.dx, layout.floor + self.dy)

    def _shifted(self, points: list[Point]) -> tuple[Point, ...]:
        dx, dy = self.dx, self.dy
        return tuple([(x + dx, y + dy) for x, y in points])

    def _add_panels(self) -> None:
        steps = self.layout.steps
        if steps is None:
            return
        tops = {lap: self._top_of_lap(lap) for lap in {step.lap for step in self.diagram.steps}}
        for column, step in enumerate(self.diagram.steps):
            if step.between or step.last is not None:
                continue
            left, right = steps.edges(column)
            top = tops[step.lap]
            self.scene.panels.append(
                Panel(
                    left + self.dx,
                    top + self.dy,
                    right - left,
                    steps.bottom - top,
                    f"t = {step.time}",
                    steps.label_x(column) + self.dx,
                    step.time,
                    self.diagram.lap_names.get(step.lap, ""),
                    self.stages.of_column.get(column),
                )
            )

    def _top_of_lap(self, lap: int) -> float:
        """The upper edge of the panels of a lap: where others are much higher, they do not reach up to these."""
        steps, places = self.layout.steps, self.layout.places
        assert steps is not None
        own = [item for item in self.diagram.items if 0 <= item.place < self.diagram.after and not item.initial]
        tops = [
            places[item.index].y - places[item.index].height / 2
            for item in own
            if self.diagram.steps[item.place].lap == lap and not self.diagram.steps[item.place].between
        ]
        return max(steps.top, min(tops, default=steps.top) - ABOVE_A_LAP)

    def _add_box(self, item: Item, fills: dict[str, str]) -> None:
        place, overlay = self.layout.places[item.index], self.overlay
        look = place.look
        values = () if overlay is None else overlay.values.get(item.index, ())
        gradient = None if overlay is None else overlay.of_item.get(item.index)
        self.scene.boxes.append(
            Box(
                f"n{item.index}",
                item.role,
                look.shape,
                place.x + self.dx,
                place.y + self.dy,
                place.width,
                place.height,
                look.lines,
                look.font,
                fills[str(item.head.name)] if item.role == "gate" else FILLS.get(item.role, FILLS["affine"]),
                item.head.time,
                described(item, gradient, values),
                self.groups[item.index],
                self.stages.of_item[item.index],
                clean(item.head.name or item.full_name),
                look.table,
            )
        )

    def _add_edge(self, k: int, link: Link) -> None:
        scene, overlay, route = self.scene, self.overlay, self.layout.routes[k]
        source, target = self.diagram.items[link.source], self.diagram.items[link.target]
        magnitude = None if overlay is None else overlay.of_link[k]
        if overlay is None or scene.scale is None:
            colour, width = PLAIN_COLOUR, PLAIN_WIDTH
        else:
            colour, width = scene.scale.line(magnitude)
        told, is_cut = [f"{source.full_name} → {target.full_name}"], link.is_cut
        if is_cut:
            told.append(CUT_HERE)
        elif magnitude is not None:
            told.append(f"‖gradient‖ {number(magnitude)}")
        elif overlay is not None:
            told.append("the loss does not depend on this" if wants(link) else "no gradient is needed here")
        untracked = is_cut or (overlay is not None and magnitude is None)
        time = target.head.time if target.head.time is not None else source.head.time
        points, stage = self._shifted(route.points), self.stages.of_item[link.target]
        scene.edges.append(
            Edge(
                f"e{k}",
                f"n{link.source}",
                f"n{link.target}",
                points,
                UNTRACKED if untracked else colour,
                width,
                magnitude,
                route.arrow,
                untracked,
                time,
                "\n".join(told),
                self.groups[link.target],
                stage,
            )
        )
        if is_cut:
            x, y = middle_of(points)
            scene.badges.append(Badge(f"cut{k}", x, y, "cut", time, CUT_HERE, stage=stage))
        if route.junction is not None:
            x, y = route.junction
            colour = JUNCTION if route.arrow else COLLECTOR_JUNCTION
            scene.junctions.append(Junction(x + self.dx, y + self.dy, colour, time, stage=stage))

    def _add_origin(self) -> None:
        """Mark where a number that is not finite first appeared."""
        if self.overlay is None or self.overlay.origin is None:
            return
        j, words = self.overlay.origin
        box = self.scene.boxes[j]
        told = words.format(where=f"in {self.diagram.items[j].full_name}")
        x, y = box.x + box.width / 2, box.y - box.height / 2
        self.scene.badges.append(Badge("origin", x, y, "nan", box.time, told, stage=box.stage))
        self.scene.notes.append(told)


def middle_of(points: tuple[Point, ...]) -> Point:
    """The point half-way along a line."""
    ends = points[::3]
    lengths = [math.dist(a, b) for a, b in pairwise(ends)]
    rest = sum(lengths) / 2
    for ((x0, y0), (x1, y1)), length in zip(pairwise(ends), lengths, strict=True):
        if rest <= length and length:
            return x0 + (x1 - x0) * rest / length, y0 + (y1 - y0) * rest / length
        rest -= length
    return ends[-1]
