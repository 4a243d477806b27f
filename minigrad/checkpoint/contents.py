"""What every checkpoint says of itself, whatever its container: format, version, the kind of every array, notes."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigrad.guard import Array

__all__ = ["DAMAGE", "LARGEST_CONTENTS", "Contents", "Kind", "kinds_of"]

FORMAT = "minigrad checkpoint"
VERSION = 1
LARGEST_CONTENTS = 16 * 2**20
_DTYPES = {np.dtype(code).newbyteorder("<").str for code in "?bBhHiIlLqQefd"}
_LARGEST_NDIM = 32
_MOST_ARRAYS = 10_000
_LONGEST_NAME = 10_000

DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,
    MemoryError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
)
"""What the readers of containers raise on damaged input."""


class Kind(NamedTuple):
    """What is known of an array before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """How many bytes its data takes, exactly, however many."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


class Contents(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        kinds: of each array, by name.
        notes: the user's.
        more: of this package's own: which parts there are, and the state of random numbers.
    """

    kinds: dict[str, Kind]
    notes: dict[str, Any]
    more: dict[str, Any]

    def as_text(self) -> str:
        """As JSON. Raises TypeError, ValueError or RecursionError for notes that JSON cannot hold."""
        arrays = {name: [kind.dtype.newbyteorder("<").str, list(kind.shape)] for name, kind in self.kinds.items()}
        whole = {"format": FORMAT, "version": VERSION, "arrays": arrays, "notes": self.notes, "more": self.more}
        return json.dumps(whole, allow_nan=False)

    @classmethod
    def from_text(cls, text: bytes | str) -> Contents:
        """What `as_text` gave. Raises ValueError for anything else, with the reason."""
        try:
            whole = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError) as problem:
            raise ValueError(f"its contents cannot be read ({problem})") from None
        if not isinstance(whole, dict) or whole.get("format") != FORMAT:
            raise ValueError(f"its contents are not those of a {FORMAT}")
        if whole.get("version") != VERSION:
            raise ValueError(f"it has version {whole.get('version')!r} of the format, and this program reads {VERSION}")
        arrays, notes, more = (whole.get(key) for key in ("arrays", "notes", "more"))
        if not (isinstance(arrays, dict) and isinstance(notes, dict) and isinstance(more, dict)):
            raise ValueError("its contents lack the list of arrays or the notes")
        if len(arrays) > _MOST_ARRAYS:
            raise ValueError(f"its contents list {len(arrays):,} arrays, and {_MOST_ARRAYS:,} are the most there may be")
        return cls({name: _kind(name, entry) for name, entry in arrays.items()}, notes, more)


def kinds_of(arrays: Mapping[str, Array]) -> dict[str, Kind]:
    """The kind of every array. Raises ValueError, naming it, for one that cannot be saved, or if there are too many."""
    if len(arrays) > _MOST_ARRAYS:
        raise ValueError(f"{len(arrays):,} arrays are too many; {_MOST_ARRAYS:,} are the most there may be")
    kinds = {}
    for name, array in arrays.items():
        if not isinstance(name, str) or "\0" in name or not _is_text(name):
            raise ValueError(f"an array has the name {name!r:.60}; names are text")
        if len(name.encode()) > _LONGEST_NAME:
            raise ValueError(f"an array has the name {name[:20]!r}…; {_LONGEST_NAME:,} bytes are the most a name may take")
        if not isinstance(array, np.ndarray | np.generic) or isinstance(array, np.ma.MaskedArray | np.matrix):
            raise ValueError(
                f"{name} is a {type(array).__name__}, not a NumPy array; np.asarray(...) makes one, of a Tensor t.numpy(), "
                "of a masked array .filled(...)"
            )
        if array.dtype.newbyteorder("<").str not in _DTYPES:
            raise ValueError(f"{name} has dtype {array.dtype}; only numbers and booleans can be saved")
        if array.ndim > _LARGEST_NDIM:
            raise ValueError(f"{name} has {array.ndim} axes; {_LARGEST_NDIM} are the most there may be")
        kinds[name] = Kind(array.shape, array.dtype)
    return kinds


def _kind(name: str, entry: Any) -> Kind:
    dtype, shape = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"{name} should hold {dtype!r}, which is not a kind of number")
    if not isinstance(shape, list) or len(shape) > _LARGEST_NDIM or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"{name} should have the shape {str(shape)[:80]}")
    return Kind(tuple(shape), np.dtype(dtype).newbyteorder("="))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
