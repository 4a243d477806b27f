"""Drawing tensors: from the graph recorded behind them to a picture that can be shown and saved."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import graphviz
from typing_extensions import override

from minigrad.errors import ArgumentError, DTypeError, GraphError
from minigrad.files import StrPath, as_path, replace_file
from minigrad.graph import Node, Operation, walk
from minigrad.tensor import Tensor, seed

from . import dot, svg
from .diagram import Diagram, build
from .errors import GraphvizError, PictureFileError
from .layout import lay_out
from .overlay import Overlay
from .painting import paint
from .scene import Scene

__all__ = ["Picture", "draw"]

MOST_BOXES = 20_000
MOST_BOXES_IN_ONE_PLACE = 1_000
FORMATS = (".svg", ".dot", ".gv", ".png", ".pdf")


class Picture:
    """A drawn graph. In a notebook it shows itself.

    Attributes:
        scene: everything in it, named, placed and coloured.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def svg(self) -> str:
        """The picture as an SVG document; the same graph gives the same bytes. Needs no Graphviz."""
        return svg.write(self.scene)

    def _repr_svg_(self) -> str:
        return self.svg()

    @override
    def __repr__(self) -> str:
        scene = self.scene
        return f"<Picture {scene.title!r}: {len(scene.boxes)} boxes, {len(scene.edges)} arrows, {len(scene.panels)} steps>"

    def graphviz(self) -> graphviz.Digraph:
        """The picture as a ``graphviz.Digraph`` with the same positions; its ``source`` needs no Graphviz program."""
        return dot.digraph(self.scene)

    def save(self, path: StrPath) -> Path:
        """Write the picture to a file: .svg, .dot or .gv by itself, .png or .pdf with Graphviz's program.

        The file appears complete or not at all.

        Returns:
            The path of the file.

        Raises:
            ArgumentError: the name ends in none of these.
            DTypeError: ``path`` is no path.
            GraphvizError: the program is needed and cannot be found, or fails.
            PictureFileError: the file cannot be written; what was there before is unchanged.
        """
        target = as_path(path, "save")
        ending = target.suffix.lower()
        if ending == ".svg":
            content = self.svg().encode()
        elif ending in (".dot", ".gv"):
            content = self.graphviz().source.encode()
        elif ending in FORMATS:
            content = self._rendered(target)
        else:
            raise ArgumentError(f"save: expected a name that ends in {', '.join(FORMATS)}, got {os.fspath(path)!r}")
        _write(target, content)
        return target

    def _rendered(self, target: Path) -> bytes:
        graph = self.graphviz()
        graph.graph_attr["dpi"] = "144"
        try:
            rendered: bytes = graph.pipe(format=target.suffix.lower()[1:])
        except graphviz.ExecutableNotFound:
            raise GraphvizError(
                f"save: {target.name} needs Graphviz's program 'dot', which is not installed here (see "
                "graphviz.org/download); save as .svg, which needs nothing"
            ) from None
        except graphviz.CalledProcessError as error:
            raise GraphvizError(f"save: Graphviz failed on {target.name}: {error}") from None
        return rendered


def _write(target: Path, content: bytes) -> None:
    try:
        replace_file(target, lambda file: file.write(content))
    except OSError as problem:
        raise PictureFileError(
            f"{target} cannot be written: {problem.strerror}; give the path of a file that can be"
        ) from None


def draw(
    *tensors: Tensor,
    gradients: bool = True,
    gradient: Any = None,
    title: str | None = None,
    full: bool = False,
) -> Picture:
    """A picture of how tensors were computed: one column for each time step, gradients as colours and widths of lines.

    Affine expressions are drawn as one box, named tensors as boxes with their names, element-wise operations as
    circles; each parameter is drawn once, with a wire to every step that uses it. What was recorded without time steps
    is drawn from left to right.

    Args:
        tensors: what to draw, usually one loss.
        gradients: colour each line by the norm of the gradient that flows back along it, and show what each step
            contributes to the gradients of the parameters. It takes one backward sweep, which changes nothing, and so
            must happen before ``backward()`` frees what it needs.
        gradient: where the backward sweep starts, in the shape of the tensor; for several tensors one for each. May be
            left out for tensors of one entry.
        title: written above; by default the scopes and the number of steps.
        full: draw every recorded operation by itself.

    Raises:
        DTypeError: something else than a Tensor.
        ArgumentError: no tensors, or not as many gradients as tensors.
        GraphError: nothing was recorded, the graph has been released, a tensor of several entries has no ``gradient``,
            or the graph is too large for a picture.
        ShapeError: a ``gradient`` of another shape.

    >>> import numpy as np
    >>> from minigrad import Parameter, Tensor, tanh, time_step
    >>> W, h = Parameter([[0.5]], name="W"), Tensor([[1.0]], requires_grad=True, name="h")
    >>> for t in (1, 2, 3):
    ...     with time_step(t):
    ...         h = tanh(h @ W.T).named("h")
    >>> picture = draw(h.sum(), title="three steps")
    >>> picture
    <Picture 'three steps': 9 boxes, 10 arrows, 3 steps>
    >>> picture.svg()[:4]
    '<svg'
    """
    outputs = _outputs(tensors)
    nodes = walk(*outputs)
    seeds = _seeds(tensors, gradient, nodes) if gradients else []
    diagram = build(nodes, outputs, full)
    _check_size(diagram)
    overlay = Overlay(diagram, seeds) if gradients else None
    return Picture(paint(diagram, lay_out(diagram), overlay, _default_title(diagram) if title is None else title))


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


def _seeds(tensors: Sequence[Tensor], gradient: Any, nodes: Sequence[Node]) -> list[tuple[Node, Any]]:
    released = next((node for node in nodes if isinstance(node, Operation) and node.saved is None), None)
    if released is not None:
        raise GraphError(
            f"draw: the graph was already released at {released!r}, so its gradients are gone. Draw before backward(), "
            "call backward(retain_graph=True), or draw with gradients=False"
        )
    given = [gradient] if len(tensors) == 1 else [None] * len(tensors) if gradient is None else list(gradient)
    if len(given) != len(tensors):
        raise ArgumentError(f"draw: expected {len(tensors)} gradients, one for each tensor, got {len(given)}")
    try:
        return [seed(tensor, g, "draw") for tensor, g in zip(tensors, given, strict=True)]
    except GraphError as error:
        raise GraphError(f"{error}; or draw with gradients=False") from None


def _check_size(diagram: Diagram) -> None:
    boxes = len(diagram.items)
    crowd = max((sum(1 for _ in group) for group in _by_place(diagram)), default=0)
    if boxes > MOST_BOXES:
        raise GraphError(
            f"draw: {boxes} boxes are more than a picture of {MOST_BOXES} can hold; draw a shorter sequence: the tensors "
            "of an earlier step, or fewer steps"
        )
    if crowd > MOST_BOXES_IN_ONE_PLACE:
        raise GraphError(
            f"draw: {crowd} boxes in one column are more than {MOST_BOXES_IN_ONE_PLACE}; mark the steps of a loop with "
            "time_step(t), which gives each a column of its own, or draw a part of the graph"
        )


def _by_place(diagram: Diagram) -> list[list[int]]:
    places: dict[int, list[int]] = {}
    for item in diagram.items:
        places.setdefault(item.place, []).append(item.index)
    return list(places.values())


def _default_title(diagram: Diagram) -> str:
    if not diagram.steps:
        return ""
    scopes = dict.fromkeys(item.head.scope[0] for item in diagram.items if 0 <= item.place < diagram.after and item.head.scope)
    laps = Counter(step.lap for step in diagram.steps)
    return ", ".join([*scopes, "T = " + " + ".join(str(steps) for _, steps in sorted(laps.items()))])
