"""TikZ, for slides and papers that are set in TeX: lines, colours and letters are those of the document.

The file holds one ``tikzpicture`` to be read by ``\\input``, and asks for ``\\usepackage{tikz}`` alone. Sizes are in big
points, as in the other formats; a ``\\resizebox{\\textwidth}{!}{…}`` around it fits it to a page. Usual symbols are set
in TeX's own; other letters than Latin and Greek need an engine and a font that know them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..marks import DASHED, Circle, Path, Rectangle, Shape, Sheet, Words
from ..paths import Point
from ..text import SUBSCRIPT_SIZE, Span, clean

__all__ = ["in_tex", "write"]

OWN = {
    "⊙": "odot", "⊕": "oplus", "×": "times", "÷": "div", "·": "cdot", "±": "pm", "→": "to", "←": "leftarrow", "∂": "partial",
    "∇": "nabla", "Σ": "Sigma", "‖": "Vert", "ℓ": "ell", "√": "surd", "∞": "infty", "≤": "le", "≥": "ge", "⋯": "cdots",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta", "θ": "theta", "λ": "lambda",
    "μ": "mu",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "Δ": "Delta",
}  # fmt: skip
"""Symbols that TeX has by names of its own."""
SYMBOLS = {
    **{symbol: rf"\ensuremath{{\{name}}}" for symbol, name in OWN.items()},
    **{symbol: rf"\{symbol}" for symbol in "{}$&#_%"},
    **{symbol: rf"\ensuremath{{{symbol}}}" for symbol in "<>|"},
    "\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "−": r"\ensuremath{-}", "…": r"\dots{}",
}  # fmt: skip
ACCENTS = {"\u0303": r"\~", "\u0302": r"\^", "\u0304": r"\=", "\u0301": r"\'", "\u0308": r"\""}


def in_tex(text: str) -> str:
    r"""Text that TeX sets as it is.

    >>> print(in_tex("50 % of W_h σ"), in_tex("c\u0303"))
    50 \% of W\_h \ensuremath{\sigma} \~{c}
    """
    pieces: list[str] = []
    for character in clean(text):
        if character in ACCENTS and pieces:
            pieces[-1] = f"{ACCENTS[character]}{{{pieces[-1]}}}"
        else:
            pieces.append(SYMBOLS.get(character, character))
    return "".join(pieces)


def write(sheet: Sheet) -> str:
    """The sheet as a ``tikzpicture``."""
    shapes = [shape for _, marks in sheet.layers() for mark in marks for shape in mark.shapes]
    colours = dict.fromkeys([sheet.page, sheet.soft, *(colour for shape in shapes for colour in _colours(shape))])
    lines = [f"% {clean(sheet.name)}", *(rf"\definecolor{{c{c[1:]}}}{{HTML}}{{{c[1:].upper()}}}" for c in colours)]
    lines += [r"\begin{tikzpicture}[x=1bp, y=-1bp, inner sep=0, outer sep=0]"]
    lines += [rf"\fill[{_colour(sheet.page)}] (0,0) rectangle ({_n(sheet.width)},{_n(sheet.height)});"]
    lines += [line for shape in shapes for line in _shape(shape, sheet.soft)]
    return "\n".join([*lines, r"\end{tikzpicture}", ""])


def _colours(shape: Shape) -> list[str]:
    found = [shape.colour] if isinstance(shape, Words) else [shape.stroke]
    found += [shape.fill] if isinstance(shape, Rectangle | Circle) else []
    return [colour for colour in found if colour is not None]


def _shape(shape: Shape, soft: str) -> Iterator[str]:
    match shape:
        case Rectangle():
            frame = f"({_n(shape.x)},{_n(shape.y)}) rectangle ({_n(shape.x + shape.width)},{_n(shape.y + shape.height)})"
            rounded = [f"rounded corners={_n(shape.radius)}bp"] if shape.radius else []
            dashed = [_dashes(DASHED)] if shape.dashed else []
            yield rf"\path[{', '.join([*_ink(shape.fill, shape.stroke, shape.stroke_width), *rounded, *dashed])}] {frame};"
        case Circle():
            rx, ry = shape.radii
            where = f"({_n(shape.x)},{_n(shape.y)}) circle[x radius={_n(rx)}bp, y radius={_n(ry)}bp]"
            yield rf"\path[{', '.join(_ink(shape.fill, shape.stroke, 1.0))}] {where};"
        case Path():
            stem, corners = shape.stem_and_head()
            dashed = [_dashes(shape.dash)] if shape.dash else []
            yield rf"\draw[{', '.join([_colour(shape.stroke), f'line width={_n(shape.width)}bp', *dashed])}] {_curve(stem)};"
            if corners:
                yield rf"\fill[{_colour(shape.stroke)}] {' -- '.join(map(_at, corners))} -- cycle;"
        case Words():
            yield _words(shape, soft)


def _dashes(dash: Sequence[float]) -> str:
    return "dash pattern=" + " ".join(f"{'off' if k % 2 else 'on'} {_n(length)}bp" for k, length in enumerate(dash))


def _ink(fill: str | None, stroke: str | None, width: float) -> list[str]:
    filled = [] if fill is None else [f"fill={_colour(fill)}"]
    return filled if stroke is None else [*filled, f"draw={_colour(stroke)}", f"line width={_n(width)}bp"]


def _curve(points: Sequence[Point]) -> str:
    pieces = [_at(points[0])]
    for k in range(1, len(points) - 2, 3):
        pieces.append(f".. controls {_at(points[k])} and {_at(points[k + 1])} .. {_at(points[k + 2])}")
    return " ".join(pieces)


def _words(words: Words, soft: str) -> str:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[words.anchor]
    turned = ["rotate=90"] if words.rotated else []
    font = r"\bfseries" if words.bold else ""
    size = rf"font=\sffamily\fontsize{{{_n(words.size)}bp}}{{{_n(words.size * 1.2)}bp}}\selectfont{font}"
    style = ", ".join([f"anchor={anchor}", f"text={_colour(words.colour)}", *turned, size])
    return rf"\node[{style}] at {_at((words.x, words.y))} {{{''.join(_span(span, words.size, soft) for span in words.line)}}};"


def _span(span: Span, size: float, soft: str) -> str:
    text = in_tex(span.text)
    if span.soft:
        text = rf"\textcolor{{{_colour(soft)}}}{{{text}}}"
    if span.level == 0:
        return text
    shift = -0.24 if span.level < 0 else 0.36
    small = rf"\fontsize{{{_n(size * SUBSCRIPT_SIZE)}bp}}{{0bp}}\selectfont"
    return rf"\raisebox{{{_n(shift * size)}bp}}{{{small} {text}}}"


def _colour(colour: str) -> str:
    return f"c{colour[1:]}"


def _at(point: Point) -> str:
    return f"({_n(point[0])},{_n(point[1])})"


def _n(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
