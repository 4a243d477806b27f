"""What a name of the user's module, such as np, means while his functions are followed or checked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import BuiltinFunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from minigrad.checks.tracing.functions import columns
from minigrad.checks.tracing.namespaces import LIBRARY
from minigrad.checks.tracing.stand_in import Traced, whole_numbers

if TYPE_CHECKING:
    from minigrad.checks.tracing.tape import Tape

__all__ = ["BUILT_IN", "in_double_precision", "stand_in_for"]


class _Numpy:
    """NumPy, except that the arrays it makes can hold what is followed."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        if name in ("r_", "c_"):
            return _Joining(self._tape, name)
        if name == "ndarray":
            return _Array
        found = getattr(np, name)
        if name in OF_LISTS:
            return lambda x, *args, **keywords: found(_gathered(self._tape, x, np.asarray, {}, ()), *args, **keywords)
        return _maker(self._tape, found) if name in MAKERS else found


class _Joining:
    """``np.r_[h, x]`` and ``np.c_[h, x]`` of stand-ins."""

    def __init__(self, tape: Tape, name: str) -> None:
        self._tape, self._name = tape, name

    def __getitem__(self, parts: Any) -> Any:
        if not isinstance(parts, tuple) or not any(isinstance(part, Traced) for part in parts):
            return getattr(np, self._name)[parts]
        return self._tape.apply(np.concatenate, (parts,)) if self._name == "r_" else columns(self._tape, parts)


class _Module:
    """Another module, except that those of its functions that can be followed take stand-ins."""

    def __init__(self, tape: Tape, module: ModuleType) -> None:
        self._tape, self._module = tape, module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        stand_in = stand_in_for(self._tape, found)
        return found if stand_in is None else stand_in


class _IsArray(type):
    @override
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, np.ndarray | Traced)


class _Array(np.ndarray[Any, Any], metaclass=_IsArray):
    """``np.ndarray``, of which stand-ins are."""


class _IsFloat(type):
    @override
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, float)


class _Float(float, metaclass=_IsFloat):
    """Python's ``float``, except that ``float(loss)`` is followed; as a type of entries it is that of real numbers."""

    dtype = np.dtype(float)

    def __new__(cls, x: Any = 0.0) -> Any:
        return x.reshape(()) if isinstance(x, Traced) and x.size == 1 else float(x)


BUILT_IN = {"float": _Float}
"""What names of Python's own mean while functions are followed."""


OF_NUMBERS: dict[Any, Any] = {
    math.exp: np.exp, math.log: np.log, math.tanh: np.tanh, math.sqrt: np.sqrt, math.sin: np.sin, math.cos: np.cos,
    math.sinh: np.sinh, math.cosh: np.cosh, math.pow: np.power, math.fabs: np.abs, math.expm1: np.expm1, math.log1p: np.log1p,
    math.log2: np.log2, math.log10: np.log10,
}  # fmt: skip
"""NumPy's functions for those of the module math."""


def _of_numbers(tape: Tape, function: Any) -> Any:
    """A function of the module math that takes stand-ins too."""
    if function not in OF_NUMBERS:
        return function

    def followed(*args: Any) -> Any:
        if not any(isinstance(arg, Traced) for arg in args):
            return function(*args)
        if function is math.log and len(args) == 2:
            return np.log(args[0]) / np.log(args[1])
        return OF_NUMBERS[function](*args)

    return followed


def _each(tape: Tape, vectorized: Any) -> Any:
    """What np.vectorize made of a function, for stand-ins too: the function of each entry."""

    def followed(*args: Any, **keywords: Any) -> Any:
        if not any(isinstance(arg, Traced) for arg in args):
            return vectorized(*args, **keywords)
        shape = np.broadcast_shapes(*(np.shape(arg) for arg in args))
        flat = [np.ravel(np.broadcast_to(arg, shape)) for arg in args]
        entries = [vectorized.pyfunc(*(arg[k] for arg in flat), **keywords) for k in range(math.prod(shape))]
        return tape.apply(np.reshape, (tape.apply(np.stack, (entries,)), shape))

    return followed


OF_LISTS = frozenset(
    {"sum", "mean", "max", "min", "prod", "cumsum", "reshape", "transpose", "swapaxes", "moveaxis", "squeeze", "flip"}
)
"""Functions of one array that make a list of arrays into one first."""
MAKERS = frozenset({"zeros", "ones", "empty", "full", "array", "asarray", "asanyarray", "ascontiguousarray", "eye", "identity"})


def _maker(tape: Tape, function: Any) -> Any:
    function = np.zeros if function is np.empty else function

    def made(*args: Any, **keywords: Any) -> Any:
        if args and function.__name__ in ("array", "asarray", "asanyarray", "ascontiguousarray"):
            return _gathered(tape, args[0], function, keywords, args[1:])
        array = function(*args, **keywords)
        return tape.constant(array) if array.dtype.kind == "f" else whole_numbers(array)

    return made


def _gathered(tape: Tape, data: Any, function: Any, keywords: dict[str, Any], rest: Any) -> Any:
    if isinstance(data, Traced):
        return data.copy()
    if isinstance(data, list | tuple) and any(isinstance(part, Traced) for _, part in _deep(data)):
        parts = [_gathered(tape, part, np.array, {}, ()) for part in data]
        return tape.apply(np.stack, (parts,))
    array = function(data, *rest, **keywords)
    return tape.constant(array) if array.dtype.kind == "f" and function is np.array else whole_numbers(array)


def _deep(data: Any) -> Iterator[tuple[None, Any]]:
    if isinstance(data, list | tuple):
        for part in data:
            yield from _deep(part)
    else:
        yield None, data


MODULES = ("math", LIBRARY.__name__, "scipy", "scipy.special")
"""Modules with functions that can be followed, by name: SciPy need not be there."""
OF_SCIPY = ("softmax", "log_softmax", "logsumexp")
"""What SciPy writes in Python for its own arrays alone; as in minigrad, but of all axes unless one is given."""


def _is_operation(value: Any) -> bool:
    return callable(value) and str(getattr(value, "__module__", "")).startswith("minigrad.ops")


def _is_scipys(value: Any) -> bool:
    return getattr(value, "__name__", "") in OF_SCIPY and str(value.__module__).startswith("scipy.special")


def _of_all_axes(tape: Tape, function: Any) -> Any:
    operation = getattr(LIBRARY, function.__name__)
    return lambda a, axis=None, **keywords: tape.apply(operation, (a,), {"axis": axis, **keywords})


def _operation(tape: Tape, function: Any) -> Any:
    return lambda *args, **keywords: tape.apply(function, args, keywords)


def stand_in_for(tape: Tape, value: Any) -> Any:
    """What a name of the user's module means while its functions are followed; None to leave it alone."""
    if value is np:
        return _Numpy(tape)
    if value is np.ndarray:
        return _Array
    if isinstance(value, ModuleType):
        return _Module(tape, value) if value.__name__ in MODULES else None
    if isinstance(value, np.vectorize):
        return _each(tape, value)
    if isinstance(value, BuiltinFunctionType) and value in OF_NUMBERS:
        return _of_numbers(tape, value)
    if getattr(value, "__module__", None) == "numpy" and getattr(value, "__name__", "") in MAKERS:
        return _maker(tape, value)
    if _is_operation(value):
        return _operation(tape, value)
    if _is_scipys(value):
        return _of_all_axes(tape, value)
    return None


class _Doubles:
    """NumPy, except that what it makes in single precision is in double precision."""

    float32 = single = float16 = half = np.float64

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        return _in_doubles(found) if name in MAKERS else found


def _in_doubles(maker: Any) -> Any:
    maker = np.zeros if maker is np.empty else maker

    def made(*args: Any, **keywords: Any) -> Any:
        array = maker(*args, **keywords)
        return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize < 8 else array

    return made


def in_double_precision(value: Any) -> Any:
    """What a global name means where a check runs the user's code: NumPy without single precision."""
    return _Doubles() if value is np else None
