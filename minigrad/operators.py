"""Python's operators for Tensors, and NumPy's functions applied to them: each is the operation of the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from typing_extensions import override

from minigrad.errors import MutationError, ShapeError
from minigrad.graph import Operation
from minigrad.registry import operations
from minigrad.scope import reading, state
from minigrad.turned import about_to_write
from minigrad.values import Values

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = ["Operators"]


class Operators(Values):
    """What a Tensor inherits."""

    __slots__ = ()

    __array_priority__ = 1000

    if TYPE_CHECKING:  # `minigrad.ops` sets them: the operation is the operator, and a call less

        def __add__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...

    def __radd__(self, other: Any) -> Tensor:
        return operations.add(other, self)

    def __rsub__(self, other: Any) -> Tensor:
        return operations.subtract(other, self)

    def __rmul__(self, other: Any) -> Tensor:
        return operations.multiply(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return operations.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return operations.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return operations.power(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return operations.matmul(other, self)

    def __neg__(self) -> Tensor:
        return operations.negative(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Tensor:
        return operations.absolute(self)

    def __eq__(self, other: object) -> Any:
        return operations.compare(np.equal, self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return operations.compare(np.not_equal, self, other) if _comparable(other) else NotImplemented

    @override
    def __hash__(self) -> int:
        reading(self, "hash()")
        return object.__hash__(self)

    def __lt__(self, other: Any) -> Tensor:
        return operations.compare(np.less, self, other)

    def __le__(self, other: Any) -> Tensor:
        return operations.compare(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Tensor:
        return operations.compare(np.greater, self, other)

    def __ge__(self, other: Any) -> Tensor:
        return operations.compare(np.greater_equal, self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return operations.indexing.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise MutationError(
            "item assignment: a tensor's entries cannot be assigned, since that could not be differentiated. Collect the "
            "parts and use stack or concatenate, select with where, or write to t.data outside any recorded graph"
        )

    def __and__(self, other: Any) -> Tensor:
        return operations.compare(np.bitwise_and, self, other)

    def __rand__(self, other: Any) -> Tensor:
        return operations.compare(np.bitwise_and, other, self)

    def __or__(self, other: Any) -> Tensor:
        return operations.compare(np.bitwise_or, self, other)

    def __ror__(self, other: Any) -> Tensor:
        return operations.compare(np.bitwise_or, other, self)

    def __xor__(self, other: Any) -> Tensor:
        return operations.compare(np.bitwise_xor, self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return operations.compare(np.bitwise_xor, other, self)

    def __invert__(self) -> Tensor:
        return operations.compare(np.bitwise_xor, self, True if self.dtype.kind == "b" else -1)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return operations.protocol.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        return operations.protocol.function(function, args, kwargs)

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(operations.add, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(operations.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(operations.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(operations.divide, other)

    def __ipow__(self, other: Any) -> Any:
        return self._in_place(operations.power, other)

    def _in_place(self, function: Callable[[Any, Any], Tensor], other: Any) -> Any:
        """``t += x``: a new, recorded tensor under the old name; only a leaf under ``no_grad`` is really changed."""
        if not self._wants or isinstance(self._node, Operation):
            return function(self, other)
        if state.recording:
            raise MutationError(
                "in-place operator: this leaf needs a gradient and recording is on. To update a parameter, do it under "
                "no_grad(); to compute with it, write t = t + x"
            )
        about_to_write()
        self._allow_write()
        result = function(self, other)
        if result.shape != self.shape:
            raise ShapeError(f"in-place operator: expected a result of shape {self.shape}, got {result.shape}")
        self._array[...] = result._array
        return self


def _comparable(other: object) -> bool:
    """Whether ``==`` looks at entries; nothing else than numbers is equal to a tensor."""
    return isinstance(other, Operators | float | int | np.generic | np.ndarray | list | tuple)
