"""The arithmetic of entries: + − * / ** and squares.

Sums, differences and products are what a network does most, so they do themselves what `pair` and `telling` do for all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.graph import OUTPUT, Gradient
from minigrad.ops.elementwise import NOT_DEFINED, Binary, Unary, number_in, pair, refusal, telling, values
from minigrad.ops.kinks import switch
from minigrad.ops.protocol import implements
from minigrad.recording import for_one_kind, operand, record
from minigrad.reporting import calmly
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["add", "add_to", "divide", "multiply", "negative", "power", "square", "subtract"]


class Add(Binary):
    """y = a + b;  ∂L/∂a = g,  ∂L/∂b = g."""

    __slots__ = ()
    label, symbol, compute = "add", "+", np.add

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return g, g


record_add = for_one_kind(record)


@implements(np.add)
def add(a: Any, b: Any) -> Tensor:
    """``a + b`` entry by entry.

    >>> add(Tensor([1.0, 2.0]), 10.0).numpy()
    array([11., 12.])
    """
    if type(a) is not Tensor:
        a = operand(a, "add")
    if type(b) is not Tensor:
        b = operand(b, "add")
    try:
        y = np.add(a._array, b._array)
    except NOT_DEFINED:
        raise refusal("add", a, b) from None
    if (a._wants or b._wants) and state.recording:
        node = Add()
        if a._node is None or b._node is None:
            node.number = number_in(a, b)
        return record_add(node, y, (a._node, b._node), (), (a, b))
    return unrecorded(y)


def add_to(a: Tensor, b: Tensor) -> Tensor:
    """``a + b`` in the memory of ``a``: a result that the caller has just computed, and that nobody else has or will use.

    For a bias (N,) after a product (…, N) of the same dtype; any other sum is an ordinary one.
    """
    product, bias = a._array, b._array
    if bias.shape != product.shape[-1:] or product.dtype != bias.dtype or product.ndim < 2:
        return add(a, b)
    y = np.add(product, bias, out=product)
    return record(Add(), y, (a._node, b._node), (), (a, b)) if (a._wants or b._wants) and state.recording else unrecorded(y)


class Subtract(Binary):
    """y = a − b;  ∂L/∂a = g,  ∂L/∂b = −g."""

    __slots__ = ()
    label, symbol, compute = "sub", "−", np.subtract

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        second = self.sources[1]
        return g, -g if second is not None and second.requires_grad else None


record_subtract = for_one_kind(record)


@implements(np.subtract)
def subtract(a: Any, b: Any) -> Tensor:
    """``a − b`` entry by entry.

    >>> (1.0 - Tensor([0.25, 0.5])).numpy()
    array([0.75, 0.5 ])
    """
    if type(a) is not Tensor:
        a = operand(a, "sub")
    if type(b) is not Tensor:
        b = operand(b, "sub")
    try:
        y = np.subtract(a._array, b._array)
    except NOT_DEFINED:
        raise refusal("sub", a, b) from None
    if (a._wants or b._wants) and state.recording:
        node = Subtract()
        if a._node is None or b._node is None:
            node.number = number_in(a, b)
        return record_subtract(node, y, (a._node, b._node), (), (a, b))
    return unrecorded(y)


class Multiply(Binary):
    """y = a ⊙ b;  ∂L/∂a = g ⊙ b,  ∂L/∂b = g ⊙ a. Each operand is kept only if the other needs a gradient."""

    __slots__ = ()
    label, symbol, compute = "mul", "⊙", np.multiply
    keeps = (1, 0)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        b, a = saved
        return None if b is None else g * b, None if a is None else g * a


record_multiply = for_one_kind(record)


@implements(np.multiply)
def multiply(a: Any, b: Any) -> Tensor:
    """The element-wise product ``a ⊙ b``.

    >>> multiply(Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).numpy()
    array([3., 8.])
    """
    if type(a) is not Tensor:
        a = operand(a, "mul")
    if type(b) is not Tensor:
        b = operand(b, "mul")
    try:
        y = np.multiply(a._array, b._array)
    except NOT_DEFINED:
        raise refusal("mul", a, b) from None
    if (a._wants or b._wants) and state.recording:
        kept = (b.lend(Multiply) if a._wants else None, a.lend(Multiply) if b._wants else None)
        node = Multiply()
        if a._node is None or b._node is None:
            node.number = number_in(a, b)
        return record_multiply(node, y, (a._node, b._node), kept, (a, b))
    return unrecorded(y)


class Divide(Binary):
    """y = a / b;  ∂L/∂a = g / b,  ∂L/∂b = −g ⊙ y / b."""

    __slots__ = ()
    label, symbol, compute = "div", "÷", np.divide
    keeps = (1, OUTPUT)

    @override
    @calmly
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        b, y = saved
        da = g / b
        return da, None if y is None else -da * y


@implements(np.divide)
def divide(a: Any, b: Any) -> Tensor:
    """``a / b`` entry by entry.

    >>> divide(1.0, Tensor([2.0, 4.0])).numpy()
    array([0.5 , 0.25])
    """
    a, b, y = pair(a, b, np.divide, "div")
    if (a._wants or b._wants) and state.recording:
        kept = (b.lend(Divide), np.asarray(y) if b._wants else None)
        return record(telling(Divide(), a, b), y, (a._node, b._node), kept, (a, b))
    return unrecorded(y)


class Power(Binary):
    """y = aᵇ;  ∂L/∂a = g ⊙ b aᵇ⁻¹,  ∂L/∂b = g ⊙ y ln a.

    Where b = 0 the first is 0, for every a (y is 1 there, also 0⁰). Where a = 0 and b ≥ 0 the second is 0, the limit
    from the right. Where a is negative, aᵇ is defined for whole b only, so the second is NaN.
    """

    __slots__ = ()
    label, symbol, compute = "pow", "^", np.power
    keeps = (0, 1, OUTPUT)

    @override
    @calmly
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        a, b, y = saved
        first, second = self.sources
        da = db = None
        if first is not None and first.requires_grad:
            da = g * _slope(a, b)
        if second is not None and second.requires_grad:
            base = np.where((values(a) == 0) & (values(b) >= 0), 1, a)
            db = g * (y * np.log(base if base.dtype == y.dtype else base.astype(y.dtype)))  # a number has no dtype of its own
        return da, db


def _slope(a: Any, b: Any) -> Any:
    """b aᵇ⁻¹. Where b = 0 and aᵇ⁻¹ would be infinite, b times 1 instead, so that 0 and not NaN comes out."""
    if isinstance(b, int | float):
        return b * a ** (b - 1) if b else switch(a, np.zeros(a.shape, bool), a)
    vast = (values(b) == 0) & (np.abs(values(a)) < np.finfo(a.dtype).tiny)
    return b * a ** np.where(vast, 1, b - 1)


@implements(np.power)
def power(a: Any, b: Any) -> Tensor:
    """``a`` to the power ``b`` entry by entry. The gradient of x² at 0 is 0, that of √x infinite; 0⁰ = 1.

    >>> power(Tensor([2.0, 3.0]), 2).numpy()
    array([4., 9.])
    """
    a, b, y = pair(a, b, np.power, "pow")
    if (a._wants or b._wants) and state.recording:
        kept = (a.lend(Power), b.lend(Power), np.asarray(y) if b._wants else None)
        return record(telling(Power(), a, b), y, (a._node, b._node), kept, (a, b))
    return unrecorded(y)


class Negative(Unary):
    """y = −x;  ∂L/∂x = −g."""

    __slots__ = ()
    label, symbol, function, keeps = "neg", "−", np.negative, ()

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (-g,)


@implements(np.negative)
def negative(x: Any) -> Tensor:
    """``−x`` entry by entry.

    >>> negative(Tensor([1.0, -2.0])).numpy()
    array([-1.,  2.])
    """
    return Negative.apply(x)


class Square(Unary):
    """y = x²;  ∂L/∂x = 2 g ⊙ x."""

    __slots__ = ()
    label, symbol, function, keeps = "square", "x²", np.square, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (2 * g * x,)


@implements(np.square)
def square(x: Any) -> Tensor:
    """x² entry by entry.

    >>> square(Tensor([3.0, -0.5])).numpy()
    array([9.  , 0.25])
    """
    return Square.apply(x)
