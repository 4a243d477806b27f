"""What a step does beside returning its result: seen, undone and said, so that the plain loop that follows finds all as it was.

A step can change what it can reach: the attributes of its cell, globals and closures, attributes of functions, classes and
modules, and the lists, dicts, sets, arrays and other objects that hang there; the random numbers that come next; context
variables. All of it is noted before a step is traced, and compared when the trace is over. The code of Python's library, of
NumPy and of minigrad is not looked into. Nobody can tell who changed something: what another thread does meanwhile to an
object that the step can reach, in the milliseconds of one trace, is taken for the step's, and undone with it.
"""

from __future__ import annotations

import functools
import io
import itertools
import logging
import pickle
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from minigrad.loops.program import CannotCompile
from minigrad.module import Parameter
from minigrad.tensor import Tensor

__all__ = ["Effects", "without_effects"]

Value = TypeVar("Value")

SIMPLE: Final = {
    type(None), bool, int, float, complex, str, bytes, range, slice, type(...), Tensor, Parameter, np.ufunc, np.dtype,
}  # fmt: skip
"""What cannot be changed and leads nowhere; of a tensor, not without the tracer."""

KNOWN: Final = sys.stdlib_module_names | {"minigrad", "numpy", "typing_extensions"}
"""The packages whose code is not looked into."""

MOST: Final = 4096
"""How many objects are looked into, and so many entries of each: a step that reaches more is watched as far as that."""

MOST_BYTES: Final = 2**20
"""The size of the arrays that are compared."""

LASTING: Final = {
    "geterr": "may read NumPy's settings", "geterrcall": "may read NumPy's settings", "seterr": "may change NumPy's settings",
    "seterrcall": "may change NumPy's settings", "print": "may print", "input": "may ask", "warn": "may warn",
    "warn_explicit": "may warn", "breakpoint": "may stop", "open": "may open a file",
    "spawn": "may spawn generators of random numbers", "write_text": "may write to a file",
    "write_bytes": "may write to a file", "environ": "may use the environment",
}  # fmt: skip
"""Functions that do, or see, what cannot be undone, or is otherwise while a step is traced."""

ANYTHING: Final = {"getattr", "vars", "dir", "globals", "locals", "eval", "exec", "attrgetter", "methodcaller", "__dict__"}
"""What may read something that there is no name for in the code."""

MAKING: Final = {"__init__", "__new__", "__init_subclass__", "__repr__", "__str__", "__reduce__", "__copy__", "__deepcopy__"}
"""Methods that are called only by their names."""

LEADING: Final[dict[type, tuple[str, ...]]] = {
    MethodType: ("__func__", "__self__"),
    BuiltinFunctionType: ("__self__",),
    property: ("fget",),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.partial: ("func", "args", "keywords"),
    functools.cached_property: ("func",),
    functools._lru_cache_wrapper: ("__wrapped__",),
}
"""What leads to other code, and by which attributes."""

GLOBAL: Final = {"random": random.random.__self__, "numpy.random": np.random.rand.__self__}  # type: ignore[attr-defined]
"""The random numbers that belong to nobody."""

ABSENT: Final = object()
STATE: Final = object()
"""Stands for the name of what has none."""


def without_effects(root: Any, names: Iterable[str], function: Callable[..., Value], *args: Any) -> Value:
    """What a function returns that does nothing else.

    Args:
        root: whose methods it calls; or a function that it calls.
        names: the names of those methods.
        function: the function.
        args: what it is given.

    Raises:
        CannotCompile: it does something else, which has been undone, or may do what cannot be undone, and was not called.
    """
    effects, before = Effects(root, names), copy_context()
    if effects.lasting is not None:
        raise CannotCompile(f"its step {effects.lasting}")
    inside, changed = before.copy(), None
    try:
        effects.lock()
        result = inside.run(function, *args)
    finally:
        changed = effects.undone()
    changed = next((variable.name for variable in inside if inside[variable] is not before.get(variable, ABSENT)), changed)
    if changed is not None:
        raise CannotCompile(f"its step changes {changed}")
    return result


class Kept(NamedTuple):
    """Something that can be changed: values by name, or a state."""

    path: str
    then: Mapping[Any, Any]
    now: Callable[[], Mapping[Any, Any]]
    put_back: Callable[[Any], None]


class Effects:
    """All that some code can change, as it is before it is run.

    Args:
        root: an object whose methods are the code, or a function.
        names: the names of the methods.

    >>> class Counting:
    ...     count = 0
    ...     def step(self):
    ...         self.count += 1
    >>> counting = Counting()
    >>> effects = Effects(counting, ["step"])
    >>> counting.step()
    >>> effects.undone(), counting.count
    ('count', 0)
    """

    __slots__ = ("_kept", "_large", "_names", "_seen", "_spaces", "_waiting", "lasting")

    def __init__(self, root: Any, names: Iterable[str] = ()) -> None:
        self.lasting: str | None = None
        """What the code may do that cannot be undone; None if nothing of the kind is known."""
        self._kept: list[Kept] = []
        self._large: list[Any] = []
        self._seen: dict[int, Any] = {}
        self._names: set[str] = set(names)
        """The names in the code: any of them may be that of an attribute of anything."""
        self._spaces: list[tuple[str, Mapping[str, Any], set[str]]] = []
        """Attributes of objects, classes and modules, and those that were looked at."""
        self._waiting: list[tuple[str, Any]] = [("", root)]
        while self._waiting and len(self._seen) < MOST:
            self._look_at(*self._waiting.pop())
            if not self._waiting:
                self._look_up_names()

    def lock(self) -> None:
        """Let nobody write to large arrays, which are not copied, until all is undone: a step that does raises an error."""
        for value in self._large:
            value.flags.writeable = False

    def undone(self) -> str | None:
        """Undo what the code has done; what that was, or None."""
        changed = None
        for value in sorted(self._large, key=lambda value: value.base is not None):
            value.flags.writeable = True  # of a view, if the array that it is of can be written to
        for path, then, now, put_back in self._kept:
            names = _different(then, now())
            if names:
                changed = f"{path}{names[0]}" if type(names[0]) is str else path.rstrip(".")
                put_back(then)
        return changed

    # ---------------------------------------------------------------- what can be reached

    def _look_at(self, path: str, value: Any) -> None:
        if type(value) in SIMPLE or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, dict | list | set | deque | bytearray):
            self._look_into_container(path, value)
        elif isinstance(value, tuple | frozenset):
            self._wait(f"{path}.", dict(enumerate(value)))
        elif isinstance(value, np.ndarray):
            self._look_into_array(path, value)
        elif isinstance(value, io.IOBase | logging.Logger):
            self.lasting = f"may use {path or 'it'}, a {type(value).__name__}"
        elif isinstance(value, np.random.Generator | np.random.BitGenerator):
            bits = value.bit_generator if isinstance(value, np.random.Generator) else value
            self._keep_state(path, lambda: pickle.dumps(bits.state), lambda then: setattr(bits, "state", pickle.loads(then)))
        elif isinstance(value, np.random.RandomState):
            state = value.get_state()
            self._keep_state(path, lambda: _hashable(value.get_state()), lambda _: value.set_state(state))
        elif isinstance(value, random.SystemRandom):
            self.lasting = "may draw random numbers that never come again"
        elif isinstance(value, random.Random):
            self._keep_state(path, value.getstate, value.setstate)
        elif isinstance(value, FunctionType):
            self._look_into_function(value)
        elif isinstance(value, ModuleType):
            if _is_known(value.__name__):
                self._names.add(value.__name__.rpartition(".")[2])
            else:
                self._look_into_space(f"{value.__name__}.", vars(value))
        elif isinstance(value, type):
            if not _is_known(value.__module__):
                self._look_into_class(value)
                self._wait(f"{path}.", dict(enumerate(value.__bases__)))
        elif not isinstance(value, Tensor | np.generic | np.dtype):
            self._look_into_object(path, value)

    def _look_into_array(self, path: str, value: Any) -> None:
        if value.dtype == object:
            self._keep(f"{path}.", lambda: dict(enumerate(value.flat)), partial(_fill_again, value))
        elif value.nbytes <= MOST_BYTES:
            then = value.copy()
            self._keep_state(path, value.tobytes, lambda _: value.__setitem__(..., then))
        elif value.flags.writeable and isinstance(value.base, np.ndarray | None):
            self._large.append(value)

    def _look_into_container(self, path: str, value: Any) -> None:
        if len(value) > MOST:
            self._keep_state(path, lambda: len(value), partial(_shorten, value))
        elif isinstance(value, dict):
            self._keep(f"{path}.", partial(dict, value), partial(_refill, value))
        else:
            self._keep(f"{path}.", lambda: dict(enumerate(value)), partial(_refill, value))

    def _look_into_function(self, function: FunctionType) -> None:
        names = frozenset({function.__name__}) if _is_known(function.__module__) else _names_in(function.__code__)
        for name in names.intersection(LASTING):
            self.lasting = LASTING[name]
        if _is_known(function.__module__):
            return
        self._names |= names
        space = function.__globals__
        now = lambda: {name: space[name] for name in names.intersection(space)}  # noqa: E731
        self._keep("", now, partial(_reset, space.__setitem__, space.__delitem__, now))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._keep("", partial(_content, name, cell), partial(_hold_again, name, cell))
        self._keep(f"{function.__name__}.", vars(function).copy, partial(_refill, vars(function)))
        self._wait("a default ", dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {}))

    def _look_into_class(self, kind: type) -> None:
        path, now = f"{kind.__name__}.", lambda: dict(vars(kind))
        self._note(path, now, partial(_reset, partial(setattr, kind), partial(delattr, kind), now))
        self._spaces.append((path, vars(kind), set()))
        self._names |= {name for name in vars(kind) if name.startswith("__")} - MAKING

    def _look_into_space(self, path: str, space: dict[str, Any]) -> None:
        """Note the attributes of an object or a module, and look later at those that there is a name for."""
        self._note(path, space.copy, partial(_reset, space.__setitem__, space.__delitem__, space.copy))
        self._spaces.append((path, space, set()))

    def _look_up_names(self) -> None:
        """Look at what the names in the code may lead to, as far as that has not been done."""
        if "random" in self._names and id(GLOBAL) not in self._seen:
            self._look_at("", GLOBAL)
        for path, space, known in self._spaces:
            names = set(space) if self._names & ANYTHING else self._names.intersection(space)
            self._wait(path, {name: space[name] for name in names - known})
            known |= names

    def _look_into_object(self, path: str, value: Any) -> None:
        kind = type(value)
        if (memory := _memory_of(value)) is not None:
            self._keep_state(path, memory.tobytes, partial(_write_again, memory))
        if isinstance(value, functools._lru_cache_wrapper):
            self._keep_state(f"the cache of {path}", lambda: _size(value), partial(_empty_again, value))
        if kind in LEADING:
            self._wait(f"{path}.", {name: getattr(value, name) for name in LEADING[kind]})
            return
        self._look_at(path, kind)
        prefix, attributes = f"{path}." if path else "", _attributes_of(value)
        if attributes is not None:
            self._look_into_space(prefix, attributes)
            if any(_is_of_library(base) for base in kind.__mro__):
                self._wait(prefix, attributes)  # whose code, which names them, is not looked into
        elif isinstance(value, Iterator):
            self.lasting = f"may take from {path or 'it'}, a {kind.__name__}"
        if _is_known(kind.__module__):
            return
        slots = {name: slot for base in kind.__mro__ for name, slot in vars(base).items() if type(slot) is MemberDescriptorType}
        if slots:
            now, write, delete = partial(_in_slots, value, slots), object.__setattr__, object.__delattr__
            self._keep(prefix, now, partial(_reset, partial(write, value), partial(delete, value), now))

    # ---------------------------------------------------------------- what is noted of it

    def _keep(self, path: str, now: Callable[[], Mapping[Any, Any]], put_back: Callable[[Any], None]) -> None:
        """Note values by their names, and look at them later."""
        self._wait(path, self._note(path, now, put_back))

    def _note(self, path: str, now: Callable[[], Mapping[Any, Any]], put_back: Callable[[Any], None]) -> Mapping[Any, Any]:
        """Note values by their names."""
        self._kept.append(Kept(path, then := now(), now, put_back))
        return then

    def _keep_state(self, path: str, now: Callable[[], Any], put_back: Callable[[Any], None]) -> None:
        """Note a state, which is compared as a whole."""
        self._kept.append(Kept(path, {STATE: now()}, lambda: {STATE: now()}, lambda then: put_back(then[STATE])))

    def _wait(self, path: str, values: Mapping[Any, Any]) -> None:
        self._waiting += [(f"{path}{name}", value) for name, value in itertools.islice(values.items(), MOST)]


def _different(then: Mapping[Any, Any], now: Mapping[Any, Any]) -> list[Any]:
    """The names whose values are not the same; all, if only their order is another."""
    before, after = ([(name, _identity(name, value)) for name, value in each.items()] for each in (then, now))
    if before == after:
        return []
    return [name for name, _ in set(before) ^ set(after)] or list(then)


def _identity(name: Any, value: Any) -> Any:
    return value if name is STATE or type(value) in (int, float, str) else id(value)


def _hashable(state: Any) -> tuple[Any, ...]:
    return tuple([part.tobytes() if isinstance(part, np.ndarray) else part for part in state])


def _refill(container: Any, then: Any) -> None:
    """Put entries back into a container."""
    container.clear()
    if isinstance(container, dict):
        container.update(then)
    else:
        (container.update if isinstance(container, set) else container.extend)(then.values())


def _shorten(container: Any, count: int) -> None:
    """Take the last entries out of a large container."""
    for entry in list(container)[count:]:
        container.pop(entry) if isinstance(container, dict) else container.pop()


def _memory_of(value: Any) -> Any:
    """The bytes of what others can write to as memory (of array.array, memoryview, ctypes), as an array; else None."""
    try:
        memory = np.frombuffer(value, np.uint8)
    except (TypeError, ValueError, BufferError):
        return None
    return memory if memory.flags.writeable and memory.nbytes <= MOST_BYTES else None


def _write_again(memory: Any, then: bytes) -> None:
    memory[...] = np.frombuffer(then, np.uint8)


def _fill_again(array: Any, then: Mapping[int, Any]) -> None:
    for number, value in then.items():
        array.flat[number] = value


def _size(cached: functools._lru_cache_wrapper[Any]) -> tuple[int, int]:
    """How much a function has remembered, and how often."""
    info = cached.cache_info()
    return info.currsize, info.misses


def _empty_again(cached: functools._lru_cache_wrapper[Any], then: tuple[int, int]) -> None:
    """Let a function forget all, if it knew nothing before; nothing can take a single result out of it."""
    if not then[0]:
        cached.cache_clear()


def _reset(write: Callable[[str, Any], None], delete: Callable[[str], None], now: Callable[[], Any], then: Any) -> None:
    """Put values back under their names."""
    found = now()
    for name in found.keys() - then.keys():
        delete(name)
    for name, value in then.items():
        if found.get(name, ABSENT) is not value:
            write(name, value)


def _attributes_of(value: Any) -> dict[str, Any] | None:
    """The attributes of an object, as they are stored."""
    try:
        attributes = vars(value) if isinstance(value, threading.local) else object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes if type(attributes) is dict else None


def _in_slots(value: Any, slots: Mapping[str, MemberDescriptorType]) -> dict[str, Any]:
    found = {}
    for name, slot in slots.items():
        with suppress(AttributeError):
            found[name] = slot.__get__(value)
    return found


def _content(name: str, cell: CellType) -> dict[str, Any]:
    """What a variable of a closure holds, if it holds anything."""
    try:
        return {name: cell.cell_contents}
    except ValueError:
        return {}


def _hold_again(name: str, cell: CellType, then: Mapping[str, Any]) -> None:
    if then:
        cell.cell_contents = then[name]
    else:
        del cell.cell_contents


@functools.lru_cache(maxsize=4096)
def _names_in(code: CodeType) -> frozenset[str]:
    """The names in some code, and in that of functions that are defined in it: of globals and of attributes."""
    inner = [_names_in(const) for const in code.co_consts if isinstance(const, CodeType)]
    return frozenset(code.co_names).union(*inner)


def _is_of_library(kind: type) -> bool:
    package = (kind.__module__ or "").partition(".")[0]
    return package in sys.stdlib_module_names and package not in ("builtins", "abc", "typing")


def _is_known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in KNOWN
