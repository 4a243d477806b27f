"""Windows of truncation that begin and end where each example does: the history of some examples is cut off, not others'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from typing_extensions import override

from minigrad.graph import Gradient
from minigrad.ops.kinks import Where
from minigrad.recording import record
from minigrad.tensor import Tensor

__all__ = ["WINDOWS", "Window", "cut_where"]

WINDOWS: Final = "ends of windows"
"""What the rows are called that say before which step an example's state loses its history."""


class Window(Where):
    """A part of the carry, without its history where a window ends: y = x;  ∂L/∂x = 0 there, else g.

    It is ``where(ends, cut(x), x)``, so it computes nothing: its place is that of x.
    """

    __slots__ = ()

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (ends,) = saved
        return None, np.where(ends, 0, g)


def cut_where(ends: Tensor, x: Tensor) -> Tensor:
    """``x``, whose history is cut off where ``ends`` holds; only in a step that is traced."""
    return record(Window(), x._array.copy(), (None, x._node), (ends._array,), (x, x, ends))
