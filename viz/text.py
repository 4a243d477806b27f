"""Names as they are written in a picture: subscripts, widths, and what to do with hostile ones.

A label is a line of :class:`Span`; a span is a piece of text at one height (0 on the line, −1 a subscript, +1 a
superscript). The SVG writer sets the heights itself; where only plain text is possible, :func:`plain` uses Unicode's
subscripts as far as they go.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

__all__ = [
    "LINE_HEIGHT",
    "SUBSCRIPT_SIZE",
    "UNSHOWABLE",
    "Line",
    "Span",
    "clean",
    "em",
    "fit",
    "heading_of",
    "legible",
    "line_width",
    "literal",
    "number",
    "plain",
    "power_of_ten",
    "symbol_name",
]

SUBSCRIPT_SIZE = 0.72
LINE_HEIGHT = 15.0
LONGEST, LONGEST_TITLE = 28, 100

WIDTHS = {
    **dict.fromkeys("'ijlIJ", 0.295),
    **dict.fromkeys(" ,./:;\\|·ι", 0.338),
    **dict.fromkeys("f-", 0.361),
    **dict.fromkeys("()[]trₕ!²³⁰¹⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉ℓ", 0.413),
    **dict.fromkeys('"*_`‖∥ₓ∂sz⁻⁺?', 0.532),
    **dict.fromkeys("cLΓξνFζε", 0.576),
    **dict.fromkeys("kvxyχυκλγPTYπτ", 0.613),
    **dict.fromkeys("oaedhnubgpqSEησδθρμβΣ$0123456789{}√", 0.638),
    **dict.fromkeys("AKVXZBRCαφψΔΛ∇∑", 0.699),
    **dict.fromkeys("UNHDGOQΘΦΨ&Ω", 0.788),
    **dict.fromkeys("w#+<=>^~≤≥≠×÷−±⊙⊕→←≈∞ω", 0.839),
    "M": 0.864,
    **dict.fromkeys("mW%@…⋯½", 1.0),
}
"""Widths in em of DejaVu Sans, the widest of the common sans-serif fonts: what fits in it fits in the others."""
OTHER, CAPITAL, WIDE = 0.66, 0.8, 1.0

SUBSCRIPTS = dict(zip("0123456789+-−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
SUPERSCRIPTS = dict(zip("0123456789+-−=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾", strict=True))


class Span(NamedTuple):
    """A piece of text at one height; ``soft`` text is set in a lighter ink (operations beside names, shapes)."""

    text: str
    level: int = 0
    soft: bool = False


Line = tuple[Span, ...]


def clean(name: str) -> str:
    """``name`` on one line, control characters as their pictures; what XML cannot hold at all becomes U+FFFD.

    >>> clean("a\\x00b\\nc\\x07")
    'a␀b c␇'
    """
    return name if name.isprintable() else "".join(" " if c.isspace() else c for c in legible(name))


def legible(text: str) -> str:
    """What `clean` does, but spaces of all kinds and ends of lines stay.

    >>> legible("a\\x00b\\nc")
    'a␀b\\nc'
    """
    return UNSHOWABLE.sub(_shown, text)


UNSHOWABLE = re.compile(
    "[\\0-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
"""Controls, halves of pairs, and what Unicode keeps free for ever."""


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


@lru_cache(maxsize=4096)
def symbol_name(name: str, time: int | None = None, part: str | None = None) -> Line:
    """The spans of a name: what follows its first underscore, and the time step, are subscripts.

    >>> [(s.text, s.level) for s in symbol_name("h", time=3)]
    [('h', 0), ('3', -1)]
    >>> [(s.text, s.level) for s in symbol_name("W_hx")]
    [('W', 0), ('hx', -1)]
    """
    name = clean(name)
    base, _, below = name.partition("_")
    if not base or not below or len(name) > LONGEST:
        base, below = shorten(name), ""
    subscript = ",".join(part for part in (below, "" if time is None else str(time)) if part)
    spans = [Span(base)]
    if subscript:
        spans.append(Span(subscript, -1))
    if part is not None:
        spans.append(Span(f"({part})", 1))
    return tuple(spans)


def heading_of(title: str) -> Line:
    """A title as it stands above a picture: one that would be wider than any page is cut in the middle.

    >>> heading_of("LSTM, T = 5")
    (Span(text='LSTM, T = 5', level=0, soft=False),)
    """
    return (Span(shorten(title, LONGEST_TITLE)),)


def shorten(name: str, longest: int = LONGEST) -> str:
    """``name``, or its two ends around an ellipsis."""
    if len(name) <= longest:
        return name
    tail = longest // 3
    return f"{name[: longest - tail - 1]}…{name[-tail:]}"


@cache
def em(character: str) -> float:
    """The width of a character, in units of the size of the font."""
    width = WIDTHS.get(character)
    if width is not None:
        return width
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF" or ord(character) > 0x2500:
        return WIDE
    return CAPITAL if character.isupper() else OTHER


def line_width(line: Line, size: float) -> float:
    """The width of a line set in ``size``, in the widest of the common fonts."""
    width = 0.0
    for text, level, _ in line:
        width += size * (SUBSCRIPT_SIZE if level else 1.0) * _ems(text)
    return width


@lru_cache(maxsize=4096)
def _ems(text: str) -> float:
    return sum(map(em, text))


def fit(line: Line, size: float, room: float) -> float:
    """The font size, at most ``size``, at which a line is no wider than ``room``."""
    width = line_width(line, size)
    return size if width <= room else size * room / width


def plain(line: Line) -> str:
    """A line as plain Unicode text.

    >>> plain(symbol_name("f", time=12)), plain(symbol_name("W_hx")), plain(symbol_name("W_yh"))
    ('f₁₂', 'Wₕₓ', 'W_yh')
    """
    return "".join(map(_plain_span, line))


def _plain_span(span: Span) -> str:
    if span.level == 0:
        return span.text
    table, mark = (SUBSCRIPTS, "_") if span.level < 0 else (SUPERSCRIPTS, "^")
    if all(c in table for c in span.text):
        return "".join(table[c] for c in span.text)
    head, comma, tail = span.text.rpartition(",")
    if comma and all(c in table for c in tail):
        return mark + head + "".join(table[c] for c in tail)
    return mark + span.text


def number(value: float) -> str:
    """Two significant digits, as short as they come; zero has no sign.

    >>> number(0.06432), number(2e-19), number(-0.0), number(12345.0), number(1e7)
    ('0.064', '2e-19', '0', '12000', '1e+07')
    """
    short = f"{value + 0.0:.2g}"
    return f"{float(short):g}" if 100 <= abs(value) < 1e6 else short


def literal(value: float) -> str:
    """A number of the user's own, which is not rounded without a sign of it.

    >>> literal(0.9999), literal(-1), literal(2 / 3)
    ('0.9999', '−1', '≈0.667')
    """
    exact = f"{value:.6g}"
    return (exact if float(exact) == value or value != value else f"≈{value:.3g}").replace("-", "−")


def power_of_ten(exponent: int) -> Line:
    """10 with its exponent raised."""
    return (Span("10"), Span(str(exponent).replace("-", "−"), 1))
