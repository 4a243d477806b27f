"""A language model's gradients twice: by autograd, and by the formulas derived by hand in `models.by_hand`.

The two share no code: one replays a recorded graph, the other is backpropagation through time as one writes it on paper.
Where they agree to the last digits of float64, both are right.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Parameter, Tensor
from minigrad.errors import ArgumentError

from . import by_hand
from .language import LanguageModel
from .recurrent import Cell
from .states import parts_of, with_parts
from .unrolling import unroll
from .vocabulary import IntArray

__all__ = ["TOLERANCE", "Comparison", "as_table", "compare_by_hand"]

Array: TypeAlias = npt.NDArray[Any]

TOLERANCE = 1e-10


class Comparison(NamedTuple):
    """One gradient, computed twice.

    Attributes:
        name: what the gradient is with respect to.
        shape: its shape.
        largest: max |autograd|.
        difference: max |autograd − by hand| / max |autograd|; 0 when both are zero throughout.
    """

    name: str
    shape: tuple[int, ...]
    largest: float
    difference: float

    @property
    def equal(self) -> bool:
        """Whether they agree to within :data:`TOLERANCE`; NaN agrees with nothing."""
        return self.difference <= TOLERANCE


def compare_by_hand(model: LanguageModel, symbols: IntArray, targets: IntArray) -> list[Comparison]:
    """Compare every gradient of the loss on some text: all parameters, the inputs x_t and the initial state.

    Args:
        model: of any cell that `models.by_hand` has; its values are taken over to float64, itself it stays as it is.
        symbols: (T, B), time first.
        targets: (T, B), the symbol after each of them.

    Raises ArgumentError for a model of several layers, or of a cell of one's own.

    >>> model = LanguageModel(vocabulary_size=5, hidden_size=3, cell="rnn", embedding_size=2, seed=0)
    >>> rows = compare_by_hand(model, np.array([[0], [3], [3]]), np.array([[3], [3], [1]]))
    >>> [(row.name, row.shape) for row in rows][:3], all(row.equal for row in rows)
    ([('W_hx', (3, 2)), ('W_hh', (3, 3)), ('b_h', (3,))], True)
    """
    if not isinstance(model.cell, Cell) or model.cell.label not in by_hand.CELLS:
        raise ArgumentError(f"the proof is of one layer of {', '.join(by_hand.CELLS)}, not of a {type(model.cell).__name__}")
    exact = _in_float64(model)
    autograd = _autograd(exact, symbols, targets)
    hand = _hand(exact, symbols, targets)
    return [_comparison(name, gradient, hand[name]) for name, gradient in autograd.items()]


def as_table(rows: list[Comparison]) -> str:
    """The comparisons as text, a line each.

    >>> print(as_table([Comparison("W_hh", (4, 4), 0.25, 3e-16), Comparison("b_h", (4,), 0.5, 0.1)]))
    gradient of   shape         max |autograd|   max rel. difference   verdict
    W_hh          4 × 4               2.50e-01               3.0e-16   equal
    b_h           4                   5.00e-01               1.0e-01   DIFFERS
    """
    lines = [f"{'gradient of':<14}{'shape':<14}{'max |autograd|':>14}{'max rel. difference':>22}   verdict"]
    for row in rows:
        shape = " × ".join(map(str, row.shape))
        verdict = "equal" if row.equal else "DIFFERS"
        lines.append(f"{row.name:<14}{shape:<14}{row.largest:>14.2e}{row.difference:>22.1e}   {verdict}")
    return "\n".join(lines)


def _in_float64(model: LanguageModel) -> LanguageModel:
    exact = LanguageModel(
        model.vocabulary_size,
        model.cell.hidden_size,
        cell=model.cell.label,
        embedding_size=model.embedding_size,
        tied=model.tied,
        dtype=np.float64,
        seed=0,
        **model.options,
    )
    exact.load_state_dict(model.state_dict())
    return exact


def _autograd(model: LanguageModel, symbols: IntArray, targets: IntArray) -> dict[str, Array]:
    xs = Tensor(model.embed(symbols).numpy(), requires_grad=True) if model.E is None else model.embed(symbols)
    xs.retain_grad()
    zeros = model.cell.initial_state(symbols.shape[1])
    start = [Parameter(part.numpy()) for part in parts_of(zeros)]
    hs, _ = unroll(model.cell, xs, with_parts(zeros, start))
    model.head.loss(hs, targets).backward()
    wanted: dict[str, Tensor] = {"W_yh": model.head.W_yh, "b_y": model.head.b_y, "x_1 … x_T": xs}
    wanted |= {f"{name}_0": part for name, part in zip(model.cell.state_names, start, strict=True)}
    if model.E is not None:
        wanted["E"] = model.E
    if model.tied:
        del wanted["W_yh"]
    gradients = {name: np.zeros(t.shape) if t.grad is None else t.grad for name, t in wanted.items()}
    of_cell: dict[str, Array] = model.cell.by_gate(grad=True)
    return of_cell | gradients


def _hand(model: LanguageModel, symbols: IntArray, targets: IntArray) -> dict[str, Array]:
    cell, head = by_hand.CELLS[model.cell.label], by_hand.head
    params = model.cell.by_gate()
    out = {"W_yh": model.head.W_yh.numpy(), "b_y": model.head.b_y.numpy()}
    trace = cell.forward(params, model.embed(symbols).numpy())
    from_head = head.backward(out, head.forward(out, trace.hs, targets))
    from_cell = cell.backward(params, trace, from_head.hs)
    starts = {f"{name}_0": part for name, part in zip(model.cell.state_names, parts_of(from_cell.state), strict=True)}
    gradients = {**from_cell.params, **from_head.params, "x_1 … x_T": from_cell.xs, **starts}
    if model.E is not None:
        gradients["E"] = np.zeros(model.E.shape)
        np.add.at(gradients["E"], symbols, from_cell.xs)  # row k of E was the input wherever symbol k stood
        if model.tied:
            gradients["E"] += gradients.pop("W_yh")  # and E is the head's weight too
    return gradients


def _comparison(name: str, autograd: Array, hand: Array) -> Comparison:
    largest, off = float(np.abs(autograd).max()), float(np.abs(autograd - hand).max())
    return Comparison(name, autograd.shape, largest, 0.0 if off == 0 else float(np.divide(off, largest)))
