"""The other container: ``.safetensors``, through the safetensors package, which is an optional extra."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigrad.checkpoint.contents import LARGEST_CONTENTS, Kind
from minigrad.errors import CheckpointError, MissingPackageError
from minigrad.extras import optional_package
from minigrad.guard import Array

__all__ = ["Safetensors", "safetensors_package", "write_safetensors"]

_CONTENTS, _SEAL = "minigrad", "sha256"
_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def safetensors_package(path: Path) -> Any:
    """The package, of which ``path`` needs to be read or written. Raises CheckpointError if it cannot be imported."""
    try:
        optional_package("safetensors.numpy", "safetensors", "a .safetensors file", "give the file a name that ends in .npz")
    except MissingPackageError as problem:
        raise CheckpointError(f"{path}: {problem}") from None
    return importlib.import_module("safetensors")


def write_safetensors(file: IO[bytes], contents: str, arrays: Mapping[str, Array], package: Any) -> None:
    """Write a file. What it says of itself, and its seal, are in the metadata of its header."""
    own = {name: np.array(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    file.write(package.numpy.save(own, {_CONTENTS: contents, _SEAL: _digest(contents, own.items())}))


class Safetensors:
    """A file opened for reading, its header checked by the package. Methods raise ValueError on damage."""

    flaw: str | None = None

    def __init__(self, path: Path, package: Any) -> None:
        try:
            self._file = package.safe_open(path, framework="numpy")
            self._metadata = self._file.metadata() or {}
        except package.SafetensorError as problem:
            raise ValueError(f"it is not a complete .safetensors file ({problem})") from None

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)

    def contents(self) -> str:
        """The text of the metadata that minigrad has written."""
        text: str | None = self._metadata.get(_CONTENTS)
        if text is None or len(text) > LARGEST_CONTENTS:
            raise ValueError(f"its header has no {_CONTENTS!r} of a reasonable size, so minigrad did not write it")
        return text

    def names(self) -> set[str]:
        """The names of all arrays."""
        return set(self._file.keys())

    def kinds(self) -> dict[str, Kind]:
        """The kind of every array, as the header says."""
        slices = {name: self._file.get_slice(name) for name in self.names()}
        return {
            name: Kind(tuple(found.get_shape()), np.dtype(_NAMES[found.get_dtype()])) for name, found in slices.items()
        }

    def check(self, name: str, kind: Kind) -> None:
        """Raise ValueError unless the header says that the array is of this kind."""
        entry = self._file.get_slice(name)
        shape, dtype = tuple(entry.get_shape()), _NAMES.get(entry.get_dtype())
        if (shape, dtype) != (kind.shape, kind.dtype.name):
            raise ValueError(f"its header says {dtype} {shape} instead of {kind}")

    def verify(self, kinds: Mapping[str, Kind]) -> None:
        """Raise ValueError unless contents and data are as they were written."""
        data = ((name, self.read(name, kinds[name])) for name in kinds)
        if self._metadata.get(_SEAL) != _digest(self.contents(), data):
            raise ValueError("its bytes have changed since it was written (their checksum differs)")

    def read(self, name: str, kind: Kind) -> Array:
        """The array, whose header has been checked."""
        array: Array = self._file.get_tensor(name)
        return array.astype(kind.dtype)


def _digest(contents: str, arrays: Iterable[tuple[str, Array]]) -> str:
    digest = hashlib.sha256(contents.encode())
    for name, array in arrays:
        digest.update(name.encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes())
    return digest.hexdigest()
