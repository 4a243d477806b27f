"""SVG, by itself: no Graphviz, no fonts, no libraries, the same bytes for the same marks.

The document is as wide as the picture and shrinks with the page that holds it. It has no ids, so that several can stand
in one page. Lines of several pieces start where their measured width says, since some converters centre every piece by
itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..marks import DASHED, Circle, Mark, Path, Rectangle, Sheet, Words
from ..paths import Point
from ..text import SUBSCRIPT_SIZE, UNSHOWABLE, legible

__all__ = ["document", "escape", "write"]

FONTS = "'DejaVu Sans', 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Noto Sans', 'Noto Sans Math', sans-serif"
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;"})
SHRINKING = "@media screen, print { svg.minigrad { max-width: 100%; height: auto } }"
"""As a rule for media: converters take the size that stands in the document, and do not know "auto"."""
LOWERED, RAISED = 0.24, 0.36
UNSAFE = re.compile(f"{UNSHOWABLE.pattern}|[&<>\"'\r]")


def escape(text: str) -> str:
    """Text as it may stand between tags or in a quoted attribute.

    >>> escape('W<"&')
    'W&lt;&quot;&amp;'
    """
    return text if text.isalnum() or not UNSAFE.search(text) else legible(text).translate(ESCAPES)


def write(sheet: Sheet) -> str:
    """The sheet as a complete SVG document."""
    return "\n".join(document(sheet)) + "\n"


def document(sheet: Sheet, role: str = "img") -> Iterator[str]:
    """Its lines; each mark is one of them. ``role`` "img" is for a picture in which nothing can be chosen."""
    width, height = _short(f"{sheet.width:.1f}"), _short(f"{sheet.height:.1f}")
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
    shapes = "".join([_words(shape, soft) if isinstance(shape, Words) else _short(_drawn(shape)) for shape in mark.shapes])
    return f"<g{data}>{told}{shapes}</g>"


def _drawn(shape: Rectangle | Circle | Path) -> str:
    match shape:
        case Path():
            stem, corners = shape.stem_and_head()
            line = f'<path d="{_curve(stem)}" fill="none"{_stroke(shape.stroke, shape.width)}{_dashes(shape.dash)}/>'
            head = " ".join([f"{x:.1f},{y:.1f}" for x, y in corners])
            return f'{line}<polygon points="{head}" fill="{shape.stroke}"/>' if corners else line
        case Rectangle():
            radius = f' rx="{shape.radius:.1f}"' if shape.radius else ""
            left, top = round(shape.x, 1), round(shape.y, 1)  # so that rectangles that touch do so when they are rounded
            width, height = round(shape.x + shape.width, 1) - left, round(shape.y + shape.height, 1) - top
            place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
            outline = _stroke(shape.stroke, shape.stroke_width) + _dashes(DASHED if shape.dashed else ())
            return f'<rect {place}{radius} fill="{shape.fill}"{outline}/>'
        case Circle():
            name, radii = "circle", f'r="{shape.r:.1f}"'
            if shape.vertical is not None:
                name, radii = "ellipse", f'rx="{shape.r:.1f}" ry="{shape.vertical:.1f}"'
            place = f'cx="{shape.x:.1f}" cy="{shape.y:.1f}"'
            return f'<{name} {place} {radii} fill="{shape.fill or "none"}"{_stroke(shape.stroke)}/>'


def _stroke(colour: str | None, width: float = 1.0) -> str:
    wide = "" if width == 1.0 else f' stroke-width="{width:.1f}"'
    return "" if colour is None else f' stroke="{colour}"{wide}'


def _dashes(dash: Sequence[float]) -> str:
    return f' stroke-dasharray="{" ".join([f"{length:.1f}" for length in dash])}"' if dash else ""


def _curve(points: Sequence[Point]) -> str:
    x, y = points[0]
    pieces = [f"M{x:.1f} {y:.1f}"]
    for k in range(1, len(points) - 2, 3):
        (ax, ay), (bx, by), (ex, ey) = points[k : k + 3]
        if x == ax == bx == ex:
            pieces.append(f"V{ey:.1f}")
        elif y == ay == by == ey:
            pieces.append(f"H{ex:.1f}")
        else:
            pieces.append(f"C{ax:.1f} {ay:.1f} {bx:.1f} {by:.1f} {ex:.1f} {ey:.1f}")
        x, y = ex, ey
    return "".join(pieces)


def _words(words: Words, soft: str) -> str:
    x, anchor = (words.start, "start") if len(words.line) > 1 else (words.x, words.anchor)
    style = "" if anchor == "start" else f' text-anchor="{anchor}"'
    style += ' font-weight="bold"' if words.bold else ""
    style += f' transform="rotate(-90 {words.x:.1f} {words.y:.1f})"' if words.rotated else ""
    place = f'<text x="{x:.1f}" y="{words.y:.1f}" font-size="{words.size:.1f}" fill="{words.colour}"{style}>'
    return f"{_short(place)}{_spans(words, soft)}</text>"


def _spans(words: Words, soft: str) -> str:
    pieces: list[str] = []
    height = 0.0
    for span in words.line:
        wanted = -span.level * words.size * (LOWERED if span.level < 0 else RAISED)
        shift, height = wanted - height, wanted
        style = "" if abs(shift) < 1e-9 else f' dy="{shift:.1f}"'
        style += f' font-size="{words.size * SUBSCRIPT_SIZE:.1f}"' if span.level else ""
        style += f' fill="{soft}"' if span.soft else ""
        pieces.append(f"<tspan{_short(style)}>{escape(span.text)}</tspan>" if style else escape(span.text))
    return "".join(pieces)


def _short(drawn: str) -> str:
    """Numbers of one digit after the point without superfluous ones."""
    return drawn.replace(".0", "")
