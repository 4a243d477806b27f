"""A step as a program: the calls that repeat it, over arrays that are there already.

The loop itself is a `zip` of one `map` for each call: asking it for the next item makes the calls of one step, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import Any, Final

import numpy as np

from minigrad.guard import Array
from minigrad.loops.layout import MINUS_UNIT, NEW, STACK, TRANSPOSED, UNIT, Layout, Parts
from minigrad.loops.plan import Call, Plan
from minigrad.loops.recording import CONSTANT, RESULT, STATE, STREAM, Operand
from minigrad.loops.workspace import CHUNK, part, rows_of, workspace

__all__ = ["Program", "Run"]

WHOLE: Final = slice(None)


class Program:
    """How the steps that have one form are computed, according to a plan."""

    __slots__ = (
        "__weakref__", "after", "arrays", "before", "dtype", "every_state", "exponentials", "given", "loop", "paths",
        "results", "rows", "units",
    )  # fmt: skip

    def __init__(self, plan: Plan) -> None:
        layout, schedule = plan.layout, plan.schedule
        self.dtype = schedule.nodes[0].dtype
        self.units = {UNIT: np.array(1, self.dtype), MINUS_UNIT: np.array(-1, self.dtype)}
        self.every_state = schedule.every_state
        self.arrays = layout.arrays
        self.results = {k: layout.results[k] for k in schedule.kept}
        """The slot of each result that is kept."""
        self.before, loop, self.after = plan.calls
        used = list(dict.fromkeys(slot for call in loop for slot in call.slots))
        over_time = (STREAM, STACK, *((STATE, NEW) if self.every_state else ()))
        places = {slot: layout.slots[slot] for calls in plan.calls for call in calls for slot in call.slots}
        places |= {slot: layout.slots[slot] for slot in self.results.values()}
        kinds = {slot: layout.arrays[array][0] for slot, (array, _) in places.items()}
        self.paths = [
            (slot, array, _of_all(path) if kinds[slot] in over_time else path) for slot, (array, path) in places.items()
        ]
        """The slots that are used, each with its array, and the indices that lead from it to what lies in the slot."""
        self.given = [
            (slot, *layout.arrays[number], path)
            for slot, number, path in self.paths
            if kinds[slot] in (STREAM, CONSTANT, TRANSPOSED) or (kinds[slot] in (STATE, NEW) and self.every_state)
        ]
        """The slots in arrays that are another's at each run: the slot, the kind, which of the kind, and the path."""
        self.rows = [(slot, kinds[slot] in over_time, *self._state(layout, slot)) for slot in used]
        """The slots that the loop uses, whether they have a row for each step, and which part of the state they are, if any."""
        self.loop = [Call(call.function, tuple(map(used.index, call.slots))) for call in loop]
        """The calls of one step, with numbers in ``rows``."""
        self.exponentials = any(call.function is np.exp for calls in plan.calls for call in calls)

    def _state(self, layout: Layout, slot: int) -> tuple[str | None, Any]:
        """Which part of the state of all times a slot holds, as a kind and a number."""
        array, path = layout.slots[slot]
        kind, what = layout.arrays[array]
        return (kind, what) if self.every_state and kind in (STATE, NEW) and not path else (None, None)

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
        if self.exponentials:
            with np.errstate(over="ignore", under="ignore"):  # of a sigmoid's e⁻ˣ: its result is then 0 or 1, as it should be
                run.compute()
        else:
            run.compute()
        return run


class Run:
    """One run of a program: what it was given, and what it has computed."""

    __slots__ = ("T", "__weakref__", "chains", "given", "program", "reverse", "values", "workspace")

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
        self.workspace = workspace(program, states, T, reverse, self)
        self.chains: list[Array] = []
        """The parts of the state at all times, if all are needed."""
        old, new = self._begun(states)
        self.given: dict[str, Sequence[Any]] = {STREAM: streams, CONSTANT: constants, STATE: old, NEW: new}
        self.values = self.workspace.values.copy()
        for slot, kind, what, path in program.given:
            array = constants[what].T if kind == TRANSPOSED else self.given[kind][what]
            self.values[slot] = part(array, path) if path else array

    def _begun(self, states: Sequence[Array]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The parts of the state before and after each step: two arrays that change places, or all rows of one."""
        if not self.program.every_state:
            for (here, _), state in zip(self.workspace.old, states, strict=True):
                here[...] = state
            return self.workspace.old, self.workspace.new
        self.chains = [np.empty((self.T + 1, *state.shape), self.program.dtype) for state in states]
        for chain, state in zip(self.chains, states, strict=True):
            chain[self.T if self.reverse else 0] = state
        first, last = [chain[:-1] for chain in self.chains], [chain[1:] for chain in self.chains]
        return (last, first) if self.reverse else (first, last)

    def compute(self) -> None:
        """Make all calls."""
        values, T = self.values, self.T
        for function, slots in self.program.before:
            function(*[values[slot] for slot in slots])
        for number, start in enumerate(range(0, T, CHUNK)):
            chains = [rows_of(chain, start, T, self.reverse, 1) for chain in self.chains]
            states = {STATE: chains, NEW: [rows[1:] for rows in chains]}
            rows = [
                kept[number] if kept is not None else self._rows(slot, over_time, start) if kind is None else states[kind][what]
                for (slot, over_time, kind, what), kept in zip(self.program.rows, self.workspace.rows, strict=True)
            ]
            calls = [map(function, *[rows[number] for number in numbers]) for function, numbers in self.program.loop]
            deque(islice(zip(*calls, strict=False), min(CHUNK, T - start)), maxlen=0)
        for function, slots in self.program.after:
            function(*[values[slot] for slot in slots])

    def _rows(self, slot: int, over_time: bool, start: int) -> Iterable[Array]:
        """What a slot holds at the steps of a chunk, one after the other."""
        value = self.values[slot]
        if over_time:
            return rows_of(value, start, self.T, self.reverse)
        return value * (CHUNK // 2) if type(value) is tuple else repeat(value)

    def of(self, operand: Operand) -> Array:
        """A value of all steps, (T, …)."""
        kind, number = operand
        value: Any = self.values[self.program.results[number]] if kind == RESULT else self.given[kind][number]
        return _handed_out(value)

    def row(self, operand: Operand, number: int) -> Array:
        """A value at one step, given by the number of its row."""
        value = self.of(operand)
        return value if operand.kind == CONSTANT else value[number]

    def outputs(self) -> Array:
        """The last part of the state after each step."""
        return _handed_out(self.given[NEW][-1])

    def again(self, program: Program) -> Run:
        """The same computation by another program for the same steps."""
        states = [old[-1 if self.reverse else 0] for old in self.given[STATE]]
        return program.run(self.T, self.given[STREAM], states, self.given[CONSTANT], self.reverse)

    def last(self, number: int) -> Array:
        """A part of the state after the last step."""
        new = self.given[NEW][number]
        row: Array = new[(self.T - 1) % 2] if type(new) is tuple else new[0 if self.reverse else -1]
        return row

    def last_state(self) -> list[Array]:
        """The state after the last step, in arrays of its own."""
        return [self.last(number).copy() for number in range(len(self.given[NEW]))]


def _handed_out(array: Array) -> Array:
    """A new view: the workspace sees whether its arrays are still used by others, but not whether its own views are."""
    return array.view()


def _of_all(path: Sequence[Any]) -> list[Any]:
    """A path that leads to the same part of every row."""
    return [index if isinstance(index, Parts) else (WHOLE, *index) for index in path]
