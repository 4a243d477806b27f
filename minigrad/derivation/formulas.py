"""The formulas of a gradient of a recurrence: the right one as it is written, and what others would give.

In which order the steps are read decides how it is written: forwards, in reverse, or, where the layers above read in both
directions, neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad import graph
from minigrad.bptt.terms import Contributions, Seeds, Terms
from minigrad.gradients import ArrayAccumulator
from minigrad.graph import INPUTS, Leaf, Node
from minigrad.guard import Array
from minigrad.loops.loop import Loop

__all__ = ["BOTH", "FORWARDS", "REVERSE", "Order", "formulas_of", "loops_using", "order_of", "output_layer", "written"]

RIGHT = "the double sum with the product"
FORWARDS, REVERSE, BOTH = "forwards", "in reverse", "in both directions"


class Order(NamedTuple):
    """How the steps that use a parameter are read, and whether the steps of layers above stand between them and the loss."""

    direction: str
    is_below: bool

    @property
    def before(self) -> str:
        """What is called the step before step t."""
        return "ₜ₊₁" if self.direction == REVERSE else "ₜ₋₁"

    @property
    def distance(self) -> str:
        """How far the use of the parameter is from the loss."""
        return {FORWARDS: "t − k", REVERSE: "k − t", BOTH: "|t − k|"}[self.direction]


def loops_using(output: Node, leaf: Node | None) -> list[Loop]:
    """The loops that use a parameter themselves, and not through what another loop has made of it."""
    loops = [node for node in graph.ancestors([output]) if isinstance(node, Loop)]
    using = {loop: leaf in graph.ancestors(loop.sources) for loop in loops}
    return [loop for loop in loops if using[loop] and not any(using[other] for other in _below(loop))]


def _below(loop: Loop) -> list[Loop]:
    """The loops whose results a loop reads."""
    return [node for node in graph.ancestors(loop.sources) if isinstance(node, Loop)]


def order_of(output: Node, leaf: Node, norms: Array) -> Order:
    """The order in which the steps that use a parameter are read: as the loops say, or as the terms of the sum do."""
    loops = loops_using(output, leaf)
    above = [node for node in graph.ancestors([output]) if isinstance(node, Loop) and set(loops) & {*_below(node)}]
    later, earlier = np.tril(norms, -1).any(), np.triu(norms, 1).any()
    is_reverse = {loop.times.step < 0 for loop in [*loops, *above]} or {bool(earlier and not later)}
    if len(is_reverse) == 2 or (later and earlier):
        return Order(BOTH, bool(above))
    return Order(REVERSE if is_reverse.pop() else FORWARDS, bool(above))


# ---------------------------------------------------------------- in symbols


def written(name: str, state: Sequence[str], order: Order, is_in_steps: bool, has_layer: bool) -> tuple[str, list[str]]:
    """The formula, and what its signs mean.

    Args:
        name: what the parameter is called.
        state: the parts of the state, the output last.
        order: how the steps are read.
        is_in_steps: whether a step uses the parameter.
        has_layer: whether a layer stands between the states and the loss.

    >>> written("W", ("h",), Order(REVERSE, False), True, False)[0]
    '∂L/∂W = Σₜ ∂Lₜ/∂hₜ · Σ_{k ≥ t} ( Π_{i = t … k−1} ∂hᵢ/∂hᵢ₊₁ ) · ∂⁺hₖ/∂W'
    """
    s, h = state[0] if len(state) == 1 and not order.is_below else "s", state[-1]
    if not is_in_steps:
        y = "ŷₜ" if has_layer else f"{h}ₜ"
        return f"∂L/∂{name} = Σₜ ∂Lₜ/∂{y} · ∂{y}/∂{name}", ["No step stands between the parameter and L: no product."]
    held = "₊" if order.direction == REVERSE else "₋"
    lines = [f"∂⁺{s}ₖ/∂{name} is the use of {name} at step k alone, {s}ₖ{held}₁ held fixed."]
    if order.direction == BOTH:
        lines[0] = f"∂⁺{h}ₖ/∂{name} is the use of {name} at step k alone, the state before it held fixed."
        lines.append(f"∂Lₜ/∂{h}ₖ goes through layers that read in both directions: k may be before t, or after it.")
        return f"∂L/∂{name} = Σₜ Σₖ ∂Lₜ/∂{h}ₖ · ∂⁺{h}ₖ/∂{name}", lines
    if order.is_below:
        lines.append(f"s = ({', '.join(state)}, …) is the state of this layer and of those above it.")
    elif s != h:
        lines.append(f"s = ({', '.join(state)}) is the whole state.")
    of_loss = f"∂Lₜ/∂ŷₜ · ∂ŷₜ/∂{h}ₜ" if has_layer else f"∂Lₜ/∂{h}ₜ"
    if s != h:
        of_loss = f"∂Lₜ/∂{s}ₜ" if order.is_below else f"{of_loss} · ∂{h}ₜ/∂{s}ₜ"
    over, product = "k ≤ t", f"Π_{{i = k+1 … t}} ∂{s}ᵢ/∂{s}ᵢ₋₁"
    if order.direction == REVERSE:
        over, product = "k ≥ t", f"Π_{{i = t … k−1}} ∂{s}ᵢ/∂{s}ᵢ₊₁"
        lines.append("The sequence is read in reverse: step t + 1 is the one before step t.")
    return f"∂L/∂{name} = Σₜ {of_loss} · Σ_{{{over}}} ( {product} ) · ∂⁺{s}ₖ/∂{name}", lines


def output_layer(output: Node) -> set[Node | None]:
    """The parameters that stand between the steps and the loss."""
    waiting, seen = [output], {output}
    while waiting:
        node = waiting.pop()
        sources = {source for source in node.inputs if source is not None and not node.time} - seen
        seen |= sources
        waiting += sources
    in_steps = {source for node in graph.ancestors([output], INPUTS) if node.time for source in node.inputs}
    parameters: set[Node | None] = {
        node for node in seen if isinstance(node, Leaf) and node.requires_grad and not node.time
    }
    return parameters - in_steps


# ---------------------------------------------------------------- in numbers


def formulas_of(terms: Terms, rows: Sequence[Seeds], whole: Contributions, order: Order, index: Any) -> dict[str, Array]:
    """What the right formula gives, and what those give that are often handed in.

    Args:
        terms: how terms are computed.
        rows: what the loss sends to the values of each step.
        whole: the terms, of the part of the parameter that is meant.
        order: how the steps are read.
        index: which part that is.
    """
    table, outside = whole.table, whole.outside.sum(axis=0)
    found = {RIGHT: whole.gradient}
    if not table.size:
        return found
    T = min(table.shape[:2])
    first, last, names = (T - 1, 0, ("T", "1")) if order.direction == REVERSE else (0, T - 1, ("1", "T"))
    found |= {
        f"one step only, t = {names[1]}": table[last, last] + outside,
        "k = t only, no product": sum(table[t, t] for t in range(T)) + outside,
        f"the first step only, k = {names[0]}": table[:, first].sum(axis=0) + outside,
        f"the last loss only, t = {names[1]}": table[last].sum(axis=0) + outside,
    }
    without = None if order.direction == BOTH else _without_product(terms, rows, order.direction == REVERSE)
    return found if without is None else found | {"the sum without the product": without[index] + outside}


def _without_product(terms: Terms, rows: Sequence[Seeds], is_reverse: bool) -> Array | None:
    """The double sum with every product of Jacobians replaced by the identity, where each step has one output."""
    outputs = _outputs(terms, rows)
    if outputs is None:
        return None
    total, later = np.zeros(terms.leaf.shape, terms.leaf.dtype), None
    for node, g in outputs if is_reverse else reversed(outputs):
        later = g if later is None else later if g is None else later + g
        if node is not None and later is not None:
            total = total + terms.by_use([(node, later)], allowed=node.time)[0].sum(axis=0)
    return total


def _outputs(terms: Terms, rows: Sequence[Seeds]) -> list[tuple[Node | None, Any]] | None:
    """The output of each step, and what the loss sends to it: None where that is nothing."""
    found: list[tuple[Node | None, Any]] = []
    for arriving in rows:
        nodes = {node for node, _ in arriving}
        if len(nodes) > 1:
            return None
        sums = ArrayAccumulator()
        for node, g in arriving:
            sums.send(node, g)
        found.append((arriving[0][0], np.array(sums.take(arriving[0][0]))) if arriving else (None, None))
    known = [node for node, _ in found if node is not None]
    if not known or len({(node.shape, node.name, node.scope) for node in known}) != 1:
        return None
    if len(known) == len(found):
        return found
    same = _same_value(known[0], terms.entrance.relevant)
    return [(node or same(t), g) for t, (node, g) in enumerate(found, start=1)] if known[0].name else None


def _same_value(like: Node, nodes: Iterable[Node | None]) -> Callable[[int], Node | None]:
    """The value of a step that has the name of a value of another one."""
    named = {node.time: node for node in nodes if node is not None and (node.name, node.scope) == (like.name, like.scope)}
    return named.get
