"""Drawing tensors: a picture of the graph recorded behind them, on the screen or in a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigrad.arguments import several
from minigrad.errors import ArgumentError, DTypeError
from minigrad.flags import flag
from minigrad.reporting import reporting
from minigrad.tensor import Tensor

from .composing import compose
from .picture import Picture
from .scene import Scene

__all__ = ["draw", "render"]


def draw(
    *tensors: Tensor,
    gradients: bool = True,
    gradient: Any = None,
    title: str | None = None,
    detail: str | None = None,
    fold: bool | int | None = None,
    size: str | None = None,
    opened: int | None = None,
    full: bool = False,
    theme: str = "light",
    values: bool = False,
) -> Picture:
    """A picture of how tensors were computed: one column for each time step, gradients as colours and widths of lines.

    Affine expressions are drawn as one box, named tensors as boxes with their names, element-wise operations as
    circles; each parameter is drawn once, with a wire to every step that uses it. What was recorded without time steps
    is drawn from left to right.

    Args:
        tensors: what to draw, usually one loss.
        gradients: colour each line by the norm of the gradient that flows back along it, and show what each step
            contributes to the gradients of the parameters. It takes one backward sweep, which changes nothing. After
            ``backward()`` has freed what it needs the picture is forward only, and says so.
        gradient: where the backward sweep starts, in the shape of the tensor; for several tensors one for each. May be
            left out for tensors of one entry.
        title: written above; by default the scopes and the number of steps.
        detail: "operations" (every one that was recorded), "gates" (as in the textbook), "cells" (one box for each cell and
            step), "strip" (a small box for each step) or "heat bar" (one line for all steps). By default gates where a step
            has one or two cells, else cells; of more than a thousand steps the heat bar.
        fold: how many steps to show at either end of each pass over time; what is between becomes one box, which tells the
            sum of the contributions of its steps. By default two (four of cells) if there are more than six (twelve);
            False shows all.
        size: "slide" (13.3 × 7.5 inches), "page" or "wide": less is shown, or more is folded, until it fits.
        opened: the step whose cells are shown gate by gate among closed ones.
        full: the same as ``detail="operations"``.
        theme: "light" or "dark".
        values: print the numbers of each value and gradient in its box; on hover they are told in any case.

    Raises:
        DTypeError: something else than a Tensor.
        ArgumentError: no tensors, not as many gradients as tensors, or an option that is none.
        GraphError: nothing was recorded, or a tensor of several entries has no ``gradient``.
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
    path = next((tensor for tensor in tensors if isinstance(tensor, str | os.PathLike)), None)
    if path is not None:
        raise DTypeError(
            f"draw: expected Tensors, got the path {os.fspath(path)!r:.80}; to write a file call viz.render(loss, path), or "
            "draw(loss).save(path)"
        )
    if flag(full, "draw: full"):
        if detail not in (None, "operations"):
            raise ArgumentError(f"draw: full=True shows every operation, and detail={detail!r} something else")
        detail = "operations"
    gradients, values = flag(gradients, "draw: gradients"), flag(values, "draw: values")

    def composed(**how: Any) -> Scene:
        with reporting(all="ignore"):  # what is not finite is shown, and where it began
            return compose(
                tensors, gradients=gradients, gradient=gradient, title=title, fold=fold, values=values, **how
            )

    scene = composed(detail=detail, size=size, opened=opened)
    return Picture(scene, theme, lambda: composed(detail="operations"))


def render(tensors: Tensor | Sequence[Tensor], path: str | os.PathLike[str], **options: Any) -> Path:
    """Draw tensors and write the picture to a file; the ending of its name says in which format.

    Args:
        tensors: one, or a sequence of them.
        path: see `Picture.save`.
        options: see `draw`.

    Returns:
        The path of the file.

    Raises:
        RenderingError, PictureFileError: see `Picture.save`; and all that `draw` raises.

    >>> import tempfile
    >>> from minigrad import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     render((x * x).sum(), f"{folder}/square.svg").name
    'square.svg'
    """
    given = [tensors] if isinstance(tensors, Tensor) else several(tensors, "render", "a Tensor or several")
    return draw(*given, **options).save(path)
