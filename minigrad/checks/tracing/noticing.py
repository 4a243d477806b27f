"""Python tells of every call and return, for a while; whoever was told before, such as a profiler, is told again afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["noticing"]


@contextmanager
def noticing(noticed: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """While it lasts, ``noticed`` gets every call and return of this thread, as `sys.setprofile` has it.

    A profiler that is on meanwhile is off; it gets its turn again even where it is no function, as cProfile's is not.

    >>> names = []
    >>> with noticing(lambda frame, event, _: names.append((event, frame.f_code.co_name))):
    ...     _ = (lambda: 1)()
    >>> ("call", "<lambda>") in names, sys.getprofile() is None
    (True, True)
    """
    before: Any = sys.getprofile()
    sys.setprofile(noticed)
    try:
        yield
    finally:
        sys.setprofile(before if callable(before) else None)
        if before is not None and not callable(before):
            before.enable()  # cProfile.Profile, with the options that it has
