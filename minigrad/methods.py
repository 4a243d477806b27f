"""NumPy's methods of an array, and PyTorch's where NumPy has none, for Tensors: each is the function of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.errors import ConversionError
from minigrad.registry import operations

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = ["ArrayMethods"]

_any: Any = np.any
_all: Any = np.all


class ArrayMethods:
    """What a Tensor inherits; the functions in ``minigrad`` describe arguments, results and errors."""

    __slots__ = ()

    # ---------------------------------------------------------------- few from many

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum over ``axis``; see :func:`minigrad.sum`."""
        return operations.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean over ``axis``; see :func:`minigrad.mean`."""
        return operations.mean(self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The product over ``axis``; see :func:`minigrad.prod`."""
        return operations.prod(self, axis, keepdims)

    def norm(self, ord: float | str | None = None, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The length along ``axis``; see :func:`minigrad.norm`."""
        return operations.norm(self, ord, axis, keepdims)

    def gather(self, dim: int, index: Any) -> Tensor:
        """The entries that ``index`` names along ``dim``; see :func:`minigrad.gather`."""
        return operations.gather(self, dim, index)

    def var(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """The variance over ``axis``; see :func:`minigrad.var`."""
        return operations.var(self, axis, ddof, keepdims)

    def std(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """The standard deviation over ``axis``; see :func:`minigrad.std`."""
        return operations.std(self, axis, ddof, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The largest entry over ``axis``; see :func:`minigrad.max`."""
        return operations.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The smallest entry over ``axis``; see :func:`minigrad.min`."""
        return operations.min(self, axis, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Where the largest entry is; see :func:`minigrad.argmax`."""
        return operations.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Where the smallest entry is; see :func:`minigrad.argmin`."""
        return operations.argmin(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether any entry over ``axis`` is true."""
        return _any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether all entries over ``axis`` are true."""
        return _all(self, axis=axis, keepdims=keepdims)

    def logsumexp(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """ln Σ eˣ over ``axis``; see :func:`minigrad.logsumexp`."""
        return operations.logsumexp(self, axis, keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """The running sum along ``axis``; see :func:`minigrad.cumsum`."""
        return operations.cumsum(self, axis)

    # ---------------------------------------------------------------- other shapes, parts

    def reshape(self, *shape: Any) -> Tensor:
        """The same entries in another shape; see :func:`minigrad.reshape`."""
        return operations.reshape(self, shape[0] if len(shape) == 1 else shape)

    def view(self, *shape: Any) -> Tensor:
        """PyTorch's name for ``reshape``."""
        return self.reshape(*shape)

    def ravel(self) -> Tensor:
        """All entries along one axis; see :func:`minigrad.ravel`."""
        return operations.ravel(self)

    def flatten(self) -> Tensor:
        """All entries along one axis; see :func:`minigrad.ravel`."""
        return operations.ravel(self)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order; see :func:`minigrad.transpose`."""
        return operations.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def permute(self, *axes: Any) -> Tensor:
        """PyTorch's name for ``transpose``."""
        return self.transpose(*axes)

    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """Some axes moved to other places; see :func:`minigrad.moveaxis`."""
        return operations.moveaxis(self, source, destination)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged; see :func:`minigrad.swapaxes`."""
        return operations.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without axes of length 1; see :func:`minigrad.squeeze`."""
        return operations.squeeze(self, axis)

    def expand_dims(self, axis: Any) -> Tensor:
        """With a new axis of length 1; see :func:`minigrad.expand_dims`."""
        return operations.expand_dims(self, axis)

    def unsqueeze(self, axis: int) -> Tensor:
        """PyTorch's name for ``expand_dims``."""
        return operations.expand_dims(self, axis)

    def broadcast_to(self, shape: Any) -> Tensor:
        """Stretched to a larger shape; see :func:`minigrad.broadcast_to`."""
        return operations.broadcast_to(self, shape)

    def flip(self, axis: Any = None) -> Tensor:
        """In reverse order along ``axis``; see :func:`minigrad.flip`."""
        return operations.flip(self, axis)

    def pad(self, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
        """In a frame of constants; see :func:`minigrad.pad`."""
        return operations.pad(self, pad_width, mode, constant_values)

    def tile(self, reps: Any) -> Tensor:
        """Copies side by side; see :func:`minigrad.tile`."""
        return operations.tile(self, reps)

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """Every entry several times in a row; see :func:`minigrad.repeat`."""
        return operations.repeat(self, repeats, axis)

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """The entries at ``indices`` along ``axis``; see :func:`minigrad.take`."""
        return operations.take(self, indices, axis)

    def take_along_axis(self, indices: Any, axis: int | None = -1) -> Tensor:
        """For each place the entry that ``indices`` names; see :func:`minigrad.take_along_axis`."""
        return operations.take_along_axis(self, indices, axis)

    def split(self, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
        """Parts along ``axis``; see :func:`minigrad.split`."""
        return operations.split(self, indices_or_sections, axis)

    def unbind(self, axis: int = 0) -> list[Tensor]:
        """The entries along ``axis``, one by one; see :func:`minigrad.unbind`."""
        return operations.unbind(self, axis)

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """The values in another floating-point dtype; see :func:`minigrad.astype`."""
        return operations.astype(self, dtype)

    def copy(self) -> Tensor:
        """The same values in a new tensor, through which gradients flow; see :func:`minigrad.copy`."""
        return operations.copy(self)

    def clone(self) -> Tensor:
        """PyTorch's name for ``copy``."""
        return operations.copy(self)

    # ---------------------------------------------------------------- entry by entry

    def dot(self, other: Any) -> Tensor:
        """NumPy's ``dot``; see :func:`minigrad.dot`."""
        return operations.dot(self, other)

    def matmul(self, other: Any) -> Tensor:
        """The matrix product ``self @ other``; see :func:`minigrad.matmul`."""
        return operations.matmul(self, other)

    def outer(self, other: Any) -> Tensor:
        """Every entry times every entry of ``other``; see :func:`minigrad.outer`."""
        return operations.outer(self, other)

    def maximum(self, other: Any) -> Tensor:
        """The larger of two entries each; see :func:`minigrad.maximum`."""
        return operations.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two entries each; see :func:`minigrad.minimum`."""
        return operations.minimum(self, other)

    def where(self, condition: Any, other: Any) -> Tensor:
        """These entries where ``condition`` holds, else those of ``other``, as in PyTorch; see :func:`minigrad.where`."""
        return operations.where(condition, self, other)

    def abs(self) -> Tensor:
        """The absolute value of every entry; see :func:`minigrad.absolute`."""
        return operations.absolute(self)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Every entry brought between two bounds; see :func:`minigrad.clip`."""
        return operations.clip(self, min, max)

    def exp(self) -> Tensor:
        """eˣ of every entry."""
        return operations.exp(self)

    def expm1(self) -> Tensor:
        """eˣ − 1 of every entry."""
        return operations.expm1(self)

    def log(self) -> Tensor:
        """The natural logarithm of every entry."""
        return operations.log(self)

    def log1p(self) -> Tensor:
        """ln(1 + x) of every entry."""
        return operations.log1p(self)

    def sqrt(self) -> Tensor:
        """The square root of every entry."""
        return operations.sqrt(self)

    def sin(self) -> Tensor:
        """The sine of every entry."""
        return operations.sin(self)

    def cos(self) -> Tensor:
        """The cosine of every entry."""
        return operations.cos(self)

    def square(self) -> Tensor:
        """x² of every entry."""
        return operations.square(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent of every entry."""
        return operations.tanh(self)

    def sigmoid(self) -> Tensor:
        """σ of every entry."""
        return operations.sigmoid(self)

    def relu(self) -> Tensor:
        """max(x, 0) of every entry."""
        return operations.relu(self)

    def softplus(self) -> Tensor:
        """ln(1 + eˣ) of every entry."""
        return operations.softplus(self)

    def softmax(self, axis: Any = -1) -> Tensor:
        """A distribution along ``axis``; see :func:`minigrad.softmax`."""
        return operations.softmax(self, axis)

    def log_softmax(self, axis: Any = -1) -> Tensor:
        """The logarithm of a distribution along ``axis``; see :func:`minigrad.log_softmax`."""
        return operations.log_softmax(self, axis)

    # ---------------------------------------------------------------- operators that are not recorded

    def __mod__(self, other: Any) -> Any:
        raise _refused("%", "np.mod")

    __rmod__ = __imod__ = __mod__

    def __floordiv__(self, other: Any) -> Any:
        raise _refused("//", "np.floor_divide")

    __rfloordiv__ = __ifloordiv__ = __floordiv__

    def __divmod__(self, other: Any) -> Any:
        raise _refused("divmod", "np.divmod")

    __rdivmod__ = __divmod__

    def __round__(self, ndigits: Any = None) -> Any:
        raise ConversionError("round: not recorded for tensors; write np.round(x), which has no gradient, or round(x.item())")


def _refused(operator: str, function: str) -> ConversionError:
    """The error for an operator that is not recorded, with the advice given for NumPy's function."""
    return ConversionError(f"{operator}: not recorded for tensors; {operations.nearest(function, ())}")
