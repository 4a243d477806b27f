"""A loop over time as one operation of the graph, with several results: the last carry, and the outputs of all steps.

The graph of a recurrence repeats itself: the same operations under every time step. Here one operation stands for all of
them, and forward and backward run over all steps as a loop written by hand would. Nothing is lost by it: whoever looks at
the graph (`walk`, a picture, a gradient of a gradient, a hook on the last state) finds the operations of every step, under
their time and with their names, written out the moment somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Final

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.errors import GraphError
from minigrad.gradients import ArrayAccumulator, OfResult, OuterProduct, Partial
from minigrad.graph import Accumulator, Gradient, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.loops.backend import Run
from minigrad.loops.compile import CompiledLoop, Pullback
from minigrad.loops.differentiate import OUTER, SCATTER
from minigrad.loops.program import CARRY, CONST, LOCAL, CannotCompile, Line, Ref, Value
from minigrad.loops.simplify import LARGEST
from minigrad.loops.trace import Trace
from minigrad.loops.written import Outputs, Steps, Values, was_released
from minigrad.reporting import raising, reports_underflow

__all__ = ["NOTHING", "Loop", "Result", "is_moderate"]

NOTHING: Final = -0.0
"""What is sent where nothing is: −0 + x is x, signs of zeros included; 0 + (−0) is not."""


class Loop(Operation):
    """All steps of a recurrence. Its sources are its xs, its initial carry, and the consts that want a gradient."""

    __slots__ = (
        "compiled_loop", "consts", "is_written", "passed", "released", "times", "trace", "values", "window", "written",
    )  # fmt: skip
    label, symbol = "loop", "↻"
    consts: list[int]
    """The numbers of those consts."""
    compiled_loop: CompiledLoop
    """How it is run, over its steps."""
    is_written: bool
    """Whether a backward pass goes through the single steps."""
    passed: tuple[int, ...]
    """The results at which the gradients of the latest backward pass arrived."""
    released: set[tuple[int, ...]]
    """Those of the passes that released what they went through: a loop is as fine as its steps, so a result whose gradient
    passes none of that still leads back."""
    times: range
    trace: Trace
    values: Values
    window: int
    """After how many steps each time the carry loses its history."""
    written: Steps | None

    @property
    def steps(self) -> Steps:
        """The single steps."""
        if self.written is None:
            count = len(self.trace.xs)
            xs, carry = self.sources[:count], self.sources[count : count + len(self.trace.carry)]
            wanted = {self.sources[self.number_of(ref)] for ref in self.compiled_loop.compiled.wanted}
            of_loop = self.times, self.place, self.serial, self.window, self.values
            self.written = Steps(self.trace, xs, carry, *of_loop, wanted)
        if not self.written.is_done:
            self.written.ys = [self.values.traced(ref) for ref in self.compiled_loop.compiled.program.ys]
        return self.written

    def number_of(self, ref: Ref) -> int:
        """The number of the source that one of the xs, a part of the initial carry, or a const was computed from."""
        after_xs = len(self.trace.xs)
        if ref.kind == CONST:
            return after_xs + len(self.trace.carry) + self.consts.index(ref.number)
        return ref.number + after_xs * (ref.kind == CARRY)

    def named(self) -> list[tuple[Line, list[Value | Line], Ref]]:
        """The lines of the step as it was traced that have names; what each reads, and where it is in the program that ran."""
        program, place = self.values.program, self.values.place
        return [
            (line, list(map(program.value, line.operands)), place.get(Ref(LOCAL, k), Ref(LOCAL, k)))
            for k, line in enumerate(program.lines)
            if line.name is not None
        ]

    def cuts(self) -> list[int]:
        """Before which steps of the backward pass its carry is set to zero."""
        T = len(self.times)
        if self.window >= T:
            return []
        return [T - number for number in range(self.window, T, self.window)][::-1]

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """What the derivative needs, also that of the single steps; None once it has been released."""
        return None if self.values.run is None else (self.values.run,)

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        if saved is None:
            self.released.add(self.passed)
            wants = (*self.compiled_loop.finals, *self.compiled_loop.outputs)
            if any(wanted and not self.is_released(number) for number, wanted in enumerate(wants)):
                self.values.keep_own()
            else:
                self.values.release()

    @override
    def borrowed(self) -> Iterable[Any]:
        return self.values.borrowed()

    @override
    def give_way(self, memory: Array) -> None:
        self.values.give_way(memory)

    def is_released(self, number: int) -> bool:
        """Whether what the gradient of one result needs has been released."""
        meet = self.compiled_loop.meet
        released = [number in passed or meet(passed, (number,)) for passed in self.released]  # no generator: Ctrl-C ends there
        return self.values.run is None or any(released)

    @override
    def described(self) -> str:
        """The loop in a sentence."""
        first, last = self.times[0], self.times[-1]
        return f"the loop over time steps {first} to {last}{f' ({self.place})' if str(self.place) else ''}"

    @override
    def __repr__(self) -> str:
        return f"<{self.described()}>"

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        run: Run = saved[0]
        self.passed = tuple(sorted(g))
        for pullback in () if reports_underflow() or self.values.is_parted else self.compiled_loop.pullbacks(self.passed):
            try:
                contributions = raising(self._contributions, run, pullback, g)
            except (FloatingPointError, CannotCompile):
                continue
            if contributions is not None:
                return contributions
        return self._plainly(g, ArrayAccumulator())

    @override
    def lifted(self, lift: Callable[[Any, Node | None], Any]) -> Sequence[Any]:
        """What the derivative needs, as it is: what becomes a Tensor is found in the run."""
        return self.needed()

    def _contributions(self, run: Run, pullback: Pullback, g: dict[int, Array]) -> list[Gradient] | None:
        """What the sources are sent; None where that is not finite."""
        derivative, count = pullback.derivative, len(run.chains)
        carry = [g.get(i, NOTHING) for i in derivative.carry]
        read = run.values_of(pullback.read)
        xs = [*read[: len(derivative.residuals)], *[g[count + j] for j in derivative.ys]]
        factors = read[len(derivative.residuals) :]
        consts = [*run.given[CONST], *derivative.literals]
        back = pullback.executable.run(run.T, xs, carry, consts, not run.reverse, self.cuts())
        ends = dict(zip(pullback.summed, back.values_of(pullback.summed), strict=True))
        if not all(map(is_moderate, (*g.values(), *ends.values(), *factors))):
            return None
        sent: list[Gradient] = [None] * len(self.sources)
        after_xs = len(self.trace.xs)
        after_carry = after_xs + len(self.trace.carry)
        for j, ref in pullback.xs:
            sent[j] = ends[ref].view()
        for i, number in pullback.carry:
            sent[after_xs + i] = last = back.last(number)
            if not is_moderate(last):
                return None
        for const, form, local, factor, transposed in pullback.contributions:
            position = after_carry + self.consts.index(const)
            part: Gradient
            if form == OUTER:
                left, right = _rows(ends[local]), _rows(factors.pop(0))
                part = OuterProduct(left, right) if transposed else OuterProduct(right, left)
            elif form == SCATTER and factor is not None:
                part = Partial(ends[local].view(), run.of(factor), False)
            else:
                part = ends[local].view()
            sent[position] = part if sent[position] is None else _added(self.sources[position], sent[position], part)
        return sent

    def _plainly(self, g: dict[int, Gradient], sums: Accumulator) -> list[Gradient]:
        """The same by a backward pass through the single steps, where numbers are not finite and every step counts."""
        ends = {source: _unwatched(source) for source in self.sources if source is not None and source.requires_grad}
        nodes = [self.steps.node(k) for k in g]
        seeds = [(ends.get(node, node), g[k]) for node, k in zip(nodes, g, strict=True) if node is not None]

        def within_the_loop(node: Node) -> tuple[Node | None, ...]:
            """What lies behind a source is not this operation's to send, also where another source is computed from it."""
            return tuple([None if source is None else ends.get(source, source) for source in node.sources])

        inside = graph.ancestors([node for node, _ in seeds], within_the_loop)
        between = graph.among(graph.depends_on(inside, set(ends.values()), within_the_loop), within_the_loop)
        found: dict[Node | None, Gradient] = dict(graph.sweep(seeds, sums, between))
        sent = [None if source is None else ends.get(source) for source in self.sources]
        return [None if end is None else found.pop(end, None) for end in sent]  # one that is there twice is sent the sum once


def _unwatched(source: Node) -> Leaf:
    """What stands for a source in a pass that ends there: hooks on it see its whole gradient, when this is a part of that."""
    end = Leaf(source.shape, source.dtype, True)
    end.serial = source.serial
    return end


def _added(source: Node | None, first: Gradient, second: Gradient) -> Array:
    """Two contributions to one const."""
    sums = ArrayAccumulator()
    assert source is not None
    for part in (first, second):
        sums.send(source, part)
    return np.asarray(sums.sum(source))


def is_moderate(numbers: Array) -> bool:
    """Whether all numbers are finite, and none so large that the order of the products that it is part of could matter."""
    if numbers.dtype.kind != "f":
        return True
    flat = numbers.ravel()
    if flat.itemsize > 2:
        return math.isfinite(flat.dot(flat))
    most = np.maximum.reduce(np.abs(flat), initial=0)
    return bool(most <= np.finfo(flat.dtype).max / LARGEST[flat.dtype])


def _rows(steps: Array) -> Array:
    return steps.reshape(math.prod(steps.shape[:-1]), steps.shape[-1])


class Result(Operation):
    """One of the results of a loop: a part of the last carry, or, after those, the outputs of all steps."""

    __slots__ = ("is_released", "loop", "number", "twin")
    label, symbol = "loop", "↻"
    is_released: bool
    loop: Loop
    number: int
    twin: Node | None

    @property
    def sources(self) -> tuple[Node | None, ...]:
        """The loop; or, where somebody watches a single step, the operation that has this result when it is written out."""
        return (self.written_out(),) if self.loop.is_written else (self.loop,)

    @sources.setter
    def sources(self, sources: tuple[Node | None, ...]) -> None:
        raise GraphError("what a result of a loop was computed from cannot be changed")

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """It keeps nothing itself; None once it, or the loop, or the operation that it is when written out, was released."""
        gone = self.is_released or self.loop.is_released(self.number) or (self.twin is not None and was_released(self.twin))
        return None if gone else ()

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        self.is_released = saved is None

    @override
    def is_made_of(self, nodes: Container[Node | None]) -> bool:
        loop = self.loop
        reached = () if loop.is_written else loop.compiled_loop.reached((self.number,))
        return loop.is_written or any(loop.sources[loop.number_of(ref)] in nodes for ref in reached if ref.kind != LOCAL)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return (g if self.loop.is_written else OfResult(g, self.number),)

    @override
    def written_out(self) -> Node:
        if self.twin is None:
            twin = self.loop.steps.node(self.number)
            if isinstance(twin, Outputs):
                twin.place, twin.serial, twin.name = self.place, self.serial - 1, self.name
            self.twin = twin
        if self.name is not None:
            self.twin.name = self.name
        return self.twin

    @override
    def watched(self) -> Node:
        self.loop.is_written = True
        return self.written_out()
