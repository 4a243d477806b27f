"""Saving arrays so that a damaged or foreign file can never do harm: ``.npz`` without pickle, checked before it is read.

A checkpoint is a zip archive that ``np.load`` opens too: one ``.npy`` member for each array, named by its path in the
model (``cell.W_hh``), and ``notes.json`` with the format, its version, the names of the arrays and whatever else the program
wants to know again.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minigrad.errors import MinigradError
from minigrad.guard import Array

__all__ = ["CheckpointError", "load_arrays", "load_notes", "save_arrays"]

FORMAT = "minigrad checkpoint"
VERSION = 1
_NOTES = "notes.json"
_LARGEST_NOTES = 64 * 2**20
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile, json and NumPy's header reader raise on damaged input (an encrypted member is a RuntimeError)."""


class CheckpointError(MinigradError, ValueError):
    """A checkpoint cannot be written, is damaged, or does not belong to this model; all problems are listed."""


class Kind(NamedTuple):
    """What is known of an array before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], notes: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint: first to a temporary file beside it, which then takes its name; never half of one.

    Args:
        path: the file, usually ``something.npz``; replaced if it is there.
        arrays: numbers or booleans, by name.
        notes: anything that JSON can hold.

    Raises:
        CheckpointError: the file cannot be written, an array holds objects, or the notes are not JSON; what was there
            before is unchanged.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_arrays(f"{folder}/model.npz", {"b_h": np.array([1.0, 2.0])}, notes={"cell": "rnn"})
    ...     load_arrays(f"{folder}/model.npz"), load_notes(f"{folder}/model.npz")
    ({'b_h': array([1., 2.])}, {'cell': 'rnn'})
    """
    target = Path(path)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise CheckpointError(f"{target}: {name} has dtype {array.dtype}; only numbers and booleans can be saved")
    try:
        about = {"format": FORMAT, "version": VERSION, "arrays": list(arrays), "notes": dict(notes or {})}
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{target}: the notes cannot be written as JSON: {problem}") from None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as problem:
        raise CheckpointError(f"{target} cannot be written: {problem.strerror}; give a folder that can be") from None
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, arrays, text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as problem:
        os.unlink(temporary)
        raise CheckpointError(f"{target} cannot be written: {problem.strerror}; give a folder that can be") from None
    except BaseException:
        os.unlink(temporary)
        raise


def load_notes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The notes of a checkpoint; its arrays are not read.

    Raises:
        CheckpointError: missing, damaged, or not a checkpoint of this format and version.
    """
    with _Archive(Path(path)) as archive:
        return dict(archive.about()["notes"])


def load_arrays(path: str | os.PathLike[str], expected: Mapping[str, Array] | None = None) -> dict[str, Array]:
    """The arrays of a checkpoint.

    Names, shapes, dtypes and sizes are all read from headers and checked first; data is read only when they are right.

    Args:
        path: the file.
        expected: arrays (or anything with ``shape`` and ``dtype``) that say which ones must be there, no fewer and no
            more; None takes what there is.

    Raises:
        CheckpointError: missing, damaged, not a checkpoint, or not as expected: all problems in one message.
    """
    with _Archive(Path(path)) as archive:
        found = archive.kinds()
        if expected is not None:
            wanted = {name: Kind(tuple(array.shape), array.dtype) for name, array in expected.items()}
            archive.refuse([
                *(f"{name} is missing" for name in wanted.keys() - found.keys()),
                *(f"{name} does not belong here" for name in found.keys() - wanted.keys()),
                *(
                    f"{name} should be {_described(wanted[name])} and is {_described(found[name])}"
                    for name in wanted.keys() & found.keys()
                    if wanted[name] != found[name]
                ),
            ])
        return {name: archive.array(name) for name in found}


class _Archive:
    """A checkpoint opened for reading, all of whose failures are CheckpointErrors that name the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Archive:
        try:
            self._zip = zipfile.ZipFile(self._path)
        except FileNotFoundError:
            raise CheckpointError(f"{self._path} does not exist; give the path of a checkpoint") from None
        except IsADirectoryError:
            raise CheckpointError(f"{self._path} is a folder; give the path of a checkpoint in it") from None
        except _DAMAGE as problem:
            raise self._damaged(f"it is not a complete .npz file ({problem})") from None
        members = self._zip.infolist()
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members) or any(member.compress_type for member in members):
            self._zip.close()
            raise self._damaged("a member is there twice, or compressed")
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def about(self) -> dict[str, Any]:
        """What ``notes.json`` says."""
        member = self._members.get(_NOTES)
        if member is None or member.file_size > _LARGEST_NOTES:
            raise self._damaged(f"it has no {_NOTES}, so minigrad did not write it")
        try:
            content = json.loads(self._zip.read(member))
        except _DAMAGE as problem:
            raise self._damaged(f"{_NOTES} cannot be read ({problem})") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._damaged(f"{_NOTES} is not that of a {FORMAT}")
        if content.get("version") != VERSION:
            raise self._damaged(
                f"it has version {content.get('version')!r} of the format, and this program reads version {VERSION}"
            )
        if not isinstance(content.get("notes"), dict) or not isinstance(content.get("arrays"), list):
            raise self._damaged(f"{_NOTES} has no notes or no list of arrays")
        return content

    def kinds(self) -> dict[str, Kind]:
        """Shape and dtype of every array, from the headers alone."""
        kinds: dict[str, Kind] = {}
        problems: list[str] = []
        promised = {f"{name}.npy" for name in self.about()["arrays"]}
        problems += [f"{filename} is missing" for filename in promised - self._members.keys()]
        for filename, member in self._members.items():
            if filename == _NOTES:
                continue
            try:
                with self._zip.open(member) as file:
                    kind, header_size = _read_header(file)
                if filename not in promised:
                    raise ValueError(f"{_NOTES} does not list it")
                size = int(np.prod(kind.shape, dtype=object)) * kind.dtype.itemsize + header_size
                if kind.dtype.kind not in "fiub" or member.file_size != size:
                    raise ValueError(f"{_described(kind)} does not take {member.file_size} bytes")
                kinds[filename.removesuffix(".npy")] = kind
            except _DAMAGE as problem:
                problems.append(f"{filename} is damaged ({problem})")
        self.refuse(problems)
        return kinds

    def array(self, name: str) -> Array:
        try:
            with self._zip.open(f"{name}.npy") as file:
                array: Array = np.lib.format.read_array(file, allow_pickle=False)
                file.read(1)  # reading to the end is what checks the sum
                return array
        except _DAMAGE as problem:
            raise self._damaged(f"{name} cannot be read ({problem})") from None

    def refuse(self, problems: list[str]) -> None:
        if problems:
            raise CheckpointError(f"{self._path} was not loaded, nothing has changed: " + "; ".join(sorted(problems)))

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self._path} is no usable checkpoint: {what}; nothing has changed")


def _write(file: IO[bytes], arrays: Mapping[str, Array], notes: str) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_NOTES), notes)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def _read_header(file: IO[bytes]) -> tuple[Kind, int]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the .npy format")
    if any(length < 0 for length in shape):
        raise ValueError(f"shape {shape}")
    return Kind(shape, dtype), file.tell()


def _described(kind: Kind) -> str:
    return f"{kind.dtype} {kind.shape}"
