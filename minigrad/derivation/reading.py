"""From a line of a program to its formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from minigrad.errors import ArgumentError
from minigrad.graph import Operation

from .algebra import add, call, divide, multiply, negative, power, subtract
from .arrays import concatenate, matmul, part, placed, reshape, summed, transpose
from .expression import Expr, Shape, number

__all__ = ["formula"]

Reader: TypeAlias = Callable[[Any, Sequence[Expr]], Expr]

FUNCTIONS = (
    "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "logaddexp", "abs", "relu", "maximum",
    "minimum", "clip",
)  # fmt: skip
"""Operations whose label is the name of the function that they apply to each entry."""


def formula(op: Operation, args: Sequence[Expr]) -> Expr:
    """What an operation gives, as a formula of its operands.

    Raises:
        ArgumentError: nobody has said how the operation is written.
    """
    reader = READERS.get(op.label)
    if reader is None:
        raise ArgumentError(
            f"derive: {op.described()} has no written form; those that have one are {', '.join(sorted(READERS))}"
        )
    return reader(op, args)


def _same(op: Operation, args: Sequence[Expr]) -> Expr:
    return args[0]


def _function(op: Operation, args: Sequence[Expr]) -> Expr:
    return call(op.label, *args)


def _matmul(op: Any, args: Sequence[Expr]) -> Expr:
    a, b = args
    return matmul(a, transpose(b) if op.transpose_b else b, op.shape)


def _transpose(op: Any, args: Sequence[Expr]) -> Expr:
    if len(op.shape) == 2 and op.axes in (None, (1, 0)):
        return transpose(args[0])
    return call("transpose", args[0], shape=op.shape, options=op.axes)


def _reshape(op: Operation, args: Sequence[Expr]) -> Expr:
    """Axes of length 1 that come or go are written as an index."""
    (a,), index, kept = args, [], 0
    for size in op.shape:
        if kept < len(a.shape) and a.shape[kept] == size:
            index.append(":")
            kept += 1
        else:
            index.append("None" if size == 1 else "")
    if kept == len(a.shape) and "" not in index:
        return a if "None" not in index else part(a, f"[{', '.join(index)}]", op.shape)
    return reshape(a, op.shape, str(op.shape))


def _sum(op: Any, args: Sequence[Expr]) -> Expr:
    return summed(args[0], op.axes, len(op.shape) == len(args[0].shape), op.shape)


def _mean(op: Any, args: Sequence[Expr]) -> Expr:
    return call("mean", args[0], shape=op.shape, options=(op.axes, len(op.shape) == len(args[0].shape)))


def _spread(op: Any, args: Sequence[Expr]) -> tuple[Any, ...]:
    """The axes of a variance, whether they stay in place, and what is subtracted from the number of entries."""
    return op.axes, len(op.shape) == len(args[0].shape), op.ddof


def _cut(op: Any, args: Sequence[Expr]) -> Expr:
    return part(args[0], indexed(op.span[3], args[0].shape), op.shape)


def _getitem(op: Any, args: Sequence[Expr]) -> Expr:
    return part(args[0], indexed(op.index), op.shape)


def indexed(index: Any, shape: Shape = ()) -> str:
    """An index as it is written in Python; of an array of that shape, bounds at its ends are left away.

    >>> indexed((slice(None), slice(0, 4)), (2, 8)), indexed(slice(4, 8), (8,)), indexed(3)
    ('[:, :4]', '[4:]', '[3]')
    """
    words = []
    for axis, entry in enumerate(index if isinstance(index, tuple) else (index,)):
        if isinstance(entry, slice):
            bounds: tuple[Any, ...] = (entry.start, entry.stop, entry.step)[: 2 if entry.step is None else 3]
            if shape and entry.step is None:
                bounds = (entry.start or None, None if entry.stop == shape[axis] else entry.stop)
            words.append(":".join("" if bound is None else str(bound) for bound in bounds))
        else:
            words.append("..." if entry is Ellipsis else repr(entry.tolist() if hasattr(entry, "tolist") else entry))
    return f"[{', '.join(words)}]"


def _softmax(op: Any, args: Sequence[Expr]) -> Expr:
    return call("softmax", args[0], options=op.axes)


def _flat(op: Any, args: Sequence[Expr]) -> Expr:
    return call(op.function.__name__, *args)


READERS: dict[str, Reader] = {
    "add": lambda op, args: add(*args),
    "sub": lambda op, args: subtract(*args),
    "mul": lambda op, args: multiply(*args),
    "div": lambda op, args: divide(*args),
    "pow": lambda op, args: power(*args),
    "neg": lambda op, args: negative(*args),
    "square": lambda op, args: power(args[0], number(2)),
    "matmul": _matmul,
    "transpose": _transpose,
    "reshape": _reshape,
    "broadcast_to": lambda op, args: call("broadcast_to", *args, shape=op.shape),
    "astype": _same,
    "copy": _same,
    "concatenate": lambda op, args: concatenate(args, op.axis, op.shape),
    "stack": lambda op, args: call("stack", *args, shape=op.shape, options=op.axis),
    "sum": _sum,
    "mean": _mean,
    "split": _cut,
    "getitem": lambda op, args: _cut(op, args) if hasattr(op, "span") else _getitem(op, args),
    "scatter": lambda op, args: placed(args[0], indexed(op.index), op.shape, op.exact),
    **dict.fromkeys(("take", "take_along_axis", "embedding", "flip", "repeat"), _getitem),
    "lookup": lambda op, args: call("lookup", *args, shape=op.shape),
    "softmax": _softmax,
    **dict.fromkeys(("var", "std"), lambda op, args: call(op.label, *args, shape=op.shape, options=_spread(op, args))),
    "einsum": lambda op, args: call("einsum", *args, shape=op.shape, options=op.subscripts),
    "cumsum": lambda op, args: call("cumsum", *args, shape=op.shape, options=op.axis),
    "flat": _flat,
    "switch": lambda op, args: multiply(args[0], args[2]),
    "where": lambda op, args: call("where", args[2], args[0], args[1]),
    **dict.fromkeys(FUNCTIONS, _function),
}
"""How each operation is written, by its label."""
