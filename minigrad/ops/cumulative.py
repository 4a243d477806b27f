"""Running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.graph import Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.ops.shape import checked_axis, ravel, reduced_axes
from minigrad.recording import operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["cumsum"]


class CumSum(Operation):
    """yₖ = x₁ + … + xₖ along an axis;  ∂L/∂xₖ = gₖ + gₖ₊₁ + …: the running sum of g from the other end."""

    __slots__ = ("axis",)
    axis: int
    label, symbol = "cumsum", "Σ…"

    @override
    def compute(self, x: Any) -> Any:
        """The running sums of x."""
        return np.cumsum(x, self.axis)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (np.flip(np.cumsum(np.flip(g, self.axis), self.axis), self.axis),)


@implements(np.cumsum)
def cumsum(x: Any, axis: int | None = None) -> Tensor:
    """The running sum along ``axis``; None flattens first.

    Raises:
        ArgumentError: there is no such axis.

    >>> cumsum(Tensor([1.0, 2.0, 3.0])).numpy()
    array([1., 3., 6.])
    """
    x = operand(x, "cumsum")
    if axis is None or not x.shape:
        reduced_axes(axis, len(x.shape), "cumsum")
        x, axis = ravel(x), 0
    axis = checked_axis(axis, len(x.shape), "cumsum")
    y = np.cumsum(x._array, axis)
    if x._wants and state.recording:
        node = CumSum()
        node.axis = axis
        return record(node, y, (x._node,), (), (x,))
    return unrecorded(y)
