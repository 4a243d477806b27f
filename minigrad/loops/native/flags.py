"""The processor's floating-point flags: whether native code overflowed, divided by zero, or computed what is not defined.

NumPy asks for them after each call, to warn or to raise. Native code is asked once, when it is done: if a flag is up, the loop
is run again in NumPy, which says what NumPy says. The functions are those of the C library; which bits mean what differs
from machine to machine, and is found out by raising them.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from functools import cache
from typing import Final, NamedTuple

__all__ = ["Flags", "flags", "library"]

ALL: Final = 0x3F


class Flags(NamedTuple):
    """The addresses of two functions of C, and the bits of overflow, division by zero and undefined results."""

    lower: int
    """``lower(bits)``: take the flags down."""
    raised: int
    """``raised(bits)``: those of them that are up."""
    bits: int


@cache
def library() -> ctypes.CDLL:
    """The functions of C for numbers.

    Raises:
        OSError: there is no such library.
    """
    return ctypes.CDLL("ucrtbase" if os.name == "nt" else ctypes.util.find_library("m"))


@cache
def flags() -> Flags | None:
    """The flags of this machine; None if its C library does not tell them."""
    try:
        lower, raised = library().feclearexcept, library().fetestexcept
        functions = {name: library()[name] for name in ("exp", "log", "sqrt")}
    except (OSError, AttributeError):
        return None
    for function in functions.values():
        function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double

    def after(name: str, x: float) -> int:
        lower(ALL)
        functions[name](x)
        return int(raised(ALL))

    faults = [after("exp", 1e4), after("log", 0.0), after("sqrt", -1.0)]
    harmless = after("exp", 1.0) | after("exp", -1e4)
    lower(ALL)
    bits = [fault & ~harmless for fault in faults]
    addresses = [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in (lower, raised)]
    return Flags(addresses[0], addresses[1], bits[0] | bits[1] | bits[2]) if all(bits) else None
