"""What minigrad asks of the memory management around it: freed memory is kept, and the collector waits.

Memory that is freed is kept, to be used again.

A training step frees large arrays and asks for as many a moment later. The C library (glibc, as on most Linux systems)
gives each large block back to the system at once; the system then hands out fresh pages, and fills every one of them
with zeros when it is first touched. For hidden sizes in the hundreds that costs more than the arithmetic between.

glibc changes its mind when it sees a large block freed: blocks up to that size are then kept (its "dynamic mmap
threshold", mallopt(3)). So one block is asked for and freed here, as large as glibc takes into account, 32 MB.

This holds for the whole process. No memory is touched by it, so none is used; later, up to 64 MB of what has been freed
stay with the process instead of going back to the system. Other C libraries take no notice.

Python's garbage collector looks for reference cycles, of which a recorded graph has none. While the graph of a long
sequence grows, the collector looks through all of it again and again: at T = 30 000 for as long as the recording takes.
So it is paused while a sequence is recorded step by step.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["collector_paused", "keep_freed_memory"]

LARGEST = 2**25 - 2**13
"""Bytes: a little below glibc's limit of 32 MB, of which its own bookkeeping takes some."""


def keep_freed_memory() -> None:
    """Have the C library keep freed blocks of up to 32 MB. Called once, when minigrad is imported."""
    np.empty(LARGEST, np.uint8)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Python's garbage collector does not begin by itself inside. It is not turned off: code that does that, or turns it on, or
    has it collect, finds it as it expects."""
    found, paused = gc.get_threshold(), (2**31 - 1, *gc.get_threshold()[1:])
    if found[0] == 0:
        yield
        return
    gc.set_threshold(*paused)
    try:
        yield
    finally:
        if gc.get_threshold() == paused:
            gc.set_threshold(*found)
