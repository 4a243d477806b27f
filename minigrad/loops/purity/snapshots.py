"""Things that can change: what each is like now, how to see that it is another, and how to put it back.

A class may have methods of its own for what its objects contain, which count, or do something else. They are not asked:
``base`` is the class of C whose methods see the contents themselves.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import CellType, MemberDescriptorType
from typing import Any, Final, NamedTuple

import numpy as np

__all__ = [
    "ABSENT", "Snapshot", "content", "different", "empty_again", "entries", "fill_again", "hold_again", "in_slots", "memory_of",
    "refill", "reset", "size", "state_of", "write_again",
]  # fmt: skip

ABSENT: Final = object()
STATE: Final = object()
"""Stands for the name of what has none."""


class Snapshot(NamedTuple):
    """Something that can be changed: values by name, or a state."""

    path: str
    then: Mapping[Any, Any]
    now: Callable[[], Mapping[Any, Any]]
    put_back: Callable[[Any], None]


def state_of(path: str, now: Callable[[], Any], put_back: Callable[[Any], None]) -> Snapshot:
    """Something that is compared as a whole."""
    return Snapshot(path, {STATE: now()}, lambda: {STATE: now()}, lambda then: put_back(then[STATE]))


def different(kept: Snapshot) -> str | None:
    """What has changed of it, in words."""
    then, now = kept.then, kept.now()
    before, after = ([_identity(name, value) for name, value in each.items()] for each in (then, now))
    if before == after and list(then) == list(now):
        return None
    names = [name for name, _ in set(zip(then, before, strict=True)) ^ set(zip(now, after, strict=True))] or list(then)
    return f"{kept.path}{names[0]}" if type(names[0]) is str else kept.path.rstrip(".")


def _identity(name: Any, value: Any) -> Any:
    """What is the same as long as a value is: for numbers and strings, which are made anew all the time, what is printed."""
    if name is STATE:
        return value
    return (type(value), repr(value)) if type(value) in (int, float, str) else id(value)


# ---------------------------------------------------------------- what containers contain


def entries(base: Any, container: Any) -> dict[Any, Any]:
    """The entries of a container."""
    return dict(base.items(container)) if issubclass(base, dict) else dict(enumerate(base.__iter__(container)))


def refill(base: Any, container: Any, then: Mapping[Any, Any]) -> None:
    """Put entries back into a container."""
    base.clear(container)
    if issubclass(base, dict):
        for name, value in then.items():
            base.__setitem__(container, name, value)
    else:
        (base.update if issubclass(base, set) else base.extend)(container, then.values())


def fill_again(array: Any, then: Mapping[int, Any]) -> None:
    """Put objects back into an array."""
    for number, value in then.items():
        array.flat[number] = value


def memory_of(value: Any) -> Any:
    """What others can write to as memory (of a bytearray, array.array, memoryview), as an array of bytes."""
    return np.frombuffer(value, np.uint8) if memoryview(value).nbytes else np.empty(0, np.uint8)


def write_again(value: Any, then: bytes) -> None:
    """Put bytes back into memory."""
    if isinstance(value, bytearray):
        value[:] = then
    elif isinstance(value, array):
        del value[:]
        value.frombytes(then)
    else:
        memory_of(value)[...] = np.frombuffer(then, np.uint8)


# ---------------------------------------------------------------- what names stand for


def reset(write: Callable[[str, Any], None], delete: Callable[[str], None], now: Callable[[], Any], then: Any) -> None:
    """Put values back under their names."""
    found = now()
    for name in found.keys() - then.keys():
        delete(name)
    for name, value in then.items():
        if found.get(name, ABSENT) is not value:
            write(name, value)


def in_slots(value: Any, slots: Mapping[str, MemberDescriptorType]) -> dict[str, Any]:
    """What the slots of an object hold, if they hold anything."""
    found = {}
    for name, slot in slots.items():
        with suppress(AttributeError):
            found[name] = slot.__get__(value)
    return found


def content(name: str, cell: CellType) -> dict[str, Any]:
    """What a variable of a closure holds, if it holds anything."""
    try:
        return {name: cell.cell_contents}
    except ValueError:
        return {}


def hold_again(name: str, cell: CellType, then: Mapping[str, Any]) -> None:
    """Have a variable of a closure hold what it held."""
    if then:
        cell.cell_contents = then[name]
    else:
        del cell.cell_contents


# ---------------------------------------------------------------- what a function has remembered


def size(cached: functools._lru_cache_wrapper[Any]) -> tuple[int, int]:
    """How much a function has remembered, and how often."""
    info = cached.cache_info()
    return info.currsize, info.misses


def empty_again(cached: functools._lru_cache_wrapper[Any], then: tuple[int, int]) -> None:
    """Let a function forget all, if it knew nothing before; nothing can take a single result out of it."""
    if not then[0]:
        cached.cache_clear()

