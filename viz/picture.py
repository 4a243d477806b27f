"""A picture: a scene that can be shown, printed and saved, whatever it shows."""

from __future__ import annotations

import base64
import os
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import graphviz
from typing_extensions import override

from minigrad.arguments import count
from minigrad.errors import ArgumentError
from minigrad.extras import installing
from minigrad.files import StrPath, as_path, replace_file
from minigrad.flags import flag
from minigrad.memory import collector_paused

from .errors import GraphvizError, PictureFileError, RenderingError
from .marks import marked
from .palette import THEMES
from .scene import Scene
from .sheet import Sheet
from .writers import dot, html, png, svg, terminal, tikz

__all__ = ["Picture"]


class Picture:
    """A drawn graph. A notebook shows it, ``print`` draws it in the terminal, `show` opens it in a browser.

    Args:
        scene: everything in it, named, placed and coloured.
        theme: "light" or "dark".
        operations: makes the scene of the same computation with every operation by itself, which a page shows when a
            step is opened.
    """

    def __init__(self, scene: Scene, theme: str = "light", operations: Callable[[], Scene] | None = None) -> None:
        self.scene = scene
        self._operations = operations
        if not isinstance(theme, str) or theme not in THEMES:
            raise ArgumentError(f"theme: expected one of {', '.join(map(repr, THEMES))}, got {theme!r:.60}")
        self.theme = theme

    def themed(self, theme: str) -> Picture:
        """The same picture in another theme, "light" or "dark"."""
        return Picture(self.scene, theme, self._operations)

    def sheet(self) -> Sheet:
        """The picture as marks: rectangles, circles, lines and words, which is what writers of formats read."""
        return marked(self.scene, THEMES[self.theme])

    def svg(self) -> str:
        """The picture as an SVG document; the same graph gives the same bytes. Needs no Graphviz."""
        with collector_paused():
            return svg.write(self.sheet())

    def html(self) -> str:
        """The picture as a page of its own, which plays the backward sweep and opens steps; it needs no network."""
        with collector_paused():
            operations = self._operations() if self._operations is not None and self.scene.panels else None
            return html.write(self.scene, operations, self.theme)

    def text(self, width: int = 80, ascii_only: bool = False) -> str:
        """The picture in characters, for a terminal of so many columns; ArgumentError for fewer than 8."""
        columns = count(width, "text: width", terminal.NARROWEST)
        return terminal.write(self.sheet(), columns, flag(ascii_only, "text: ascii_only"))

    def graphviz(self) -> graphviz.Digraph:
        """The picture as a ``graphviz.Digraph`` with the same positions; its ``source`` needs no Graphviz program."""
        return dot.digraph(self.sheet())

    def tikz(self) -> str:
        """The picture as a TikZ picture, to be read by a TeX document with ``\\input``."""
        return tikz.write(self.sheet())

    def png(self) -> bytes:
        """The picture as a PNG: by the package resvg-py (the extra ``png``), or else by Graphviz.

        Raises:
            RenderingError: neither is there, or no font is.
        """
        return png.render(self.svg()) if png.available() else self._by_graphviz("png")

    def save(self, path: StrPath) -> Path:
        """Write the picture to a file; the ending of its name says in which format.

        .svg, .html, .dot (or .gv), .txt and .tex (TikZ) need nothing, .png the package resvg-py or Graphviz, .pdf Graphviz.
        The file appears complete or not at all.

        Returns:
            The path of the file.

        Raises:
            ArgumentError: the name ends in none of these.
            DTypeError: ``path`` is no path.
            RenderingError: a program or a package is needed and cannot be found, or fails.
            PictureFileError: the file cannot be written; what was there before is unchanged.
        """
        target = as_path(path, "save")
        writers: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.svg,
            ".html": self.html,
            ".dot": lambda: str(self.graphviz().source),
            ".gv": lambda: str(self.graphviz().source),
            ".txt": self.text,
            ".tex": self.tikz,
            ".png": self.png,
            ".pdf": lambda: self._by_graphviz("pdf"),
        }
        write = writers.get(target.suffix.lower())
        if write is None:
            raise ArgumentError(f"save: expected a name that ends in {', '.join(writers)}, got {os.fspath(path)!r}")
        content = write()
        _write(target, content.encode() if isinstance(content, str) else content)
        return target

    def show(self) -> Path:
        """Open the picture in a browser, as a page that can be played, searched and zoomed.

        Returns:
            The file that was opened; it stays until the system clears its temporary files.
        """
        path = self.save(Path(tempfile.mkdtemp(prefix="minigrad-")) / "picture.html")
        if not webbrowser.open(path.as_uri()):
            print(f"no browser was found here; the picture is in {path}", file=sys.stderr)
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        """What notebooks ask for: the SVG and a line of text; where resvg-py and a font are there, also a PNG."""
        bundle, metadata = {"image/svg+xml": self.svg(), "text/plain": repr(self)}, {}
        if png.available():
            with suppress(RenderingError):
                bundle["image/png"] = base64.b64encode(self.png()).decode()
                metadata["image/png"] = {"width": round(self.scene.width), "height": round(self.scene.height)}
        return bundle, metadata

    @override
    def __repr__(self) -> str:
        scene = self.scene
        return f"<Picture {scene.title!r}: {len(scene.boxes)} boxes, {len(scene.edges)} arrows, {len(scene.panels)} steps>"

    @override
    def __str__(self) -> str:
        """The picture in characters, as wide as the terminal."""
        try:
            "┄━▶₁█".encode(sys.stdout.encoding or "ascii")
            ascii_only = False
        except (UnicodeEncodeError, LookupError):
            ascii_only = True
        return self.text(shutil.get_terminal_size((100, 24)).columns, ascii_only).rstrip("\n")

    def _by_graphviz(self, form: str) -> bytes:
        graph = self.graphviz()
        if form == "png":
            graph.graph_attr["dpi"] = "144"
        try:
            rendered: bytes = graph.pipe(format=form)
        except graphviz.ExecutableNotFound:
            without = f"{installing('png')}; or " * (form == "png") + "save as .svg or .html, which need nothing"
            raise GraphvizError(
                f"a .{form} needs Graphviz's program 'dot', which is not installed here (graphviz.org/download; Debian: "
                f"apt-get install graphviz); or {without}"
            ) from None
        except graphviz.CalledProcessError as error:
            raise GraphvizError(f"Graphviz failed on a .{form}: {error}") from None
        return rendered


def _write(target: Path, content: bytes) -> None:
    try:
        replace_file(target, lambda file: file.write(content))
    except OSError as problem:
        raise PictureFileError(f"{target} cannot be written: {problem.strerror}; give the path of a file that can be") from None
