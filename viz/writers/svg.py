"""SVG, by itself: no Graphviz, no fonts, no libraries, the same bytes for the same marks.

The document is as wide as the picture and shrinks with the page that holds it. It has no ids, so that several can stand
in one page. Lines of several pieces start where their measured width says, since some converters centre every piece by
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from ..paths import Point
from ..sheet import DASHED, Circle, Mark, Path, Rectangle, Sheet, Words
from ..text import SUBSCRIPT_SIZE, Line, legible

__all__ = ["document", "escape", "write"]

FONTS = "'DejaVu Sans', 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Noto Sans', 'Noto Sans Math', sans-serif"
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;"})
SHRINKING = "@media screen, print { svg.minigrad { max-width: 100%; height: auto } }"
"""As a rule for media: converters take the size that stands in the document, and do not know "auto"."""
LOWERED, RAISED = 0.24, 0.36


def escape(text: str) -> str:
    """Text as it may stand between tags or in a quoted attribute.

    >>> escape('W<"&')
    'W&lt;&quot;&amp;'
    """
    return text if text.isalnum() or _is_safe(text) else legible(text).translate(ESCAPES)


def _is_safe(text: str) -> bool:
    """Whether a text of several lines can stand as it is."""
    has_markup = "&" in text or "<" in text or ">" in text or '"' in text or "'" in text
    return not has_markup and text.replace("\n", "").isprintable()


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
        yield from [_mark(mark, sheet.soft) for mark in marks]
        yield "</g>"
    yield "</svg>"


def _mark(mark: Mark, soft: str) -> str:
    _, key, shapes, tooltip, role, time, stage, group, source, target = mark
    told = f"<title>{escape(tooltip)}</title>" if tooltip else ""
    data = f'data-key="{escape(key)}"'
    data += f' data-role="{escape(role)}"' if role else ""
    data += f' data-group="{escape(group)}"' if group else ""
    data += f' data-from="{escape(source)}"' if source else ""
    data += f' data-to="{escape(target)}"' if target else ""
    data += f' data-t="{time}"' if time is not None else ""
    data += f' data-stage="{stage}"' if stage is not None else ""
    drawn = [_words(shape, soft) if type(shape) is Words else DRAWN[type(shape)](shape) for shape in shapes]
    return f"<g {data}>{told}{''.join(drawn)}</g>"


def _path(path: Path) -> str:
    stem, corners = path.stem_and_head()
    line = f'<path d="{_short(_curve(stem))}" fill="none"{_stroke(path.stroke, path.width)}{_dashes(path.dash)}/>'
    if not corners:
        return line
    (x, y), (ax, ay), (bx, by) = corners
    points = _short(f"{x:.1f},{y:.1f} {ax:.1f},{ay:.1f} {bx:.1f},{by:.1f}")
    return f'{line}<polygon points="{points}" fill="{path.stroke}"/>'


def _rectangle(shape: Rectangle) -> str:
    x, y, width, height, *look = shape
    left, top = round(10 * x) / 10, round(10 * y) / 10  # so that rectangles that touch do so when they are rounded
    width, height = round(10 * (x + width)) / 10 - left, round(10 * (y + height)) / 10 - top
    place = _short(f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"')
    return f"<rect {place}{_look_of_rectangle(*look)}/>"


@lru_cache(maxsize=256)
def _look_of_rectangle(fill: str, stroke: str | None, width: float, radius: float, dashed: bool) -> str:
    rounded = f' rx="{radius:.1f}"' if radius else ""
    return _short(f'{rounded} fill="{fill}"{_stroke(stroke, width)}{_dashes(DASHED if dashed else ())}')


def _circle(shape: Circle) -> str:
    name, radii = "circle", f'r="{shape.r:.1f}"'
    if shape.vertical is not None:
        name, radii = "ellipse", f'rx="{shape.r:.1f}" ry="{shape.vertical:.1f}"'
    place = f'cx="{shape.x:.1f}" cy="{shape.y:.1f}"'
    return _short(f'<{name} {place} {radii} fill="{shape.fill or "none"}"{_stroke(shape.stroke)}/>')


DRAWN: dict[type, Callable[[Any], str]] = {Path: _path, Rectangle: _rectangle, Circle: _circle}


def _stroke(colour: str | None, width: float = 1.0) -> str:
    if colour is None:
        return ""
    return f' stroke="{colour}"' if width == 1.0 else f' stroke="{colour}" stroke-width="{_short(f"{width:.1f}")}"'


def _dashes(dash: Sequence[float]) -> str:
    return _short(f' stroke-dasharray="{" ".join([f"{length:.1f}" for length in dash])}"') if dash else ""


def _curve(points: Sequence[Point]) -> str:
    x, y = points[0]
    drawn = f"M{x:.1f} {y:.1f}"
    for k in range(1, len(points) - 2, 3):
        (ax, ay), (bx, by), (ex, ey) = points[k : k + 3]
        if x == ax == bx == ex:
            drawn += f"V{ey:.1f}"
        elif y == ay == by == ey:
            drawn += f"H{ex:.1f}"
        else:
            drawn += f"C{ax:.1f} {ay:.1f} {bx:.1f} {by:.1f} {ex:.1f} {ey:.1f}"
        x, y = ex, ey
    return drawn


def _words(words: Words, soft: str) -> str:
    x, y, line, size, colour, anchor, bold, rotated = words
    if len(line) > 1:
        x, anchor = words.start, "start"
    style = "" if anchor == "start" else f' text-anchor="{anchor}"'
    style += ' font-weight="bold"' if bold else ""
    style += f' transform="rotate(-90 {words.x:.1f} {y:.1f})"' if rotated else ""
    place = _short(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" fill="{colour}"{style}>')
    return f"{place}{_spans(line, size, soft)}</text>"


def _spans(line: Line, size: float, soft: str) -> str:
    drawn = ""
    height = 0.0
    for text, level, is_soft in line:
        style = ""
        if level or height:
            wanted = -level * size * (LOWERED if level < 0 else RAISED)
            shift, height = wanted - height, wanted
            style = "" if abs(shift) < 1e-9 else f' dy="{shift:.1f}"'
            style += f' font-size="{size * SUBSCRIPT_SIZE:.1f}"' if level else ""
            style = _short(style)
        style += f' fill="{soft}"' if is_soft else ""
        drawn += f"<tspan{style}>{escape(text)}</tspan>" if style else escape(text)
    return drawn


def _short(drawn: str) -> str:
    """Numbers of one digit after the point without superfluous ones."""
    return drawn.replace(".0", "")
