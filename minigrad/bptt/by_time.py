"""The size of the gradient at every time step: of each named value, and of each step's contribution to every parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.arguments import several, text
from minigrad.backward import seed
from minigrad.errors import ArgumentError, DTypeError
from minigrad.gradients import SilentAccumulator, own
from minigrad.graph import INPUTS, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.tensor import Tensor

from .by_loop import Label, Measured, is_choice, measured_by_loop
from .tables import aligned, norms
from .terms import Entrance, Seeds, times_of

__all__ = ["GradientByTime", "gradient_by_time"]


@dataclass(frozen=True)
class GradientByTime:
    """The size of what arrives at each time step; printed, a table with a line for each.

    Attributes:
        times: the time steps t, ascending.
        values: for each name that values of the steps have (states and gates), ‖∂L/∂(that value at t)‖ at each of the
            ``times``: total derivatives, over all ways to the loss. NaN where there is no such value, 0 where no gradient
            arrives at it.
        contributions: for each parameter, ‖the part of ∂L/∂θ through its use at t‖ at each of the ``times``.
    """

    times: Array
    values: dict[str, Array]
    contributions: dict[str, Array]

    @override
    def __str__(self) -> str:
        heads = ["t", *(f"‖∂L/∂{name}‖" for name in self.values), *(f"‖part of ∂L/∂{name}‖" for name in self.contributions)]
        columns = [*self.values.values(), *self.contributions.values()]
        rows = [
            [str(t), *("·" if np.isnan(column[i]) else f"{column[i]:.2e}" for column in columns)]
            for i, t in enumerate(self.times)
        ]
        return aligned([heads, *rows])


def gradient_by_time(loss: Tensor, names: Sequence[str] | None = None) -> GradientByTime:
    """How large the gradient is at every time step: of each named value, and of each step's contribution to every parameter.

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
    t   ‖∂L/∂h‖   ‖part of ∂L/∂w‖
    1   2.50e-01   2.50e-01
    2   5.00e-01   2.50e-01
    3   1.00e+00   2.50e-01
    """
    if not isinstance(loss, Tensor):
        raise DTypeError(f"gradient_by_time: expected the loss as a Tensor, got {type(loss).__name__}")
    if names is not None:
        names = [text(name, "gradient_by_time: names") for name in several(names, "gradient_by_time: names", "a list of names")]
    start = seed(loss, None, "gradient_by_time")
    times, values, contributions = measured_by_loop(*start) or _written_out(start[0].written_out(), start[1])
    missing = [name for name in names or () if all(name != known for _, known, _ in values)]
    if missing:
        raise ArgumentError(f"gradient_by_time: no value of a time step is named {', '.join(map(repr, missing))}")
    chosen = {label: sizes for label, sizes in values.items() if names is None or label[1] in names}
    alone = [name for _, name, _ in chosen]

    def written(scope: tuple[str, ...], name: str, number: int) -> str:
        path = name if alone.count(name) == 1 else "/".join((*scope, name))
        return path if number == 1 else f"{path} ({number})"

    parameters = sorted(contributions, key=lambda node: node.serial)
    return GradientByTime(
        np.array(times, int),
        {written(*label): sizes for label, sizes in chosen.items()},
        dict(zip(_labels(parameters), map(contributions.__getitem__, parameters), strict=True)),
    )


def _written_out(output: Node, g: Any) -> Measured:
    """The sizes of gradients by time, from the operations of every step."""
    nodes = graph.ancestors([output], INPUTS)
    times = sorted(times_of(nodes))
    column = {t: i for i, t in enumerate(times)}
    named = [node for node in nodes if isinstance(node, Operation) and node.time and node.name is not None]
    named = [node for node in named if not is_choice(node, node.inputs)]
    parameters = [node for node in nodes if isinstance(node, Leaf) and node.requires_grad and not node.time]
    entrances = [Entrance(nodes, leaf) for leaf in parameters]
    arriving: list[dict[int, Seeds]] = [{} for _ in entrances]

    def note(operation: Operation, position: int, contribution: Array) -> None:
        source = operation.inputs[position]
        for entrance, at in zip(entrances, arriving, strict=True):
            if source is not None and operation.time and entrance.is_crossed(operation, source):
                at.setdefault(operation.time, []).append((source, own(contribution)))

    sums, wanted = SilentAccumulator(note), set(named)
    sizes = {node: norms(g, 0) for node, g in graph.sweep([(output, g)], sums, INPUTS) if node in wanted}
    values: dict[Label, Array] = {}
    for node in named:
        number, t = 1, column[node.time or 0]
        while not np.isnan(values.setdefault((node.scope, str(node.name), number), np.full(len(times), np.nan))[t]):
            number += 1
        values[node.scope, str(node.name), number][t] = sizes.get(node, 0)
    contributions: dict[Node, Array] = {}
    for leaf, entrance, at in zip(parameters, entrances, arriving, strict=True):
        if at:
            contributions[leaf] = np.zeros(len(times))
            for t, seeds in at.items():
                contributions[leaf][column[t]] = norms(entrance.passed_on(seeds), 0)
    return Measured(times, values, contributions)


def _labels(parameters: Sequence[Node]) -> Iterator[str]:
    """A name for each parameter; those without one, and of the same name, are numbered."""
    given = [node.name or "parameter" for node in parameters]
    for number, name in enumerate(given):
        yield name if given.count(name) == 1 else f"{name} ({given[: number + 1].count(name)})"
