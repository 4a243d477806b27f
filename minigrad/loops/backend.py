"""The NumPy backend: a program as calls over arrays that are there already, and the loop that makes them.

The loop itself is a `zip` of one `map` for each call: asking it for the next item makes the calls of one step, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np

from minigrad.guard import Array
from minigrad.loops.buffers import MINUS_UNIT, NEW, STACK, TRANSPOSED, UNIT, Buffers, Parts, Row
from minigrad.loops.fuse import Plan
from minigrad.loops.kernels import Kernel
from minigrad.loops.pool import CHUNK, part, pooled, rows_of, steps_of
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Ref
from minigrad.loops.schedule import BODY
from minigrad.reporting import within

__all__ = ["Executable", "Run", "transposed"]

WHOLE: Final = slice(None)

MANY: Final = 20
"""How many steps pay for a copy of a matrix."""

COPIED: Final = range(2**13, 2**19)
"""The sizes of matrices whose transpose costs OpenBLAS more than they do: up to 4 times as much at 2¹⁴, 1.2 times at 2¹⁸."""


class Bound(NamedTuple):
    """A call, and what takes its operands and the place of its result out of what holds them by the numbers of their views."""

    function: Kernel
    operands: Callable[[Any], tuple[Any, ...]]


class Executable:
    """How a loop over a program is run, according to a plan.

    Args:
        plan: the calls, and where what they compute lies.
    """

    __slots__ = (
        "__weakref__", "arrays", "body", "carry", "epilogue", "every_carry", "given", "paths", "prologue", "remark", "results",
        "rows", "units",
    )  # fmt: skip
    remark: str | None
    """Why it is not native code, if that was asked for; empty if it is."""

    def __init__(self, plan: Plan) -> None:
        buffers, schedule = plan.buffers, plan.schedule
        self.remark = None
        self.carry = [Row(value.shape, value.dtype) for value in schedule.program.carry]
        floats = [node.dtype for node in schedule.nodes if node.dtype.kind == "f"]
        dtype = floats[0] if floats else np.dtype(float)
        self.units = {UNIT: np.array(1, dtype), MINUS_UNIT: np.array(-1, dtype)}
        self.every_carry = schedule.every_carry
        self.arrays = buffers.arrays
        self.results = {k: buffers.results[k] for k in schedule.kept}
        """The view of each result that is kept."""
        self.prologue, self.body, self.epilogue = (
            [Bound(function, itemgetter(*views)) for function, views in calls] for calls in plan.calls
        )
        over_time = (XS, STACK, *((CARRY, NEW) if self.every_carry else ()))
        places = {view: buffers.views[view] for calls in plan.calls for call in calls for view in call.views}
        places |= {view: buffers.views[view] for view in self.results.values()}
        kinds = {view: buffers.arrays[array][0] for view, (array, _) in places.items()}
        self.paths = [
            (view, array, _of_all(path) if kinds[view] in over_time else path) for view, (array, path) in places.items()
        ]
        """The views that are used, each with its array, and the indices that lead from it to the view."""
        self.given = [
            (view, *buffers.arrays[number], path)
            for view, number, path in self.paths
            if kinds[view] in (XS, CONST, TRANSPOSED) or (kinds[view] in (CARRY, NEW) and self.every_carry)
        ]
        """The views in arrays that are another's at each run: the view, the kind, which of the kind, and the path."""
        used = dict.fromkeys(view for call in plan.calls[BODY] for view in call.views)
        self.rows = [(view, kinds[view] in over_time, *self._carry(buffers, view)) for view in used]
        """The views that the body uses, whether they have a row for each step, and which part of the carry they are, if any."""

    def _carry(self, buffers: Buffers, view: int) -> tuple[str | None, Any]:
        """Which part of the carry of all times a view holds, as a kind and a number."""
        array, path = buffers.views[view]
        kind, what = buffers.arrays[array]
        return (kind, what) if self.every_carry and kind in (CARRY, NEW) and not path else (None, None)

    def run(
        self,
        T: int,
        xs: Sequence[Array],
        carry: Sequence[Any],
        consts: Sequence[Any],
        reverse: bool = False,
        cuts: Sequence[int] = (),
    ) -> Run:
        """Compute all T steps, from the first, or in ``reverse`` from the last.

        Args:
            T: how many there are.
            xs: the arrays over all steps, each (T, …).
            carry: the parts of the carry to begin with; a number for one whose entries are all that.
            consts: what is the same at every step.
            reverse: the direction.
            cuts: before which steps, counted from 0 as they are computed, the carry is set to −0, to which all may be added.
        """
        run = Run(self, T, xs, carry, consts, reverse, cuts)
        run.compute()
        return run


class Run:
    """One run of an executable: what it was given, and what it has computed."""

    __slots__ = ("T", "__weakref__", "arrays", "chains", "cuts", "executable", "given", "reverse", "values")

    def __init__(
        self,
        executable: Executable,
        T: int,
        xs: Sequence[Array],
        carry: Sequence[Any],
        consts: Sequence[Any],
        reverse: bool,
        cuts: Sequence[int],
    ) -> None:
        self.executable, self.T, self.reverse, self.cuts = executable, T, reverse, cuts
        self.arrays = pooled(executable, T, reverse, self)
        self.chains: list[Array] = []
        """The parts of the carry at all times, if all are needed."""
        old, new = self._begun(carry)
        self.given: dict[str, Sequence[Any]] = {XS: xs, CONST: consts, CARRY: old, NEW: new}
        self.values: Any = self.arrays.values.copy()
        for view, kind, what, path in executable.given:
            array = transposed(consts[what], T) if kind == TRANSPOSED else self.given[kind][what]
            self.values[view] = part(array, path) if path else array

    def _begun(self, carry: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The parts of the carry before and after each step: two arrays that change places, or all rows of one."""
        if not self.executable.every_carry:
            for (here, _), value in zip(self.arrays.old, carry, strict=True):
                here[...] = value
            return self.arrays.old, self.arrays.new
        rows, begin = self.T + 1, self.T if self.reverse else 0
        self.chains = chains = [np.empty((rows, *row.shape), row.dtype) for row in self.executable.carry]
        for chain, value in zip(chains, carry, strict=True):
            chain[begin] = value
        first, last = [chain[:-1] for chain in chains], [chain[1:] for chain in chains]
        return (last, first) if self.reverse else (first, last)

    def compute(self) -> None:
        """Make all calls."""
        values, executable = self.values, self.executable
        self._at_once(executable.prologue)
        starts = sorted({*range(0, self.T, CHUNK), *self.cuts}) if self.cuts else range(0, self.T, CHUNK)
        for start, stop in zip(starts, [*starts[1:], self.T], strict=True):
            if start in self.cuts:
                for pair in self.arrays.old:
                    pair[start % 2][...] = -0.0
            chains = [rows_of(chain, start, stop, self.T, self.reverse, 1) for chain in self.chains]
            carries = {CARRY: chains, NEW: [rows[1:] for rows in chains]}
            rows = self.arrays.rows[start // CHUNK].copy() if self.arrays.rows and not self.cuts else {}
            for view, over_time, kind, what in executable.rows:
                if kind is not None:
                    rows[view] = carries[kind][what]
                elif view not in rows:
                    rows[view] = steps_of(values[view], over_time, start, stop, self.T, self.reverse)
            calls = [map(function, *operands(rows)) for function, operands in executable.body]
            deque(islice(zip(*calls, strict=False), stop - start), maxlen=0)
        self._at_once(executable.epilogue)

    def _at_once(self, calls: Iterable[Bound]) -> None:
        values = self.values
        for function, operands in calls:
            function(*operands(values))

    def values_of(self, operands: Iterable[Ref]) -> list[Any]:
        """Values of all steps, each (T, …), for as long as the run lasts; consts as they are."""
        values, results, given = self.values, self.executable.results, self.given
        return [values[results[number]] if kind == LOCAL else given[kind][number] for kind, number in operands]

    def of(self, operand: Ref) -> Any:
        """One of them, to be kept: the pool sees others' views, not its own."""
        (value,) = self.values_of((operand,))
        return value.view() if isinstance(value, np.ndarray) else value

    def row(self, operand: Ref, number: int) -> Any:
        """A value at one step, given by the number of its row."""
        value = self.of(operand)
        return value if operand.kind == CONST else value[number, ...]

    def again(self, executable: Executable) -> Run:
        """The same computation by another executable of the same program."""
        carry = [old[-1 if self.reverse else 0] for old in self.given[CARRY]]
        return executable.run(self.T, self.given[XS], carry, self.given[CONST], self.reverse)

    def of_copies(self) -> Run:
        """The same computation, of arrays that are nobody else's."""

        def copies(values: Iterable[Any]) -> list[Any]:
            return [value.copy() if isinstance(value, np.ndarray) else value for value in values]

        carry = [old[-1 if self.reverse else 0] for old in self.given[CARRY]]
        xs, consts = copies(self.given[XS]), copies(self.given[CONST])
        return within({"all": "ignore"}, self.executable.run, self.T, xs, carry, consts, self.reverse)

    def is_lent(self, array: Array) -> bool:
        """Whether an array is a view of one that other runs will use."""
        return self.arrays.keeps(array)

    def shares(self, memory: Array) -> bool:
        """Whether something that was given or computed lies in this memory, of which others may have views."""
        every = (*self.given[XS], *self.given[CONST], *self._computed())
        return any(isinstance(array, np.ndarray) and np.may_share_memory(array, memory) for array in every)

    def _computed(self) -> Iterable[Any]:
        computed: Iterable[Any] = self.values.values()
        return computed

    def last(self, number: int) -> Array:
        """A part of the carry after the last step."""
        new = self.given[NEW][number]
        row: Array = new[(self.T - 1) % 2] if type(new) is tuple else new[0 if self.reverse else -1]
        return row

    def before_last(self) -> list[Array]:
        """The carry before the last step, where all are kept."""
        return [old[0 if self.reverse else -1] for old in self.given[CARRY]]


def transposed(matrix: Array, T: int) -> Array:
    """Wᵀ for all steps: laid out anew where BLAS would otherwise do that at every step, and the copy is paid back."""
    return np.ascontiguousarray(matrix.T) if T >= MANY and matrix.size in COPIED else matrix.T


def _of_all(path: Sequence[Any]) -> list[Any]:
    """A path that leads to the same part of every row."""
    return [index if isinstance(index, Parts) else (WHOLE, *index) for index in path]
