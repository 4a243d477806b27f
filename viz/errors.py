"""What can go wrong between a scene and a file."""

from __future__ import annotations

from minigrad.errors import MinigradError

__all__ = ["GraphvizError", "PictureFileError"]


class PictureFileError(MinigradError, OSError):
    """The file of a picture cannot be written."""


class GraphvizError(MinigradError, RuntimeError):
    """Graphviz's program is needed and missing, or it failed."""
