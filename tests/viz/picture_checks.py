"""What must be true of every picture, and finders of what is not: the tests plant mistakes that these must catch."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import hypot

import numpy as np
from minigrad.viz.palette import contrast
from minigrad.viz.scene import Box, Edge, Scene
from minigrad.viz.sheet import Circle, Mark, Path, Rectangle, Sheet, Words
from minigrad.viz.text import line_width, plain
from minigrad.viz.writers.grid import Grid

Point = tuple[float, float]


STEPS = 24
T = np.arange(1, STEPS + 1)[:, None] / STEPS
BERNSTEIN = np.hstack([(1 - T) ** 3, 3 * (1 - T) ** 2 * T, 3 * (1 - T) * T * T, T**3])


def along(points: Sequence[Point]) -> np.ndarray:
    """Points (n, 2) on a cubic Bézier line."""
    given = np.array(points)
    pieces = [BERNSTEIN @ given[k : k + 4] for k in range(0, len(given) - 1, 3)]
    return np.vstack([given[:1], *pieces])


def meets(box: Box, points: np.ndarray, margin: float = 1.0) -> bool:
    """Whether any of the points lies in the box, farther from its outline than the margin."""
    room = [box.width / 2 - margin, box.height / 2 - margin]
    return bool((np.abs(points - [box.x, box.y]) < room).all(axis=1).any())


def overlapping_boxes(scene: Scene) -> list[tuple[str, str]]:
    return [
        (a.key, b.key)
        for a, b in combinations(scene.boxes, 2)
        if abs(a.x - b.x) < (a.width + b.width) / 2 - 0.5 and abs(a.y - b.y) < (a.height + b.height) / 2 - 0.5
    ]


def lines_through_boxes(scene: Scene) -> list[tuple[str, str]]:
    """Lines and wires that pass through a box they neither leave nor reach."""
    found = []
    middles = np.array([[box.x, box.y] for box in scene.boxes])
    rooms = np.array([[box.width / 2 - 1.0, box.height / 2 - 1.0] for box in scene.boxes])
    for line in [*scene.edges, *scene.wires]:
        ends = {line.source, line.target} if isinstance(line, Edge) else {line.source}
        met = (np.abs(along(line.points)[:, None] - middles) < rooms).all(axis=2).any(axis=0)
        found += [(line.key, scene.boxes[k].key) for k in np.flatnonzero(met) if scene.boxes[k].key not in ends]
    return found


def lines_through_their_own_ends(scene: Scene) -> list[str]:
    """Lines that enter the box they start from or end at, instead of touching its outline."""
    boxes = {box.key: box for box in scene.boxes}
    return [
        edge.key
        for edge in scene.edges
        if any(meets(boxes[end], along(edge.points), margin=2.5) for end in (edge.source, edge.target))
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
    lines = {edge.key: along(edge.points) for edge in scene.edges}
    for panel in scene.panels:
        label = Box("", "", "box", panel.label_x + 17, panel.y + 13, 34, 13, (), 0, "", None, "")
        found += [(key, panel.label) for key, line in lines.items() if meets(label, line, 0.0)]
    return found


def outside_the_picture(scene: Scene) -> list[str]:
    boxes = [b.key for b in scene.boxes if not (b.width / 2 <= b.x <= scene.width - b.width / 2 and 0 < b.y < scene.height)]
    page = [scene.width, scene.height]
    paths = {edge.key: along(edge.points) for edge in scene.edges}
    return boxes + [key for key, path in paths.items() if (path < 0).any() or (path > page).any()]


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


def names_of_bars_on_others(sheet: Sheet) -> list[tuple[str, str]]:
    """Bars side by side of which the words run into each other."""
    bars = [mark.shapes[1:] for mark in sheet.marks if mark.layer == "bars"]
    places = [[(w.start, w.start + line_width(w.line, w.size), w.y, w) for w in b if isinstance(w, Words)] for b in bars]
    pairs = [pair for one, two in pairwise(places) for pair in zip(one, two, strict=True)]
    return [(plain(a[3].line), plain(b[3].line)) for a, b in pairs if a[2] == b[2] and a[0] < b[1] and b[0] < a[1]]


def torn_in_the_terminal(sheet: Sheet, width: int) -> list[str]:
    """Items that run into another in a terminal of that width, or out of it to the left."""
    blocks = {key: block for key, block in Grid(sheet, width).blocks.items() if block.lines}
    taken: dict[tuple[int, int], str] = {}
    found = []
    for key, block in blocks.items():
        found += [f"{key} runs into {taken[cell]}" for cell in block.cells() if cell in taken][:1]
        found += [f"{key} begins outside"] * (block.span.left < 0)
        taken |= dict.fromkeys(block.cells(), key)
    return found


def passing_through_in_the_terminal(sheet: Sheet, width: int) -> list[str]:
    """Lines that go through an item in a terminal that they neither leave nor reach."""
    grid = Grid(sheet, width)
    taken = {cell: key for key, block in grid.blocks.items() for cell in block.cells()}
    found = []
    for mark in sheet.marks:
        for path in mark.shapes if mark.layer in ("edges", "wires") else ():
            assert isinstance(path, Path)
            backwards = mark.layer == "wires" and path.arrow
            ends = (mark.target, mark.source) if backwards else (mark.source, mark.target)
            met = {taken[cell] for cell in grid.walk(path, *ends) if cell in taken} - set(ends)
            found += [f"{mark.key} through {key}" for key in sorted(met)]
    return found
