"""One model over all of its time: the levels of detail beyond boxes."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.errors import ArgumentError
from minigrad.tensor import Tensor

from ..scene import Scene
from .strips import heat_bars, strips

__all__ = ["along_time"]


def along_time(tensors: Sequence[Tensor], detail: str, title: str | None, size: str | None) -> Scene:
    """The strip or the heat bar of one loss.

    Raises:
        ArgumentError: there are several tensors.
    """
    if len(tensors) != 1:
        raise ArgumentError(f"draw: detail={detail!r} shows one loss; for several models give them names: strips({{name: loss}})")
    chart = strips if detail == "strip" else heat_bars
    return chart(tensors[0], title=title, size=size)
