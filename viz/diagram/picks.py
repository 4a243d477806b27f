"""hs[−1] is h_T: a single row that is read of stacked states, outside of any step, is that state.

A loop hands over its outputs stacked, and a loss of the last one reads a row of the stack. A picture with every state led
into the stack would say that the loss depends on all of them.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy

from minigrad.ops.indexing import GetItem, Slice

from .vertices import Vertex, numbered

__all__ = ["picked", "row_read"]


def row_read(vertex: Vertex) -> int | None:
    """The row of its source that an index picks out; None for anything else."""
    source = vertex.inputs[0] if vertex.inputs else None
    if vertex.label != "getitem" or source is None:
        return None
    operation = vertex.operation
    if isinstance(operation, Slice):
        axis, start, _, _ = operation.span
        return start if axis == 0 and len(vertex.shape) == len(source.shape) - 1 else None
    if isinstance(operation, GetItem) and isinstance(operation.index, int):
        return operation.index % source.shape[0]
    return None


def picked(vertices: list[Vertex], kept: Collection[Vertex] = ()) -> list[Vertex]:
    """The vertices with rows read of nameless stacks joined to what was stacked. Changes what reads them.

    A stack that nothing else reads is gone then, unless it is ``kept``: in its place stand the rows that are read.
    """
    stacks = {v for v in vertices if v.label == "stack" and v.name is None and getattr(v.operation, "axis", None) == 0}
    read = {
        v: v.inputs[0] for v in vertices if v.time is None and v.inputs and v.inputs[0] in stacks and row_read(v) is not None
    }
    whole = {source for v in vertices if v not in read for source in v.inputs} | set(kept)
    rows: dict[tuple[Vertex, int], Vertex] = {}
    result: list[Vertex] = []
    for vertex in vertices:
        stack = read.get(vertex)
        if stack is not None:
            row = row_read(vertex)
            assert row is not None
            if (stack, row) not in rows:
                rows[stack, row] = _row_of(stack, row)
                result.append(rows[stack, row])
            vertex.inputs, vertex.operation = (rows[stack, row],), None
            vertex.requires_grad = rows[stack, row].requires_grad
        if vertex not in stacks or vertex in whole or vertex not in read.values():
            result.append(vertex)
    return numbered(result) if read else vertices


def _row_of(stack: Vertex, row: int) -> Vertex:
    source = stack.inputs[row]
    made = copy(stack)
    made.label, made.symbol, made.operation, made.inputs, made.shape = "getitem", "[ ]", None, (source,), stack.shape[1:]
    made.requires_grad = source is not None and source.requires_grad
    return made
