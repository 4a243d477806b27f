"""Activations that the forward pass spells out, such as 1 / (1 + exp(−x)), recognised as the one operation they are.

They are recognised by their values: a result that equals σ(x) in every entry, where x is all that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.checks.tracing import Hole, Line, Tape, vjp_of
from minigrad.reporting import reporting

__all__ = ["ACTIVATIONS", "fuse"]

ACTIVATIONS = frozenset({"sigmoid", "tanh", "relu", "softplus", "softmax", "log_softmax"})
PARTS = frozenset(
    {
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "exp",
        "pow",
        "square",
        "max",
        "sum",
        "where",
        "maximum", "clip", "abs", "tanh",
        "reshape",
        "log",
        "write",
        "getitem",
        "broadcast_to",
    }
)
DEPTH = 24
KNOWN: dict[str, Any] = {"sigmoid": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu}


def fuse(tape: Tape) -> None:
    """Replace what ends in the value of a known activation by that activation, as far as the lines go."""
    with reporting(all="ignore"):
        for line in tape.lines:
            if line.op in ("div", "mul", "add", "sub", "where", "maximum", "log"):
                found = list(_recognised(line))
                if found:
                    name, x, keywords = found[-1]  # the deepest: softmax sees through the maximum that is subtracted first
                    line.op, line.operands = name, (x,)
                    line.compute, line.at = vjp_of(getattr(ops, name), keywords)
                    line.vjp, line.given = line.at((x.value,)), (Hole(0),)


def _recognised(line: Line) -> Iterator[tuple[str, Line, dict[str, Any]]]:
    y = line.value
    if y.ndim == 0 or y.size < 2:
        return
    first = y.item(0)  # a probability, perhaps, or the logarithm of one
    possible = [*(["softmax"] if 0 <= first <= 1 + 1e-9 else []), *(["log_softmax"] if first <= 1e-9 else [])]
    for x in _bottlenecks(line):
        if x.value.shape != y.shape:
            continue
        for name, function in KNOWN.items():
            if _equal(function(x.value).numpy(), y):
                yield name, x, {}
        for axis in range(y.ndim):
            for name in possible:
                if y.shape[axis] > 1 and _equal(getattr(ops, name)(x.value, axis).numpy(), y):
                    yield name, x, {"axis": axis}
        if "softmax" not in possible or (y.ndim == 2 and 1 in y.shape):
            continue
        if _equal(ops.softmax(x.value, tuple(range(y.ndim))).numpy(), y) and y.ndim > 1:
            yield "softmax", x, {"axis": tuple(range(y.ndim))}


def _equal(a: Any, b: Any) -> bool:
    """Whether two arrays are equal but for rounding: the first entries tell of most that they are not."""
    first, other = a.item(0), b.item(0)
    near = first == other or abs(first - other) <= 1e-9 * abs(other) + 1e-300
    return near and bool(np.allclose(a, b, rtol=1e-12, atol=1e-300))


def _bottlenecks(line: Line) -> Iterator[Line]:
    """Lines that everything which ``line`` depends on goes through, nearest first: seen through arithmetic alone."""
    frontier, seen = _varying(line), 0
    while frontier and seen < DEPTH:
        if len(frontier) == 1:
            yield next(iter(frontier))
        newest = max(frontier, key=lambda part: part.number)
        if newest.op not in PARTS:
            return
        frontier = (frontier - {newest}) | _varying(newest)
        seen += 1


def _varying(line: Line) -> set[Line]:
    return {operand for operand in line.operands if operand.op != "constant"}
