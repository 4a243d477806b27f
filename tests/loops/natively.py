"""Loops as native code: what asks for it, and whether it was given. Without llvmlite these tests are skipped, and say so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg
from minigrad.loops.native import is_native

pytest.importorskip("llvmlite", reason="native loops are NOT tested: llvmlite is not installed, or not for this interpreter")

os.environ.setdefault("MINIGRAD_NATIVE_CACHE", str(Path(__file__).parents[2] / "build" / "native"))
"""What was compiled is kept between runs of the tests, beside what else is built."""


@contextmanager
def natively() -> Iterator[None]:
    """Inside, compiled loops are native code; then what they were before."""
    before = is_native()
    mg.native()
    try:
        yield
    finally:
        mg.native(before)


def why_not(function: Callable[..., Any], *args: Any, **options: Any) -> str | None:
    """Why a loop was not native code: empty if it was, None if it was not even compiled."""
    with natively():
        (report,) = mg.explain_loop(function, *args, **options)
    return report.native if report.is_compiled else None
