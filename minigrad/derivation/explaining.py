"""explain: a gradient as the courses write it, with the numbers of its terms.

    ∂L/∂θ = Σ_t ∂L_t/∂h_t · Σ_{k≤t} ( Π_{i=k+1..t} ∂h_i/∂h_{i−1} ) · ∂⁺h_k/∂θ          (C5)

Every term is computed by itself (`minigrad.contributions`), so it can be said which of them matter, which have vanished, and
what a formula would give that leaves some of them away. A gradient that was handed in is then recognised by its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.bptt.terms import Contributions, Seeds, Terms, started
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.gradients import ArrayAccumulator
from minigrad.graph import INPUTS, Leaf, Node
from minigrad.guard import Array
from minigrad.loops.loop import Loop
from minigrad.tensor import Tensor

from .derivation import Derivation, derive, derive_loop
from .expression import Symbol, ends
from .lines import FORWARD, PARAMETER, STATE, Formula
from .writing import Text

__all__ = ["Explanation", "explain"]

RIGHT = "the double sum with the product"
VANISHED = 1e-6
"""A term that is smaller than the largest by this factor has vanished."""
ENOUGH = 1e-2
"""Terms can be left away if the gradient is then off by less than this."""
SHOWN = 12
"""Up to how many steps every term is printed."""


@dataclass(frozen=True)
class Explanation:
    """A gradient taken apart into the terms of its formula.

    Attributes:
        parameter: what the parameter is called.
        formula: the formula, with the cell's own symbols.
        factors: what the factors are, line by line.
        terms: the terms: ``terms.table[t − 1, k − 1]``.
        formulas: what the right formula gives, and formulas that leave something away, by their names.
    """

    parameter: str
    formula: str
    factors: tuple[str, ...]
    terms: Contributions = field(repr=False)
    formulas: dict[str, Array] = field(repr=False)

    @property
    def vanished(self) -> Array:
        """(T, T) booleans: which terms, though there is a way, are smaller than the largest by 10⁻⁶."""
        norms = self.terms.norms
        below: Array = norms < VANISHED * norms.max(initial=0)
        return np.triu(below) if _is_reversed(self.terms) else np.tril(below)

    def without(self, distance: int) -> float:
        """The relative error of the gradient if all terms with |t − k| > ``distance`` are left away, as truncation does."""
        t, k = np.indices(self.terms.norms.shape)
        near = np.abs(t - k) <= distance
        whole = self.terms.gradient
        kept = self.terms.table[near].sum(axis=0) + self.terms.outside.sum(axis=0)
        return float(np.linalg.norm((whole - kept).ravel()) / max(float(np.linalg.norm(whole.ravel())), np.finfo(float).tiny))

    def recognise(self, gradient: Any, tolerance: float = 1e-6) -> list[str]:
        """The formulas that give this gradient, up to a relative tolerance; none if no formula here does.

        Raises:
            ShapeError: it has another shape than the parameter.
        """
        handed_in = np.asarray(gradient, dtype=float)
        expected = self.terms.gradient.shape
        if handed_in.shape != expected:
            got = handed_in.shape
            raise ShapeError(f"recognise: {self.parameter} has the shape {expected}, the gradient that was handed in {got}")
        found = []
        for name, value in self.formulas.items():
            scale = max(float(np.abs(value).max(initial=0)), float(np.abs(handed_in).max(initial=0)))
            if np.abs(handed_in - value).max(initial=0) <= tolerance * scale:
                found.append(name)
        return found

    @override
    def __str__(self) -> str:
        rows = [self.formula, *(f"    {line}" for line in self.factors), "", *self._numbers()]
        return "\n".join(rows)

    def _numbers(self) -> list[str]:
        """Which terms matter, and which have vanished."""
        norms, T = self.terms.norms, self.terms.table.shape[1]
        if not norms.any():
            return [f"No loss reaches {self.parameter} through a time step: the double sum is empty."]
        rows = []
        if T <= SHOWN:
            table = [f"    {line}" for line in str(self.terms).splitlines()]
            rows = [f"‖term‖ for the loss of step t and the use of {self.parameter} at step k:", "", *table, ""]
        t, k = np.unravel_index(int(norms.argmax()), norms.shape)
        rows.append(f"The largest of the {T * (T + 1) // 2} terms is that of t = {t + 1}, k = {k + 1}.")
        enough = next((d for d in range(T) if self.without(d) < ENOUGH), T - 1)
        alone = f"with t = k alone it would be off by {self.without(0):.0%}"
        if enough < T - 1:
            rows.append(f"Without the terms t − k > {enough} the gradient would be off by {self.without(enough):.1%}; {alone}.")
        elif T > 1:
            rows.append(f"Without the terms t − k = {T - 1} the gradient would be off by {self.without(T - 2):.1%}; {alone}.")
        gone = int(self.vanished.sum())
        rows.append(f"{gone} have vanished: they are smaller than the largest by 10⁶." if gone else "None has vanished.")
        return rows


def explain(loss: Tensor, parameter: Tensor | str, cell: Any = None) -> Explanation:
    """The gradient of a recorded loss by a parameter of a recurrence, as the double sum of BPTT, term by term.

    Args:
        loss: a Tensor with one entry that was computed from the outputs of the steps, a sum or a mean over time.
        parameter: θ, a Tensor that the loss was computed from; with a ``cell`` also its name, that of one gate
            (``"W_fh"``) too.
        cell: the cell that was unrolled, or its `Derivation`; by default the step as it was recorded, if one compiled loop
            uses the parameter. The factors are written in its own symbols.

    Raises:
        ArgumentError: the cell has no parameter of that name, or a name is given without a cell.
        DTypeError: the loss is not a Tensor.
        GraphError: θ needs no gradient or the loss does not depend on it; nothing was recorded, the loss has more than one
            entry, or the graph was released: ask before ``backward``, or have it keep the graph.

    >>> from minigrad.models import RNN, unroll
    >>> cell = RNN(input_size=2, hidden_size=3, seed=0)
    >>> hs, _ = unroll(cell, np.ones((3, 1, 2)))
    >>> explanation = explain((hs * hs).sum(), cell.b_h, cell)
    >>> print(explanation.formula)
    ∂L/∂b_h = Σₜ ∂Lₜ/∂hₜ · Σ_{k ≤ t} ( Π_{i = k+1 … t} ∂hᵢ/∂hᵢ₋₁ ) · ∂⁺hₖ/∂b_h
    >>> explanation.recognise(explanation.terms.table[[0, 1, 2], [0, 1, 2]].sum(axis=0))
    ['k = t only, no product']
    """
    if not isinstance(loss, Tensor):
        raise DTypeError(f"explain: expected the loss as a Tensor, got {type(loss).__name__}")
    derivation = _derivation(loss, parameter) if cell is None else cell if isinstance(cell, Derivation) else derive(cell)
    tensor, name, index = _parameter(parameter, cell, derivation)
    start = started(loss, None, "explain")
    if tensor.node is None or not tensor.requires_grad:
        raise GraphError(f"explain: {name} does not require a gradient")
    terms = Terms([start], tensor.node.written_out())
    if start[0] not in terms.entrance.relevant:
        raise GraphError(f"explain: the loss was not computed from {name}")
    both, rows = terms.by_reading()
    whole = Contributions(both.table[(slice(None), slice(None), *index)], both.outside[(slice(None), *index)])
    formulas = _formulas(whole) | _without_product(terms, rows, index)
    return Explanation(name, *_written(name, whole, derivation, start[0]), whole, formulas)


def _derivation(loss: Tensor, parameter: Any) -> Derivation | None:
    """The derivation of the step of the loop that uses the parameter, if there is one such loop."""
    leaf = parameter._node if isinstance(parameter, Tensor) else None
    loops = [node for node in graph.ancestors([loss._node]) if isinstance(node, Loop)]
    using = [loop for loop in loops if leaf in graph.ancestors(loop.sources) and not _between(loop, leaf)]
    try:
        return derive_loop(using[0]) if len(using) == 1 else None
    except (ArgumentError, GraphError):  # a step with an operation that has no written form is explained without its lines
        return None


def _between(loop: Loop, leaf: Node | None) -> bool:
    """Whether another loop stands between the loop and the leaf: then it is that one that uses it."""
    below = [node for node in graph.ancestors(loop.sources) if isinstance(node, Loop)]
    return any(leaf in graph.ancestors(other.sources) for other in below)


def _parameter(
    parameter: Tensor | str, cell: Any, derivation: Derivation | None
) -> tuple[Tensor, str, tuple[Any, ...]]:
    """The tensor, its name, and which part of it is meant."""
    parts = derivation.parameters if derivation is not None else ()
    if isinstance(parameter, Tensor):
        names = [part.name for part in parts if part.tensor is parameter and not part.index]
        return parameter, names[0] if names else parameter.name or "θ", ()
    if not isinstance(parameter, str):
        raise DTypeError(f"explain: expected the parameter as a Tensor or its name, got {type(parameter).__name__}")
    known: dict[str, tuple[Tensor, tuple[Any, ...]]] = {
        name: (tensor, ()) for name, tensor in getattr(cell, "named_parameters", tuple)()
    }
    known |= {part.name: (part.tensor, part.index) for part in parts if part.wants}
    if parameter not in known:
        listed = f"the cell has {', '.join(known)}" if known else "a name says which only beside the cell that has it"
        raise ArgumentError(f"explain: no parameter {parameter!r}; {listed}")
    return known[parameter][0], parameter, known[parameter][1]


def _formulas(terms: Contributions) -> dict[str, Array]:
    """What sums over some of the terms give: the right one, and those that are often handed in."""
    table, outside = terms.table, terms.outside.sum(axis=0)
    found = {RIGHT: terms.gradient}
    if table.size:
        steps = range(min(table.shape[:2]))
        found |= {
            "one step only, t = T": table[-1, -1] + outside,
            "k = t only, no product": sum(table[t, t] for t in steps) + outside,
            "the first step only, k = 1": table[:, 0].sum(axis=0) + outside,
            "the last loss only, t = T": table[-1].sum(axis=0) + outside,
        }
    return found


def _without_product(terms: Terms, rows: list[Seeds], index: tuple[Any, ...]) -> dict[str, Array]:
    """The double sum with every product of Jacobians replaced by the identity, where each step has one output."""
    outputs: list[tuple[Node, Any]] = []
    for arriving in rows:
        nodes = {node for node, _ in arriving}
        if len(nodes) != 1:
            return {}
        sums = ArrayAccumulator()
        for node, g in arriving:
            sums.send(node, g)
        outputs.append((arriving[0][0], np.array(sums.take(arriving[0][0]))))
    if len({node.shape for node, _ in outputs}) != 1:
        return {}
    total = np.zeros(terms.leaf.shape, terms.leaf.dtype)
    later = np.zeros(outputs[0][0].shape)
    for node, g in reversed(outputs):
        later = later + g
        total = total + terms.by_use([(node, later)], allowed=node.time)[0].sum(axis=0)
    return {"the sum without the product": total[index]}


def _written(name: str, terms: Contributions, derivation: Derivation | None, output: Node) -> tuple[str, tuple[str, ...]]:
    """The formula, and its factors line by line."""
    state = derivation.state if derivation is not None else ("h",)
    s, h = state[0] if len(state) == 1 else "s", state[-1]
    layer = _output_layer(output)
    if not terms.table.any():
        y = "ŷₜ" if layer else f"{h}ₜ"
        return f"∂L/∂{name} = Σₜ ∂Lₜ/∂{y} · ∂{y}/∂{name}", ("No step stands between the parameter and L: no product.",)
    loss = f"∂Lₜ/∂ŷₜ · ∂ŷₜ/∂{h}ₜ" if layer else f"∂Lₜ/∂{h}ₜ"
    whole = loss if s == h else f"{loss} · ∂{h}ₜ/∂{s}ₜ"
    formula = f"∂L/∂{name} = Σₜ {whole} · Σ_{{k ≤ t}} ( Π_{{i = k+1 … t}} ∂{s}ᵢ/∂{s}ᵢ₋₁ ) · ∂⁺{s}ₖ/∂{name}"
    lines = [f"∂⁺{s}ₖ/∂{name} is the use of {name} at step k alone, {s}ₖ₋₁ held fixed."]
    if s != h:
        lines.append(f"s = ({', '.join(state)}) is the whole state.")
    if _is_reversed(terms):
        lines.append("The sequence is read in reverse: what is called t − 1 here is the step read before, t + 1, and k ≥ t.")
    return formula, (*lines, *(_factors(name, s, derivation) if derivation is not None else ()))


def _is_reversed(terms: Contributions) -> bool:
    """Whether losses depend on later steps and not on earlier ones."""
    return bool(np.triu(terms.norms, 1).any() and not np.tril(terms.norms, -1).any())


def _output_layer(output: Node) -> set[Node | None]:
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


def _factors(name: str, s: str, derivation: Derivation) -> list[str]:
    """The lines of the derivation that one factor ∂s_i/∂s_{i−1} consists of, from the loss down, and that of the parameter."""
    writer = Text(derivation.layout)
    by_symbol = {line.symbol: line for line in derivation.lines if line.kind != FORWARD}
    ending = [line for line in derivation.lines if line.kind == STATE]
    ending += [line for line in derivation.lines if line.kind == PARAMETER and line.symbol.name == name]
    needed: set[Symbol] = set()
    waiting: list[Formula] = list(ending)
    while waiting:
        line = waiting.pop()
        if line.symbol not in needed:
            needed.add(line.symbol)
            waiting += [by_symbol[symbol] for symbol in ends(line.formula) if symbol in by_symbol]
    rows = [f"How a gradient is multiplied by ∂{s}ᵢ/∂{s}ᵢ₋₁, and by ∂⁺{s}ₖ/∂{name}:"]
    for line in derivation.lines:
        if line.symbol in needed and line.kind != FORWARD:
            written = writer.over_time(line.formula) if line.kind == PARAMETER else writer.write(line.formula)
            rows.append(f"    {writer.symbol(line.symbol)} = {written}")
    return rows


