"""Running native code: the arrays of a run, the table of their addresses, and the loop over chunks of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.loops.backend import Executable, Run
from minigrad.loops.native import blas, gemm
from minigrad.loops.native.build import built
from minigrad.loops.native.flags import flags
from minigrad.loops.native.form import AFTER, BEFORE, CARRY, CONST, IN, NEW, NUMBER, SCRATCH, STACK, XS, Form, Place, Product
from minigrad.loops.native.lower import lowered
from minigrad.loops.native.source import BATCH, FIRST, GEMM, HEAD, OF_POINTER, OF_PRODUCT, products_of, source
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

    __slots__ = ("form", "function", "operands", "passing", "places", "plain", "pointers", "products", "template")

    def __init__(self, schedule: Schedule, plain: Executable) -> None:
        form = self.form = lowered(schedule)
        self.remark, plain.remark = "", "numbers overflow or are not defined"
        self.plain, self.every_carry, self.carry, self.body = plain, plain.every_carry, plain.carry, plain.body
        self.products = products_of(form)
        if flags() is None:
            raise CannotCompile("the C library does not tell which floating-point flags are up")
        self.function = built(source(form), "a loop over time")
        self.places = list(dict.fromkeys([pointer.place for pointer in (*form.pointers, *form.homes.values())]))
        """What needs memory; the numbers of places are those in this list."""
        number_of = {place: number for number, place in enumerate(self.places)}
        self.pointers = [(number_of[place], column * place.dtype.itemsize) for place, column in form.pointers]
        self.results = {k: number_of[home.place] for k, home in form.homes.items()}
        self.passing = [number for number in range(len(self.places)) if number not in self.results.values()]
        """The places that nobody needs when the run is over."""
        self.operands = {k: (schedule.nodes[k], schedule.operands[k]) for k in form.at_once}
        self.template = self._template()

    def _template(self) -> Array:
        """The table, with everything that is the same at every run."""
        form, base = self.form, HEAD + len(self.form.sizes)
        after = base + OF_POINTER * len(form.pointers)
        table = np.zeros(after + OF_PRODUCT * len(self.products), np.int64)
        if self.products:
            table[GEMM:BATCH] = *(blas.found(_letter(form)) or (0, 0)), *gemm.functions(form.dtype.itemsize)
        table[BATCH : BATCH + 1 + len(form.sizes)] = form.batch, *form.sizes
        for number, (place, _) in enumerate(form.pointers):
            at = base + OF_POINTER * number
            if place.kind in (XS, STACK, CARRY, NEW):
                table[at + 1] = (form.batch if place.is_batch else 1) * place.columns * place.dtype.itemsize
            table[at + 2] = place.columns if place.is_batch else 0
        for number, (_, made) in enumerate(self.products):
            at = after + OF_PRODUCT * number
            table[at] = form.batch if made.is_batch else 1
            table[at + 1 : at + 3] = made.columns, made.inner
            table[at + 4] = form.pointers[made.a].place.columns
            table[at + 6] = form.pointers[made.y].place.columns
        return table

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


def _letter(form: Form) -> str:
    return {"f4": "s", "f8": "d"}[form.dtype.str[1:]]


class NativeRun(Run):
    """One run of native code."""

    __slots__ = ("matrices", "memory")
    executable: NativeExecutable

    def __init__(
        self, executable: NativeExecutable, T: int, xs: Sequence[Any], carry: Sequence[Any], consts: Sequence[Any],
        reverse: bool, cuts: Sequence[int],
    ) -> None:  # fmt: skip
        self.executable, self.T, self.reverse, self.cuts, self.chains = executable, T, reverse, cuts, []
        self.memory: list[Any] = []
        """An array for each place."""
        self.matrices: list[Array] = []
        """Those that products take, some of them copies, and what they are packed to: kept until all steps are computed."""
        old, new = self._begun(carry)
        self.given = {XS: [_in_one_piece(x) for x in xs], CONST: list(consts), CARRY: old, NEW: new}

    @override
    def _begun(self, carry: Sequence[Array]) -> tuple[Sequence[Any], Sequence[Any]]:
        if self.executable.every_carry:
            return super()._begun(carry)
        pairs = [np.empty((2, *row.shape), row.dtype) for row in self.executable.carry]
        for pair, value in zip(pairs, carry, strict=True):
            pair[0] = value
        parts = [(pair[0, ...], pair[1, ...]) for pair in pairs]
        return parts, [part[::-1] for part in parts]

    def is_sound(self) -> bool:
        """Compute all steps; whether no number overflowed and none was not defined."""
        known, function, form = flags(), self.executable.function, self.executable.form
        assert known is not None
        early = self._by_numpy()
        self.memory = [self._array(place) if place not in early else early[place] for place in self.executable.places]
        table = self._table()
        known.lower(known.bits)
        if form.sections[BEFORE]:
            function(table, BEFORE, 0, 0)
        starts = sorted({*range(0, self.T, CHUNK), *self.cuts})
        for start, stop in zip(starts, [*starts[1:], self.T], strict=True):
            if start in self.cuts:
                for pair in self.given[CARRY]:
                    pair[start % 2][...] = 0
            function(table, IN, start, stop)
        if form.sections[AFTER]:
            function(table, AFTER, 0, 0)
        self.matrices.clear()
        for number in self.executable.passing:
            self.memory[number] = None
        return not known.raised(known.bits)

    def _by_numpy(self) -> dict[Place, Array]:
        """The lines that NumPy computes for all steps before anything else."""
        found: dict[int, Array] = {}
        for k, (node, operands) in self.executable.operands.items():
            values = [found[o.number] if o.kind == LOCAL else self.given[o.kind][o.number] for o in operands]
            found[k] = _in_one_piece(np.asarray(node.compute(*values), node.dtype))
        return {self.executable.form.at_once[k]: array for k, array in found.items()}

    def _table(self) -> Array:
        executable, form, T = self.executable, self.executable.form, self.T
        table = executable.template.copy()
        table[FIRST:GEMM] = (T - 1, -1, T) if self.reverse else (0, 1, T)
        base = [_address(array) for array in self.memory]
        at = HEAD + len(form.sizes)
        after = at + OF_POINTER * len(executable.pointers)
        table[at:after:OF_POINTER] = [base[number] + offset for number, offset in executable.pointers]
        for section, made in executable.products:
            if section != IN:
                table[after] *= T
            array, transposed = self._matrix(made)
            table[after + 3], table[after + 5], table[after + 7] = transposed, array.shape[1], _address(array)
            if self._is_packed(section, int(table[after]), made):
                packed = np.empty(gemm.room(array.itemsize, made.columns, made.inner), np.uint8)
                table[after + 8] = -(-_address(packed) // gemm.LINE) * gemm.LINE
                self.matrices.append(packed)
            after += OF_PRODUCT
        return table

    def _is_packed(self, section: int, rows: int, made: Product) -> bool:
        """Whether a product is done with a packed matrix: not if it is of a few rows in all, nor if BLAS shares it out."""
        known = blas.found(_letter(self.executable.form))
        if known is None:
            return True
        calls, in_all = (self.T, rows * self.T) if section == IN else (FEW, rows)
        return calls >= FEW and in_all >= MANY and (blas.threads() == 1 or rows * made.columns * made.inner < SHARED)

    def _array(self, place: Place) -> Array:
        """The memory of a place."""
        kind, number, shape, _, dtype = place
        if kind in (STACK, SCRATCH):
            return np.empty((self.T, *shape) if kind == STACK else shape, dtype)
        if kind == NUMBER:
            return np.array([self.executable.form.numbers[number]], dtype)
        array: Array = self.given[kind][number]
        if kind == CONST:
            return np.ascontiguousarray(array, dtype)
        return array if kind == XS or self.executable.every_carry else self.given[CARRY][number][0].base

    def _matrix(self, made: Product) -> tuple[Array, bool]:
        """A matrix whose rows are in one piece each, and whether it is to be transposed."""
        array, transposed = self.given[CONST][made.const], made.is_transposed
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            array, transposed = array.T, not transposed
        self.matrices.append(_in_one_piece(array))
        return self.matrices[-1], transposed

    @override
    def of(self, operand: Ref) -> Any:
        kind, number = operand
        if kind != LOCAL:
            return super().of(operand)
        return self.memory[self.executable.results[number]].view()


def _in_one_piece(array: Array) -> Array:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
