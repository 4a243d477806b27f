"""Work that was done for all steps at once, given back to the steps.

A loop often takes out of its steps what does not depend on the state: all W_hx x_t are one product before it, and the
layer above reads the states of the one below stacked. Where the steps only ever read one row each of such a result, the
picture shows each row where it is read:

    xs @ W.T + b, read at [t − 1] in step t     becomes     x_t @ W.T + b in every step
    stack(h_1 … h_T), read at [t − 1]           becomes     h_t

Every row is a vertex of its own, which sends back its own share of the gradient: the rows' shares add up to the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from minigrad.ops.joining import Stack

from .picks import row_read
from .rowwise import ROW_BY_ROW, is_pile, row_of_saved, row_slots, row_sources
from .vertices import Vertex, numbered

__all__ = ["unhoisted"]

WHOLE = -1
"""Stands for the number of a row where all of them are meant."""

INPUT = "x"
"""What a step's row of inputs is called that were given without a name."""


def unhoisted(vertices: list[Vertex], kept: Collection[Vertex] = ()) -> list[Vertex]:
    """The vertices with every hoisted result replaced by its rows, each at the step that reads it.

    Results that are also read as a whole stay, if they are stacked states or leaves, beside their rows; of anything else
    the rows are stacked for who reads the whole. Those ``kept`` are left as they were recorded.
    """
    return Rows(vertices, kept).vertices


class Rows:
    """The search for hoisted results, and their replacement."""

    def __init__(self, vertices: list[Vertex], kept: Collection[Vertex]) -> None:
        self._given, self._kept = vertices, kept
        self._readers: dict[Vertex, list[tuple[Vertex, int]]] = {}
        self._users: dict[Vertex, list[tuple[Vertex, int]]] = {}
        for vertex in vertices:
            row = _row_read_by(vertex)
            for source in vertex.inputs if row is not None else ():
                if source is not None and row is not None:
                    self._readers.setdefault(source, []).append((vertex, row))
        for vertex in vertices if self._readers else ():
            for slot, source in enumerate(vertex.inputs):
                if source is not None:
                    self._users.setdefault(source, []).append((vertex, slot))
        self._anonymous_operands: list[tuple[Vertex, Any]] = []
        self._new: list[Vertex] = []
        self._hoisted = self._found() if self._readers else set()
        self._time: dict[tuple[Vertex, int], int | None] = {}
        self._row: dict[tuple[Vertex, int], Vertex | None] = {}
        self.vertices = self._replaced() if self._hoisted else vertices

    def _found(self) -> set[Vertex]:
        """The results whose rows can stand for them: read row by row, at the end, by steps."""
        found: set[Vertex] = set()
        for vertex in reversed(self._given):
            users = self._users.get(vertex, [])
            read = [
                _row_read_by(user) is not None or (user in found and slot in row_slots(user)) for user, slot in users
            ]
            may_go = _stays_beside_its_rows(vertex) or vertex not in self._kept
            if vertex.time is None and any(read) and may_go and self._has_rows(vertex):
                found.add(vertex)
        return found

    def _has_rows(self, vertex: Vertex) -> bool:
        if vertex.is_leaf:
            return vertex.label == "leaf" and len(vertex.shape) > 1 + vertex.requires_grad
        return vertex.label in ROW_BY_ROW and bool(row_slots(vertex))

    def _replaced(self) -> list[Vertex]:
        self._set_times()
        result: list[Vertex] = []
        for vertex in self._given:
            stays = vertex not in self._hoisted or vertex in self._kept
            for user, slot in () if stays else self._users.get(vertex, []):
                if _row_read_by(user) is None and not (user in self._hoisted and slot in row_slots(user)):
                    stays = _stays_beside_its_rows(vertex)
                    if not stays:
                        user.inputs = (*user.inputs[:slot], self._stacked(vertex), *user.inputs[slot + 1 :])
            row = _row_read_by(vertex)
            source = vertex.inputs[0] if row is not None else None
            if row is not None and source in self._hoisted:
                own = self._row_of(source, row)
                vertex.inputs, vertex.operation = (own,), None
                vertex.requires_grad = own is not None and own.requires_grad
                if vertex.name == INPUT:  # which says no more than the row itself, or what it was made from
                    vertex.name = None
                result += self._new
                self._new = []
            if stays:
                result.append(vertex)
        drawn = {source for source, _ in self._row}
        result += [vertex for vertex in self._given if vertex in self._hoisted and vertex not in drawn]
        return numbered(_inputs_first(result))

    def _set_times(self) -> None:
        """The time of each row is that of the first step that reads it."""
        for hoisted in self._hoisted:
            for reader, row in self._readers.get(hoisted, []):
                self._time.setdefault((hoisted, row), reader.time)
        for vertex in reversed(self._given):
            if vertex in self._hoisted and not vertex.is_leaf:
                for row in range(vertex.shape[0]):
                    for source, its_row in row_sources(vertex, row):
                        if source is not None and (vertex, row) in self._time:
                            self._time.setdefault((source, its_row), self._time[vertex, row])

    def _row_of(self, source: Vertex | None, row: int) -> Vertex | None:
        """The vertex of one row of a hoisted result, made when it is first asked for, with those it needs."""
        if source is None:
            return None
        if (source, row) not in self._row:
            whole = source not in self._hoisted
            made = _cut_out(source, row, self._time.get((source, row))) if whole else self._make(source, row)
            self._row[source, row] = made
            self._new.append(made)
        return self._row[source, row]

    def _stacked(self, vertex: Vertex) -> Vertex:
        """The rows of a result as a whole again."""
        if (vertex, WHOLE) not in self._row:
            rows, node = tuple([self._row_of(vertex, row) for row in range(vertex.shape[0])]), Stack()
            node.axis, node.saved, node.sources = 0, (), (None,) * len(rows)
            made = _changed(vertex, label=node.label, symbol=node.symbol, name=None, inputs=rows, operation=node)
            self._row[vertex, WHOLE] = made
            self._new.append(made)
        found = self._row[vertex, WHOLE]
        assert found is not None
        return found

    def _make(self, vertex: Vertex, row: int) -> Vertex:
        time = self._time.get((vertex, row))
        changed: dict[str, Any] = {"time": time, "shape": vertex.shape[1:]}
        if vertex.is_leaf:
            return _changed(vertex, name=vertex.name or INPUT, **changed)
        operation = vertex.operation
        sources = [source for source, _ in row_sources(vertex, row)]
        if is_pile(vertex):
            ((source, its_row),) = row_sources(vertex, row)
            own = source if vertex.label == "stack" else self._row_of(source, its_row)
            if own is None:
                return _given(vertex, time, vertex.shape[1:])
            return _changed(vertex, label="getitem", symbol="[ ]", name=None, inputs=(own,), operation=None, **changed)
        slots = row_slots(vertex)
        inputs: list[Vertex | None] = []
        for slot, source in enumerate(sources):
            if slot not in slots:
                inputs.append(source)
            elif source is None:
                inputs.append(self._anonymous(vertex, row, time) if vertex.label == "matmul" else None)
            else:
                inputs.append(self._row_of(source, row))
        if vertex.label == "embedding":
            single: Any = copy(operation)
            single.index = single.index[row]
            return _changed(vertex, inputs=tuple(inputs), operation=single, **changed)
        rowwise = tuple(slot in slots for slot in range(len(inputs)))
        adapt = (partial(row_of_saved, vertex=vertex, row=row),)
        return _changed(vertex, inputs=tuple(inputs), rowwise=rowwise, adapt=adapt, **changed)

    def _anonymous(self, vertex: Vertex, row: int, time: int | None) -> Vertex:
        """A row of inputs that were given without a name; products of the same inputs share it."""
        key = (self._first_with_inputs_of(vertex), -1 - row)
        if key not in self._row:
            width = vertex.node.inputs[1].shape[1] if vertex.node.inputs[1] is not None else 0
            leaf = self._row[key] = _given(vertex, time, (*vertex.shape[1:-1], width))
            self._new.append(leaf)
        found = self._row[key]
        assert found is not None
        return found

    def _first_with_inputs_of(self, vertex: Vertex) -> Vertex:
        """The first product that was given the same numbers without a name."""
        saved = vertex.operation.saved if vertex.operation is not None else None
        operand = None if saved is None else saved[1]
        for other, known in self._anonymous_operands:
            if operand is known or (operand is not None and known is not None and np.array_equal(operand, known)):
                return other
        self._anonymous_operands.append((vertex, operand))
        return vertex


def _stays_beside_its_rows(vertex: Vertex) -> bool:
    return vertex.is_leaf or vertex.label == "stack"


def _given(user: Vertex, time: int | None, shape: tuple[int, ...]) -> Vertex:
    """A row of inputs that were given without a name."""
    return _changed(
        user, label="leaf", symbol="", name=INPUT, inputs=(), operation=None, is_leaf=True, requires_grad=False, time=time,
        shape=shape, scope=(),
    )  # fmt: skip


def _cut_out(source: Vertex, row: int, time: int | None) -> Vertex:
    """One row of something that stays a whole."""
    return Vertex.view(source, source.node, time=time, shape=source.shape[1:], span=(0, row, row + 1))


def _changed(vertex: Vertex, **changed: Any) -> Vertex:
    made = copy(vertex)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def _row_read_by(vertex: Vertex) -> int | None:
    """The row that a step reads of what it indexes; None for anything else."""
    source = vertex.inputs[0] if vertex.inputs else None
    return row_read(vertex) if vertex.time is not None and source is not None and source.time is None else None


def _inputs_first(vertices: Iterable[Vertex]) -> list[Vertex]:
    """The vertices in their order, as far as each comes after what it was computed from."""
    listed = list(dict.fromkeys(vertices))
    present = set(listed)
    done: set[Vertex] = set()
    ordered: list[Vertex] = []
    for start in listed:
        stack = [start]
        while stack:
            vertex = stack[-1]
            missing = [s for s in vertex.inputs if s is not None and s in present and s not in done]
            if vertex in done or not missing:
                stack.pop()
                if vertex not in done:
                    done.add(vertex)
                    ordered.append(vertex)
            else:
                stack += missing[::-1]
    return ordered
