"""What is told of an item on hover, and of a whole picture to who cannot see it."""

from __future__ import annotations

from functools import cache
from typing import Any

from .diagram.cuts import CUT
from .diagram.items import Diagram, Item
from .text import clean, number

__all__ = ["clean_lines", "described", "summary_of"]


def described(item: Item, gradient: float | None, values: tuple[str, ...]) -> str:
    """The hover text of an item: its name, what it was computed by, its shape, where in time, and its numbers."""
    head = item.head
    operations = list(dict.fromkeys([node.node.label for node in item.nodes if node.label != CUT]))
    parts = [item.full_name, " → ".join(operations[:12]) + (" → …" if len(operations) > 12 else "")]
    if item.kind:
        parts.append(f"{len({node.node for node in item.nodes})} recorded operations")
    else:
        parts.append(f"shape {head.shape} {_name_of(head.dtype)}")
    if head.time is not None and item.kind != "fold":
        parts.append(f"time step {head.time}")
    if head.scope:
        parts.append("in " + "/".join(head.scope))
    if any(node.node.time is None and node.label != "leaf" and not node.is_whole for node in item.nodes):
        parts.append("computed for all steps at once")
    if gradient is not None:
        parts.append(f"‖gradient‖ {number(gradient)}")
    return clean_lines([*parts, *values])


@cache
def _name_of(dtype: Any) -> str:
    return str(dtype)


def clean_lines(parts: list[str]) -> str:
    """Hover text: one part a line."""
    return "\n".join(clean(part) for part in parts)


def summary_of(diagram: Diagram) -> str:
    """A whole picture in a sentence, for who cannot see it."""
    steps = sum(1 for step in diagram.steps if not step.between)
    what = f"{len(diagram.items)} boxes and {len(diagram.links)} arrows"
    if not steps:
        return f"A recorded computation: {what}."
    return f"A recorded computation unrolled over {steps} time step{'s' if steps > 1 else ''}: {what}."
