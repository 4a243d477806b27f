"""Where truncated backpropagation through time cut the history: the picture shows the line, and that it was cut.

At the end of a window the state is carried on as a new leaf, which has the name, the scope and the time of the state whose
numbers it holds. Here the two are put together again, by a vertex through which no gradient flows.
"""

from __future__ import annotations

from .vertices import Vertex

__all__ = ["CUT", "mended"]

CUT = "detach"


def mended(vertices: list[Vertex]) -> list[Vertex]:
    """The vertices with every leaf that carries a state on turned into a cut after that state. Changes the leaves."""
    states: dict[tuple[str | None, tuple[str, ...], int | None], Vertex] = {}
    for vertex in vertices:
        key = (vertex.name, vertex.scope, vertex.time)
        if vertex.name is None or vertex.time is None:
            continue
        if not vertex.is_leaf:
            states[key] = vertex
        elif not vertex.requires_grad and key in states and states[key].shape == vertex.shape:
            vertex.inputs, vertex.label, vertex.symbol = (states[key],), CUT, "✂"
            vertex.name, vertex.is_leaf = None, False
    return vertices
