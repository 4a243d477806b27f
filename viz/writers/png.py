"""PNG from SVG by resvg, without Graphviz: the optional extra ``png``.

resvg sets text in the fonts of the system, and leaves text out where there are none. A picture without its words would
be a false one, so fonts are looked for first: those of the system, then the DejaVu fonts that matplotlib brings along.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from minigrad.extras import optional_package

from ..errors import RenderingError

__all__ = ["available", "render"]

PROBE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><text x="2" y="20" font-size="20" '
    'font-family="sans-serif">{}</text></svg>'
)


def available() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("resvg_py") is not None


def render(svg: str, zoom: float = 2.0) -> bytes:
    """The pixels of an SVG document, ``zoom`` for each point.

    Raises:
        RenderingError: no font is to be found.
    """
    return _resvg(svg, font_dirs=list(_folders_of_fonts()), sans_serif_family="DejaVu Sans", zoom=zoom)


def _resvg(svg: str, **options: Any) -> bytes:
    return bytes(optional_package("resvg_py", "png", "a PNG").svg_to_bytes(svg_string=svg, **options))


@cache
def _folders_of_fonts() -> tuple[str, ...]:
    """Where fonts are found besides the places that the system knows."""
    matplotlib = importlib.util.find_spec("matplotlib")
    places = (matplotlib.submodule_search_locations if matplotlib else None) or ()
    for folders in ((), tuple(str(Path(place) / "mpl-data" / "fonts" / "ttf") for place in places)):
        if _shows_words(folders):
            return folders
    raise RenderingError(
        "a PNG needs a font, and none is installed here: install one (Debian: apt-get install fonts-dejavu-core), or save "
        "as .svg, which whoever shows it sets in fonts of their own"
    )


def _shows_words(folders: tuple[str, ...]) -> bool:
    options = {"font_dirs": list(folders), "sans_serif_family": "DejaVu Sans"}
    return _resvg(PROBE.format("M"), **options) != _resvg(PROBE.format(""), **options)
