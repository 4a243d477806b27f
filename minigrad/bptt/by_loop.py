"""Gradients by time of a compiled loop, without its steps being written out: one backward run that keeps what it passes.

The backward program of a loop has a line for the cotangent of every value of a step. Here it is run once more, with those of
the named values kept for all steps; and what it would add up for each parameter is measured step by step instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.gradients import OuterProduct, Partial, SilentAccumulator, unbroadcast
from minigrad.graph import Gradient, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.loops.backend import Executable, Run
from minigrad.loops.differentiate import OUTER, SCATTER, SUM, Derivative, differentiate
from minigrad.loops.fuse import Plan
from minigrad.loops.loop import Loop, Result
from minigrad.loops.program import CONST, LOCAL, XS, CannotCompile, Line, Program, Ref
from minigrad.loops.reach import flow
from minigrad.loops.schedule import Schedule
from minigrad.loops.written import MASK
from minigrad.ops.casting import Copy
from minigrad.ops.indexing import Slice
from minigrad.reporting import within

from .tables import norms

__all__ = ["Measured", "measured_by_loop"]

Label: TypeAlias = tuple[tuple[str, ...], str, int]
"""The path of scopes of a value, its name, and which one it is of those that have both and belong to the same time."""
ROWS: Final = "rows"
"""The form of what is sent to a leaf that has a row for each step."""
CANCELLED: Final = 1e-4
"""A square that is smaller than its bound by this factor has lost digits, and is computed from the entries themselves."""


class Measured(NamedTuple):
    """The sizes of gradients at each of the ``times``: of named values, and of each step's contribution to the leaves."""

    times: list[int]
    values: dict[Label, Array]
    contributions: dict[Node, Array]


class Part(NamedTuple):
    """What a parameter is sent by every step, at those of its ``entries`` whose numbers stand here.

    ``form`` and ``transposed`` are those of a `Contribution`; or ROWS, for a leaf that has a row for each step. ``g`` and
    ``a`` are (T, …).
    """

    entries: Array
    form: str
    g: Array
    a: Array | None = None
    transposed: bool = True

    def squares(self) -> Array:
        """(T,): the squares of the Euclidean norms."""
        if self.form == ROWS:
            return np.asarray(np.square(norms(self.g, 1)))
        if self.form == SCATTER:
            return np.array([np.square(self.at(t)).sum() for t in range(len(self.g))])
        if self.form == SUM or self.a is None:
            return self._of_sums()
        g, a = (array.reshape(len(array), -1, array.shape[-1]) for array in (self.g, self.a))
        of_g, of_a = g @ g.swapaxes(1, 2), a @ a.swapaxes(1, 2)
        squares: Array = (of_g * of_a).sum(axis=(1, 2))
        bounds = np.trace(of_g, axis1=1, axis2=2) * np.trace(of_a, axis1=1, axis2=2)
        for t in np.flatnonzero(squares < CANCELLED * bounds):
            squares[t] = np.square(self.at(int(t))).sum()
        return squares

    def _of_sums(self) -> Array:
        g, shape = self.g, self.entries.shape
        extra = g.ndim - 1 - len(shape)
        g = g.sum(axis=tuple(range(1, 1 + extra))) if extra else g
        stretched = tuple(k for k, size in enumerate(shape, start=1) if size == 1 and g.shape[k] != 1)
        squares: Array = norms(g.sum(axis=stretched, keepdims=True), 1) ** 2
        return squares

    def at(self, t: int) -> Array:
        """What it is sent by the step with row t."""
        g = self.g[t]
        if self.form == SCATTER and self.a is not None:
            total = np.zeros(self.entries.shape, g.dtype)
            np.add.at(total, self.a[t], g)
            return total
        if self.form == OUTER and self.a is not None:
            left, right = (g, self.a[t]) if self.transposed else (self.a[t], g)
            return np.asarray(left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1]))
        return np.asarray(unbroadcast(g, self.entries.shape))


class Unknown(Exception):
    """Something that is not known to be measured in this way; the steps are then written out."""


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

    __slots__ = ("before", "beside", "parts", "times", "values")

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
        others = [node for node in nodes if node.time and not isinstance(node, Loop | Result | Leaf)]
        masks = [loop for loop in loops if any(value.name == MASK for value in loop.trace.program.xs)]
        if not loops or masks or set(others) - self.beside or any(loop.is_written for loop in loops):
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
        return Measured(self.times, values, contributions)

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
        entries = _numbered(leaf)
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
        run: Run = loop.needed()[0]
        count = len(run.chains)
        carry, ys = sorted(k for k in g if k < count), sorted(k - count for k in g if k >= count)
        derivative = differentiate(loop.compiled.program, loop.compiled.wanted, carry, ys)
        labels = _labels(loop, derivative)
        program, kept = _with_copies(derivative.program, [ref for ref in labels.values() if ref is not None])
        ends = [ref.number for ref in (*program.ys, *(part.g for part in derivative.contributions))]
        executable = Executable(Plan(Schedule(program, [*ends, *kept.values()], every_carry=False)))
        arriving = [
            g[i] if i in g else np.zeros(value.shape, value.dtype)
            for i, value in zip(derivative.carry, program.carry, strict=True)
        ]
        xs = [*map(run.of, derivative.residuals), *[g[count + j] for j in derivative.ys]]
        consts = [*run.given[CONST], *derivative.literals]
        back = within({"all": "ignore"}, executable.run, run.T, xs, arriving, consts, not run.reverse, loop.cuts())
        times = sorted(loop.times)
        for label, ref in labels.items():
            sizes = np.zeros(len(times)) if ref is None else norms(back.of(Ref(LOCAL, kept[ref])), 1)
            self.values.append((loop.serial, label, times, sizes))
        self._send_parts(loop, derivative, run, back, times)
        sent: dict[int, Gradient] = dict.fromkeys(range(len(loop.sources)))
        sent |= {j: back.of(ref) for j, ref in zip(derivative.xs, program.ys, strict=True)}
        first = len(loop.trace.xs)
        sent |= {first + i: back.last(k).copy() for k, i in enumerate(derivative.carry) if i in derivative.initial}
        return list(sent.values())

    def _send_parts(self, loop: Loop, derivative: Derivative, run: Run, back: Run, times: list[int]) -> None:
        """What the loop sends to leaves: through its consts, its inputs, and its initial state."""
        first = len(loop.trace.xs)
        for const, form, local, factor, transposed in derivative.contributions:
            leaf, entries = _leaf_of(loop.sources[first + len(loop.trace.carry) + loop.consts.index(const)])
            part = Part(entries, form, back.of(local), None if factor is None else run.of(factor), transposed)
            self.parts.setdefault(leaf, []).append((times, part))
        for j, ref in zip(derivative.xs, derivative.program.ys, strict=True):
            source = loop.sources[j]
            if isinstance(source, Leaf) and source.requires_grad and not source.time:
                part = Part(_numbered(source), ROWS, back.of(ref))
                self.parts.setdefault(source, []).append((times, part))
        for number, i in enumerate(derivative.carry):
            source = loop.sources[first + i]
            if i in derivative.initial and source is not None and source.requires_grad:
                self._send_initial(source, back.last(number).copy(), loop.times[0])

    def _send_initial(self, source: Node, g: Array, t: int) -> None:
        """What the first step sends to the parameters that the initial state was made of, unless it is the end of a loop."""
        behind = graph.ancestors([source])
        if any(isinstance(node, Loop) for node in behind):
            return
        leaves: set[Node] = {node for node in behind if isinstance(node, Leaf) and node.requires_grad and not node.time}
        for node, total in graph.sweep([(source, g)], SilentAccumulator()):
            if node in leaves:
                self.parts.setdefault(node, []).append(([t], Part(_numbered(node), SUM, total[None])))


def _labels(loop: Loop, derivative: Derivative) -> dict[Label, Ref | None]:
    """The named values of a loop that need a gradient, and where their cotangents are; None if none arrives."""
    depending = flow(loop.compiled.program, loop.compiled.wanted)
    found: dict[Label, Ref | None] = {}
    for k, line in enumerate(loop.values.program.lines):
        ref = loop.values.place.get(Ref(LOCAL, k), Ref(LOCAL, k))
        if line.name is not None and ref in depending:
            label = (line.scope, line.name, 1)
            if label in found:
                raise Unknown
            found[label] = derivative.cotangents.get(ref)
    for j, value in enumerate(loop.trace.program.xs):
        if value.name is not None and Ref(XS, j) in loop.compiled.wanted:
            found[loop.place.scope, value.name, 1] = derivative.cotangents.get(Ref(XS, j))
    return found


def _with_copies(program: Program, refs: Iterable[Ref]) -> tuple[Program, dict[Ref, int]]:
    """The program with a line for each of these values, and the numbers of the lines."""
    lines, kept = list(program.lines), dict[Ref, int]()
    for ref in refs:
        if ref in kept:
            continue
        op, value = Copy(), program.value(ref)
        op.sources, op.saved, op.watch, op.name, op.place = (None,), (), None, None, program.lines[0].op.place
        op.shape, op.dtype = value.shape, value.dtype
        kept[ref] = len(lines)
        lines.append(Line(op, (ref,)))
    return replace(program, lines=tuple(lines)), kept


def _made_from(starts: Iterable[Node | None]) -> set[Node]:
    """What these were computed from, up to the loops whose results they are."""
    waiting, seen = [node for node in starts if node is not None], set[Node]()
    while waiting:
        node = waiting.pop()
        if node not in seen and not isinstance(node, Loop):
            seen.add(node)
            waiting += [source for source in node.sources if source is not None]
    return seen


def _numbered(leaf: Node) -> Array:
    """The entries of a leaf, numbered."""
    return np.arange(int(np.prod(leaf.shape))).reshape(leaf.shape)


def _leaf_of(node: Node | None) -> tuple[Node, Array]:
    """The leaf that a node is, or is a part of, and which entries of it.

    Raises:
        Unknown: it was computed from leaves in another way.
    """
    if isinstance(node, Leaf):
        return node, _numbered(node)
    if isinstance(node, Slice):
        leaf, entries = _leaf_of(node.sources[0])
        return leaf, entries[node.span[3]]
    raise Unknown
