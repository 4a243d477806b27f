"""What a step may use of Python's library, NumPy and minigrad: what is known to do nothing but return its result.

All the rest, be it `print`, `time`, `os.write` or a socket, is not: this is a list of what is allowed, and it is short. So is
the list of classes of C whose objects may be used, whatever package they come from (`c_objects`).
"""

from __future__ import annotations

import builtins
import functools
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

__all__ = [
    "C_FUNCTIONS", "REFUSED_ANYWHERE", "home_of", "home_of_class", "home_of_function", "is_of_c", "is_refused", "layout",
]  # fmt: skip

ALLOWED: Final = {
    "__future__", "_abc", "_bisect", "_collections", "_collections_abc", "_contextvars", "_functools", "_heapq", "_operator",
    "_random", "_sre", "_statistics", "_struct", "_typing", "abc", "array", "bisect", "builtins", "cmath", "collections",
    "contextlib", "contextvars", "copy", "dataclasses", "enum", "fractions", "functools", "heapq", "itertools", "keyword",
    "math", "numbers", "operator", "random", "re", "statistics", "string", "struct", "textwrap", "types", "typing",
    "minigrad", "numpy", "typing_extensions",
}  # fmt: skip
"""The packages whose code is not looked into, and trusted but for a few names."""

BUILT_IN: Final = {
    "abs", "all", "any", "ascii", "bin", "callable", "chr", "delattr", "dir", "divmod", "format", "getattr", "hasattr", "hash",
    "hex", "isinstance", "issubclass", "iter", "len", "max", "min", "next", "oct", "ord", "pow", "repr", "round", "setattr",
    "sorted", "sum", "vars", "__build_class__",
}  # fmt: skip
"""The functions that are built in and may be used, beside all classes."""

REFUSED: Final[Mapping[str, frozenset[str]]] = {
    "builtins": frozenset(
        {
            name
            for name, value in vars(builtins).items()
            if not isinstance(value, type) and callable(value) and name not in BUILT_IN
        }
    ),
    "numpy": frozenset({
        "DataSource", "ctypeslib", "datetime64", "errstate", "f2py", "fromfile", "fromregex", "genfromtxt", "get_printoptions",
        "getbufsize", "geterr", "geterrcall", "info", "load", "loadtxt", "memmap", "nested_iters", "nditer", "printoptions",
        "save", "savetxt", "savez", "savez_compressed", "set_printoptions", "setbufsize", "seterr", "seterrcall", "show_config",
        "show_runtime", "testing",
    }),
    "minigrad": frozenset({
        "checkpoint", "checks", "check_backward", "explain_loop", "keep_freed_memory", "load_checkpoint", "native",
        "save_arrays", "save_checkpoint", "training", "viz",
    }),
    "random": frozenset({"SystemRandom"}),
    "contextlib": frozenset({"chdir", "redirect_stderr", "redirect_stdout"}),
    "re": frozenset({"purge"}),
    "statistics": frozenset({"NormalDist", "kde_random"}),
}  # fmt: skip
"""What may not be used all the same: it sees or changes what lies outside, such as files, settings, the time, and the random
numbers of everybody."""

REFUSED_ANYWHERE: Final = frozenset({
    "tofile", "dump", "setflags", "resize", "spawn",
    "__annotations__", "__builtins__", "__closure__", "__code__", "__defaults__", "__globals__", "__kwdefaults__",
    "__subclasses__", "__traceback__", "cell_contents", "f_back", "f_builtins", "f_globals", "f_locals", "gi_frame", "tb_frame",
})  # fmt: skip
"""Attributes, of whatever, that write to files, change the form of an array, count what they make, or lead from a function
to all that there is."""

C_FUNCTIONS: Final = (BuiltinFunctionType, type(np.dot), type(np.random.default_rng))
METHODS: Final = (WrapperDescriptorType, MethodDescriptorType, ClassMethodDescriptorType)
LIBRARY: Final = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib")})


layouts: WeakKeyDictionary[type, type] = WeakKeyDictionary()


def is_refused(home: str, value: Any) -> bool:
    """Whether a function, class or module of an allowed package may not be used, itself or all that is in its module.

    >>> is_refused("numpy", np.save), is_refused("numpy", np.sum), is_refused("numpy", np.testing.assert_allclose)
    (True, False, True)
    """
    path = value.__name__ if isinstance(value, ModuleType) else f"{value.__module__}.{value.__name__}"
    return not REFUSED.get(home, frozenset()).isdisjoint(path.split("."))


def home_of(module: ModuleType | str | None, space: Mapping[str, Any] | None = None) -> str | None:
    """Whose a module is: the name of a package that is ``ALLOWED``, "" for the rest of Python's library, None for others.

    Args:
        module: the module, or its name.
        space: its globals, if they are known: another module may go by that name.

    >>> home_of("functools"), home_of("os.path"), home_of("scipy.special")
    ('functools', '', None)
    """
    name = module.__name__ if isinstance(module, ModuleType) else module
    found = sys.modules.get(name) if isinstance(name, str) else None
    space = vars(module) if isinstance(module, ModuleType) else space
    if found is None or name is None or (space is not None and vars(found) is not space):
        return None
    root = name.partition(".")[0]
    if root not in sys.stdlib_module_names:
        return root if root in ALLOWED else None
    return _place(name, getattr(found, "__file__", None), root)


@functools.lru_cache(maxsize=4096)
def _place(name: str, file: str | None, root: str) -> str | None:
    """Whose a module is that goes by a name of Python's library: a user's may be called ``test``, or ``code``."""
    if file is not None:
        path = Path(file).resolve()
        if not str(path).startswith(LIBRARY) or "site-packages" in path.parts:
            return None
    return root if root in ALLOWED else ""


def is_of_c(kind: type) -> bool:
    """Whether a class is written in C: no class statement has made it.

    >>> import queue
    >>> is_of_c(dict), is_of_c(queue.SimpleQueue), is_of_c(queue.Queue)
    (True, True, False)
    """
    return layout(kind) is kind


def layout(kind: type) -> type:
    """The class of C that says what an object of this class holds beside its attributes."""
    found = layouts.get(kind)
    if found is None:
        found = kind
        while not _is_compiled(found):
            found = found.__base__ or object
        layouts[kind] = found
    return found


def _is_compiled(kind: type) -> bool:
    if not kind.__flags__ & 1 << 9:  # it is no object on the heap
        return True
    for name, value in vars(kind).items():
        if isinstance(value, METHODS) and value.__objclass__ is kind:
            return True
        if name == "__new__" and isinstance(value, BuiltinFunctionType) and value.__self__ is kind:
            return True
    return False


def home_of_class(kind: type) -> str | None:
    """Whose a class is; see `home_of`."""
    home = home_of(kind.__module__)
    if home is None or is_of_c(kind):
        return home
    outer, _, inner = kind.__qualname__.partition(".")
    found = vars(sys.modules[kind.__module__]).get(outer)  # what is executed without a module's name is said to be built in
    return home if found is kind or (inner and found is not None) else None


def home_of_function(function: FunctionType) -> str | None:
    """Whose a function of Python's is; see `home_of`."""
    return home_of(function.__globals__.get("__name__"), function.__globals__)
