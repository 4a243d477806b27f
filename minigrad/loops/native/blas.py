"""NumPy's own BLAS: where its functions for products are, so that native code calls the same as NumPy does.

Asked for are the names that 64-bit builds of OpenBLAS have; NumPy's wheels bring one. Where there is none (another BLAS, or one
that takes 32-bit integers) all products are done by `minigrad.loops.native.gemm`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

__all__ = ["found", "threads"]

PATTERNS: Final = ("scipy_cblas_{}64_", "cblas_{}64_")
FOLDERS: Final = ("../numpy.libs", ".dylibs")
"""Where a wheel keeps its libraries, seen from the package."""


@cache
def found(letter: str) -> tuple[int, int] | None:
    """The addresses of gemm and gemv for numbers of one kind, ``s`` or ``d``; None if they are not found."""
    for library in _libraries():
        for pattern in PATTERNS:
            functions = [_address(library, pattern.format(letter + name)) for name in ("gemm", "gemv")]
            if all(functions):
                return functions[0], functions[1]
    return None


@cache
def threads() -> int:
    """How many threads it computes large products with, when first asked."""
    for library in _libraries():
        for pattern in PATTERNS:
            count = getattr(library, pattern.replace("cblas", "openblas").format("get_num_threads"), None)
            if count is not None:
                return int(count())
    return 1


def _address(library: Any, name: str) -> int:
    function = getattr(library, name, None)
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


def _libraries() -> Iterator[Any]:
    """What NumPy itself was linked with, as far as the system tells, and what lies beside it."""
    package = Path(np.__file__).parent
    paths = [Path(np._core._multiarray_umath.__file__)]  # type: ignore[attr-defined]
    for folder in FOLDERS:
        paths += sorted((package / folder).glob("*openblas*"))
    for path in paths:
        try:
            yield ctypes.CDLL(str(path))
        except OSError:
            continue
