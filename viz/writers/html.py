"""HTML: one file that plays the backward sweep, needs no network, and asks nothing of whoever opens it.

The picture stands in the page as SVG, with its colours as variables, so that one document serves light and dark. A
slider and a button play the sweep in its order; a click on a parameter lights all its uses; a click on a step opens it
into its operations, which are a second picture that is there from the beginning. A policy in the page forbids whatever
is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from ..marks import Sheet, marked
from ..palette import INK, JUNCTION, PAGE, PANEL_LINE, THEMES, VANISHED
from ..scene import Scene
from . import svg

__all__ = ["write"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
NAMES = {"page": PAGE, "ink": INK, "line": PANEL_LINE, "accent": JUNCTION, "vanished": VANISHED}
PACE, SHORTEST_PACE, LONGEST_SWEEP = 700, 30, 20_000
"""Milliseconds for each stage of the sweep, and for all of it."""
KEYS = (
    ("space", "play, pause"),
    (", .", "one stage back, one on"),
    ("tab", "to the picture and out of it"),
    ("arrows", "from box to box; without a box, move"),
    ("enter", "light the uses of a box"),
    ("o", "open the step of a box"),
    ("+ − 0", "closer, farther, all of it"),
    ("t", "dark or light"),
    ("esc", "back"),
)


def write(scene: Scene, operations: Scene | None = None, theme: str = "light") -> str:
    """The page of a scene.

    Args:
        scene: what is shown first.
        operations: the same computation with every operation by itself, for steps that are opened.
        theme: "light" or "dark", which the reader can change.
    """
    used: dict[str, None] = {}

    def variable(colour: str) -> str:
        used[colour] = None
        return f"var(--c{colour[1:]})"

    sheets = [marked(shown, variable) for shown in (scene, operations) if shown is not None]
    body = [line for k, sheet in enumerate(sheets) for line in _sheet(sheet, hidden=k > 0)]
    return "\n".join([*_head(sheets[0].name, list(used), theme), *_tools(theme, len(scene.stages)), *_view(body), ""])


def _head(name: str, colours: list[str], theme: str) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield f'<html lang="en" data-theme="{theme}">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{svg.escape(name)}</title>"
    yield "<style>"
    for known, shown in THEMES.items():
        named = [f"color-scheme: {known}", *(f"--{name}: {shown(colour)}" for name, colour in NAMES.items())]
        yield f":root[data-theme={known}] {{ {'; '.join([*named, *(f'--c{c[1:]}: {shown(c)}' for c in colours)])} }}"
    yield f"@media print {{ :root[data-theme] {{ {'; '.join(f'--c{c[1:]}: {c}' for c in colours)}; --page: {PAGE} }} }}"
    yield _part("page.css")
    yield "</style>"
    yield "</head>"


def _tools(theme: str, stages: int) -> Iterator[str]:
    pace = max(min(PACE, LONGEST_SWEEP // max(stages, 1)), SHORTEST_PACE)
    yield "<body>"
    yield '<header id="tools" role="toolbar" aria-label="picture">'
    yield '<span id="sweep">'
    yield f'<button id="play" type="button" aria-pressed="false" data-pace="{pace}">▶ play backward</button>'
    yield '<input id="stage" type="range" min="0" max="0" step="1" value="0" aria-label="how far the backward sweep has come">'
    yield '<output id="reached" for="stage" aria-live="polite"></output>'
    yield "</span>"
    yield '<button id="back" type="button" hidden>← all steps</button>'
    yield '<button id="farther" type="button" aria-label="farther">−</button>'
    yield '<button id="closer" type="button" aria-label="closer">+</button>'
    yield '<button id="fit" type="button">fit</button>'
    yield f'<button id="theme" type="button" aria-pressed="{str(theme == "dark").lower()}">dark</button>'
    keys = "".join(f"<dt>{svg.escape(key)}</dt><dd>{svg.escape(does)}</dd>" for key, does in KEYS)
    yield f"<details><summary>keys</summary><dl>{keys}</dl></details>"
    yield "</header>"


def _view(body: list[str]) -> Iterator[str]:
    yield '<main id="view">'
    yield from body
    yield "</main>"
    yield '<p id="told" role="status" aria-live="polite"></p>'
    yield f"<script>\n{_part('page.js')}</script>"
    yield "</body>"
    yield "</html>"


def _sheet(sheet: Sheet, hidden: bool) -> Iterator[str]:
    yield f'<div class="sheet"{" hidden" if hidden else ""}>'
    yield f'<ol class="stages" hidden>{"".join(f"<li>{svg.escape(stage)}</li>" for stage in sheet.stages)}</ol>'
    yield from svg.document(sheet, role="group")
    yield "</div>"


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
