"""Gradients by time of a compiled loop, without its steps being written out: one backward run that keeps what it passes.

The backward program of a loop has a line for the cotangent of every value of a step. Here it is run once more, with those of
the named values kept for all steps; and what it would add up for each parameter is measured step by step instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.gradients import OuterProduct, Partial, SilentAccumulator
from minigrad.graph import Gradient, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.loops.activity import flow
from minigrad.loops.backend import Run
from minigrad.loops.differentiate import OUTER, SCATTER, SUM, Derivative
from minigrad.loops.loop import Loop, Result
from minigrad.loops.observe import observed
from minigrad.loops.program import CARRY, CONST, XS, CannotCompile, Ref
from minigrad.loops.written import MASK
from minigrad.ops.kinks import Where

from .parts import ROWS, Part, Unknown, leaf_of, numbered
from .tables import norms

__all__ = ["Measured", "is_choice", "measured_by_loop"]

Label: TypeAlias = tuple[tuple[str, ...], str, int]
"""The path of scopes of a value, its name, and which one it is of those that have both and belong to the same time."""


class Measured(NamedTuple):
    """The sizes of gradients at each of the ``times``: of named values, and of each step's contribution to the leaves."""

    times: list[int]
    values: dict[Label, Array]
    contributions: dict[Node, Array]


def measured_by_loop(output: Node, g: Any) -> Measured | None:
    """The sizes of gradients by time; None where not all steps are compiled, or something around them is not known."""
    nodes = graph.ancestors([output])
    loops = [node for node in nodes if isinstance(node, Loop)]
    try:
        sums = ByTime(loops, nodes)
        for _ in graph.sweep([(output, g)], sums):
            pass
        return sums.measured()
    except (Unknown, CannotCompile):
        return None


class ByTime(SilentAccumulator):
    """Sums of a sweep that measure what passes through loops.

    Raises:
        Unknown: there is no loop, or steps that are not part of one.
    """

    __slots__ = ("before", "beside", "parts", "taken", "times", "values")

    def __init__(self, loops: Sequence[Loop], nodes: Sequence[Node]) -> None:
        super().__init__()
        self.times = sorted({t for loop in loops for t in loop.times})
        self.values: list[tuple[int, Label, list[int], Array]] = []
        """For each named value of a loop: the serial number of the loop, the label, the times, and the norms."""
        self.parts: dict[Node, list[tuple[list[int], Part]]] = {}
        """For each leaf, what it is sent, and to which times the rows of that belong."""
        self.before = {node for loop in loops for node in _made_from(loop.sources[: len(loop.trace.xs)])}
        """What the inputs of loops were computed from, for all steps at once."""
        beside = {node for loop in loops for node in _made_from(loop.sources[len(loop.trace.xs) :])}
        self.beside = beside - self.before
        """What the initial states and the consts of loops were computed from."""
        self.taken: set[int] = set()
        """The times at which an example takes a step."""
        others = [node for node in nodes if node.time and not isinstance(node, Loop | Result | Leaf)]
        if not loops or set(others) - self.beside or any(loop.is_written for loop in loops):
            raise Unknown

    def measured(self) -> Measured:
        """The norms."""
        contributions, values = {}, dict[Label, Array]()
        for _, (scope, name, _), times, sizes in sorted(self.values, key=lambda value: value[0]):
            columns, number = np.searchsorted(self.times, times), 1
            while not np.isnan(values.setdefault((scope, name, number), np.full(len(self.times), np.nan))[columns]).all():
                number += 1
            values[scope, name, number][columns] = sizes
        for leaf, parts in self.parts.items():
            entries = np.concatenate([part.entries.ravel() for _, part in parts])
            if len(np.unique(entries)) < len(entries):
                contributions[leaf] = self._one_by_one(leaf, parts)
                continue
            squares = np.zeros(len(self.times))
            for times, part in parts:
                squares[np.searchsorted(self.times, times)] += part.squares()
            contributions[leaf] = np.sqrt(squares)
        there = [column for column, t in enumerate(self.times) if t in self.taken]
        values = {label: sizes[there] for label, sizes in values.items()}
        contributions = {leaf: sizes[there] for leaf, sizes in contributions.items()}
        return Measured([self.times[column] for column in there], values, contributions)

    def _one_by_one(self, leaf: Node, parts: Sequence[tuple[list[int], Part]]) -> Array:
        """The norms where several parts are sent to the same entries, which are added up before."""
        found = np.zeros(len(self.times))
        for column, t in enumerate(self.times):
            total = np.zeros(leaf.shape, leaf.dtype)
            for times, part in parts:
                if t in times:
                    total.reshape(-1)[part.entries.ravel()] += part.at(times.index(t)).ravel()
            found[column] = norms(total, 0)
        return found

    @override
    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        if isinstance(operation, Loop):
            return self._measure(operation, g)
        contributions = super().derivative(operation, g)
        if operation in self.before and not isinstance(operation, Result):
            for source, contribution in zip(operation.sources, contributions, strict=True):
                if isinstance(source, Leaf) and source.requires_grad and not source.time and contribution is not None:
                    self._send_rows(operation, source, contribution)
        return contributions

    def _send_rows(self, operation: Operation, leaf: Leaf, sent: Gradient) -> None:
        """What an operation on the inputs of all steps sends to a parameter: its rows belong to the steps."""
        T = operation.shape[0] if operation.shape else 0
        entries = numbered(leaf)
        if len(self.times) != T:
            raise Unknown
        if isinstance(sent, OuterProduct) and len(sent.left) % T == 0:
            left, right = (factor.reshape(T, -1, factor.shape[-1]) for factor in (sent.left, sent.right))
            part = Part(entries, OUTER, left, right)
        elif isinstance(sent, Partial) and isinstance(sent.index, np.ndarray) and sent.index.shape[:1] == (T,):
            part = Part(entries, SCATTER, sent.values, sent.index)
        elif isinstance(sent, np.ndarray) and sent.ndim > len(leaf.shape) and sent.shape[0] == T:
            part = Part(entries, SUM, sent)
        else:
            raise Unknown
        self.parts.setdefault(leaf, []).append((self.times, part))

    # ---------------------------------------------------------------- a loop

    def _measure(self, loop: Loop, g: dict[int, Array]) -> list[Gradient]:
        """Run the loop backward, keeping the cotangents of its named values; what it sends to its inputs and initial state."""
        labels: dict[Label, Ref | None] = {}

        def keep(derivative: Derivative) -> list[Ref]:
            labels.update(_labels(loop, derivative))
            return [ref for ref in labels.values() if ref is not None]

        derivative, back, run, kept = observed(loop, g, keep)
        times = sorted(loop.times)
        self.taken |= {t for t, taken in zip(times, _taken(loop, run), strict=True) if taken}
        for label, ref in labels.items():
            self.values.append((loop.serial, label, times, np.zeros(len(times)) if ref is None else norms(kept[ref], 1)))
        for const, form, local, factor, transposed in derivative.contributions:
            leaf, entries = leaf_of(loop.sources[loop.number_of(Ref(CONST, const))])
            part = Part(entries, form, back.of(local), None if factor is None else run.of(factor), transposed)
            self.parts.setdefault(leaf, []).append((times, part))
        sent: list[Gradient] = [None] * len(loop.sources)
        for j, ref in zip(derivative.xs, derivative.program.ys, strict=True):
            source = loop.sources[j]
            sent[j] = back.of(ref)
            if isinstance(source, Leaf) and source.requires_grad and not source.time:
                self.parts.setdefault(source, []).append((times, Part(numbered(source), ROWS, back.of(ref))))
        for number, i in enumerate(derivative.carry):
            place = loop.number_of(Ref(CARRY, i))
            source = loop.sources[place]
            if i in derivative.initial:
                sent[place] = back.last(number).copy()
                if source is not None and source.requires_grad:
                    self._send_initial(source, back.last(number).copy(), loop.times[0])
        return sent

    def _send_initial(self, source: Node, g: Array, t: int) -> None:
        """What the first step sends to the parameters that the initial state was made of, unless it is the end of a loop."""
        behind = graph.ancestors([source])
        if any(isinstance(node, Loop) for node in behind):
            return
        leaves: set[Node] = {node for node in behind if isinstance(node, Leaf) and node.requires_grad and not node.time}
        for node, total in graph.sweep([(source, g)], SilentAccumulator()):
            if node in leaves:
                self.parts.setdefault(node, []).append(([t], Part(numbered(node), SUM, total[None])))


def _labels(loop: Loop, derivative: Derivative) -> dict[Label, Ref | None]:
    """The named values of a loop that need a gradient, and where their cotangents are; None if none arrives."""
    compiled = loop.compiled_loop.compiled
    depending = flow(compiled.program, compiled.wanted)
    found: dict[Label, Ref | None] = {}
    for line, operands, ref in loop.named():
        if ref in depending and not is_choice(line.op, operands):
            label = (line.scope, str(line.name), 1)
            if label in found:
                raise Unknown
            found[label] = derivative.cotangents.get(ref)
    for j, value in enumerate(loop.trace.program.xs):
        if value.name is not None and Ref(XS, j) in compiled.wanted:
            found[loop.place.scope, value.name, 1] = derivative.cotangents.get(Ref(XS, j))
    return found


def _taken(loop: Loop, run: Run) -> Array:
    """(T,): whether any example takes the step."""
    masks = [Ref(XS, j) for j, value in enumerate(loop.trace.program.xs) if value.name == MASK]
    return run.of(masks[0]).reshape(run.T, -1).any(axis=1) if masks else np.ones(run.T, bool)


def is_choice(operation: Operation, operands: Iterable[Any]) -> bool:
    """Whether it chooses between the new state and the old, for examples that take no step: it has the name of the new one."""
    if not isinstance(operation, Where):
        return False
    return any(operand is not None and operand.name == operation.name for operand in operands)


def _made_from(starts: Iterable[Node | None]) -> set[Node]:
    """What these were computed from, up to the loops whose results they are."""
    waiting, seen = [node for node in starts if node is not None], set[Node]()
    while waiting:
        node = waiting.pop()
        if node not in seen and not isinstance(node, Loop):
            seen.add(node)
            waiting += [source for source in node.sources if source is not None]
    return seen
