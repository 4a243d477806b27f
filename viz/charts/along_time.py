"""One model over all of its time: the levels of detail beyond boxes."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.errors import ArgumentError
from minigrad.graph import Node, ancestors
from minigrad.loops.loop import Loop
from minigrad.tensor import Tensor

from ..scene import Scene
from .strips import heat_bars, strips

__all__ = ["along_time", "is_long"]

LONG = 1000
"""More steps than this are not drawn step by step, unless that is asked for."""


def is_long(output: Node) -> bool:
    """Whether a result was computed over so many time steps that a picture of each says less than a line for all.

    Loops are not written out for it.
    """
    times: set[int] = set()
    for node in ancestors([output]):
        if isinstance(node, Loop):
            times.update(node.times)
        elif not node.is_leaf and node.time is not None:
            times.add(node.time)
    return len(times) > LONG


def along_time(tensors: Sequence[Tensor], detail: str, title: str | None, size: str | None) -> Scene:
    """The strip or the heat bar of one loss.

    Raises:
        ArgumentError: there are several tensors.
    """
    if len(tensors) != 1:
        raise ArgumentError(
            f"draw: detail={detail!r} shows one loss; for several models give them names: viz.strips({{name: loss, …}})"
        )
    chart = strips if detail == "strip" else heat_bars
    return chart(tensors[0], title=title, size=size)
