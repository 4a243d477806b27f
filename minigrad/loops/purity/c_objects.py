"""The classes of C whose objects a step may use: what such an object contains, how that is noted, and where it leads.

Iterators, files, locks, sockets, queues of C, weak references and the like are not among them: nobody can see, or put back,
what they hold. Nor are the classes of C of other packages.
"""

from __future__ import annotations

import functools
import gc
import operator
import pickle
import random
import re
from array import array
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import partial
from types import (
    CellType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from minigrad.loops.purity.snapshots import (
    content,
    empty_again,
    entries,
    fill_again,
    hold_again,
    memory_of,
    refill,
    size,
    write_again,
)

__all__ = ["DESCRIPTORS", "Watching", "contents_of"]

DESCRIPTORS: Final = (
    MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType, GetSetDescriptorType, MemberDescriptorType,
    type(vars(namedtuple("Pair", "first second"))["first"]),
)  # fmt: skip
"""Methods and fields of C that belong to no object: what they do is up to the object that they are given."""

MOST_BYTES: Final = 2**20
"""The size of the arrays that are compared; others may not be written to meanwhile."""


class Watching(Protocol):
    """Who notes it."""

    def keep(self, path: str, now: Callable[[], Mapping[Any, Any]], put_back: Callable[[Any], None]) -> None:
        """Note values by their names, and look at them later."""

    def keep_state(self, path: str, now: Callable[[], Any], put_back: Callable[[Any], None]) -> None:
        """Note a state, which is compared as a whole."""

    def keep_unwritten(self, value: Any) -> None:
        """See to it that nobody writes to a large array."""

    def wait(self, path: str, values: Mapping[Any, Any]) -> None:
        """Look at values later."""

    def keys(self, values: Iterable[Any]) -> None:
        """Say that these are looked up by what they are."""

    def hear(self, names: set[str]) -> None:
        """Take these, too, for names in the code."""

    def refuse(self, why: str) -> None:
        """Say that the code may do what cannot be undone."""


Look = Callable[[Watching, str, Any, Any], None]
"""What notes an object: its name, itself, and the class of C that it, or its class, is of."""


def _nothing(watching: Watching, path: str, value: Any, base: Any) -> None:
    """It cannot change, or all that it holds are attributes."""


def _container(watching: Watching, path: str, value: Any, base: Any) -> None:
    watching.keep(f"{path}.", partial(entries, base, value), partial(refill, base, value))
    if issubclass(base, dict | set):
        watching.keys(base.__iter__(value))
    if issubclass(base, dict):
        watching.wait(f"{path}.", dict(enumerate(base.keys(value))))
    if base is defaultdict:
        watching.wait(f"{path}.", {"default_factory": value.default_factory})


def _fixed(watching: Watching, path: str, value: Any, base: Any) -> None:
    if issubclass(base, frozenset):
        watching.keys(base.__iter__(value))
    watching.wait(f"{path}.", dict(enumerate(base.__iter__(value))))


def _memory(watching: Watching, path: str, value: Any, base: Any) -> None:
    if isinstance(value, memoryview) and value.readonly and isinstance(value.obj, bytes):
        return
    if not memoryview(value).c_contiguous or memoryview(value).nbytes > MOST_BYTES:
        watching.refuse(f"may write to {path or 'it'}, a {type(value).__name__}")
    else:
        watching.keep_state(path, lambda: memory_of(value).tobytes(), partial(write_again, value))


def _array(watching: Watching, path: str, value: Any, base: Any) -> None:
    if value.dtype == object:
        watching.keep(f"{path}.", lambda: dict(enumerate(value.flat)), partial(fill_again, value))
    elif value.nbytes <= MOST_BYTES:
        then = np.array(value)
        watching.keep_state(path, lambda: np.ndarray.tobytes(value), lambda _: np.ndarray.__setitem__(value, ..., then))
    elif value.flags.writeable and isinstance(value.base, np.ndarray | None):
        watching.keep_unwritten(value)
    elif value.flags.writeable:
        watching.refuse(f"may write to {path or 'it'}, a large array in another's memory")
    watching.wait(f"{path}.", {"base": value.base})


def _generator(watching: Watching, path: str, value: Any, base: Any) -> None:
    bits = value.bit_generator if isinstance(value, np.random.Generator) else value
    watching.keep_state(path, lambda: pickle.dumps(bits.state), lambda then: setattr(bits, "state", pickle.loads(then)))


def _random_state(watching: Watching, path: str, value: Any, base: Any) -> None:
    state = value.get_state()
    watching.keep_state(path, lambda: _hashable(value.get_state()), lambda _: value.set_state(state))


def _random(watching: Watching, path: str, value: Any, base: Any) -> None:
    if isinstance(value, random.SystemRandom):
        watching.refuse("may draw random numbers that never come again")
    else:
        watching.keep_state(path, partial(random.Random.getstate, value), partial(random.Random.setstate, value))


def _leading(*attributes: str) -> Look:
    """What leads to other code, and by which attributes."""

    def look(watching: Watching, path: str, value: Any, base: Any) -> None:
        watching.wait(f"{path}.", {name: getattr(value, name) for name in attributes})

    return look


def _cached(watching: Watching, path: str, value: Any, base: Any) -> None:
    watching.keep_state(f"the cache of {path}", lambda: size(value), partial(empty_again, value))
    watching.wait(f"{path}.", {"__wrapped__": value.__wrapped__} | dict(enumerate(_remembered(value))))


def _variable(watching: Watching, path: str, value: Any, base: Any) -> None:
    watching.wait(f"{path}.", {"value": value.get(None)})


def _cell(watching: Watching, path: str, value: Any, base: Any) -> None:
    watching.keep(f"{path}.", partial(content, "cell_contents", value), partial(hold_again, "cell_contents", value))


def _named(watching: Watching, path: str, value: Any, base: Any) -> None:
    _, arguments = value.__reduce__()[:2]
    watching.hear({part for name in arguments if isinstance(name, str) for part in name.split(".")})
    watching.wait(f"{path}.", dict(enumerate(arguments)))


def _universal(watching: Watching, path: str, value: Any, base: Any) -> None:
    if all(set(form) <= set("O->") for form in value.types):
        watching.refuse(f"may call {path or value.__name__}, which hides a function of Python's")


CONTENTS: Final[dict[Any, Look]] = {
    **dict.fromkeys(
        (object, Generic, TypeVar, int, float, complex, str, bytes, SimpleNamespace, re.Pattern, operator.itemgetter), _nothing
    ),
    **dict.fromkeys((dict, OrderedDict, defaultdict, list, set, deque), _container),
    **dict.fromkeys((tuple, frozenset), _fixed),
    **dict.fromkeys((bytearray, array, memoryview), _memory),
    np.ndarray: _array,
    np.ufunc: _universal,
    np.random.Generator: _generator,
    np.random.RandomState: _random_state,
    random.Random.__base__: _random,
    **dict.fromkeys((operator.attrgetter, operator.methodcaller), _named),
    MethodType: _leading("__func__", "__self__"),
    MethodWrapperType: _leading("__self__"),
    property: _leading("fget", "fset", "fdel"),
    staticmethod: _leading("__func__"),
    classmethod: _leading("__func__"),
    functools.partial: _leading("func", "args", "keywords"),
    functools.cached_property: _leading("func"),
    functools._lru_cache_wrapper: _cached,
    ContextVar: _variable,
    CellType: _cell,
}


def contents_of(base: type) -> Look | None:
    """What notes the contents of the objects of a class of C; None if they are not understood."""
    if issubclass(base, np.random.BitGenerator):
        return _generator
    if (issubclass(base, np.generic) and not issubclass(base, np.void)) or issubclass(base, np.dtype):
        return _nothing
    return CONTENTS.get(base)


def _remembered(cached: functools._lru_cache_wrapper[Any]) -> list[Any]:
    """What a function remembers: the results, which it holds itself or in a dict."""
    found: list[Any] = []
    for held in gc.get_referents(cached):
        if held is vars(cached) or getattr(held, "__module__", None) == "functools":
            continue
        found += held.values() if type(held) is dict else ()
        found.append(held)
    return [value for value in found if type(value).__module__ != "functools"]


def _hashable(state: Any) -> tuple[Any, ...]:
    return tuple([part.tobytes() if isinstance(part, np.ndarray) else part for part in state])
