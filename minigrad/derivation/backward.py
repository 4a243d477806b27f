"""The backward lines of a derivation: which gradients get a line of their own, what they are, and in which order they stand.

There is a line for the gradient of each value that has a forward line, and for every other gradient that is used more than
once, such as that of the argument of a gate, which all its parameters need. Everything else is written where it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.loops.differentiate import OUTER, SCATTER, Contribution, Derivative
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Line, Ref

from .algebra import add, call, is_zero, negative
from .arrays import beside_zeros, matmul, part, summed, transpose
from .expression import (
    ADD,
    CALL,
    MULTIPLY,
    NEGATIVE,
    NUMBER,
    ONE,
    SYMBOL,
    Expr,
    Piece,
    Symbol,
    atom,
    ends,
    number,
    parts,
)
from .forward import Forward
from .lines import COTANGENT, INPUT, PARAMETER, STATE, WHOLE, Formula
from .ordering import arranged, ordered
from .reading import formula

__all__ = ["Backward"]


class Backward:
    """The gradients of a step, with their formulas.

    Args:
        forward: the values of the step; those whose gradient gets a line get a name.
        derivative: its derivative.

    Raises:
        ArgumentError: something in it has no written form.
    """

    def __init__(self, forward: Forward, derivative: Derivative) -> None:
        self.forward, self.derivative = forward, derivative
        self.owners: dict[Ref, Ref] = {}
        """For backward values that have a line, the forward value of which they are the gradient."""
        self._formulas: dict[Ref, Expr] = {}
        self._choose()

    def _choose(self) -> None:
        back = self.derivative
        lines = back.program.lines
        uses = Counter(operand for line in lines for operand in line.operands)
        uses.update([*(part.g for part in back.contributions), *back.program.new_carry, *back.program.ys])
        candidates: dict[Ref, list[Ref]] = {}
        for forward, ref in back.cotangents.items():
            if forward.kind == LOCAL and ref.kind == LOCAL:
                candidates.setdefault(ref, []).append(forward)
        for ref in sorted(candidates, key=lambda ref: ref.number):
            named = [forward for forward in candidates[ref] if forward in self.forward.kept]
            latest = max(named or candidates[ref], key=lambda forward: forward.number)
            if named or (uses[ref] > 1 and not self._is_trivial(self.gradient_formula(ref))):
                self.owners[ref] = latest
                self.forward.symbol(latest)
                self._formulas.clear()

    def _is_trivial(self, expr: Expr) -> bool:
        """Whether it is another gradient, up to a number, or stretched."""
        if expr.kind == CALL and expr.what[0] == "broadcast_to":
            return len(list(ends(expr.args[0]))) <= 2
        if expr.kind == NEGATIVE:
            return self._is_trivial(expr.args[0])
        if expr.kind == MULTIPLY and expr.args[0].kind == NUMBER and len(expr.args) == 2:
            return self._is_trivial(expr.args[1])
        return expr.kind in (SYMBOL, NUMBER)

    def gradient(self, ref: Ref) -> Expr:
        """A backward value: its symbol if it has a line, otherwise its formula."""
        back, program = self.derivative, self.derivative.program
        value = program.value(ref)
        if ref.kind == CONST:
            return self._const(ref)
        if ref.kind == CARRY:
            return atom(Symbol(self.forward.carry[back.carry[ref.number]], 0, "L₊"), value.shape)
        if ref.kind == XS:
            if ref.number < len(back.residuals):
                return self.forward.value(back.residuals[ref.number])
            y = self.forward.program.ys[back.ys[ref.number - len(back.residuals)]]
            return atom(self.forward.symbol(y).differential("L_t"), value.shape)
        if ref in self.owners:
            return atom(self._symbol(ref), value.shape)
        return self.gradient_formula(ref)

    def _symbol(self, ref: Ref) -> Symbol:
        """What a gradient is called that has a line."""
        return self.forward.symbol(self.owners[ref]).differential()

    def gradient_formula(self, ref: Ref) -> Expr:
        """What a line of the backward program says."""
        if ref not in self._formulas:
            line = self.derivative.program.lines[ref.number]
            args = self._sized(line, [self.gradient(operand) for operand in line.operands])
            self._formulas[ref] = (
                self._piece(line, args) or self._whole(line, args) or self._softplus(line, args) or formula(line.op, args)
            )
        return self._formulas[ref]

    def _sized(self, line: Line, args: list[Expr]) -> list[Expr]:
        """Sizes of what was reduced as those of a value, not as the numbers that they are in the example."""
        if line.origin is None or line.op.label not in ("broadcast_to", "div"):
            return args
        source = self.forward.program.lines[line.origin]
        atoms = [a for operand in source.operands for a in parts(self.forward.value(operand)) if a.kind == SYMBOL]
        if line.op.label == "broadcast_to":
            like = [a for a in atoms if a.shape == line.shape]
            return [*args, like[0]] if like else args
        op: Any = source.op
        if op.label not in ("mean", "var", "std") or args[1].kind != NUMBER or getattr(op, "ddof", False):
            return args
        like = [a for a in atoms if a.shape == op.shape_x]
        return [args[0], call("size", like[0], shape=(), options=op.axes)] if like else args

    def _piece(self, line: Line, args: Sequence[Expr]) -> Expr | None:
        """What a concatenation sends to one of its parts: the entries that stand where the part does."""
        if line.origin is None or not hasattr(line.op, "span"):
            return None
        source = self.forward.program.lines[line.origin]
        if source.op.label != "concatenate":
            return None
        axis, start, stop, _ = line.op.span
        bounds: Any = source.op
        if (start, stop) not in bounds.bounds or axis != bounds.axis:
            return None
        beside = tuple(self.forward.value(operand) for operand in source.operands)
        return part(args[0], Piece(bounds.bounds.index((start, stop)), axis, beside), line.op.shape)

    def _whole(self, line: Line, args: Sequence[Expr]) -> Expr | None:
        """What the parts that were cut out of a value send to it, where they are not all of it."""
        if line.origin is not None or line.op.label != "concatenate" or not any(map(is_zero, args)):
            return None
        op: Any = line.op
        return beside_zeros(args, op.axis, line.shape)

    def _softplus(self, line: Line, args: Sequence[Expr]) -> Expr | None:
        """−(1 − e⁻ʸ), which the derivative of y = softplus(x) computes as expm1(−y), so that nothing cancels."""
        if line.origin is None or line.op.label != "expm1":
            return None
        source = self.forward.program.lines[line.origin].op.label
        return negative(add(ONE, negative(call("exp", *args)))) if source == "softplus" else None

    def _const(self, ref: Ref) -> Expr:
        if ref.number < len(self.forward.program.consts):
            return self.forward.value(ref)
        value: Any = self.derivative.program.consts[ref.number]
        if value.number is not None:
            return number(value.number)
        array = np.asarray(self.derivative.literals[ref.number - len(self.forward.program.consts)])
        if array.size and (array == array.flat[0]).all():
            return call("full", number(float(array.flat[0])), shape=array.shape)
        raise ArgumentError(f"derive: the derivative has an array of constants in it, of shape {array.shape}, without a name")

    def lines(self) -> list[Formula]:
        """The lines of the backward pass of a step, each after those that it needs."""
        back = self.derivative
        places = {line.symbol: number for number, line in enumerate(self.forward.lines())}
        waiting = {ref: arranged(self.gradient_formula(ref), places) for ref in self.owners}
        in_order = [(ref, waiting[ref]) for ref in ordered(waiting, {ref: self._symbol(ref) for ref in waiting}, places)]
        lines = [
            Formula(self._symbol(ref), expr, expr.shape, COTANGENT, _path(expr))
            for ref, expr in in_order
            if self.owners[ref] not in self.forward.fixed
        ]
        sums = [(self._symbol(ref), expr) for ref, expr in in_order if self.owners[ref] in self.forward.fixed]
        added, whole = self._at_each_step([*sums, *self._of_parameters()])
        lines += added
        for j, ref in zip(back.xs, back.program.ys, strict=True):
            symbol = self.forward.symbols[Ref(XS, j)].differential()
            expr = arranged(self.gradient(ref), places)
            lines.append(Formula(symbol, expr, back.program.value(ref).shape, INPUT, _path(expr)))
        for i, ref in zip(back.carry, back.program.new_carry, strict=True):
            symbol = self.forward.symbols[Ref(CARRY, i)].differential("L₊")
            expr = arranged(self.gradient(ref), places)
            lines.append(Formula(symbol, expr, back.program.value(ref).shape, STATE, _path(expr)))
        return lines + whole

    def _at_each_step(self, sums: Iterable[tuple[Symbol, Expr]]) -> tuple[list[Formula], list[Formula]]:
        """What each step adds to gradients that are sums over all steps; and what is added when these sums are done."""
        added, whole = list[Formula](), list[Formula]()
        for symbol, expr in sums:
            terms = expr.args if expr.kind == ADD else (expr,)
            done = [term for term in terms if any(s.loss and s.time is None for s in ends(term))]
            each = [term for term in terms if term not in done]
            for found, kind, chosen in ((added, PARAMETER, each), (whole, WHOLE, done)):
                if chosen:
                    formula = add(*chosen) if len(chosen) > 1 else chosen[0]
                    found.append(Formula(symbol, formula, expr.shape, kind, _path(formula)))
        return added, whole

    def _of_parameters(self) -> list[tuple[Symbol, Expr]]:
        """The gradient of each parameter, in the order in which the forward lines name them."""
        appearance: dict[Symbol, int] = {}
        for line in self.forward.lines():
            for symbol in ends(line.formula):
                appearance.setdefault(symbol, len(appearance))
        sums: dict[int, list[Expr]] = {}
        for contribution in self.derivative.contributions:
            sums.setdefault(contribution.const, []).append(self._contribution(contribution))
        symbols, last, found = self.forward.symbols, len(appearance), []
        for const in sorted(sums, key=lambda const: appearance.get(symbols[Ref(CONST, const)], last)):
            ref = Ref(CONST, const)
            expr = add(*reversed(sums[const])) if len(sums[const]) > 1 else sums[const][0]
            found.append((symbols[ref].differential(), expr))
        return found

    def _contribution(self, contribution: Contribution) -> Expr:
        """What one use of a parameter adds to its gradient."""
        shape, g = self.forward.program.consts[contribution.const].shape, self.gradient(contribution.g)
        if contribution.form == OUTER and contribution.a is not None:
            a = self.forward.value(contribution.a)
            left, right = (g, a) if contribution.transposed else (a, g)
            return matmul(transpose(left), right, shape)
        if contribution.form == SCATTER and contribution.a is not None:
            return call("scatter", g, self.forward.value(contribution.a), shape=shape)
        g_shape = self.derivative.program.value(contribution.g).shape
        extra = len(g_shape) - len(shape)
        stretched = tuple(extra + k for k, size in enumerate(shape) if size == 1 and g_shape[extra + k] != 1)
        if stretched:
            g = summed(g, stretched, True, tuple(1 if k in stretched else size for k, size in enumerate(g_shape)))
        return summed(g, tuple(range(extra)), False, shape) if extra else g


def _path(expr: Expr) -> tuple[Symbol, ...]:
    """The values whose gradients a formula is made of."""
    return tuple(dict.fromkeys(symbol for symbol in ends(expr) if symbol.loss))
