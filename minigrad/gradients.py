"""How gradients of nodes are computed and added up: as arrays, fast and in place, or as recorded Tensors.

Three rules live here and nowhere else. *Un-broadcasting*: an input that was stretched along an axis receives the sum
over that axis. *Dtype*: a gradient has the dtype of its variable. *Ownership*: the first contribution to a node is only
borrowed, since the same array may have been sent to others too; from the second on the sum is an array of our own, and
further ones are added in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.graph import Gradient, Node, Operation
from minigrad.guard import Array

__all__ = ["ArrayArithmetic", "Partial", "own", "unbroadcast"]


class Partial:
    """A gradient that is zero except at ``index`` (of an indexing operation): kept apart so that it can be added in
    place, which makes T slices of one array cost T, not T², in the backward pass."""

    __slots__ = ("exact", "index", "values")

    def __init__(self, values: Array, index: Any, exact: bool) -> None:
        self.values = values
        self.index = index
        self.exact = exact  # no entry is addressed twice, so plain += is right

    def add_to(self, total: Array) -> None:
        """Add the values where they belong."""
        if self.exact:
            total[self.index] += self.values
        else:
            np.add.at(total, self.index, self.values)


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


class ArrayArithmetic:
    """Gradients as NumPy arrays; one instance serves one sweep."""

    __slots__ = ("_owned",)

    def __init__(self) -> None:
        self._owned: set[int] = set()

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs."""
        return operation.vjp(g, *operation.needed())

    def add(self, node: Node, total: Gradient | None, contribution: Gradient) -> Gradient:
        """``total + contribution`` with the shape and dtype of ``node``."""
        if isinstance(contribution, Partial):
            if total is None:
                total = np.zeros(node.shape, node.dtype)
            elif node.serial not in self._owned:
                total = np.array(total)
            self._owned.add(node.serial)
            contribution.add_to(total)
            return total
        if contribution.shape != node.shape:
            contribution = unbroadcast(contribution, node.shape)
        if contribution.dtype != node.dtype:
            contribution = contribution.astype(node.dtype)
        if total is None:
            return contribution
        if node.serial in self._owned:
            total += contribution
            return total
        self._owned.add(node.serial)
        return total + contribution


def own(g: Gradient) -> Array:
    """An array that nothing else refers to."""
    return np.array(g)
