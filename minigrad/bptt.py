"""Backpropagation through time taken apart: which step contributes what to a gradient, and how far gradients reach.

The gradient of a parameter that every step uses is a double sum (C5), over the losses L_t and over the steps k at which
the parameter is used:

    ∂L/∂θ = Σ_t Σ_{k≤t} ∂L_t/∂h_t · (Π_{i=k+1..t} ∂h_i/∂h_{i−1}) · ∂⁺h_k/∂θ

`contributions` gives its terms, `state_jacobians` the products in it, and `gradient_by_time` the sizes of all that arrives
at each step.

*Total and partial derivatives.* ∂⁺h_k/∂θ is *partial*: what the use of θ at step k alone does, with h_{k−1} held fixed.
Everything here that is called the gradient of a state, as everywhere in minigrad, is *total*: ∂L/∂c_t, what ``retain_grad``
keeps as ``c.grad``, is the sum over all ways from c_t to the loss. Of an LSTM there are two:

    ∂L/∂c_t = ∂L/∂h_t ⊙ o_t ⊙ (1 − tanh²(c_t))  +  f_{t+1} ⊙ ∂L/∂c_{t+1}

through the output of its own step, and through the next cell state. The function that a course asks for,
``lstm_cell_backward``, sees one step. What it returns as ``dc_prev`` is f_t ⊙ dc_t: only the part of ∂L/∂c_{t−1} that goes
through c_t. The rest, through h_{t−1}, is added when step t − 1 is differentiated. So a right ``dc_prev`` differs from
``c.grad`` of that step wherever h_{t−1} has a gradient; the two are equal only where h_{t−1} has none. With h it is the
other way round: ``dh_prev`` is all that step t sends to h_{t−1}, to which the loss of step t − 1 is still to be added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph, pytree
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.gradients import ArraySums, own
from minigrad.graph import INPUTS, Gradient, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.steps import is_cell, part_names, step_of, tensors_of
from minigrad.tensor import Tensor, seed
from minigrad.transforms import vjp

__all__ = ["Contributions", "GradientByTime", "StateJacobians", "contributions", "gradient_by_time", "state_jacobians"]

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
        found, _ = graph.sweep(arriving, ArraySums(), {self.leaf}, self.made_of_it, on_edge=_ignored, edges=INPUTS)
        g = found.get(self.leaf)
        return own(np.zeros(self.leaf.shape, self.leaf.dtype) if g is None else g)


def _ignored(operation: Operation, position: int, share: Any) -> None:
    """What is asked to look at an edge, and does not: hooks are for backward passes, not for this."""


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
        norms: Array = _norms(self.table, 2)
        return norms

    @property
    def gradient(self) -> Array:
        """The double sum, ∂(Σ_t L_t)/∂θ, of the shape of θ."""
        total: Array = self.table.sum(axis=(0, 1)) + self.outside.sum(axis=0)
        return total

    @override
    def __str__(self) -> str:
        columns = ["", *(f"k = {k}" for k in range(1, self.table.shape[1] + 1))]
        rows = [[f"L_{t}", *(f"{norm:.1e}" if norm else "·" for norm in row)] for t, row in enumerate(self.norms, start=1)]
        return _aligned([columns, *rows])


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
        terms = Terms([started(losses, None, "contributions")], leaf)
        rows, outside = terms.read_at_each_step()
        return Contributions(np.stack([terms.by_use(arriving)[0] for arriving in rows]), outside[None])
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
        self.T = max(_times(nodes), default=0)

    def by_use(self, arriving: Seeds, allowed: int | None = None) -> tuple[Array, Array]:
        """What these gradients send to the parameter through its use at each step, (T, *θ.shape), and outside of any.

        With ``allowed`` only by ways within that step.
        """
        entrance, found = self.entrance, dict[int, Seeds]()
        for node, g in arriving:
            if node in entrance.made_of_it:
                found.setdefault(0, []).append((node, g))

        def note(operation: Operation, position: int, share: Any) -> None:
            source = operation.inputs[position]
            if source is not None and entrance.is_crossed(operation, source):
                found.setdefault(operation.time or 0, []).append((source, own(share)))

        sums = ArraySums() if allowed is None else Within({allowed})
        begun = [(node, g) for node, g in arriving if node in entrance.relevant and node not in entrance.made_of_it]
        graph.sweep(begun, sums, relevant=entrance.relevant, on_edge=note, edges=INPUTS)
        table = np.zeros((self.T, *self.leaf.shape), self.leaf.dtype)
        for k, seeds in found.items():
            if k:
                table[k - 1] = entrance.passed_on(seeds)
        outside = entrance.passed_on(found[0]) if 0 in found else np.zeros(self.leaf.shape, self.leaf.dtype)
        return table, outside

    def read_at_each_step(self) -> tuple[list[Seeds], Array]:
        """What the loss sends directly to the values of each step t = 1 … T, and to the parameter without any step."""
        rows: list[Seeds] = [[] for _ in range(self.T)]

        def note(operation: Operation, position: int, share: Any) -> None:
            source = operation.inputs[position]
            if source is not None and source.time and not operation.time:
                rows[source.time - 1].append((source, own(share)))

        (output, g), relevant = self.seeds[0], self.entrance.relevant
        if output.time:
            rows[output.time - 1].append((output, g))
            return rows, np.zeros(self.leaf.shape, self.leaf.dtype)
        seeds = self.seeds if output in relevant else []
        found, _ = graph.sweep(seeds, Within({None, 0}), {self.leaf}, relevant, on_edge=note, edges=INPUTS)
        direct = found.get(self.leaf)
        return rows, np.zeros(self.leaf.shape, self.leaf.dtype) if direct is None else own(direct)


class Within(ArraySums):
    """Sums of a sweep that goes no further than the operations of some times."""

    __slots__ = ("times",)

    def __init__(self, times: set[int | None]) -> None:
        super().__init__()
        self.times = times

    @override
    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        return super().derivative(operation, g) if operation.time in self.times else (None,) * len(operation.inputs)


def _times(nodes: Iterable[Node]) -> set[int]:
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
        several = [losses] if isinstance(losses, Tensor) else list(losses)
        for number, loss in enumerate(several, start=1):
            if not isinstance(loss, Tensor):
                raise DTypeError(f"{where}: expected Tensors L_1 … L_T, got {type(loss).__name__} for L_{number}")
            if np.prod(loss.shape) != 1:
                raise ShapeError(f"{where}: expected losses with one entry each, got shape {loss.shape} for L_{number}")
        found = [started(loss, None, where) for loss in several]
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


@dataclass(frozen=True)
class StateJacobians:
    """The Jacobians of a recurrence from step to step.

    A state s is all its parts side by side in one vector, and so are all examples of a batch: n entries.

    Attributes:
        steps: (T, n, n); ``steps[t − 1]`` is ∂s_t/∂s_{t−1}, x_t and the parameters held fixed.
        parts: for each part of the state, such as ``"h"``, which entries of s it is.
    """

    steps: Array
    parts: dict[str, slice] = field(repr=False)

    def between(self, t: int, k: int, of: str | None = None, by: str | None = None) -> Array:
        """∂s_t/∂s_k = Π_{i=k+1..t} ∂s_i/∂s_{i−1}, the latest step on the left; for k = t the identity, for k > t zero.

        Args:
            t, k: from 0 (the initial state) to T.
            of, by: a part of the state each: ``of="h", by="c"`` gives the block ∂h_t/∂c_k. None: all of the state.

        Raises:
            ArgumentError: there is no such time or no such part.
        """
        T, n = len(self.steps), self.steps.shape[-1]
        for name, time in (("t", t), ("k", k)):
            if not 0 <= time <= T:
                raise ArgumentError(f"between: {name} must be from 0 to T = {T}, got {time}")
        product = np.eye(n, dtype=self.steps.dtype) if k <= t else np.zeros((n, n), self.steps.dtype)
        for i in range(k, t):
            product = self.steps[i] @ product
        return product[self._part(of), self._part(by)]

    def norms(self, of: str | None = None, by: str | None = None) -> Array:
        """(T + 1, T + 1): the largest singular value of ∂s_t/∂s_k at [t, k]: how much a change of s_k can grow until t."""
        return self._table(lambda block: float(np.linalg.norm(block, 2)), of, by)

    def radii(self, part: str | None = None) -> Array:
        """(T + 1, T + 1): the spectral radius of ∂s_t/∂s_k at [t, k], the largest absolute value of an eigenvalue."""
        return self._table(lambda block: float(np.abs(np.linalg.eigvals(block)).max()), part, part)

    def _table(self, size: Any, of: str | None, by: str | None) -> Array:
        rows, columns, T = self._part(of), self._part(by), len(self.steps)
        table = np.zeros((T + 1, T + 1))
        for k in range(T + 1):
            product = np.eye(self.steps.shape[-1], dtype=self.steps.dtype)
            for t in range(k, T + 1):
                product = product if t == k else self.steps[t - 1] @ product
                table[t, k] = size(product[rows, columns])
        return table

    def _part(self, name: str | None) -> slice:
        if name is None:
            return slice(None)
        if name not in self.parts:
            raise ArgumentError(f"state_jacobians: the state has no part {name!r}; it has {', '.join(self.parts)}")
        return self.parts[name]


def state_jacobians(cell_or_step: Any, xs: Any, state: Any = None) -> StateJacobians:
    """∂s_t/∂s_{t−1} of every step of a recurrence, and by their products ∂s_t/∂s_k.

    The Jacobian of an LSTM's state has four blocks, since (c, h) together are the state: ∂h_t/∂h_{t−1} with c_{t−1} held
    fixed is another matrix than the one with c_{t−1} computed from h_{t−2}; the products of the whole matrices are the ones
    that the chain rule asks for.

    Args:
        cell_or_step: a cell, or a function as `minigrad.scan` takes it, ``step(carry, x)``.
        xs: (T, …), time first, or a nest of such arrays.
        state: the state before the first step; by default the cell's own. A batch of one example gives its Jacobians; of a
            larger batch the matrices of all examples stand along one diagonal.

    Raises:
        ArgumentError: a function is given without a state.
        DTypeError: neither a cell nor a function is given, or the state is not made of floating-point numbers.

    >>> W = np.array([[0.5, 0.0], [1.0, 0.5]])
    >>> jacobians = state_jacobians(lambda h, x: W @ h + x, np.zeros((3, 2)), state=np.zeros(2))
    >>> jacobians.between(2, 0)
    array([[0.25, 0.  ],
           [1.  , 0.25]])
    >>> jacobians.radii()[3, :]
    array([0.125, 0.25 , 0.5  , 1.   ])
    """
    step, inputs = step_of(cell_or_step, "state_jacobians"), tensors_of(xs)
    sequences = pytree.ends(inputs)
    if state is None:
        if not is_cell(cell_or_step):
            raise ArgumentError("state_jacobians: of a function, the state before the first step must be given")
        state = cell_or_step.initial_state(sequences[0].shape[1])
    carry = tensors_of(state)
    names, blocks = part_names(cell_or_step, carry), []
    sizes = [int(np.prod(part.shape)) for part in pytree.ends(carry)]
    ends = np.cumsum([0, *sizes])
    for k in range(len(sequences[0])):
        x = pytree.rebuilt(inputs, [sequence[k].detach() for sequence in sequences])
        carry, block = _jacobian(lambda s, x=x: step(s, x)[0], carry, ends)
        blocks.append(block)
    dtype = pytree.ends(carry)[0].dtype
    steps = np.stack(blocks) if blocks else np.zeros((0, ends[-1], ends[-1]), dtype)
    return StateJacobians(steps, {name: slice(a, b) for name, a, b in zip(names, ends[:-1], ends[1:], strict=True)})


def _jacobian(step: Any, carry: Any, ends: Array) -> tuple[Any, Array]:
    """The new carry, and its Jacobian with respect to the old one, row by row."""
    new, pullback = vjp(step, carry)
    parts = pytree.ends(new)
    rows = []
    for row in range(ends[-1]):
        unit = np.zeros(ends[-1], parts[0].dtype)
        unit[row] = 1
        upstream = [unit[a:b].reshape(part.shape) for a, b, part in zip(ends[:-1], ends[1:], parts, strict=True)]
        (pulled,) = pullback(pytree.rebuilt(new, upstream))
        rows.append(np.concatenate([end.numpy().ravel() for end in pytree.ends(pulled)]))
    return new, np.stack(rows) if rows else np.zeros((0, 0))


@dataclass(frozen=True)
class GradientByTime:
    """The size of what arrives at each time step; printed, a table with a line for each.

    Attributes:
        times: the time steps t, ascending.
        values: for each name that values of the steps have (states and gates), ‖∂L/∂(that value at t)‖ at each of the
            ``times``: total derivatives, over all ways to the loss. NaN where there is no such value, 0 where no gradient
            arrives at it.
        shares: for each parameter, ‖the part of ∂L/∂θ through its use at t‖ at each of the ``times``.
    """

    times: Array
    values: dict[str, Array]
    shares: dict[str, Array]

    @override
    def __str__(self) -> str:
        heads = ["t", *(f"‖∂L/∂{name}‖" for name in self.values), *(f"‖share of {name}‖" for name in self.shares)]
        columns = [*self.values.values(), *self.shares.values()]
        rows = [
            [str(t), *("·" if np.isnan(column[i]) else f"{column[i]:.2e}" for column in columns)]
            for i, t in enumerate(self.times)
        ]
        return _aligned([heads, *rows])


def gradient_by_time(loss: Tensor, names: Sequence[str] | None = None) -> GradientByTime:
    """How large the gradient is at every time step: of each named value, and of each step's share of every parameter.

    Args:
        loss: a Tensor with one entry.
        names: the names of the values to follow, such as ``("h", "c")``; by default all names that values of the steps
            have. Values of the same name at the same time, as in stacked layers, are told apart by the path of their
            scopes, ``"layer 2/lstm/h"``.

    Returns:
        The table. No ``grad`` is changed, no hook is called, nothing is released.

    Raises:
        GraphError: nothing was recorded, the loss has more than one entry, or the graph was released: ask before
            ``backward``, or have it keep the graph.
        DTypeError: the loss is not a Tensor.
        ArgumentError: no value of a step has one of the ``names``.

    >>> import minigrad as mg
    >>> w, h = Tensor([0.5], requires_grad=True, name="w"), Tensor([1.0])
    >>> for t in (1, 2, 3):
    ...     with mg.time_step(t):
    ...         h = (h * w).named("h")
    >>> print(gradient_by_time(h.sum()))
    t   ‖∂L/∂h‖   ‖share of w‖
    1   2.50e-01   2.50e-01
    2   5.00e-01   2.50e-01
    3   1.00e+00   2.50e-01
    """
    if not isinstance(loss, Tensor):
        raise DTypeError(f"gradient_by_time: expected the loss as a Tensor, got {type(loss).__name__}")
    output, g = started(loss, None, "gradient_by_time")
    nodes = graph.ancestors([output], INPUTS)
    times = sorted(_times(nodes))
    column = {t: i for i, t in enumerate(times)}
    named = _named(nodes, column, names)
    parameters = [node for node in nodes if isinstance(node, Leaf) and node.requires_grad and node.time is None]
    entrances = [Entrance(nodes, leaf) for leaf in parameters]
    arriving: list[dict[int, Seeds]] = [{} for _ in entrances]

    def note(operation: Operation, position: int, share: Any) -> None:
        source = operation.inputs[position]
        for entrance, at in zip(entrances, arriving, strict=True):
            if source is not None and operation.time and entrance.is_crossed(operation, source):
                at.setdefault(operation.time, []).append((source, own(share)))

    found, _ = graph.sweep([(output, g)], ArraySums(), set().union(*named.values()), on_edge=note, edges=INPUTS)
    values = {}
    for label, members in named.items():
        values[label] = np.full(len(times), np.nan)
        for node in members:
            if node.time is not None:
                values[label][column[node.time]] = _norms(found.get(node, np.zeros(())), 0)
    shares = {}
    for label, entrance, at in zip(_labels(parameters), entrances, arriving, strict=True):
        if at:
            shares[label] = np.zeros(len(times))
            for t, seeds in at.items():
                shares[label][column[t]] = _norms(entrance.passed_on(seeds), 0)
    return GradientByTime(np.array(times, int), values, shares)


def _named(nodes: Iterable[Node], times: Iterable[int], names: Sequence[str] | None) -> dict[str, list[Node]]:
    """The named values of the steps that need a gradient, under names that tell them apart."""
    members: dict[tuple[tuple[str, ...], str], list[Node]] = {}
    known = set(times)
    for node in nodes:
        wanted = node.name is not None and (names is None or node.name in names)
        if wanted and node.time in known and isinstance(node, Operation):
            members.setdefault((node.scope, str(node.name)), []).append(node)
    missing = [name for name in names or () if all(name != known for _, known in members)]
    if missing:
        raise ArgumentError(f"gradient_by_time: no value of a time step is named {', '.join(map(repr, missing))}")
    alone = {name: [key for key in members if key[1] == name] for _, name in members}
    return {name if len(alone[name]) == 1 else "/".join((*scope, name)): found for (scope, name), found in members.items()}


def _labels(parameters: Sequence[Node]) -> Iterator[str]:
    """A name for each parameter; those without one, and of the same name, are numbered."""
    given = [node.name or "parameter" for node in parameters]
    for number, name in enumerate(given):
        yield name if given.count(name) == 1 else f"{name} ({given[: number + 1].count(name)})"


def _norms(arrays: Any, axes: int) -> Any:
    """The Euclidean norm over all but the first ``axes``."""
    return np.sqrt(np.square(arrays).sum(axis=tuple(range(axes, np.ndim(arrays)))))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows of a table, its columns aligned to the right but the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = row
        lines.append("   ".join([first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]))
    return "\n".join(lines)
