"""NumPy's functions whose results have no derivative, or which minigrad has under another name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minigrad.checks.tracing.tape import Tape

__all__ = ["SPECIAL", "VALUES_ONLY", "columns"]

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
    return tape.apply(np.concatenate, ([array, values] if axis is not None else [np.ravel(array), np.ravel(values)], axis or 0))


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
    np.atleast_2d: lambda tape, x: x if x.ndim > 1 else tape.apply(np.reshape, (x, (1, -1))),
}
