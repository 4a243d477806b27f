"""Writing a scene as SVG, by itself: no Graphviz, no fonts, no libraries.

The same scene gives the same bytes. Subscripts are set as raised and lowered pieces of text, arrows as small polygons
in their line's colour, so that browsers, slide programs and converters show the same picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .furniture import LEGEND_HEIGHT, LEGEND_WIDTH, SAMPLE_WIDTH, ticks
from .palette import (
    INK,
    OUTLINE,
    PANEL_FILL,
    PANEL_INK,
    PANEL_LINE,
    RAMP,
    SOFT,
)
from .paths import Point, shortened
from .scene import Bar, Box, Edge, Junction, Panel, Sample, Scene, Text, Wire
from .text import LINE_HEIGHT, SUBSCRIPT_SIZE, Line, Span, clean, fit, number, power_of_ten

__all__ = ["FONTS", "arrow_size", "write"]

FONTS = "'DejaVu Sans', 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Noto Sans', 'Noto Sans Math', sans-serif"
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
BASELINE = 0.35


def escape(text: str) -> str:
    """Text as it may stand between tags or in a quoted attribute.

    >>> escape('W<"&')
    'W&lt;&quot;&amp;'
    """
    return "\n".join(map(clean, text.split("\n"))).translate(ESCAPES)


def _n(value: float) -> str:
    """A number without superfluous digits."""
    text = f"{value:.1f}"
    return text[:-2] if text[-1] == "0" and text != "-0.0" else text


def arrow_size(width: float) -> tuple[float, float]:
    """Length and half breadth of the arrow of a line so wide."""
    return 6.0 + 1.5 * width, 2.6 + 0.75 * width


def write(scene: Scene) -> str:
    """The scene as a complete SVG document."""
    return "\n".join(_document(scene)) + "\n"


def _document(scene: Scene) -> Iterator[str]:
    width, height = _n(scene.width), _n(scene.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-labelledby="title desc" font-family="{FONTS}" fill="{INK}">'
    )
    yield f'<title id="title">{escape(scene.title or scene.description)}</title>'
    yield f'<desc id="desc">{escape(scene.description)}</desc>'
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    yield from _group("panels", map(_panel, scene.panels))
    yield from _group("wires", map(_wire, scene.wires), 'fill="none" stroke-width="1.6"')
    yield from _group("edges", map(_edge, scene.edges_by_strength()), 'fill="none"')
    yield from _group("junctions", map(_junction, scene.junctions))
    yield from _group("boxes", map(_box, scene.boxes), 'text-anchor="middle" xml:space="preserve"')
    yield from _group("bars", map(_bar, scene.bars), 'text-anchor="middle"')
    yield from _group("texts", map(_text, scene.texts))
    if scene.scale is not None:
        yield from _group("legend", _legend(scene), 'font-size="11"')
    yield "</svg>"


def _group(name: str, parts: Iterable[str], attributes: str = "") -> Iterator[str]:
    parts = list(parts)
    if parts:
        yield f'<g class="{name}"{" " + attributes if attributes else ""}>'
        yield from parts
        yield "</g>"


def _path(points: tuple[Point, ...] | list[Point]) -> str:
    pieces = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for k in range(1, len(points) - 2, 3):
        before, a, b, end = points[k - 1 : k + 3]
        if before[0] == a[0] == b[0] == end[0]:
            pieces.append(f"V{_n(end[1])}")
        elif before[1] == a[1] == b[1] == end[1]:
            pieces.append(f"H{_n(end[0])}")
        else:
            pieces.append("C" + " ".join(f"{_n(x)} {_n(y)}" for x, y in (a, b, end)))
    return "".join(pieces)


def arrow_head(tip: Point, direction: Point, width: float) -> list[Point]:
    """The corners of an arrow that points at ``tip``."""
    length, half = arrow_size(width)
    (x, y), (ux, uy) = tip, direction
    bx, by = x - ux * length, y - uy * length
    return [(x, y), (bx - uy * half, by + ux * half), (bx + uy * half, by - ux * half)]


def _edge(edge: Edge) -> str:
    time = "" if edge.time is None else f' data-t="{edge.time}"'
    dash = ' stroke-dasharray="4 3"' if edge.dashed else ""
    head = ""
    points: tuple[Point, ...] | list[Point] = edge.points
    if edge.arrow:
        points, direction = shortened(edge.points, arrow_size(edge.width)[0] - 0.5)
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in arrow_head(edge.points[-1], direction, edge.width))
        head = f'<polygon points="{corners}" fill="{edge.colour}"/>'
    return (
        f'<g id="{edge.key}" data-from="{edge.source}" data-to="{edge.target}"{time}><title>{escape(edge.tooltip)}</title>'
        f'<path d="{_path(points)}" stroke="{edge.colour}" stroke-width="{_n(edge.width)}"{dash}/>{head}</g>'
    )


def _wire(wire: Wire) -> str:
    head = ""
    points: tuple[Point, ...] | list[Point] = wire.points
    if wire.arrow:
        points, direction = shortened(wire.points, arrow_size(1.6)[0] - 0.5)
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in arrow_head(wire.points[-1], direction, 1.6))
        head = f'<polygon points="{corners}" fill="{wire.colour}"/>'
    return (
        f'<g id="{wire.key}" data-from="{wire.source}"><title>{escape(wire.tooltip)}</title>'
        f'<path d="{_path(points)}" stroke="{wire.colour}"/>{head}</g>'
    )


def _junction(junction: Junction) -> str:
    return f'<circle cx="{_n(junction.x)}" cy="{_n(junction.y)}" r="3" fill="{junction.colour}"/>'


def _panel(panel: Panel) -> str:
    return (
        f'<g data-t="{panel.time}"><rect x="{_n(panel.x)}" y="{_n(panel.y)}" width="{_n(panel.width)}" '
        f'height="{_n(panel.height)}" rx="14" fill="{PANEL_FILL}" stroke="{PANEL_LINE}"/>'
        f'<text x="{_n(panel.label_x)}" y="{_n(panel.y + 17)}" font-size="13.5" fill="{PANEL_INK}">'
        f"{escape(panel.label)}</text></g>"
    )


def _spans(line: Line, size: float) -> str:
    pieces: list[str] = []
    lowered = 0.0
    for span in line:
        wanted = -span.level * size * (0.24 if span.level < 0 else 0.36)
        shift, lowered = wanted - lowered, wanted
        attributes = "" if abs(shift) < 1e-9 else f' dy="{_n(shift)}"'
        if span.level:
            attributes += f' font-size="{_n(size * SUBSCRIPT_SIZE)}"'
        if span.soft:
            attributes += f' fill="{SOFT}"'
        text = escape(span.text)
        pieces.append(f"<tspan{attributes}>{text}</tspan>" if attributes else text)
    return "".join(pieces)


def _box(box: Box) -> str:
    time = "" if box.time is None else f' data-t="{box.time}"'
    if box.shape == "circle":
        shape = f'<circle cx="{_n(box.x)}" cy="{_n(box.y)}" r="{_n(box.width / 2)}" fill="{box.fill}" stroke="{OUTLINE}"/>'
    else:
        left, top = box.x - box.width / 2, box.y - box.height / 2
        shape = (
            f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(box.width)}" height="{_n(box.height)}" '
            f'rx="{_n(min(9.0, box.height / 3))}" fill="{box.fill}" stroke="{OUTLINE}"/>'
        )
    texts: list[str] = []
    for k, line in enumerate(box.lines):
        y = box.y + (k - (len(box.lines) - 1) / 2) * LINE_HEIGHT + BASELINE * box.font
        texts.append(f'<text x="{_n(box.x)}" y="{_n(y)}" font-size="{_n(box.font)}">{_spans(line, box.font)}</text>')
    return f'<g id="{box.key}" class="{box.role}"{time}><title>{escape(box.tooltip)}</title>{shape}{"".join(texts)}</g>'


def _bar(bar: Bar) -> str:
    value = number(bar.value)
    size = fit((Span(value),), 10.5, bar.width * 1.45)
    told = escape(f"share of step {bar.time} in ∂L/∂{bar.parameter}\n‖·‖ = {value}")
    return (
        f'<g data-t="{bar.time}"><title>{told}</title>'
        f'<rect x="{_n(bar.x - bar.width / 2)}" y="{_n(bar.y - bar.height)}" width="{_n(bar.width)}" '
        f'height="{_n(bar.height)}" fill="{bar.colour}" stroke="{OUTLINE}" stroke-width="0.6"/>'
        f'<text x="{_n(bar.x)}" y="{_n(bar.y - bar.height - 4)}" font-size="{_n(size)}">{value}</text>'
        f'<text x="{_n(bar.x)}" y="{_n(bar.y + 14)}" font-size="11">{_spans(bar.label, 11)}</text></g>'
    )


def _text(text: Text) -> str:
    weight = ' font-weight="bold"' if text.bold else ""
    return (
        f'<text x="{_n(text.x)}" y="{_n(text.y)}" font-size="{_n(text.size)}" text-anchor="{text.anchor}" '
        f'fill="{text.colour}"{weight}>{_spans(text.line, text.size)}</text>'
    )


def _sample(sample: Sample) -> str:
    dash = ' stroke-dasharray="4 3"' if sample.dashed else ""
    return (
        f'<path d="M{_n(sample.x)} {_n(sample.y)}h{_n(SAMPLE_WIDTH)}" stroke="{sample.colour}" '
        f'stroke-width="{_n(sample.width)}"{dash}/><text x="{_n(sample.x + SAMPLE_WIDTH + 6)}" y="{_n(sample.y + 4)}" '
        f'fill="{SOFT}">{_spans(sample.meaning, 11)}</text>'
    )


def _legend(scene: Scene) -> Iterator[str]:
    x, y = scene.scale_at
    stops = "".join(
        f'<stop offset="{_n(k / (len(RAMP) - 1))}" stop-color="#{r:02x}{g:02x}{b:02x}"/>' for k, (r, g, b) in enumerate(RAMP)
    )
    yield f'<linearGradient id="ramp">{stops}</linearGradient>'
    yield f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(LEGEND_WIDTH)}" height="{_n(LEGEND_HEIGHT)}" fill="url(#ramp)"/>'
    yield from map(_sample, scene.samples)
    for exponent, tick in ticks(scene):
        yield f'<path d="M{_n(tick)} {_n(y)}v{_n(LEGEND_HEIGHT + 3)}" stroke="{SOFT}" stroke-width="0.8"/>'
        label = _spans(power_of_ten(exponent), 11)
        yield f'<text x="{_n(tick)}" y="{_n(y + LEGEND_HEIGHT + 15)}" text-anchor="middle" fill="{SOFT}">{label}</text>'
