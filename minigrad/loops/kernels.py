"""The NumPy backend's table of kernels: how an opcode is computed into an array that is there already.

A repeated step has no need to look at shapes, dtypes and mistakes again, nor to make an array for each result. What is
left of an operation is a call or two of NumPy whose last argument is the place of the result: one row of the results of
all steps, or all of them at once. An operation without a kernel of its own is computed as it says itself, by ``compute``,
and its result copied to its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.loops.simplify import LARGEST, FactorDifference, FactorProduct, FactorSum
from minigrad.ops.arithmetic import Negative
from minigrad.ops.elementwise import loudly, quietly
from minigrad.ops.transcendental import Sigmoid

__all__ = ["MINUS_ONE", "ONE", "OUT", "Kernel", "assign", "copy", "kernels", "matrix_kernel", "put", "put_rows"]

Kernel: TypeAlias = Callable[..., Any]
"""A function of arrays whose last argument is the array for the result."""

OUT: Final = -1
ONE: Final = -2
MINUS_ONE: Final = -3

copy: Final[Kernel] = np.positive


def assign(a: Any, y: Array) -> None:
    """A copy for dtypes, or numbers, that `copy` does not take."""
    y[...] = a


def _quiet_exp(x: Array, y: Array) -> None:
    quietly.run(np.exp, x, y)


largest, smallest = np.maximum.reduce, np.minimum.reduce


def _ahead(function: Kernel, large: list[int]) -> Kernel:
    """A kernel that puts two factors together, if they are not too ``large`` and what comes of it not too small."""

    def kernel(*operands: Any) -> None:
        for k in large:
            factor = np.asarray(operands[k])
            if factor.size and max(largest(factor, None), -float(smallest(factor, None))) > LARGEST[operands[-1].dtype]:
                raise FloatingPointError("a factor is large")
        loudly.run(function, *operands)

    kernel.__name__ = f"{function.__name__}_ahead"
    return kernel


def _maximum(a: Any, b: Any, y: Array) -> None:
    np.maximum(a, b, out=y)


def _minimum(a: Any, b: Any, y: Array) -> None:
    np.minimum(a, b, out=y)


BY_KEYWORD: Final[dict[Any, Kernel]] = {np.maximum: _maximum, np.minimum: _minimum}
"""Those that NumPy wants to be told by keyword where the result goes."""


def put(a: Any, condition: Any, y: Array) -> None:
    """What is in ``a`` where the condition holds."""
    np.copyto(y, a, "unsafe", condition)


def put_rows(b: Any, condition: Any, y: Array) -> None:
    """What is in ``b``, a number, in the rows where the condition, (…, 1), does not hold."""
    y[np.logical_not(condition[..., 0])] = b


def _stored(compute: Callable[..., Any]) -> Kernel:
    """A kernel that computes the result as an array of its own, and copies it."""

    def kernel(*operands: Any) -> None:
        operands[-1][...] = compute(*operands[:-1])

    return kernel


def kernels(op: Operation, operands: int, quiet: bool) -> list[tuple[Kernel, tuple[int, ...]]]:
    """The calls that compute ``op``: kernels, each with the numbers of the operands (or OUT, ONE, MINUS_ONE) that it takes.

    The result of each is written to the place of the result. The sign is changed by a product, since NumPy 2.4's
    ``negative`` is wrong where it reads every fourth float32, or every eighth float64, and writes to a place that is not in
    one piece. ``quiet`` has the exponential in a sigmoid raise no flag where it overflows.
    """
    if isinstance(op, Sigmoid):  # 1/(1 + e⁻ˣ), in place
        exp = _quiet_exp if quiet else np.exp
        return [(np.multiply, (0, MINUS_ONE)), (exp, (OUT,)), (np.add, (OUT, ONE)), (np.reciprocal, (OUT,))]
    if isinstance(op, Negative) and op.dtype.kind == "f":
        return [(np.multiply, (0, MINUS_ONE))]
    if isinstance(op, FactorProduct | FactorSum | FactorDifference):
        return [(_ahead(op.compute, op.large), (0, 1))]
    compute = op.compute
    if isinstance(compute, np.ufunc) and compute.nout == 1 and op.dtype.kind == "f":
        return [(BY_KEYWORD.get(compute, compute), tuple(range(operands)))]
    return [(_stored(compute), tuple(range(operands)))]


def matrix_kernel(at_once: bool) -> Kernel:
    """The product of rows (…, K) with a matrix (K, M): of one step, or of all steps at once."""
    return _rows_dot if at_once else np.ndarray.dot


def _rows_dot(a: Array, b: Array, y: Array) -> None:
    """One product for the rows of all steps: (T, B, K) times (K, M)."""
    rows = math.prod(y.shape[:-1])
    np.dot(a.reshape(rows, a.shape[-1]), b, y.reshape(rows, y.shape[-1]))
