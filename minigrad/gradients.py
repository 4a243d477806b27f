"""How gradients on their way through the graph are added up, as arrays.

Four rules live here and nowhere else.

*Un-broadcasting*: an input that was stretched along an axis receives the sum over that axis.
*Dtype*: a gradient has the dtype of its variable.
*Ownership*: the first contribution a node is sent is only borrowed, unless it was made to fit: the same array may have been
sent to others too. From the second on the sum is an array of our own, and further contributions are added in place.
*Deferring*: three kinds of contribution wait in a form of their own until the sum is taken: together they cost far less.
The gradient of a weight used at T steps is one product of T times as many rows, not T products and T sums; that of a bias
is one sum of T times as many rows; the gradients of the parts of an array are written side by side into one, not added
one by one to an array of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad.errors import DTypeError, ShapeError
from minigrad.graph import Gradient, Node, Operation
from minigrad.guard import Array, array_of
from minigrad.sums import add_rows, column_sums

__all__ = [
    "ArrayAccumulator", "OfResult", "OuterProduct", "Partial", "Piece", "SilentAccumulator", "Span", "check_replacement", "own",
    "sent", "unbroadcast", "whole",
]  # fmt: skip

Span: TypeAlias = tuple[int, int, int, Any]
"""A part of an array that was cut out along one axis: (axis, start, stop, index), where ``array[index]`` is the part.

Of an entry k along the axis, which has then disappeared, start and stop are k and k + 1.
"""


class OuterProduct:
    """The contribution ``leftᵀ right``: what a matrix product sends to its weight. (R, M) and (R, N) make (M, N)."""

    __slots__ = ("left", "right")

    def __init__(self, left: Array, right: Array) -> None:
        self.left = left
        self.right = right


class Partial:
    """A contribution that is zero except at ``index``: what indexing sends to the array it was taken from.

    ``exact`` says that no entry is addressed twice.
    """

    __slots__ = ("exact", "index", "values")

    def __init__(self, values: Array, index: Any, exact: bool) -> None:
        self.values = values
        self.index = index
        self.exact = exact

    def add_to(self, total: Array) -> None:
        """Add the values where they belong."""
        if self.exact:
            total[self.index] += self.values
        elif isinstance(self.index, np.ndarray) and self.index.dtype.kind in "iu" and total.ndim > 1:
            add_rows(total, self.index, self.values)
        else:
            np.add.at(total, self.index, self.values)


class Piece:
    """A contribution that is zero except at ``span``: what a part that was cut out along one axis sends."""

    __slots__ = ("span", "values")

    def __init__(self, values: Array, span: Span) -> None:
        self.values = values
        self.span = span


class OfResult:
    """The gradient of one of the results of an operation that has several: ``which`` says of which."""

    __slots__ = ("values", "which")

    def __init__(self, values: Array, which: int) -> None:
        self.values = values
        self.which = which


class Cut:
    """What the parts of an array send that were cut out along one axis: one array, into which each contribution is written.

    From ``low`` to ``high`` the array holds the sum of what was sent there, elsewhere nothing yet. Parts are sent in the
    order in which they were cut, or in reverse; so nearly always the next one lies at an end, and need only be assigned.
    """

    __slots__ = ("axis", "high", "low", "total")

    def __init__(self, node: Node, contribution: Piece) -> None:
        self.axis, self.low, self.high, index = contribution.span
        self.total = np.empty(node.shape, node.dtype)
        self.total[index] = contribution.values

    def put(self, contribution: Piece) -> None:
        """Write a contribution where it belongs."""
        _, start, stop, index = contribution.span
        if stop == self.low:
            self.total[index] = contribution.values
            self.low = start
        elif start == self.high:
            self.total[index] = contribution.values
            self.high = stop
        else:
            self.extend(start, stop)
            self.total[index] += contribution.values

    def extend(self, start: int, stop: int) -> None:
        """Have the array hold zeros also from ``start`` and up to ``stop``."""
        before = (slice(None),) * self.axis
        if start < self.low:
            self.total[(*before, slice(start, self.low))] = 0
            self.low = start
        if stop > self.high:
            self.total[(*before, slice(self.high, stop))] = 0
            self.high = stop

    def whole(self) -> Array:
        """All contributions together: an array of our own."""
        length = self.total.shape[self.axis]
        if self.low > 0 or self.high < length:
            self.extend(0, length)
        return self.total


class Gathered:
    """What a node was sent, where not all of it was arrays that fit: the factors of products, parts, contributions of many rows
    where the node has one, and the sum of the arrays that fit."""

    __slots__ = ("cuts", "dense", "lefts", "partials", "results", "rights", "rows")

    def __init__(self) -> None:
        self.dense: Any = None
        self.results: dict[int, Array] = {}
        self.cuts: dict[int, Cut] = {}
        self.lefts: list[Array] = []
        self.rights: list[Array] = []
        self.partials: list[Partial] = []
        self.rows: list[Array] = []

    def add(self, node: Node, contribution: Any) -> None:
        """Take a contribution in."""
        kind = type(contribution)
        if kind is Piece:
            axis = contribution.span[0]
            if axis in self.cuts:
                self.cuts[axis].put(contribution)
            else:
                self.cuts[axis] = Cut(node, contribution)
        elif kind is Cut:
            self.cuts[contribution.axis] = contribution
        elif kind is OuterProduct:
            self.lefts.append(contribution.left)
            self.rights.append(contribution.right)
        elif kind is Partial:
            self.partials.append(contribution)
        elif kind is OfResult:
            total = self.results.get(contribution.which)
            self.results[contribution.which] = contribution.values if total is None else total + contribution.values
        elif is_rows_of(contribution, node):
            self.rows.append(contribution)
            if len(self.rows) == MOST_ROWS:
                self._add_up_rows()
        else:
            self._add_dense(fitted(contribution, node))

    def _add_dense(self, contribution: Array) -> None:
        self.dense = contribution if self.dense is None else self.dense + contribution

    def _add_up_rows(self) -> None:
        rows, self.rows = np.concatenate(self.rows), []
        self._add_dense(column_sums(rows))

    def sum(self, node: Node) -> Any:
        """All contributions added up; those of several results under the number of each."""
        if self.results:
            return self.results
        if self.rows:
            self._add_up_rows()
        dense = [cut.whole() for cut in self.cuts.values()]
        if self.dense is not None:
            dense.append(self.dense)
        if self.lefts:
            dense.append(_summed_products(self.lefts, self.rights))
        if self.partials:
            scattered = np.zeros(node.shape, node.dtype)
            for partial in self.partials:
                partial.add_to(scattered)
            dense.append(scattered)
        result = dense.pop(0)
        for part in dense:
            result = result + part
        return result if result.dtype == node.dtype else result.astype(node.dtype)


WAITING = (OuterProduct, Cut, Partial, OfResult)
"""What is added up when all is there. A part along an axis, too, but with others that have a place beside it."""
DEFERRED = (*WAITING, Piece)
MADE = (OuterProduct, Cut)
"""Those of which the sum is an array that is made when it is taken."""
MOST_ROWS = 64
"""How many contributions of rows wait at most: they are kept alive until they are added up."""


def is_rows_of(contribution: Array, node: Node) -> bool:
    """Whether the contribution of a vector, such as a bias, is that of the rows of a matrix."""
    return contribution.ndim == 2 and contribution.shape[1:] == node.shape


class ArrayAccumulator:
    """Sums of NumPy arrays; one instance serves one sweep.

    ``totals`` holds by serial number what each waiting node was sent: an array, a single contribution that waits in a form of
    its own, parts along one axis (`Cut`), or `Gathered`; ``owned`` says whose array is our own.
    """

    __slots__ = ("owned", "totals")

    def __init__(self) -> None:
        self.totals: dict[int, Any] = {}
        self.owned: set[int] = set()

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs."""
        saved = operation.saved
        return operation.vjp(g, *(operation.needed() if saved is None else saved))

    def send(self, node: Node, contribution: Gradient) -> None:
        """Add ``contribution`` to what ``node`` has been sent."""
        serial = node.serial
        total = self.totals.get(serial)
        kind = type(contribution)
        if total is None:
            if kind is Piece:
                self.totals[serial] = Cut(node, contribution)
            elif kind in DEFERRED:
                self.totals[serial] = contribution
            else:
                self.totals[serial] = fits = fitted(contribution, node)
                if fits is not contribution:
                    self.owned.add(serial)
        elif type(total) is Gathered:
            total.add(node, contribution)
        elif type(total) is Cut and kind is Piece and total.axis == contribution.span[0]:
            total.put(contribution)
        elif type(total) in DEFERRED or kind in DEFERRED or is_rows_of(contribution, node):
            gathered = self.totals[serial] = Gathered()
            gathered.add(node, total)
            gathered.add(node, contribution)
        elif serial in self.owned:
            total += fitted(contribution, node)
            self.totals[serial] = total
        else:
            self.totals[serial] = total + fitted(contribution, node)
            self.owned.add(serial)

    def sum(self, node: Node) -> Gradient:
        """The sum of all contributions of ``node``."""
        total = self.totals.pop(node.serial)
        return total if type(total) is np.ndarray else added_up(total, node)

    def take(self, node: Node) -> Gradient:
        """The same, or what hooks on ``node`` make of it."""
        g = self.sum(node)
        return g if node.watch is None else node.watch.show(node, g, self)

    def shown(self, g: Gradient) -> Gradient:
        """A copy that the hook may keep; writing to it would have no effect, and is an error."""
        copied = np.array(g)
        copied.flags.writeable = False
        return copied

    def replacement(self, node: Node, changed: Any) -> Gradient:
        """What a hook returned, an array or a Tensor, as an array of its own with the dtype of ``node``."""
        array = array_of(getattr(changed, "_array", changed), f"hook on {node!r}")
        check_replacement(node, array.shape, array.dtype)
        return array.astype(node.dtype)


class SilentAccumulator(ArrayAccumulator):
    """Sums of a sweep that is no backward pass but looks at one: no hook is called, and every edge can be looked at.

    Args:
        on_edge: called with (operation, input number, gradient sent there); None: nobody looks.
    """

    __slots__ = ("on_edge",)

    def __init__(self, on_edge: Callable[[Operation, int, Array], None] | None = None) -> None:
        super().__init__()
        self.on_edge = on_edge

    @override
    def take(self, node: Node) -> Gradient:
        return self.sum(node)

    @override
    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        contributions = super().derivative(operation, g)
        if self.on_edge is not None:
            for position, contribution in sent(operation, contributions):
                self.on_edge(operation, position, contribution)
        return contributions


def sent(operation: Operation, contributions: Sequence[Gradient]) -> Iterator[tuple[int, Array]]:
    """What each input of an operation is sent by itself, with its shape and dtype, under its number."""
    for position, (source, contribution) in enumerate(zip(operation.inputs, contributions, strict=True)):
        if source is not None and contribution is not None and source.requires_grad:
            yield position, whole(contribution, source)


def whole(contribution: Any, node: Node) -> Array:
    """One contribution by itself, with the shape and dtype of ``node``."""
    if type(contribution) is np.ndarray and contribution.shape == node.shape and contribution.dtype == node.dtype:
        return contribution
    alone = ArrayAccumulator()
    alone.send(node, contribution)
    return np.asarray(alone.sum(node))


def added_up(total: Any, node: Node) -> Gradient:
    """What a node was sent, of which something waited in a form of its own, as an array."""
    if type(total) is Cut:
        return total.whole()
    if type(total) is OfResult:
        return {total.which: total.values}
    if type(total) is OuterProduct:
        return fitted(total.left.T.dot(total.right), node)
    if type(total) is not Gathered:
        gathered = Gathered()
        gathered.add(node, total)
        total = gathered
    return total.sum(node)


def fitted(contribution: Gradient, node: Node) -> Gradient:
    """A contribution with the shape and the dtype of ``node``."""
    shape = node.shape
    if contribution.shape != shape:
        rows = len(shape) == 1 and contribution.shape[-1:] == shape and contribution.size and contribution.flags.c_contiguous
        contribution = column_sums(contribution.reshape(-1, *shape)) if rows else unbroadcast(contribution, shape)
    return contribution if contribution.dtype == node.dtype else contribution.astype(node.dtype)


def _summed_products(lefts: list[Array], rights: list[Array]) -> Any:
    """Σ leftᵀ right as one product of all rows."""
    if len(lefts) == 1:
        return lefts[0].T.dot(rights[0])
    return np.concatenate(lefts).T.dot(np.concatenate(rights))


def unbroadcast(g: Gradient, shape: tuple[int, ...]) -> Gradient:
    """Sum ``g`` (array or Tensor) over the axes along which ``shape`` was stretched to ``g.shape``.

    >>> unbroadcast(np.ones((4, 2, 3)), (2, 1)).tolist()
    [[12.0], [12.0]]
    """
    if g.shape == shape:
        return g
    extra = len(g.shape) - len(shape)
    if extra > 0:
        g = g.sum(axis=tuple(range(extra)))
        if g.shape == shape:
            return g
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1 and g.shape[axis] != 1)
    if stretched:
        g = g.sum(axis=stretched, keepdims=True)
    return g


def check_replacement(node: Node, shape: tuple[int, ...], dtype: Any) -> None:
    """Raise unless a hook on ``node`` may return a gradient of this shape and dtype."""
    if shape != node.shape:
        raise ShapeError(f"hook on {node!r}: expected None or a gradient of shape {node.shape}, got shape {shape}")
    if dtype.kind not in "fiu":
        raise DTypeError(f"hook on {node!r}: expected None or a gradient of real numbers, got dtype {dtype}")


def own(g: Gradient) -> Array:
    """An array that nothing else refers to."""
    return np.array(g)
