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

from minigrad.bptt.terms import Contributions, Terms, started
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.guard import Array
from minigrad.tensor import Tensor

from .derivation import Derivation, derive, derive_loop
from .expression import Symbol, ends
from .formulas import BOTH, REVERSE, Order, formulas_of, loops_using, order_of, output_layer, written
from .lines import FORWARD, PARAMETER, STATE, WHOLE, Formula
from .writing import Text

__all__ = ["Explanation", "explain"]

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
        order: how the steps are read.
    """

    parameter: str
    formula: str
    factors: tuple[str, ...]
    terms: Contributions = field(repr=False)
    formulas: dict[str, Array] = field(repr=False)
    order: Order = field(repr=False)

    @property
    def vanished(self) -> Array:
        """(T, T) booleans: which terms, though there is a way, are smaller than the largest by 10⁻⁶.

        There is none from a step without a loss, nor to a step at which the parameter does nothing, such as a recurrent
        matrix at the first step from a state of zeros.
        """
        norms = self.terms.norms
        from_losses, to_uses = np.any(norms, axis=1), np.any(norms, axis=0)
        below: Array = np.outer(from_losses, to_uses) & (norms < VANISHED * norms.max(initial=0))
        direction = self.order.direction
        return below if direction == BOTH else np.triu(below) if direction == REVERSE else np.tril(below)

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
            return [f"No loss reaches {self.parameter} through a time step: every term of the double sum is 0."]
        rows = []
        if T <= SHOWN:
            table = [f"    {line}" for line in str(self.terms).splitlines()]
            rows = [f"‖term‖ for the loss of step t and the use of {self.parameter} at step k:", "", *table, ""]
        t, k = np.unravel_index(int(norms.argmax()), norms.shape)
        count, distance = int(np.count_nonzero(norms)), self.order.distance
        which = f"of the {count} terms" if count > 1 else "and only term"
        rows.append(f"The largest {which} is that of t = {t + 1}, k = {k + 1}.")
        enough = next((d for d in range(T) if self.without(d) < ENOUGH), T - 1)
        alone = f"with t = k alone it would be off by {self.without(0):.0%}"
        if T > 1:
            left_away, kept = (f"> {enough}", enough) if enough < T - 1 else (f"= {T - 1}", T - 2)
            off = f"{self.without(kept):.1%}"
            rows.append(f"Without the terms {distance} {left_away} the gradient would be off by {off}; {alone}.")
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
    order = order_of(loss._node or start[0], tensor.node, both.norms)
    state = derivation.state if derivation is not None else ("h",)
    is_in_steps = any(node.time for node in terms.entrance.relevant if node is not None)
    formula, lines = written(name, state, order, is_in_steps, bool(output_layer(start[0])))
    if is_in_steps and derivation is not None:
        lines += _factors(name, state[0] if len(state) == 1 else "s", derivation, order)
    formulas = formulas_of(terms, rows, whole, order, index)
    return Explanation(name, formula, tuple(lines), whole, formulas, order)


def _derivation(loss: Tensor, parameter: Any) -> Derivation | None:
    """The derivation of the step of the loop that uses the parameter, if there is one such loop."""
    using = loops_using(loss._node, parameter._node if isinstance(parameter, Tensor) else None) if loss._node else []
    try:
        return derive_loop(using[0]) if len(using) == 1 else None
    except (ArgumentError, GraphError):  # a step with an operation that has no written form is explained without its lines
        return None


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


def _factors(name: str, s: str, derivation: Derivation, order: Order) -> list[str]:
    """The lines of the derivation that one factor ∂s_i/∂s_{i−1} consists of, from the loss down, and that of the parameter."""
    writer = Text(derivation.layout, order.before)
    by_symbol = {line.symbol: line for line in derivation.lines if line.kind != FORWARD}
    ending = [line for line in derivation.lines if line.kind == STATE]
    ending += [line for line in derivation.lines if line.kind in (PARAMETER, WHOLE) and line.symbol.name == name]
    needed: set[Symbol] = set()
    waiting: list[Formula] = list(ending)
    while waiting:
        line = waiting.pop()
        if line.symbol not in needed:
            needed.add(line.symbol)
            waiting += [by_symbol[symbol] for symbol in ends(line.formula) if symbol in by_symbol]
    sign = "₊" if order.direction == REVERSE else "₋"
    rows = [f"How a gradient is multiplied by ∂{s}ᵢ/∂{s}ᵢ{sign}₁, and by ∂⁺{s}ₖ/∂{name}:"]
    for line in derivation.lines:
        if line.symbol in needed and line.kind != FORWARD:
            written = writer.over_time(line.formula) if line.kind == PARAMETER else writer.write(line.formula)
            rows.append(f"    {writer.symbol(line.symbol)} = {written}")
    return rows


