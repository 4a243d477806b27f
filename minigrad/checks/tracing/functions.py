"""NumPy's functions whose results have no derivative, or which minigrad has under another name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.checks.tracing.namespaces import LIBRARY

if TYPE_CHECKING:
    from minigrad.checks.tracing.tape import Tape

__all__ = ["SPECIAL", "VALUES_ONLY", "columns", "unusual"]

VALUES_ONLY = {
    np.shape,
    np.ndim,
    np.size,
    np.argmax,
    np.argmin,
    np.isnan,
    np.isfinite,
    np.isinf,
    np.allclose,
    np.array_equal,
    np.any,
    np.all,
    np.argsort,
    np.sign,
    np.isclose,
    np.array_repr,
    np.array_str,
    np.array2string,
    np.floor,
    np.round,
    np.floor_divide,
    np.remainder,
    np.heaviside,
    np.result_type,
}
"""Functions whose results have no derivative: they are given the bare values."""


def _filled_like(value: float) -> Callable[..., Any]:
    def make(tape: Tape, like: Any, *args: Any, dtype: Any = None, **_: Any) -> Any:
        return tape.constant(np.full(np.shape(like), args[0] if args else value))

    return make


def _pieces(axis_of: Callable[[int], int]) -> Callable[..., Any]:
    return lambda tape, x, parts: tape.apply(np.split, (x, parts, axis_of(x.ndim)))


def columns(tape: Tape, arrays: Any) -> Any:
    """Arrays side by side, vectors as columns."""
    whole = [array if np.ndim(array) > 1 else array[:, None] for array in arrays]
    return tape.apply(np.concatenate, (whole, 1))


def _appended(tape: Tape, array: Any, values: Any, axis: int | None = None) -> Any:
    values = tape.apply(np.stack, (values,)) if isinstance(values, list | tuple) else values
    return tape.apply(np.concatenate, ([array, values] if axis is not None else [np.ravel(array), np.ravel(values)], axis or 0))


def _tensordot(tape: Tape, a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum over pairs of axes, as an einsum; the product of a matrix where it is one."""
    na, nb = np.ndim(a), np.ndim(b)
    first, second = (range(na - axes, na), range(axes)) if isinstance(axes, int) else axes
    pairs = [(i % na, j % nb) for i, j in zip(np.atleast_1d(first).tolist(), np.atleast_1d(second).tolist(), strict=True)]
    if pairs == [(na - 1, 0)] and nb == 2 and na > 1:
        return tape.apply(np.matmul, (a, b))
    of_a, of_b = [chr(97 + i) for i in range(na)], [chr(97 + na + j) for j in range(nb)]
    for i, j in pairs:
        of_b[j] = of_a[i]
    shared = {of_a[i] for i, _ in pairs}
    result = [letter for letter in (*of_a, *of_b) if letter not in shared]
    return tape.apply(np.einsum, (f"{''.join(of_a)},{''.join(of_b)}->{''.join(result)}", a, b))


def _inner(tape: Tape, a: Any, b: Any) -> Any:
    return _tensordot(tape, a, b, (-1, -1)) if np.ndim(a) and np.ndim(b) else tape.apply(np.multiply, (a, b))


def _diag(tape: Tape, x: Any, k: int = 0) -> Any:
    """A matrix with these numbers on a diagonal, or the diagonal of a matrix."""
    if np.ndim(x) == 1:
        n = len(x) + abs(k)
        rows = np.arange(len(x))
        places = np.zeros((len(x), n, n))
        places[rows, rows + max(-k, 0), rows + max(k, 0)] = 1.0
        return tape.apply(np.einsum, ("a,abc->bc", x, places))
    n = len(np.diagonal(np.empty(np.shape(x)), k))
    return x[np.arange(n) + max(-k, 0), np.arange(n) + max(k, 0)]


def _diff(tape: Tape, x: Any, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        at = [slice(None)] * (axis % x.ndim)
        x = tape.apply(np.subtract, (x[(*at, slice(1, None))], x[(*at, slice(None, -1))]))
    return x


def _average(tape: Tape, x: Any, axis: Any = None, weights: Any = None, **_: Any) -> Any:
    if weights is None:
        return tape.apply(np.mean, (x, axis))
    shape = [-1 if k == axis else 1 for k in range(x.ndim)] if axis is not None and np.ndim(weights) == 1 else np.shape(x)
    w = np.reshape(weights, shape)
    return tape.apply(np.divide, (tape.apply(np.sum, (tape.apply(np.multiply, (x, w)), axis)), np.sum(w)))


def _rolled(tape: Tape, x: Any, shift: int, axis: int | None = None) -> Any:
    if axis is None:
        return tape.apply(np.reshape, (_rolled(tape, np.ravel(x), shift, 0), x.shape))
    at, cut = [slice(None)] * (axis % x.ndim), -shift % x.shape[axis]
    return tape.apply(np.concatenate, ([x[(*at, slice(cut, None))], x[(*at, slice(None, cut))]], axis)) if cut else x.copy()


def _inserted(tape: Tape, x: Any, where: int, values: Any, axis: int | None = None) -> Any:
    x, axis = (np.ravel(x), 0) if axis is None else (x, axis % x.ndim)
    at = [slice(None)] * axis
    shape = [1 if k == axis else n for k, n in enumerate(x.shape)]
    part = values if np.shape(values) == tuple(shape) else np.broadcast_to(values, shape)
    return tape.apply(np.concatenate, ([x[(*at, slice(None, where))], part, x[(*at, slice(where, None))]], axis))


def _deleted(tape: Tape, x: Any, where: Any, axis: int | None = None) -> Any:
    x, axis = (np.ravel(x), 0) if axis is None else (x, axis)
    return tape.apply(np.take, (x, np.delete(np.arange(x.shape[axis]), where), axis))


def _masked(mask: Callable[..., Any]) -> Callable[..., Any]:
    return lambda tape, x, k=0: tape.apply(np.multiply, (x, mask(np.ones(np.shape(x)), k)))


def _piecewise(tape: Tape, x: Any, conditions: Any, pieces: Sequence[Any], *args: Any, **keywords: Any) -> Any:
    """A function that is another one where each condition holds, and the last where none does."""
    where = [np.asarray(condition, bool) for condition in conditions]
    whole = tape.constant(np.zeros(np.shape(x)))
    where += [~np.logical_or.reduce(where)] * (len(pieces) - len(where))
    for condition, piece in zip(where, pieces, strict=True):
        if condition.any():
            whole[condition] = piece(x[condition], *args, **keywords) if callable(piece) else piece
    return whole


def _selected(tape: Tape, conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Any:
    result = default
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        result = tape.apply(np.where, (np.asarray(condition, bool), choice, result))
    return result


def _finite(tape: Tape, x: Any, *_: Any, **__: Any) -> Any:
    return tape.apply(np.where, (np.isfinite(x), x, np.nan_to_num(x.line.value)))


SPECIAL: dict[Any, Callable[..., Any]] = {
    np.append: _appended,
    np.zeros_like: _filled_like(0.0),
    np.ones_like: _filled_like(1.0),
    np.empty_like: _filled_like(0.0),
    np.full_like: _filled_like(0.0),
    np.copy: lambda tape, x, *_, **__: x.copy(),
    np.hsplit: _pieces(lambda ndim: 1 if ndim > 1 else 0),
    np.vsplit: _pieces(lambda ndim: 0),
    np.array_split: lambda tape, x, parts, axis=0: tape.apply(np.split, (x, parts, axis)),
    np.column_stack: columns,
    np.dstack: lambda tape, arrays: tape.apply(np.stack, (list(arrays), 2)),
    np.atleast_1d: lambda tape, x: x if x.ndim else tape.apply(np.reshape, (x, (1,))),
    np.atleast_2d: lambda tape, x: x if x.ndim > 1 else tape.apply(np.reshape, (x, (1, -1))),
    np.tensordot: _tensordot,
    np.inner: _inner,
    np.diag: _diag,
    np.diagflat: lambda tape, x, k=0: _diag(tape, np.ravel(x), k),
    np.diagonal: _diag,
    np.trace: lambda tape, x, offset=0: tape.apply(np.sum, (_diag(tape, x, offset),)),
    np.diff: _diff,
    np.average: _average,
    np.roll: _rolled,
    np.insert: _inserted,
    np.delete: _deleted,
    np.fliplr: lambda tape, x: tape.apply(np.flip, (x, 1)),
    np.flipud: lambda tape, x: tape.apply(np.flip, (x, 0)),
    np.nan_to_num: _finite,
    np.piecewise: _piecewise,
    np.select: _selected,
    np.triu: _masked(np.triu),
    np.tril: _masked(np.tril),
    np.real: lambda tape, x: x.copy(),
}
"""NumPy's functions that are made of others here: (tape, arguments of the function) to a stand-in."""

RATIOS = {np.log2: (np.log, np.log(2.0)), np.log10: (np.log, np.log(10.0))}
"""Logarithms to other bases."""


def _curve(function: Any, derivative: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of single numbers that minigrad has no operation for, by its derivative."""
    operation = functools.cache(
        lambda: LIBRARY.Function(lambda x: (function(x), x), lambda g, x: g * derivative(x), function.__name__)
    )
    return lambda x: operation()(x) if isinstance(x, LIBRARY.Tensor) else function(x)


CURVES: dict[Any, Callable[[Any], Any]] = {
    np.arctan: _curve(np.arctan, lambda x: 1 / (1 + x * x)),
    np.arcsin: _curve(np.arcsin, lambda x: 1 / np.sqrt(1 - x * x)),
    np.arccos: _curve(np.arccos, lambda x: -1 / np.sqrt(1 - x * x)),
    np.arcsinh: _curve(np.arcsinh, lambda x: 1 / np.sqrt(1 + x * x)),
    np.arctanh: _curve(np.arctanh, lambda x: 1 / (1 - x * x)),
    np.tan: _curve(np.tan, lambda x: 1 / np.cos(x) ** 2),
    np.cbrt: _curve(np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2)),
}
"""Functions that activations are sometimes made of."""
ALIKE: dict[Any, Any] = {
    np.fabs: np.abs, np.fmax: np.maximum, np.fmin: np.minimum, np.float_power: np.power, np.conjugate: np.positive,
}  # fmt: skip
"""Functions that are others, where all numbers are real and finite."""


def unusual(tape: Tape, ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    """Element-wise functions made of others; None for those that need not be."""
    if ufunc in RATIOS:
        function, divisor = RATIOS[ufunc]
        return tape.apply(np.divide, (tape.apply(function, inputs), divisor))
    if ufunc in ALIKE:
        return tape.apply(ALIKE[ufunc], inputs)
    if ufunc in CURVES:
        return tape.apply(CURVES[ufunc], inputs)
    if ufunc is np.exp2:
        return tape.apply(np.exp, (tape.apply(np.multiply, (inputs[0], np.log(2.0))),))
    if ufunc in (np.sinh, np.cosh):
        there, back = tape.apply(np.exp, inputs), tape.apply(np.exp, (tape.apply(np.negative, inputs),))
        return tape.apply(np.divide, (tape.apply(np.add if ufunc is np.cosh else np.subtract, (there, back)), 2.0))
    if ufunc is np.hypot:
        squares = [tape.apply(np.multiply, (x, x)) for x in inputs]
        return tape.apply(np.sqrt, (tape.apply(np.add, squares),))
    return None
