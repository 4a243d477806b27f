"""The arrays that a run of a loop computes in, and their rows.

To make a view of each row of each array takes as long as the arithmetic, where the rows are short. So the workspaces of
small loops are kept, with all their views, once the same loop has been run a few times in a row, and used again as soon
as nobody refers to their arrays any more: no result, no graph, nothing that was handed out.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from minigrad.guard import Array
from minigrad.locks import lock
from minigrad.loops.layout import NEW, SCRATCH, STACK, Parts
from minigrad.loops.recording import STATE

if TYPE_CHECKING:
    from minigrad.loops.runner import Program, Run

__all__ = ["CHUNK", "Workspace", "forget_workspaces", "part", "rows_of", "workspace"]

CHUNK: Final = 64
"""Steps between two moments at which an interrupt is heard; even, so that two arrays that alternate begin alike."""

RUNS: Final = 4
"""How many runs of one length in a row are those of a loop that is used again and again."""

MOST_BYTES: Final = 2**17
"""The size of a workspace that is kept, at most."""

BYTES_OF_VIEW: Final = 100

MOST: Final = 16
"""How many are kept at most."""

Pair: TypeAlias = tuple[Array, Array]

kept: list[Workspace] = []
latest: weakref.WeakKeyDictionary[Program, tuple[int, bool, int]] = weakref.WeakKeyDictionary()
"""For each program the length and direction of its latest runs, and how many there were in a row."""
kept_lock = lock()


class Workspace:
    """The arrays of one run, but for those that it hands out, the states of all steps.

    Args:
        program: what is run.
        states: arrays like the parts of the state.
        T: the number of steps.
        reverse: whether they are run from the last to the first.
    """

    __slots__ = ("T", "_references", "_roots", "_user", "new", "old", "program", "reverse", "rows", "values")

    def __init__(self, program: Program, states: Sequence[Array], T: int, reverse: bool) -> None:
        self.program, self.T, self.reverse = program, T, reverse
        self._user: weakref.ref[Run] | None = None
        self._roots: list[Array] = []
        pairs = [] if program.every_state else [(self._made(state.shape), self._made(state.shape)) for state in states]
        self.old: list[Pair] = pairs
        """The parts of the state before each step, if only the last is needed: two arrays that change places."""
        self.new: list[Pair] = [(there, here) for here, there in pairs]
        """The parts of the state after each step, likewise."""
        arrays = [self._array(kind, what) for kind, what in program.arrays]
        own = [(slot, arrays[number], path) for slot, number, path in program.paths if arrays[number] is not None]
        self.values = {slot: part(array, path) for slot, array, path in own}
        """What lies in each slot, but for what is given to each run."""
        self.rows: list[list[Any] | None] = [None] * len(program.rows)
        """For each of the program's rows those of every chunk, if they are kept."""

    def _array(self, kind: str, what: Any) -> Any:
        if kind in (STACK, SCRATCH):
            return self._made((self.T, *what) if kind == STACK else what)
        if kind in (STATE, NEW) and not self.program.every_state:
            return (self.old if kind == STATE else self.new)[what]
        return self.program.units.get(kind)

    def _made(self, shape: tuple[int, ...]) -> Array:
        self._roots.append(np.empty(shape, self.program.dtype))
        return self._roots[-1]

    def lend(self, user: Run) -> Workspace:
        """Let a run use it, until nothing refers to the run any more."""
        self._user = weakref.ref(user)
        return self

    def keep_rows(self) -> bool:
        """Make the views of all rows, unless they and the arrays take too much memory."""
        rows = enumerate(self.program.rows)
        chosen = [(j, self.values[slot]) for j, (slot, over_time, *_) in rows if over_time and slot in self.values]
        if sum(root.nbytes for root in self._roots) + BYTES_OF_VIEW * self.T * len(chosen) > MOST_BYTES:
            return False
        for j, value in chosen:
            self.rows[j] = [rows_of(value, start, self.T, self.reverse) for start in range(0, self.T, CHUNK)]
        return True

    def watch(self) -> None:
        """Note how many references to the arrays are the workspace's own: those that there are now."""
        self._references = self._count()

    def is_free(self) -> bool:
        """Whether nobody uses the arrays any more."""
        return (self._user is None or self._user() is None) and self._count() == self._references

    def _count(self) -> list[int]:
        return [sys.getrefcount(root) for root in self._roots]


def workspace(program: Program, states: Sequence[Array], T: int, reverse: bool, user: Run) -> Workspace:
    """A workspace for a run, that of an earlier one if there is one."""
    with kept_lock:
        for found in kept:
            if found.program is program and found.T == T and found.reverse == reverse and found.is_free():
                return found.lend(user)
        made = Workspace(program, states, T, reverse)
        *like, runs = latest.get(program, (T, reverse, 0))
        latest[program] = T, reverse, runs + 1 if like == [T, reverse] else 1
        if latest[program][-1] >= RUNS and made.keep_rows():
            made.watch()
            kept.append(made)
            del kept[:-MOST]
        return made.lend(user)


def forget_workspaces() -> None:
    """Free the workspaces that are kept, and begin to count the runs anew."""
    with kept_lock:
        kept.clear()
        latest.clear()


def rows_of(value: Any, start: int, T: int, reverse: bool, more: int = 0) -> list[Array]:
    """The rows of an array over T steps from one step on, at most a chunk and so many ``more``, as they are computed."""
    stop = min(start + CHUNK, T)
    return list(value[T - stop : T - start + more])[::-1] if reverse else list(value[start : stop + more])


def part(array: Any, path: Sequence[Any]) -> Any:
    """The part of an array, or of each of two, that a path of indices leads to."""
    if type(array) is tuple:
        return tuple([part(one, path) for one in array])
    for index in path:
        array = index.of(array) if isinstance(index, Parts) else array[index]
    return array
