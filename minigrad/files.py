"""The one way in which files are written: complete or not at all, and where the path leads to."""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from minigrad.errors import DTypeError

__all__ = ["StrPath", "as_path", "replace_file"]

StrPath = str | os.PathLike[str]

fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None
"""Locks of files. Windows has none of these, and there a file that is open can be neither renamed nor deleted."""


def as_path(path: StrPath, where: str) -> Path:
    """The path.

    Raises:
        DTypeError: it is none.

    >>> as_path(None, "save_arrays")
    Traceback (most recent call last):
    minigrad.errors.DTypeError: save_arrays: expected a path (text or a pathlib.Path), got NoneType
    """
    try:
        return Path(path)
    except TypeError:
        raise DTypeError(f"{where}: expected a path (text or a pathlib.Path), got {type(path).__name__}") from None


def replace_file(path: StrPath, write: Callable[[IO[bytes]], Any]) -> None:
    """Make ``path`` a file with new content: written beside its place under another name, which then takes the place.

    A link is followed, and what it leads to is replaced. A file that was there hands its mode and its owner on. What
    killed writers of the same file have left beside it is removed.

    Args:
        path: the file.
        write: is given the file, empty and open for reading and writing in binary.

    Raises:
        OSError: the file cannot be written, with the reason as its ``strerror``: its folder is missing or closed to you,
            the disk is full, the path leads to a folder, a device or a pipe, the file there is write-protected, or its
            owner cannot be kept. What was there before is unchanged, as it is after whatever ``write`` raises.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(f"{folder}/loss.txt", lambda file: file.write(b"0.25"))
    ...     Path(folder, "loss.txt").read_text()
    '0.25'
    """
    try:
        target = Path(os.path.realpath(path))
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have such a name") from None
    found = _replaceable(target)
    mark = f".minigrad-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"
    _remove_left_behind(target.parent, mark)
    part = target.parent / f"{mark}{secrets.token_hex(8)}.part"
    try:
        with _locked(part, 0o666 if found is None else 0o600) as file:
            write(file)
            file.flush()
            if found is not None:
                _hand_on(found, part)
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _replaceable(target: Path) -> os.stat_result | None:
    """What is at the place, None if nothing is. Raises OSError for what must not be replaced."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no file but a device or a pipe")
    if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise OSError(errno.EACCES, "the file that is there is write-protected")
    return found


def _locked(part: Path, mode: int) -> IO[bytes]:
    """A new file, locked until whoever asked for it closes it."""
    while True:
        file = open(part, "xb+", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115
        if fcntl is None:
            return file
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another writer removed it as left behind, before it was locked


def _hand_on(found: os.stat_result, part: Path) -> None:
    """Give the new file the owner and the mode of the old one."""
    own = part.stat()
    if (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
        try:
            os.chown(part, found.st_uid, found.st_gid)
        except PermissionError:
            reason = "the file that is there belongs to somebody else, and only root could keep it so"
            raise OSError(errno.EPERM, reason) from None
    part.chmod(stat.S_IMODE(found.st_mode))


def _remove_left_behind(folder: Path, mark: str) -> None:
    """Remove the parts of writers that were killed: nobody has locked them any more."""
    for part in folder.glob(f"{mark}*.part"):
        with suppress(OSError):
            if not stat.S_ISREG(part.lstat().st_mode):
                continue  # nobody's part; to open a pipe would wait for its other end
            with part.open("rb") as file:
                if fcntl is None:
                    file.close()
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
