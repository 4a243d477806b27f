"""The forward lines of a derivation: which values of a step get a line of their own, and what they are called.

A program has a line for each operation; a person writes fewer. There is a line for what has a name in the code, for the new
state, and for what the backward pass needs and cannot have for little: a product with a matrix, a function's value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Line, Program, Ref

from .expression import (
    ADD,
    CALL,
    CONCATENATE,
    MATMUL,
    MULTIPLY,
    NEGATIVE,
    NUMBER,
    PART,
    POWER,
    SYMBOL,
    Expr,
    Symbol,
    atom,
    ends,
    kinds,
    parts,
)
from .lines import FORWARD, Formula
from .naming import Names
from .reading import formula
from .writing import COMPARISONS

__all__ = ["Forward"]

CHEAP = {SYMBOL, NUMBER, ADD, MULTIPLY, NEGATIVE, POWER, PART, CALL}
ACTIVATIONS = {"tanh", "sigmoid", "relu", "exp", "softplus", "softmax"}


class Forward:
    """The values of a step, with their names and formulas.

    Args:
        program: the step.
        needed: the values that the backward pass needs.
        x, carry, consts, ys: what the inputs, the parts of the state, the consts and the outputs are called; of consts
            without a name the formula.
    """

    def __init__(
        self,
        program: Program,
        needed: Iterable[Ref],
        x: Sequence[str],
        carry: Sequence[str],
        consts: Sequence[str | Expr],
        ys: Sequence[str],
    ) -> None:
        self.program, self.carry = program, carry
        self.written = {Ref(CONST, k): const for k, const in enumerate(consts) if isinstance(const, Expr)}
        """The formulas of constants that have no name."""
        called = {Ref(CONST, k): name for k, name in enumerate(consts) if isinstance(name, str)}
        constants = [symbol.name for written in self.written.values() for symbol in ends(written)]
        self.names = Names((*x, *carry, *called.values(), *constants))
        self.symbols: dict[Ref, Symbol] = {Ref(XS, k): Symbol(name, 0) for k, name in enumerate(x)}
        """What the values are called that have a name."""
        self.symbols |= {Ref(CARRY, k): Symbol(name, -1) for k, name in enumerate(carry)}
        self.symbols |= {ref: Symbol(name) for ref, name in called.items()}
        self.gates: dict[Symbol, str] = {}
        """For the argument of a gate, the name of the gate."""
        self.kept: set[Ref] = set()
        """The values that a program would keep in a variable; of others that have a name it has the formula at each place."""
        self._users = _users(program.lines)
        self.fixed: set[Ref] = set()
        """The values that are the same at every step."""
        for k, line in enumerate(program.lines):
            if all(ref.kind == CONST or ref in self.fixed for ref in line.operands):
                self.fixed.add(Ref(LOCAL, k))
        self._formulas: dict[Ref, Expr] = {}
        self._name_results(ys)
        self._keep_what_is_needed(set(needed))

    def _name_results(self, ys: Sequence[str]) -> None:
        program = self.program
        for name, ref in zip(self.carry, program.new_carry, strict=True):
            if ref.kind == LOCAL and ref not in self.symbols:
                self._keep(ref, Symbol(name, 0))
        for name, ref in zip(ys, program.ys, strict=True):
            if ref.kind == LOCAL and ref not in self.symbols:
                own = program.lines[ref.number].name
                self._keep(ref, Symbol(self.names.new(own or name), 0))
        for k, line in enumerate(program.lines):
            if line.name is not None and Ref(LOCAL, k) not in self.symbols and not self._is_argument(k):
                self._keep(Ref(LOCAL, k), Symbol(self.names.new(line.name), 0))

    def _is_argument(self, k: int) -> bool:
        """Whether a value goes into an activation alone, which has taken its name: f = σ(f)."""
        users = [self.program.lines[user] for user in self._users.get(Ref(LOCAL, k), ())]
        name = self.program.lines[k].name
        return len(users) == 1 and users[0].op.label in ACTIVATIONS and users[0].name == name

    def _keep_what_is_needed(self, needed: set[Ref]) -> None:
        """Unnamed values that the backward pass needs, or the step itself more than once."""
        for k in range(len(self.program.lines)):
            ref = Ref(LOCAL, k)
            often = len(self._users.get(ref, ())) > 1
            if ref not in self.kept and (ref in needed or often) and not self._is_cheap(self.value(ref)):
                self._keep(ref, self._called(ref))

    def _keep(self, ref: Ref, symbol: Symbol) -> None:
        self.symbols[ref] = symbol._replace(time=None) if ref in self.fixed else symbol
        self.kept.add(ref)
        self._formulas.clear()

    def _is_cheap(self, expr: Expr) -> bool:
        """Whether a person would rather write it again than keep it."""
        calls = {inner.what[0] for inner in parts(expr) if inner.kind == CALL}
        return kinds(expr) <= CHEAP and calls <= COMPARISONS.keys() and len(list(ends(expr))) <= 2

    def value(self, ref: Ref) -> Expr:
        """A forward value: its symbol if it has a line, otherwise its formula."""
        if ref in self.written:
            return self.written[ref]
        if ref.kind != LOCAL or ref in self.symbols:
            return atom(self.symbols[ref], self.program.value(ref).shape)
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
            if ref in self.fixed:  # its gradient is added up over the steps
                self._keep(ref, self._called(ref))
            else:
                self.symbols[ref] = self._called(ref)
            self._formulas.clear()
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
        return Symbol(self.names.new("m" if MATMUL in kinds(expr) else "k"), 0)

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
        for k in self._users.get(ref, ()):
            line = self.program.lines[k]
            found += self._consumers(Ref(LOCAL, k)) if line.op.label in ("copy", "astype") else [k]
        return found

    def lines(self) -> list[Formula]:
        """The lines of the step, in the order of the code; what is not kept stands right before where it is used."""
        named = {symbol: ref for ref, symbol in self.symbols.items() if ref.kind == LOCAL}
        done: dict[Ref, Formula] = {}

        def write(ref: Ref) -> None:
            expr = self.formula(ref)
            for symbol in ends(expr):
                source = named.get(symbol)
                if source is not None and source not in self.kept and source not in done:
                    write(source)
            done[ref] = Formula(self.symbols[ref], expr, expr.shape, FORWARD, tuple(dict.fromkeys(ends(expr))))

        for ref in sorted(self.kept, key=lambda ref: ref.number):
            write(ref)
        return list(done.values())


def _users(lines: Iterable[Line]) -> dict[Ref, list[int]]:
    users: dict[Ref, list[int]] = {}
    for k, line in enumerate(lines):
        for operand in line.operands:
            users.setdefault(operand, []).append(k)
    return users
