"""Algebra that takes work out of the loop of a backward pass, which was derived mechanically.

A backward pass is linear in the gradients that arrive. So whatever is only multiplied, g ⊙ a ⊙ b …, is kept apart as g,
which the loop has to wait for, and one factor, which is known of all steps before the loop begins:

- (g ⊙ a) ⊙ b = g ⊙ (a ⊙ b)
- g ⊙ a ± g ⊙ b = g ⊙ (a ± b)
- −(g ⊙ a) = g ⊙ (−a)

The factors are computed for all steps at once; in the loop a call is left where g ⊙ factor itself is needed. Two more
identities: 1 ⊙ a = a and x + (−y) = x − y.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from minigrad.graph import Operation
from minigrad.loops.recording import RESULT, STATE, Operand
from minigrad.ops.arithmetic import Add, Multiply, Negative, Subtract

__all__ = ["Simplified"]

Operands: TypeAlias = tuple[Operand, ...]


class Product(NamedTuple):
    """What is known of ``arriving ⊙ factor`` before it is computed; ``like`` is an operation with a result of that kind."""

    arriving: Operand
    factor: Operand
    like: Operation


class Simplified:
    """The same results by fewer operations in the loop: ``nodes`` and ``operands``, and where a result is found `now`.

    Args:
        nodes: operations, in order.
        operands: where the operands of each come from.
        wanted: the results that others need.
        ones: the constants that are the number 1.
    """

    def __init__(
        self, nodes: Sequence[Operation], operands: Sequence[Operands], wanted: Iterable[Operand], ones: set[Operand]
    ) -> None:
        self.nodes: list[Operation] = []
        self.operands: list[Operands] = []
        self._given, self._ones = nodes, ones
        self._depends: list[bool] = []
        self._now: dict[Operand, Operand] = {}
        self._products: dict[Operand, Product] = {}
        self._negatives: dict[Operand, tuple[Operand, Operation]] = {}
        for k, (node, given) in enumerate(zip(nodes, operands, strict=True)):
            self._depends.append(any(map(self._depends_on_state, given)))
            self._rewrite(node, given, Operand(RESULT, k))
        for operand in wanted:
            self.now(operand)

    def now(self, operand: Operand) -> Operand:
        """Where what ``operand`` says is found."""
        if operand.kind != RESULT:
            return operand
        if operand not in self._now:
            if operand in self._products:
                arriving, factor, like = self._products[operand]
                self._now[operand] = self._add(Multiply, like, arriving, factor)
            else:
                negated, like = self._negatives[operand]
                self._now[operand] = self._add(Negative, like, self.now(negated))
        return self._now[operand]

    def _rewrite(self, node: Operation, operands: Operands, result: Operand) -> None:
        product = self._as_product(node, operands)
        if product is not None:
            self._products[result] = product
        elif isinstance(node, Negative):
            self._negatives[result] = operands[0], node
        elif isinstance(node, Multiply) and self._ones.intersection(operands) and self._fit(operands, node):
            self._now[result] = self.now(operands[0] if operands[1] in self._ones else operands[1])
        else:
            for x, y in (operands, operands[::-1]) if isinstance(node, Add) else ():
                if y in self._negatives and self._fit(operands, node):
                    self._now[result] = self._add(Subtract, node, self.now(x), self.now(self._negatives[y][0]))
                    return
            self._now[result] = self._append(node, tuple(map(self.now, operands)))

    def _as_product(self, node: Operation, operands: Operands) -> Product | None:
        """A result that is an arriving gradient times a factor which does not depend on it."""
        if not self._fit(operands, node):
            return None
        known = [self._products.get(operand) for operand in operands]
        if isinstance(node, Multiply):
            for (g, a), product in zip((operands, operands[::-1]), known, strict=True):
                if self._depends_on_state(g) and not self._depends_on_state(a):
                    if product is None:
                        return Product(self.now(g), self.now(a), node)
                    return Product(product.arriving, self._add(Multiply, node, product.factor, self.now(a)), node)
        elif isinstance(node, Add | Subtract | Negative):
            first, *others = known
            if first is not None and all(other is not None and other.arriving == first.arriving for other in others):
                factors = [product.factor for product in known if product is not None]
                return Product(first.arriving, self._add(type(node), node, *factors), node)
        return None

    def _add(self, kind: type[Operation], like: Operation, *operands: Operand) -> Operand:
        node = kind()
        node.shape, node.dtype, node.inputs, node.saved = like.shape, like.dtype, (None,) * len(operands), None
        return self._append(node, operands)

    def _append(self, node: Operation, operands: Operands) -> Operand:
        self.nodes.append(node)
        self.operands.append(operands)
        return Operand(RESULT, len(self.nodes) - 1)

    def _depends_on_state(self, operand: Operand) -> bool:
        return operand.kind == STATE or (operand.kind == RESULT and self._depends[operand.number])

    def _fit(self, operands: Operands, node: Operation) -> bool:
        """Whether the operands that are results have the shape of the node's own."""
        return all(operand.kind != RESULT or self._given[operand.number].shape == node.shape for operand in operands)
