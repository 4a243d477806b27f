"""The names in the code of functions: all that code can get at without being handed it has a name there."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CodeType
from typing import Final, NamedTuple

__all__ = ["Names", "names_of"]

GLOBAL: Final = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"}
GENERATORS: Final = {
    "default_rng", "Random", "RandomState", "SeedSequence", "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64",
}  # fmt: skip
"""What makes a generator of random numbers; without an argument, one that begins with other numbers each time."""

STORED: Final = {"STORE_ATTR", "DELETE_ATTR"}
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
    read, found, imported, stored, constants = set[str](), set[str](), set[str](), set[str](), set[str]()
    told_apart = set[str]()
    is_changing = draws = False
    for code in _nested(function):
        read |= set(code.co_names)
        constants |= set(_words(code.co_consts))
        before, loaded = "", None
        for line in dis.get_instructions(code):
            if line.opname == "IS_OP" and not before.startswith("LOAD_CONST") and loaded != "__class__":
                told_apart.add(str(loaded) if before in ("LOAD_GLOBAL", "LOAD_DEREF") else "")
            draws |= line.opname.startswith("CALL") and line.arg == 0 and loaded in GENERATORS
            if line.opname not in ("PRECALL", "PUSH_NULL", "CACHE"):
                before, loaded = line.opname, line.argval if line.opname.startswith("LOAD") else None
            if line.opname in SHOWING or line.argrepr == "%":
                read.add("repr")
            elif line.opname == "MATCH_CLASS":
                read |= {"__match_args__", *constants} if line.arg else constants
            if line.opname in GLOBAL:
                found.add(line.argval)
                is_changing |= line.opname.endswith("E_GLOBAL")
            elif line.opname in STORED:
                stored.add(line.argval)
            elif line.opname == "IMPORT_NAME":
                imported.add(line.argval)
                is_changing = True
    every = frozenset(read | constants)
    read_, found_, imported_, stored_, told_apart_ = map(frozenset, (read, found, imported, stored, told_apart))
    return Names(every, read_, found_, imported_, stored_, is_changing, told_apart_, draws)


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
