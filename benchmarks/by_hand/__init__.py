"""The yardstick: one training step by hand-written NumPy backpropagation through time, as fast as NumPy lets it be.

What makes it fast, and what every contestant is compared with:

- gates in one stacked matrix: one matrix product a step, forward and backward;
- everything outside the recurrence once for all T: input projection, output layer, loss, weight gradients;
- buffers, and the views of them that the loops use, made once; every call writes into them with `out=`;
- σ(x) = ½ tanh(½x) + ½, with the inner ½ folded into the weights, so one tanh serves all gates of a step;
- the local derivatives of all T steps are computed at once, so the loop backward in time only multiplies and adds;
- constants in the loop are arrays of no axes, which NumPy takes in half the time of a Python number;
- the recurrent matrix is transposed once a training step: BLAS takes a transposed one more slowly;
- gates are stored gate by gate, (T, gates, B, H): every array in the loop is contiguous;
- `np.dot` instead of `@` in the loops: the same BLAS call with half the overhead (it copies what is not contiguous,
  so the products with slices of all steps use `np.matmul`).
"""

from __future__ import annotations

from benchmarks.by_hand.common import Recurrence
from benchmarks.by_hand.gru import GRU, GRUResetBefore
from benchmarks.by_hand.lstm import LSTM
from benchmarks.by_hand.plain import PlainGRU, PlainLSTM, PlainRNN
from benchmarks.by_hand.rnn import RNN
from benchmarks.contestant import Contestant
from benchmarks.problem import Arrays, Problem

CELLS: dict[str, type[Recurrence]] = {"rnn": RNN, "gru": GRU, "gru_before": GRUResetBefore, "lstm": LSTM}
PLAIN_CELLS: dict[str, type[Recurrence]] = {"rnn": PlainRNN, "gru": PlainGRU, "lstm": PlainLSTM}


class ByHand(Contestant):
    """The hand-written training step for the problem's cell.

    >>> from benchmarks.problem import Size, make_problem
    >>> by_hand = ByHand(make_problem("rnn", Size(T=3, B=2, D=4, H=5, N=6)))
    >>> round(by_hand.step(), 4), by_hand.gradients()["W_h"].shape
    (1.7042, (5, 5))
    """

    name = "by hand"

    def __init__(self, problem: Problem) -> None:
        self.recurrence = CELLS[problem.cell](problem)

    def step(self) -> float:
        """One training step; returns the loss."""
        return self.recurrence.step()

    def infer(self) -> float:
        """The loss alone."""
        self.recurrence.forward()
        return self.recurrence.loss

    def gradients(self) -> Arrays:
        """The gradients of the last step."""
        return self.recurrence.gradients()


class PlainlyByHand(ByHand):
    """The same, written as on paper: see `benchmarks.by_hand.plain`."""

    name = "by hand, plainly"
    cells = ("rnn", "gru", "lstm")

    def __init__(self, problem: Problem) -> None:
        self.recurrence = PLAIN_CELLS[problem.cell](problem)
