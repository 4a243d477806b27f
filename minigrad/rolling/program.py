"""A step as a program: the calls that repeat it, and where their results lie.

What does not depend on the state is computed for all steps at once, before the loop; what the state does not depend on,
after it. In the loop every call writes into an array that is there already: into its row of the results of all steps if
somebody needs them later, else into one array that every step uses again. Parts that are put side by side are written
where they belong at once; parts that are cut out are views.

The loop itself is a `zip` of one `map` for each call: asking it for the next item makes the calls of one step, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.ops.indexing import GetItem
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul
from minigrad.rolling.into import Into, NotRepeatable, copy, recipe
from minigrad.rolling.recording import CONSTANT, RESULT, STATE, STREAM, Operand

__all__ = ["Plan", "Program", "Run"]

BEFORE, LOOP, AFTER = range(3)
CHUNK: Final = 64
"""Steps between two moments at which an interrupt is heard; even, so that two arrays that alternate begin alike."""

NEW, STACK, SCRATCH, UNIT, TRANSPOSED = "new", "stack", "scratch", "one", "transposed"


class Slot(NamedTuple):
    """Where a value lies: in which array, and in which part of it (seen from one row, if there is a row for each step)."""

    array: int
    path: tuple[Any, ...] = ()


class Call(NamedTuple):
    """One call: the function, and the numbers of the slots of its operands and its result."""

    function: Into
    slots: tuple[int, ...]


class Program:
    """How the steps that have one form are computed: what arrays there are, where in them values lie, and the calls."""

    __slots__ = ("arrays", "calls", "dtype", "every_state", "overflow", "results", "slots")

    def __init__(self, plan: Plan) -> None:
        self.arrays = plan.arrays
        self.slots = plan.slots
        self.calls = plan.calls
        self.results = plan.results
        self.every_state = plan.every_state
        self.dtype = plan.nodes[0].dtype
        exponentials = any(call.function is np.exp for calls in self.calls for call in calls)
        self.overflow: Literal["ignore"] | None = "ignore" if exponentials else None
        """e⁻ˣ of a sigmoid may become infinity: then its result is 0, as it should be."""

    def run(
        self, T: int, streams: Sequence[Array], states: Sequence[Array], constants: Sequence[Array], reverse: bool = False
    ) -> Run:
        """Compute all T steps, from the first, or in ``reverse`` from the last.

        Args:
            streams: the arrays over all steps, each (T, …).
            states: the parts of the state to begin with.
            constants: the constants.
        """
        run = Run(self, T, streams, states, constants, reverse)
        with np.errstate(over=self.overflow):
            run.at_once(self.calls[BEFORE])
            for start in range(0, T, CHUNK):
                run.step_by_step(self.calls[LOOP], start, min(start + CHUNK, T))
            run.at_once(self.calls[AFTER])
        return run


class Plan:
    """Finds out how to compute a step.

    Args:
        nodes: its operations, in order.
        operands: where the operands of each come from.
        new: for each part of the state, where its new value comes from.
        kept: those results that are needed of all steps.
        every_state: whether the states of all steps are needed, or only the last.

    Raises:
        NotRepeatable: it is not known how to repeat one of the operations.
    """

    def __init__(
        self,
        nodes: Sequence[Operation],
        operands: Sequence[tuple[Operand, ...]],
        new: Sequence[Operand],
        kept: Iterable[int],
        every_state: bool,
    ) -> None:
        self.nodes, self.operands, self.new, self.every_state = nodes, operands, new, every_state
        self.arrays: list[tuple[str, Any]] = []
        self.slots: list[Slot] = []
        self.calls: tuple[list[Call], list[Call], list[Call]] = ([], [], [])
        self.results: dict[int, int] = {}
        self._given: dict[tuple[str, Any], int] = {}
        self._copies: list[list[tuple[Operand, int]]] = [[] for _ in nodes]
        self._decide_when()
        self._decide_what_to_keep(set(kept))
        self._decide_where()
        self._write()

    # ---------------------------------------------------------------- when each operation is computed

    def _decide_when(self) -> None:
        count = len(self.nodes)
        depends, feeds = [False] * count, [False] * count
        for k, operands in enumerate(self.operands):
            depends[k] = any(o.kind == STATE or (o.kind == RESULT and depends[o.number]) for o in operands)
        for operand in self.new:
            if operand.kind == RESULT:
                feeds[operand.number] = True
        for k in reversed(range(count)):
            of_state = any(o.kind == STATE for o in self.operands[k])
            if feeds[k] or (of_state and not self.every_state):
                feeds[k] = True
                for o in self.operands[k]:
                    if o.kind == RESULT:
                        feeds[o.number] = True
        if any(o.kind == RESULT and not depends[o.number] for o in self.new):
            raise NotRepeatable("a state that does not depend on the one before")
        self.phase = [BEFORE if not d else LOOP if f else AFTER for d, f in zip(depends, feeds, strict=True)]

    def _decide_what_to_keep(self, kept: set[int]) -> None:
        self.stacked = [phase != LOOP or k in kept for k, phase in enumerate(self.phase)]
        for k in reversed(range(len(self.nodes))):
            if self.phase[k] == AFTER or (self.stacked[k] and isinstance(self.nodes[k], GetItem)):
                for operand in self.operands[k]:
                    if operand.kind == RESULT:
                        self.stacked[operand.number] = True

    # ---------------------------------------------------------------- where the results lie

    def _slot(self, array: int, path: tuple[Any, ...] = ()) -> int:
        self.slots.append(Slot(array, path))
        return len(self.slots) - 1

    def _new_slot(self, kind: str, what: Any) -> int:
        self.arrays.append((kind, what))
        return self._slot(len(self.arrays) - 1)

    def slot_of(self, kind: str, number: Any) -> int:
        """The slot of a result, or of something given."""
        if kind == RESULT:
            return self.results[number]
        if (kind, number) not in self._given:
            self._given[kind, number] = self._new_slot(kind, number)
        return self._given[kind, number]

    def _fresh(self, k: int) -> int:
        return self._new_slot(STACK if self.stacked[k] else SCRATCH, self.nodes[k].shape)

    def _decide_where(self) -> None:
        computed = [not isinstance(node, GetItem | Concatenate) for node in self.nodes]
        for i, operand in enumerate(self.new):
            if operand.kind == RESULT and computed[operand.number] and (self.every_state or not self.stacked[operand.number]):
                self.results.setdefault(operand.number, self.slot_of(NEW, i))
        joins = [k for k, node in enumerate(self.nodes) if isinstance(node, Concatenate)]
        for k in sorted(joins, key=lambda k: self.phase[k] != LOOP):
            self._place_parts(k)
        for k, node in enumerate(self.nodes):
            if isinstance(node, GetItem):
                whole = self.slots[self.slot_of(*self.operands[k][0])]
                index = node.index if isinstance(node.index, tuple) else (node.index,)
                self.results[k] = self._slot(whole.array, (*whole.path, index))
            elif k not in self.results:
                self.results[k] = self._fresh(k)

    def _place_parts(self, k: int) -> None:
        """Let the parts that are joined be computed where they belong, as far as that can be; the others are copied."""
        node, homeless = self.nodes[k], set()
        for operand in self.operands[k]:
            r = operand.number
            elsewhere = operand.kind != RESULT or r in self.results
            if not elsewhere and not isinstance(self.nodes[r], GetItem | Concatenate | Matmul):
                homeless.add(r)
        self.stacked[k] = self.stacked[k] or any(self.stacked[r] for r in homeless)
        self.results[k] = self._fresh(k)
        before = (slice(None),) * node.axis
        for operand, (start, stop) in zip(self.operands[k], node.bounds, strict=True):
            place = self._slot(self.slots[self.results[k]].array, ((*before, slice(start, stop)),))
            if operand.kind == RESULT and operand.number in homeless:
                homeless.remove(operand.number)
                self.results[operand.number] = place
            else:
                self._copies[k].append((operand, place))

    # ---------------------------------------------------------------- the calls

    def _write(self) -> None:
        for k, node in enumerate(self.nodes):
            calls, out = self.calls[self.phase[k]], self.results[k]
            if isinstance(node, Concatenate):
                calls += [Call(copy, (self.slot_of(*operand), place)) for operand, place in self._copies[k]]
            elif not isinstance(node, GetItem):
                places = [self.slot_of(*operand) for operand in self.operands[k]]
                if isinstance(node, Matmul):
                    places[1] = self._matrix(node, self.operands[k][1])
                places += [self.slot_of(UNIT, None), out]
                for function, taken in recipe(node, self.phase[k] != LOOP):
                    calls.append(Call(function, (*[places[number] for number in taken], out)))
        for i, operand in enumerate(self.new):
            if self.slot_of(*operand) != self.slot_of(NEW, i):
                if self.every_state:
                    raise NotRepeatable("a state that is part of something")
                self.calls[LOOP].append(Call(copy, (self.slot_of(*operand), self.slot_of(NEW, i))))

    def _matrix(self, node: Matmul, operand: Operand) -> int:
        if operand.kind != CONSTANT:
            raise NotRepeatable("a product with a matrix that differs from step to step")
        return self.slot_of(TRANSPOSED if node.transpose_b else CONSTANT, operand.number)


class Run:
    """One run of a program: its arrays."""

    def __init__(
        self,
        program: Program,
        T: int,
        streams: Sequence[Array],
        states: Sequence[Array],
        constants: Sequence[Array],
        reverse: bool,
    ) -> None:
        self.program, self.T, self.reverse = program, T, reverse
        dtype, pairs = program.dtype, [self._old_and_new(state) for state in states]
        given: dict[str, Sequence[Any]] = {
            STREAM: streams,
            CONSTANT: constants,
            STATE: [old for old, _ in pairs],
            NEW: [new for _, new in pairs],
        }
        self.given = given
        arrays: list[Any] = []
        over_time = []
        for kind, what in program.arrays:
            if kind in given:
                arrays.append(given[kind][what])
            elif kind == TRANSPOSED:
                arrays.append(constants[what].T)
            elif kind == UNIT:
                arrays.append(np.ones((), dtype))
            else:
                arrays.append(np.empty((T, *what) if kind == STACK else what, dtype))
            over_time.append(kind in (STREAM, STACK) or (kind in (STATE, NEW) and program.every_state))
        self.varies = [over_time[slot.array] for slot in program.slots]
        self.values = [_part(arrays[slot.array], slot.path, over_time[slot.array]) for slot in program.slots]

    def _old_and_new(self, state: Array) -> tuple[Any, Any]:
        """The states before and after each step: shifted views of one array, or two arrays that change places."""
        if not self.program.every_state:
            here, there = state.copy(), np.empty_like(state)
            return (here, there), (there, here)
        chain = np.empty((self.T + 1, *state.shape), state.dtype)
        chain[self.T if self.reverse else 0] = state
        return (chain[1:], chain[:-1]) if self.reverse else (chain[:-1], chain[1:])

    def at_once(self, calls: Iterable[Call]) -> None:
        """Make calls for all steps together."""
        for function, slots in calls:
            function(*[self.values[slot] for slot in slots])

    def step_by_step(self, calls: Sequence[Call], start: int, stop: int) -> None:
        """Make the calls for the ``start``-th step, then for the next, up to the ``stop``-th."""
        rows: dict[int, Iterable[Array]] = {}
        for _, slots in calls:
            for slot in slots:
                if slot not in rows:
                    rows[slot] = self.rows(slot, start, stop)
        steps = zip(*[map(function, *[rows[slot] for slot in slots]) for function, slots in calls], strict=False)
        deque(islice(steps, stop - start), maxlen=0)

    def rows(self, slot: int, start: int, stop: int) -> Iterable[Array]:
        """What lies in a slot at each of some steps."""
        value = self.values[slot]
        if isinstance(value, tuple):
            return list(value) * ((stop - start + 1) // 2)
        if not self.varies[slot]:
            return repeat(value)
        return list(value[self.T - stop : self.T - start])[::-1] if self.reverse else list(value[start:stop])

    def of(self, operand: Operand) -> Array:
        """A value of all steps, (T, …)."""
        kind, number = operand
        value: Array = self.values[self.program.results[number]] if kind == RESULT else self.given[kind][number]
        return value

    def row(self, operand: Operand, number: int) -> Array:
        """A value at one step, given by the number of its row."""
        value = self.of(operand)
        return value if operand.kind == CONSTANT else value[number]

    def outputs(self) -> Array:
        """The last part of the state after each step."""
        new: Array = self.given[NEW][-1]
        return new

    def again(self, program: Program) -> Run:
        """The same computation by another program for the same steps."""
        states = [old[-1 if self.reverse else 0] for old in self.given[STATE]]
        return program.run(self.T, self.given[STREAM], states, self.given[CONSTANT], self.reverse)

    def last(self, i: int) -> Array:
        """Part ``i`` of the state after the last step."""
        new = self.given[NEW][i]
        row: Array = new[(self.T - 1) % 2] if isinstance(new, tuple) else new[0 if self.reverse else -1]
        return row


def _part(array: Any, path: tuple[Any, ...], varies: bool) -> Any:
    """The part of an array that a path of indices leads to."""
    if isinstance(array, tuple):
        return tuple(_part(one, path, varies) for one in array)
    for index in path:
        array = array[(slice(None), *index) if varies else index]
    return array
