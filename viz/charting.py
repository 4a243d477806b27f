"""Charts of gradients over time, as pictures that can be shown, printed and saved like every other."""

from __future__ import annotations

from typing import Any

from . import charts
from .picture import Picture

__all__ = ["gradient_lines", "heat_bars", "heat_map", "learning_curves", "strips"]


def strips(
    models: Any, *, title: str | None = None, size: str | None = None, parameter: str | None = None, theme: str = "light"
) -> Picture:
    """How far does the gradient get? A row of small boxes for each model, one for each step, coloured by ‖∂L/∂state_t‖.

    Below each row a bar for each step: what it contributes to the gradient of the recurrent weights.

    Args:
        models: losses by name, such as ``{"RNN": loss_of_rnn, "LSTM": loss_of_lstm}``, or one loss; instead of a loss also
            the table that `minigrad.bptt.gradient_by_time` makes of it.
        title: written above.
        size: "slide", "page" or "wide".
        parameter: whose contributions the bars show; by default the weights that are applied to the state.
        theme: "light" or "dark".

    Raises:
        ArgumentError: no model, no named values in time steps, or an option that is none.
        DTypeError: something else than a loss or a table.
        GraphError: a graph that was freed; a loss of several entries.

    >>> import numpy as np
    >>> from minigrad.models import GRU, unroll
    >>> hs, _ = unroll(GRU(3, 4, seed=0), np.ones((20, 2, 3)))
    >>> print(strips({"GRU": (hs[-1] ** 2).sum()}).scene.title)
    How far does the gradient get? T = 20
    """
    return Picture(charts.strips(models, title=title, size=size, parameter=parameter), theme)


def heat_bars(models: Any, *, title: str | None = None, size: str | None = None, theme: str = "light") -> Picture:
    """A bar of colour for each model, ‖∂L/∂state_t‖ over time, and the same as a line; for sequences of any length.

    Arguments and errors: see `strips`.
    """
    return Picture(charts.heat_bars(models, title=title, size=size), theme)


def gradient_lines(models: Any, *, title: str | None = None, size: str | None = None, theme: str = "light") -> Picture:
    """‖∂L/∂h_t‖ over t for several models, on a log axis: a straight line is a gradient that vanishes exponentially.

    Arguments and errors: see `strips`. Of a model with several states every one is a line.
    """
    return Picture(charts.gradient_lines(models, title=title, size=size), theme)


def heat_map(
    table: Any,
    *,
    title: str | None = None,
    size: str | None = None,
    rows: str = "t",
    columns: str = "k",
    first: int = 1,
    theme: str = "light",
) -> Picture:
    """A square of colour for each entry of a table of sizes, such as ‖∂L_t/∂h_k‖ or ‖∂h_t/∂h_k‖.

    Args:
        table: (n, m) numbers ≥ 0: ``minigrad.bptt.contributions(losses, W).norms``,
            ``minigrad.bptt.state_jacobians(cell, xs).norms()`` (whose times begin with 0: ``first=0``), or any other.
        title: written above.
        size: "slide", "page" or "wide".
        rows, columns: what the axes are called.
        first: the number of the first row and column.
        theme: "light" or "dark".

    Raises:
        ShapeError: the table has another number of axes, or no entries.
    """
    return Picture(charts.heat_map(table, title=title, size=size, rows=rows, columns=columns, first=first), theme)


def learning_curves(log: Any, *, title: str | None = None, size: str | None = None, theme: str = "light") -> Picture:
    """What a training did: loss, norm of the gradient and learning rate over its updates, each in a panel of its own.

    Args:
        log: the records of a training, each with ``step`` and numbers, as attributes or by name; or lists by name.
        title: written above.
        size: "slide", "page" or "wide".
        theme: "light" or "dark".

    Raises:
        ArgumentError: there are no numbers in it.
    """
    return Picture(charts.learning_curves(log, title=title, size=size), theme)
