"""What can be computed row by row: which rows of its inputs a row of a result needs, and what is saved for it alone."""

from __future__ import annotations

from typing import Any

from minigrad.graph import OUTPUT
from minigrad.ops.indexing import Slice

from .vertices import Saved, Vertex

__all__ = ["ROW_BY_ROW", "is_pile", "row_of_saved", "row_slots", "row_sources"]

ROW_BY_ROW = frozenset({
    "add", "sub", "mul", "div", "neg", "square", "pow", "tanh", "sigmoid", "relu", "softplus", "exp", "dropout", "where",
    "astype", "copy", "matmul", "split", "getitem", "concatenate", "stack", "embedding",
})  # fmt: skip
"""The operations of which a row of the result needs the same row of the operands only, as far as their axes allow."""


def is_pile(vertex: Vertex) -> bool:
    """Whether its rows are those of its inputs, one after the other: states stacked, or sequences one behind the other."""
    if getattr(vertex.operation, "axis", 0) != 0:
        return False
    return vertex.label == "stack" or (vertex.label == "concatenate" and len(vertex.shape) > 1)


def row_slots(vertex: Vertex) -> frozenset[int]:
    """The inputs of which a row of the result needs the same row; empty if it cannot be computed row by row."""
    if vertex.label not in ROW_BY_ROW or vertex.is_leaf or not vertex.shape or vertex.operation is None:
        return frozenset()
    if is_pile(vertex):
        return frozenset(range(len(vertex.inputs)))
    operation: Any = vertex.operation
    T, ndim = vertex.shape[0], len(vertex.shape)
    if vertex.label == "embedding":
        return frozenset({-1}) if getattr(operation.index, "ndim", 0) > 1 else frozenset()
    if vertex.label == "matmul":
        fits = ndim == 3 and operation.rank_b == 2 and operation.rank_a == 3
        return frozenset({0}) if fits else frozenset()
    if vertex.label in ("split", "getitem") and (not isinstance(operation, Slice) or operation.span[0] == 0):
        return frozenset()
    indexed = vertex.inputs[0] if vertex.label == "getitem" else None
    if ndim < 2 or vertex.label == "stack" or (indexed is not None and len(indexed.shape) != ndim):
        return frozenset()
    lengths = {k: source.shape[0] for k, source in enumerate(vertex.inputs) if source is not None and len(source.shape) == ndim}
    return frozenset(lengths) if set(lengths.values()) <= {T} else frozenset()


def row_sources(vertex: Vertex, row: int) -> list[tuple[Vertex | None, int]]:
    """What a row of a hoisted result needs: for each input it, and which of its rows."""
    if vertex.label == "stack":
        return [(vertex.inputs[row], 0)]
    if is_pile(vertex):
        bounds: Any = getattr(vertex.operation, "bounds", ())
        return [
            (source, row - start)
            for source, (start, stop) in zip(vertex.inputs, bounds, strict=True)
            if start <= row < stop
        ]
    return [(source, row) for source in vertex.inputs]


def row_of_saved(saved: Saved, vertex: Vertex, row: int) -> Saved:
    """What the operation would have saved if it had been given one row alone. Masks and constants may have rows too."""
    slots, keeps = row_slots(vertex), getattr(vertex.operation, "keeps", ())

    def has_rows(value: Any, kept: int) -> bool:
        shape: tuple[int, ...] = getattr(value, "shape", ())
        return kept in slots or kept == OUTPUT or (len(shape) == len(vertex.shape) and shape[0] == vertex.shape[0])

    return tuple(
        value[row : row + 1] if value is not None and has_rows(value, kept) else value
        for value, kept in zip(saved, keeps, strict=True)
    )
