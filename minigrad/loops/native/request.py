"""Native loops are by request only, so that no number depends on what happens to be installed."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from minigrad.errors import ArgumentError
from minigrad.extras import optional_package
from minigrad.flags import flag
from minigrad.guard import Array
from minigrad.loops.backend import Executable
from minigrad.loops.program import CannotCompile
from minigrad.loops.schedule import Schedule
from minigrad.ops.cross_entropy import Rows, instead

__all__ = ["chosen", "is_native", "native"]

VARIABLE: Final = "MINIGRAD_NATIVE"

requested: list[bool] = []
"""What was asked for last, if anything was."""


def native(on: bool = True) -> None:
    """Run compiled loops as machine code from now on, in this process; or, with ``False``, in NumPy again.

    So is `cross_entropy`. The environment variable MINIGRAD_NATIVE=1 does the same from the start. Results agree with those
    of NumPy up to rounding; errors, warnings, and what becomes of NaN and overflows are the same. A loop that has no native
    form is run in NumPy, and `explain_loop` says why. Code is compiled by LLVM, once for each structure of a step, and kept in
    a folder for caches.

    Raises:
        MissingPackageError: llvmlite is not installed; the message gives the command that installs it.
        ArgumentError: ``on`` is neither True nor False.

    >>> native(False)
    """
    wanted = flag(on, "native: on")
    if wanted and sys.modules.get("llvmlite") is None:
        optional_package("llvmlite", "native", "minigrad.native", f"leave loops to NumPy: native(False), {VARIABLE}=0")
    requested[:] = [wanted]


def is_native() -> bool:
    """Whether native loops were asked for."""
    if not requested:
        value = os.environ.get(VARIABLE, "")
        if value not in ("", "0", "1"):
            raise ArgumentError(f"{VARIABLE}: expected 0 or 1 in the environment, got {value!r:.60}")
        native(value == "1")
    return requested[0]


def chosen(schedule: Schedule, plain: Executable) -> Executable:
    """What runs a schedule: native code if it was asked for and there is a native form, else NumPy."""
    if not is_native():
        return plain
    from minigrad.loops.native.run import NativeExecutable

    try:
        return NativeExecutable(schedule, plain)
    except CannotCompile as reason:
        plain.remark = str(reason)
        return plain


def rows_of_cross_entropy(x: Array, labels: Array, weight: Any) -> Rows | None:
    """What the rows of a cross-entropy come to by native code, if it was asked for; see there."""
    if not is_native():
        return None
    from minigrad.loops.native.rows import cross_entropy

    return cross_entropy(x, labels, weight)


instead.append(rows_of_cross_entropy)
