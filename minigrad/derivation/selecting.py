"""Which values of a step and of its derivative get a line of their own, and what each line says.

A program has a line for each operation, forward and backward. A person writes fewer. Forward there is a line for what has a
name in the code, for the new state, and for what the backward pass needs and cannot have for little (a product with a
matrix, a function's value). Backward there is a line for the gradient of each of these, and for every other gradient that
is used more than once, such as that of the argument of a gate, which all its parameters need. Everything else is written
where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad.loops.differentiate import OUTER, SCATTER, Contribution, Derivative
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Line, Program, Ref

from .expression import (
    ADD,
    CALL,
    CONCATENATE,
    MATMUL,
    MULTIPLY,
    NEGATIVE,
    NUMBER,
    POWER,
    SYMBOL,
    Expr,
    Piece,
    Symbol,
    add,
    atom,
    call,
    ends,
    matmul,
    number,
    part,
    parts,
    summed,
    transpose,
)
from .naming import Names
from .reading import formula

__all__ = ["COTANGENT", "FORWARD", "INPUT", "PARAMETER", "STATE", "Formula", "Selection"]

FORWARD, COTANGENT, PARAMETER, INPUT, STATE = "forward", "cotangent", "parameter", "input", "state"
CHEAP = {SYMBOL, NUMBER, ADD, MULTIPLY, NEGATIVE, POWER}
ACTIVATIONS = {"tanh", "sigmoid", "relu", "exp", "softplus", "softmax"}


@dataclass(frozen=True)
class Formula:
    """A line of a derivation: ``symbol = formula``.

    Attributes:
        symbol: what the line gives: a value of the step, or ∂L/∂ of one.
        formula: what it is.
        shape: its shape, for the example that was traced.
        kind: FORWARD; COTANGENT, the gradient of a value of the step; PARAMETER, what step t adds to the gradient of a
            parameter; INPUT and STATE, what step t sends to its input, and to the state before it.
        path: the values through which the gradient comes here: the chain rule has gone from the loss to these, and goes on
            from these to this value. Of a forward line what it is computed from.
    """

    symbol: Symbol
    formula: Expr
    shape: tuple[int, ...]
    kind: str
    path: tuple[Symbol, ...] = field(default=())


class Selection:
    """The lines of a derivation.

    Args:
        program: the step.
        derivative: its derivative.
        x, carry, consts, ys: what the inputs, the parts of the state, the consts and the outputs are called.
    """

    def __init__(
        self,
        program: Program,
        derivative: Derivative,
        x: Sequence[str],
        carry: Sequence[str],
        consts: Sequence[str],
        ys: Sequence[str],
    ) -> None:
        self.program, self.derivative = program, derivative
        self.carry, self.ys = carry, ys
        self.names = Names((*x, *carry, *consts))
        self.symbols: dict[Ref, Symbol] = {Ref(XS, k): Symbol(name, 0) for k, name in enumerate(x)}
        self.symbols |= {Ref(CARRY, k): Symbol(name, -1) for k, name in enumerate(carry)}
        self.symbols |= {Ref(CONST, k): Symbol(name) for k, name in enumerate(consts)}
        self.gates: dict[Symbol, str] = {}
        """For the argument of a gate, the name of the gate."""
        self.users = _users(program.lines)
        self.written: set[Ref] = set()
        """The forward values that have a line."""
        self._formulas: dict[Ref, Expr] = {}
        self._name_results()
        self._write_what_is_needed()
        self.owners: dict[Ref, Ref] = {}
        """For backward values that have a line, the forward value of which they are the gradient."""
        self._gradients: dict[Ref, Expr] = {}
        self._choose_gradients()

    # ---------------------------------------------------------------- forward

    def _name_results(self) -> None:
        program = self.program
        for name, ref in zip(self.carry, program.new_carry, strict=True):
            if ref.kind == LOCAL and ref not in self.symbols:
                self._write(ref, Symbol(name, 0))
        for name, ref in zip(self.ys, program.ys, strict=True):
            if ref.kind == LOCAL and ref not in self.symbols:
                own = program.lines[ref.number].name
                self._write(ref, Symbol(self.names.new(own or name), 0))
        for k, line in enumerate(program.lines):
            if line.name is not None and Ref(LOCAL, k) not in self.symbols:
                self._write(Ref(LOCAL, k), Symbol(self.names.new(line.name), 0))

    def _write_what_is_needed(self) -> None:
        """Lines for unnamed values that the backward pass needs, or the step itself more than once."""
        needed = {ref for ref in self.derivative.residuals if ref.kind == LOCAL}
        needed |= {c.a for c in self.derivative.contributions if c.a is not None and c.a.kind == LOCAL}
        for k in range(len(self.program.lines)):
            ref = Ref(LOCAL, k)
            often = len(self.users.get(ref, ())) > 1
            if ref not in self.written and (ref in needed or often) and not self._is_cheap(self.value(ref)):
                self._write(ref, self.symbol(ref))

    def _write(self, ref: Ref, symbol: Symbol) -> None:
        self.symbols[ref] = symbol
        self.written.add(ref)
        self._formulas.clear()

    def _is_cheap(self, expr: Expr) -> bool:
        """Whether a person would rather write it again than keep it."""
        return _kinds(expr) <= CHEAP and len(list(ends(expr))) <= 2

    def value(self, ref: Ref) -> Expr:
        """A forward value: its symbol if it has a line, otherwise its formula."""
        value = self.program.value(ref)
        if ref.kind == CONST and getattr(value, "number", None) is not None:
            return number(value.number)  # type: ignore[union-attr, arg-type]
        if ref.kind != LOCAL or ref in self.symbols:
            return atom(self.symbols[ref], value.shape)
        return self.formula(ref)

    def formula(self, ref: Ref) -> Expr:
        """What a line of the program says."""
        if ref not in self._formulas:
            line = self.program.lines[ref.number]
            self._formulas[ref] = formula(line.op, [self.value(operand) for operand in line.operands])
        return self._formulas[ref]

    def symbol(self, ref: Ref) -> Symbol:
        """What a forward value is called; those that have no name get one here."""
        if ref not in self.symbols:
            self.symbols[ref] = self._called(ref)
        return self.symbols[ref]

    def _called(self, ref: Ref) -> Symbol:
        """a_f for the argument of f = σ(…); tanh(c) for a function's value; otherwise m for products with matrices, k."""
        consumers = self._consumers(ref)
        if len(consumers) == 1:
            result = Ref(LOCAL, consumers[0])
            line = self.program.lines[consumers[0]]
            if line.op.label in ACTIVATIONS:
                argument_of = self.symbols.get(result) or self._activation(result)
                symbol = Symbol(self.names.new(f"a_{argument_of.name}"), 0)
                self.gates[symbol] = argument_of.name
                return symbol
        expr = self.formula(ref)
        if expr.kind == CALL and expr.what[0] in ACTIVATIONS and expr.args[0].kind == SYMBOL and not expr.args[0].what.function:
            inner: Symbol = expr.args[0].what
            if inner.time == 0:
                return inner._replace(function=expr.what[0])
        if expr.kind == CONCATENATE and all(arg.kind == SYMBOL for arg in expr.args):
            return Symbol(self.names.new("".join(arg.what.name for arg in expr.args)), 0)
        return Symbol(self.names.new("m" if MATMUL in _kinds(expr) else "k"), 0)

    def _activation(self, ref: Ref) -> Symbol:
        """The name of a gate that the code gives none: that of the only value it goes into, if there is one."""
        for consumer in self._consumers(ref):
            found = self.symbols.get(Ref(LOCAL, consumer))
            if found is not None:
                return found
        return Symbol("k", 0)

    def _consumers(self, ref: Ref) -> list[int]:
        """The lines that use a value, those that hand it on unchanged passed over."""
        found: list[int] = []
        for k in self.users.get(ref, ()):
            line = self.program.lines[k]
            found += self._consumers(Ref(LOCAL, k)) if line.op.label in ("copy", "astype") else [k]
        return found

    # ---------------------------------------------------------------- backward

    def _choose_gradients(self) -> None:
        back = self.derivative
        lines = back.program.lines
        uses: dict[Ref, int] = {}
        ends_of = [c.g for c in back.contributions] + [*back.program.new_carry, *back.program.ys]
        for ref in [operand for line in lines for operand in line.operands] + ends_of:
            uses[ref] = uses.get(ref, 0) + 1
        candidates: dict[Ref, list[Ref]] = {}
        for forward, ref in back.cotangents.items():
            if forward.kind == LOCAL and ref.kind == LOCAL:
                candidates.setdefault(ref, []).append(forward)
        for ref in sorted(candidates, key=lambda ref: ref.number):
            named = [forward for forward in candidates[ref] if forward in self.written]
            latest = max(named or candidates[ref], key=lambda forward: forward.number)
            if named or (uses.get(ref, 0) > 1 and not self._is_trivial(self.gradient_formula(ref))):
                self.owners[ref] = latest
                self.symbol(latest)
                self._formulas.clear()
                self._gradients.clear()

    def _is_trivial(self, expr: Expr) -> bool:
        """Whether it is another gradient, up to a number."""
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
            part = back.carry[ref.number]
            return atom(Symbol(self.carry[part], 0, "L₊"), value.shape)
        if ref.kind == XS:
            if ref.number < len(back.residuals):
                return self.value(back.residuals[ref.number])
            y = self.program.ys[back.ys[ref.number - len(back.residuals)]]
            return atom(self.symbol(y).differential("L_t"), value.shape)
        if ref in self.owners:
            return atom(self._differential(self.owners[ref], ref), value.shape)
        return self.gradient_formula(ref)

    def _differential(self, forward: Ref, ref: Ref) -> Symbol:
        """The symbol of a gradient; what comes back from the next step unchanged keeps its own."""
        return self.symbol(forward).differential()

    def gradient_formula(self, ref: Ref) -> Expr:
        """What a line of the backward program says."""
        if ref not in self._gradients:
            line = self.derivative.program.lines[ref.number]
            args = self._sized(line, [self.gradient(operand) for operand in line.operands])
            self._gradients[ref] = self._piece(line, args) or formula(line.op, args)
        return self._gradients[ref]

    def _sized(self, line: Line, args: list[Expr]) -> list[Expr]:
        """Sizes of what was reduced as those of a value, not as the numbers that they are in the example."""
        if line.origin is None or line.op.label not in ("broadcast_to", "div"):
            return args
        source = self.program.lines[line.origin]
        atoms = [a for operand in source.operands for a in parts(self.value(operand)) if a.kind == SYMBOL]
        if line.op.label == "broadcast_to":
            like = [a for a in atoms if a.shape == line.shape]
            return [*args, like[0]] if like else args
        if source.op.label != "mean" or args[1].kind != NUMBER:
            return args
        op: Any = source.op
        like = [a for a in atoms if a.shape == op.shape_x]
        return [args[0], call("size", like[0], shape=(), options=op.axes)] if like else args

    def _piece(self, line: Line, args: Sequence[Expr]) -> Expr | None:
        """What a concatenation sends to one of its parts: the entries that stand where the part does."""
        if line.origin is None or not hasattr(line.op, "span"):
            return None
        source = self.program.lines[line.origin]
        if source.op.label != "concatenate":
            return None
        axis, start, stop, _ = line.op.span
        bounds: Any = source.op
        if (start, stop) not in bounds.bounds or axis != bounds.axis:
            return None
        beside = tuple(self.value(operand) for operand in source.operands)
        return part(args[0], Piece(bounds.bounds.index((start, stop)), axis, beside), line.op.shape)

    def _const(self, ref: Ref) -> Expr:
        if ref.number < len(self.program.consts):
            return self.value(ref)
        value: Any = self.derivative.program.consts[ref.number]
        if value.number is not None:
            return number(value.number)
        array = np.asarray(self.derivative.literals[ref.number - len(self.program.consts)])
        if array.size and (array == array.flat[0]).all():
            return call("full", number(float(array.flat[0])), shape=array.shape)
        return atom(Symbol("constant"), array.shape)

    # ---------------------------------------------------------------- the lines

    def forward_lines(self) -> list[Formula]:
        """The lines of the step, in the order of the code; what is not kept stands right before where it is used."""
        named = {symbol: ref for ref, symbol in self.symbols.items() if ref.kind == LOCAL}
        done: dict[Ref, Formula] = {}

        def write(ref: Ref) -> None:
            expr = self.formula(ref)
            for symbol in ends(expr):
                source = named.get(symbol)
                if source is not None and source not in self.written and source not in done:
                    write(source)
            done[ref] = Formula(self.symbols[ref], expr, expr.shape, FORWARD, tuple(dict.fromkeys(ends(expr))))

        for ref in sorted(self.written, key=lambda ref: ref.number):
            write(ref)
        return list(done.values())

    def backward_lines(self) -> list[Formula]:
        """The lines of the backward pass of a step, each after those that it needs."""
        back = self.derivative
        waiting = {ref: self._arranged(self.gradient_formula(ref)) for ref in self.owners}
        lines = [self._line(ref, waiting[ref]) for ref in self._ordered(waiting)]
        lines += self._of_parameters()
        for j, ref in zip(back.xs, back.program.ys, strict=True):
            symbol = self.symbols[Ref(XS, j)].differential()
            expr = self._arranged(self.gradient(ref))
            lines.append(Formula(symbol, expr, back.program.value(ref).shape, INPUT, _path(expr)))
        for i, ref in zip(back.carry, back.program.new_carry, strict=True):
            symbol = self.symbols[Ref(CARRY, i)].differential("L₊")
            expr = self._arranged(self.gradient(ref))
            lines.append(Formula(symbol, expr, back.program.value(ref).shape, STATE, _path(expr)))
        return lines

    def _arranged(self, expr: Expr) -> Expr:
        """The contributions to a gradient in the order of a person: the loss of this step, the ways without a matrix, then
        those through a matrix, gate by gate, at last what comes back from the next step."""
        if expr.kind != ADD:
            return expr
        place = {symbol: ref.number for ref, symbol in self.symbols.items() if ref.kind == LOCAL}

        def order(term: Expr) -> tuple[int, bool, int]:
            losses = [symbol for symbol in ends(term) if symbol.loss]
            first = losses[0] if losses else Symbol("")
            through_matrix = MATMUL in _kinds(term)
            number_ = place.get(first._replace(loss=""), 0) if through_matrix else 0
            return {"L_t": 0, "L₊": 2}.get(first.loss, 1), through_matrix, number_

        return replace(expr, args=tuple(sorted(expr.args, key=order)))

    def _line(self, ref: Ref, expr: Expr) -> Formula:
        symbol = self._differential(self.owners[ref], ref)
        return Formula(symbol, expr, expr.shape, COTANGENT, _path(expr))

    def _ordered(self, waiting: dict[Ref, Expr]) -> list[Ref]:
        """From the loss down; on one level as in the code; arguments of gates as late as possible."""
        symbol_of = {self._differential(self.owners[ref], ref): ref for ref in waiting}
        needs = {ref: {symbol_of[s] for s in ends(expr) if s in symbol_of} - {ref} for ref, expr in waiting.items()}
        needed = {ref for refs in needs.values() for ref in refs}
        level: dict[Ref, int] = {}
        for ref in sorted(waiting, key=lambda ref: ref.number):
            level[ref] = 1 + max((level[other] for other in needs[ref]), default=-1)

        def order(ref: Ref) -> tuple[bool, int, int]:
            return ref not in needed, level[ref] if ref in needed else 0, self.owners[ref].number

        done: list[Ref] = []
        left = set(waiting)
        while left:
            ready = min((ref for ref in left if needs[ref] <= set(done)), key=order)
            done.append(ready)
            left.remove(ready)
        return done

    def _of_parameters(self) -> list[Formula]:
        """What step t adds to the gradient of each parameter, in the order in which the forward lines name them."""
        appearance: dict[Symbol, int] = {}
        for line in self.forward_lines():
            for symbol in ends(line.formula):
                appearance.setdefault(symbol, len(appearance))
        sums: dict[int, list[Expr]] = {}
        for contribution in self.derivative.contributions:
            sums.setdefault(contribution.const, []).append(self._contribution(contribution))
        lines = []
        for const in sorted(sums, key=lambda const: appearance.get(self.symbols[Ref(CONST, const)], len(appearance))):
            ref = Ref(CONST, const)
            expr = add(*reversed(sums[const])) if len(sums[const]) > 1 else sums[const][0]
            lines.append(Formula(self.symbols[ref].differential(), expr, self.program.value(ref).shape, PARAMETER, _path(expr)))
        return lines

    def _contribution(self, contribution: Contribution) -> Expr:
        """What one use of a parameter adds to its gradient."""
        shape, g = self.program.consts[contribution.const].shape, self.gradient(contribution.g)
        if contribution.form == OUTER and contribution.a is not None:
            a = self.value(contribution.a)
            left, right = (g, a) if contribution.transposed else (a, g)
            return matmul(transpose(left), right, shape)
        if contribution.form == SCATTER and contribution.a is not None:
            return call("scatter", g, self.value(contribution.a), shape=shape)
        g_shape = self.derivative.program.value(contribution.g).shape
        extra = len(g_shape) - len(shape)
        stretched = tuple(extra + k for k, size in enumerate(shape) if size == 1 and g_shape[extra + k] != 1)
        if stretched:
            g = summed(g, stretched, True, tuple(1 if k in stretched else size for k, size in enumerate(g_shape)))
        return summed(g, tuple(range(extra)), False, shape) if extra else g


def _users(lines: Iterable[Line]) -> dict[Ref, list[int]]:
    users: dict[Ref, list[int]] = {}
    for k, line in enumerate(lines):
        for operand in line.operands:
            users.setdefault(operand, []).append(k)
    return users


def _kinds(expr: Expr) -> set[str]:
    return {inner.kind for inner in parts(expr)}


def _path(expr: Expr) -> tuple[Symbol, ...]:
    """The values whose gradients a formula is made of."""
    return tuple(dict.fromkeys(symbol for symbol in ends(expr) if symbol.loss))


