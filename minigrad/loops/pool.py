"""The buffer pool: the arrays that a run of a loop computes in, and the views of their rows.

To make a view of each row of each array takes as long as the arithmetic, where the rows are short. So the buffers of small
loops are kept, with all their views, once the same loop has been run a few times in a row, and used again as soon as
nobody refers to their arrays any more: no result, no graph, nothing that was handed out.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from minigrad.guard import Array
from minigrad.locks import lock
from minigrad.loops.buffers import NEW, SCRATCH, STACK, Parts, Row
from minigrad.loops.program import CARRY

if TYPE_CHECKING:
    from minigrad.loops.backend import Executable, Run

__all__ = ["CHUNK", "Arrays", "forget_pool", "part", "pooled", "rows_of"]

CHUNK: Final = 64
"""Steps between two moments at which an interrupt is heard; even, so that two arrays that alternate begin alike."""

RUNS: Final = 4
"""How many runs of one length in a row are those of a loop that is used again and again."""

MOST_BYTES: Final = 2**17
"""The size of the arrays of a run that are kept, at most."""

BYTES_OF_VIEW: Final = 100

MOST: Final = 16
"""Of how many runs the arrays are kept at most."""

Pair: TypeAlias = tuple[Array, Array]

kept: list[Arrays] = []
latest: weakref.WeakKeyDictionary[Executable, tuple[int, bool, int]] = weakref.WeakKeyDictionary()
"""For each executable the length and direction of its latest runs, and how many there were in a row."""
kept_lock = lock()


class Arrays:
    """The arrays of one run, but for those that it hands out, the carries of all steps.

    Args:
        executable: what is run.
        T: the number of steps.
        reverse: whether they are run from the last to the first.
    """

    __slots__ = ("T", "_references", "_roots", "_user", "executable", "new", "old", "reverse", "rows", "values")

    def __init__(self, executable: Executable, T: int, reverse: bool) -> None:
        self.executable, self.T, self.reverse = executable, T, reverse
        self._user: weakref.ref[Run] | None = None
        self._roots: list[Array] = []
        likes = [] if executable.every_carry else executable.carry
        self.old: list[Pair] = [(self._made(like), self._made(like)) for like in likes]
        """The parts of the carry before each step, if only the last is needed: two arrays that change places."""
        self.new: list[Pair] = [(there, here) for here, there in self.old]
        """The parts of the carry after each step, likewise."""
        arrays = [self._array(kind, what) for kind, what in executable.arrays]
        own = [(view, arrays[number], path) for view, number, path in executable.paths if arrays[number] is not None]
        self.values = {view: part(array, path) for view, array, path in own}
        """The views, as NumPy has them, but for those of what is given to each run."""
        self.rows: list[dict[int, Iterable[Any]]] = []
        """For each chunk, if they are kept, what the executable's views are at its steps, but for those that runs are given."""

    def _array(self, kind: str, what: Any) -> Any:
        if kind in (STACK, SCRATCH):
            return self._made(what._replace(shape=(self.T, *what.shape)) if kind == STACK else what)
        if kind in (CARRY, NEW) and not self.executable.every_carry:
            return (self.old if kind == CARRY else self.new)[what]
        return self.executable.units.get(kind)

    def _made(self, like: Row) -> Array:
        self._roots.append(np.empty(like.shape, like.dtype))
        return self._roots[-1]

    def lend(self, user: Run) -> Arrays:
        """Let a run use them, until nothing refers to the run any more."""
        self._user = weakref.ref(user)
        return self

    def keep_rows(self) -> bool:
        """Make the views of all rows, unless they and the arrays take too much memory."""
        rows, values = self.executable.rows, self.values
        count = sum(over_time and view in values for view, over_time, *_ in rows)
        if sum(root.nbytes for root in self._roots) + BYTES_OF_VIEW * self.T * count > MOST_BYTES:
            return False
        for k in range(0, self.T, CHUNK):
            of_chunk = k, min(k + CHUNK, self.T), self.T, self.reverse
            own = {view: steps_of(values[view], over_time, *of_chunk) for view, over_time, *_ in rows if view in values}
            self.rows.append(own)
        return True

    def keeps(self, array: Array) -> bool:
        """Whether an array is a view of one that is kept for other runs."""
        return bool(self.rows) and any(array.base is root for root in self._roots)

    def watch(self) -> None:
        """Note how many references to the arrays are the pool's own: those that there are now."""
        self._references = self._count()

    def is_free(self) -> bool:
        """Whether nobody uses the arrays any more."""
        return (self._user is None or self._user() is None) and self._count() == self._references

    def _count(self) -> list[int]:
        return [sys.getrefcount(root) for root in self._roots]


def pooled(executable: Executable, T: int, reverse: bool, user: Run) -> Arrays:
    """The arrays for a run, those of an earlier one if there are any."""
    with kept_lock:
        for found in kept:
            if found.executable is executable and found.T == T and found.reverse == reverse and found.is_free():
                return found.lend(user)
        made = Arrays(executable, T, reverse)
        *like, runs = latest.get(executable, (T, reverse, 0))
        latest[executable] = T, reverse, runs + 1 if like == [T, reverse] else 1
        if latest[executable][-1] >= RUNS and made.keep_rows():
            made.watch()
            kept.append(made)
            del kept[:-MOST]
        return made.lend(user)


def forget_pool() -> None:
    """Free the arrays that are kept, and begin to count the runs anew."""
    with kept_lock:
        kept.clear()
        latest.clear()


def rows_of(value: Any, start: int, stop: int, T: int, reverse: bool, more: int = 0) -> list[Array]:
    """The rows of an array over T steps from one step up to another, and so many ``more``, as they are computed."""
    if value.ndim == 1:
        value = value[:, None]
        return [row.reshape(()) for row in rows_of(value, start, stop, T, reverse, more)]
    return list(value[T - stop : T - start + more])[::-1] if reverse else list(value[start : stop + more])


def steps_of(value: Any, over_time: bool, start: int, stop: int, T: int, reverse: bool) -> Iterable[Any]:
    """What a view is at the steps of a chunk, one after the other: its rows, the same, or two arrays that change places."""
    if over_time:
        return rows_of(value, start, stop, T, reverse)
    if type(value) is not tuple:
        return repeat(value)
    return (value if start % 2 == 0 else value[::-1]) * (CHUNK // 2)


def part(array: Any, path: Sequence[Any]) -> Any:
    """The part of an array, or of each of two, that a path of indices leads to."""
    if type(array) is tuple:
        return tuple([part(one, path) for one in array])
    for index in path:
        array = index.of(array) if isinstance(index, Parts) else array[index]
    return array
