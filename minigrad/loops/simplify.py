"""Algebra that takes work out of the loop of a backward pass, which was derived mechanically.

A backward pass is linear in the gradients that arrive. So whatever is only multiplied, g ⊙ a ⊙ b …, is kept apart as g,
which the loop has to wait for, and one factor, which is known of all steps before the loop begins:

- (g ⊙ a) ⊙ b = g ⊙ (a ⊙ b)
- g ⊙ a ± g ⊙ b = g ⊙ (a ± b)
- −(g ⊙ a) = g ⊙ (−a)
- where(m, g, 0) = g ⊙ [m], with [m] = 1 where the mask m holds and 0 elsewhere; and so what is selected by one mask is added
  up first: where(m, g, 0) + where(m, a, 0) = (g + a) ⊙ [m]

The factors are computed for all steps at once; in the loop a call is left where g ⊙ factor itself is needed. Two more
identities: 1 ⊙ a = a and x + (−y) = x − y.

In floating-point numbers these identities hold as long as nothing overflows or underflows on either way, and what is left out
is finite. So factors larger than `LARGEST`, which may do that to g ⊙ a where g ⊙ (a ⊙ b) is fine, are not put together: the
loop is run as it was derived. And g ⊙ [m] has the sign of g where it is zero, which where(m, g, 0) has not: so a selection is a
factor only where that sign goes nowhere, as in sums, which begin with zero (`_with_signs`).
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad.graph import Operation
from minigrad.loops.differentiate import Derivative
from minigrad.loops.program import CARRY, CONST, LOCAL, Line, Program, Ref
from minigrad.loops.trace import Pass
from minigrad.ops.arithmetic import Add, Multiply, Negative, Subtract
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.kinks import Switch, Where
from minigrad.ops.matmul import Matmul

__all__ = ["LARGEST", "FactorDifference", "FactorProduct", "FactorSum", "simplified"]

Operands: TypeAlias = tuple[Ref, ...]


LARGEST: Final = {np.dtype(np.float16): 4.0, np.dtype(np.float32): 1e3, np.dtype(np.float64): 1e30}
"""How large factors may be that are put together."""


class FactorProduct(Multiply):
    """A product of two factors, multiplied ahead of what they apply to. Where it underflows it would be worth less than they
    are one after the other, so its kernel raises FloatingPointError there."""

    __slots__ = ("large",)
    large: list[int]
    """The operands that may be larger than `LARGEST`: where they are, the kernel raises FloatingPointError."""


class FactorSum(Add):
    """A sum of two factors."""

    __slots__ = ("large",)
    large: list[int]


class FactorDifference(Subtract):
    """A difference of two factors."""

    __slots__ = ("large",)
    large: list[int]


class Indicator(Operation):
    """[m]: 1 where a mask holds, or where it does not, and 0 elsewhere."""

    __slots__ = ("holds",)
    label, symbol = "indicator", "[·]"
    entrywise = True
    holds: bool

    @override
    def compute(self, mask: Any) -> Any:
        return mask if self.holds else np.logical_not(mask)


class Selection(NamedTuple):
    """What is known of ``where(mask, selected, 0)``, or of that with the mask's opposite, before it is computed."""

    selected: Ref
    mask: Ref
    holds: bool


HANDING_ON: Final = (Add, Subtract, Negative, Multiply, Where, Switch, Slice, Concatenate, Pass)
"""What hands the signs of zeros on, and does nothing else with them."""

OF_FACTORS: Final = {Add: FactorSum, Subtract: FactorDifference, Negative: Negative}


class Product(NamedTuple):
    """What is known of ``arriving ⊙ factor`` before it is computed; ``like`` is an operation with a result of that kind."""

    arriving: Ref
    factor: Ref
    like: Operation


def simplified(derivative: Derivative, small: Container[Ref] = ()) -> Derivative:
    """The same derivative by fewer lines in the body of the loop; ``small`` are the xs that are known to be at most 1."""
    program = derivative.program
    ones, zeros = ({Ref(CONST, k) for k, value in enumerate(program.consts) if value.number == one} for one in (1, 0))
    ends = [*program.new_carry, *program.ys, *(part.g for part in derivative.contributions)]
    simple = _Simplified(program, ends, ones, zeros, _with_signs(program), small)
    lines = tuple([Line(op, operands) for op, operands in zip(simple.nodes, simple.operands, strict=True)])
    new_carry, ys = tuple(map(simple.end, program.new_carry)), tuple(map(simple.end, program.ys))
    contributions = tuple([part._replace(g=simple.end(part.g)) for part in derivative.contributions])
    whole = Program(program.xs, program.carry, program.consts, lines, new_carry, ys)
    short, place = whole.pruned([part.g for part in contributions])
    return replace(
        derivative,
        program=short,
        contributions=tuple([part._replace(g=place[part.g]) for part in contributions]),
        cotangents={},
    )


def _with_signs(program: Program) -> set[Ref]:
    """The results the signs of whose zeros can be seen.

    A product of matrices begins each sum with zero, so it is never −0, whatever the signs of its operands' zeros; and what is
    added to it has its own sign, or none.
    """
    sums: set[Ref] = set()
    for k, line in enumerate(program.lines):
        if isinstance(line.op, Matmul) or (isinstance(line.op, Add) and sums.intersection(line.operands)):
            sums.add(Ref(LOCAL, k))
    seen = {*program.new_carry, *program.ys}
    for k, line in reversed(list(enumerate(program.lines))):
        hidden = Ref(LOCAL, k) in sums or (isinstance(line.op, HANDING_ON) and Ref(LOCAL, k) not in seen)
        if not hidden:
            seen.update(line.operands)
    return seen


class _Simplified:
    """The lines of a program, rewritten: ``nodes`` and ``operands``, and where a result is found `now`.

    Args:
        program: the lines.
        wanted: the results that others need.
        ones: the consts that are the number 1.
        zeros: those that are 0.
        with_signs: the results whose zeros have to keep their signs.
        small: the xs that are known to be at most 1.
    """

    def __init__(
        self,
        program: Program,
        wanted: Iterable[Ref],
        ones: set[Ref],
        zeros: set[Ref],
        with_signs: set[Ref],
        small: Container[Ref] = (),
    ) -> None:
        self.nodes: list[Operation] = []
        self.operands: list[Operands] = []
        self._given, self._ones, self._zeros = [line.op for line in program.lines], ones, zeros
        self._with_signs = with_signs
        self._depends: list[bool] = []
        self._now: dict[Ref, Ref] = {}
        self._products: dict[Ref, Product] = {}
        self._negatives: dict[Ref, tuple[Ref, Operation]] = {}
        self._selections: dict[Ref, Selection] = {}
        self._indicators: dict[tuple[Ref, bool], Ref] = {}
        self._program, self._small = program, small
        self._bounds: list[float] = []
        """How large the results may be."""
        for k, line in enumerate(program.lines):
            self._depends.append(any(map(self._depends_on_state, line.operands)))
            self._rewrite(line.op, line.operands, Ref(LOCAL, k))
        for operand in wanted:
            self.end(operand)

    def end(self, operand: Ref) -> Ref:
        """Where an end of the program is found: always a line."""
        found = self.now(operand)
        if found.kind != LOCAL:
            found = self._now[operand] = self._add(Pass, self._given[operand.number], found)
        return found

    def now(self, operand: Ref) -> Ref:
        """Where what ``operand`` says is found."""
        if operand.kind != LOCAL:
            return operand
        if operand not in self._now:
            if operand in self._products:
                arriving, factor, like = self._products[operand]
                self._now[operand] = self._add(Multiply, like, arriving, factor)
            else:
                negated, like = self._negatives[operand]
                self._now[operand] = self._add(Negative, like, self.now(negated))
        return self._now[operand]

    def _rewrite(self, node: Operation, operands: Operands, result: Ref) -> None:
        if not self._fit(operands, node):
            product = None
        else:
            selection = None if result in self._with_signs else self._as_selection(node, operands)
            if selection is not None:
                self._selections[result] = selection
            product = self._as_product(node, operands, selection)
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

    def _as_selection(self, node: Operation, operands: Operands) -> Selection | None:
        """A result that is something where a mask, which is known before the loop, says so, and zero elsewhere."""
        if isinstance(node, Switch):
            selected, _, mask = operands
            return None if self._depends_on_state(mask) else Selection(selected, mask, True)
        if isinstance(node, Where) and not self._depends_on_state(operands[-1]):
            first, second, mask = operands
            if second in self._zeros:
                return Selection(first, mask, True)
            if first in self._zeros:
                return Selection(second, mask, False)
        return None

    def _indicator(self, mask: Ref, holds: bool, like: Operation) -> Ref:
        """The factor that a selection is."""
        if (mask, holds) not in self._indicators:
            self._indicators[mask, holds] = found = self._add(Indicator, like, self.now(mask))
            node = self.nodes[found.number]
            assert isinstance(node, Indicator)
            node.shape, node.holds = self._program.value(mask).shape, holds
        return self._indicators[mask, holds]

    def _as_product(self, node: Operation, operands: Operands, selection: Selection | None) -> Product | None:
        """A result that is an arriving gradient times a factor which does not depend on it."""
        known = [self._products.get(operand) for operand in operands]
        if isinstance(node, Multiply):
            for g, a in (operands, operands[::-1]):
                if self._depends_on_state(g) and not self._depends_on_state(a):
                    return self._scaled(g, self.now(a), node)
        elif selection is not None:
            if self._depends_on_state(selection.selected):
                return self._scaled(selection.selected, self._indicator(*selection[1:], node), node)
        elif isinstance(node, Add | Subtract | Negative):
            first, *others = known
            if first is not None and all(other is not None and other.arriving == first.arriving for other in others):
                factors = [product.factor for product in known if product is not None]
                return Product(first.arriving, self._add(OF_FACTORS[type(node)], node, *factors), node)
            return self._sum_of_selections(node, operands) if isinstance(node, Add) else None
        return None

    def _scaled(self, g: Ref, factor: Ref, node: Operation) -> Product:
        """What is sent, times a factor."""
        product = self._products.get(g)
        if product is None:
            return Product(self.now(g), factor, node)
        return Product(product.arriving, self._add(FactorProduct, node, product.factor, factor), node)

    def _sum_of_selections(self, node: Operation, operands: Operands) -> Product | None:
        """What is added up after one mask has selected all of it: the mask may do that once, afterwards."""
        first, second = map(self._selections.get, operands)
        if first is None or second is None or first[1:] != second[1:] or not any(map(self._depends_on_state, operands)):
            return None
        total = self._add(Add, node, self.now(first.selected), self.now(second.selected))
        return Product(total, self._indicator(*first[1:], node), node)

    def _add(self, kind: type[Operation], like: Operation, *operands: Ref) -> Ref:
        node = kind()
        node.shape, node.dtype, node.name, node.place = like.shape, like.dtype, None, like.place
        node.sources, node.saved = (None,) * len(operands), None
        if isinstance(node, FactorProduct | FactorSum | FactorDifference):
            node.large = [k for k, operand in enumerate(operands) if self._bound(operand) > LARGEST[node.dtype]]
        return self._append(node, operands)

    def _append(self, node: Operation, operands: Operands) -> Ref:
        self.nodes.append(node)
        self.operands.append(operands)
        bounds = [self._bound(operand) for operand in operands]
        is_sum = isinstance(node, Add | Subtract | Negative | Pass)
        known = math.prod(bounds) if isinstance(node, Multiply) else sum(bounds) if is_sum else math.inf
        self._bounds.append(1.0 if isinstance(node, Indicator) else known)
        return Ref(LOCAL, len(self.nodes) - 1)

    def _bound(self, operand: Ref) -> float:
        """How large an operand may be, as far as that is known."""
        if operand.kind == LOCAL:
            return self._bounds[operand.number]
        number = self._program.consts[operand.number].number if operand.kind == CONST else None
        return 1.0 if operand in self._small else math.inf if number is None else abs(number)

    def _depends_on_state(self, operand: Ref) -> bool:
        return operand.kind == CARRY or (operand.kind == LOCAL and self._depends[operand.number])

    def _fit(self, operands: Operands, node: Operation) -> bool:
        """Whether the operands that are results have the shape of the node's own."""
        return all(operand.kind != LOCAL or self._given[operand.number].shape == node.shape for operand in operands)
