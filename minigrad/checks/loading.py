"""Functions out of files of Python and out of notebooks, by name, and an example of their arguments."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import linecache
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.checks.names import is_parameter
from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.reporting import reporting

__all__ = ["EXAMPLE", "examples_for", "function_from", "module_from"]

EXAMPLE = "example_arguments"
B, D, H, N, T = 4, 3, 5, 2, 6
"""Sizes of examples that are made up: the batch, the inputs, the state, the outputs, the steps; all different."""


def module_from(path: str | Path) -> types.ModuleType:
    """The module that a .py file, or the code cells of an .ipynb file, make. It is run, so whatever it does is done.

    Raises:
        ArgumentError: there is no such file, or it is no Python; the message has the file and the line.
    """
    path = Path(path)
    if path.suffix not in (".py", ".ipynb"):
        raise ArgumentError(f"check: expected a .py or an .ipynb file, got {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"check: cannot read {path}: {error.strerror or error}") from None
    source = _cells(text, path) if path.suffix == ".ipynb" else text
    file = str(path.resolve())
    module = types.ModuleType(path.stem)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    sys.modules.setdefault(path.stem, module)
    if str(path.resolve().parent) not in sys.path:
        sys.path.insert(0, str(path.resolve().parent))
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except SyntaxError as error:
        raise ArgumentError(f"check: {path.name}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
    except Exception as error:
        raise ArgumentError(
            f"check: {path.name} raises {type(error).__name__} when it is run: {error}. Put what is not a definition under "
            'if __name__ == "__main__":'
        ) from error
    return module


def _cells(text: str, path: Path) -> str:
    """The code cells of a notebook, one below the other, without lines for the shell and the notebook."""
    try:
        cells = json.loads(text)["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise ArgumentError(f"check: {path} is no notebook: expected JSON with cells") from None
    return "\n\n".join("\n".join(_plain(line) for line in cell.splitlines()) for cell in code if not cell.startswith("%%"))


def _plain(line: str) -> str:
    start = line.lstrip()
    return line[: len(line) - len(start)] + "pass" if start.startswith(("%", "!", "?")) else line


def function_from(place: str, modules: dict[str, types.ModuleType]) -> Any:
    """The function, or the method of a class, at ``file.py:name`` or ``file.py:Class.name``.

    Raises:
        ArgumentError: the file does not have it; the message lists what it has.
    """
    file, _, name = place.rpartition(":")
    if not file or not name:
        raise ArgumentError(f"check: expected file.py:function, got {place!r}")
    if file not in modules:
        modules[file] = module_from(file)
    found: Any = modules[file]
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        known = sorted(
            n
            for n, value in vars(modules[file]).items()
            if inspect.isfunction(value) and value.__module__ == modules[file].__name__
        )
        raise ArgumentError(f"check: {file} has no function {name!r}; it has {', '.join(known) or 'none'}")
    return found


def examples_for(forward: Any, place: str | None, modules: dict[str, types.ModuleType]) -> Iterator[Any]:
    """Examples of the arguments of ``forward``: the one that is named, the file's own, or several made up by the names.

    Raises:
        ArgumentError: there is none, and none of the usual layouts fits.
    """
    if place is not None:
        yield _called(function_or_value(place, modules))
        return
    for module in modules.values():
        if hasattr(module, EXAMPLE):
            yield _called(getattr(module, EXAMPLE))
            return
    fitting = [arguments for arguments in _made_up(forward) if _runs(forward, arguments)]
    yield from fitting
    if fitting:
        return
    raise ArgumentError(
        f"check: which shapes does {getattr(forward, '__name__', 'the forward pass')}{inspect.signature(forward)} take? None "
        f"of the usual layouts fits. Write {EXAMPLE} = (…), arrays in order, into the file, or name it: --example file.py:name"
    )


def function_or_value(place: str, modules: dict[str, types.ModuleType]) -> Any:
    """Whatever stands at ``file.py:name``."""
    file, _, name = place.rpartition(":")
    if file not in modules:
        modules[file] = module_from(file)
    if not hasattr(modules[file], name):
        raise ArgumentError(f"check: {file} has no {name!r}")
    return getattr(modules[file], name)


def _called(value: Any) -> Any:
    return value() if callable(value) else value


def _runs(forward: Any, arguments: dict[str, Any]) -> bool:
    """Whether the forward pass takes these, and makes states of the shapes of states."""
    try:
        with reporting(all="ignore"):
            result = forward(**arguments)
    except Exception:
        return False
    parts = list(result) if isinstance(result, tuple | list) else [result]
    arrays = [part.shape for part in parts if isinstance(part, np.ndarray)]
    if any(isinstance(value, np.ndarray) and value.ndim == 3 for value in arguments.values()):
        return any(len(shape) == 3 and T in shape and H in shape for shape in arrays)
    states = [value.shape for name, value in arguments.items() if isinstance(value, np.ndarray) and _kind(name) == "state"]
    return all(shape in arrays for shape in states[:1])


def _kind(name: str) -> str:
    word = name.lower().replace("_", "")
    for mark in ("prev", "previous", "next", "0", "init", "tm1"):
        word = word.replace(mark, "")
    if word in ("x", "xt", "input", "inputs", "xs"):
        return "input"
    if word in ("h", "a", "s", "c", "ht", "at", "st", "ct", "hidden", "state", "cell"):
        return "state"
    if word.startswith("b"):
        return "bias"
    return "weight"


def _made_up(forward: Any) -> Iterator[dict[str, Any]]:
    """Examples in the usual layouts: columns or rows, weights side by side or apart, stacked gates or not, steps or not.

    Those of one example alone come last.
    """
    parameters = inspect.signature(forward).parameters
    keys = {name: _keys(forward, name) for name in parameters}
    rng = np.random.default_rng(5)
    everything = {key for name in parameters for key in (keys[name] or [name])}
    split = any(key.upper().startswith("U") for key in everything)
    optional = [n for n, p in parameters.items() if p.default is not p.empty and not isinstance(p.default, bool | str)]
    for times, (columns, batch), gates, apart, flat, given in itertools.product(
        (None, 2, 1, 0),
        ((True, B), (False, B), (True, 0), (True, 1)),
        (1, 4, 3),
        (False, True),
        (False, True),
        ((), optional) if any(_is_array(name) for name in optional) else ((),),
    ):

        def array(
            name: str,
            times: int | None = times,
            columns: bool = columns,
            batch: int = batch,
            gates: int = gates,
            apart: bool = apart,
            flat: bool = flat,
        ) -> Array:
            shape = _shape(name, batch or B, columns, gates, apart or split, flat or not batch, split)
            if not batch and _kind(name) in ("input", "state"):
                shape = shape[:1]
            if times is not None and _kind(name) == "input":
                shape = (*shape[:times], T, *shape[times:])
            return rng.standard_normal(shape) * 0.5

        yield {
            name: {key: array(key) for key in keys[name]} if keys[name] else array(name)
            for name, parameter in parameters.items()
            if parameter.default is inspect.Parameter.empty or (name in given and _is_array(name))
        }


def _is_array(name: str) -> bool:
    """Whether a parameter is usually an array: a state, a weight or a bias."""
    return _kind(name) == "state" or is_parameter(name)


def _keys(forward: Any, name: str) -> list[str]:
    """The names of weights and biases that something called ``name`` is indexed with, anywhere in the file."""
    try:
        tree = ast.parse("".join(linecache.getlines(forward.__code__.co_filename)))
    except (AttributeError, SyntaxError):
        return []
    found = [
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and node.slice.value[:1] in "WUVRbB"
    ]
    return list(dict.fromkeys(found))


def _shape(name: str, batch: int, columns: bool, gates: int, apart: bool, flat: bool, split: bool) -> tuple[int, ...]:
    kind, word = _kind(name), name.lower().replace("_", "")
    if kind == "input":
        return (D, batch) if columns else (batch, D)
    if kind == "state":
        return (H, batch) if columns else (batch, H)
    output = word.endswith("y") or word in ("why", "wya", "by", "v")
    high = N if output else gates * H
    if kind == "bias":
        return (high,) if flat or not columns else (high, 1)
    if output:
        wide = H
    elif not apart:
        wide = H + D
    elif split:
        wide = H if word.startswith("u") else D
    elif "x" in word or word in ("w", "wi", "wih") or (len(word) == 2 and word[0] == "w" and word[1] not in "h"):
        wide = D
    else:
        wide = H
    return (high, wide) if columns else (wide, high)
