"""Stand-ins for arrays: they have the values, and every operation on them is written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from minigrad.checks.tracing.functions import SPECIAL, VALUES_ONLY, unusual
from minigrad.checks.tracing.indices import key_of
from minigrad.checks.tracing.line import Line
from minigrad.checks.tracing.namespaces import LIBRARY
from minigrad.errors import ConversionError

if TYPE_CHECKING:
    from minigrad.checks.tracing.tape import Tape

__all__ = ["Traced", "Whole", "plain_index", "whole_numbers"]


def plain_index(index: Any) -> Any:
    """An index without stand-ins."""
    if isinstance(index, Traced):
        return index.line.value if index.line.value.dtype.kind == "b" else index.line.value.astype(int)
    return tuple(plain_index(part) for part in index) if isinstance(index, tuple) else index


class Whole(np.ndarray[Any, Any]):
    """An array of whole numbers, whose method ``dot`` takes stand-ins as NumPy's function does."""

    @override
    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(np.asarray(self), other) if out is None else np.dot(np.asarray(self), other, out)


def whole_numbers(array: Any) -> Any:
    """An array as it is handed to what is followed."""
    return array.view(Whole) if type(array) is np.ndarray and array.dtype.kind in "iub" and array.ndim else array


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """A stand-in for an array: it has its values, and every operation on it is written down."""

    __array_priority__ = 2000
    __slots__ = ("line", "parent", "tape")

    def __init__(self, tape: Tape, line: Line, parent: tuple[Traced, Any] | None = None) -> None:
        self.tape, self.line, self.parent = tape, line, parent

    # ---------------------------------------------------------------- NumPy's protocol

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        out = keywords.pop("out", None)
        keywords = {key: value for key, value in keywords.items() if key not in ("where", "casting")}
        if ufunc in VALUES_ONLY or {"d->?", "dd->?"} & set(ufunc.types):
            return getattr(ufunc, method)(*bare_values(inputs), **keywords)
        if method == "at":
            return added_at(self.tape, ufunc, *inputs)
        called = ufunc if method == "__call__" else getattr(ufunc, method)
        if ufunc is np.reciprocal:
            called, inputs = np.divide, (1.0, *inputs)
        if ufunc.__name__ == "expit":  # SciPy's
            called = LIBRARY.sigmoid
        if method == "outer":
            called, inputs = ufunc, (np.reshape(inputs[0], np.shape(inputs[0]) + (1,) * np.ndim(inputs[1])), inputs[1])
        result = unusual(self.tape, ufunc, inputs) if method == "__call__" else None
        result = self.tape.apply(called, inputs, keywords) if result is None else result
        return result if out is None else into(out[0], result)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        out = keywords.pop("out", None) if "out" in keywords else None
        if function in VALUES_ONLY:
            return function(*bare_values(args), **dict(zip(keywords, bare_values(tuple(keywords.values())), strict=True)))
        special = SPECIAL.get(function)
        if special is not None:
            return special(self.tape, *args, **keywords)
        result = self.tape.apply(function, args, keywords)
        return result if out is None else into(out, result)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise ConversionError(
            "check_backward: the forward pass puts a value that depends on its arguments into an array that was there before "
            "(or hands it to a function that is not NumPy's), where it cannot be followed. Make the array inside the function, "
            "with np.zeros, or collect the values in a list and np.stack them"
        )

    # ---------------------------------------------------------------- what an array has

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.line.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.line.value.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.line.value.size

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.line.value.dtype

    @property
    def T(self) -> Traced:
        """The transposed."""
        return self if self.ndim < 2 else self.tape.apply(np.transpose, (self,))

    def __getattr__(self, name: str) -> Any:
        """A method of arrays: NumPy's function of that name."""
        if name in METHODS:
            function = METHODS[name]
            return lambda *args, **keywords: function(self, *args, **keywords)
        raise AttributeError(f"{name!r}: not a method of arrays that check_backward can follow")

    def reshape(self, *shape: Any, **keywords: Any) -> Any:
        """As of an array."""
        wanted: Any = shape[0] if len(shape) == 1 else shape
        if keywords.get("order", "C") == "F":
            turned = wanted[::-1] if isinstance(wanted, tuple | list) else wanted
            return self.tape.apply(np.reshape, (self.T, turned)).T
        return self.tape.apply(np.reshape, (self, wanted))

    def transpose(self, *axes: Any) -> Any:
        """As of an array."""
        return self.tape.apply(np.transpose, (self, axes[0] if len(axes) == 1 else axes) if axes else (self,))

    def copy(self, *_: Any) -> Traced:
        """A stand-in with the same values, which can be written to by itself."""
        return Traced(self.tape, self.line)

    __copy__ = __deepcopy__ = copy

    def astype(self, dtype: Any, **_: Any) -> Any:
        """Floats stay followed; other numbers are bare values."""
        return self.copy() if np.dtype(dtype).kind == "f" else self.line.value.astype(dtype)

    def item(self, *where: Any) -> Any:
        """The only entry, or that at a place, followed too."""
        if not where:
            return self.tape.apply(np.reshape, (self, ()))
        return self[where[0]] if isinstance(where[0], tuple) else np.ravel(self)[where[0]] if len(where) == 1 else self[where]

    def conj(self) -> Traced:
        """Itself, as all numbers are real."""
        return self

    conjugate = conj

    @property
    def real(self) -> Traced:
        """Itself, as all numbers are real."""
        return self

    def tolist(self) -> Any:
        """The entries, as numbers."""
        return self.line.value.tolist()

    def fill(self, value: Any) -> None:
        """Every entry becomes ``value``."""
        self[...] = value

    def __len__(self) -> int:
        return len(self.line.value)

    def __iter__(self) -> Iterator[Traced]:
        return (self[k] for k in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.line.value)

    def __float__(self) -> float:
        return float(self.line.value)

    def __int__(self) -> int:
        return int(self.line.value)

    def __format__(self, spec: str) -> str:
        return format(self.line.value.item() if self.size == 1 else self.line.value, spec)

    __hash__ = object.__hash__

    @override
    def __repr__(self) -> str:
        return f"Traced({self.line.value!r})"

    # ---------------------------------------------------------------- writing

    def __getitem__(self, index: Any) -> Traced:
        part = self.tape.getitem(self, index)
        if key_of(index) is not None and part.ndim:
            part.parent = (self, index)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        self._become(self.tape.write(self.line, index, value))

    def _become(self, line: Line) -> None:
        self.line = line
        if self.parent is not None:
            whole, index = self.parent
            whole[index] = Traced(self.tape, line)

    def _in_place(self, function: Any, other: Any) -> Traced:
        result: Traced = self.tape.apply(function, (self, other))
        if not self.ndim:
            return result
        self._become(result.line)
        return self

    def __iadd__(self, other: Any) -> Traced:
        return self._in_place(np.add, other)

    def __isub__(self, other: Any) -> Traced:
        return self._in_place(np.subtract, other)

    def __imul__(self, other: Any) -> Traced:
        return self._in_place(np.multiply, other)

    def __itruediv__(self, other: Any) -> Traced:
        return self._in_place(np.divide, other)


METHODS: dict[str, Any] = {
    name: getattr(np, name)
    for name in (
        "sum",
        "mean",
        "dot",
        "max",
        "min",
        "clip",
        "ravel",
        "squeeze",
        "argmax",
        "argmin",
        "var",
        "std",
        "swapaxes",
        "cumsum",
        "repeat",
        "take",
        "prod",
        "any",
        "all",
        "round",
    )
} | {"flatten": np.ravel}


def bare_values(args: Any) -> tuple[Any, ...]:
    """The arguments of a function, with values in the place of stand-ins."""
    return tuple(arg.line.value if isinstance(arg, Traced) else arg for arg in args)


def into(out: Any, result: Any) -> Any:
    if isinstance(out, tuple):
        out = out[0]
    if not isinstance(out, Traced):
        return out.__setitem__(..., result)
    out._become(result.line)
    return out


def added_at(tape: Tape, ufunc: np.ufunc, array: Any, index: Any, values: Any) -> None:
    """``np.add.at(array, index, values)``: an entry that the index has several times gets all of them."""
    if ufunc not in (np.add, np.subtract) or not isinstance(array, Traced):
        raise ConversionError(f"check_backward: np.{ufunc.__name__}.at cannot be followed; write array[index] += values")
    places = np.arange(array.size).reshape(array.shape)[plain_index(index)]
    chosen = (places.reshape(-1, 1) == np.arange(array.size)).astype(float)
    flat = tape.apply(np.reshape, (tape.apply(np.broadcast_to, (values, places.shape)), (1, places.size)))
    total = tape.apply(np.reshape, (tape.apply(np.matmul, (flat, chosen)), array.shape))
    array._become(tape.apply(ufunc, (array, total)).line)
