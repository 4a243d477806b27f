"""Drawing tensors: from the graph recorded behind them to a picture that can be shown and saved."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import graphviz
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.tensor import Tensor

from . import dot, svg
from .composing import compose
from .errors import GraphvizError, PictureFileError
from .scene import Scene

__all__ = ["Picture", "draw"]

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

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file: .svg, .dot or .gv by itself, .png or .pdf with Graphviz's program.

        The file appears complete or not at all.

        Returns:
            The path of the file.

        Raises:
            ArgumentError: the name ends in none of these.
            GraphvizError: the program is needed and cannot be found, or fails.
            PictureFileError: the file cannot be written; what was there before is unchanged.
        """
        target = Path(path)
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
    """Write beside the target, then rename, so that a half-written file is never seen."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        try:
            temporary.write_bytes(content)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as problem:
        raise PictureFileError(
            f"{target} cannot be written: {problem.strerror}; give a folder that exists and may be written to"
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
    detail = "operations" if full else "gates"
    return Picture(compose(tensors, gradients=gradients, gradient=gradient, title=title, detail=detail))
