"""Derivatives as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import graph
from minigrad.errors import ArgumentError, DTypeError, GraphError
from minigrad.gradients import ArraySums, check_replacement, own, unbroadcast
from minigrad.graph import Gradient, Node, Operation
from minigrad.guard import Array
from minigrad.scope import enable_grad, state
from minigrad.tensor import Tensor, seed, unrecorded

__all__ = ["edge_gradients", "grad"]


class TensorSums:
    """Sums of Tensors: the backward pass is itself recorded, each step at the place of the operation it undoes."""

    def __init__(self) -> None:
        self._totals: dict[int, Tensor] = {}

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs."""
        found, state.place = state.place, operation.place
        try:
            return operation.vjp(g, *operation.lifted(lift))
        finally:
            state.place = found

    def send(self, node: Node, share: Gradient) -> None:
        """Add ``share`` to what ``node`` has been sent."""
        share = self.whole(node, share)
        total = self._totals.get(node.serial)
        self._totals[node.serial] = share if total is None else total + share

    def take(self, node: Node) -> Gradient:
        """The sum of all shares of ``node``."""
        return self._totals.pop(node.serial)

    def whole(self, node: Node, share: Gradient) -> Gradient:
        """One share by itself, with the shape and dtype of ``node``."""
        share = unbroadcast(share if isinstance(share, Tensor) else unrecorded(share), node.shape)
        return share if share.dtype == node.dtype else share.astype(node.dtype)

    def shown(self, g: Gradient) -> Gradient:
        """The Tensor itself: it cannot be changed."""
        return g

    def replacement(self, node: Node, changed: Any) -> Gradient:
        """What a hook returned, as a Tensor of the dtype of ``node``."""
        tensor = changed if isinstance(changed, Tensor) else unrecorded(np.array(changed))
        check_replacement(node, tensor.shape, tensor.dtype)
        return tensor if tensor.dtype == node.dtype else tensor.astype(node.dtype)


def lift(array: Any, node: Node | None) -> Any:
    """A saved array as the Tensor it was, with its history."""
    if not isinstance(array, np.ndarray):
        return array
    tensor = unrecorded(array)
    if node is not None:
        tensor._node = node
        tensor._wants = node.requires_grad
    return tensor


def _seeds(outputs: Sequence[Tensor], grad_outputs: Any, as_tensors: bool) -> list[tuple[Node, Any]]:
    """Where the sweep starts; upstream gradients that are Tensors stay so, since they may have a history too."""
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif isinstance(grad_outputs, Tensor | np.ndarray | float | int):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ArgumentError(f"grad: expected one gradient for each of {len(outputs)} outputs, got {len(grad_outputs)}")
    seeds: list[tuple[Node, Any]] = []
    for output, given in zip(outputs, grad_outputs, strict=True):
        node, g = seed(output, given, "grad")
        if as_tensors:
            seeds.append((node, given.astype(g.dtype) if isinstance(given, Tensor) else unrecorded(g)))
        else:
            seeds.append((node, g))
    return seeds


def _tensors(value: Any, where: str) -> list[Tensor]:
    tensors = [value] if isinstance(value, Tensor) else list(value)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise DTypeError(f"{where}: expected Tensors, got {type(tensor).__name__}")
    return tensors


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    create_graph: bool = False,
    retain_graph: bool | None = None,
    grad_outputs: Any = None,
) -> tuple[Tensor, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, as Tensors of the inputs' shapes; no ``.grad`` changes.

    Args:
        outputs: one tensor or several, whose gradients are added up. Each has one entry unless ``grad_outputs`` says
            where to start.
        inputs: one tensor or several: leaves or intermediate results.
        create_graph: record the backward pass too, so that the gradients can be differentiated again.
        retain_graph: keep what the graph saved; by default only if ``create_graph``.
        grad_outputs: the upstream gradient of each output.

    Returns:
        One gradient for each input; zeros where an output does not depend on it.

    Raises:
        GraphError: an input needs no gradient, nothing was recorded, or the graph was released.

    >>> x = Tensor([3.0], requires_grad=True)
    >>> (dy,) = grad((x**3).sum(), x, create_graph=True)
    >>> (ddy,) = grad(dy.sum(), x)
    >>> dy.numpy(), ddy.numpy()
    (array([27.]), array([18.]))
    """
    sources = _tensors(inputs, "grad")
    for source in sources:
        if source.node is None or not source.requires_grad:
            raise GraphError(f"grad: the input {source!r} does not require a gradient")
    targets: set[Node] = {source.node for source in sources if source.node is not None}
    results = _tensors(outputs, "grad")
    seeds = _seeds(results, grad_outputs, create_graph)
    relevant = graph.depends_on(graph.walk(*results), targets)
    seeds = [(node, g) for node, g in seeds if node in relevant]
    if create_graph:
        with enable_grad():
            found, passed = graph.sweep(seeds, TensorSums(), targets, relevant)
    else:
        found, passed = graph.sweep(seeds, ArraySums(), targets, relevant)
    if not (create_graph if retain_graph is None else retain_graph):
        graph.release(passed)
    gradients = []
    for source in sources:
        g = found.get(source.node) if source.node is not None else None
        if g is None:
            g = unrecorded(np.zeros(source.shape, source.dtype))
        gradients.append(g if isinstance(g, Tensor) else unrecorded(own(g)))
    return tuple(gradients)


def edge_gradients(output: Tensor, gradient: Any = None) -> dict[tuple[Node, int], Array]:
    """The part of the gradient that each operation sends to each of its inputs.

    One backward sweep that changes nothing: no ``grad`` is touched, no hook is called, nothing is released.

    Returns:
        For (operation, input number) the array sent, in the shape and dtype of that input.

    >>> x = Tensor([2.0], requires_grad=True)
    >>> y = x * x
    >>> [part.tolist() for part in edge_gradients(y).values()]
    [[2.0], [2.0]]
    """
    edges: dict[tuple[Node, int], Array] = {}

    def note(operation: Operation, position: int, share: Any) -> None:
        edges[operation, position] = own(share)

    graph.sweep([seed(output, gradient, "edge_gradients")], ArraySums(), on_edge=note)
    return edges
