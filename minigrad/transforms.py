"""Derivatives as functions: of recorded results (grad), and of functions (vjp, jvp).

Transforms of functions nest: inside a function that is being differentiated, the results of another transform are
themselves differentiable. At the outermost level they are plain numbers, unless ``create_graph`` asks for more.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph, pytree
from minigrad.backward import release, seed
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.flags import flag
from minigrad.gradients import ArrayAccumulator, OfResult, SilentAccumulator, check_replacement, own, unbroadcast
from minigrad.graph import INPUTS, SOURCES, Gradient, Node, Operation
from minigrad.guard import Array, array_of
from minigrad.recording import record
from minigrad.scope import Place, differentiating, enable_grad, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["edge_gradients", "grad", "jvp", "vjp"]


class TensorAccumulator:
    """Sums of Tensors: the backward pass is itself recorded, each step at the place of the operation it undoes."""

    def __init__(self) -> None:
        self._totals: dict[int, Any] = {}
        """For the serial numbers of nodes their sums; of an operation with several results, those of each."""

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs."""
        found, state.place = state.place, _place_of(operation)
        try:
            return operation.vjp(g, *operation.lifted(lift))
        finally:
            state.place = found

    def send(self, node: Node, contribution: Gradient) -> None:
        """Add ``contribution`` to what ``node`` has been sent."""
        if isinstance(contribution, OfResult):
            results = self._totals.setdefault(node.serial, {})
            total = results.get(contribution.which)
            results[contribution.which] = contribution.values if total is None else total + contribution.values
            return
        contribution = unbroadcast(contribution if isinstance(contribution, Tensor) else unrecorded(contribution), node.shape)
        if contribution.dtype != node.dtype:
            contribution = contribution.astype(node.dtype)
        total = self._totals.get(node.serial)
        self._totals[node.serial] = contribution if total is None else total + contribution

    def sum(self, node: Node) -> Any:
        """The sum of all contributions of ``node``."""
        return self._totals.pop(node.serial)

    def take(self, node: Node) -> Gradient:
        """The same, or what hooks on ``node`` make of it."""
        g = self.sum(node)
        return g if node.watch is None else node.watch.show(node, g, self)

    def shown(self, g: Gradient) -> Gradient:
        """The Tensor itself: it cannot be changed."""
        return g

    def replacement(self, node: Node, changed: Any) -> Gradient:
        """What a hook returned, as a Tensor of the dtype of ``node``."""
        tensor = changed if isinstance(changed, Tensor) else unrecorded(np.array(array_of(changed, f"hook on {node!r}")))
        check_replacement(node, tensor.shape, tensor.dtype)
        return tensor if tensor.dtype == node.dtype else tensor.astype(node.dtype)


def _place_of(operation: Operation) -> Place:
    """The place of an operation; the line of code belongs to it only while anomalies are looked for."""
    place, sought = operation.place, state.place.line
    return place if place.line is sought else place._replace(line=sought and (place.line or sought))


def lift(array: Any, node: Node | None) -> Any:
    """A saved array as the Tensor it was, with its history."""
    if not isinstance(array, np.ndarray):
        return array
    tensor = unrecorded(array)
    if node is not None:
        tensor._node = node
        tensor._wants = node.requires_grad
    return tensor


Pull: TypeAlias = Callable[[Sequence[tuple[Tensor, Any]], bool], tuple[list[Tensor], list[Operation]]]
"""From outputs, each with its upstream gradient (None: 1), to the gradients of the inputs, and the operations passed."""


def reverse(outputs: Sequence[Tensor], inputs: Sequence[Tensor], where: str) -> Pull:
    """Backward passes from ``outputs`` to ``inputs``; the graph between them is looked for once."""
    for source in inputs:
        if source.node is None or not source.requires_grad:
            raise GraphError(f"{where}: the input {source!r} does not require a gradient")
    targets: set[Node] = {source.node for source in inputs if source.node is not None}
    steps_wanted = any(source.node is not source._node for source in inputs)

    @functools.cache
    def relevant_in(edges: graph.Edges) -> set[Node | None]:
        starts = [output.node if edges is INPUTS else output._node for output in outputs]
        return graph.depends_on(graph.ancestors(starts, edges), targets, edges)

    def pull(upstream: Sequence[tuple[Tensor, Any]], create_graph: bool) -> tuple[list[Tensor], list[Operation]]:
        edges = INPUTS if steps_wanted or state.detector is not None else SOURCES
        relevant = relevant_in(edges)
        seeds: list[tuple[Node, Any]] = []
        for output, given in upstream:
            node, g = seed(output, given, where)
            node = node.written_out() if edges is INPUTS else node
            if node not in relevant:
                continue
            if not create_graph:
                seeds.append((node, g))
            elif isinstance(given, Tensor):
                seeds.append((node, given.astype(g.dtype)))
            else:
                seeds.append((node, unrecorded(g)))
        detector = state.detector
        sums: graph.Accumulator
        if create_graph:
            sums = TensorAccumulator() if detector is None else detector.tensor_accumulator()
        else:
            sums = ArrayAccumulator() if detector is None else detector.array_accumulator()
        between, found, passed = graph.among(relevant, edges), dict[Node | None, Gradient](), list[Operation]()
        with enable_grad() if create_graph else nullcontext():
            for node, g in graph.sweep(seeds, sums, between):
                if node in targets:
                    found[node] = g
                if isinstance(node, Operation) and any(sources := between(node)):
                    passed.append(node.towards(sources))
        return [_result(source, found.get(source.node)) for source in inputs if source.node is not None], passed

    return pull


def _result(source: Tensor, g: Gradient | None) -> Tensor:
    """The gradient of ``source`` as a Tensor that shares its array with no other."""
    if g is None:
        return unrecorded(np.zeros(source.shape, source.dtype))
    if isinstance(g, Tensor):
        return g if g.requires_grad else unrecorded(own(g._array))
    return unrecorded(own(g))


def _tensors(value: Any, where: str) -> list[Tensor]:
    tensors = list(value) if isinstance(value, list | tuple) else [value]
    if not tensors:
        raise ArgumentError(f"{where}: expected at least one Tensor, got {value!r}")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise DTypeError(f"{where}: expected Tensors, got {type(tensor).__name__}")
    return tensors


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor] | None = None,
    create_graph: bool | None = None,
    retain_graph: bool | None = None,
    grad_outputs: Any = None,
) -> tuple[Tensor, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, as Tensors of the inputs' shapes; no ``.grad`` changes.

    Args:
        outputs: one tensor or several, whose gradients are added up. Each has one entry unless ``grad_outputs`` says
            where to start.
        inputs: one tensor or several: leaves or intermediate results. They cannot be left out.
        create_graph: record the backward pass too, so that the gradients can be differentiated again. By default it is
            recorded only inside a function that another transform differentiates.
        retain_graph: keep what the graph saved; by default only if ``create_graph``.
        grad_outputs: the upstream gradient of each output, of its shape; None for 1.

    Returns:
        One gradient for each input; zeros where no output depends on it.

    Raises:
        GraphError: an input needs no gradient, nothing was recorded, or the graph was released.
        ArgumentError: there are no outputs or inputs, or not one entry in ``grad_outputs`` for each output; or an option is
            neither True nor False.
        ShapeError: an upstream gradient does not fit its output.
        DTypeError: likewise; or a function is given in place of the outputs.

    >>> x = Tensor([3.0], requires_grad=True)
    >>> (dy,) = grad((x**3).sum(), x, create_graph=True)
    >>> (ddy,) = grad(dy.sum(), x)
    >>> dy.numpy(), ddy.numpy()
    (array([27.]), array([18.]))
    """
    if callable(outputs):
        raise DTypeError(
            "grad: expected results, and what to differentiate them by, as in grad(loss, [W, b]); got a function. "
            "For a function there are y, pullback = vjp(f, x), whose pullback() is the gradient, jacobian(f, x), hvp(f, x, v)"
        )
    if inputs is None:
        raise ArgumentError("grad: expected the inputs to differentiate by as well, as in grad(loss, [W, b])")
    results, sources = _tensors(outputs, "grad"), _tensors(inputs, "grad")
    if grad_outputs is None:
        grad_outputs = [None] * len(results)
    elif isinstance(outputs, Tensor) and not isinstance(grad_outputs, list | tuple):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(results):
        raise ArgumentError(f"grad: expected one gradient for each of {len(results)} outputs, got {len(grad_outputs)}")
    keep = recorded(create_graph)
    retain = keep if retain_graph is None else flag(retain_graph, "grad: retain_graph")
    pull = reverse(results, sources, "grad")
    gradients, passed = pull(list(zip(results, grad_outputs, strict=True)), keep)
    if not retain:
        release(passed)
    return tuple(gradients)


class Variable(Operation):
    """y = x;  ∂L/∂x = g. What a transform differentiates with respect to, when ``x`` has a history of its own."""

    __slots__ = ()
    label, symbol = "variable", "="

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g,)


def _variable(value: Any, where: str) -> Tensor:
    """``value`` as a variable that nothing but the function to be differentiated uses."""
    if isinstance(value, Tensor) and value._wants:
        variable = record(Variable(), value._array, (value._node,), ())
        return variable if value.name is None else variable.named(value.name)
    data = value._array if isinstance(value, Tensor) else value
    if not isinstance(value, Tensor | np.ndarray | np.generic | float):
        raise DTypeError(f"{where}: expected Tensors or arrays, got {type(value).__name__}")
    return Tensor(data, requires_grad=True, name=getattr(value, "name", None))


def evaluated(function: Callable[..., Any], primals: tuple[Any, ...], where: str) -> tuple[Any, list[Tensor], list[Tensor]]:
    """What ``function`` returns for variables with the values of ``primals``; the Tensors in that; the variables."""
    with differentiating():
        variables = pytree.mapped(lambda value: _variable(value, where), primals)
        if not pytree.ends(variables):
            raise DTypeError(f"{where}: expected at least one array to differentiate by, got {primals!r:.60}")
        result = function(*variables)
    outputs = pytree.ends(result)
    if not outputs:
        raise DTypeError(f"{where}: expected the function to return Tensors, got {result!r}")
    for output in outputs:
        if not isinstance(output, Tensor):
            raise DTypeError(f"{where}: expected the function to return Tensors, got {type(output).__name__}")
    return result, outputs, pytree.ends(variables)


def fitted(function: Callable[..., Any], primals: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """The primals one by one, as ``function`` takes them, also if they were given as one tuple (PyTorch's way).

    Raises:
        DTypeError: ``function`` cannot be called.
        ArgumentError: it takes another number of arguments.
    """
    if not callable(function):
        raise DTypeError(f"{where}: expected a function first, got {function!r:.60}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C, and does not tell
        return primals
    several = arguments(primals[0]) if len(primals) == 1 else primals
    for given in (primals, several):
        try:
            signature.bind(*given)
        except TypeError:
            continue
        return given
    raise ArgumentError(
        f"{where}: expected one primal for each argument of the function, which takes {signature}, got {len(several)}; write "
        "vjp(f, a, b), or jvp(f, (a, b), …) with a tuple; a tuple that is one argument stands in a tuple of its own"
    )


def recorded(create_graph: bool | None) -> bool:
    """Whether a transform's results shall be differentiable: as asked, else only inside another transform."""
    return state.differentiating if create_graph is None else flag(create_graph, "create_graph")


def vjp(
    function: Callable[..., Any], *primals: Any, create_graph: bool | None = None
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """The value of a function, and its derivative as a function that takes gradients from the outputs to the inputs.

    ``pullback(g)`` is gᵀ J, where J is the Jacobian of ``function`` at ``primals``: a vector–Jacobian product. It can be
    called any number of times.

    Args:
        function: takes Tensors in the places of ``primals`` and returns a Tensor, or a pytree of them.
        primals: Tensors or arrays of floating-point numbers, or pytrees of them (tuples, NamedTuples, lists, dicts). For a
            function of several arguments they may also stand in one tuple.
        create_graph: make the results differentiable. By default they are so inside another transform.

    Returns:
        The value and the pullback. The pullback takes a pytree like the value (or nothing, if the value is one number)
        and returns one pytree of gradients for each primal.

    Raises:
        DTypeError: a primal is not made of floating-point numbers, or the function returns something else than Tensors.
        ArgumentError: the function takes another number of arguments.
        ArgumentError, ShapeError: from the pullback, if its argument does not fit the value.

    >>> y, pullback = vjp(lambda W, x: W @ x, np.array([[1.0, 2.0]]), np.array([3.0, 4.0]))
    >>> y.numpy()
    array([11.])
    >>> dW, dx = pullback([10.0])
    >>> dW.numpy(), dx.numpy()
    (array([[30., 40.]]), array([10., 20.]))
    """
    keep = recorded(create_graph)
    primals = fitted(function, primals, "vjp")
    result, outputs, variables = evaluated(function, primals, "vjp")
    pull = reverse(outputs, variables, "vjp")

    def pullback(gradient: Any = None) -> tuple[Any, ...]:
        """The gradients of the primals for this upstream gradient of the value."""
        given = [gradient] if isinstance(result, Tensor) else pytree.like(result, gradient, "pullback")
        upstream = [(y, g) for y, g in zip(outputs, given, strict=True) if y.requires_grad]
        gradients: tuple[Any, ...] = pytree.rebuilt(primals, pull(upstream, keep)[0])
        return gradients

    return (result if keep else pytree.mapped(Tensor.detach, result)), pullback


def jvp(function: Callable[..., Any], primals: Any, tangents: Any, create_graph: bool | None = None) -> tuple[Any, Any]:
    """The value of a function, and how it changes when its arguments move along ``tangents``: J v, forward mode.

    Reverse mode gives both: g ↦ gᵀ J is linear, and the transpose of that map is v ↦ J v. So the backward pass is recorded
    for a g that stands for any, and then passed backward itself, starting with v.

    Args:
        function: takes Tensors in the places of ``primals`` and returns a Tensor, or a pytree of them.
        primals: a tuple with one entry for each argument, or the only argument.
        tangents: a direction for each primal, with the same structure and shapes.
        create_graph: make the results differentiable. By default they are so inside another transform.

    Returns:
        The value and its derivative along the tangents, two pytrees of Tensors of the same structure.

    Raises:
        ArgumentError, ShapeError: the primals do not fit the function, or the tangents the primals.
        DTypeError: as for `vjp`.

    >>> y, dy = jvp(lambda x: x**2.0, np.array([1.0, 3.0]), np.array([1.0, 10.0]))
    >>> y.numpy(), dy.numpy()
    (array([1., 9.]), array([ 2., 60.]))
    """
    keep = recorded(create_graph)
    primals = fitted(function, arguments(primals), "jvp")
    directions = along(primals, tangents, "jvp")
    result, outputs, variables = evaluated(function, primals, "jvp")
    any_g = [Tensor(np.ones(y.shape, y.dtype), requires_grad=True) for y in outputs]
    upstream = [(y, g) for y, g in zip(outputs, any_g, strict=True) if y.requires_grad]
    products, _ = reverse(outputs, variables, "jvp")(upstream, True)
    started = [(p, v) for p, v in zip(products, directions, strict=True) if p.requires_grad]
    derivatives, _ = reverse([p for p, _ in started], any_g, "jvp")(started, keep)
    return (result if keep else pytree.mapped(Tensor.detach, result)), pytree.rebuilt(result, derivatives)


def along(primals: tuple[Any, ...], tangents: Any, where: str) -> list[Any]:
    """The tangents, one for each end of ``primals``, checked: same structure, same shapes."""
    directions = pytree.like(primals, arguments(tangents), f"{where}: tangents")
    for (path, primal), tangent in zip(pytree.named_ends(primals), directions, strict=True):
        shape, got = np.shape(getattr(primal, "_array", primal)), np.shape(getattr(tangent, "_array", tangent))
        if shape != got:
            which = "" if len(directions) == 1 else f" {path}"
            raise ShapeError(f"{where}: the tangent{which} must have the shape {shape} of its primal, got {got}")
    return directions


def arguments(primals: Any) -> tuple[Any, ...]:
    """The arguments of a function, given as a tuple (or a list) or as the only one; a NamedTuple is one argument."""
    if isinstance(primals, tuple | list) and not hasattr(primals, "_fields"):
        return tuple(primals)
    return (primals,)


def edge_gradients(output: Tensor, gradient: Any = None) -> dict[tuple[Node, int], Array]:
    """The part of the gradient that each operation sends to each of its inputs.

    One backward sweep that changes nothing: no ``grad`` is touched, no hook is called, nothing is released.

    Args:
        output: where to start.
        gradient: the upstream gradient, of the shape of ``output``; may be left out for one entry (it is then 1).

    Returns:
        For (operation, input number) the array sent, in the shape and dtype of that input. A weight used at T steps gets
        T of them, whose sum is its gradient.

    Raises:
        GraphError: nothing was recorded, ``output`` has several entries and no ``gradient`` is given, or the graph was
            released by a backward pass: ask before it, or have it keep the graph.
        ShapeError, DTypeError: ``gradient`` does not fit ``output``.

    >>> import minigrad as mg
    >>> w, h = Tensor([2.0], requires_grad=True), Tensor([1.0])
    >>> for t in (1, 2, 3):
    ...     with mg.time_step(t):
    ...         h = h * w
    >>> edges = edge_gradients(h)
    >>> {node.time: part.item() for (node, k), part in edges.items() if node.inputs[k] is w.node}
    {3: 4.0, 2: 4.0, 1: 4.0}
    """
    (output,) = _tensors((output,), "edge_gradients")
    edges: dict[tuple[Node, int], Array] = {}

    def note(operation: Operation, position: int, contribution: Array) -> None:
        edges[operation, position] = own(contribution)

    node, g = seed(output, gradient, "edge_gradients")
    for _ in graph.sweep([(node.written_out(), g)], SilentAccumulator(note), INPUTS):
        pass
    return edges
