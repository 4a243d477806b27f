"""Exponentials, logarithms, roots, and the squashing functions that gates are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.graph import Gradient, Operation
from minigrad.guard import Array
from minigrad.ops.elementwise import Unary, pair, quietly
from minigrad.ops.protocol import implements
from minigrad.recording import record
from minigrad.reporting import calmly
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["cos", "exp", "expm1", "log", "log1p", "logaddexp", "sigmoid", "sin", "softplus", "sqrt", "tanh"]


class Exp(Unary):
    """y = eˣ;  ∂L/∂x = g ⊙ y."""

    __slots__ = ()
    label, symbol, function = "exp", "exp", np.exp

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g * y,)


@implements(np.exp)
def exp(x: Any) -> Tensor:
    """eˣ entry by entry.

    >>> exp(Tensor([0.0, 1.0])).numpy()
    array([1.        , 2.71828183])
    """
    return Exp.apply(x)


class Expm1(Unary):
    """y = eˣ − 1;  ∂L/∂x = g ⊙ eˣ."""

    __slots__ = ()
    label, symbol, function, keeps = "expm1", "exp − 1", np.expm1, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (g * np.exp(x),)


@implements(np.expm1)
def expm1(x: Any) -> Tensor:
    """eˣ − 1 entry by entry, exact also where x is tiny.

    >>> expm1(Tensor([1e-20])).numpy()
    array([1.e-20])
    """
    return Expm1.apply(x)


class Log(Unary):
    """y = ln x;  ∂L/∂x = g / x."""

    __slots__ = ()
    label, symbol, function, keeps = "log", "ln", np.log, (0,)

    @override
    @calmly
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (g / x,)


@implements(np.log)
def log(x: Any) -> Tensor:
    """The natural logarithm entry by entry: −∞ at 0 and NaN below, with NumPy's warning.

    >>> log(Tensor([1.0, 2.718281828459045])).numpy()
    array([0., 1.])
    """
    return Log.apply(x)


class Log1p(Unary):
    """y = ln(1 + x);  ∂L/∂x = g / (1 + x)."""

    __slots__ = ()
    label, symbol, function, keeps = "log1p", "ln(1 + x)", np.log1p, (0,)

    @override
    @calmly
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (g / (1 + x),)


@implements(np.log1p)
def log1p(x: Any) -> Tensor:
    """ln(1 + x) entry by entry, exact also where x is tiny.

    >>> log1p(Tensor([1e-20])).numpy()
    array([1.e-20])
    """
    return Log1p.apply(x)


class Sqrt(Unary):
    """y = √x;  ∂L/∂x = g / (2y), infinite at 0."""

    __slots__ = ()
    label, symbol, function = "sqrt", "√", np.sqrt

    @override
    @calmly
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g / (2 * y),)


@implements(np.sqrt)
def sqrt(x: Any) -> Tensor:
    """The square root entry by entry; its gradient at 0 is infinite.

    >>> sqrt(Tensor([4.0, 2.25])).numpy()
    array([2. , 1.5])
    """
    return Sqrt.apply(x)


class Sin(Unary):
    """y = sin x;  ∂L/∂x = g ⊙ cos x."""

    __slots__ = ()
    label, symbol, function, keeps = "sin", "sin", np.sin, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (g * np.cos(x),)


@implements(np.sin)
def sin(x: Any) -> Tensor:
    """The sine entry by entry.

    >>> sin(Tensor([0.0, 1.5707963267948966])).numpy()
    array([0., 1.])
    """
    return Sin.apply(x)


class Cos(Unary):
    """y = cos x;  ∂L/∂x = −g ⊙ sin x."""

    __slots__ = ()
    label, symbol, function, keeps = "cos", "cos", np.cos, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (-g * np.sin(x),)


@implements(np.cos)
def cos(x: Any) -> Tensor:
    """The cosine entry by entry.

    >>> cos(Tensor([0.0, 1.0])).numpy()
    array([1.        , 0.54030231])
    """
    return Cos.apply(x)


class Tanh(Unary):
    """y = tanh x;  ∂L/∂x = g ⊙ (1 − y²)."""

    __slots__ = ()
    label, symbol, function = "tanh", "tanh", np.tanh

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g - g * y * y,)


@implements(np.tanh)
def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent entry by entry.

    >>> import numpy as np
    >>> np.tanh(Tensor([0.0, 1.0])).numpy()
    array([0.        , 0.76159416])
    """
    return Tanh.apply(x)


ONE = {np.dtype(kind): np.ones((), kind) for kind in "efdg"}
"""For each floating-point dtype a 1 that NumPy takes in half the time that it needs for Python's."""


def logistic(x: Any) -> Any:
    """σ of an array, as an array; of a Tensor, recorded. For derivatives that are written in terms of σ."""
    return sigmoid(x) if isinstance(x, Tensor) else _logistic(x)


def _logistic(x: Any) -> Array:
    one = ONE.get(x.dtype) if type(x) is np.ndarray else None
    if one is None:
        x = np.asarray(x)
        x = x if x.dtype in ONE else x.astype(np.float64)
        one = ONE[x.dtype]
    y: Array = -x
    if type(y) is not np.ndarray:
        y = np.asarray(y)
    quietly.run(np.exp, y, y)  # e⁻ˣ may become infinity: then y is 0, as it should be
    np.add(one, y, y)
    np.divide(one, y, y)
    return y


class Sigmoid(Unary):
    """y = σ(x) = 1/(1 + e⁻ˣ);  ∂L/∂x = g ⊙ y ⊙ (1 − y).

    Computed as it is written, which is accurate to the last digits also where y is tiny; ½ tanh(½x) + ½, which equals
    it and cannot overflow, loses them there.
    """

    __slots__ = ()
    label, symbol, function = "sigmoid", "σ", _logistic

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        upper = g * y
        upper -= upper * y
        return (upper,)


def sigmoid(x: Any) -> Tensor:
    """The logistic function σ(x) = 1/(1 + e⁻ˣ) entry by entry.

    >>> sigmoid(Tensor([-1000.0, 0.0, 1000.0])).numpy()
    array([0. , 0.5, 1. ])
    """
    return Sigmoid.apply(x)


def _softplus(x: Any) -> Any:
    return _logaddexp(0.0, x)


def _logaddexp(a: Any, b: Any) -> Any:
    return quietly.run(np.logaddexp, a, b)  # it warns where a − b overflows, and of a NaN that was there before


class Softplus(Unary):
    """y = ln(1 + eˣ);  ∂L/∂x = g ⊙ σ(x) = g ⊙ (1 − e⁻ʸ), which neither overflows nor cancels."""

    __slots__ = ()
    label, symbol, function = "softplus", "ln(1 + eˣ)", _softplus

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (-g * np.expm1(-y),)


def softplus(x: Any) -> Tensor:
    """ln(1 + eˣ) entry by entry: a smooth ``relu``, exact for all x (there is no threshold).

    >>> softplus(Tensor([-1000.0, 0.0, 1000.0])).numpy()
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return Softplus.apply(x)


class LogAddExp(Operation):
    """y = ln(eᵃ + eᵇ);  ∂L/∂a = g ⊙ σ(a − b),  ∂L/∂b = g ⊙ σ(b − a)."""

    __slots__ = ()
    label, symbol = "logaddexp", "ln(eᵃ + eᵇ)"
    keeps = (0, 1)
    compute = staticmethod(_logaddexp)
    entrywise = True

    @override
    @calmly
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        a, b = saved
        difference = a - b
        return g * logistic(difference), g * logistic(-difference)


@implements(np.logaddexp)
def logaddexp(a: Any, b: Any) -> Tensor:
    """ln(eᵃ + eᵇ) entry by entry, without overflow.

    >>> logaddexp(Tensor([1000.0]), 1000.0).numpy() - 1000.0
    array([0.69314718])
    """
    a, b, y = pair(a, b, _logaddexp, "logaddexp")
    if (a._wants or b._wants) and state.recording:
        return record(LogAddExp(), y, (a._node, b._node), (a.lend(LogAddExp), b.lend(LogAddExp)), (a, b))
    return unrecorded(y)
