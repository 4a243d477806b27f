"""What is told of an item on hover, and of a whole picture to who cannot see it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .diagram.cuts import CUT
from .diagram.items import Diagram, Item
from .text import clean, number

__all__ = ["described", "summary_of"]


def described(item: Item, gradient: float | None, values: tuple[str, ...]) -> str:
    """The hover text of an item: its name, what it was computed by, its shape, where in time, and its numbers."""
    head = item.head
    parts = [item.full_name, _listed(tuple([node.node.label for node in item.nodes if node.label != CUT]))]
    if item.kind:
        parts.append(f"{len({node.node for node in item.nodes})} recorded operations")
    else:
        parts.append(_kind_of(head.shape, head.dtype))
    if head.time is not None and item.kind != "fold":
        parts.append(f"time step {head.time}")
    if head.scope:
        parts.append(_within(head.scope))
    if any(node.node.time is None and node.label != "leaf" and not node.is_whole for node in item.nodes):
        parts.append("computed for all steps at once")
    if gradient is not None:
        parts.append(f"‖gradient‖ {number(gradient)}")
    return "\n".join([*parts, *values])


@lru_cache(maxsize=1024)
def _listed(labels: tuple[str, ...]) -> str:
    operations = list(dict.fromkeys(labels))
    return clean(" → ".join(operations[:12]) + (" → …" if len(operations) > 12 else ""))


@lru_cache(maxsize=1024)
def _within(scope: tuple[str, ...]) -> str:
    return clean("in " + "/".join(scope))


@lru_cache(maxsize=1024)
def _kind_of(shape: tuple[int, ...], dtype: Any) -> str:
    return f"shape {shape} {dtype}"


def summary_of(diagram: Diagram) -> str:
    """A whole picture in a sentence, for who cannot see it."""
    steps = sum(1 for step in diagram.steps if not step.between)
    what = f"{len(diagram.items)} boxes and {len(diagram.links)} arrows"
    if not steps:
        return f"A recorded computation: {what}."
    return f"A recorded computation unrolled over {steps} time step{'s' if steps > 1 else ''}: {what}."
