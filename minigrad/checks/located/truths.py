"""What is true of a problem: the gradient of every value of the forward pass, and every part that such a gradient is a sum of.

A value of the user's that equals one of these is *recognised*: he is on the right way there, whatever he calls it. Values
are told apart by a *mark*, a weighted sum of their entries, so that thousands can be looked up at once.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np

from minigrad.checks.naming import weights
from minigrad.checks.run import plus
from minigrad.checks.tracing import Line
from minigrad.checks.trial import Trial
from minigrad.guard import Array
from minigrad.reporting import within

__all__ = ["Truths", "marks_of"]

CLOSE = 1e-9
PARTS = 4
"""Of so many parts all sums are known."""


def marks_of(values: Array, ndim: int) -> Array:
    """The marks of a stack of arrays of ``ndim`` axes."""
    flat = values.reshape(*values.shape[: values.ndim - ndim], -1)
    return np.asarray(flat @ weights(flat.shape[-1]))


class Truths:
    """The true quantities of one problem, by their values."""

    def __init__(self, trial: Trial) -> None:
        self.chain = trial.chain
        self._found: dict[int, list[float]] = defaultdict(list)
        self._whole: dict[int, list[float]] = defaultdict(list)
        within({"all": "ignore"}, self._note_all)
        self.sorted = {size: np.array(sorted(marks)) for size, marks in self._found.items()}
        self.whole = {size: np.array(sorted(marks)) for size, marks in self._whole.items()}

    def known(self, marks: Array, size: int) -> Array:
        """Which of these marks, of arrays of so many entries, are those of true quantities."""
        return _among(marks, self.sorted.get(size))

    def _note_all(self) -> None:
        for line in self.chain.lines:
            if self.chain.live[line.number]:
                self._note_line(line)

    def _note_line(self, line: Line) -> None:
        """The gradient of a line, its parts, the sums of some of these, and those over the last or first steps."""
        base = self.chain.base
        whole = base.cotangent(line, None)
        if whole is None:
            return
        self._note(np.asarray(whole), True)
        parts: list[tuple[int, Any]] = [(0, seed) for _, seed in self.chain.seeds.get(line.number, ())]
        parts += [(user.time, base.share(user, position, None)) for user, position, _ in self.chain.uses[line.number]]
        known = [(time, part) for time, part in parts if part is not None and np.shape(part) == line.value.shape]
        if len({time for time, _ in known}) > 1 and line.time == 0:
            known.sort(key=lambda entry: entry[0])
            for ordered in (known, known[::-1]):
                for total in itertools.accumulate((part for _, part in ordered), plus):
                    self._note(np.asarray(total))
        if 1 < len(known) <= PARTS:
            for count in range(1, len(known)):
                for some in itertools.combinations(known, count):
                    self._note(np.asarray(sum(part for _, part in some)))

    def _note(self, value: Array, whole: bool = False) -> None:
        if np.any(value):
            marks = [float(turned.ravel() @ weights(value.size)) for turned in (value, value.T)[: 1 + (value.ndim > 1)]]
            self._found[value.size] += marks
            if whole:
                self._whole[value.size] += marks


def _among(marks: Array, known: Array | None) -> Array:
    """Which of the marks are close to one of the known ones, which are sorted."""
    if known is None or not len(known):
        return np.zeros(np.shape(marks), bool)
    finite = np.nan_to_num(marks, nan=1e300, posinf=1e300, neginf=-1e300)
    above = np.searchsorted(known, finite).clip(0, len(known) - 1)
    near = np.minimum(np.abs(known[above] - finite), np.abs(known[(above - 1).clip(0)] - finite))
    return np.asarray(near <= CLOSE * np.maximum(np.abs(finite), 1e-3))
