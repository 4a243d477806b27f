"""Formulas as data: symbols and numbers at the ends of a tree, operations above them.

A formula is only ever built by the functions of `algebra` and `arrays`, which leave away what nobody writes down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "ADD",
    "CALL",
    "CONCATENATE",
    "DIVIDE",
    "MATMUL",
    "MULTIPLY",
    "NEGATIVE",
    "NUMBER",
    "ONE",
    "PART",
    "POWER",
    "RESHAPE",
    "SUM",
    "TRANSPOSE",
    "ZERO",
    "Expr",
    "Piece",
    "Shape",
    "number",
    "parts",
]

Shape: TypeAlias = tuple[int, ...]


SYMBOL, NUMBER, ADD, NEGATIVE, MULTIPLY, DIVIDE, POWER = "symbol", "number", "add", "negative", "multiply", "divide", "power"


MATMUL, TRANSPOSE, CALL, CONCATENATE, PART = "matmul", "transpose", "call", "concatenate", "part"


SUM, RESHAPE = "sum", "reshape"


class Symbol(NamedTuple):
    """A name in a formula.

    ``time`` says at which step: 0 for t, −1 for t − 1; None for what is the same at every step. With a ``function`` such as
    "tanh" it is the value that this function has of it. ``loss`` is "" for the value itself; "L" for the gradient of the whole
    loss with respect to it, "L_t" for what the loss of step t sends to it directly, and "L₊" for what comes back to it from
    the step after it.
    """

    name: str
    time: int | None = None
    loss: str = ""
    function: str = ""

    def differential(self, loss: str = "L") -> Symbol:
        """∂L/∂ of it."""
        return self._replace(loss=loss)


@dataclass(frozen=True, slots=True)
class Expr:
    """A formula.

    Attributes:
        kind: what is done, one of the kinds of this file.
        args: what it is done to.
        what: what else decides the result: the symbol, the number, the function, the axis.
        shape: the shape of the result for the example that was traced.
    """

    kind: str
    args: tuple[Expr, ...] = ()
    what: Any = None
    shape: Shape = ()


def atom(symbol: Symbol, shape: Shape) -> Expr:
    """A symbol."""
    return Expr(SYMBOL, (), symbol, shape)


def number(value: float) -> Expr:
    """A number: 1 and 1.0 are the same one."""
    return Expr(NUMBER, (), int(value) if float(value).is_integer() and abs(value) < 1e15 else float(value))


ONE, ZERO = number(1), number(0)


def parts(expr: Expr) -> Iterator[Expr]:
    """A formula and all formulas in it, from left to right."""
    yield expr
    for arg in expr.args:
        yield from parts(arg)


def ends(expr: Expr) -> Iterator[Symbol]:
    """The symbols of a formula, from left to right, each as often as it occurs."""
    return (part.what for part in parts(expr) if part.kind == SYMBOL)


def kinds(expr: Expr) -> set[str]:
    """Everything that is done in a formula."""
    return {inner.kind for inner in parts(expr)}


class Piece(NamedTuple):
    """The part of a concatenation that is one of its ``parts``, which stand side by side along ``axis``."""

    number: int
    axis: int
    parts: tuple[Expr, ...]
