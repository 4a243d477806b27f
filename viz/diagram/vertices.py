"""The recorded graph as a picture reads it: vertices, which are recorded nodes or the share of a node that one step uses.

A node and a vertex differ where a loop does the work of all its steps at once: x_1 … x_T are multiplied by W_hx in one
product before the loop. The picture shows what a step means, not how it was computed, so such a product becomes T
vertices (see `unhoisting`). Every vertex can send a gradient back, so the numbers in the picture come from the graph that
is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from minigrad.gradients import Piece, whole
from minigrad.graph import Node, Operation
from minigrad.loops.written import was_released
from minigrad.ops.indexing import entry, piece

__all__ = ["Saved", "Vertex", "numbered", "vertices_of"]

Saved = tuple[Any, ...]


@dataclass(eq=False, slots=True, repr=False)
class Vertex:
    """A value in the picture.

    Attributes:
        node: the recorded node that it is, or is a part of.
        inputs: what it was computed from (None for anonymous constants).
        label, symbol, name, time, scope, shape, is_leaf, requires_grad: as of a node.
        serial: its number, which grows from inputs to consumers.
        operation: what sends its gradient back; None for leaves and for what hands its input on as it is.
        rowwise: for one step's share of work that was done for all steps at once, of each input whether it is a share
            too: ``operation`` then has a leading axis of length 1 that vertex and input do not have. Else empty.
        adapt: what makes of all that the operation saved what the vertex needs of it, in this order.
        span: for a part that was cut out, where it lies in its input: (axis, start, stop).
    """

    node: Node
    inputs: tuple[Vertex | None, ...]
    label: str
    symbol: str
    name: str | None
    time: int | None
    scope: tuple[str, ...]
    shape: tuple[int, ...]
    is_leaf: bool
    requires_grad: bool
    serial: int = 0
    operation: Operation | None = None
    rowwise: tuple[bool, ...] = ()
    span: tuple[int, int, int] | None = None
    adapt: tuple[Callable[[Saved], Saved], ...] = ()

    @classmethod
    def of(cls, node: Node, inputs: Sequence[Vertex | None]) -> Vertex:
        """The vertex of a whole recorded node."""
        return cls(
            node, tuple(inputs), node.label, node.symbol, node.name, node.time, node.scope, node.shape, node.is_leaf,
            node.requires_grad, operation=node if isinstance(node, Operation) else None,
        )  # fmt: skip

    @classmethod
    def view(cls, source: Vertex, like: Node, **changed: Any) -> Vertex:
        """A vertex that is computed from ``source`` by cutting a part out of it, recorded where ``like`` was."""
        vertex = cls(
            like, (source,), "getitem", "[ ]", None, like.time, like.scope, source.shape, False, source.requires_grad
        )
        for name, value in changed.items():
            setattr(vertex, name, value)
        return vertex

    @override
    def __repr__(self) -> str:
        return f"<{self.label}{f' {self.name!r}' if self.name else ''} {self.shape} of {self.node!r}>"

    @property
    def role(self) -> str | None:
        """What the engine recorded a leaf to be: "parameter", "input", "initial state", "cut"; None where it knows nothing."""
        return self.node.role if self.is_leaf else None

    @property
    def dtype(self) -> Any:
        """The dtype of the value."""
        return self.node.dtype

    @property
    def is_whole(self) -> bool:
        """Whether it is a recorded node as it was recorded."""
        return self.shape == self.node.shape and not self.adapt and (self.is_leaf or self.operation is self.node)

    @property
    def handed_on(self) -> Vertex | None:
        """What it is the same as: what a row was read of stands for the row."""
        return self.inputs[0] if self.operation is None and self.inputs and self.span is None else None

    @property
    def is_released(self) -> bool:
        """Whether a backward pass has freed what its derivative needs."""
        return self.operation is not None and was_released(self.operation)

    def kept(self) -> Saved:
        """What its operation saved, as far as it concerns the vertex; of one row, with a leading axis of length 1."""
        saved = self.operation.needed() if self.operation is not None else ()
        for adapt in self.adapt:
            saved = adapt(saved)
        return saved

    def contributions(self, g: Any, saved: Saved) -> list[Any]:
        """What it sends to each of its inputs, given its gradient and what it kept."""
        if self.operation is None:
            return [self._handed_on(g)] if self.inputs else []
        if not self.rowwise:
            return list(self.operation.vjp(g, *saved))
        return [
            _without_axis(sent, source) if is_row and sent is not None and source is not None else sent
            for sent, source, is_row in zip(self.operation.vjp(g[None], *saved), self.inputs, self.rowwise, strict=True)
        ]

    def _handed_on(self, g: Any) -> Any:
        """The gradient of what was cut out, as a part of the gradient of what it was cut out of."""
        (source,) = self.inputs
        if self.span is None or source is None:
            return g
        axis, start, _ = self.span
        return Piece(g, piece(*self.span) if len(source.shape) == len(self.shape) else entry(axis, start))


def _without_axis(contribution: Any, source: Vertex) -> Any:
    """A contribution, in whatever form, without its leading axis of length 1."""
    longer: Any = copy(source)
    longer.shape = (1, *source.shape)
    return whole(contribution, longer)[0]


def vertices_of(nodes: Sequence[Node]) -> list[Vertex]:
    """One vertex for each recorded node, in the same order."""
    vertex: dict[Node, Vertex] = {}
    for node in nodes:
        vertex[node] = Vertex.of(node, [None if source is None else vertex[source] for source in node.inputs])
    return numbered(vertex.values())


def numbered(vertices: Any) -> list[Vertex]:
    """The vertices with serial numbers in their order."""
    listed = list(vertices)
    for number, vertex in enumerate(listed, 1):
        vertex.serial = number
    return listed
