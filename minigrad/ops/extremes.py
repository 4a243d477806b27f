"""The largest and the smallest entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.graph import OUTPUT, Gradient
from minigrad.ops.elementwise import values
from minigrad.ops.kinks import switch
from minigrad.ops.protocol import implements
from minigrad.ops.reductions import Reduction, nonempty
from minigrad.recording import record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["max", "min"]


class Extreme(Reduction):
    """y = the largest or smallest x over some axes;  ∂L/∂x = g / k at the k entries that attain it, else 0.

    Equal shares treat equal entries alike, and do not depend on their order. A NaN is attained by every NaN.
    """

    __slots__ = ()
    keeps = (0, OUTPUT)
    word: ClassVar[str]

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        x, y = saved
        attained = values(x) == self.spread(values(y))
        if np.isnan(values(y)).any():
            attained |= np.isnan(values(x))
        k = attained.sum(axis=self.axes, keepdims=True).astype(g.dtype)
        return (switch(self.spread(g) / k, attained, x),)


class Max(Extreme):
    """y = max x over some axes;  ∂L/∂x = g / k at the k entries that attain it."""

    __slots__ = ()
    label, symbol, word = "max", "max", "larger"


class Min(Extreme):
    """y = min x over some axes;  ∂L/∂x = g / k at the k entries that attain it."""

    __slots__ = ()
    label, symbol, word = "min", "min", "smaller"


def _extreme(x: Any, axis: Any, keepdims: bool, function: Any, kind: type[Extreme]) -> Tensor:
    if isinstance(x, int | float) and axis is not None:
        raise ArgumentError(
            f"{kind.label}: the number {x!r} has no axes. The {kind.word} of two is {kind.label}imum({x!r}, {axis!r}); "
            f"Python's own {kind.label} is builtins.{kind.label} after import *"
        )
    x, axes, keepdims = nonempty(x, axis, keepdims, kind.label)
    y = np.asarray(function(x._array, axis=axes, keepdims=keepdims))
    if x._wants and state.recording:
        return record(kind(axes, x.shape), y, (x._node,), (x.lend(kind), y))
    return unrecorded(y)


@implements(np.max, np.amax)
def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest entry over ``axis`` (None: all; an integer; a tuple); equal ones share its gradient equally.

    Raises:
        ArgumentError: there is nothing to take the maximum of.

    >>> x = Tensor([[1.0, 5.0], [5.0, 0.0]], requires_grad=True)
    >>> max(x).backward()
    >>> x.grad
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    return _extreme(x, axis, keepdims, np.max, Max)


@implements(np.min, np.amin)
def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest entry over ``axis`` (None: all; an integer; a tuple); equal ones share its gradient equally.

    Raises:
        ArgumentError: there is nothing to take the minimum of.

    >>> min(Tensor([[1.0, 5.0], [3.0, 0.0]]), axis=1).numpy()
    array([1., 0.])
    """
    return _extreme(x, axis, keepdims, np.min, Min)
