"""Arrays by name, and notes, to a file and back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from minigrad.checkpoint.contents import DAMAGE, LARGEST_CONTENTS, Contents, Kind, kinds_of
from minigrad.checkpoint.npz import Npz, write_npz
from minigrad.checkpoint.tensors import Safetensors, safetensors_package, write_safetensors
from minigrad.errors import CheckpointError, DTypeError
from minigrad.files import StrPath, as_path, replace_file
from minigrad.guard import Array

__all__ = ["Opened", "load_arrays", "load_notes", "save_arrays", "write"]

_MOST_PROBLEMS = 100


def save_arrays(path: StrPath, arrays: Mapping[str, Array], notes: Mapping[str, Any] | None = None) -> None:
    """Write a file: first under another name beside its place, which is then renamed; never half of one.

    Args:
        path: the file, ``something.npz`` or ``something.safetensors``; replaced if it is there, whose mode and owner it
            keeps. A link is followed.
        arrays: numbers or booleans, by name.
        notes: anything that JSON can hold.

    Raises:
        CheckpointError: the file cannot be written or is none (a folder, a device, a pipe), an array holds objects or is
            masked, or the notes are not JSON; what was there before is unchanged.
        DTypeError: ``path`` is no path, ``arrays`` or ``notes`` are no mapping.

    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_arrays(f"{folder}/model.npz", {"b_h": np.array([1.0, 2.0])}, notes={"cell": "rnn"})
    ...     load_arrays(f"{folder}/model.npz"), load_notes(f"{folder}/model.npz")
    ({'b_h': array([1., 2.])}, {'cell': 'rnn'})
    """
    write("save_arrays", path, arrays, notes)


def load_notes(path: StrPath) -> dict[str, Any]:
    """The notes of a file; its arrays are not read.

    Raises:
        CheckpointError: missing, damaged, or not a checkpoint of this format and version.
        DTypeError: ``path`` is no path.
    """
    with Opened(path, "load_notes") as opened:
        return opened.notes()


def load_arrays(path: StrPath, expected: Mapping[str, Array] | None = None) -> dict[str, Array]:
    """The arrays of a file.

    Args:
        path: the file.
        expected: arrays (or anything with ``shape`` and ``dtype``) that say which ones must be there, no fewer and no
            more; None takes what there is.

    Raises:
        CheckpointError: missing, damaged, not a checkpoint, or not as expected: all problems in one message.
        DTypeError: ``path`` is no path, or ``expected`` holds something without shape and dtype.
    """
    with Opened(path, "load_arrays") as opened:
        if expected is not None:
            wanted = _wanted(expected)
            opened.refuse(differences(opened.kinds, wanted))
        return opened.read(opened.kinds)


def _wanted(expected: Mapping[str, Array]) -> dict[str, Kind]:
    try:
        return {name: Kind(tuple(a.shape), a.dtype.newbyteorder("=")) for name, a in expected.items()}
    except (AttributeError, TypeError):
        raise DTypeError(f"load_arrays: expected arrays by name as ``expected``, got {expected!r:.60}") from None


def differences(found: Mapping[str, Kind], wanted: Mapping[str, Kind]) -> list[str]:
    """What is missing, unknown, or of another kind."""
    return [
        *(f"{name} is missing" for name in wanted.keys() - found.keys()),
        *(f"{name} does not belong here" for name in found.keys() - wanted.keys()),
        *(
            f"{name} should be {wanted[name]} and is {found[name]}"
            for name in wanted.keys() & found.keys()
            if wanted[name] != found[name]
        ),
    ]


def write(
    where: str,
    path: StrPath,
    arrays: Mapping[str, Array],
    notes: Mapping[str, Any] | None,
    more: dict[str, Any] | None = None,
) -> None:
    """What `save_arrays` does, with contents of this package's own."""
    target = as_path(path, where)
    for what, given in (("arrays by name", arrays), ("notes by name, or None", {} if notes is None else notes)):
        if not isinstance(given, Mapping):
            raise DTypeError(f"{where}: expected {what}, got {given!r:.60}")
    if not target.name:
        raise CheckpointError(f"{os.fspath(path)!r} cannot be written: it names no file; give one such as 'model.npz'")
    package = safetensors_package(target) if _is_safetensors(target) else None
    try:
        contents = Contents(kinds_of(arrays), dict(notes or {}), more or {}).as_text()
    except (TypeError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{target}: this cannot be saved: {problem}") from None
    if len(contents) > LARGEST_CONTENTS:
        raise CheckpointError(f"{target}: this cannot be saved: the notes take more than {LARGEST_CONTENTS:,} bytes")
    def fill(file: IO[bytes]) -> None:
        if package is None:
            write_npz(file, contents, arrays)
        else:
            write_safetensors(file, contents, arrays, package)

    try:
        replace_file(target, fill)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise CheckpointError(f"{target} cannot be written: {reason}; give the path of a file that can be") from None


class Container(Protocol):
    """How arrays lie in a file. On damage its methods raise the exceptions that are listed in `contents.DAMAGE`.

    Attributes:
        flaw: why nothing of it is to be used, although its arrays can be named; None if all is well so far.
    """

    flaw: str | None

    def contents(self) -> bytes | str:
        """What the file says of itself."""

    def names(self) -> set[str]:
        """The arrays that are there."""

    def kinds(self) -> dict[str, Kind]:
        """What a file that says nothing of itself can be seen to hold."""

    def check(self, name: str, kind: Kind) -> None:
        """Refuse an array whose header is not that of its kind."""

    def verify(self, kinds: Mapping[str, Kind]) -> None:
        """Refuse contents and data that are not those that were written."""

    def read(self, name: str, kind: Kind) -> Array:
        """An array that has been checked."""

    def close(self) -> None:
        """Close the file."""


class Opened:
    """A file opened for reading, all of whose failures are CheckpointErrors that name it.

    Attributes:
        contents: what it says of itself.
    """

    contents: Contents

    def __init__(self, path: StrPath, where: str) -> None:
        self._path = as_path(path, where)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each array, as the file says; `read` checks that it is true."""
        return self.contents.kinds

    def __enter__(self) -> Opened:
        self._container = self._open()
        try:
            self.contents = self._read_contents()
        except BaseException as problem:
            self._container.close()
            raise (self._damaged(problem) if isinstance(problem, DAMAGE) else problem) from None
        return self

    def _read_contents(self) -> Contents:
        try:
            return Contents.from_text(self._container.contents())
        except DAMAGE:
            if self._container.flaw is None:
                raise
        try:
            return Contents(self._container.kinds(), {}, {})
        except DAMAGE:
            raise ValueError(self._container.flaw) from None

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def read(self, names: Iterable[str]) -> dict[str, Array]:
        """These arrays, once the whole file has turned out to be what it says it is."""
        there = self._container.names()
        problems = [f"{name} is missing" for name in self.kinds.keys() - there]
        problems += [f"{name} does not belong here" for name in there - self.kinds.keys()]
        for name in self.kinds.keys() & there:
            try:
                self._container.check(name, self.kinds[name])
            except DAMAGE as problem:
                problems.append(f"{name} is damaged ({problem})")
        self.refuse(problems)
        self.refuse_flaw()
        try:
            self._container.verify(self.kinds)
            return {name: self._container.read(name, self.kinds[name]) for name in names}
        except DAMAGE as problem:
            raise self._damaged(problem) from None

    def refuse(self, problems: list[str]) -> None:
        """Raise CheckpointError if there are problems; the flaw of the whole file is then the first of them."""
        if problems:
            shown = sorted(problems)[:_MOST_PROBLEMS]
            rest = f"; and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
            said = "; ".join([*filter(None, [self._container.flaw]), *shown])
            raise CheckpointError(f"{self._path} was not loaded, nothing has changed: {said}{rest}")

    def refuse_flaw(self) -> None:
        """Raise CheckpointError if nothing of the file is to be used."""
        if self._container.flaw is not None:
            raise self._damaged(ValueError(self._container.flaw))

    def notes(self) -> dict[str, Any]:
        """The user's notes."""
        self.refuse_flaw()
        return self.contents.notes

    def _open(self) -> Container:
        try:
            mode = self._path.stat().st_mode
        except (OSError, ValueError):
            raise CheckpointError(f"{self._path} does not exist; give the path of a checkpoint") from None
        if stat.S_ISDIR(mode):
            raise CheckpointError(f"{self._path} is a folder; give the path of a checkpoint in it")
        if not stat.S_ISREG(mode):
            raise CheckpointError(f"{self._path} is not a file but a device or a pipe; give the path of a checkpoint")
        package = safetensors_package(self._path) if _is_safetensors(self._path) else None
        try:
            return Npz(self._path) if package is None else Safetensors(self._path, package)
        except PermissionError:
            raise CheckpointError(f"{self._path} may not be read by you; change its permissions") from None
        except DAMAGE as problem:
            raise self._damaged(problem) from None

    def _damaged(self, problem: BaseException) -> CheckpointError:
        return CheckpointError(f"{self._path} is no usable checkpoint: {problem}; nothing has changed")


def _is_safetensors(path: Path) -> bool:
    return path.suffix == ".safetensors"
