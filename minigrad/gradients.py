"""How gradients on their way through the graph are added up, as arrays.

Four rules live here and nowhere else.

*Un-broadcasting*: an input that was stretched along an axis receives the sum over that axis.
*Dtype*: a gradient has the dtype of its variable.
*Ownership*: the first share a node is sent is only borrowed, since the same array may have been sent to others too;
from the second on the sum is an array of our own, and further shares are added in place.
*Deferring*: two kinds of share are kept as they are until the sum is taken, because together they cost far less. The
gradient of a weight used at T steps is one product of T times as many rows, not T products and T sums; the gradients of
the parts of an array are put side by side, not added one by one to an array of zeros. A part that was cut out again, as
when every step splits the same weight, is added to the first one at once: T steps keep one array of it, not T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import DTypeError, ShapeError
from minigrad.graph import Gradient, Node, Operation
from minigrad.guard import Array

__all__ = ["ArraySums", "OuterProduct", "Partial", "check_replacement", "own", "unbroadcast"]


class Deferred:
    """A share that is kept as it is until the sum is taken."""

    __slots__ = ()


class OuterProduct(Deferred):
    """The share ``leftᵀ right`` of a matrix: what a matrix product sends to its weight. (R, M) and (R, N) make (M, N)."""

    __slots__ = ("left", "right")

    def __init__(self, left: Array, right: Array) -> None:
        self.left = left
        self.right = right


class Partial(Deferred):
    """A share that is zero except at ``index``: what indexing sends to the array it was taken from.

    ``exact`` says that no entry is addressed twice; ``span`` is (axis, start, stop) for a part that was cut out along one
    axis, (axis, k, k + 1) also for the k-th part of an axis that disappeared.
    """

    __slots__ = ("exact", "index", "owned", "span", "values")

    def __init__(self, values: Array, index: Any, exact: bool, span: tuple[int, int, int] | None = None) -> None:
        self.values = values
        self.index = index
        self.exact = exact
        self.span = span
        self.owned = False

    def absorb(self, values: Array) -> None:
        """Add what another consumer sends to the same part."""
        if self.owned and self.values.dtype == values.dtype:
            self.values += values
        else:
            self.values = self.values + values
            self.owned = True

    def add_to(self, total: Array) -> None:
        """Add the values where they belong."""
        if self.exact:
            total[self.index] += self.values
        else:
            np.add.at(total, self.index, self.values)


class ArraySums:
    """Sums of NumPy arrays; one instance serves one sweep."""

    __slots__ = ("_deferred", "_owned", "_parts", "_totals")

    def __init__(self) -> None:
        self._totals: dict[int, Any] = {}
        self._owned: set[int] = set()
        self._deferred: dict[int, list[Deferred]] = {}
        self._parts: dict[int, dict[tuple[int, ...], Partial]] = {}

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs."""
        saved = operation.saved
        return operation.vjp(g, *(operation.needed() if saved is None else saved))

    def send(self, node: Node, share: Gradient) -> None:
        """Add ``share`` to what ``node`` has been sent."""
        serial = node.serial
        if type(share) is not np.ndarray and isinstance(share, Deferred):
            self._defer(serial, share)
            return
        if share.shape != node.shape:
            share = unbroadcast(share, node.shape)
        if share.dtype is not node.dtype and share.dtype != node.dtype:
            share = share.astype(node.dtype)
        total = self._totals.get(serial)
        if total is None:
            self._totals[serial] = share
        elif serial in self._owned:
            total += share
            self._totals[serial] = total
        else:
            self._totals[serial] = total + share
            self._owned.add(serial)

    def _defer(self, serial: int, share: Deferred) -> None:
        if isinstance(share, Partial) and share.span is not None:
            first = self._parts.setdefault(serial, {}).setdefault((*share.span, share.values.ndim), share)
            if first is not share:
                first.absorb(share.values)
                return
        self._deferred.setdefault(serial, []).append(share)

    def take(self, node: Node) -> Gradient:
        """The sum of all shares of ``node``."""
        total = self._totals.pop(node.serial, None)
        if self._deferred and node.serial in self._deferred:
            self._parts.pop(node.serial, None)
            return _combined(node, total, self._deferred.pop(node.serial))
        return total

    def whole(self, node: Node, share: Gradient) -> Gradient:
        """One share by itself, with the shape and dtype of ``node``."""
        alone = ArraySums()
        alone.send(node, share)
        return alone.take(node)

    def shown(self, g: Gradient) -> Gradient:
        """A copy that the hook may keep; writing to it would have no effect, and is an error."""
        copied = np.array(g)
        copied.flags.writeable = False
        return copied

    def replacement(self, node: Node, changed: Any) -> Gradient:
        """What a hook returned, an array or a Tensor, as an array of its own with the dtype of ``node``."""
        array = np.array(getattr(changed, "_data", changed))
        check_replacement(node, array.shape, array.dtype)
        return array.astype(node.dtype)


def _combined(node: Node, total: Any, shares: list[Deferred]) -> Any:
    """``total`` (an array or None) and all deferred shares of ``node``, added up."""
    products = [share for share in shares if isinstance(share, OuterProduct)]
    partials = [share for share in shares if isinstance(share, Partial)]
    dense = [] if total is None else [total]
    if products:
        dense.append(_summed_products(products))
    if partials:
        joined = _joined(node, partials)
        if joined is None:
            joined = np.zeros(node.shape, node.dtype)
            for partial in partials:
                partial.add_to(joined)
        dense.append(joined)
    result = dense[0]
    for part in dense[1:]:
        result = result + part
    return result if result.dtype == node.dtype else result.astype(node.dtype)


def _summed_products(products: list[OuterProduct]) -> Any:
    """Σ leftᵀ right as one product of all rows."""
    if len(products) == 1:
        return products[0].left.T.dot(products[0].right)
    left = np.concatenate([product.left for product in products])
    return left.T.dot(np.concatenate([product.right for product in products]))


def _joined(node: Node, partials: list[Partial]) -> Any:
    """The parts side by side, if they are the parts of one axis, each once; None if not."""
    first = partials[0].span
    if first is None or len(partials) == 1:
        return None
    axis, ndim = first[0], partials[0].values.ndim
    parts = []
    for partial in partials:
        if partial.span is None or partial.span[0] != axis:
            return None
        if partial.values.ndim != ndim or partial.values.dtype != node.dtype:
            return None
        parts.append((partial.span[1], partial.span[2], partial.values))
    parts.sort(key=lambda part: part[0])
    reached = 0
    for start, stop, _ in parts:
        if start != reached:
            return None
        reached = stop
    if reached != node.shape[axis]:
        return None
    join = np.concatenate if parts[0][2].ndim == len(node.shape) else np.stack
    return join([values for _, _, values in parts], axis=axis)


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
