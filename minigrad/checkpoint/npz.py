"""The usual container: an uncompressed ``.npz`` archive with ``contents.json`` and a seal.

The seal is the archive's comment, ``sha256`` of all bytes before it. Whoever writes it can write anything; it is there
against damage, and everything else is checked as if there were none.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal

import numpy as np

from minigrad.checkpoint.contents import DAMAGE, LARGEST_CONTENTS, Kind
from minigrad.guard import Array

__all__ = ["Npz", "write_npz"]

_CONTENTS = "contents.json"
_SEAL = b"sha256 "
_DIGEST_SIZE = 64
_END_SIZE = 22
_TAIL_SIZE = _END_SIZE + len(_SEAL) + _DIGEST_SIZE
_LONGEST_COMMENT = 2**16 - 1
_LARGEST_DIRECTORY = 16 * 2**20
_LARGEST_OVERHEAD = 256


def write_npz(file: IO[bytes], contents: str, arrays: Mapping[str, Array]) -> None:
    """Write an archive to an empty file that can be read and written."""
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
    try:
        archive.writestr(zipfile.ZipInfo(_CONTENTS), contents)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
                member.write(_header(Kind(little.shape, little.dtype)))
                member.write(little.tobytes())
        archive.comment = _SEAL + b"0" * _DIGEST_SIZE
        archive.close()
    except BaseException:
        archive.fp = None  # to complete what is thrown away would only hide why
        raise
    digest = _digest_of_all_but_the_digest(file)
    file.seek(-_DIGEST_SIZE, os.SEEK_END)
    file.write(digest)


class Npz:
    """An archive opened for reading. Methods raise ValueError and what zipfile raises on damage.

    Attributes:
        flaw: why nothing of it is to be used, although its arrays can be named; None if all is well so far.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._size = self._file.seek(0, os.SEEK_END)
            self.flaw = self._flaw_at_the_end()
            self._zip = zipfile.ZipFile(self._file)
            self._members = {member.filename: member for member in self._zip.infolist()}
            self.flaw = self.flaw or self._flaw_of_members()
        except BaseException as problem:
            self._file.close()
            flaw = getattr(self, "flaw", None)
            raise (ValueError(flaw) if flaw and isinstance(problem, DAMAGE) else problem) from None

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()

    def contents(self) -> bytes:
        """The text of ``contents.json``."""
        member = self._members.get(_CONTENTS)
        if member is None or member.file_size > LARGEST_CONTENTS or member.compress_type:
            raise ValueError(f"it has no {_CONTENTS} of a reasonable size, so minigrad did not write it")
        return self._zip.read(member)

    def names(self) -> set[str]:
        """The names of all members that should be arrays."""
        return {filename.removesuffix(".npy") for filename in self._members if filename != _CONTENTS}

    def kinds(self) -> dict[str, Kind]:
        """What the headers of the arrays say, for an archive that says nothing of itself."""
        return {name: self._kind(self._members[f"{name}.npy"]) for name in self.names() - {_CONTENTS}}

    def _kind(self, member: zipfile.ZipInfo) -> Kind:
        with self._zip.open(member) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of headers that Python 2 wrote
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return Kind(shape, dtype.newbyteorder("="))

    def check(self, name: str, kind: Kind) -> None:
        """Raise ValueError unless the member's header and size are those of an array of this kind."""
        self._order(self._members[f"{name}.npy"], kind)

    def _order(self, member: zipfile.ZipInfo, kind: Kind) -> tuple[Literal["C", "F"], int]:
        """In which order the entries of an array lie, and where they begin. Raises ValueError for another array."""
        orders: tuple[Literal["C", "F"], ...] = "C", "F"
        for order in orders:
            header = _header(kind, order)
            with self._zip.open(member) as file:
                if file.read(len(header)) == header:
                    if member.file_size != len(header) + kind.nbytes:
                        raise ValueError(f"{kind} does not take {member.file_size} bytes")
                    return order, len(header)
        raise ValueError(f"its header is not that of {kind}")

    def verify(self, kinds: Mapping[str, Kind]) -> None:
        """Raise ValueError unless every byte is as it was written."""
        self._file.seek(-_DIGEST_SIZE, os.SEEK_END)
        if self._file.read() != _digest_of_all_but_the_digest(self._file):
            raise ValueError("its bytes have changed since it was written (their checksum differs)")

    def read(self, name: str, kind: Kind) -> Array:
        """The array, whose header has been checked."""
        member = self._members[f"{name}.npy"]
        order, start = self._order(member, kind)
        flat = np.frombuffer(self._zip.read(member), kind.dtype.newbyteorder("<"), offset=start)
        return flat.reshape(kind.shape, order=order).astype(kind.dtype, order="C")

    def _flaw_at_the_end(self) -> str | None:
        """Whether its end is that of what `write_npz` writes. Raises ValueError if no directory can be looked at safely."""
        unsealed = "minigrad did not write it, or it has been cut off or added to"
        self._file.seek(max(0, self._size - _LONGEST_COMMENT - _END_SIZE - 20))
        tail = self._file.read()
        at = tail.rfind(b"PK\5\6")
        end = tail[at:]
        if at < 0 or len(end) < _END_SIZE:
            raise ValueError(unsealed)
        beyond_4_gib = tail[:at][-20:].startswith(b"PK\6\7")
        if int.from_bytes(end[12:16], "little") > _LARGEST_DIRECTORY or (beyond_4_gib and self._size < 2**32):
            raise ValueError("its directory is too large")
        sealed = len(end) == _TAIL_SIZE and end[20:].startswith((_TAIL_SIZE - _END_SIZE).to_bytes(2, "little") + _SEAL)
        return None if sealed else unsealed

    def _flaw_of_members(self) -> str | None:
        listed = self._zip.infolist()
        if len(self._members) < len(listed) or any(member.compress_type for member in listed):
            return "a member is there twice, or compressed"
        accounted = sum(member.file_size + 2 * len(member.filename.encode()) for member in listed)
        if not accounted <= self._size <= accounted + _LARGEST_OVERHEAD * (len(listed) + 1):
            return "its members do not take as many bytes as it has"
        return None


def _header(kind: Kind, order: str = "C") -> bytes:
    """What NumPy writes before the data of an array of this kind."""
    buffer = io.BytesIO()
    described = {"descr": kind.dtype.newbyteorder("<").str, "fortran_order": order == "F", "shape": kind.shape}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def _digest_of_all_but_the_digest(file: IO[bytes]) -> bytes:
    left = file.seek(0, os.SEEK_END) - _DIGEST_SIZE
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(min(left, 2**20)):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode()
