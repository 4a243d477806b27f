"""The same values in another dtype, or in an array of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad.errors import DTypeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.protocol import implements
from minigrad.recording import operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["astype", "copy"]


class Cast(Operation):
    """y = x in another dtype;  ∂L/∂x = g, in the dtype of x."""

    __slots__ = ()
    label, symbol = "astype", "astype"
    entrywise = True

    @override
    def compute(self, x: Any) -> Any:
        """x in the dtype of the result."""
        return x.astype(self.dtype)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        source = self.sources[0]
        return (g if source is None else g.astype(source.dtype),)


def astype(x: Any, dtype: npt.DTypeLike) -> Tensor:
    """``x`` converted to ``dtype``. A tensor that needs a gradient can only become another floating-point type.

    Raises:
        DTypeError: ``dtype`` is not one of real numbers or booleans, or the conversion would lose the gradient.

    >>> import numpy as np
    >>> astype(Tensor([1.0, 2.0]), np.float32).dtype
    dtype('float32')
    """
    x = operand(x, "astype")
    try:
        if dtype is None:
            raise TypeError
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):  # ValueError: a name that is no text
        raise DTypeError(f"astype: expected a dtype such as np.float32, got {dtype!r}") from None
    if wanted.kind not in "fiub":
        raise DTypeError(f"astype: expected a dtype of real numbers or booleans, got {wanted}")
    if x._wants and state.recording:
        if wanted.kind != "f":
            raise DTypeError(f"astype: {wanted} has no gradient; use .detach() first if none is wanted")
        return record(Cast(), x._array.astype(wanted), (x._node,), (), (x,))
    return unrecorded(np.asarray(x._array).astype(wanted))


class Copy(Operation):
    """y = x;  ∂L/∂x = g."""

    __slots__ = ()
    label, symbol, compute = "copy", "=", np.positive
    entrywise = True

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g,)


@implements(np.copy, np.positive)
def copy(x: Any) -> Tensor:
    """The same values in a new tensor, through which gradients flow to ``x``. For one without a history: ``detach``.

    >>> copy(Tensor([1.0, 2.0])).numpy()
    array([1., 2.])
    """
    x = operand(x, "copy")
    if x._wants and state.recording:
        return record(Copy(), x._array.copy(), (x._node,), (), (x,))
    return unrecorded(np.array(x._array))
