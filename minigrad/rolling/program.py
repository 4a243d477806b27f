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
from minigrad.rolling.plan import AFTER, BEFORE, LOOP, NEW, STACK, TRANSPOSED, UNIT, Call, Parts, Plan
from minigrad.rolling.recording import CONSTANT, RESULT, STATE, STREAM, Operand

__all__ = ["Program", "Run"]

CHUNK: Final = 64
"""Steps between two moments at which an interrupt is heard; even, so that two arrays that alternate begin alike."""

WHOLE: Final = slice(None)


class Program:
    """How the steps that have one form are computed, according to a plan."""

    __slots__ = ("after", "arrays", "before", "dtype", "every_state", "exponentials", "loop", "one", "paths", "results", "rows")

    def __init__(self, plan: Plan) -> None:
        self.dtype = plan.nodes[0].dtype
        self.one = np.ones((), self.dtype)
        self.every_state = plan.every_state
        self.results = plan.results
        """The slot of each result."""
        self.arrays = plan.arrays
        with_rows = (STREAM, STACK, *((STATE, NEW) if plan.every_state else ()))
        over_time = [kind in with_rows for kind, _ in plan.arrays]
        self.paths = [
            (slot.array, [index if isinstance(index, Parts) else (WHOLE, *index) for index in slot.path] if over_time[slot.array] else slot.path)
            for slot in plan.slots
        ]
        """For each slot the array, and the indices that lead from it to what lies in the slot."""
        self.before, self.after = plan.calls[BEFORE], plan.calls[AFTER]
        used = list(dict.fromkeys(slot for call in plan.calls[LOOP] for slot in call.slots))
        self.rows = [(slot, over_time[plan.slots[slot].array]) for slot in used]
        """The slots that the loop uses, and whether they have a row for each step."""
        self.loop = [Call(call.function, tuple(map(used.index, call.slots))) for call in plan.calls[LOOP]]
        """The calls of one step, with numbers in ``rows``."""
        self.exponentials = any(call.function is np.exp for calls in plan.calls for call in calls)

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
            with np.errstate(over="ignore"):  # e⁻ˣ of a sigmoid may become infinity: then its result is 0, as it should be
                run.compute()
        else:
            run.compute()
        return run


class Run:
    """One run of a program: its arrays."""

    __slots__ = ("T", "given", "program", "reverse", "values")

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
        self.given: dict[str, Sequence[Any]] = {
            STREAM: streams,
            CONSTANT: constants,
            STATE: [old for old, _ in pairs],
            NEW: [new for _, new in pairs],
        }
        arrays: list[Any] = []
        for kind, what in program.arrays:
            if kind in self.given:
                arrays.append(self.given[kind][what])
            elif kind == TRANSPOSED:
                arrays.append(constants[what].T)
            elif kind == UNIT:
                arrays.append(program.one)
            else:
                arrays.append(np.empty((T, *what) if kind == STACK else what, dtype))
        self.values = [_part(arrays[number], path) if path else arrays[number] for number, path in program.paths]

    def _old_and_new(self, state: Array) -> tuple[Any, Any]:
        """The states before and after each step: shifted views of one array, or two arrays that change places."""
        if not self.program.every_state:
            here, there = state.copy(), np.empty_like(state)
            return (here, there), (there, here)
        chain = np.empty((self.T + 1, *state.shape), state.dtype)
        chain[self.T if self.reverse else 0] = state
        return (chain[1:], chain[:-1]) if self.reverse else (chain[:-1], chain[1:])

    def compute(self) -> None:
        """Make all calls."""
        for function, slots in self.program.before:
            function(*[self.values[slot] for slot in slots])
        for start in range(0, self.T, CHUNK):
            stop = min(start + CHUNK, self.T)
            rows = [self._rows(self.values[slot], over_time, start, stop) for slot, over_time in self.program.rows]
            calls = [map(function, *[rows[number] for number in numbers]) for function, numbers in self.program.loop]
            deque(islice(zip(*calls, strict=False), stop - start), maxlen=0)
        for function, slots in self.program.after:
            function(*[self.values[slot] for slot in slots])

    def _rows(self, value: Any, over_time: bool, start: int, stop: int) -> Iterable[Array]:
        """What a slot holds at some steps, one after the other."""
        if over_time:
            if self.reverse:
                return list(value[self.T - stop : self.T - start])[::-1]
            return list(value[start:stop])
        if type(value) is tuple:
            return value * ((stop - start + 1) // 2)
        return repeat(value)
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

    def last(self, number: int) -> Array:
        """A part of the state after the last step."""
        new = self.given[NEW][number]
        row: Array = new[(self.T - 1) % 2] if type(new) is tuple else new[0 if self.reverse else -1]
        return row

    def last_state(self) -> list[Array]:
        """The state after the last step, in arrays of its own."""
        return [self.last(number).copy() for number in range(len(self.given[NEW]))]


def _part(array: Any, path: Sequence[Any]) -> Any:
    """The part of an array that a path of indices leads to."""
    if type(array) is tuple:
        return tuple([_part(one, path) for one in array])
    for index in path:
        array = index.of(array) if isinstance(index, Parts) else array[index]
    return array
