"""From source to a function: generated code is compiled once for each structure, and kept on disk.

The folder is ``MINIGRAD_NATIVE_CACHE``, else ``minigrad/native`` in the user's folder for caches. A file's name says what was
compiled, and by which version of this package, so nothing in it goes stale. Where the folder cannot be written, code is
compiled in memory.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from minigrad.files import replace_file
from minigrad.locks import lock
from minigrad.loops.program import CannotCompile

__all__ = ["built"]

FOLDER: Final = "MINIGRAD_NATIVE_CACHE"

LONG: Final = 1.0
"""Seconds after which somebody who waits wants to know why."""

functions: dict[str, Any] = {}
building = lock()


def built(source: str, what: str) -> Any:
    """The function ``run`` of generated code, compiled or from the cache.

    Args:
        source: the code.
        what: what it does, for the line that is printed when compiling takes long.

    Raises:
        CannotCompile: numba cannot compile it.
    """
    with building:
        if source not in functions:
            functions[source] = _compiled(source, what)
        return functions[source]


def _compiled(source: str, what: str) -> Any:
    path, failed = _written(source), Exception()
    where = "in memory" if path is None else f"kept in {path.parent}"
    patience = threading.Timer(LONG, print, [f"minigrad: compiling {what} ({where})"], {"file": sys.stderr, "flush": True})
    patience.daemon = True
    patience.start()
    try:
        for place in dict.fromkeys((path, None)):
            try:
                return _executed(source, place)
            except CannotCompile:
                raise
            except Exception as error:  # what is in the cache may be damaged, or of something else: numba trusts what it finds
                failed = error
    finally:
        patience.cancel()
    raise CannotCompile(f"numba cannot compile it: {type(failed).__name__}: {str(failed).partition(chr(10))[0]}") from failed


def _executed(source: str, path: Path | None) -> Any:
    namespace: dict[str, Any] = {"__name__": __name__, "CACHED": path is not None, "named": _naming(source)}
    exec(compile(source, "<native loop>" if path is None else str(path), "exec"), namespace)
    if not hasattr(namespace["run"], "signatures") and not hasattr(namespace["run"], "address"):
        raise CannotCompile("numba is switched off (NUMBA_DISABLE_JIT)")
    return namespace["run"]


def _naming(source: str) -> Callable[[Any], Any]:
    """What gives functions of generated code names that no other code has.

    Numba tells functions by their names and a number that it counts up in each process. Two of one name, compiled in two
    processes, may so be one to the process that loads both from the cache, which then calls the wrong one.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:32]

    def named(function: Any) -> Any:
        function.__qualname__ = f"{function.__qualname__}_{digest}"
        return function

    return named


def _written(source: str) -> Path | None:
    """The file in the cache that has this code; None if it cannot be written."""
    name = hashlib.sha256(f"{_version()}\n{source}".encode()).hexdigest()[:32]
    try:
        path = _folder() / f"loop_{name}.py"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(path, lambda file: file.write(source.encode()))
        if not os.access(path.parent, os.W_OK):
            return None
    except (OSError, RuntimeError):  # the latter where the user has no folder of his own
        return None
    return path


def _folder() -> Path:
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return Path(caches or Path.home() / ".cache") / "minigrad" / "native"


@cache
def _version() -> str:
    """What tells this package from other versions of it: its own text."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()
