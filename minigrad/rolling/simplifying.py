"""Algebra that takes work out of a loop over time, for a backward pass that was derived mechanically.

Three identities, applied wherever they hold:

- 1 ⊙ a = a;
- (g ⊙ a) ⊙ b = g ⊙ (a ⊙ b), where g comes from the step before, while a and b are known of all steps: their product is
  then computed for all steps at once, and the loop has one call less;
- x + (−y) = x − y.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import TypeAlias

from minigrad.graph import Operation
from minigrad.ops.arithmetic import Add, Multiply, Negative, Subtract
from minigrad.rolling.recording import RESULT, STATE, Operand

__all__ = ["Simplified"]

Operands: TypeAlias = tuple[Operand, ...]


class Simplified:
    """The same results by fewer operations: ``nodes`` and ``operands``, and ``now`` tells where a result is found.

    Args:
        nodes: operations, in order.
        operands: where the operands of each come from.
        wanted: the results that others need.
        ones: the constants that are the number 1.
    """

    def __init__(
        self, nodes: Sequence[Operation], operands: Sequence[Operands], wanted: Iterable[Operand], ones: Set[Operand]
    ) -> None:
        self.nodes: list[Operation] = []
        self.operands: list[Operands] = []
        self._given, self._given_operands = nodes, operands
        self._users: list[list[int]] = [[] for _ in nodes]
        self._depends: list[bool] = []
        for k, sources in enumerate(operands):
            self._depends.append(any(map(self._depends_on_state, sources)))
            for source in sources:
                if source.kind == RESULT:
                    self._users[source.number].append(k)
        self._wanted = {operand.number for operand in wanted if operand.kind == RESULT}
        self._now: dict[Operand, Operand] = {}
        self._put_off: dict[Operand, tuple[Operand, Operand]] = {}
        """Products that only others are computed from, as the two factors that now stand for them."""
        for k, node in enumerate(nodes):
            self._rewrite(k, node, Operand(RESULT, k), ones)

    def now(self, operand: Operand) -> Operand:
        """Where what ``operand`` says is found."""
        return self._now.get(operand, operand)

    def _rewrite(self, k: int, node: Operation, result: Operand, ones: Set[Operand]) -> None:
        operands = self._given_operands[k]
        if isinstance(node, Multiply):
            for one, other in (operands, operands[::-1]):
                if one in ones and self._fits(other, node):
                    self._now[result] = self.now(other)
                    return
            if (factors := self._state_and_factor(k)) is not None:
                state, factor = factors[0], self.now(factors[1])
                if state in self._put_off:
                    state, first = self._put_off[state]
                    factor = self._add(Multiply, node, (first, factor))
                else:
                    state = self.now(state)
                if self._is_passed_on(k):
                    self._put_off[result] = state, factor
                else:
                    self._now[result] = self._add(Multiply, node, (state, factor))
                return
        if isinstance(node, Negative) and self._is_subtracted(k):
            return
        if isinstance(node, Add):
            for x, y in (operands, operands[::-1]):
                if self._is_negative(y) and self._is_subtracted(y.number):
                    subtracted = self._given_operands[y.number][0]
                    self._now[result] = self._add(Subtract, node, (self.now(x), self.now(subtracted)))
                    return
        self.nodes.append(node)
        self.operands.append(tuple(map(self.now, operands)))
        self._now[result] = Operand(RESULT, len(self.nodes) - 1)

    def _add(self, kind: type[Operation], like: Operation, operands: Operands) -> Operand:
        node = kind()
        node.shape, node.dtype, node.inputs, node.saved = like.shape, like.dtype, (None, None), None
        self.nodes.append(node)
        self.operands.append(operands)
        return Operand(RESULT, len(self.nodes) - 1)

    def _depends_on_state(self, operand: Operand) -> bool:
        return operand.kind == STATE or (operand.kind == RESULT and self._depends[operand.number])

    def _fits(self, operand: Operand, node: Operation) -> bool:
        """Whether the operand has the shape of the node, if it is a result."""
        return operand.kind != RESULT or self._given[operand.number].shape == node.shape

    def _state_and_factor(self, k: int) -> Operands | None:
        """The operand that depends on the state, and the one that does not, of a product of two such of its shape."""
        node, operands = self._given[k], self._given_operands[k]
        if isinstance(node, Multiply) and all(self._fits(operand, node) for operand in operands):
            for state, factor in (operands, operands[::-1]):
                if self._depends_on_state(state) and not self._depends_on_state(factor):
                    return state, factor
        return None

    def _is_passed_on(self, k: int) -> bool:
        """Whether all that a product is used for is to be multiplied with other factors."""
        users, result = self._users[k], Operand(RESULT, k)
        factors = map(self._state_and_factor, users)
        return bool(users) and k not in self._wanted and all(pair is not None and pair[0] == result for pair in factors)

    def _is_subtracted(self, k: int) -> bool:
        """Whether all that a negative is used for is one sum, of its shape, with something that is no negative."""
        if len(self._users[k]) != 1 or k in self._wanted:
            return False
        (user,) = self._users[k]
        total, operands = self._given[user], self._given_operands[user]
        return isinstance(total, Add) and total.shape == self._given[k].shape and sum(map(self._is_negative, operands)) == 1

    def _is_negative(self, operand: Operand) -> bool:
        return operand.kind == RESULT and isinstance(self._given[operand.number], Negative)
