"""Options that are either on or off."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ArgumentError

__all__ = ["flag", "switch"]


def flag(value: Any, what: str) -> bool:
    """``value`` as True or False, for which 1 and 0 may stand, as for NumPy.

    Raises:
        ArgumentError: it is something else, such as a string, which Python would take for True.

    >>> flag(1, "sum: keepdims")
    True
    """
    return switch(value == 1 if isinstance(value, int) and value in (0, 1) else value, what)


def switch(value: Any, what: str) -> bool:
    """``value`` if it is True or False; 1 and 0 are not: of a gate, say, they may mean what it is set to.

    Raises:
        ArgumentError: it is something else.

    >>> switch("no", "lstm: output_tanh")
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: lstm: output_tanh: expected True or False, got 'no'
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{what}: expected True or False, got {value!r:.60}")
    return bool(value)
