"""Memory that is freed is kept, to be used again.

A training step frees large arrays and asks for as many a moment later. The C library (glibc, as on most Linux systems)
gives each large block back to the system at once; the system then hands out fresh pages, and fills every one of them
with zeros when it is first touched. For hidden sizes in the hundreds that costs more than the arithmetic between.

glibc changes its mind when it sees a large block freed: blocks up to that size are then kept (its "dynamic mmap
threshold", mallopt(3)). So one block is asked for and freed here, as large as glibc takes into account, 32 MB.

This holds for the whole process. No memory is touched by it, so none is used; later, up to 64 MB of what has been freed
stay with the process instead of going back to the system. Other C libraries take no notice.
"""

from __future__ import annotations

import numpy as np

__all__ = ["keep_freed_memory"]

LARGEST = 2**25 - 2**13
"""Bytes: a little below glibc's limit of 32 MB, of which its own bookkeeping takes some."""


def keep_freed_memory() -> None:
    """Have the C library keep freed blocks of up to 32 MB. Called once, when minigrad is imported."""
    np.empty(LARGEST, np.uint8)
