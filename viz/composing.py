"""From tensors to a scene: what was recorded, at the detail asked for, with its gradients, laid out and coloured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.backward import seed
from minigrad.errors import ArgumentError, DTypeError, GraphError
from minigrad.graph import Node, walk
from minigrad.memory import collector_paused
from minigrad.tensor import Tensor

from .charts.along_time import along_time, is_long
from .details import DETAILS, SIZES, checked, chosen, detailed
from .diagram import Diagram, build
from .diagram.vertices import Vertex
from .layout import lay_out
from .overlay import Overlay
from .painting import paint
from .scene import Scene
from .titles import default_title

__all__ = ["compose"]

FREED = "forward only: the graph was freed by backward(); draw before it, or keep the graph with retain_graph=True"


def compose(
    tensors: Sequence[Tensor],
    *,
    gradients: bool = True,
    gradient: Any = None,
    title: str | None = None,
    detail: str | None = None,
    fold: bool | int | None = None,
    size: str | None = None,
    opened: int | None = None,
    values: bool = False,
) -> Scene:
    """The scene of how tensors were computed.

    Args:
        tensors: what to draw, usually one loss.
        gradients: colour each line by the gradient that flows back along it, and show each step's share of the gradients
            of the parameters.
        gradient: where the backward sweep starts; for several tensors one for each.
        title: written above; by default what runs over time, and for how many steps.
        detail: "operations" (every one that was recorded), "gates" (the textbook), "cells" (one box for each cell and
            step), "strip" (a small box for each step) or "heat bar" (a line for all steps). None: gates where a step has
            one or two cells, else cells.
        fold: how many steps to show at either end of each lap; what is between them becomes one box. None: two (four of
            cells) if there are more than six (twelve); False: all steps are shown.
        size: "slide" (13.3 × 7.5 in), "page" or "wide": less is shown, or more is folded, until it fits. None: as large as
            it comes.
        opened: the step whose cells are shown gate by gate among closed ones.
        values: make room in each box for the numbers of its value and its gradient, and print them there.

    Raises:
        ArgumentError: no tensors; a ``detail`` or ``size`` that does not exist; a ``fold``, ``title`` or ``opened`` of the
            wrong kind; a step to be opened that does not exist; not as many gradients as tensors.
        DTypeError: something else than a Tensor.
        GraphError: nothing was recorded, or a tensor of several entries has no ``gradient``.
        ShapeError: a ``gradient`` of another shape.
    """
    _check(detail, fold, size, opened, title)
    outputs = _outputs(tensors)
    if detail is None and fold is None and opened is None and gradients and len(tensors) == 1 and is_long(outputs[0]):
        return along_time(tensors, "heat bar", title, size)
    if detail in ("strip", "heat bar"):
        return along_time(tensors, detail, title, size)
    with collector_paused():
        return _fitting(tensors, outputs, gradients, gradient, title, detail, fold, size, opened, values)


def _fitting(
    tensors: Sequence[Tensor],
    outputs: Sequence[Node],
    gradients: bool,
    gradient: Any,
    title: str | None,
    detail: str | None,
    fold: bool | int | None,
    size: str | None,
    opened: int | None,
    values: bool,
) -> Scene:
    """The first choice of detail whose scene fits the size."""
    nodes = walk(*outputs)
    whole = build(nodes, outputs, detail == "operations")
    _check_opened(whole, opened)
    room = SIZES[size] if size is not None else (math.inf, math.inf)
    for number, choice in enumerate(list(chosen(whole, detail, fold, opened))):
        notes: list[str] = []
        if number:
            whole = build(nodes, outputs, choice.name == "operations")
        diagram = detailed(whole, choice, notes)
        overlay = None
        if gradients and any(vertex.is_released for vertex in diagram.vertices):
            notes.append(FREED)
        elif gradients:
            known = {root: tensor.numpy() for tensor, root in zip(tensors, diagram.roots, strict=True)}
            overlay = Overlay(diagram, _seeds(tensors, gradient, diagram.roots), known=known)
            for item in diagram.items if values else ():
                item.printed = overlay.values.get(item.index, ())
        words, page = default_title(diagram) if title is None else title, room if size == "slide" else None
        scene = paint(diagram, lay_out(diagram), overlay, words, notes, page)
        share = min(room[0] / scene.width, room[1] / scene.height)
        if share >= 1.0:
            return scene
    notes.append(f"larger than a {size}: there its words have {share:.0%} of their size; fewer steps, layers or details fit")
    return paint(diagram, lay_out(diagram), overlay, words, notes, page)


def _check(detail: Any, fold: Any, size: Any, opened: Any, title: Any) -> None:
    checked("detail", detail, DETAILS)
    checked("size", size, tuple(SIZES))
    if title is not None and not isinstance(title, str):
        raise ArgumentError(f"draw: title must be text, got {title!r}")
    if fold is not None and not (isinstance(fold, int) and fold >= 0):
        raise ArgumentError(f"draw: fold must be True, False or a number of steps from 1, got {fold!r}")
    if opened is not None and (not isinstance(opened, int) or isinstance(opened, bool)):
        raise ArgumentError(f"draw: opened must be the number of a time step, got {opened!r}")
    if opened is not None and detail not in (None, "cells"):
        raise ArgumentError(f"draw: opened= opens one cell among closed ones: detail must be 'cells', got {detail!r}")


def _check_opened(diagram: Diagram, opened: int | None) -> None:
    times = sorted({step.time for step in diagram.steps if not step.between})
    if opened is not None and opened not in times:
        known = f"from {times[0]} to {times[-1]}" if times else "in no time step: nothing was recorded under time_step(t)"
        raise ArgumentError(f"draw: opened={opened}, but what is drawn was recorded {known}")


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
