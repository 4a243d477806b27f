"""NumPy's functions applied to Tensors: which operation each one records, and a clear refusal for all others.

``np.tanh(t)``, ``np.concatenate([h, x])`` and ``array @ t`` arrive here. A function that is not in the table raises
instead of quietly computing with the bare arrays, which would lose the gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigrad.errors import ConversionError
from minigrad.ops.nearest import nearest

__all__ = ["function", "implements", "ufunc"]

F = TypeVar("F", bound=Callable[..., Any])


class Entry(NamedTuple):
    """How one NumPy function is recorded.

    ``parameters`` are NumPy's, in order, and ``named`` says which of the operation's each one stands for. Where NumPy
    takes any number of operands (or the operation wants all arguments as they are), ``parameters`` is empty and
    positional arguments are handed on; of keywords those in ``named``, or all if ``named`` is None.
    """

    operation: Callable[..., Any]
    parameters: tuple[str, ...]
    named: Mapping[str, str] | None
    defaults: Mapping[str, Any]


_UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
_FUNCTIONS: dict[Any, Entry] = {}
_REDUCTIONS: dict[str, Any] = {"add": np.sum, "maximum": np.max, "minimum": np.min}


def implements(*called: Any, parameters: tuple[str, ...] = (), passing: bool = False) -> Callable[[F], F]:
    """Register the decorated operation as what these NumPy functions record.

    Args:
        *called: NumPy's functions.
        parameters: the names of NumPy's parameters, for functions written in C that do not tell.
        passing: hand all arguments on as they are.
    """

    def register(operation: F) -> F:
        for numpy_function in called:
            if isinstance(numpy_function, np.ufunc):
                _UFUNCS[numpy_function] = operation
            elif passing:
                _FUNCTIONS[numpy_function] = Entry(operation, (), None, {})
            else:
                _FUNCTIONS[numpy_function] = _matched(numpy_function, operation, parameters)
        return operation

    return register


def _matched(called: Any, operation: Callable[..., Any], parameters: tuple[str, ...]) -> Entry:
    """NumPy's parameters and the operation's, matched by name; those for operands, which differ in name, in order."""
    theirs: Mapping[str, inspect.Parameter] = {} if parameters else inspect.signature(called).parameters
    ours = list(inspect.signature(operation).parameters)
    named = {name: name for name in ours}
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in theirs.values()):
        return Entry(operation, (), named, {})
    names = parameters or tuple(theirs)
    required = (name for name in names if name not in theirs or theirs[name].default is inspect.Parameter.empty)
    operands = (name for name in required if name not in ours)
    named |= dict(zip(operands, (name for name in ours if name not in names), strict=False))
    return Entry(operation, names, named, {name: p.default for name, p in theirs.items()})


def ufunc(called: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """What a NumPy ufunc does when one of its operands is a Tensor."""
    name = f"np.{called.__name__}"
    if keywords.get("out") is not None:
        raise ConversionError(
            f"{name}: a tensor cannot be written into an existing array (out=, or an in-place operator on an ndarray), "
            "since that could not be differentiated; use the returned tensor"
        )
    if method == "reduce" and called.__name__ in _REDUCTIONS:
        return function(_REDUCTIONS[called.__name__], inputs, {"axis": 0, **keywords})
    if method == "accumulate" and called is np.add:
        return function(np.cumsum, inputs, {"axis": 0, **keywords})
    if method != "__call__":
        raise refused(f"{name}.{method}")
    for argument, value in keywords.items():
        if argument != "out" and not (argument == "where" and value is True):
            raise _unsupported(name, argument)
    if called not in _UFUNCS:
        raise refused(name)
    return _UFUNCS[called](*inputs)


def function(called: Any, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """What a NumPy function does when one of its arguments is a Tensor."""
    name = f"{called.__module__.replace('numpy', 'np')}.{called.__name__}"
    entry = _FUNCTIONS.get(called)
    if entry is None:
        raise refused(name)
    if keywords.get("out") is not None:
        raise ConversionError(f"{name}: a tensor cannot be written into an existing array (out=); use the returned tensor")
    given = {argument: value for argument, value in keywords.items() if argument != "out"}
    if entry.named is None:
        return entry.operation(*args, **given)
    bound: dict[str, Any] = {}
    for argument, value in (*zip(entry.parameters, args, strict=False), *given.items()):
        if argument in entry.named:
            bound[entry.named[argument]] = value
        elif not _is_default(value, entry.defaults.get(argument)):
            raise _unsupported(name, argument)
    return entry.operation(*(() if entry.parameters else args), **bound)


def _is_default(value: Any, default: Any) -> bool:
    return value is None or value is default or (isinstance(value, str | bool) and value == default)


def refused(name: str) -> ConversionError:
    """The error for a NumPy function that is not recorded: it names the nearest thing that is."""
    known = {f"np.{called.__name__}" for called in (*_UFUNCS, *_FUNCTIONS)}
    return ConversionError(f"{name}: not recorded for tensors; {nearest(name, known)}")


def _unsupported(name: str, argument: str) -> ConversionError:
    instead = {
        "dtype": "convert the result with .astype(...)",
        "where": "select with np.where(condition, x, 0) first",
        "initial": "combine the result with it afterwards, by np.maximum or +",
    }.get(argument, "leave it out")
    return ConversionError(f"{name}: the argument {argument}= is not supported for tensors; {instead}")
