"""How operations on each entry by itself are applied, with NumPy's broadcasting.

For y = f(a, b) and the upstream gradient g = ∂L/∂y, each derivative gives g ⊙ ∂f/∂a and g ⊙ ∂f/∂b in the shape of y;
summing over axes along which an operand was stretched is done once for all operations, in ``minigrad.gradients``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from minigrad.errors import DTypeError, MinigradError, ShapeError
from minigrad.graph import OUTPUT, Operation
from minigrad.recording import Constant, for_one_kind, operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["NOT_DEFINED", "Binary", "Unary", "loudly", "number_in", "pair", "quietly", "refusal", "telling", "values"]

ndarray = np.ndarray

NOT_DEFINED = (ValueError, TypeError, OverflowError)
"""What NumPy raises when it cannot compute a function of two operands: see `refusal`."""


def pair(a: Any, b: Any, function: Callable[..., Any], label: str) -> tuple[Tensor | Constant, Tensor | Constant, Any]:
    """Two operands and what ``function`` computes from them.

    Raises:
        ShapeError: the shapes cannot be broadcast together.
        DTypeError: ``function`` is not defined for numbers of these kinds.
    """
    if type(a) is not Tensor:
        a = operand(a, label)
    if type(b) is not Tensor:
        b = operand(b, label)
    try:
        return a, b, function(a._array, b._array)
    except NOT_DEFINED:
        raise refusal(label, a, b) from None


class Binary(Operation):
    """An operation on two operands. Where one of them is a nameless number, ``number`` tells it to pictures: they say 1 − z."""

    __slots__ = ("number",)
    entrywise = True
    number: float | None


def telling(node: Binary, a: Tensor | Constant, b: Tensor | Constant) -> Binary:
    """A new operation, which tells the number among its operands, if there is one."""
    if a._node is None or b._node is None:
        node.number = number_in(a, b)
    return node


def number_in(a: Tensor | Constant, b: Tensor | Constant) -> float | None:
    """The number of the operand that has no place in the graph; None if it has several entries."""
    value = a._array if a._node is None else b._array
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    return None if value is None else float(value)


class Unary(Operation):
    """An operation on one operand. ``function`` computes it; ``keeps`` says whether its derivative is written in terms
    of the operand (0) or of the result (OUTPUT)."""

    __slots__ = ()
    entrywise = True
    function: Any
    keeps: ClassVar[tuple[int, ...]] = (OUTPUT,)
    apply: ClassVar[Callable[[Any], Tensor]]
    """The operation applied to ``x``, recorded if ``x`` needs a gradient."""

    @override
    def __init_subclass__(cls) -> None:
        cls.apply = staticmethod(applier(cls))
        cls.compute = staticmethod(cls.function)


def applier(kind: type[Unary]) -> Callable[[Any], Tensor]:
    """What applies an operation; made once for each kind, so that what they differ in need not be looked up each time."""
    function, label, keeps = kind.function, kind.label, kind.keeps
    by_result, record_it = keeps == (OUTPUT,), for_one_kind(record)

    def apply(x: Any) -> Tensor:
        if type(x) is not Tensor:
            x = operand(x, label)
        try:
            y = function(x._array)
        except (TypeError, OverflowError):
            raise refusal(label, x) from None
        if not (x._wants and state.recording):
            return unrecorded(y)
        if type(y) is not ndarray:
            y = np.asarray(y)
        return record_it(kind(), y, (x._node,), (y,) if by_result else (x.lend(kind),) if keeps else (), (x,))

    return for_one_kind(apply)


def refusal(label: str, *operands: Tensor | Constant) -> MinigradError:
    """What to raise when NumPy cannot compute an element-wise function of the operands."""
    shapes = [x.shape for x in operands]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return ShapeError(
            f"{label}: shapes {' and '.join(map(str, shapes))} cannot be broadcast together: axes, counted from the last, "
            "must be equal or 1"
        )
    kinds = " and ".join(x._array.dtype.name if hasattr(x._array, "dtype") else f"{x._array!r:.20}" for x in operands)
    return DTypeError(f"{label}: not defined for {kinds}; convert to numbers that can hold the result, e.g. astype(np.float64)")


def values(x: Any) -> Any:
    """The numbers of a Tensor, without their history; anything else as it is.

    While a loop is traced the Tensor itself: what is computed from its numbers is then part of the trace.
    """
    return x._array if isinstance(x, Tensor) and state.tracer is None else x


class Handling(threading.local):
    """``run(function, …)`` calls a function of NumPy as inside ``with np.errstate(…)``, for a tenth of what that costs.

    The setting is made once, in a context of its own, and the function is run there. A context cannot be entered twice at a
    time: so each thread has one, and what is run is a function of NumPy's own that calls no Python.
    """

    def __init__(self, **errors: Any) -> None:
        context = Context()
        context.run(np.seterr, **errors)
        self.run = context.run


quietly = Handling(divide="ignore", over="ignore", invalid="ignore")
loudly = Handling(all="raise")
