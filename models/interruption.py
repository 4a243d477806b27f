"""Ctrl-C that waits for a good moment: what must not be left half done is finished first."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "deferred_interrupt"]


_PATIENCE = 1.0


class Interruption:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self._first: float | None = None

    @property
    def requested(self) -> bool:
        """Whether it is time to end."""
        return self._first is not None

    def react(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        now = time.monotonic()
        if self._first is None:
            self._first = now
        elif now - self._first > _PATIENCE:
            raise KeyboardInterrupt


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Inside, Ctrl-C only sets ``requested``; pressed again more than a second later, it raises KeyboardInterrupt.

    A key held down, or a signal sent twice, thus cannot undo the good ending. Blocks nest, and share what was requested.
    Only Python's own reaction to Ctrl-C is replaced, and it is put back at the end: in a thread other than the main one,
    which Ctrl-C never reaches, and where the program reacts in its own way, nothing is changed.

    >>> with deferred_interrupt() as interruption:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("still here")
    still here
    >>> interruption.requested
    True
    """
    found = signal.getsignal(signal.SIGINT)
    outer = getattr(found, "__self__", None)
    interruption = outer if isinstance(outer, Interruption) else Interruption()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or found is not signal.default_int_handler:
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption.react)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
