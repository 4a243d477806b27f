"""Formulas of whole arrays: products of matrices, parts, sums over axes; and formulas with parts replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .algebra import add, call, is_zero, multiply, negative
from .expression import ADD, CONCATENATE, MATMUL, MULTIPLY, NEGATIVE, PART, RESHAPE, SUM, TRANSPOSE, Expr, Piece, Shape

__all__ = ["beside_zeros", "concatenate", "matmul", "part", "placed", "reshape", "transpose"]


def replaced(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The formula with every part for which ``change`` gives another replaced by that, from the top; built anew."""
    found = change(expr)
    if found is not None:
        return found
    args = tuple(replaced(arg, change) for arg in expr.args)
    return expr if args == expr.args else rebuilt(expr, args)


def rebuilt(expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """The same operation of other operands; the terms of a sum in their order."""
    if expr.kind == ADD:
        return add(*args)
    if expr.kind == MULTIPLY:
        return multiply(*args)
    if expr.kind == NEGATIVE:
        return negative(*args)
    return Expr(expr.kind, args, expr.what, expr.shape)


def matmul(a: Expr, b: Expr, shape: Shape) -> Expr:
    """The matrix product; of a column and a row the outer product of vectors."""
    if a.kind == NEGATIVE:
        return negative(matmul(a.args[0], b, shape))
    column, row = _vector(a, COLUMN, ROW), _vector(b, ROW, COLUMN)
    if column is not None and row is not None:
        return call("outer", column, row, shape=shape)
    return Expr(MATMUL, (a, b), None, shape)


COLUMN, ROW = ("[..., None]", "[:, None]"), ("[..., None, :]", "[None, :]", "[None]")
"""How a vector is made a matrix of one column, or of one row."""


def _vector(a: Expr, ways: Sequence[str], of_transpose: Sequence[str] = ()) -> Expr | None:
    """The vector that was made a matrix in one of these ways."""
    if a.kind == TRANSPOSE:
        return _vector(a.args[0], of_transpose)
    return a.args[0] if a.kind == PART and a.what in ways and len(a.args[0].shape) == 1 else None


def transpose(a: Expr) -> Expr:
    """The matrix with rows and columns exchanged."""
    if a.kind == TRANSPOSE:
        return a.args[0]
    if a.kind == NEGATIVE:
        return negative(transpose(a.args[0]))
    return Expr(TRANSPOSE, (a,), None, a.shape[::-1])


def placed(g: Expr, index: str, shape: Shape, exact: bool = True) -> Expr:
    """Zeros of that shape with ``g`` added at an index, which is ``exact`` if it takes no entry twice.

    What put axes of length 1 in is taken out again, and what was turned round is turned round again.
    """
    words = set(index[1:-1].split(", "))
    if words <= {":", "None"}:
        return part(g, index.replace("None", "0"), shape)
    if words <= {":", "::-1"}:
        return part(g, index, shape)
    return call("place", g, shape=shape, options=(index, exact))


def beside_zeros(parts: Sequence[Expr], axis: int, shape: Shape) -> Expr:
    """The parts side by side, those that are zeros left away."""
    terms, start = [], 0
    for g in parts:
        stop = start + g.shape[axis]
        if not is_zero(g):
            before, after = [":"] * axis, [":"] * (len(shape) - axis - 1)
            if g.kind == PART and g.what in (f"[{', '.join([*before, 'None', *rest])}]" for rest in ([], after)):
                terms.append(placed(g.args[0], f"[{', '.join([*before, str(start)])}]", shape))
            else:
                bounds = f"{start or ''}:{'' if stop == shape[axis] else stop}"
                terms.append(placed(g, f"[{', '.join([*before, bounds])}]", shape))
        start = stop
    return add(*terms)


def concatenate(parts: Sequence[Expr], axis: int, shape: Shape) -> Expr:
    """The parts side by side."""
    return Expr(CONCATENATE, tuple(parts), axis, shape)


def part(a: Expr, index: Any, shape: Shape) -> Expr:
    """The entries of ``a`` at an index: written as in Python, or as a `Piece`."""
    if a.kind == MATMUL:
        left, right = a.args
        column, row = _vector(right, COLUMN), _vector(left, ROW)
        if index in ("[..., 0]", "[:, 0]") and column is not None:
            return matmul(left, column, shape)
        if index in ("[..., 0, :]", "[0, :]", "[0]") and row is not None:
            return matmul(row, right, shape)
    if a.kind == SUM and a.what[1] and not isinstance(index, Piece):
        words = index[1:-1].split(", ")
        if {*a.what[0]} == {axis for axis, word in enumerate(words) if word == "0"} and {*words} <= {":", "0"}:
            return summed(a.args[0], a.what[0], False, shape)
    return Expr(PART, (a,), index, shape)


def summed(a: Expr, axes: tuple[int, ...], keepdims: bool, shape: Shape) -> Expr:
    """The sum over some axes."""
    if a.kind == NEGATIVE:
        return negative(summed(a.args[0], axes, keepdims, shape))
    return Expr(SUM, (a,), (axes, keepdims), shape)


def reshape(a: Expr, shape: Shape, written: str) -> Expr:
    """The same entries in another shape, which is written as in Python."""
    return a if a.shape == shape else Expr(RESHAPE, (a,), written, shape)
