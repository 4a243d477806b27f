"""What is true of a problem: the gradient of every value of the forward pass, and every part that such a gradient is a sum of.

A value of the user's that equals one of these is *recognised*: he is on the right way there, whatever he calls it. Values
are told apart by a *mark*, a weighted sum of their entries, so that thousands can be looked up at once.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.naming import weights
from minigrad.checks.run import plus
from minigrad.checks.tracing import Line
from minigrad.checks.trial import Trial
from minigrad.guard import Array
from minigrad.reporting import within

__all__ = ["CLOSE", "Truths", "marks_of"]

CLOSE = 1e-9
TOTALS = ("add", "sub", "neg")
"""How a total is made of the losses of the steps."""
RECTIFIERS = ("relu", "maximum", "where")
SLICES = 16
"""So many rows and columns of an argument's gradient are known."""
PARTS = 6
"""Of so many parts all sums are known."""


def marks_of(values: Array, ndim: int) -> Array:
    """The marks of a stack of arrays of ``ndim`` axes."""
    flat = values.reshape(*values.shape[: values.ndim - ndim], -1)
    return np.asarray(flat @ weights(flat.shape[-1]))


class Truths:
    """The true quantities of one problem, by their values."""

    def __init__(self, trial: Trial) -> None:
        self.chain = trial.chain
        self.sign = -1.0 if trial.adapter.added else 1.0  # of what is added to the weights, everything is the negative
        self.averaged, self.examples = {trial.chain.wanted[name].number for name in trial.averaged}, trial.examples
        self.kinked = any(line.op in RECTIFIERS for line in self.chain.lines)
        self.upstream = [np.asarray(part) for given in trial.problem.upstream.values() for part in _arrays(given)]
        self._found: dict[int, list[float]] = defaultdict(list)
        self._whole: dict[int, list[float]] = defaultdict(list)
        self._shares: dict[int, list[Array]] = defaultdict(list)  # of single losses, by the argument
        self._back: dict[int, list[float]] = defaultdict(list)
        within({"all": "ignore"}, self._note_all)
        self.back = {size: np.array(sorted(marks)) for size, marks in self._back.items()}
        self.sorted = {size: np.array(sorted(marks)) for size, marks in self._found.items()}
        self.whole = {size: np.array(sorted(marks)) for size, marks in self._whole.items()}
        forward: dict[int, list[float]] = defaultdict(list)
        for line in self.chain.lines:
            if not self.chain.live[line.number]:
                continue  # in a function that does both, what follows the loss is no forward pass
            forward[line.value.size].append(float(marks_of(line.value, line.value.ndim)))
            if line.op in ACTIVATIONS:
                slope = line.vjp(np.ones(line.value.shape))[0]
                forward[line.value.size].append(float(marks_of(np.asarray(slope), line.value.ndim)))
        self.forward = {size: np.array(sorted(marks)) for size, marks in forward.items()}
        self._of: dict[tuple[str, int], Array] = {}
        for name, called in trial.answer.called.items():
            if name in trial.given:
                line = self.chain.wanted[name]
                self._of[called.rpartition(".")[2], line.value.size] = self._marks_of_parts(line)

    def known(self, marks: Array, size: int) -> Array:
        """Which of these marks, of arrays of so many entries, are those of true quantities."""
        return _among(marks, self.sorted.get(size))

    def among_whole(self, marks: Array, size: int) -> Array:
        """Which of these marks are those of whole gradients."""
        return _among(marks, self.whole.get(size))

    def all_of_it(self, marks: Array, size: int) -> Array:
        """Which of these marks are those of whole gradients, or of all that goes back to a state of the step before."""
        return self.among_whole(marks, size) | _among(marks, self.back.get(size))

    def is_of_forward(self, value: Array) -> bool:
        """Whether the forward pass computes an array with these entries, or they are the slopes of an activation there."""
        return _is_among(float(marks_of(value, value.ndim)), self.forward.get(value.size))

    def how_known(self, mark: float, size: int) -> int:
        """2 for the mark of a whole gradient, 1 for that of a part of one, 0 for any other."""
        return 2 if _is_among(mark, self.whole.get(size)) else 1 if _is_among(mark, self.sorted.get(size)) else 0

    def is_of(self, called: str, mark: float, size: int) -> bool:
        """Whether a mark is that of the gradient which is called so, or of a part of it; so is any if nothing is."""
        known = self._of.get((called, size))
        return known is None or _is_among(mark, known)

    def is_odd(self, called: str, mark: float) -> bool:
        """Whether a name is that of the gradient of a value which the forward pass calls so, and the mark is not of that.

        ``dr`` is the gradient of r, or of what r is the activation of; of a state, also what goes back to the step before.
        """
        return self.is_named(called) and not _is_among(mark, self._by_name[names.stem(called)])

    def is_named(self, called: str) -> bool:
        """Whether a name is that of the gradient of a value which the forward pass calls so."""
        name = names.stem(called)
        return name != called and name in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, Array]:
        """The marks of the gradients of all values, and of their parts, by what the forward pass calls the values."""
        found: dict[str, list[float]] = defaultdict(list)
        for line in self.chain.lines:
            if line.names and self.chain.live[line.number]:
                marks = [*self._marks_of_parts(line)]
                if line.op in ACTIVATIONS:
                    marks += [*self._marks_of_parts(line.operands[0])]
                for name in line.names:
                    found[name] += marks
        return {name: np.array(sorted(marks)) for name, marks in found.items()}

    def _marks_of_parts(self, line: Line) -> Array:
        """The marks of the gradient of a line, and of its parts: those of each step, and of the steps so far."""
        found, whole, single = self._found, self._whole, [self.chain.base.cotangent(line, None)]
        self._found, self._whole = defaultdict(list), defaultdict(list)
        single += [self.chain.base.share(user, position, None) for user, position, _ in self.chain.uses[line.number]]
        within({"all": "ignore"}, lambda: self._note_line(line))
        for part in (*single, *self._shares[line.number]):
            if part is not None:
                self._note(np.asarray(part))
        marks = [mark for some in self._found.values() for mark in some]
        self._found, self._whole = found, whole
        return np.array(sorted(marks))

    def _note_all(self) -> None:
        for given in self.upstream:
            self._note(given, True)
        if self.chain.steps > 1:
            for line, g in itertools.chain(self._losses(), self._of_single_steps()):
                self._note_below(line, g)
        for line in self.chain.lines:
            if self.chain.live[line.number]:
                self._note_line(line)
        for same in self.chain.at.values():
            self._note_stacked(list(same.values()))

    def _note_stacked(self, lines: list[Line]) -> None:
        """The gradients of all steps in one array, as they are computed from an array of all outputs: ``d = p; d[k] -= 1``."""
        found = [self.chain.base.cotangent(line, None) for line in lines if self.chain.live[line.number]]
        if len(found) == len(lines) > 1 and all(g is not None for g in found) and len({np.shape(g) for g in found}) == 1:
            self._note(np.array(found), True)
            if np.ndim(found[0]) > 1:
                self._note(np.stack(found, -1), True)

    def _losses(self) -> Iterator[tuple[Line, Any]]:
        """The losses of the steps, one by one: what a total is added up of, or each output, with what arrives at it."""
        waiting = [(self.chain.lines[number], g) for number, seeds in self.chain.seeds.items() for _, g in seeds]
        while waiting:
            line, g = waiting.pop()
            if line.op in TOTALS and line.value.size == 1:
                shares = line.vjp(g)
                waiting += [(o, s) for o, s in zip(line.operands, shares, strict=True) if s is not None]
            elif self.chain.live[line.number]:
                yield line, g

    def _of_single_steps(self) -> Iterator[tuple[Line, Any]]:
        """The states at each step, with what arrives there from the outputs of that step alone, however losses are added up."""
        for site in self.chain.initial:
            for line in self.chain.at.get(site, {}).values():
                parts = [self.chain.base.share(u, k, None) for u, k, crossing in self.chain.uses[line.number] if not crossing]
                here = [part for part in parts if part is not None and np.shape(part) == line.value.shape]
                if here and self.chain.live[line.number]:
                    yield line, sum(here)

    def _note_below(self, loss: Line, g: Any) -> None:
        """The gradients of the loss of one step alone, as a loop that goes back from each step in turn computes them."""
        arrived: dict[int, Any] = {loss.number: g}
        for line in self.chain.lines[loss.number :: -1]:
            whole = arrived.pop(line.number, None)
            if whole is None or not self.chain.live[line.number]:
                continue
            self._note(np.asarray(whole))
            for operand, share in zip(line.operands, line.vjp(whole), strict=True):
                if share is not None:
                    arrived[operand.number] = plus(arrived.get(operand.number), share)
                    self._note_of_constant(operand, share)
                    if operand.op == "argument" and np.shape(share) == operand.value.shape:
                        self._note(np.asarray(share))  # what is added to a weight's gradient at one step back
                        self._shares[operand.number].append(np.asarray(share))

    def _note_of_constant(self, line: Line, share: Any) -> None:
        """What goes on to the zeros that a state begins with: nobody needs it, and it is right all the same."""
        if not self.chain.live[line.number] and np.shape(share) == line.value.shape and not line.value.any():
            self._note(np.asarray(share))

    def _note_line(self, line: Line) -> None:
        """The gradient of a line, its parts, the sums of some of these, and those over the last or first steps."""
        base = self.chain.base
        whole = base.cotangent(line, None)
        if whole is None:
            return
        self._note(np.asarray(whole), True)
        if line.number in self.averaged:
            self._note(np.asarray(whole) / self.examples, True)
        for operand, share in zip(line.operands, base.shares(line, None, whole), strict=True):
            if share is not None:
                self._note_of_constant(operand, share)
        if line.op == "argument":  # a sequence is read step by step
            for axis in range(min(np.ndim(whole), 2)):
                for part in np.moveaxis(whole, axis, 0)[:SLICES]:
                    self._note(np.asarray(part), True)
        parts: list[tuple[int, Any]] = [(0, seed) for _, seed in self.chain.seeds.get(line.number, ())]
        parts += [(user.time, base.share(user, position, None)) for user, position, _ in self.chain.uses[line.number]]
        known = [(time, part) for time, part in parts if part is not None and np.shape(part) == line.value.shape]
        for crosses in (True, False):  # what the step after sends back, and what comes of this step
            here = [base.share(u, k, None) for u, k, crossing in self.chain.uses[line.number] if crossing == crosses]
            sent = [part for part in here if part is not None and np.shape(part) == line.value.shape]
            if len(sent) > 1:
                self._note(np.asarray(sum(sent)), crosses)
            elif sent and crosses:  # all that goes to the step before, though it has one term alone
                self._back[line.value.size] += [float(marks_of(np.asarray(sent[0]), np.ndim(sent[0])))]
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
            turned = (value, value.T)[: 1 + (value.ndim > 1)]
            marks = [self.sign * float(array.ravel() @ weights(value.size)) for array in turned]
            self._found[value.size] += marks
            if whole:
                self._whole[value.size] += marks


def _arrays(given: Any) -> list[Any]:
    """The array, or those in a list, and all of these as one."""
    if not isinstance(given, list):
        return [given]
    return [*given, given] if len({np.shape(part) for part in given}) == 1 else given


def _among(marks: Array, known: Array | None) -> Array:
    """Which of the marks are close to one of the known ones, which are sorted."""
    if known is None or not len(known):
        return np.zeros(np.shape(marks), bool)
    finite = marks if np.isfinite(marks).all() else np.nan_to_num(marks, nan=1e300, posinf=1e300, neginf=-1e300)
    above = np.searchsorted(known, finite).clip(0, len(known) - 1)
    near = np.minimum(np.abs(known[above] - finite), np.abs(known[(above - 1).clip(0)] - finite))
    return np.asarray(near <= CLOSE * np.maximum(np.abs(finite), 1e-3))


def _is_among(mark: float, known: Array | None) -> bool:
    """The same of one mark: most are looked up alone."""
    if known is None or not len(known):
        return False
    if not math.isfinite(mark):
        mark = -1e300 if mark < 0 else 1e300
    above = min(int(known.searchsorted(mark)), len(known) - 1)
    near = min(abs(known.item(above) - mark), abs(known.item(max(above - 1, 0)) - mark))
    return bool(near <= CLOSE * max(abs(mark), 1e-3))
