"""The four recurrent cells: simple RNN, RNN with one gate, GRU, LSTM. One step each, as the courses write it.

Arrays are batches of row vectors, x_t (B, D) and states (B, H), so the textbook's ``W h`` reads ``h @ W.T``. Gates that
share their operands share one matrix product: the rows of W_x, W_h and b are stacked, and `by_gate` shows them apart.

A step is ``step(x, state) = recur(project(x), state)``: `project` is the part W_x x_t + b, which needs no state.
`models.layers.unroll` repeats the step over time.
"""

from __future__ import annotations

import inspect
from typing import Any

from ..checks import one_of
from ..recurrent import Cell
from .gated_rnn import GatedRNN
from .gru import GRU
from .lstm import LSTM, LSTMState
from .rnn import RNN

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "GatedRNN", "LSTMState", "make_cell"]

CELLS: dict[str, type[Cell[Any]]] = {cell.label: cell for cell in (RNN, GatedRNN, GRU, LSTM)}
"""The cells by name."""


def make_cell(name: str, input_size: int, hidden_size: int, **options: Any) -> Cell[Any]:
    """The cell of that name, with the options of its constructor.

    Raises ArgumentError for a cell, or an option of it, that does not exist.

    >>> make_cell("lstm", 3, 4, output_tanh=False, seed=0).label
    'lstm'
    >>> make_cell("lsmt", 3, 4)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: make_cell: expected one of 'rnn', 'gated_rnn', 'gru', 'lstm', got 'lsmt'
    """
    cell = CELLS[one_of("make_cell", name, CELLS)]
    known = list(inspect.signature(cell).parameters)[2:]
    for option in options:
        one_of(f"{name}: an option", option, known)
    return cell(input_size, hidden_size, **options)
