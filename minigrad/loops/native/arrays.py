"""Arrays as objects: how native code finds the data of one that it is given as an object.

To ask an array for its address takes Python longer than a step of a small loop takes native code. The layout of the object is
part of NumPy's interface for C: what every Python object has, and then the address of the data.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from minigrad.loops.program import CannotCompile

__all__ = ["offset"]


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
    if ctypes.c_void_p.from_address(id(array) + behind).value != array.ctypes.data:
        raise CannotCompile("arrays are no objects that begin as those of CPython and NumPy do")
    return behind
