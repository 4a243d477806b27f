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
from weakref import ReferenceType

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.errors import GraphError
from minigrad.gradients import ArrayAccumulator, OfResult, OuterProduct, Partial
from minigrad.graph import Accumulator, Gradient, Leaf, Node, Operation, released
from minigrad.guard import Array
from minigrad.loops.activity import Refs, each_step, origin
from minigrad.loops.backend import Run
from minigrad.loops.compile import CompiledLoop, Pullback
from minigrad.loops.differentiate import OUTER, SCATTER
from minigrad.loops.program import CARRY, CONST, LOCAL, CannotCompile, Line, Ref, Value
from minigrad.loops.simplify import LARGEST
from minigrad.loops.trace import Trace
from minigrad.loops.written import Outputs, Steps, Values
from minigrad.reporting import raising, reports_underflow
from minigrad.tensor import Tensor

__all__ = ["NOTHING", "Loop", "Result", "is_moderate", "padded"]

NOTHING: Final = -0.0
"""What is sent where nothing is: −0 + x is x, signs of zeros included; 0 + (−0) is not."""


class Loop(Operation):
    """All steps of a recurrence. Its sources are its xs, its initial carry, and the consts that want a gradient."""

    __slots__ = (
        "compiled_loop", "consts", "cut_names", "is_written", "passed", "results", "times", "trace", "values", "window",
        "written",
    )  # fmt: skip
    label, symbol = "loop", "↻"
    consts: list[int]
    """The numbers of those consts."""
    compiled_loop: CompiledLoop
    """How it is run, over its steps."""
    cut_names: Sequence[str | None]
    """What the parts of the carry are called that have lost their history."""
    is_written: bool
    """Whether a backward pass goes through the single steps."""
    passed: tuple[int, ...]
    """The results at which the gradients of the latest backward pass arrived."""
    results: list[tuple[int, ReferenceType[Result]]]
    """Its results, with their numbers, as long as they are somebody's."""
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
            of_loop = self.times, self.place, self.serial, self.window, self.cut_names, self.values
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
            self.release(self.compiled_loop.compiled.wanted)

    def release(self, targets: Refs) -> None:
        """The latest backward pass, which led to these targets, is done: what it passed is let go.

        A loop is as fine as its steps: what was not passed is kept as long as a gradient may yet arrive there.
        """
        if self.values.run is None:
            return
        loop, passed = self.compiled_loop, (self.passed, targets)
        results = [(number, result) for number, to_result in self.results if (result := to_result()) is not None]
        is_free = any(loop.is_free(number) for number, result in results if not result.is_released)
        if is_free or self.values.released or not loop.is_all(passed, self._alive()):
            self.values.note_released(loop.passed(*passed))
            if is_free or any(self._kept()):
                return
        self.values.release()

    def _alive(self) -> tuple[int, ...]:
        """The results that are somebody's, maybe by what was written out."""
        return tuple([number for number, result in self.results if self.is_written or result() is not None])

    def _kept(self) -> list[Refs]:
        """For each step, the operations that a gradient may yet pass, and that have not been released."""
        alive = self.compiled_loop.passed(self._alive(), self.compiled_loop.compiled.wanted)
        released = self.values.released
        return [now - gone for now, gone in zip(alive, released, strict=True)] if released else alive

    @override
    def towards(self, sources: tuple[Node | None, ...]) -> Operation:
        wanted = self.compiled_loop.compiled.wanted
        targets = frozenset([ref for ref in wanted if sources[self.number_of(ref)] is not None])
        return self if targets == wanted else Part(self, targets)

    @override
    def borrowed(self) -> Iterable[Any]:
        return self.values.lent_for(self.compiled_loop.borrowed(self._kept())) if self.values.lent else ()

    @override
    def give_way(self, memory: Array) -> None:
        self.values.give_way(memory)

    def has_released(self, number: int) -> bool:
        """Whether the operation was released that has this result where it is one of a single step."""
        if number >= len(self.trace.carry):
            return False  # what stacks all steps is none of them
        program, steps = self.trace.program, each_step(self.compiled_loop.steps)
        ref, step = origin(program, steps, program.new_carry[number], len(steps) - 1)
        return self.values.was_released(step, ref)

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
        return self.sent(g, self.compiled_loop.compiled.wanted)

    def sent(self, g: Gradient, targets: Refs) -> Sequence[Gradient]:
        """What the sources are sent, those among them that lead to the targets at least."""
        self._begin(g, targets)
        run = self.values.run
        assert run is not None
        for pullback in () if reports_underflow() or self.values.is_parted else self.compiled_loop.pullbacks(self.passed):
            try:
                contributions = raising(self._contributions, run, pullback, g)
            except (FloatingPointError, CannotCompile):
                continue
            if contributions is not None:
                return contributions
        return self._plainly(g, ArrayAccumulator(), targets)

    def _begin(self, g: Gradient, targets: Refs) -> None:
        """A backward pass begins: raise an error if anything that it will pass has been released."""
        self.passed = tuple(sorted(g))
        if self.values.released:
            passed = self.compiled_loop.passed(self.passed, targets)
            if any(not now.isdisjoint(gone) for now, gone in zip(passed, self.values.released, strict=True)):
                raise released(self)

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

    def _plainly(self, g: dict[int, Gradient], sums: Accumulator, targets: Refs) -> list[Gradient]:
        """The same by a backward pass through the single steps, where numbers are not finite and every step counts."""
        asked = {self.sources[self.number_of(ref)] for ref in targets}
        ends = {source: None if source is None or source not in asked else _unwatched(source) for source in self.sources}
        nodes = [self.steps.node(k) for k in g]
        seeds = [(ends.get(node) or node, g[k]) for node, k in zip(nodes, g, strict=True) if node is not None]

        def within_the_loop(node: Node) -> tuple[Node | None, ...]:
            """What lies behind a source is not this operation's to send, also where another source is computed from it."""
            return tuple([ends.get(source, source) for source in node.sources])

        inside = graph.ancestors([node for node, _ in seeds], within_the_loop)
        between = graph.among(graph.depends_on(inside, {end for end in ends.values() if end}, within_the_loop), within_the_loop)
        found: dict[Node | None, Gradient] = dict(graph.sweep(seeds, sums, between))
        sent = [ends[source] for source in self.sources]
        return [None if end is None else found.pop(end, None) for end in sent]  # one that is there twice is sent the sum once


class Part(Operation):
    """A loop as far as it leads to some of its sources: only those operations of its steps are passed that do."""

    __slots__ = ("loop", "targets")
    label, symbol = "loop", "↻"

    def __init__(self, loop: Loop, targets: Refs) -> None:
        self.loop, self.targets = loop, targets
        self.sources, self.place = loop.sources, loop.place

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """What the loop needs for its derivative."""
        return self.loop.saved

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        if saved is None:
            self.loop.release(self.targets)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return self.loop.sent(g, self.targets)

    @override
    def lifted(self, lift: Callable[[Any, Node | None], Any]) -> Sequence[Any]:
        return self.needed()

    @override
    def __repr__(self) -> str:
        return repr(self.loop)


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

    __slots__ = ("__weakref__", "is_released", "loop", "number", "twin")
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
        """It keeps nothing itself; None once it was released, or the operation that it is when written out."""
        gone = self.twin.saved is None if isinstance(self.twin, Outputs) else self.loop.has_released(self.number)
        return None if self.is_released or gone else ()

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        self.is_released = saved is None
        if isinstance(self.twin, Outputs):
            self.twin.saved = saved

    @override
    def give_way(self, memory: Array) -> None:
        self.loop.give_way(memory)

    @override
    def is_made_of(self, nodes: Container[Node | None]) -> bool:
        loop = self.loop
        reached = () if loop.is_written else loop.compiled_loop.reached((self.number,))
        return loop.is_written or any(loop.sources[loop.number_of(ref)] in nodes for ref in reached if ref.kind != LOCAL)

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        if self.loop.is_written:
            return (g,)
        steps = len(self.loop.times)
        return (OfResult(g[:steps] if self.number >= len(self.loop.trace.carry) and len(g) > steps else g, self.number),)

    @override
    def written_out(self) -> Node:
        if self.twin is None:
            twin = self.loop.steps.node(self.number)
            if isinstance(twin, Outputs):
                twin.saved = self.saved
                twin.place, twin.serial, twin.name, twin.shape = self.place, self.serial - 1, self.name, self.shape
            self.twin = twin
        if self.name is not None:
            self.twin.name = self.name
        return self.twin

    @override
    def watched(self) -> Node:
        self.loop.is_written = True
        return self.written_out()


def padded(outputs: Tensor, T: int) -> Tensor:
    """The outputs of all steps, which nobody has seen yet, and zeros up to T rows: those of further steps that did nothing."""
    array = np.zeros((T, *outputs.shape[1:]), outputs.dtype)
    array[: len(outputs)] = outputs._array
    outputs._array = array
    if isinstance(outputs._node, Result):
        outputs._node.shape = array.shape
    return outputs
