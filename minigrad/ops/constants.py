"""Functions whose results carry no gradient: comparisons, tests, positions, and functions that are flat between jumps.

The derivative of a comparison, of ``sign`` or of ``floor`` is 0 wherever it exists, and a position or a shape has none.
So these give plain Tensors without a history (or plain Python values, as NumPy does for ``shape`` and ``allclose``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError
from minigrad.flags import flag
from minigrad.graph import Operation
from minigrad.ops.elementwise import pair
from minigrad.ops.protocol import implements
from minigrad.ops.shape import checked_axis, reduced_axes
from minigrad.recording import operand, record
from minigrad.scope import end_trace, reading, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["argmax", "argmin", "compare", "flat"]


class Flat(Operation):
    """y = f(a, …) entry by entry, for an f whose derivative is 0 wherever it exists. It stands in the traces of loops only."""

    __slots__ = ("function",)
    label, symbol = "flat", "f"
    entrywise = True
    function: Any

    @override
    def compute(self, *operands: Any) -> Any:
        """What the function gives."""
        return self.function(*operands)


def flat(function: Any, y: Any, operands: Sequence[Any]) -> Tensor:
    """A result without a history, which a trace notes all the same if it depends on what is traced."""
    if state.tracer is None or not state.tracer.knows(operands):
        return unrecorded(y)
    node = Flat()
    node.function = function
    return record(node, y, (), (), operands)


def compare(function: np.ufunc, a: Any, b: Any) -> Tensor:
    """An element-wise comparison, or masks joined by ``&``, ``|`` or ``^``: a tensor that carries no gradient.

    >>> (Tensor([1.0, 2.0]) > 1.5).numpy()
    array([False,  True])
    """
    a, b, y = pair(a, b, function, function.__name__)
    return flat(function, y, (a, b))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the first of the largest entries is along ``axis`` (None: in all of ``x``, flattened).

    Raises:
        ArgumentError: there are no entries, or no such axis.

    >>> argmax(Tensor([[1.0, 5.0], [7.0, 0.0]]), axis=1).numpy()
    array([1, 0])
    """
    return _position(x, axis, keepdims, np.argmax)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the first of the smallest entries is along ``axis`` (None: in all of ``x``, flattened).

    Raises:
        ArgumentError: there are no entries, or no such axis.

    >>> argmin(Tensor([[1.0, 5.0], [7.0, 0.0]]), axis=1).numpy()
    array([0, 1])
    """
    return _position(x, axis, keepdims, np.argmin)


def _position(x: Any, axis: int | None, keepdims: bool, function: Any) -> Tensor:
    x, name = operand(x, function.__name__), function.__name__
    if isinstance(x, Tensor):
        reading(x, name)
    if not x.shape:
        reduced_axes(axis, 0, name)
        axis = None
    elif axis is not None:
        axis = checked_axis(axis, len(x.shape), name)
    if not (np.size(x._array) if axis is None else x.shape[axis]):
        raise ArgumentError(f"{name}: expected at least one entry, got shape {x.shape}")
    return unrecorded(function(x._array, axis=axis, keepdims=flag(keepdims, f"{name}: keepdims")))


def _plain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a NumPy function gives for the values of the tensors."""
    entrywise = function in _ENTRYWISE and not kwargs
    if not entrywise and function not in _FORMS:
        end_trace(f"np.{function.__name__}")
    try:
        result = function(*_values(args), **_values(kwargs))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"np.{function.__name__}: not defined for these arguments ({error})") from None
    if entrywise:
        return flat(function, result, [operand(given, function.__name__) for given in args])
    return unrecorded(np.array(result)) if isinstance(result, np.ndarray | np.generic) else result


def _values(given: Any) -> Any:
    if isinstance(given, Tensor):
        return given._array
    if isinstance(given, tuple | list):
        return type(given)(_values(part) for part in given)
    return {name: _values(part) for name, part in given.items()} if isinstance(given, dict) else given


_COMPARISONS = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
_MASKS = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)
_TESTS = (np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit)
_STEPS = (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.around)
_QUESTIONS = (np.any, np.all, np.count_nonzero, np.argsort, np.isclose, np.allclose, np.array_equal)
_FORMS = (np.shape, np.ndim, np.size, np.zeros_like, np.ones_like)
_ENTRYWISE = (*_TESTS, *_STEPS[:5])

implements(np.argmax)(argmax)
implements(np.argmin)(argmin)
_function: Any
for _function in (*_COMPARISONS, *_MASKS):
    implements(_function)(partial(compare, _function))
for _function in (*_TESTS, *_STEPS, *_QUESTIONS, *_FORMS, np.full_like):
    implements(_function, passing=True)(partial(_plain, _function))
