"""minigrad's own layers and a user's cell once more, as native code: it needs llvmlite, as a peer needs its package."""

from __future__ import annotations

import llvmlite  # noqa: F401  (without it these contestants are left out)
from typing_extensions import override

from benchmarks.ours import Minigrad, MinigradUserCell
from minigrad import native


class MinigradNative(Minigrad):
    """The layers of `models`, with native loops."""

    name = "minigrad, native"
    own_tape = False

    @override
    def step(self) -> float:
        native()
        try:
            return super().step()
        finally:
            native(False)


class MinigradNativeUserCell(MinigradNative, MinigradUserCell):
    """A user's own cell that promises a pure step, with native loops."""

    name = "minigrad, user's cell, native"
