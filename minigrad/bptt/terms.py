"""The terms of BPTT's double sum, one by one: which loss sends what to a parameter through which of its uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.arguments import several
from minigrad.backward import seed
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.gradients import ArrayAccumulator, SilentAccumulator, own
from minigrad.graph import INPUTS, Gradient, Node, Operation
from minigrad.guard import Array
from minigrad.tensor import Tensor

from .tables import aligned, norms

__all__ = ["Contributions", "Entrance", "Seeds", "Terms", "contributions", "started", "times_of"]

Seeds: TypeAlias = list[tuple[Node, Any]]


class Entrance:
    """Where what is made of ``leaf`` alone, such as the transposed or the cut-out matrix, enters the time steps.

    A use of a parameter at step k is an edge from an operation of step k to a node of this kind. Operations outside of any
    step (and those at time 0, which make the initial state) that lead from the parameter to the steps belong to no step:
    what arrives at them is split by the steps it came from, and each part passed on by itself.
    """

    def __init__(self, nodes: Iterable[Node], leaf: Node) -> None:
        self.leaf = leaf
        self.relevant = graph.depends_on(nodes, {leaf}, INPUTS)
        self.made_of_it: set[Node | None] = {leaf}
        for node in sorted((node for node in self.relevant if node is not None), key=lambda node: node.serial):
            if node is not leaf and not node.time:
                used = [source for source in node.inputs if source in self.relevant]
                if all(source in self.made_of_it for source in used):
                    self.made_of_it.add(node)

    def is_crossed(self, operation: Operation, source: Node | None) -> bool:
        """Whether an edge leads from a step, or from behind all steps, to what is made of the leaf alone."""
        return source in self.made_of_it and operation not in self.made_of_it

    def passed_on(self, arriving: Seeds) -> Array:
        """The gradient of the leaf, from what has arrived."""
        return swept(arriving, SilentAccumulator(), self.made_of_it, self.leaf)


def swept(seeds: Seeds, sums: ArrayAccumulator, relevant: set[Node | None], leaf: Node) -> Array:
    """The gradient of a leaf, by ways through the relevant nodes; zeros where there is none."""
    found = np.zeros(leaf.shape, leaf.dtype)
    for node, g in graph.sweep(seeds, sums, graph.among(relevant, INPUTS)):
        if node is leaf:
            found = own(g)
    return found


@dataclass(frozen=True)
class Contributions:
    """The terms of the double sum.

    Attributes:
        table: (number of losses, T, *θ.shape); ``table[t − 1, k − 1]`` is ∂L_t/∂θ through the use of θ at step k.
        outside: (number of losses, or 1, *θ.shape); what reaches θ without any time step, such as from an L2 penalty; zeros
            for a parameter of a recurrence.
    """

    table: Array
    outside: Array

    @property
    def norms(self) -> Array:
        """(number of losses, T): the Euclidean norm of each term."""
        found: Array = norms(self.table, 2)
        return found

    @property
    def gradient(self) -> Array:
        """The double sum, ∂(Σ_t L_t)/∂θ, of the shape of θ."""
        total: Array = self.table.sum(axis=(0, 1)) + self.outside.sum(axis=0)
        return total

    @override
    def __str__(self) -> str:
        columns = ["", *(f"k = {k}" for k in range(1, self.table.shape[1] + 1))]
        rows = [[f"L_{t}", *(f"{norm:.1e}" if norm else "·" for norm in row)] for t, row in enumerate(self.norms, start=1)]
        return aligned([columns, *rows])


def contributions(losses: Tensor | Sequence[Tensor], parameter: Tensor) -> Contributions:
    """Which loss sends what to a parameter through which of its uses: the terms of the double sum of BPTT, one by one.

    Entry [t, k] is ∂L_t/∂h_t · ∂h_t/∂h_k · ∂⁺h_k/∂θ, computed by one backward sweep for each loss over the recorded steps.
    A term with k > t is zero. Where gradients were cut (truncated BPTT), so are the terms across the cut. The double sum is
    the gradient that ``backward`` computes from the sum of the losses, up to the rounding of another order of addition.

    Args:
        losses: L_1 … L_T, each with one entry: a sequence of Tensors, or one Tensor of shape (T,). Or one loss with one
            entry, a sum or mean over time: L_t is then the part of it that reads the values of step t.
        parameter: θ, any tensor that they were computed from. It is used at step k where an operation recorded under
            ``time_step(k)`` takes it, or takes something computed from it outside of any step.

    Returns:
        The table and its norms. It has T² · θ.size numbers. No ``grad`` is changed, nothing is released.

    Raises:
        ShapeError: a loss has more than one entry.
        GraphError: θ needs no gradient, nothing was recorded, or the graph was released.
        ArgumentError: there is no loss.
        DTypeError: something is not a Tensor.

    >>> import minigrad as mg
    >>> w, h, losses = Tensor([2.0], requires_grad=True, name="w"), Tensor([1.0]), []
    >>> for t in (1, 2, 3):
    ...     with mg.time_step(t):
    ...         h = h * w
    ...         losses.append(h.sum())
    >>> terms = contributions(losses, w)
    >>> terms.table[..., 0]
    array([[1., 0., 0.],
           [2., 2., 0.],
           [4., 4., 4.]])
    >>> terms.gradient
    array([17.])
    """
    leaf = _needing(parameter, "contributions")
    if isinstance(losses, Tensor) and np.prod(losses.shape) == 1:
        return Terms([started(losses, None, "contributions")], leaf).by_reading()[0]
    seeds = _losses(losses, "contributions")
    terms = Terms(seeds, leaf)
    parts = [terms.by_use([given]) for given in seeds]
    return Contributions(np.stack([table for table, _ in parts]), np.stack([outside for _, outside in parts]))


class Terms:
    """The terms of the double sum for one parameter, computed from gradients that arrive at nodes of the graph."""

    def __init__(self, seeds: Seeds, leaf: Node) -> None:
        self.seeds, self.leaf = seeds, leaf
        nodes = graph.ancestors([output for output, _ in seeds], INPUTS)
        self.entrance = Entrance(nodes, leaf)
        self.T = max(times_of(nodes), default=0)

    def by_use(self, arriving: Seeds, allowed: int | None = None) -> tuple[Array, Array]:
        """What these gradients send to the parameter through its use at each step, (T, *θ.shape), and outside of any.

        With ``allowed`` only by ways within that step.
        """
        entrance, found = self.entrance, dict[int, Seeds]()
        for node, g in arriving:
            if node in entrance.made_of_it:
                found.setdefault(0, []).append((node, g))

        def note(operation: Operation, position: int, contribution: Array) -> None:
            source = operation.inputs[position]
            if source is not None and entrance.is_crossed(operation, source):
                found.setdefault(operation.time or 0, []).append((source, own(contribution)))

        sums = SilentAccumulator(note) if allowed is None else Within({allowed}, note)
        begun = [(node, g) for node, g in arriving if node in entrance.relevant and node not in entrance.made_of_it]
        swept(begun, sums, entrance.relevant, self.leaf)
        table = np.zeros((self.T, *self.leaf.shape), self.leaf.dtype)
        for k, seeds in found.items():
            if k:
                table[k - 1] = entrance.passed_on(seeds)
        outside = entrance.passed_on(found[0]) if 0 in found else np.zeros(self.leaf.shape, self.leaf.dtype)
        return table, outside

    def by_reading(self) -> tuple[Contributions, list[Seeds]]:
        """The terms of one loss, split by the steps whose values it reads; and what it sends to these values."""
        rows, outside = self.read_at_each_step()
        table = np.zeros((self.T, self.T, *self.leaf.shape), self.leaf.dtype)
        for row, arriving in enumerate(rows):
            table[row] = self.by_use(arriving)[0]
        return Contributions(table, outside[None]), rows

    def read_at_each_step(self) -> tuple[list[Seeds], Array]:
        """What the loss sends directly to the values of each step t = 1 … T, and to the parameter without any step."""
        rows: list[Seeds] = [[] for _ in range(self.T)]

        (output, g), relevant = self.seeds[0], self.entrance.relevant

        def note(operation: Operation, position: int, contribution: Array) -> None:
            source = operation.inputs[position]
            if source is not None and source in relevant and source.time and not operation.time:
                rows[source.time - 1].append((source, own(contribution)))

        if output.time:
            rows[output.time - 1].append((output, g))
            return rows, np.zeros(self.leaf.shape, self.leaf.dtype)
        seeds = self.seeds if output in relevant else []
        return rows, swept(seeds, Within({None, 0}, note), relevant, self.leaf)


class Within(SilentAccumulator):
    """Sums of a sweep that goes no further than the operations of some times."""

    __slots__ = ("times",)

    def __init__(self, times: set[int | None], on_edge: Callable[[Operation, int, Array], None]) -> None:
        super().__init__(on_edge)
        self.times = times

    @override
    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        return super().derivative(operation, g) if operation.time in self.times else (None,) * len(operation.inputs)


def times_of(nodes: Iterable[Node]) -> set[int]:
    """The time steps at which something was computed."""
    return {node.time for node in nodes if node.time and isinstance(node, Operation)}


def started(loss: Tensor, g: Any, where: str) -> tuple[Node, Any]:
    """Where a backward pass through the single steps starts, and the gradient that it starts with."""
    node, gradient = seed(loss, g, where)
    return node.written_out(), gradient


def _losses(losses: Tensor | Sequence[Tensor], where: str) -> list[tuple[Node, Any]]:
    """The node of each loss, and the gradient to start from."""
    if isinstance(losses, Tensor) and losses.ndim == 1:
        units = np.eye(len(losses), dtype=losses.dtype)
        found = [started(losses, unit, where) for unit in units]
    else:
        given = [losses] if isinstance(losses, Tensor) else several(losses, where, "a loss, or a list of them")
        for number, loss in enumerate(given, start=1):
            if not isinstance(loss, Tensor):
                raise DTypeError(f"{where}: expected Tensors L_1 … L_T, got {type(loss).__name__} for L_{number}")
            if np.prod(loss.shape) != 1:
                raise ShapeError(f"{where}: expected losses with one entry each, got shape {loss.shape} for L_{number}")
        found = [started(loss, None, where) for loss in given]
    if not found:
        raise ArgumentError(f"{where}: expected at least one loss")
    return found


def _needing(parameter: Tensor, where: str) -> Node:
    """The node of a tensor that needs a gradient."""
    if not isinstance(parameter, Tensor):
        raise DTypeError(f"{where}: expected the parameter as a Tensor, got {type(parameter).__name__}")
    if parameter.node is None or not parameter.requires_grad:
        raise GraphError(f"{where}: {parameter!r:.80} does not require a gradient")
    return parameter.node.written_out()
