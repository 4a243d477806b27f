"""From positions to a scene: colours, widths, hover texts, and everything moved to where the picture begins."""

from __future__ import annotations

from .diagram.items import Diagram, Item, Link
from .furniture import add_bars, add_heading
from .layout.geometry import Layout
from .overlay import Overlay
from .palette import COLLECTOR, COLLECTOR_JUNCTION, FILLS, JUNCTION, UNTRACKED, WIRE, Scale, gate_fills
from .paths import Point
from .scene import Box, Edge, Junction, Panel, Scene, Wire
from .text import clean, number

__all__ = ["paint"]

MARGIN = 16.0
PLAIN_WIDTH = 1.5
PLAIN_COLOUR = "#546e7a"


def paint(diagram: Diagram, layout: Layout, overlay: Overlay | None, title: str) -> Scene:
    """The finished scene of a diagram."""
    scene = Scene(clean(title), _description(diagram))
    if overlay is not None:
        magnitudes = [m for m in (*overlay.of_link, *overlay.share.values()) if m is not None]
        scene.scale = Scale.covering(magnitudes)
    heading = add_heading(scene, diagram, overlay, layout.right + 2 * MARGIN)
    dx, dy = MARGIN, heading - layout.ceiling
    _paint_panels(scene, diagram, layout, dx, dy)
    fills = gate_fills(str(item.head.name) for item in diagram.items if item.role == "gate")
    for item in diagram.items:
        _paint_box(scene, item, layout, overlay, fills, dx, dy)
    for bus in layout.buses:
        item = diagram.items[bus.item]
        colour = COLLECTOR if bus.collects else WIRE
        scene.wires.append(Wire(f"w{bus.item}", f"n{bus.item}", _shift(bus.points, dx, dy), colour, bus.collects, item.spoken))
    for k, link in enumerate(diagram.links):
        _paint_edge(scene, k, link, diagram, layout, overlay, dx, dy)
    scene.width = max(scene.width, layout.right + dx + MARGIN)
    scene.height = layout.floor + dy + MARGIN
    if overlay is not None and overlay.share:
        add_bars(scene, diagram, layout, overlay, dx, layout.floor + dy)
    return scene


def _shift(points: list[Point], dx: float, dy: float) -> tuple[Point, ...]:
    return tuple([(x + dx, y + dy) for x, y in points])


def _paint_panels(scene: Scene, diagram: Diagram, layout: Layout, dx: float, dy: float) -> None:
    steps = layout.steps
    if steps is None:
        return
    for column, step in enumerate(diagram.steps):
        if step.between or step.last is not None:
            continue
        left, right = steps.edges(column)
        scene.panels.append(
            Panel(
                left + dx,
                steps.top + dy,
                right - left,
                steps.bottom - steps.top,
                f"t = {step.time}",
                steps.label_x(column) + dx,
                step.time,
            )
        )


def _paint_box(
    scene: Scene, item: Item, layout: Layout, overlay: Overlay | None, fills: dict[str, str], dx: float, dy: float
) -> None:
    place = layout.places[item.index]
    look = place.look
    scene.boxes.append(
        Box(
            f"n{item.index}",
            item.role,
            look.shape,
            place.x + dx,
            place.y + dy,
            place.width,
            place.height,
            look.lines,
            look.font,
            fills[str(item.head.name)] if item.role == "gate" else FILLS.get(item.role, FILLS["affine"]),
            item.head.time,
            _describe_item(item, None if overlay is None else overlay.of_item.get(item.index)),
        )
    )


def _describe_item(item: Item, gradient: float | None) -> str:
    head = item.head
    operations = " → ".join(dict.fromkeys(node.label for node in item.nodes))
    parts = [item.spoken, operations, f"shape {head.shape} {head.dtype}"]
    if head.time is not None:
        parts.append(f"time step {head.time}")
    if head.scope:
        parts.append("in " + "/".join(head.scope))
    if gradient is not None:
        parts.append(f"‖gradient‖ {number(gradient)}")
    return clean_lines(parts)


def clean_lines(parts: list[str]) -> str:
    """Hover text: one part a line."""
    return "\n".join(clean(part) for part in parts)


def _paint_edge(
    scene: Scene, k: int, link: Link, diagram: Diagram, layout: Layout, overlay: Overlay | None, dx: float, dy: float
) -> None:
    route = layout.routes[k]
    source, target = diagram.items[link.source], diagram.items[link.target]
    magnitude = None if overlay is None else overlay.of_link[k]
    if overlay is None or scene.scale is None:
        colour, width = PLAIN_COLOUR, PLAIN_WIDTH
    else:
        colour, width = scene.scale.colour(magnitude), scene.scale.width(magnitude)
    told = [f"{source.spoken} → {target.spoken}"]
    if magnitude is not None:
        told.append(f"‖gradient‖ {number(magnitude)}")
    elif overlay is not None:
        told.append("no gradient is needed here")
    time = target.head.time if target.head.time is not None else source.head.time
    points = _shift(route.points, dx, dy)
    untracked = overlay is not None and magnitude is None
    edge = Edge(
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
        clean_lines(told),
    )
    scene.edges.append(edge)
    if route.junction is not None:
        x, y = route.junction
        colour = JUNCTION if route.arrow else COLLECTOR_JUNCTION
        scene.junctions.append(Junction(x + dx, y + dy, colour, time))


def _description(diagram: Diagram) -> str:
    steps = len(diagram.steps)
    what = f"{len(diagram.items)} boxes and {len(diagram.links)} arrows"
    if not steps:
        return f"A recorded computation: {what}."
    return f"A recorded computation unrolled over {steps} time step{'s' if steps > 1 else ''}: {what}."
