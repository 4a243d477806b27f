"""hs[−1] is h_T: a single row that is read of stacked states, outside of any step, is that state.

A loop hands over its outputs stacked, and a loss of the last one reads a row of the stack. A picture with every state led
into the stack would say that the loss depends on all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
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

    A stack that nothing else reads is gone then, unless it is ``kept``: in its place stand the rows that are read. So do
    the rows of stacks of both directions put side by side.
    """
    return Picks(vertices, kept).vertices


class Picks:
    """The search for rows that are read of stacks, and their replacement."""

    def __init__(self, vertices: list[Vertex], kept: Collection[Vertex]) -> None:
        self._stacked: set[Vertex] = set()
        readers: dict[Vertex, list[Vertex]] = {}
        self._read: dict[Vertex, Vertex] = {}
        for vertex in vertices:
            if self._has_states_as_rows(vertex):
                self._stacked.add(vertex)
            source = vertex.inputs[0] if vertex.inputs else None
            if source in self._stacked and source is not None and vertex.time is None and row_read(vertex) is not None:
                self._read[vertex] = source
            for source in vertex.inputs:
                if source in self._stacked and source is not None:
                    readers.setdefault(source, []).append(vertex)
        self._gone: set[Vertex] = set()
        for whole in reversed([vertex for vertex in vertices if vertex in readers and vertex not in kept]):
            if all(reader in self._read or reader in self._gone for reader in readers[whole]):
                self._gone.add(whole)
        self._rows: dict[tuple[Vertex, int], Vertex] = {}
        self._new: list[Vertex] = []
        self.vertices = numbered(self._replaced(vertices)) if self._read else vertices

    def _has_states_as_rows(self, vertex: Vertex) -> bool:
        axis = getattr(vertex.operation, "axis", None)
        if vertex.name is not None or vertex.time is not None:
            return False
        beside = vertex.label == "concatenate" and axis != 0 and all(source in self._stacked for source in vertex.inputs)
        return beside or (vertex.label == "stack" and axis == 0)

    def _replaced(self, vertices: list[Vertex]) -> Iterator[Vertex]:
        for vertex in vertices:
            row = row_read(vertex) if vertex in self._read else None
            if row is not None:
                source = self._row_of(self._read[vertex], row)
                vertex.inputs, vertex.operation, vertex.requires_grad = (source,), None, source.requires_grad
                yield from self._new
                self._new.clear()
            if vertex not in self._gone:
                yield vertex

    def _row_of(self, whole: Vertex, row: int) -> Vertex:
        if (whole, row) not in self._rows:
            made = self._rows[whole, row] = copy(whole)
            made.shape = whole.shape[1:]
            if whole.label == "stack":
                source = whole.inputs[row]
                made.label, made.symbol, made.operation, made.inputs = "getitem", "[ ]", None, (source,)
                made.requires_grad = source is not None and source.requires_grad
            else:
                made.inputs = tuple(self._row_of(source, row) for source in whole.inputs if source is not None)
                made.rowwise = (True,) * len(made.inputs)
            self._new.append(made)
        return self._rows[whole, row]
