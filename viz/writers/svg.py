"""SVG, by itself: no Graphviz, no fonts, no libraries, the same bytes for the same marks.

The document is as wide as the picture and shrinks with the page that holds it. It has no ids, so that several can stand
in one page. Lines of several pieces start where their measured width says, since some converters centre every piece by
itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..marks import Circle, Mark, Path, Rectangle, Shape, Sheet, Words
from ..paths import Point
from ..text import SUBSCRIPT_SIZE, legible

__all__ = ["document", "escape", "write"]

FONTS = "'DejaVu Sans', 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Noto Sans', 'Noto Sans Math', sans-serif"
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;"})
SHRINKING = "@media screen, print { svg.minigrad { max-width: 100%; height: auto } }"
"""As a rule for media: converters take the size that stands in the document, and do not know "auto"."""
LOWERED, RAISED = 0.24, 0.36
DASHES = ' stroke-dasharray="4 3"'


def escape(text: str) -> str:
    """Text as it may stand between tags or in a quoted attribute.

    >>> escape('W<"&')
    'W&lt;&quot;&amp;'
    """
    return legible(text).translate(ESCAPES)


def write(sheet: Sheet) -> str:
    """The sheet as a complete SVG document."""
    return "\n".join(document(sheet)) + "\n"


def document(sheet: Sheet, role: str = "img") -> Iterator[str]:
    """Its lines; each mark is one of them. ``role`` "img" is for a picture in which nothing can be chosen."""
    width, height = _n(sheet.width), _n(sheet.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'class="minigrad" role="{role}" font-family="{FONTS}" fill="{sheet.ink}">'
    )
    yield f"<style>{SHRINKING}</style>"
    yield f"<title>{escape(sheet.name)}</title>"
    yield f"<desc>{escape(sheet.description)}</desc>"
    yield f'<rect width="{width}" height="{height}" fill="{sheet.page}"/>'
    for layer, marks in sheet.layers():
        crisp = ' shape-rendering="crispEdges"' if layer == "tiles" else ""  # lest the page shine through between two
        yield f'<g class="{layer}" xml:space="preserve"{crisp}>'
        yield from (_mark(mark, sheet.soft) for mark in marks)
        yield "</g>"
    yield "</svg>"


def _mark(mark: Mark, soft: str) -> str:
    told = f"<title>{escape(mark.tooltip)}</title>" if mark.tooltip else ""
    data = f' data-key="{escape(mark.key)}"'
    for name, fact in (("role", mark.role), ("group", mark.group), ("from", mark.source), ("to", mark.target)):
        if fact:
            data += f' data-{name}="{escape(fact)}"'
    for name, number in (("t", mark.time), ("stage", mark.stage)):
        if number is not None:
            data += f' data-{name}="{number}"'
    return f"<g{data}>{told}{''.join([_shape(shape, soft) for shape in mark.shapes])}</g>"


def _shape(shape: Shape, soft: str) -> str:
    match shape:
        case Rectangle():
            radius = f' rx="{_n(shape.radius)}"' if shape.radius else ""
            left, top = round(shape.x, 1), round(shape.y, 1)  # so that rectangles that touch do so when they are rounded
            width, height = round(shape.x + shape.width, 1) - left, round(shape.y + shape.height, 1) - top
            place = f'x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}"'
            return f'<rect {place}{radius} fill="{shape.fill}"{_outline(shape)}/>'
        case Circle():
            place = f'cx="{_n(shape.x)}" cy="{_n(shape.y)}"'
            name, radii = "circle", f'r="{_n(shape.r)}"'
            if shape.vertical is not None:
                name, radii = "ellipse", f'rx="{_n(shape.r)}" ry="{_n(shape.vertical)}"'
            return f'<{name} {place} {radii} fill="{shape.fill or "none"}"{_stroke(shape.stroke)}/>'
        case Path():
            stem, corners = shape.stem_and_head()
            line = f'<path d="{_curve(stem)}" fill="none"{_stroke(shape.stroke, shape.width)}{DASHES if shape.dashed else ""}/>'
            head = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)
            return f'{line}<polygon points="{head}" fill="{shape.stroke}"/>' if corners else line
        case Words():
            return _words(shape, soft)


def _outline(shape: Rectangle) -> str:
    return _stroke(shape.stroke, shape.stroke_width) + (DASHES if shape.dashed else "")


def _stroke(colour: str | None, width: float = 1.0) -> str:
    wide = "" if width == 1.0 else f' stroke-width="{_n(width)}"'
    return "" if colour is None else f' stroke="{colour}"{wide}'


def _curve(points: Sequence[Point]) -> str:
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


def _words(words: Words, soft: str) -> str:
    x, anchor = (words.start, "start") if len(words.line) > 1 else (words.x, words.anchor)
    style = "" if anchor == "start" else f' text-anchor="{anchor}"'
    style += ' font-weight="bold"' if words.bold else ""
    style += f' transform="rotate(-90 {_n(words.x)} {_n(words.y)})"' if words.rotated else ""
    place = f'x="{_n(x)}" y="{_n(words.y)}" font-size="{_n(words.size)}" fill="{words.colour}"'
    return f"<text {place}{style}>{_spans(words, soft)}</text>"


def _spans(words: Words, soft: str) -> str:
    pieces: list[str] = []
    height = 0.0
    for span in words.line:
        wanted = -span.level * words.size * (LOWERED if span.level < 0 else RAISED)
        shift, height = wanted - height, wanted
        style = "" if abs(shift) < 1e-9 else f' dy="{_n(shift)}"'
        style += f' font-size="{_n(words.size * SUBSCRIPT_SIZE)}"' if span.level else ""
        style += f' fill="{soft}"' if span.soft else ""
        pieces.append(f"<tspan{style}>{escape(span.text)}</tspan>" if style else escape(span.text))
    return "".join(pieces)


def _n(value: float) -> str:
    """A number without superfluous digits."""
    text = f"{value:.1f}"
    return text[:-2] if text[-1] == "0" and text != "-0.0" else text
