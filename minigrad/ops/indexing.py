"""Indexing: every index NumPy takes, basic and advanced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import IndexingError
from minigrad.gradients import Partial, Piece, Span
from minigrad.graph import Gradient, Operation
from minigrad.ops.shape import View, as_tensor
from minigrad.recording import for_one_kind, operand, plain, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["getitem"]

WHOLE = slice(None)


class GetItem(View):
    """y = x[index];  ∂L/∂x = 0 except at ``index``, where g is added: once for each time an entry was taken."""

    __slots__ = ("exact", "index")
    label, symbol = "getitem", "[ ]"
    index: Any
    exact: bool

    @override
    def compute(self, x: Any) -> Any:
        """The entries of x."""
        return x[self.index]

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        if isinstance(g, Tensor):
            source = self.sources[0]
            return (scatter(g, self.index, self.exact, () if source is None else source.shape),)
        return (Partial(g, self.index, self.exact),)


class Lookup(Operation):
    """y = the rows of x whose numbers are an operand;  ∂L/∂x = g added to the row that each came from.

    It stands in the traces of loops only, for the operation of that ``kind``.
    """

    __slots__ = ("check", "kind")
    label, symbol = "lookup", GetItem.symbol
    kind: type[GetItem]
    check: Callable[[Any, Any], None] | None

    @override
    def compute(self, x: Any, ids: Any) -> Any:
        """The rows."""
        if self.check is not None:
            self.check(x, ids)
        return x[ids]


def lookup(x: Any, ids: Tensor, y: Any, kind: type[GetItem], check: Callable[[Any, Any], None] | None = None) -> Tensor:
    """The traced result of ``x[ids]``; ``check`` raises where ids are out of range."""
    node = Lookup()
    node.kind, node.check = kind, check
    return record(node, y, (x._node,), (), (x, ids))


def is_traced(index: Any) -> bool:
    """Whether an index is a tensor that differs from step to step."""
    return state.tracer is not None and isinstance(index, Tensor) and state.tracer.knows((index,))


class Slice(View):
    """y = the part of x at ``span``;  ∂L/∂x = 0 except there, where it is g."""

    __slots__ = ("span",)
    label, symbol = GetItem.label, GetItem.symbol
    span: Span

    @override
    def compute(self, x: Any) -> Any:
        """The part of x."""
        return x[self.span[3]]

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        if isinstance(g, Tensor):
            source = self.sources[0]
            return (scatter(g, self.span[3], True, () if source is None else source.shape),)
        return (Piece(g, self.span),)


class Part(Slice):
    """One of the parts that ``split`` or ``unbind`` cut along an axis."""

    __slots__ = ()
    label, symbol = "split", "split"


class Scatter(Operation):
    """y = 0 except y[index] += x;  ∂L/∂x = g[index]. The derivative of indexing, and indexing is its own."""

    __slots__ = ("exact", "index")
    index: Any
    exact: bool
    label, symbol = "scatter", "scatter"

    @override
    def compute(self, x: Any) -> Any:
        """Zeros with x added at the index."""
        y = np.zeros(self.shape, x.dtype)
        Partial(x, self.index, self.exact).add_to(y)
        return y

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g[self.index],)


def scatter(x: Any, index: Any, exact: bool, shape: tuple[int, ...]) -> Tensor:
    """Zeros of ``shape`` with ``x`` added at ``index``."""
    x = operand(x, "scatter")
    y = np.zeros(shape, x._array.dtype)
    Partial(x._array, index, exact).add_to(y)
    if x._wants and state.recording:
        node = Scatter()
        node.index, node.exact = index, exact
        return record(node, y, (x._node,), (), (x,))
    return unrecorded(y)


def _checked(index: Any) -> tuple[Any, bool]:
    """The index with its arrays copied (the caller may change his), and whether it takes no entry twice."""
    parts = index if isinstance(index, tuple) else (index,)
    checked: list[Any] = []
    exact = True
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)):
            checked.append(part)
            continue
        array = np.array(plain(part, "getitem"))
        if array.size == 0 and array.dtype.kind == "f":
            array = array.astype(np.intp)
        if array.dtype.kind not in "iub":
            raise IndexingError(
                f"getitem: expected integers, slices, None, ... or arrays of integers or booleans, got {part!r}"
            )
        exact = exact and array.dtype.kind == "b"
        checked.append(array)
    return (tuple(checked) if isinstance(index, tuple) else checked[0]), exact


@lru_cache(maxsize=1024)
def piece(axis: int, start: int, stop: int) -> Span:
    """The part from ``start`` to ``stop`` along an axis. All steps that cut the same way share one."""
    return axis, start, stop, (*(WHOLE,) * axis, slice(start, stop))


@lru_cache(maxsize=256)
def pieces(axis: int, size: int, count: int) -> tuple[Span, ...]:
    """So many parts of one size along an axis."""
    return tuple([piece(axis, size * k, size * (k + 1)) for k in range(count)])


def entry(axis: int, k: int) -> Span:
    """The k-th entry along an axis, without the axis."""
    return axis, k, k + 1, (*(WHOLE,) * axis, k) if axis else k


def _span(index: Any, shape: tuple[int, ...]) -> Span | None:
    """The part that an index takes, if it is an integer or a slice, after slices of whole axes. None for any other index.

    Whether an integer is within the axis is left to NumPy, which is asked next.
    """
    axis = 0
    if type(index) is tuple and index:
        axis = len(index) - 1
        for whole in index[:axis]:
            if type(whole) is not slice or whole != WHOLE:
                return None
        index = index[axis]
    if axis >= len(shape):
        return None
    if type(index) is int:
        return entry(axis, index if index >= 0 else index + shape[axis])
    if type(index) is not slice or index.step is not None:
        return None
    try:
        start, stop, _ = index.indices(shape[axis])
    except TypeError:
        return None
    return piece(axis, start, max(start, stop))


def getitem(x: Any, index: Any) -> Tensor:
    """``x[index]`` for every index NumPy takes; entries taken several times get the sum of their gradients.

    Raises:
        IndexingError: the index is out of range, has too many parts, or is not an index.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 2, 2]].sum().backward()
    >>> x.grad
    array([1., 0., 2.])
    """
    if type(x) is not Tensor:
        x = as_tensor(x, "getitem")
    if is_traced(index) and index.dtype.kind in "iu":
        return lookup(x, index, x._array[index._array], GetItem)
    span = _span(index, x._array.shape)
    if span is None:
        index, exact = _checked(index)
    try:
        y = x._array[index]
    except (IndexError, TypeError, ValueError) as error:
        raise IndexingError(f"getitem: the index does not fit shape {x.shape}: {error}") from None
    if not (x._wants and state.recording):
        return unrecorded(y)
    if span is not None:
        part = Slice()
        part.span = span
        return record(part, y, (x._node,), (), (x,))
    node = GetItem()
    node.index, node.exact = index, exact
    return record(node, y, (x._node,), (), (x,))


record_part = for_one_kind(record)


def cut(x: Tensor, spans: Iterable[Span]) -> list[Tensor]:
    """The parts of ``x`` at ``spans``."""
    recorded = x._wants and state.recording
    array, inputs, operands = x._array, (x._node,), (x,)
    parts = []
    for span in spans:
        y = array[span[3]]
        if recorded:
            node = Part()
            node.span = span
            parts.append(record_part(node, y, inputs, (), operands))
        else:
            parts.append(unrecorded(y))
    return parts
