"""Operations on each entry by itself, with NumPy's broadcasting.

For y = f(a, b) and the upstream gradient g = ∂L/∂y, each derivative below gives g ⊙ ∂f/∂a and g ⊙ ∂f/∂b in the shape of
y; summing over axes along which an operand was stretched is done once for all operations, in ``minigrad.gradients``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad.errors import DTypeError, ShapeError
from minigrad.graph import OUTPUT, Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.scope import state
from minigrad.tensor import Constant, Tensor, operand, record, unrecorded

__all__ = [
    "absolute",
    "add",
    "astype",
    "compare",
    "divide",
    "exp",
    "log",
    "multiply",
    "negative",
    "power",
    "sigmoid",
    "sqrt",
    "square",
    "subtract",
    "tanh",
]


def pair(a: Any, b: Any, function: np.ufunc, label: str) -> tuple[Tensor | Constant, Tensor | Constant, Any]:
    """Two operands and what ``function`` computes from them.

    Raises:
        ShapeError: the shapes cannot be broadcast together.
    """
    if type(a) is not Tensor:
        a = operand(a, label)
    if type(b) is not Tensor:
        b = operand(b, label)
    try:
        return a, b, function(a._data, b._data)
    except ValueError:
        raise ShapeError(
            f"{label}: shapes {a.shape} and {b.shape} cannot be broadcast together: axes, counted from the last, must be "
            "equal or 1"
        ) from None


class Add(Operation):
    """y = a + b;  ∂L/∂a = g,  ∂L/∂b = g."""

    __slots__ = ()
    label, symbol = "add", "+"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return g, g


@implements(np.add)
def add(a: Any, b: Any) -> Tensor:
    """``a + b`` entry by entry.

    >>> add(Tensor([1.0, 2.0]), 10.0).numpy()
    array([11., 12.])
    """
    a, b, y = pair(a, b, np.add, "add")
    if (a._wants or b._wants) and state.recording:
        return record(Add(), y, (a._node, b._node), ())
    return unrecorded(y)


class Subtract(Operation):
    """y = a − b;  ∂L/∂a = g,  ∂L/∂b = −g."""

    __slots__ = ()
    label, symbol = "sub", "−"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        second = self.inputs[1]
        return g, -g if second is not None and second.requires_grad else None


@implements(np.subtract)
def subtract(a: Any, b: Any) -> Tensor:
    """``a − b`` entry by entry.

    >>> (1.0 - Tensor([0.25, 0.5])).numpy()
    array([0.75, 0.5 ])
    """
    a, b, y = pair(a, b, np.subtract, "sub")
    if (a._wants or b._wants) and state.recording:
        return record(Subtract(), y, (a._node, b._node), ())
    return unrecorded(y)


class Multiply(Operation):
    """y = a ⊙ b;  ∂L/∂a = g ⊙ b,  ∂L/∂b = g ⊙ a. Each operand is kept only if the other needs a gradient."""

    __slots__ = ()
    label, symbol = "mul", "⊙"
    keeps = (1, 0)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        b, a = saved
        return None if b is None else g * b, None if a is None else g * a


@implements(np.multiply)
def multiply(a: Any, b: Any) -> Tensor:
    """The element-wise product ``a ⊙ b``.

    >>> multiply(Tensor([1.0, 2.0]), Tensor([3.0, 4.0])).numpy()
    array([3., 8.])
    """
    a, b, y = pair(a, b, np.multiply, "mul")
    if (a._wants or b._wants) and state.recording:
        kept = (b.lend(Multiply) if a._wants else None, a.lend(Multiply) if b._wants else None)
        return record(Multiply(), y, (a._node, b._node), kept)
    return unrecorded(y)


class Divide(Operation):
    """y = a / b;  ∂L/∂a = g / b,  ∂L/∂b = −g ⊙ y / b."""

    __slots__ = ()
    label, symbol = "div", "÷"
    keeps = (1, OUTPUT)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        b, y = saved
        da = g / b
        return da, None if y is None else -da * y


@implements(np.divide, np.true_divide)
def divide(a: Any, b: Any) -> Tensor:
    """``a / b`` entry by entry.

    >>> divide(1.0, Tensor([2.0, 4.0])).numpy()
    array([0.5 , 0.25])
    """
    a, b, y = pair(a, b, np.divide, "div")
    if (a._wants or b._wants) and state.recording:
        return record(Divide(), y, (a._node, b._node), (b.lend(Divide), y if b._wants else None))
    return unrecorded(y)


class Power(Operation):
    """y = aᵇ;  ∂L/∂a = g ⊙ b aᵇ⁻¹,  ∂L/∂b = g ⊙ y ln a.

    Where b = 0 the first is 0, for every a; where a = 0 and b ≥ 0 the second is 0, the limit from the right.
    """

    __slots__ = ()
    label, symbol = "pow", "^"
    keeps = (0, 1, OUTPUT)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        a, b, y = saved
        da = db = None
        first, second = self.inputs
        if first is not None and first.requires_grad:
            da = g * (b * a ** np.where(_values(b) == 0, 1, b - 1))
        if second is not None and second.requires_grad:
            db = g * (y * np.log(np.where(_values(a) == 0, 1, a)))
        return da, db


@implements(np.power, np.float_power)
def power(a: Any, b: Any) -> Tensor:
    """``a`` to the power ``b`` entry by entry.

    >>> power(Tensor([2.0, 3.0]), 2).numpy()
    array([4., 9.])
    """
    a, b, y = pair(a, b, np.power, "pow")
    if (a._wants or b._wants) and state.recording:
        return record(Power(), y, (a._node, b._node), (a.lend(Power), b.lend(Power), y if b._wants else None))
    return unrecorded(y)


def _values(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


class Unary(Operation):
    """An operation on one operand. ``function`` computes it; ``keeps`` says whether its derivative is written in terms
    of the operand (0) or of the result (OUTPUT)."""

    __slots__ = ()
    function: Any
    keeps: ClassVar[tuple[int, ...]] = (OUTPUT,)

    @classmethod
    def apply(cls, x: Any) -> Tensor:
        """The operation applied to ``x``, recorded if ``x`` needs a gradient."""
        if type(x) is not Tensor:
            x = operand(x, cls.label)
        y = cls.function(x._data)
        if x._wants and state.recording:
            if type(y) is not np.ndarray:
                y = np.asarray(y)
            saved: tuple[Any, ...] = () if not cls.keeps else (y,) if cls.keeps[0] == OUTPUT else (x.lend(cls),)
            return record(cls(), y, (x._node,), saved)
        return unrecorded(y)


class Negative(Unary):
    """y = −x;  ∂L/∂x = −g."""

    __slots__ = ()
    label, symbol, function, keeps = "neg", "−", np.negative, ()

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (-g,)


class Exp(Unary):
    """y = eˣ;  ∂L/∂x = g ⊙ y."""

    __slots__ = ()
    label, symbol, function = "exp", "exp", np.exp

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g * y,)


class Log(Unary):
    """y = ln x;  ∂L/∂x = g / x."""

    __slots__ = ()
    label, symbol, function, keeps = "log", "ln", np.log, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (g / x,)


class Sqrt(Unary):
    """y = √x;  ∂L/∂x = g / (2y)."""

    __slots__ = ()
    label, symbol, function = "sqrt", "√", np.sqrt

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        return (g / (2 * y),)


class Square(Unary):
    """y = x²;  ∂L/∂x = 2 g ⊙ x."""

    __slots__ = ()
    label, symbol, function, keeps = "square", "x²", np.square, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (2 * g * x,)


class Absolute(Unary):
    """y = |x|;  ∂L/∂x = g ⊙ sign x, which is 0 at x = 0."""

    __slots__ = ()
    label, symbol, function, keeps = "abs", "|x|", np.absolute, (0,)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (x,) = saved
        return (g * np.sign(_values(x)),)


class Tanh(Unary):
    """y = tanh x;  ∂L/∂x = g ⊙ (1 − y²)."""

    __slots__ = ()
    label, symbol, function = "tanh", "tanh", np.tanh

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        lost = g * y
        lost *= y
        return (g - lost,)


def _sigmoid(x: Any) -> Any:
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    if x.dtype.itemsize <= 4:
        y = np.tanh(x * 0.5)
        y *= 0.5
        y += 0.5
        return y
    with np.errstate(over="ignore"):  # e⁻ˣ may become infinity: then y is 0, as it should be
        y = np.exp(-x)
    y += 1
    return np.divide(1, y)


class Sigmoid(Unary):
    """y = σ(x) = 1/(1 + e⁻ˣ);  ∂L/∂x = g ⊙ y ⊙ (1 − y).

    In float32 it is computed as ½ tanh(½x) + ½, which takes half the time; in float64 from the definition, which is
    accurate to the last digits also where y is tiny.
    """

    __slots__ = ()
    label, symbol, function = "sigmoid", "σ", _sigmoid

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        (y,) = saved
        upper = g * y
        upper -= upper * y
        return (upper,)


@implements(np.negative)
def negative(x: Any) -> Tensor:
    """``−x`` entry by entry."""
    return Negative.apply(x)


@implements(np.exp)
def exp(x: Any) -> Tensor:
    """eˣ entry by entry."""
    return Exp.apply(x)


@implements(np.log)
def log(x: Any) -> Tensor:
    """The natural logarithm entry by entry."""
    return Log.apply(x)


@implements(np.sqrt)
def sqrt(x: Any) -> Tensor:
    """The square root entry by entry."""
    return Sqrt.apply(x)


@implements(np.square)
def square(x: Any) -> Tensor:
    """x² entry by entry."""
    return Square.apply(x)


@implements(np.absolute)
def absolute(x: Any) -> Tensor:
    """``|x|`` entry by entry; the gradient at 0 is 0."""
    return Absolute.apply(x)


@implements(np.tanh)
def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent entry by entry.

    >>> import numpy as np
    >>> np.tanh(Tensor([0.0, 1.0])).numpy()
    array([0.        , 0.76159416])
    """
    return Tanh.apply(x)


def sigmoid(x: Any) -> Tensor:
    """The logistic function σ(x) = 1/(1 + e⁻ˣ) entry by entry.

    >>> sigmoid(Tensor([-1000.0, 0.0, 1000.0])).numpy()
    array([0. , 0.5, 1. ])
    """
    return Sigmoid.apply(x)


class Cast(Operation):
    """y = x in another dtype;  ∂L/∂x = g, in the dtype of x."""

    __slots__ = ()
    label, symbol = "astype", "astype"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        source = self.inputs[0]
        return (g if source is None else g.astype(source.dtype),)


def astype(x: Any, dtype: npt.DTypeLike) -> Tensor:
    """``x`` converted to ``dtype``. A tensor that needs a gradient can only become another floating-point type.

    Raises:
        DTypeError: the conversion would lose the gradient.
    """
    x = operand(x, "astype")
    wanted = np.dtype(dtype)
    y = np.asarray(x._data).astype(wanted)
    if x._wants and state.recording:
        if wanted.kind != "f":
            raise DTypeError(f"astype: {wanted} has no gradient; use .detach() first if none is wanted")
        return record(Cast(), y, (x._node,), ())
    return unrecorded(y)


def compare(function: np.ufunc, a: Any, b: Any) -> Tensor:
    """An element-wise comparison: a tensor of booleans, which carries no gradient."""
    return unrecorded(pair(a, b, function, function.__name__)[2])


for _function in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal):
    implements(_function)(partial(compare, _function))
