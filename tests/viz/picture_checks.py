"""What must be true of every picture, and finders of what is not: the tests plant mistakes that these must catch."""

from itertools import combinations, pairwise
from math import hypot

from minigrad.viz.marks import Circle, Mark, Path, Rectangle, Sheet, Words
from minigrad.viz.palette import contrast
from minigrad.viz.scene import Box, Edge, Scene
from minigrad.viz.text import line_width, plain

Point = tuple[float, float]


def along(points: tuple[Point, ...], steps: int = 24) -> list[Point]:
    """Points on a cubic Bézier line."""
    found = [points[0]]
    for k in range(0, len(points) - 1, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[k : k + 4]
        for s in range(1, steps + 1):
            t = s / steps
            a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3
            found.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
    return found


def inside(box: Box, point: Point, margin: float = 1.0) -> bool:
    return abs(point[0] - box.x) < box.width / 2 - margin and abs(point[1] - box.y) < box.height / 2 - margin


def overlapping_boxes(scene: Scene) -> list[tuple[str, str]]:
    return [
        (a.key, b.key)
        for a, b in combinations(scene.boxes, 2)
        if abs(a.x - b.x) < (a.width + b.width) / 2 - 0.5 and abs(a.y - b.y) < (a.height + b.height) / 2 - 0.5
    ]


def lines_through_boxes(scene: Scene) -> list[tuple[str, str]]:
    """Lines and wires that pass through a box they neither leave nor reach."""
    found = []
    for line in [*scene.edges, *scene.wires]:
        ends = {line.source, line.target} if isinstance(line, Edge) else {line.source}
        path = along(line.points)
        found += [(line.key, box.key) for box in scene.boxes if box.key not in ends and any(inside(box, p) for p in path)]
    return found


def lines_through_their_own_ends(scene: Scene) -> list[str]:
    """Lines that enter the box they start from or end at, instead of touching its outline."""
    boxes = {box.key: box for box in scene.boxes}
    return [
        edge.key
        for edge in scene.edges
        if any(inside(boxes[end], p, margin=2.5) for end in (edge.source, edge.target) for p in along(edge.points))
        and boxes[edge.source].shape == boxes[edge.target].shape == "box"
    ]


def lines_that_double_back(scene: Scene) -> list[str]:
    """Lines and wires that go back over the way they came."""
    found = []
    for line in [*scene.edges, *scene.wires]:
        steps = [(x - u, y - v) for (u, v), (x, y) in pairwise(line.points) if hypot(x - u, y - v) > 1e-6]
        turns = pairwise(steps)
        if any(a * c + b * d < -0.999 * hypot(a, b) * hypot(c, d) for (a, b), (c, d) in turns):
            found.append(line.key)
    return found


def lines_through_labels(scene: Scene) -> list[tuple[str, str]]:
    """Lines that pass through the label of a step."""
    found = []
    for panel in scene.panels:
        label = Box("", "", "box", panel.label_x + 17, panel.y + 13, 34, 13, (), 0, "", None, "")
        found += [(e.key, panel.label) for e in scene.edges if any(inside(label, p, 0.0) for p in along(e.points))]
    return found


def outside_the_picture(scene: Scene) -> list[str]:
    boxes = [b.key for b in scene.boxes if not (b.width / 2 <= b.x <= scene.width - b.width / 2 and 0 < b.y < scene.height)]
    lines = []
    for edge in scene.edges:
        if any(not (0 <= x <= scene.width and 0 <= y <= scene.height) for x, y in along(edge.points)):
            lines.append(edge.key)
    return boxes + lines


def ground_of(mark: Mark, sheet: Sheet) -> str:
    """The colour that the words of a mark stand on."""
    outline = mark.shapes[0]
    filled = mark.layer in ("boxes", "panels", "badges") and isinstance(outline, Rectangle | Circle)
    return (outline.fill or sheet.page) if filled else sheet.page


def words_outside_their_boxes(sheet: Sheet) -> list[str]:
    found = []
    for mark in sheet.marks:
        outline = mark.shapes[0]
        if mark.layer == "boxes" and isinstance(outline, Rectangle):
            for words in mark.shapes[1:]:
                assert isinstance(words, Words)
                end = words.start + line_width(words.line, words.size)
                below = words.y - words.size * 0.75 < outline.y or words.y > outline.y + outline.height
                if words.start < outline.x - 0.5 or end > outline.x + outline.width + 0.5 or below:
                    found.append(f"{mark.key}: {plain(words.line)}")
    return found


def hard_to_see(sheet: Sheet) -> list[str]:
    """Words with a contrast below 4.5 to what is behind them, lines with one below 2 to the page."""
    found = []
    for mark in sheet.marks:
        for shape in mark.shapes:
            if isinstance(shape, Words) and contrast(shape.colour, ground_of(mark, sheet)) < 4.5:
                found.append(f"{mark.key}: {plain(shape.line)} in {shape.colour} on {ground_of(mark, sheet)}")
            if isinstance(shape, Path) and contrast(shape.stroke, sheet.page) < 2.0:
                found.append(f"{mark.key}: a line in {shape.stroke}")
    return found
