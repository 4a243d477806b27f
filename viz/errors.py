"""What can go wrong between a scene and a file."""

from __future__ import annotations

from minigrad.errors import MinigradError

__all__ = ["GraphvizError", "PictureFileError", "RenderingError"]


class PictureFileError(MinigradError, OSError):
    """The file of a picture cannot be written."""


class RenderingError(MinigradError, RuntimeError):
    """A format needs a program, a package or a font that is missing, or that failed; the message says how to get it."""


class GraphvizError(RenderingError):
    """Graphviz's program is needed and missing, or it failed."""
