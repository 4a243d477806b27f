"""What a Tensor holds: an array that is read at any time, and written to when no derivative needs it."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.errors import ConversionError, DTypeError, MutationError, ShapeError
from minigrad.graph import Node, Operation
from minigrad.guard import Array, GuardedArray, entering, refuse_if_needed
from minigrad.scope import end_trace, reading
from minigrad.turned import about_to_write

__all__ = ["Values", "numbers_of"]


class Values:
    """What a Tensor inherits: its array, seen from outside."""

    __slots__ = ("__weakref__", "_array", "_guard", "_node", "_wants")

    _array: Array
    _node: Node | None
    _wants: bool
    _guard: weakref.ref[GuardedArray]

    @property
    def data(self) -> Array:
        """The values, as a NumPy array that can be written to unless a recorded operation still needs them.

        Assigning an array of the same shape replaces the values (converted to the tensor's dtype); operations that were
        recorded before keep the old ones.

        Raises:
            MutationError: on writing to the array while it is needed; the message says by which operation.
        """
        reading(self, "data")
        root = self._guarded()
        if root is None:
            root = GuardedArray.over(self)
            self._guard = weakref.ref(root)
        return root.view()

    @data.setter
    def data(self, values: npt.ArrayLike) -> None:
        end_trace("writing to data")
        if isinstance(values, GuardedArray) and _same_memory(values, self._array):
            return
        if isinstance(self._node, Operation):
            raise MutationError(
                f"data: this tensor is the result of {self._node.described()}; only a tensor you made can get new values. "
                "Make a new Tensor from the values instead"
            )
        array = numbers_of(values, self.dtype, "data")
        if array.shape != self.shape:
            raise ShapeError(f"data: expected values of shape {self.shape}, got {array.shape}")
        self._array = array

    def _guarded(self) -> GuardedArray | None:
        """The root of the guarded views of the array, if any of them is alive."""
        guard = getattr(self, "_guard", None)
        root = None if guard is None else guard()
        return root if root is not None and root.base is self._array else None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self._array.dtype

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._array.size

    def numel(self) -> int:
        """PyTorch's name for ``size``."""
        return self.size

    def dim(self) -> int:
        """PyTorch's name for ``ndim``."""
        return self.ndim

    def item(self) -> Any:
        """The only entry, as a Python number.

        Raises:
            ShapeError: there is not exactly one entry.
        """
        if self._array.size != 1:
            raise ShapeError(f"item: expected exactly one entry, got shape {self.shape}; use .numpy() for all of them")
        reading(self, "item()")
        return self._array.item()

    def numpy(self) -> Array:
        """The values as a new NumPy array, cut off from the graph."""
        reading(self, "numpy()")
        return np.array(self._array)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        reading(self, "tolist()")
        return self._array.tolist()

    def _refuse_conversion(self, what: str, advice: str) -> None:
        reading(self, what)
        if self._wants:
            raise ConversionError(f"{what}: this tensor needs a gradient, which would be lost here; {advice}")

    # ---------------------------------------------------------------- arrays that recorded operations keep

    def lend(self, borrower: type[Operation]) -> Any:
        """The values for a recorded operation to keep; the tensor refuses writes as long as the operation needs them.

        A view of memory that is not the tensor's own (of a caller's array, or made under ``no_grad``) is copied.
        """
        node, data = self._node, self._array
        return data if data.base is None or (node is not None and not node.is_leaf) else data.copy()

    def _unlocked(self) -> Array:
        """The array itself, to write to it at once. Raises MutationError if it must not change."""
        end_trace("writing to data")
        about_to_write()
        self._allow_write()
        return self._array

    def _allow_write(self) -> None:
        """Raise MutationError if the array must not change: an operation needs it, or it is not this tensor's alone."""
        node = self._node
        known = 2 if self._guarded() is None else 3  # this tensor, the argument of the next call, and the guard
        if sys.getrefcount(self._array) > known:
            what = f"the array of {node.name!r}" if node is not None and node.name else "this array"
            if isinstance(node, Operation):
                refuse_if_needed(self._array, what)
            else:
                refuse_if_needed(self._array, what, "assign a new array: t.data = values")
        if isinstance(node, Operation) and node.saved is not None:
            raise MutationError(
                f"data: this array is the result of {node.described()}, and the graph it is part of has not been released. "
                "Call backward() first, or work on a copy: t.numpy()"
            )
        if isinstance(node, Operation):
            node.give_way(self._array)
        if self._array.base is not None and sys.getrefcount(self._array.base) > 2:  # the view and the argument
            raise MutationError(
                "data: this array is shared with another tensor (a detached one or a view), so it is read-only. Write to "
                "the original, or work on a copy: t.numpy()"
            )


def numbers_of(data: Any, dtype: npt.DTypeLike | None = None, where: str = "Tensor") -> Array:
    """A new array of real numbers or booleans; ``where`` begins the message of an error."""
    if isinstance(data, Values):
        data._refuse_conversion("Tensor()", "use .detach() to start a new history from its values")
        data = data._array
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):  # ValueError: a name that is no text
        wanted = np.dtype(object)
    if wanted is not None and wanted.kind not in "fiub":
        raise DTypeError(f"{where}: expected a dtype of real numbers, got {dtype!r}")
    try:
        array = np.array(entering(data, "Tensor"), dtype=wanted)
    except (ConversionError, DTypeError):
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(
            f"{where}: expected numbers or evenly nested lists of numbers, got {_without_layout(data, error)}"
        ) from None
    if array.dtype.kind not in "fiub":
        if array.dtype.kind == "c":
            raise DTypeError(f"{where}: expected real numbers, got complex ones; pass the real and imaginary parts separately")
        raise DTypeError(f"{where}: expected real numbers, got {type(data).__name__} (dtype {array.dtype})")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _without_layout(data: Any, error: Exception) -> str:
    """What ``data`` is, in words of our own where NumPy speaks of arrays, elements and sequences."""
    if isinstance(data, list | tuple):
        return f"{data!r:.60}, whose parts differ in shape or kind"
    return f"{type(data).__name__} ({error})"


def _same_memory(view: Array, array: Array) -> bool:
    """Whether the view shows the whole array, as it is."""
    here, there = view.__array_interface__, array.__array_interface__
    return view.strides == array.strides and all(here[key] == there[key] for key in ("shape", "typestr")) and (
        here["data"][0] == there["data"][0]
    )
