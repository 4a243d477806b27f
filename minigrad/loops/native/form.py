"""The intermediate form between a schedule and native code: places, nests of loops over their entries, products, stages.

A **place** is memory: something given, the state before or after a step, a result with a row for each step, or one that the
next step overwrites. A part that is cut out of a value, or that is joined with others, is the same place and another column.
A **nest** is one loop over rows b and columns j: entries are loaded, computed with in registers, and stored. A **product** is
one call of BLAS. A **stage** is all nests that need nothing of each other, and then the products of what they have stored; a
**section** (before, in and after the loop) is its stages one after the other, with what one needs of another in memory.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from minigrad.loops.program import CARRY, CONST, XS

__all__ = [
    "AFTER", "BEFORE", "CARRY", "CONST", "IN", "NEW", "NUMBER", "SCRATCH", "STACK", "XS",
    "Apply", "Form", "Instruction", "Load", "Nest", "Place", "Pointer", "Product", "Stage", "Store", "Total",
]  # fmt: skip

BEFORE, IN, AFTER = range(3)

NEW: Final = "new"
STACK: Final = "stack"
SCRATCH: Final = "scratch"
NUMBER: Final = "number"
"""Kinds of places beside those of operands: the new state, a result of all steps, a result of one step that the next
overwrites, and a plain number."""

ORDER: Final = {NUMBER: 0, CONST: 1, XS: 2, CARRY: 2, NEW: 2, STACK: 3, SCRATCH: 3}
"""Of the kinds of places."""


class Place(NamedTuple):
    """Memory: its kind, which of the kind it is, and what a step has there. Without ``is_batch`` there is one row for all."""

    kind: str
    number: int
    shape: tuple[int, ...]
    is_batch: bool
    dtype: Any

    @property
    def columns(self) -> int:
        """How many entries a row has."""
        return self.shape[-1] if self.shape else 1


class Pointer(NamedTuple):
    """A place from one of its columns on."""

    place: Place
    column: int = 0


class Load(NamedTuple):
    """An entry: that of the present column, or of the first for all columns."""

    pointer: int
    is_first: bool


class Apply(NamedTuple):
    """A formula, and the numbers of the instructions whose results it takes; a text among them is written as it is."""

    text: str
    operands: tuple[int | str, ...]


class Store(NamedTuple):
    """The result of an instruction, stored at a pointer."""

    pointer: int
    value: int | str


class Total(NamedTuple):
    """The sum or the mean over all columns of the results of an instruction, stored at a pointer."""

    pointer: int
    value: int | str
    is_mean: bool


Instruction: TypeAlias = Load | Apply | Store | Total


class Nest(NamedTuple):
    """A loop over rows and columns; ``columns`` is the number of a size."""

    is_batch: bool
    columns: int
    instructions: tuple[Instruction, ...]


class Product(NamedTuple):
    """Y = A B, or A Bᵀ, by BLAS: pointers to A and Y, the number of the const B; Y's columns and A's."""

    a: int
    const: int
    y: int
    is_transposed: bool
    is_batch: bool
    columns: int
    inner: int


class Stage(NamedTuple):
    """Nests, and then products."""

    nests: list[Nest]
    products: list[Product]


class Form(NamedTuple):
    """A lowered schedule.

    Args:
        sections: the stages before, in and after the loop.
        pointers: what the numbers of pointers mean.
        sizes: what the numbers of sizes mean.
        homes: where the results that are needed of all steps are.
        at_once: the lines that NumPy computes for all steps before anything else, in their order, and where.
        numbers: the plain numbers that have a place.
        batch: B.
        dtype: of all floating-point numbers.
        every_carry: whether the carries of all steps are kept, or only the last.
    """

    sections: tuple[tuple[Stage, ...], ...]
    pointers: tuple[Pointer, ...]
    sizes: tuple[int, ...]
    homes: dict[int, Pointer]
    at_once: dict[int, Place]
    numbers: tuple[float, ...]
    batch: int
    dtype: Any
    every_carry: bool

    @property
    def places(self) -> list[Place]:
        """What needs memory: plain numbers, what is the same at every step, what a run is given, and what it makes."""
        found = dict.fromkeys([pointer.place for pointer in (*self.pointers, *self.homes.values())])
        return sorted(found, key=lambda place: ORDER[place.kind])
