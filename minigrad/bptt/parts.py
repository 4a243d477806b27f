"""What a parameter is sent by every step of a loop, and how large that is."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from minigrad.gradients import unbroadcast
from minigrad.graph import Leaf, Node
from minigrad.guard import Array
from minigrad.loops.differentiate import OUTER, SCATTER, SUM
from minigrad.ops.indexing import Slice

from .tables import norms

__all__ = ["ROWS", "Part", "Unknown", "leaf_of", "numbered"]

ROWS: Final = "rows"
"""The form of what is sent to a leaf that has a row for each step."""
CANCELLED: Final = 1e-4
"""A square that is smaller than its bound by this factor has lost digits, and is computed from the entries themselves."""


class Unknown(Exception):
    """Something that is not known to be measured in this way; the steps are then written out."""


class Part(NamedTuple):
    """What a parameter is sent by every step, at those of its ``entries`` whose numbers stand here.

    ``form`` and ``transposed`` are those of a `Contribution`; or ROWS, for a leaf that has a row for each step. ``g`` and
    ``a`` are (T, …).
    """

    entries: Array
    form: str
    g: Array
    a: Array | None = None
    transposed: bool = True

    def squares(self) -> Array:
        """(T,): the squares of the Euclidean norms."""
        if self.form == ROWS:
            return np.asarray(np.square(norms(self.g, 1)))
        if self.form == SCATTER:
            return np.array([np.square(self.at(t)).sum() for t in range(len(self.g))])
        if self.form == SUM or self.a is None:
            return self._of_sums()
        g, a = (array.reshape(len(array), -1, array.shape[-1]) for array in (self.g, self.a))
        of_g, of_a = g @ g.swapaxes(1, 2), a @ a.swapaxes(1, 2)
        squares: Array = (of_g * of_a).sum(axis=(1, 2))
        bounds = np.trace(of_g, axis1=1, axis2=2) * np.trace(of_a, axis1=1, axis2=2)
        for t in np.flatnonzero(squares < CANCELLED * bounds):
            squares[t] = np.square(self.at(int(t))).sum()
        return squares

    def _of_sums(self) -> Array:
        g, shape = self.g, self.entries.shape
        extra = g.ndim - 1 - len(shape)
        g = g.sum(axis=tuple(range(1, 1 + extra))) if extra else g
        stretched = tuple(k for k, size in enumerate(shape, start=1) if size == 1 and g.shape[k] != 1)
        squares: Array = norms(g.sum(axis=stretched, keepdims=True), 1) ** 2
        return squares

    def at(self, t: int) -> Array:
        """What it is sent by the step with row t."""
        g = self.g[t]
        if self.form == SCATTER and self.a is not None:
            total = np.zeros(self.entries.shape, g.dtype)
            np.add.at(total, self.a[t], g)
            return total
        if self.form == OUTER and self.a is not None:
            left, right = (g, self.a[t]) if self.transposed else (self.a[t], g)
            return np.asarray(left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1]))
        return np.asarray(unbroadcast(g, self.entries.shape))


def numbered(leaf: Node) -> Array:
    """The entries of a leaf, numbered."""
    return np.arange(int(np.prod(leaf.shape))).reshape(leaf.shape)


def leaf_of(node: Node | None) -> tuple[Node, Array]:
    """The leaf that a node is, or is a part of, and which entries of it.

    Raises:
        Unknown: it was computed from leaves in another way.
    """
    if isinstance(node, Leaf):
        return node, numbered(node)
    if isinstance(node, Slice):
        leaf, entries = leaf_of(node.sources[0])
        return leaf, entries[node.span[3]]
    raise Unknown
