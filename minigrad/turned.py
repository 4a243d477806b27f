"""The weights of a loop, turned once: what the products of its steps read instead of a transposed view.

A step multiplies by ``W.T``, a view of W. The C library of linear algebra puts the numbers of such a view into the order that
it needs, anew for every product, and at the sizes of a recurrent network that takes as long as the product does: (16, 64)
times the transpose of (256, 64) 14 µs, times a copy of it that is in order 5 µs. So where a loop runs step by step, the third
product by the same view makes that copy (10 µs), and the later ones read it. The results are the same up to rounding.

A copy lasts no longer than the loop, and no longer than the numbers that it was made from: as soon as any tensor is written
to in place, all copies are dropped. Only where steps are recorded: elsewhere arrays may be written to behind their tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.scope import Setting, state

__all__ = ["TurnedWeights", "about_to_write", "weights_turned"]

LEAST, MOST = 2**13, 2**18
"""How many entries a weight has for which it pays: a smaller one is read fast as it is, a larger one is copied slowly."""
USES = 3
"""At which product the copy is made, which costs about as much as that many of them save."""


class TurnedWeights:
    """The transposed views that products were computed with: how often and, from the third time on, their copies."""

    __slots__ = ("copies", "uses")

    def __init__(self) -> None:
        self.uses: dict[int, tuple[Any, int]] = {}
        self.copies: dict[int, Any] = {}

    def read(self, a: Any, b: Any) -> Any:
        """What to multiply ``a`` by: ``b`` or, where it is the transpose of a whole weight, the copy of it."""
        weight = b.base
        if weight is None or not LEAST <= b.size <= MOST or a.shape[:1] == (1,):
            return b
        if b.size != weight.size or not b.flags.f_contiguous:
            return b
        copied = self.copies.get(id(weight))
        if copied is not None:
            return copied if copied.shape == b.shape else b
        _, uses = self.uses.get(id(weight), (weight, 0))
        self.uses[id(weight)] = weight, uses + 1
        if uses + 1 == USES:
            self.copies[id(weight)] = np.ascontiguousarray(b)
        return b

    def drop(self) -> None:
        """Forget all copies: their weights may be about to change."""
        self.uses.clear()
        self.copies.clear()


class weights_turned(Setting):
    """A loop inside runs step by step."""

    __slots__ = ()

    @override
    def enter(self) -> TurnedWeights | None:
        found: TurnedWeights | None = state.turned
        state.turned = TurnedWeights() if found is None else found
        return found

    @override
    def leave(self, found: TurnedWeights | None) -> None:
        state.turned = found


def about_to_write() -> None:
    """Say that a tensor is about to be written to: no copy of it may be read any more."""
    if state.turned is not None:
        state.turned.drop()
