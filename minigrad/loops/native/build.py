"""From source to a function: generated code is compiled once for each structure, and kept on disk.

The folder is ``MINIGRAD_NATIVE_CACHE``, else ``minigrad/native`` in the user's folder for caches. A file's name says what was
compiled, by which version of this package and of LLVM, and for which processor, so nothing in it goes stale; it begins with a
digest of what follows, so what is damaged is compiled again. Where the folder cannot be written, code is compiled in memory.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any, Final

import llvmlite
import llvmlite.binding as llvm

from minigrad.files import replace_file
from minigrad.locks import lock
from minigrad.loops.native.compiler import module_of
from minigrad.loops.native.flags import library
from minigrad.loops.program import CannotCompile

__all__ = ["built"]

FOLDER: Final = "MINIGRAD_NATIVE_CACHE"

LONG: Final = 1.0
"""Seconds after which somebody who waits wants to know why."""

DIGEST: Final = 32
"""Bytes of a digest."""

KINDS: Final[dict[str, Any]] = {"int64": ctypes.c_int64, "float32": ctypes.c_float, "float64": ctypes.c_double}
FUNCTIONS: Final = ("pow", "log", "sin", "cos", "log1p", "expm1")
"""Functions of C that compiled code may call."""

PROCESSOR: Final = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()

functions: dict[str, Any] = {}
building = lock()


def built(source: str, what: str) -> Any:
    """The function ``run`` of generated code, compiled or from the cache; its ``address`` is what other code calls it by.

    Args:
        source: the code.
        what: what it does, for the line that is printed when compiling takes long.

    Raises:
        CannotCompile: LLVM cannot compile it.
    """
    with building:
        if source not in functions:
            path = _place(source)
            functions[source] = _loaded(source, _kept(path) or _compiled(source, what, path))
        return functions[source]


def _kept(path: Path | None) -> bytes | None:
    """What the cache has; None if there is nothing, or it is damaged."""
    content = path.read_bytes() if path is not None and path.exists() else b""
    return content[DIGEST:] if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST] else None


def _compiled(source: str, what: str, path: Path | None) -> bytes:
    """Machine code, which is put into the cache."""
    where = "in memory" if path is None else f"kept in {path.parent}"
    patience = threading.Timer(LONG, print, [f"minigrad: compiling {what} ({where})"], {"file": sys.stderr, "flush": True})
    patience.daemon = True
    patience.start()
    try:
        code = _translated(str(module_of(source)))
    except CannotCompile:
        raise
    except Exception as error:  # where code is not what the compiler or LLVM expects, NumPy runs it
        raise CannotCompile(f"LLVM cannot compile it: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
    finally:
        patience.cancel()
    if path is not None:
        replace_file(path, lambda file: file.write(hashlib.sha256(code).digest() + code))
    return code


def _translated(text: str) -> bytes:
    module, machine = llvm.parse_assembly(text), _machine()
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization = True, False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return bytes(machine.emit_object(module))


def _loaded(source: str, code: bytes) -> Any:
    """Machine code as a function of Python, beside which other threads run."""
    arguments, result = re.findall(r"^def run\((.*)\)(?: -> (\w+))?:$", source, re.MULTILINE)[0]
    kinds = [KINDS[argument.partition(": ")[2] or "int64"] for argument in arguments.split(", ")]
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address("run")
    function: Any = ctypes.CFUNCTYPE(KINDS[result] if result else None, *kinds)(address)
    function.address, function.engine = address, engine
    return function


def _machine() -> Any:
    """This machine, as LLVM describes it: a description of its own for each engine, which takes it with it when it ends."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in (*FUNCTIONS, *[f"{name}f" for name in FUNCTIONS]):  # where LLVM finds the functions of C
        llvm.add_symbol(name, ctypes.cast(library()[name], ctypes.c_void_p).value)
    target, (cpu, features) = llvm.Target.from_default_triple(), PROCESSOR
    reloc = "static" if target.name.startswith("x86") else "default"
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault")


def _place(source: str) -> Path | None:
    """The file in the cache that has this code, or will; None if it cannot be written."""
    try:
        path = _folder() / f"loop_{hashlib.sha256(f'{_version()}{source}'.encode()).hexdigest()[:32]}.bin"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):  # the latter where the user has no folder of his own
        return None
    return path if os.access(path.parent, os.W_OK) else None


def _folder() -> Path:
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return Path(caches or Path.home() / ".cache") / "minigrad" / "native"


@cache
def _version() -> str:
    """What tells this package from other versions of it, its own text; and LLVM, and the processor."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    about = [llvmlite.__version__, llvm.get_process_triple(), *PROCESSOR]
    return hashlib.sha256(b"\0".join([*texts, *[text.encode() for text in about]])).hexdigest()
