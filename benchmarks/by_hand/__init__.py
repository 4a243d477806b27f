"""The yardstick: one training step by hand-written NumPy backpropagation through time, as fast as NumPy lets it be.

What makes it fast, and what every contestant is compared with:

- gates in one stacked matrix: one matrix product a step, forward and backward;
- everything outside the recurrence once for all T: input projection, output layer, loss, weight gradients;
- buffers, and the views of them that the loops use, made once; every call writes into them with `out=`;
- σ(x) = ½ tanh(½x) + ½, with the inner ½ folded into the weights, so one tanh serves all gates of a step;
- the local derivatives of all T steps are computed at once, so the loop backward in time only multiplies and adds;
- gates are stored gate by gate, (T, gates, B, H): every array in the loop is contiguous;
- `np.dot` instead of `@` in the loops: the same BLAS call with half the overhead (it copies what is not contiguous,
  so the products with slices of all steps use `np.matmul`).
"""

from __future__ import annotations

from benchmarks.by_hand.common import Recurrence
from benchmarks.by_hand.gru import GRU, GRUResetBefore
from benchmarks.by_hand.lstm import LSTM
from benchmarks.by_hand.rnn import RNN
from benchmarks.problem import Problem

CELLS: dict[str, type[Recurrence]] = {"rnn": RNN, "gru": GRU, "gru_before": GRUResetBefore, "lstm": LSTM}


def by_hand(problem: Problem) -> Recurrence:
    """The hand-written training step for the problem's cell.

    >>> from benchmarks.problem import Size, make_problem
    >>> step = by_hand(make_problem("rnn", Size(T=3, B=2, D=4, H=5, N=6)))
    >>> round(step.step(), 4), step.gradients()["W_h"].shape
    (1.6891, (5, 5))
    """
    return CELLS[problem.cell](problem)
