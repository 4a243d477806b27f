"""Functions with kinks, and what each does there.

| function | at its kink |
| --- | --- |
| ``absolute`` | 0 at x = 0 |
| ``relu`` | 0 at x = 0 |
| ``maximum``, ``minimum`` | half to each operand where they are equal |
| ``clip`` | 1 at the bounds, as inside |
| ``max``, ``min`` | equal shares to all entries that attain it (see ``minigrad.ops.extremes``) |

These are PyTorch's choices; every one is a subgradient, so a step along it never goes the wrong way.

Where the slope is 0 the gradient is 0 exactly, whatever comes from upstream: ``switch`` selects and does not multiply,
so that an infinity or NaN there stays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.constants import flat
from minigrad.ops.elementwise import Binary, Unary, pair, refusal, telling, values
from minigrad.ops.protocol import implements
from minigrad.recording import operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["absolute", "clip", "maximum", "minimum", "relu", "where"]


class Switch(Operation):
    """y = x where a mask holds, else 0;  ∂L/∂x = g where it holds, else 0.

    The mask says on which side of its kink an operand was. Between kinks it does not change, so the operand's own
    contribution is 0; it is an input all the same, so that the second derivative of a function that is straight between its
    kinks is 0 and not an error.
    """

    __slots__ = ()
    label, symbol = "switch", "switch"
    keeps = (2,)
    entrywise = True

    @staticmethod
    @override
    def compute(x: Any, _: Any, mask: Any) -> Any:
        """The result, from x, the operand of the kink, and the mask."""
        return np.where(mask, x, 0)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (mask,) = saved
        return np.where(mask, g, 0), None


def switch(g: Gradient, mask: Any, x: Any) -> Gradient:
    """``g`` where ``mask``, else 0: the derivative of an operation that follows its operand ``x`` only there."""
    if not isinstance(g, Tensor):
        return np.where(mask, g, 0)
    side = operand(mask, "switch")
    return record(Switch(), np.where(side._array, g._array, 0), (g._node, x._node), (side._array,), (g, x, side))


class Absolute(Unary):
    """y = |x|;  ∂L/∂x = g where x > 0, −g where x < 0, 0 where x = 0."""

    __slots__ = ()
    label, symbol, function, keeps = "abs", "|x|", np.absolute, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (switch(g, values(x) > 0, x) - switch(g, values(x) < 0, x),)


@implements(np.absolute)
def absolute(x: Any) -> Tensor:
    """``|x|`` entry by entry; the gradient at 0 is 0.

    >>> abs(Tensor([-2.0, 3.0])).numpy()
    array([2., 3.])
    """
    return Absolute.apply(x)


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


class Relu(Unary):
    """y = max(x, 0);  ∂L/∂x = g where y > 0, else 0."""

    __slots__ = ()
    label, symbol, function = "relu", "relu", _relu

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (switch(g, values(y) > 0, y),)


def relu(x: Any) -> Tensor:
    """max(x, 0) entry by entry; the gradient at 0 is 0.

    >>> relu(Tensor([-2.0, 0.0, 3.0])).numpy()
    array([0., 0., 3.])
    """
    return Relu.apply(x)


class Larger(Binary):
    """y = max(a, b);  ∂L/∂a = g where a > b, ∂L/∂b = g where b > a; g/2 each where a = b."""

    __slots__ = ()
    label, symbol = "maximum", "max"
    compute: Any = np.maximum
    keeps = (0, 1)
    behind: ClassVar[np.ufunc] = np.less_equal

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        a, b = (values(x) for x in saved)
        tied = np.equal(a, b)
        ahead = np.logical_not(self.behind(a, b)), np.logical_not(self.behind(b, a))
        return [
            switch(g, mask, x) + switch(g * 0.5, tied, x) if source is not None and source.requires_grad else None
            for source, x, mask in zip(self.sources, saved, ahead, strict=True)
        ]


class Smaller(Larger):
    """y = min(a, b);  ∂L/∂a = g where a < b, ∂L/∂b = g where b < a; g/2 each where a = b."""

    __slots__ = ()
    label, symbol = "minimum", "min"
    compute = np.minimum
    behind = np.greater_equal


def _larger(a: Any, b: Any, function: np.ufunc, kind: type[Larger]) -> Tensor:
    a, b, y = pair(a, b, function, kind.label)
    if (a._wants or b._wants) and state.recording:
        return record(telling(kind(), a, b), y, (a._node, b._node), (a.lend(kind), b.lend(kind)), (a, b))
    return unrecorded(y)


@implements(np.maximum)
def maximum(a: Any, b: Any) -> Tensor:
    """The larger of ``a`` and ``b`` entry by entry; where they are equal each gets half of the gradient.

    >>> a = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> maximum(a, 2.0).sum().backward()
    >>> a.grad
    array([0. , 0.5, 1. ])
    """
    return _larger(a, b, np.maximum, Larger)


@implements(np.minimum)
def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of ``a`` and ``b`` entry by entry; where they are equal each gets half of the gradient.

    >>> minimum(Tensor([1.0, 2.0, 3.0]), 2.0).numpy()
    array([1., 2., 2.])
    """
    return _larger(a, b, np.minimum, Smaller)


class Clip(Operation):
    """y = min(max(x, low), high);  ∂L/∂x = g where low ≤ x ≤ high, ∂L/∂low = g where x < low ≤ high, ∂L/∂high = g
    where high is below x or below low; each 0 elsewhere."""

    __slots__ = ()
    label, symbol, compute = "clip", "clip", staticmethod(np.clip)
    keeps = (0, 1, 2)
    entrywise = True

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        x, low, high = saved
        below = False if low is None else values(x) < values(low)
        above = False if high is None else values(x) > values(high)
        crossed = False if low is None or high is None else values(low) > values(high)
        masks = (
            np.logical_not(np.logical_or(below, above)),
            np.logical_and(below, np.logical_not(crossed)),
            np.logical_or(above, crossed),
        )
        return [
            switch(g, mask, x) if source is not None and source.requires_grad else None
            for source, x, mask in zip(self.sources, saved, masks, strict=True)
        ]


@implements(np.clip)
def clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Tensor:
    """``x`` with everything below ``a_min`` raised to it and everything above ``a_max`` lowered to it.

    Args:
        x: the tensor to limit.
        a_min: lower bound, a number or a tensor that can be broadcast to ``x``; None for none.
        a_max: upper bound likewise.
        min: another name for ``a_min``, as in NumPy.
        max: another name for ``a_max``.

    The gradient passes to ``x`` inside and at the bounds, and to a bound that is a tensor where it took effect.

    Raises:
        ArgumentError: there is no bound at all, or one is given by both of its names.
        ShapeError: the shapes cannot be broadcast together.

    >>> clip(Tensor([-2.0, 0.5, 2.0]), -1.0, 1.0).numpy()
    array([-1. ,  0.5,  1. ])
    """
    bounds = []
    for old, new, name in ((a_min, min, "min"), (a_max, max, "max")):
        if old is not None and new is not None:
            raise ArgumentError(f"clip: expected a_{name} or {name}, got both")
        bounds.append(old if new is None else new)
    if all(bound is None for bound in bounds):
        raise ArgumentError("clip: expected a lower bound, an upper bound or both, got none")
    x = operand(x, "clip")
    low, high = (None if bound is None else operand(bound, "clip") for bound in bounds)
    given = [part for part in (x, low, high) if part is not None]
    try:
        y = np.clip(x._array, None if low is None else low._array, None if high is None else high._array)
    except (ValueError, TypeError, OverflowError):
        raise refusal("clip", *given) from None
    if any(part._wants for part in given) and state.recording:
        parts = (x, low, high)
        saved = tuple(None if part is None else part.lend(Clip) for part in parts)
        return record(Clip(), y, tuple(None if part is None else part._node for part in parts), saved, parts)
    return unrecorded(y)


class Where(Operation):
    """y = a where a condition holds, else b;  ∂L/∂a = g where it holds, else 0; ∂L/∂b = 0 where it holds, else g."""

    __slots__ = ()
    label, symbol = "where", "where"
    keeps = (2,)
    entrywise = True

    @staticmethod
    @override
    def compute(a: Any, b: Any, condition: Any) -> Any:
        """The result, from both choices and the condition."""
        return np.where(condition, a, b)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (condition,) = saved
        first, second = (source is not None and source.requires_grad for source in self.sources)
        return np.where(condition, g, 0) if first else None, np.where(condition, 0, g) if second else None


@implements(np.where, parameters=("condition", "x", "y"))
def where(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    """``x`` where ``condition`` holds, else ``y``, entry by entry, with broadcasting.

    What was not selected gets the gradient 0, exactly, whatever comes from upstream. (A derivative that is itself
    infinite there still gives 0 · ∞ = NaN one operation further down: make the operand harmless before that operation,
    as in ``log(where(x > 0, x, 1.0))``.)

    Args:
        condition: booleans, or integers of which all but 0 count as true.
        x: what to take where it holds.
        y: what to take elsewhere.

    Raises:
        ArgumentError: ``x`` or ``y`` is missing.
        DTypeError: the condition is not made of booleans or integers.
        ShapeError: the shapes cannot be broadcast together.

    >>> where(Tensor([1.0, -1.0]) > 0, 10.0, Tensor([2.0, 3.0])).numpy()
    array([10.,  3.])
    """
    if x is None or y is None:
        raise ArgumentError("where: expected a condition and two choices; for the places alone use np.nonzero(t.numpy())")
    condition, x, y = (operand(part, "where") for part in (condition, x, y))
    if np.asarray(condition._array).dtype.kind not in "biu":
        raise DTypeError(f"where: expected a condition of booleans, got {np.asarray(condition._array).dtype}; write x != 0")
    try:
        chosen = np.where(condition._array, x._array, y._array)
    except ValueError:
        shapes = f"{condition.shape}, {x.shape} and {y.shape}"
        raise ShapeError(f"where: shapes {shapes} cannot be broadcast together") from None
    if (x._wants or y._wants) and state.recording:
        return record(Where(), chosen, (x._node, y._node), (condition.lend(Where),), (x, y, condition))
    return flat(np.where, chosen, (condition, x, y))
