"""NumPy's functions applied to Tensors: which operation each one records, and a clear refusal for all others.

``np.tanh(t)``, ``np.concatenate([h, x])`` and ``array @ t`` arrive here. A function that is not in the table raises
instead of quietly computing with the bare arrays, which would lose the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from minigrad.errors import ConversionError

__all__ = ["function", "implements", "ufunc"]

F = TypeVar("F", bound=Callable[..., Any])

_TABLE: dict[Any, Callable[..., Any]] = {}


def implements(*numpy_functions: Any) -> Callable[[F], F]:
    """Register the decorated operation as what these NumPy functions record."""

    def register(operation: F) -> F:
        for numpy_function in numpy_functions:
            _TABLE[numpy_function] = operation
        return operation

    return register


def ufunc(called: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """What a NumPy ufunc does when one of its operands is a Tensor."""
    name = f"np.{called.__name__}"
    if method != "__call__":
        raise ConversionError(f"{name}.{method}: not recorded for tensors; use the functions of minigrad, such as sum")
    if keywords.get("out") is not None:
        raise ConversionError(
            f"{name}: a tensor cannot be written into an existing array (out=, or an in-place operator on an ndarray), "
            "since that could not be differentiated; use the returned tensor"
        )
    unknown = sorted(set(keywords) - {"out"})
    if unknown:
        raise ConversionError(f"{name}: the argument {unknown[0]}= is not supported for tensors")
    if called not in _TABLE:
        raise ConversionError(f"{name}: {_refusal()}")
    return _TABLE[called](*inputs)


def function(called: Any, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """What a NumPy function does when one of its arguments is a Tensor."""
    if called not in _TABLE:
        raise ConversionError(f"np.{called.__name__}: {_refusal()}")
    return _TABLE[called](*args, **keywords)


def _refusal() -> str:
    known = ", ".join(sorted({f"np.{numpy_function.__name__}" for numpy_function in _TABLE}))
    return f"not available for tensors; write it with one of {known}, or use t.numpy() if no gradient is wanted"
