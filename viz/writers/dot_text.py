"""Text as Graphviz reads it: strings that it shows as they are, and lists of attributes."""

from __future__ import annotations

import re

from ..text import legible

__all__ = ["attributes", "hover", "quoted"]

ESCAPES = str.maketrans({"&": "&amp;", "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "&#13;"})
LONGEST = 2500
"""Longer strings are put together of several, since Graphviz reads none of more than 16 384 bytes."""


def quoted(text: str) -> str:
    """Text as a quoted string that Graphviz shows as it is: it decodes &…; and backslashes even between quotes.

    >>> print(quoted('a "b" & c\\\\n'))
    "a \\"b\\" &amp; c\\\\n"
    """
    shown = legible(text)
    pieces = [shown[k : k + LONGEST] for k in range(0, len(shown), LONGEST)] or [""]
    return " + ".join(f'"{piece.translate(ESCAPES)}"' for piece in pieces)


def hover(text: str) -> str:
    """Text for a tooltip: Graphviz 2 reads those twice, so that spaces of no width must keep backslashes from what follows."""
    return re.sub(r"\\(?=[NGETHLlnr\\])", "\\\\\u200b", text)


def attributes(**values: str | float) -> str:
    """Attributes in brackets, numbers as they are and texts quoted."""
    shown = (f"{name}={quoted(value) if isinstance(value, str) else f'{value:.6g}'}" for name, value in values.items())
    return "[" + ", ".join(shown) + "]"
