"""The derivative of one operation on given operands: minigrad's own, whatever the operation is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad import graph
from minigrad.checks.tracing.line import Vjp
from minigrad.gradients import ArrayAccumulator, whole
from minigrad.guard import Array
from minigrad.scope import enable_grad
from minigrad.tensor import Tensor

__all__ = ["Hole", "filled", "local", "vjp_of"]


class Hole:
    """Where an operand goes."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def filled(template: Any, values: Sequence[Any]) -> Any:
    """The template with values in the place of its holes."""
    if isinstance(template, Hole):
        return values[template.number]
    if isinstance(template, list | tuple) and not hasattr(template, "_fields"):
        return type(template)(filled(part, values) for part in template)
    if isinstance(template, dict):
        return {key: filled(part, values) for key, part in template.items()}
    return template


def local(tensor: Tensor, leaves: list[Tensor]) -> Vjp:
    """The derivative of one operation on ``leaves``: minigrad's."""
    node, places = tensor.node, [leaf.node for leaf in leaves]
    if not isinstance(node, graph.Operation):
        return lambda g: [None] * len(places)
    if len(set(places)) == len(places) and list(node.inputs) == places:
        one = node  # a single operation, by far the commonest case: no sweep needed

        def alone(g: Array) -> Sequence[Array | None]:
            contributions = ArrayAccumulator().derivative(one, g)
            return [None if c is None or p is None else whole(c, p) for c, p in zip(contributions, places, strict=True)]

        return alone

    def swept(g: Array) -> Sequence[Array | None]:
        found: dict[Any, Array] = {place: g for place, g in graph.sweep([(node, g)], ArrayAccumulator()) if place in places}
        return [None if place is None else found.get(place) for place in places]

    return swept


def vjp_of(function: Callable[..., Any], keywords: dict[str, Any]) -> tuple[Any, Callable[[Sequence[Array]], Vjp]]:
    """How to compute ``function(x)``, and its derivative at any x."""

    def at(values: Sequence[Array]) -> Vjp:
        leaf = Tensor(values[0], requires_grad=True)
        with enable_grad():
            return local(function(leaf, **keywords), [leaf])

    return lambda value: function(value, **keywords).numpy(), at
