"""What the tables of this package have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["aligned", "norms"]


def norms(arrays: Any, axes: int) -> Any:
    """The Euclidean norm over all but the first ``axes``."""
    return np.sqrt(np.square(arrays).sum(axis=tuple(range(axes, np.ndim(arrays)))))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows of a table, its columns aligned to the right but the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = row
        lines.append("   ".join([first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]))
    return "\n".join(lines)
