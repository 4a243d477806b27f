"""How an operation is computed into an array that is there already.

A repeated step has no need to look at shapes, dtypes and mistakes again, nor to make an array for each result. What is
left of an operation is a call or two of NumPy whose last argument is the place of the result: one row of the results of
all steps, or all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.ops.arithmetic import Add, Multiply, Negative, Subtract
from minigrad.ops.matmul import Matmul
from minigrad.ops.transcendental import Sigmoid, Tanh

__all__ = ["CURVES", "MINUS_ONE", "ONE", "OUT", "Into", "NotRepeatable", "copy", "recipe"]

Into: TypeAlias = Callable[..., Any]
"""A function of arrays whose last argument is the array for the result."""

OUT: Final = -1
ONE: Final = -2
MINUS_ONE: Final = -3


class NotRepeatable(Exception):
    """A step that cannot be repeated from the record of one: it is run again each time, as any other Python code."""


ELEMENTWISE: Final[dict[type[Operation], Into]] = {
    Add: np.add,
    Multiply: np.multiply,
    Subtract: np.subtract,
    Tanh: np.tanh,
}

CURVES: Final = (Tanh, Sigmoid)
"""Functions of one operand whose slope follows from their result: ∂L/∂x = g ⊙ slope, with the slopes of all steps at once."""

copy: Final[Into] = np.positive


def recipe(node: Operation, at_once: bool) -> list[tuple[Into, tuple[int, ...]]]:
    """The calls that compute ``node``: functions, each with the numbers of the operands (or OUT, ONE, MINUS_ONE) that it takes.

    The result of each is written to the place of the result. ``at_once`` asks for all steps in one call. The sign is
    changed by a product, since NumPy 2.4's ``negative`` is wrong where it reads every fourth float32, or every eighth
    float64, and writes to a place that is not in one piece.

    Raises:
        NotRepeatable: none are known.
    """
    if isinstance(node, Sigmoid):  # 1/(1 + e⁻ˣ), in place
        return [(np.multiply, (0, MINUS_ONE)), (np.exp, (OUT,)), (np.add, (OUT, ONE)), (np.reciprocal, (OUT,))]
    if isinstance(node, Negative):
        return [(np.multiply, (0, MINUS_ONE))]
    if isinstance(node, Matmul) and node.rank_a == node.rank_b == 2:
        return [(_rows_dot if at_once else np.ndarray.dot, (0, 1))]
    function = ELEMENTWISE.get(type(node))
    if function is None:
        raise NotRepeatable(node.label)
    return [(function, tuple(range(len(node.inputs))))]


def _rows_dot(a: Array, b: Array, y: Array) -> None:
    """One product for the rows of all steps: (T, B, K) times (K, M)."""
    rows = math.prod(y.shape[:-1])
    np.dot(a.reshape(rows, a.shape[-1]), b, y.reshape(rows, y.shape[-1]))
