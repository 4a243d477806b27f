"""Tracebacks in pytest end at the user's own line where minigrad refuses something on purpose.

pytest leaves out the frames of a module that has a ``__tracebackhide__``; a function there decides for each error. An error
that minigrad did not mean to raise is shown whole, and ``pytest --full-trace`` shows everything.
"""

from __future__ import annotations

import sys
from typing import Any

from minigrad.errors import MinigradError

__all__ = ["hide_frames", "is_deliberate"]


def is_deliberate(caught: Any) -> bool:
    """Whether minigrad raised the error on purpose; ``caught`` is what pytest knows of it."""
    return isinstance(caught.value, MinigradError)


def hide_frames(package: str) -> None:
    """Leave out the frames of all modules of a package that are imported by now."""
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith(f"{package}."):
            vars(module)["__tracebackhide__"] = is_deliberate
