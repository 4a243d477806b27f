"""The names in the code of functions: all that code can get at without being handed it has a name there."""

from __future__ import annotations

import dis
import functools
import itertools
from collections.abc import Iterator
from types import CodeType
from typing import Any, Final, NamedTuple

__all__ = ["Names", "names_of"]

GLOBAL: Final = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"}
GENERATORS: Final = {
    "default_rng", "Random", "RandomState", "SeedSequence", "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64",
}  # fmt: skip
"""What makes a generator of random numbers; without an argument, one that begins with other numbers each time."""

STORED: Final = {"STORE_ATTR", "DELETE_ATTR"}
SILENT: Final = {"PRECALL", "PUSH_NULL", "CACHE"}
"""Instructions that stand between a function and its call."""
SHOWING: Final = {"FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE"}


class Names(NamedTuple):
    """The names in some code, and in that of the functions and classes that are defined in it."""

    every: frozenset[str]
    """All: of attributes, globals, modules; and the constants that may be names, as in ``getattr(x, "name")``."""
    read: frozenset[str]
    """All but those constants; and what f-strings, ``%`` and patterns of classes read without a name."""
    globals: frozenset[str]
    """Those of globals, or of what is built in."""
    imported: frozenset[str]
    """Those of modules; with a dot in front where they are told from the package that the code is in."""
    stored: frozenset[str]
    """Those of attributes that are set or deleted."""
    is_changing: bool
    """Whether it imports something, or sets globals."""
    told_apart: frozenset[str]
    """With what it compares by ``is``: names of globals and of a closure, and "" for all else but constants."""
    draws: bool
    """Whether it makes a generator of random numbers that begins with other numbers each time."""


@functools.lru_cache(maxsize=4096)
def names_of(function: CodeType) -> Names:
    """The names in the code of a function."""
    codes = list(_nested(function))
    lines = [line for code in codes for line in dis.get_instructions(code) if line.opname not in SILENT]
    pairs = list(itertools.pairwise(lines))
    constants = {word for code in codes for word in _words(code.co_consts)}
    read = {name for code in codes for name in code.co_names}.union(*[_unnamed(line, constants) for line in lines])
    imported = frozenset(line.argval for line in lines if line.opname == "IMPORT_NAME")
    return Names(
        every=frozenset(read | constants),
        read=frozenset(read),
        globals=frozenset(line.argval for line in lines if line.opname in GLOBAL),
        imported=imported,
        stored=frozenset(line.argval for line in lines if line.opname in STORED),
        is_changing=bool(imported) or any(line.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for line in lines),
        told_apart=frozenset(_compared(before) for before, line in pairs if line.opname == "IS_OP" and not _is_known(before)),
        draws=any(
            line.opname.startswith("CALL") and line.arg == 0 and _loaded(before) in GENERATORS for before, line in pairs
        ),
    )


def _unnamed(line: dis.Instruction, constants: set[str]) -> set[str]:
    """The names of what an instruction reads that has none in the code."""
    if line.opname in SHOWING or line.argrepr == "%":
        return {"repr"}
    if line.opname == "MATCH_CLASS":
        return {"__match_args__", *constants} if line.arg else constants
    return set()


def _loaded(line: dis.Instruction) -> Any:
    return line.argval if line.opname.startswith("LOAD") else None


def _is_known(line: dis.Instruction) -> bool:
    """Whether what an instruction loads is no tensor."""
    return line.opname.startswith("LOAD_CONST") or _loaded(line) == "__class__"


def _compared(line: dis.Instruction) -> str:
    """The name of a global, or of what a closure holds, that an instruction loads; "" for all else."""
    return str(line.argval) if line.opname in ("LOAD_GLOBAL", "LOAD_DEREF") else ""


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _nested(const)


def _words(consts: object) -> Iterator[str]:
    """The constants that may be names."""
    if isinstance(consts, str):
        if consts.isidentifier():
            yield consts
    elif isinstance(consts, tuple | frozenset):
        for const in consts:
            yield from _words(const)
