"""Running native code: the arrays of a run, the table of their addresses, and the loop over chunks of steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.loops.backend import Executable, Run
from minigrad.loops.native import blas, gemm
from minigrad.loops.native.build import built
from minigrad.loops.native.flags import flags
from minigrad.loops.native.form import CARRY, CONST, IN, NEW, NUMBER, SCRATCH, STACK, XS, Product
from minigrad.loops.native.lower import lowered
from minigrad.loops.native.source import products_of, source
from minigrad.loops.program import LOCAL, CannotCompile
from minigrad.loops.schedule import Schedule

__all__ = ["NativeExecutable"]

FEW: Final = 4
MANY: Final = 16
"""Steps, and rows in all of them, from which on it is worth while to pack a matrix once."""

SHARED: Final = 2**23
"""Multiplications in one product from which on two threads of BLAS are faster than one of ours."""

CHUNK: Final = 64
"""Steps between two moments at which an interrupt is heard; even, so that two arrays that alternate begin alike."""

MOST: Final = 64
"""For how many numbers of steps at most what is the same at their runs is remembered."""

BYTE: Final = np.dtype(np.uint8)


class NativeExecutable(Executable):
    """How a loop over a schedule is run by native code.

    Args:
        schedule: its operations.
        plain: what runs it in NumPy, where native code raises one of the processor's flags.

    Raises:
        CannotCompile: there is no native form of it, or no way to see overflows.
    """

    __slots__ = (
        "_prepared", "constant", "count", "early", "form", "function", "letter", "made", "numbers", "plain", "products",
        "table", "taken",
    )  # fmt: skip

    def __init__(self, schedule: Schedule, plain: Executable) -> None:
        form = self.form = lowered(schedule)
        self.remark, plain.remark = "", "numbers overflow or are not defined"
        self.plain, self.every_carry, self.carry, self.body = plain, plain.every_carry, plain.carry, plain.body
        self.letter = {"f4": "s", "f8": "d"}[form.dtype.str[1:]]
        self.products = products_of(form)
        self._prepared: dict[int, Prepared] = {}
        self.table = self._table()
        self.function = built(source(form), "a loop over time")
        places = form.places
        self.numbers = [np.array([form.numbers[at.number]], at.dtype) for at in places if at.kind == NUMBER]
        self.constant = [(at.number, at.dtype) for at in places if at.kind == CONST]
        self.taken = [(at.kind, at.number) for at in places if at.kind in (XS, CARRY, NEW)]
        """Where the arrays are in what a run is given, in the order of the places."""
        self.made = [at for at in places if at.kind in (STACK, SCRATCH)]
        self.count = len(places)
        self.results = {k: places.index(home.place) for k, home in form.homes.items()}
        self.early = [
            (k, places.index(place) if place in places else None, schedule.nodes[k], schedule.operands[k])
            for k, place in form.at_once.items()
        ]
        """The lines that NumPy computes for all steps before anything else, each with its place, if it has one."""

    def _table(self) -> list[int]:
        """All that is the same at every run but for products."""
        form, known = self.form, flags()
        if known is None:
            raise CannotCompile("the C library does not tell which floating-point flags are up")
        of_blas, own = blas.found(self.letter) or (0, 0), gemm.functions(form.dtype.itemsize) if self.products else (0, 0)
        table = [*of_blas, *own, known.lower, known.raised, known.bits, form.batch, *form.sizes]
        for place, column in form.pointers:
            rows, size = form.batch if place.is_batch else 1, place.dtype.itemsize
            moves = place.kind in (XS, STACK, CARRY, NEW)
            table += [column * size, rows * place.columns * size * moves, place.columns * place.is_batch]
        return table

    def prepared(self, T: int) -> Prepared:
        """What is the same at every run of so many steps."""
        if T not in self._prepared:
            if len(self._prepared) >= MOST:
                self._prepared.clear()
            self._prepared[T] = self._prepare(T)
        return self._prepared[T]

    def _prepare(self, T: int) -> Prepared:
        form, table = self.form, list(self.table)
        shapes = [(T, *at.shape) if at.kind == STACK else at.shape for at in self.made]
        for section, made in self.products:
            a, y, is_packed = form.pointers[made.a].place, form.pointers[made.y].place, self._is_packed(section, made, T)
            of_b = made.inner if made.is_transposed else made.columns
            table += [form.batch if made.is_batch else 1, made.columns, made.inner, a.columns, y.columns]
            table += [of_b, made.is_transposed, is_packed]
            shapes.append((gemm.room(form.dtype.itemsize, made.columns, made.inner) * is_packed,))
        dtypes = [at.dtype for at in self.made] + [BYTE] * len(self.products)
        return Prepared(np.array(table, np.int64), shapes, dtypes)

    def _is_packed(self, section: int, made: Product, T: int) -> bool:
        """Whether a product is done with a packed matrix: not if it is of a few rows in all, nor if BLAS shares it out."""
        if blas.found(self.letter) is None:
            return True
        rows = self.form.batch if made.is_batch else 1
        calls, at_once = (T, rows) if section == IN else (FEW, rows * T)
        shared = blas.threads() > 1 and at_once * made.columns * made.inner >= SHARED
        return rows * T >= MANY and calls >= FEW and not shared

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


class Prepared(NamedTuple):
    """What is the same at every run of so many steps: the table, and the arrays to be made."""

    table: Array
    shapes: list[tuple[int, ...]]
    dtypes: list[Any]


class NativeRun(Run):
    """One run of native code."""

    __slots__ = ()
    executable: NativeExecutable

    def __init__(
        self, executable: NativeExecutable, T: int, xs: Sequence[Any], carry: Sequence[Any], consts: Sequence[Any],
        reverse: bool, cuts: Sequence[int],
    ) -> None:  # fmt: skip
        self.executable, self.T, self.reverse, self.cuts, self.chains = executable, T, reverse, cuts, []
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
    def is_lent(self, array: Array) -> bool:
        return False

    @override
    def _computed(self) -> Iterable[Any]:
        computed: Iterable[Any] = self.values
        return computed

    @override
    def last(self, number: int) -> Array:
        if self.executable.every_carry:
            return super().last(number)
        row: Array = self.given[NEW][number][self.T % 2, ...]
        return row

    def is_sound(self) -> bool:
        """Compute all steps; whether no number overflowed and none was not defined."""
        executable, T, given, consts = self.executable, self.T, self.given, self.given[CONST]
        table, shapes, dtypes = executable.prepared(T)
        memory = [
            *executable.numbers,
            *[np.ascontiguousarray(consts[number], dtype) for number, dtype in executable.constant],
            *[given[kind][number] for kind, number in executable.taken],
            *map(np.empty, shapes, dtypes),
        ]
        if executable.early:
            self._by_numpy(memory)
        matrices = [np.ascontiguousarray(consts[made.const]) for _, made in executable.products]
        raised, arrays = 0, (table, *memory, *matrices)
        for start, stop in ((0, T),) if T <= CHUNK and not self.cuts else self._chunks():
            if start in self.cuts:
                for pair in given[CARRY]:
                    pair[start % 2] = -0.0
            raised = executable.function(id(arrays), start, stop, T, self.reverse)
        self.values = memory[: executable.count]
        return not raised

    def _chunks(self) -> Sequence[tuple[int, int]]:
        """From which step up to which native code is called at once."""
        starts = sorted({*range(0, self.T, CHUNK), *self.cuts})
        return list(zip(starts, [*starts[1:], self.T], strict=True))

    def _by_numpy(self, memory: list[Array]) -> None:
        """The lines that NumPy computes for all steps before anything else."""
        found: dict[int, Array] = {}
        for k, number, node, operands in self.executable.early:
            values = [found[o.number] if o.kind == LOCAL else self.given[o.kind][o.number] for o in operands]
            found[k] = np.asarray(node.compute(*values), node.dtype, order="C")
            if number is not None:
                memory[number] = found[k]
