"""Arrays handed out by ``Tensor.data``: they read as NumPy arrays and ask before they are written to.

A recorded operation keeps the arrays its derivative needs. If one of them changed between forward and backward, the
gradient would be silently wrong. So the arrays handed out are read-only to NumPy itself, whichever way leads to their
memory (``np.asarray``, a memoryview, an iterator, ``out=``). What is written through their own methods first asks whether
a recorded operation still needs the memory, and is refused, naming the operation, if one does.

Nothing is noted down for this when an operation is recorded. An array that nobody else refers to cannot be needed, which
CPython's count of references tells at once; otherwise the operations alive are looked through. The count is always asked of
an attribute or of a result, never of a local name: from Python 3.14 on the interpreter lends those without counting. An
interpreter that counts otherwise is refused when minigrad is imported.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad.errors import ConversionError, DTypeError, MutationError, ShapeError, UnsupportedInterpreterError
from minigrad.graph import Operation
from minigrad.turned import about_to_write

__all__ = ["Array", "GuardedArray", "array_of", "bare", "entering", "needed_by", "refuse_if_needed"]

Array = npt.NDArray[Any]

_WRITTEN = {
    "copyto": "dst",
    "fill_diagonal": "a",
    "place": "arr",
    "put": "a",
    "put_along_axis": "arr",
    "putmask": "a",
}
"""For each NumPy function that writes to its first argument, the name of that argument."""


class Owner(Protocol):
    """What a guarded array asks: the tensor whose memory it shows."""

    _array: Any

    def _allow_write(self) -> None: ...


class GuardedArray(np.ndarray[Any, Any]):
    """A view of a tensor's array, and every view of that view. What is computed from it is a plain array.

    The view that a tensor makes itself is the root of all those that it hands out; only the root refers to the array.
    """

    _owner: weakref.ref[Any] | None

    @classmethod
    def over(cls, owner: Owner) -> GuardedArray:
        """The root of the guarded views of the owner's array."""
        root: GuardedArray = owner._array.view(cls)
        root.flags.writeable = False
        root._owner = weakref.ref(owner)
        return root

    @override
    def __array_finalize__(self, source: Any) -> None:
        self._owner = getattr(source, "_owner", None)

    def unlocked(self) -> Array:
        """A plain view to write through.

        Raises:
            MutationError: a recorded operation needs the values.
        """
        about_to_write()
        plain = self.view(np.ndarray)
        root = self
        while isinstance(root.base, GuardedArray):
            root = root.base
        if root.base is None:  # a copy: it belongs to whoever made it
            return plain
        owner = None if root._owner is None else root._owner()
        if owner is not None and owner._array is root.base:
            owner._allow_write()
        elif sys.getrefcount(root.base) > 2:  # the root and the argument here
            refuse_if_needed(plain, "this array")
        plain.flags.writeable = True
        return plain

    @override
    def __setitem__(self, index: Any, value: Any) -> None:
        self.unlocked()[index] = value

    @override
    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get("out")
        plain = {key: bare(value) for key, value in kwargs.items()}
        if out is not None:
            plain["out"] = _unlocked(out)
        operands = bare(inputs)
        if method == "at":
            operands = (_unlocked(inputs[0]), *operands[1:])
        result = getattr(ufunc, method)(*operands, **plain)
        return result if out is None else out[0] if len(out) == 1 else out

    @override
    def __array_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        given = tuple(args)
        positional = bare(given)
        named = {key: bare(value) for key, value in kwargs.items()}
        written = _WRITTEN.get(func.__name__)
        if written is not None and given:
            positional = (_unlocked(given[0]), *positional[1:])
        for key in ("out", written):
            if key is not None and kwargs.get(key) is not None:
                named[key] = _unlocked(kwargs[key])
        result = func(*positional, **named)
        return result if kwargs.get("out") is None else kwargs["out"]

    @override
    def fill(self, value: Any) -> None:
        self.unlocked().fill(value)

    @override
    def sort(self, *args: Any, **kwargs: Any) -> None:
        self.unlocked().sort(*args, **kwargs)

    @override
    def partition(self, *args: Any, **kwargs: Any) -> None:
        self.unlocked().partition(*args, **kwargs)

    @override
    def put(self, *args: Any, **kwargs: Any) -> None:
        self.unlocked().put(*args, **kwargs)

    @property
    @override
    def flat(self) -> Any:
        """All entries in one row."""
        return GuardedEntries(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        self.unlocked().flat[:] = values

    @override
    def __repr__(self) -> str:
        return repr(bare(self))

    @override
    def __str__(self) -> str:
        return str(bare(self))

    @override
    def __reduce__(self) -> Any:
        return bare(self).__reduce__()

    @override
    def __deepcopy__(self, memo: Any, /) -> Any:
        return bare(self).copy()


class GuardedEntries:
    """What ``flat`` gives: the entries of a guarded array in one row, to read, and to write when that is allowed."""

    __slots__ = ("_array",)

    def __init__(self, array: GuardedArray) -> None:
        self._array = array

    def __len__(self) -> int:
        return self._array.size

    def __iter__(self) -> Iterator[Any]:
        return iter(bare(self._array).flat)

    def __getitem__(self, index: Any) -> Any:
        return bare(self._array).flat[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array.unlocked().flat[index] = value

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(bare(self._array).ravel(), dtype=dtype)


class Holder:
    """Something that refers to an array and to nothing else."""

    def __init__(self) -> None:
        self.array = np.empty(1)


def check_counts(count: Callable[[Any], int]) -> None:
    """Make sure that ``count`` tells an array that is referred to once from one that is referred to twice.

    Raises:
        UnsupportedInterpreterError: it does not.

    >>> check_counts(sys.getrefcount)
    """
    holder = Holder()
    alone = count(holder.array)
    others = [holder.array]
    if (alone, count(holder.array)) != (2, 2 + len(others)):
        raise UnsupportedInterpreterError(
            "minigrad needs an interpreter that counts references as CPython 3.11 to 3.14 do; this one does not, so a "
            "change of an array that a gradient needs would not be noticed"
        )


check_counts(sys.getrefcount)


def bare(value: Any) -> Any:
    """``value`` with every guarded array in it, also inside tuples and lists, replaced by its plain, read-only view."""
    if isinstance(value, GuardedArray):
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(bare(part) for part in value)
    return value


def entering(value: Any, where: str) -> Any:
    """``value`` as `bare` gives it, once it is sure that no array in it means more than its numbers.

    Raises:
        DTypeError: a masked array, a matrix or another subclass of ndarray, whose meaning would be lost.
        ShapeError: a list that holds itself.

    >>> entering([np.ones(2), 3.0], "add")
    [array([1., 1.]), 3.0]
    """
    kind = type(value)
    if kind is np.ndarray:
        return value
    if kind is list or kind is tuple:
        try:
            return kind(entering(part, where) for part in value)
        except RecursionError:
            raise ShapeError(f"{where}: expected evenly nested lists of numbers, got one that is nested without end") from None
    if not isinstance(value, np.ndarray) or kind is np.memmap:
        return value
    if isinstance(value, GuardedArray):
        return value.view(np.ndarray)
    raise DTypeError(f"{where}: expected an array, got {kind.__module__}.{kind.__qualname__}, {_meaning(value)}")


def array_of(value: Any, where: str) -> Array:
    """Numbers, nested lists of them or an array as an array, once `entering` has looked at it.

    Raises:
        DTypeError: as `entering`.
        ShapeError: the lists are not evenly nested.
        ConversionError: there are Tensors in it that need gradients.
    """
    if type(value) is np.ndarray:
        return value
    try:
        return np.asarray(entering(value, where))
    except ConversionError:
        if not isinstance(value, list | tuple):
            raise
        raise ConversionError(
            f"{where}: expected a Tensor or numbers, got a {type(value).__name__} of Tensors that need gradients; make one "
            "Tensor of it: minigrad.stack(list)"
        ) from None
    except ValueError:
        raise ShapeError(f"{where}: expected numbers or evenly nested lists of numbers, got {value!r:.60}") from None


def _meaning(array: Array) -> str:
    """What a subclass of ndarray means beside its numbers, and what to pass instead."""
    if isinstance(array, np.ma.MaskedArray):
        return (
            "whose mask would be lost; pass .filled(…) and take the masked entries out of the result, as with mask= or "
            "where(valid, loss, 0)"
        )
    if isinstance(array, np.matrix):
        return "for which * means the matrix product; pass np.asarray(m) and write @ for products"
    return "a subclass of ndarray whose own meaning would be lost; pass np.asarray(x) if its numbers are all you want"


def _unlocked(value: Any) -> Any:
    """``value``, which is about to be written to, with every guarded array in it replaced by a plain, writable view."""
    if isinstance(value, GuardedArray):
        return value.unlocked()
    return tuple(_unlocked(part) for part in value) if isinstance(value, tuple) else value


def needed_by(memory: Array) -> str | None:
    """Which recorded operation keeps an array in this memory for its derivative, in a word; the oldest, if there are many.

    All objects alive are looked through: this is for the moment before an error, not for every day.
    """
    borrowers = [operation for operation in _alive() if _keeps(operation, memory)]
    return min(borrowers, key=lambda operation: operation.serial).described() if borrowers else None


def _alive() -> list[Operation]:
    """All operations that have been recorded; their serial number is set last."""
    return [found for found in gc.get_objects() if issubclass(type(found), Operation) and hasattr(found, "serial")]


def _keeps(operation: Operation, memory: Array) -> bool:
    return any(isinstance(kept, np.ndarray) and np.may_share_memory(kept, memory) for kept in operation.borrowed())


def refuse_if_needed(memory: Array, what: str, instead: str = "work on a copy: t.numpy()") -> None:
    """Raise MutationError if a recorded operation needs the values in this memory; else have all others give way."""
    operation = needed_by(memory)
    if operation is not None:
        raise MutationError(
            f"data: {what} is needed for the derivative of {operation}. Changing it would make the gradient "
            "silently wrong. Call backward() first, drop the results that need it (a state that is carried on holds them until "
            f"it is detached), compute them under no_grad, or {instead}"
        )
    for reader in _alive():
        reader.give_way(memory)
