"""Options that are either on or off."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ArgumentError

__all__ = ["flag"]


def flag(value: Any, what: str) -> bool:
    """``value`` as True or False (for which 1 and 0 may stand).

    Raises:
        ArgumentError: it is something else, such as a string, which Python would take for True.

    >>> flag(1, "sum: keepdims")
    True
    """
    if not isinstance(value, bool | int | np.bool_) or value not in (0, 1):
        raise ArgumentError(f"{what}: expected True or False, got {value!r:.60}")
    return bool(value)
