"""Writing a loop out: the operations of every step, as they would have been recorded one by one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Iterable, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from minigrad.graph import OUTPUT, STRIDE, Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.loops.backend import Executable, Run
from minigrad.loops.program import CARRY, LOCAL, XS, Program, Ref
from minigrad.loops.trace import Pass, Trace
from minigrad.loops.windows import WINDOWS, Window
from minigrad.memory import collector_paused
from minigrad.ops.indexing import Lookup, Slice, entry
from minigrad.ops.joining import Concatenate, Joined, Stack
from minigrad.ops.kinks import Where
from minigrad.scope import Place

__all__ = ["MASK", "Steps", "Values", "computed", "was_released"]

MASK = "mask of lengths"
"""What the rows are called that say which examples take a step: where all do, or none, nothing is selected."""

Nodes = dict[Node | None, Node | None]
"""For nodes of the trace of a step, those that stand for them in one of the steps."""


class Values:
    """What the steps of a loop have computed, until it is released.

    Args:
        run: the run that the loop made.
        lent: the arrays of its operands, by their kind.
        everything: makes the executable that keeps all locals of all steps.
        program: the step as it was traced.
        place: where its locals are in the program that was run.
    """

    __slots__ = (
        "_everything", "_full", "conditions", "is_parted", "lent", "place", "program", "released", "run", "unreleased",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        lent: dict[str, list[Any]],
        everything: Callable[[], Executable],
        program: Program,
        place: dict[Ref, Ref],
    ) -> None:
        self.run: Run | None = run
        self.lent, self.is_parted = lent, False
        self.released: list[set[Ref]] = []
        """For each step, in the order in which they were computed, those of its operations that were released; or nothing."""
        self.unreleased = 0
        """How many operations were written out, and have not been released."""
        self._full: Run | None = None
        self._everything, self.program, self.place = everything, program, place
        self.conditions = {j: run.given[XS][j] for j, x in enumerate(program.xs) if x.name in (MASK, WINDOWS)}
        """The masks, by the numbers of the xs: what the graph looks like depends on them, also when it has been released."""

    def release(self) -> None:
        """Forget them."""
        self.run = self._full = None
        self.lent, self.released = {}, []

    def note_released(self, operations: Sequence[Set[Ref]]) -> None:
        """Some operations of each step were released, which are given by their places in the program that was run."""
        self.released = [gone | now for gone, now in zip(self.released or [set()] * len(operations), operations, strict=True)]

    def was_released(self, number: int, ref: Ref) -> bool:
        """Whether the operation of a step was released that has this value."""
        return self.run is None or (bool(self.released) and self.place.get(ref, ref) in self.released[number])

    def let_go(self, number: int, ref: Ref) -> None:
        """A backward pass has released an operation of a step that was written out: from now on each of them is asked."""
        self.is_parted = True
        if self.run is not None and not self.was_released(number, ref):
            self.released = self.released or [set() for _ in range(self.run.T)]
            self.released[number].add(self.place.get(ref, ref))
            self.unreleased -= 1
            if not self.unreleased:
                self.release()

    def lent_for(self, operands: Iterable[Ref]) -> list[Any]:
        """The arrays of others that these operands are."""
        return [self.lent[kind][number] for kind, number in operands]

    def give_way(self, memory: Array) -> None:
        """Let others write to this memory, which no derivative needs: compute all anew, from copies."""
        if self.run is not None and self.run.shares(memory):
            self.run, self._full = self.run.of_copies(), None

    @property
    def given(self) -> dict[str, Sequence[Any]]:
        """What the run was given: xs, carry, consts."""
        return {} if self.run is None else self.run.given

    def keep(self, compiled: Any) -> None:
        """Have the run keep what ``compiled`` keeps of all steps."""
        if self.run is not None and not compiled.keeps <= self.run.executable.results.keys():
            self.run = self.run.again(compiled.forward(quiet=True))

    def traced(self, ref: Ref) -> Ref:
        """Where a value of the program that was run is in the step as it was traced."""
        return next((old for old, new in self.place.items() if new == ref), ref)

    def at(self, operand: Ref, row: int) -> Any:
        """A value at one step, given by the number of its row."""
        if self._full is None and self.run is not None:
            self._full = self.run.again(self._everything())
        return None if self._full is None else self._full.row(self.place.get(operand, operand), row)

    def kept(self, k: int, row: int) -> tuple[Any, ...]:
        """What the operation of a line would have kept at one step."""
        line = self.program.lines[k]
        return tuple(
            None if kept is None else self.at(Ref(LOCAL, k) if place == OUTPUT else line.operands[place], row)
            for place, kept in zip(line.op.keeps, line.op.saved or (), strict=True)
        )


class Written(Operation):
    """An operation of one step of a loop, written out. What it keeps is looked up in the values of the loop."""

    if not TYPE_CHECKING:  # what is annotated here has its slots in the classes that `_like` makes
        __slots__ = ()
    values: Values
    step: int
    row: int
    ref: Ref
    steps: Steps | None
    """Set while the steps have not been written out."""
    own: tuple[Node | None, ...]

    @property
    def sources(self) -> tuple[Node | None, ...]:
        """What it was computed from; asking has all steps written out."""
        if self.steps is not None:
            self.steps.write()
        return self.own

    @sources.setter
    def sources(self, sources: tuple[Node | None, ...]) -> None:
        self.own, self.steps = sources, None

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """What the derivative needs, which a row of xs does not; None once it has been released."""
        if self.values.was_released(self.step, self.ref):
            return None
        return self.values.kept(self.ref.number, self.row) if self.ref.kind == LOCAL else ()

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        if saved is None:
            self.values.let_go(self.step, self.ref)

    @override
    def borrowed(self) -> Iterable[Any]:
        """Nothing: the loop says what its steps keep."""
        return ()


def computed(node: Node) -> tuple[Any, ...]:
    """The result of an operation that was written out, and after it its operands, as the loop that it stands in has them.

    Nothing for any other node, or after the loop was released.
    """
    if not isinstance(node, Written) or node.ref.kind != LOCAL or was_released(node):
        return ()
    line = node.values.program.lines[node.ref.number]
    return tuple(node.values.at(ref, node.row) for ref in (node.ref, *line.operands))


def was_released(node: Node) -> bool:
    """Whether a node that was written out has been released."""
    if isinstance(node, Written):
        return node.values.was_released(node.step, node.ref)
    return isinstance(node, Operation) and node.saved is None


class Outputs(Stack):
    """The outputs of all steps, stacked; asking what they were computed from has all steps written out."""

    __slots__ = ("own", "steps", "which")
    steps: Steps | None
    which: int
    own: tuple[Node | None, ...]

    @property
    def sources(self) -> tuple[Node | None, ...]:
        """The outputs of the steps, and nothing where there are zeros behind them."""
        if self.steps is not None:
            outputs = self.steps.outputs(self.which)
            self.own, self.steps = (*outputs, *[None] * (self.shape[0] - len(outputs))), None
        return self.own

    @sources.setter
    def sources(self, sources: tuple[Node | None, ...]) -> None:
        self.own, self.steps = sources, None


class Steps:
    """A traced step, repeated in the graph.

    Args:
        trace: the trace whose operations the steps are copies of.
        xs: the nodes of the xs, each of all steps.
        carry: the nodes of the initial carry.
        times: the time steps, in the order in which they are computed.
        place: where the loop was recorded.
        serial: the serial number of the loop.
        window: after how many steps each time the carry loses its history.
        cut_names: what its parts are called then.
        values: what the steps have computed.
        wanted: the nodes that a gradient was wanted for when the loop was recorded, whatever was frozen since.
    """

    __slots__ = (
        "_last", "_outputs", "_state", "carry", "cut_names", "place", "program", "serial", "times", "trace", "values", "wanted",
        "window", "xs", "ys",
    )  # fmt: skip

    def __init__(
        self,
        trace: Trace,
        xs: Sequence[Node | None],
        carry: Sequence[Node | None],
        times: range,
        place: Place,
        serial: int,
        window: int,
        cut_names: Sequence[str | None],
        values: Values,
        wanted: Container[Node | None],
    ) -> None:
        self.wanted, self.cut_names = wanted, cut_names
        self.trace, self.program, self.xs, self.carry = trace, trace.program, xs, carry
        self.times, self.place, self.serial, self.window, self.values = times, place, serial, window, values
        self._last: dict[Operation, weakref.ref[Any]] = {}
        """The operations of the last step that somebody has asked for."""
        self.ys: list[Ref] = list(self.program.ys)
        """The values that are results of the loop, for all steps: its outputs, and what its recorded backward pass takes."""
        self._outputs: list[list[Node | None]] | None = None
        self._state: list[Node | None] = []

    def node(self, number: int) -> Node:
        """The node of a result: a part of the last carry, or, after those, the stacked outputs."""
        if number < len(self.carry):
            return self.result(number)
        node = Outputs()
        which = number - len(self.carry)
        value = self.program.value(self.ys[which])
        node.axis, node.saved, node.watch, node.name, node.place = 0, (), None, None, self.place
        node.shape, node.dtype, node.serial = (len(self.times), *value.shape), value.dtype, self.serial + STRIDE - 1 - which
        node.own, node.steps, node.which = (), self, which
        return node

    def result(self, i: int) -> Node:
        """The node of a part of the last carry."""
        k = self.program.new_carry[i].number
        op = self.program.lines[k].op
        if type(op) in (Pass, Where, Window) or self._outputs is not None:
            self.write()
            node = self._state[i]
            return Leaf(op.shape, op.dtype, False) if node is None else node
        made: Written | None = self._asked_for(op)
        if made is None:
            made = self._made(len(self.times) - 1, k)
            made.steps = self
            self._last[op] = weakref.ref(made)
        return made

    def _asked_for(self, op: Operation) -> Any:
        return self._last[op]() if op in self._last else None

    def outputs(self, j: int) -> tuple[Node | None, ...]:
        """The node of each step's output, in the order of time."""
        self.write()
        nodes = [] if self._outputs is None else self._outputs[j]
        return tuple(nodes if self.times.step > 0 else nodes[::-1])

    @property
    def is_done(self) -> bool:
        """Whether all steps have been written out."""
        return self._outputs is not None

    def write(self) -> None:
        """Write all steps out, if that has not been done."""
        if self._outputs is not None:
            return
        program = self.program
        outputs: list[list[Node | None]] = [[] for _ in self.ys]
        state: list[Node | None] = list(self.carry)
        with collector_paused():
            for number in range(len(self.times)):
                if number and number % self.window == 0:
                    state = [self._cut(number, i) for i in range(len(state))]
                nodes = self._begun(number, state)
                for k in range(len(program.lines)):
                    self._write(number, k, nodes)
                state = [nodes[program.lines[ref.number].op] for ref in program.new_carry]
                for column, ref in zip(outputs, self.ys, strict=True):
                    column.append(nodes[self.trace.carry[ref.number] if ref.kind == CARRY else program.lines[ref.number].op])
        self._outputs, self._state = outputs, state

    def _begun(self, number: int, state: Sequence[Node | None]) -> Nodes:
        """The carry and the row of the xs that a step takes."""
        t = self.times[number]
        nodes: Nodes = dict(zip(self.trace.carry, state, strict=True))
        for j, (leaf, stream) in enumerate(zip(self.trace.xs, self.xs, strict=True)):
            row: Any = None
            if stream is not None and self._wants(stream):
                row = self._row_of(stream, leaf, number, j)
            elif leaf.name is not None:
                row = Leaf(leaf.shape, leaf.dtype, False)
                row.role = "input"
            if row is not None:
                row.name, row.place = leaf.name, Place(t, self.place.scope)
                row.serial = self._serial(number, 2 * len(self.carry) + j)
            nodes[leaf] = row
        return nodes

    def _wants(self, node: Node | None) -> bool:
        """Whether a gradient was wanted for a node."""
        return node is not None and (not node.is_leaf or node in self.wanted)

    def _cut(self, number: int, i: int) -> Leaf:
        """A part of the carry whose history is cut off before a step."""
        op = self.program.lines[self.program.new_carry[i].number].op
        leaf = Leaf(op.shape, op.dtype, False, self.cut_names[i])
        leaf.role, leaf.place = "cut", Place(self.times[number - 1], self.place.scope)
        leaf.serial = self._serial(number, i)
        return leaf

    def _windowed(self, number: int, k: int, is_cut: bool | None, old: Node | None) -> Node | None:
        """A part of the carry before a step, where windows end with all examples, with none, or (None) with some."""
        if is_cut is False:
            return old
        carry = self.program.lines[k].operands[0].number
        leaf = self._cut(number, carry)
        if is_cut or not self._wants(old):
            return leaf
        node = self._made(number, k)
        node.sources = leaf, old
        node.place, node.serial = node.place._replace(time=leaf.place.time), self._serial(number, len(self.carry) + carry)
        return node

    def _serial(self, number: int, k: int) -> int:
        """Serial numbers between that of the loop and the next, in the order in which the steps would have been recorded."""
        return self.serial + 1 + number * (2 * len(self.carry) + len(self.xs) + len(self.program.lines)) + k

    def _write(self, number: int, k: int, nodes: Nodes) -> None:
        """Add to the nodes of a step the one that stands for a line."""
        op = self.program.lines[k].op
        sources = tuple([nodes.get(source, source) for source in op.sources])
        chosen = self._chosen(number, k) if type(op) in (Where, Window) else None
        if type(op) is Window:
            nodes[op] = self._windowed(number, k, chosen, sources[1])
        elif chosen is not None:
            nodes[op] = sources[0 if chosen else 1]
        elif type(op) is Pass:
            nodes[op] = sources[0]
        elif any(map(self._wants, sources)):
            node = self._asked_for(op) if number == len(self.times) - 1 else None
            nodes[op] = node = self._made(number, k) if node is None else node
            node.sources = sources
        else:
            nodes[op] = None
            if op.name is not None:
                leaf = nodes[op] = Leaf(op.shape, op.dtype, False, op.name)
                leaf.place, leaf.serial = Place(self.times[number], op.place.scope), self._of_line(number, k)
            elif isinstance(op, Concatenate) and any(sources):
                nodes[op] = joined = Joined(op.shape, op.dtype, False)
                joined.sources = sources
                joined.place, joined.serial = Place(self.times[number], op.place.scope), self._of_line(number, k)

    def _chosen(self, number: int, k: int) -> bool | None:
        """Which operand a selection by a mask of lengths, or by ends of windows, takes; None if some examples take one and
        some the other."""
        *_, (kind, j) = self.program.lines[k].operands
        if kind != XS or j not in self.values.conditions:
            return None
        taken = self.values.conditions[j][self.times[number] - 1]
        return True if taken.all() else None if taken.any() else False

    def _of_line(self, number: int, k: int) -> int:
        return self._serial(number, 2 * len(self.carry) + len(self.xs) + k)

    def _made(self, number: int, k: int) -> Written:
        """The operation of a line at one step."""
        op = self.program.lines[k].op
        node = self._written(op, number, Ref(LOCAL, k))
        node.shape, node.dtype, node.name = op.shape, op.dtype, op.name
        node.place, node.serial = Place(self.times[number], op.place.scope), self._of_line(number, k)
        if isinstance(op, Lookup):
            node.index, node.exact = self.values.at(self.program.lines[k].operands[1], node.row), False
        made: Written = node
        return made

    def _row_of(self, stream: Node, leaf: Leaf, number: int, j: int) -> Any:
        """The row of a stream that a step takes."""
        node = self._written(ROW, number, Ref(XS, j))
        node.span, node.sources = entry(0, node.row), (stream,)
        node.shape, node.dtype = leaf.shape, leaf.dtype
        return node

    def _written(self, op: Operation, number: int, ref: Ref) -> Any:
        """An operation of one step, like another one."""
        node = _like(op)
        node.values = self.values
        node.step, node.row, node.ref = number, self.times[number] - 1, ref
        node.steps, node.own, node.watch = None, (), None
        self.values.unreleased += 1
        return node


ROW: Final = Slice()
"""Stands for what cuts rows out of xs."""

kinds: dict[type, tuple[type, list[str]]] = {}


def _like(op: Operation) -> Any:
    """A new operation of the kind of ``op``, with what operations of that kind have, that is written out."""
    kind = op.kind if isinstance(op, Lookup) else type(op)
    if kind not in kinds:
        bases = kind.__mro__[: kind.__mro__.index(Operation)]
        both = type(kind.__name__, (Written, kind), {"__slots__": (*Written.__annotations__, "__weakref__")})
        kinds[kind] = both, [slot for base in bases for slot in vars(base).get("__slots__", ())]
    both, slots = kinds[kind]
    node: Any = object.__new__(both)
    for slot in slots:
        if hasattr(op, slot):
            setattr(node, slot, getattr(op, slot))
    return node
