"""A sum of arrays that is handed over as soon as all that were expected have come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Sum"]


class Sum:
    """Adds up arrays, and hands over the sum as soon as as many have come as are ``missing``."""

    __slots__ = ("_done", "_total", "missing")

    def __init__(self, done: Callable[[Any], None]) -> None:
        self._done, self.missing = done, 0
        self._total: Any = None

    def add(self, array: Any) -> None:
        """Add an array, which the caller may change afterwards."""
        self.missing -= 1
        if self._total is not None:
            self._total = self._total + array
        else:
            self._total = np.array(array) if self.missing else array
        if not self.missing:
            self.finish()

    def finish(self) -> None:
        """Hand over what has come, though more was expected."""
        if self._total is not None:
            total, self._total = self._total, None
            self._done(total)
