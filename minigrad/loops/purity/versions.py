"""Whether classes are as they were, as CPython itself tells it, at a glance.

It gives a class a number, its version, when a name is looked up there; takes it away as soon as an attribute of the class, or
of one that it is derived from, is set or deleted; and gives no number twice. So what a class has need not be compared as long
as it has the same version. Where versions stand in a class as an object is found out by having one change.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import cache
from typing import Any

__all__ = ["Versions"]

NUMBER = ctypes.c_uint32


@cache
def offset() -> int | None:
    """How many bytes behind the beginning of a class its version stands; None if that cannot be told."""

    class Base:
        """Changes below."""

    class Kind(Base):
        """Derived from it."""

    def numbers() -> list[int]:
        return list((NUMBER * (type.__basicsize__ // ctypes.sizeof(NUMBER))).from_address(id(Kind)))

    _look_up(Kind)
    first = numbers()
    setattr(Base, "changed", 1)  # noqa: B010 -- types know no such attribute
    none = numbers()
    _look_up(Kind)
    second = numbers()
    of_version = [k for k, (a, b, c) in enumerate(zip(first, none, second, strict=True)) if a and not b and c > a]
    return of_version[0] * ctypes.sizeof(NUMBER) if len(of_version) == 1 else None


def _look_up(kind: type) -> None:
    """Look something up in a class that no class has."""
    getattr(kind, "nothing of that name", None)


class Versions:
    """The versions that some classes have when somebody has seen what they are like.

    >>> class Kind:
    ...     rate = 0.5
    >>> versions = Versions([Kind])
    >>> versions.keep(versions.now())
    >>> versions.are_kept()
    True
    >>> Kind.rate = 0.25
    >>> versions.are_kept()
    False
    """

    __slots__ = ("_kept", "_kinds", "_numbers")

    def __init__(self, kinds: Iterable[type]) -> None:
        self._kinds, behind = list(kinds), offset()
        self._numbers: list[Any] = [] if behind is None else [NUMBER.from_address(id(kind) + behind) for kind in self._kinds]
        self._kept: list[int] | None = None

    def now(self) -> list[int]:
        """The present versions: to be asked for before the classes are looked at."""
        for kind in self._kinds:
            _look_up(kind)
        return [number.value for number in self._numbers]

    def keep(self, versions: list[int]) -> None:
        """What was seen holds for these versions; where a class has none, or none is told, it is not known to."""
        self._kept = versions if versions and all(versions) else None

    def are_kept(self) -> bool:
        """Whether the classes still have the versions for which it holds."""
        return [number.value for number in self._numbers] == self._kept
