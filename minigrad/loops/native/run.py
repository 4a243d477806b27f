"""Running native code: the arrays of a run, the table of their addresses, and the loop over chunks of steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.loops.backend import Executable, Run
from minigrad.loops.native import blas, gemm
from minigrad.loops.native.build import built
from minigrad.loops.native.flags import flags
from minigrad.loops.native.form import CARRY, CONST, IN, NEW, NUMBER, SCRATCH, STACK, XS
from minigrad.loops.native.lower import lowered
from minigrad.loops.native.source import products_of, source
from minigrad.loops.program import LOCAL, CannotCompile, Ref
from minigrad.loops.schedule import Schedule

__all__ = ["NativeExecutable"]

FEW: Final = 4
MANY: Final = 16
"""Steps, and rows in all of them, from which on it is worth while to pack a matrix once."""

SHARED: Final = 2**23
"""Multiplications in one product from which on two threads of BLAS are faster than one of ours."""

CHUNK: Final = 64
"""Steps between two moments at which an interrupt is heard; even, so that two arrays that alternate begin alike."""


class NativeExecutable(Executable):
    """How a loop over a schedule is run by native code.

    Args:
        schedule: its operations.
        plain: what runs it in NumPy, where native code raises one of the processor's flags.

    Raises:
        CannotCompile: there is no native form of it, or no way to see overflows.
    """

    __slots__ = (
        "constant", "early", "form", "function", "known", "letter", "of_run", "of_steps", "passing", "plain", "products",
        "table", "taken",
    )  # fmt: skip

    def __init__(self, schedule: Schedule, plain: Executable) -> None:
        form = self.form = lowered(schedule)
        self.remark, plain.remark = "", "numbers overflow or are not defined"
        self.plain, self.every_carry, self.carry, self.body = plain, plain.every_carry, plain.carry, plain.body
        self.letter = {"f4": "s", "f8": "d"}[form.dtype.str[1:]]
        self.products = [
            (section, made, gemm.room(form.dtype.itemsize, made.columns, made.inner)) for section, made in products_of(form)
        ]
        """Each with its section, and the bytes that its matrix takes when it is packed."""
        self.table = self._table()
        self.function = built(source(form), "a loop over time")
        places = form.places
        self.known = [np.array([form.numbers[at.number]], at.dtype) if at.kind == NUMBER else None for at in places]
        """For each place its memory, where that is the same at every run; places are told by numbers in this list."""
        self.of_steps, self.of_run = (
            [(k, at.shape, at.dtype) for k, at in enumerate(places) if at.kind == kind] for kind in (STACK, SCRATCH)
        )
        """The places that a run makes memory for, with a row for each step or without."""
        self.taken = [(k, at.kind, at.number) for k, at in enumerate(places) if at.kind in (XS, CARRY, NEW)]
        """The places in what a run is given."""
        self.constant = [(k, at.number, at.dtype) for k, at in enumerate(places) if at.kind == CONST]
        """Those of what is the same at every step."""
        self.results = {k: places.index(home.place) for k, home in form.homes.items()}
        self.passing = [number for number in range(len(places)) if number not in self.results.values()]
        """The places that nobody needs when the run is over."""
        self.early = [
            (k, places.index(place) if place in places else None, schedule.nodes[k], schedule.operands[k])
            for k, place in form.at_once.items()
        ]
        """The lines that NumPy computes for all steps before anything else, each with its place, if it has one."""

    def _table(self) -> Array:
        """All that is the same at every run."""
        form, known = self.form, flags()
        if known is None:
            raise CannotCompile("the C library does not tell which floating-point flags are up")
        of_blas, own = blas.found(self.letter) or (0, 0), gemm.functions(form.dtype.itemsize) if self.products else (0, 0)
        numbers = [*of_blas, *own, known.lower, known.raised, known.bits, form.batch, *form.sizes]
        for place, column in form.pointers:
            rows, size = form.batch if place.is_batch else 1, place.dtype.itemsize
            moves = place.kind in (XS, STACK, CARRY, NEW)
            numbers += [column * size, rows * place.columns * size * moves, place.columns * place.is_batch]
        for _, made, _ in self.products:
            a, y = form.pointers[made.a].place, form.pointers[made.y].place
            numbers += [form.batch if made.is_batch else 1, made.columns, made.inner, a.columns, y.columns]
        return np.array(numbers, np.int64)

    @override
    def run(
        self, T: int, xs: Sequence[Any], carry: Sequence[Any], consts: Sequence[Any],
        reverse: bool = False, cuts: Sequence[int] = (),
    ) -> Run:  # fmt: skip
        """Compute all T steps; by NumPy, if a number overflows or is not defined."""
        run = NativeRun(self, T, xs, carry, consts, reverse, cuts)
        if run.is_sound():
            return run
        return self.plain.run(T, xs, carry, consts, reverse, cuts)


class NativeRun(Run):
    """One run of native code."""

    __slots__ = ("memory",)
    executable: NativeExecutable

    def __init__(
        self, executable: NativeExecutable, T: int, xs: Sequence[Any], carry: Sequence[Any], consts: Sequence[Any],
        reverse: bool, cuts: Sequence[int],
    ) -> None:  # fmt: skip
        self.executable, self.T, self.reverse, self.cuts, self.chains = executable, T, reverse, cuts, []
        self.memory: list[Any] = []
        """An array for each place."""
        old, new = self._begun(carry)
        self.given = {XS: list(map(np.ascontiguousarray, xs)), CONST: consts, CARRY: old, NEW: new}

    @override
    def _begun(self, carry: Sequence[Array]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The parts of the carry at all times; or, of each, an array with a row for each of two steps."""
        if self.executable.every_carry:
            return super()._begun(carry)
        pairs = [np.empty((2, *row.shape), row.dtype) for row in self.executable.carry]
        for pair, value in zip(pairs, carry, strict=True):
            pair[0] = value
        return pairs, pairs

    @override
    def last(self, number: int) -> Array:
        if self.executable.every_carry:
            return super().last(number)
        row: Array = self.given[NEW][number][self.T % 2, ...]
        return row

    def is_sound(self) -> bool:
        """Compute all steps; whether no number overflowed and none was not defined."""
        executable, T, given = self.executable, self.T, self.given
        memory = self.memory = executable.known.copy()
        for place, shape, dtype in executable.of_steps:
            memory[place] = np.empty((T, *shape), dtype)
        for place, shape, dtype in executable.of_run:
            memory[place] = np.empty(shape, dtype)
        for place, kind, number in executable.taken:
            memory[place] = given[kind][number]
        for place, number, dtype in executable.constant:
            memory[place] = np.ascontiguousarray(given[CONST][number], dtype)
        if executable.early:
            self._by_numpy()
        matrices: list[Any] = []
        layouts: list[int] = []
        for section, made, room in executable.products:
            array, transposed = given[CONST][made.const], made.is_transposed
            if not array.flags.c_contiguous:
                if array.flags.f_contiguous:
                    array, transposed = array.T, not transposed
                array = np.ascontiguousarray(array)
            is_packed = self._is_packed(section, made.is_batch, made.columns * made.inner)
            matrices += array, np.empty(room, np.uint8) if is_packed else None
            layouts.append(4 * array.shape[1] + 2 * transposed + is_packed)
        raised, arrays = 0, (executable.table, *memory, *matrices)
        for start, stop in ((0, T),) if T <= CHUNK and not self.cuts else self._chunks():
            if start in self.cuts:
                for pair in given[CARRY]:
                    pair[start % 2] = -0.0
            raised = executable.function(id(arrays), start, stop, T, self.reverse, *layouts)
        for number in executable.passing:
            memory[number] = None
        return not raised

    def _chunks(self) -> Sequence[tuple[int, int]]:
        """From which step up to which native code is called at once."""
        starts = sorted({*range(0, self.T, CHUNK), *self.cuts})
        return list(zip(starts, [*starts[1:], self.T], strict=True))

    def _by_numpy(self) -> None:
        """The lines that NumPy computes for all steps before anything else."""
        found: dict[int, Array] = {}
        for k, number, node, operands in self.executable.early:
            values = [found[o.number] if o.kind == LOCAL else self.given[o.kind][o.number] for o in operands]
            found[k] = np.asarray(node.compute(*values), node.dtype, order="C")
            if number is not None:
                self.memory[number] = found[k]

    def _is_packed(self, section: int, is_batch: bool, of_row: int) -> bool:
        """Whether a product is done with a packed matrix: not if it is of a few rows in all, nor if BLAS shares it out.

        ``of_row`` is how many multiplications a row takes.
        """
        executable = self.executable
        if blas.found(executable.letter) is None:
            return True
        rows = executable.form.batch if is_batch else 1
        calls, at_once = (self.T, rows) if section == IN else (FEW, rows * self.T)
        return rows * self.T >= MANY and calls >= FEW and (blas.threads() == 1 or at_once * of_row < SHARED)

    @override
    def values_of(self, operands: Iterable[Ref]) -> list[Any]:
        memory, results, given = self.memory, self.executable.results, self.given
        return [memory[results[number]] if kind == LOCAL else given[kind][number] for kind, number in operands]
