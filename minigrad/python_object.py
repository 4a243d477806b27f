"""A Tensor among Python's own: printed, counted through, and turned into numbers where nothing is lost by it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.scope import reading
from minigrad.values import Values

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = ["PythonObject"]


class PythonObject(Values):
    """What a Tensor inherits: the methods that Python calls."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        reading(self, "repr()")
        node, name = cast("Tensor", self).node, cast("Tensor", self).name
        facts = [f"shape={self.shape}", f"dtype={self.dtype}"]
        if isinstance(node, Operation):
            facts.append(f"op={node.label}")
            if node.time is not None:
                facts.append(f"time={node.time}")
        elif self._wants:
            facts.append("requires_grad=True")
        if name is not None:
            facts.append(f"name={name!r}")
        return f"Tensor({_shown(self._array)}, {', '.join(facts)})"

    @override
    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self.size != 1:
            raise ShapeError(
                f"format: {spec!r} is for one number, got a tensor of shape {self.shape}; reduce it first, or format the "
                "entries of t.tolist()"
            )
        reading(self, "format()")
        return format(self._array.item(), spec)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ShapeError("len: a tensor of shape () has no length; use .item() for its value")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise ShapeError("iteration: a tensor of shape () cannot be iterated over; use .item() for its value")
        return (cast("Tensor", self)[i] for i in range(self.shape[0]))

    def __bool__(self) -> bool:
        reading(self, "bool()")  # first: where a tensor is compared with itself, Python does not ask at all
        if self.size != 1:
            raise ShapeError(
                f"bool: a tensor of shape {self.shape} is neither true nor false; use np.any(t.data) or np.all(t.data)"
            )
        return bool(self._array.item())

    def __contains__(self, value: Any) -> bool:
        reading(self, "in")
        equal = self == value
        return isinstance(equal, Values) and bool(equal._array.any())

    def __float__(self) -> float:
        self._refuse_conversion(
            "float()",
            "use .item() to read the value; if this was out[t] = y, collect the y in a list and use minigrad.stack(list); for "
            "a function of the math module take minigrad's own",
        )
        return float(self.item())

    def __int__(self) -> int:
        self._refuse_conversion("int()", "use .item() to read the value")
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DTypeError(f"index: expected an integer tensor, got dtype {self.dtype}")
        return int(self.item())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        self._refuse_conversion(
            "conversion to a NumPy array",
            "if this was out[t] = h, collect the h in a list and use minigrad.stack(list); to read the values, use "
            "t.numpy() or t.detach()",
        )
        if copy is False:
            raise ArgumentError("conversion to a NumPy array: it is always a copy; t.data shows the values without one")
        return np.array(self._array, dtype=dtype)


def _shown(array: Array) -> str:
    """The values in a few lines: long axes are cut, and what would still be many lines is shown as one row of entries."""
    rows = math.prod(array.shape[:-1])
    if math.prod(min(length, 5) for length in array.shape[:-1]) > 10:
        first, last = array.flat[:2], array.flat[-2:]
        return f"[{', '.join(map(str, first.tolist()))}, ..., {', '.join(map(str, last.tolist()))}]"
    return np.array2string(
        array, threshold=20 if rows <= 10 else 0, edgeitems=2, precision=4, max_line_width=88, separator=", ", prefix="Tensor("
    )
