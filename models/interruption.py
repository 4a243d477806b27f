"""Ctrl-C that waits for a good moment: the update being made is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "deferred_interrupt"]


class Interruption:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.requested = False

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Inside, the first Ctrl-C only sets ``requested``; a second one raises KeyboardInterrupt at once, as usual.

    Only Python's own reaction to Ctrl-C is replaced, and it is put back at the end. In a thread other than the main one,
    which Ctrl-C never reaches, and where the program reacts in its own way, nothing is changed.

    >>> with deferred_interrupt() as interruption:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("still here")
    still here
    >>> interruption.requested
    True
    """
    interruption = Interruption()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption._request)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
