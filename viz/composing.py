"""From tensors to a scene: what was recorded, at the detail asked for, with its gradients, laid out and coloured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from minigrad.errors import ArgumentError, DTypeError, GraphError
from minigrad.graph import Node, walk
from minigrad.tensor import Tensor, seed

from .diagram import Diagram, build
from .diagram.cells import closed
from .diagram.shortening import shortened
from .diagram.vertices import Vertex
from .layout import lay_out
from .overlay import Overlay
from .painting import paint
from .scene import Scene

__all__ = ["compose"]

FREED = "forward only: the graph was freed by backward(); draw before it, or keep the graph with retain_graph=True"


def compose(
    tensors: Sequence[Tensor],
    *,
    gradients: bool = True,
    gradient: Any = None,
    title: str | None = None,
    detail: str = "gates",
    fold: int | None = None,
    opened: int | None = None,
) -> Scene:
    """The scene of how tensors were computed; see `draw` for the arguments and errors."""
    outputs = _outputs(tensors)
    diagram = build(walk(*outputs), outputs, detail == "operations")
    if detail == "cells":
        diagram = closed(diagram, {c for c, step in enumerate(diagram.steps) if step.time == opened and not step.between})
    if fold:
        diagram = shortened(diagram, fold)
    notes: list[str] = []
    overlay = None
    if gradients and any(vertex.is_released for vertex in diagram.vertices):
        notes.append(FREED)
    elif gradients:
        overlay = Overlay(diagram, _seeds(tensors, gradient, diagram.roots))
    scene = paint(diagram, lay_out(diagram), overlay, default_title(diagram) if title is None else title)
    scene.notes += notes
    return scene


def _outputs(tensors: Sequence[Tensor]) -> list[Node]:
    if not tensors:
        raise ArgumentError("draw: expected at least one tensor")
    outputs: list[Node] = []
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise DTypeError(f"draw: expected Tensors, got {type(tensor).__name__}")
        if tensor.node is None:
            raise GraphError(
                "draw: nothing was recorded for this tensor: no tensor it was computed from has requires_grad=True, or "
                "it was computed under no_grad()"
            )
        outputs.append(tensor.node)
    return outputs


def _seeds(tensors: Sequence[Tensor], gradient: Any, roots: Sequence[Vertex]) -> dict[Vertex, Any]:
    given = [gradient] if len(tensors) == 1 else [None] * len(tensors) if gradient is None else list(gradient)
    if len(given) != len(tensors):
        raise ArgumentError(f"draw: expected {len(tensors)} gradients, one for each tensor, got {len(given)}")
    seeds: dict[Vertex, Any] = {}
    try:
        for tensor, g, root in zip(tensors, given, roots, strict=True):
            _, array = seed(tensor, g, "draw")
            seeds[root] = array if root not in seeds else seeds[root] + array
    except GraphError as error:
        raise GraphError(f"{error}; or draw with gradients=False") from None
    return seeds


def default_title(diagram: Diagram) -> str:
    """What runs over time, and for how many steps: "lstm, T = 5"; of a piece of a longer sequence its first and last step."""
    if not diagram.steps:
        return ""
    scopes = dict.fromkeys(item.head.scope[0] for item in diagram.items if 0 <= item.place < diagram.after and item.head.scope)
    laps = Counter(step.lap for step in diagram.steps if not step.between)
    return ", ".join([*scopes, "T = " + " + ".join(str(steps) for _, steps in sorted(laps.items()))])
