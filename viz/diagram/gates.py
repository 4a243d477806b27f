"""Products of several gates at once, given back to the gates.

A GRU multiplies x by the weights of all its gates in one product and cuts the result into parts. Where these parts then
go different ways (u and r are added to W_h h, c̃ to W_c (r ⊙ h)), one box for the product would say that all of it goes
everywhere. So the product is shown gate by gate, each with its own rows of the weight:

    split(x @ W.T + b)      becomes     x @ W[rows of the gate].T + b[rows of the gate], for each gate
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from functools import partial

from minigrad.ops.indexing import Slice

from .vertices import Saved, Vertex, numbered

__all__ = ["by_gate"]

Span = tuple[int, int]


def by_gate(vertices: list[Vertex], kept: Collection[Vertex] = ()) -> list[Vertex]:
    """The vertices with products cut into parts that go different ways replaced by the products of the parts.

    Those to be ``kept`` are.
    """
    return Gates(vertices, kept).vertices


class Gates:
    """The search for such products, and their replacement."""

    def __init__(self, vertices: list[Vertex], kept: Collection[Vertex]) -> None:
        self._users: dict[Vertex, list[Vertex]] = {}
        for vertex in vertices:
            for source in vertex.inputs:
                if source is not None:
                    self._users.setdefault(source, []).append(vertex)
        self._windows: dict[tuple[Vertex, Span], Vertex] = {}
        cut = dict.fromkeys(vertex.inputs[0] for vertex in vertices if _part_of(vertex) is not None)
        whole = {v for v in cut if v is not None and self._goes_different_ways(v) and self._chain(v).isdisjoint(kept)}
        if not whole:
            self.vertices = vertices
            return
        result: list[Vertex] = []
        replaced: set[Vertex] = set()
        for vertex in vertices:
            source = vertex.inputs[0] if vertex.inputs else None
            result.append(vertex)
            if source in whole and source is not None:
                span = _part_of(vertex)
                assert span is not None
                result.pop()
                made: list[Vertex] = []
                vertex.inputs = (self._part(source, span, made),)
                vertex.operation = None
                result += [*made, vertex]
                replaced |= self._chain(source)
        self.vertices = numbered(vertex for vertex in result if vertex not in replaced)

    def _goes_different_ways(self, vertex: Vertex) -> bool:
        """Whether it is a product all of whose uses are parts, of which some are added to something by themselves."""
        parts = self._users.get(vertex, [])
        if vertex.name is not None or not parts or any(_part_of(part) is None for part in parts) or not self._chain(vertex):
            return False
        ways = [[user.label for user in self._users.get(part, [])] for part in parts if part.name is None]
        return any(label in ("add", "sub") for labels in ways for label in labels)

    def _chain(self, vertex: Vertex) -> set[Vertex]:
        """The product with what is added to it, if that is all there is; empty otherwise."""
        found: set[Vertex] = set()
        while True:
            found.add(vertex)
            if vertex.label == "matmul":
                weight = vertex.inputs[1]
                fits = getattr(vertex.operation, "transpose_b", False) and weight is not None and _is_constant(weight)
                return found if fits and len(weight.shape) == 2 else set()  # type: ignore[union-attr]
            if vertex.label == "add" and _bias_of(vertex) is not None:
                (product,) = (source for source in vertex.inputs if source is not _bias_of(vertex))
            elif vertex.label == "getitem" and len(vertex.inputs) == 1 and vertex.operation is None and vertex.span is None:
                (product,) = vertex.inputs
            else:
                return set()
            if product is None or product.name is not None or len(self._users[product]) > 1:
                return set()
            vertex = product

    def _part(self, vertex: Vertex, span: Span, made: list[Vertex]) -> Vertex:
        """The part of a chain that lies at ``span`` of its last axis."""
        part = copy(vertex)
        part.shape = (*vertex.shape[:-1], span[1] - span[0])
        inputs: list[Vertex | None] = []
        for slot, source in enumerate(vertex.inputs):
            if source is None:
                inputs.append(None)
            elif (vertex.label == "matmul" and slot == 1) or (vertex.label == "add" and source is _bias_of(vertex)):
                inputs.append(self._window(source, span, vertex, made))
            else:
                inputs.append(source if vertex.label == "matmul" else self._part(source, span, made))
        part.inputs = tuple(inputs)
        if vertex.label == "matmul":
            part.adapt = (*vertex.adapt, partial(_rows_of_weight, span=span))
        made.append(part)
        return part

    def _window(self, source: Vertex, span: Span, user: Vertex, made: list[Vertex]) -> Vertex:
        """Some rows of a weight, or entries of a bias."""
        key = (source, span)
        if key not in self._windows:
            shape = (span[1] - span[0], *source.shape[1:])
            own = {"label": "split", "scope": user.scope, "shape": shape, "span": (0, *span)}
            self._windows[key] = Vertex.view(source, source.node, **own)
            made.append(self._windows[key])
        return self._windows[key]


def _is_constant(vertex: Vertex) -> bool:
    return vertex.is_leaf and vertex.time is None


def _bias_of(vertex: Vertex) -> Vertex | None:
    """The vector that an addition adds to every row."""
    found = [source for source in vertex.inputs if source is not None and _is_constant(source) and len(source.shape) == 1]
    return found[0] if len(found) == 1 and len(vertex.inputs) == 2 and len(vertex.shape) > 1 else None


def _part_of(vertex: Vertex) -> Span | None:
    """Where along the last axis of its input a part was cut out."""
    operation, source = vertex.operation, vertex.inputs[0] if vertex.inputs else None
    if not isinstance(operation, Slice) or source is None or vertex.rowwise or len(vertex.shape) != len(source.shape):
        return None
    axis, start, stop, _ = operation.span
    return (start, stop) if axis == len(source.shape) - 1 else None


def _rows_of_weight(saved: Saved, span: Span) -> Saved:
    """What the product with some rows of the weight would have saved."""
    weight, operand = saved
    return (None if weight is None else weight[span[0] : span[1]]), operand
