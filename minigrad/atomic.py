"""Many changes as one, which an interrupt, such as Ctrl-C, finds done or not begun."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import starmap
from operator import setitem
from typing import Any

__all__ = ["set_all", "set_all_items"]


def set_all(changes: Iterable[tuple[Any, str, Any]]) -> None:
    """Set the attributes of many objects, given as (object, name, value), in one call that no interrupt can divide."""
    deque(starmap(setattr, changes), maxlen=0)


def set_all_items(changes: Iterable[tuple[Any, Any, Any]]) -> None:
    """``container[key] = value`` for many (container, key, value), likewise."""
    deque(starmap(setitem, changes), maxlen=0)
