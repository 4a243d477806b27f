"""Arrays as objects: how native code finds the data of those that it is given in a tuple.

To ask an array for its address takes Python longer than a step of a small loop takes native code. The layout of the objects is
part of the interfaces of Python and NumPy for C: a tuple has what every object with items has, and then its items; an array
what every object has, and then the address of its data.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

import numpy as np

from minigrad.loops.program import CannotCompile

__all__ = ["SIZE", "first_item", "offset"]

SIZE: Final = ctypes.sizeof(ctypes.c_void_p)
"""Bytes of an address."""


@cache
def offset() -> int:
    """How many bytes behind the beginning of an array, as an object, the address of its data stands.

    Raises:
        CannotCompile: it stands elsewhere.

    >>> array = np.ones(3)
    >>> ctypes.c_void_p.from_address(id(array) + offset()).value == array.ctypes.data
    True
    """
    behind, array = object.__basicsize__, np.empty(1)
    if _address_at(array, behind) != array.ctypes.data:
        raise CannotCompile("arrays are no objects that begin as those of CPython and NumPy do")
    return behind


@cache
def first_item() -> int:
    """How many bytes behind the beginning of a tuple, as an object, the first of its items stands.

    Raises:
        CannotCompile: it stands elsewhere.
    """
    behind, items = tuple.__basicsize__, (np.empty(1), np.empty(1))
    if any(_address_at(items, behind + k * SIZE) != id(item) for k, item in enumerate(items)):
        raise CannotCompile("tuples are no objects that begin as those of CPython do")
    return behind


def _address_at(thing: object, behind: int) -> int | None:
    return ctypes.c_void_p.from_address(id(thing) + behind).value
