"""Locks that a forked child finds free, whatever other threads were doing at the moment of the fork."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["lock"]


def lock() -> AbstractContextManager[Any]:
    """A lock for the life of the program, to be held for a moment and never while another one is asked for.

    A fork waits until nobody holds it: what it guards is whole in the child too. The thread that holds it may itself fork
    (in a signal handler, or as garbage is collected), so it can be taken again by its holder.
    """
    made = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=made.acquire, after_in_parent=made.release, after_in_child=made.release)
    return made
