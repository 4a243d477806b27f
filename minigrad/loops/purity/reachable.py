"""All that some code can reach, and with it all that it can change.

What can be reached is what the code has names for, and what hangs there. Whatever is met on the way must be known: code of
Python's, what is on the `allowlist`, an object whose attributes are all that it holds, or one of the `c_objects`. The
walk ends where anything else is met, be it a file, a lock, or a function of C. The code of what is allowed is not looked into;
names that are put together from parts while the code runs are not seen.
"""

from __future__ import annotations

import builtins
import random
import sys
from abc import ABCMeta
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from types import CodeType, FunctionType, GenericAlias, MemberDescriptorType, ModuleType, NotImplementedType, UnionType
from typing import Any, Final

import numpy as np

from minigrad.loops.purity.allowlist import (
    C_FUNCTIONS,
    REFUSED_ANYWHERE,
    home_of,
    home_of_class,
    home_of_function,
    is_of_c,
    is_refused,
    layout,
)
from minigrad.loops.purity.c_objects import DESCRIPTORS, contents_of
from minigrad.loops.purity.names import names_of
from minigrad.loops.purity.snapshots import Snapshot, content, hold_again, in_slots, refill, reset, state_of
from minigrad.module import Parameter
from minigrad.tensor import Tensor

__all__ = ["Reachable"]

SIMPLE: Final = {
    type(None), bool, int, float, complex, str, bytes, range, slice, type(...), NotImplementedType, CodeType, GenericAlias,
    UnionType, *DESCRIPTORS,
}  # fmt: skip
"""What cannot be changed and leads nowhere."""

MOST: Final = 4096
"""How many objects are looked at; a step that reaches more is not traced."""

ANYTHING: Final = {"getattr", "vars", "dir", "attrgetter", "__dict__", "__getattribute__"}
"""What may read something that there is no name for in the code."""

SETTING: Final = {"setattr", "delattr", "vars", "__dict__", "__setattr__", "__delattr__"}
"""What may set something that there is no name for in the code."""

TELLING: Final = {"is_", "is_not", "__eq__", "__ne__", "__hash__"}
"""What tells two objects apart, beside ``is``."""

FORM: Final = {"shape", "dtype", "strides", "writeable"}
"""What an array is beside its entries."""

MAKING: Final = ("__init__", "__new__", "__init_subclass__", "__set_name__")
"""Methods that are called where a class is, or is derived from."""

NOT_HEARD: Final = ANYTHING | SETTING | REFUSED_ANYWHERE | {*MAKING, "__class__"}
"""What minigrad's own code may do with its own."""

GLOBAL: Final = {"random": random.random.__self__, "numpy.random": np.random.rand.__self__}  # type: ignore[attr-defined]
"""The random numbers that belong to nobody."""


class Reachable:
    """All that some code can reach, as it is now.

    Args:
        root: an object whose methods are the code, or a function.
        names: the names of the methods.

    >>> import os
    >>> reachable = Reachable(lambda log: log.append(os.getpid()))
    >>> reachable.lasting
    'may use os'
    """

    __slots__ = (
        "_allowed", "_classes", "_names", "_seen", "_spaces", "_stored", "_waiting", "kept", "large", "lasting", "tells_apart",
    )  # fmt: skip

    def __init__(self, root: Any, names: Iterable[str] = ()) -> None:
        self.lasting: str | None = None
        """What the code may do that cannot be undone; None if nothing of the kind is known."""
        self.kept: list[Snapshot] = []
        self.large: list[Any] = []
        self.tells_apart = False
        """Whether the code may ask which of several tensors it was given."""
        self._seen: dict[int, Any] = {}
        self._classes: set[type] = set()
        self._names: set[str] = set(names)
        """The names in the code: any of them may be that of an attribute of anything."""
        self._stored: set[str] = set()
        """Those of attributes that are set."""
        self._spaces: list[tuple[str, Mapping[str, Any], set[str]]] = []
        """Attributes of objects, classes and modules, and those that were looked at."""
        self._allowed: list[Any] = []
        """The modules and classes of others whose code is not looked into."""
        self._waiting: list[tuple[str, Any]] = [("", root)]
        while self._waiting and self.lasting is None:
            if len(self._seen) > MOST:
                self.refuse(f"reaches more than {MOST} objects, which is more than can be looked at")
            self._look_at(*self._waiting.pop())
            if not self._waiting:
                self._look_up_names()
        if self._stored or self._names & SETTING:
            for allowed in self._allowed:
                self._note_attributes(f"{allowed.__name__}.", allowed)

    # ---------------------------------------------------------------- what can be reached

    def _look_at(self, path: str, value: Any) -> None:
        if type(value) in SIMPLE or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, FunctionType):
            self._look_into_function(value)
        elif isinstance(value, ModuleType):
            self._look_into_module(value)
        elif isinstance(value, type):
            self._look_into_class(value)
            self._wait_for_making(value)
        elif type(value) in C_FUNCTIONS:
            self._look_at_function_of_c(path, value)
        else:
            self._look_into_object(path, value)

    def _look_at_function_of_c(self, path: str, function: Any) -> None:
        owner = getattr(function, "__self__", None)
        self._names.add(function.__name__)
        if owner is not None and not isinstance(owner, ModuleType):
            self.wait(f"{path}.", {"__self__": owner})
            return
        home = home_of(function.__module__)
        if not home or is_refused(home, function):
            self.refuse(f"may call {function.__name__}")

    def _look_into_function(self, function: FunctionType) -> None:
        home, space, cells = home_of_function(function), function.__globals__, function.__closure__ or ()
        if home == "" or (home and is_refused(home, function)):
            self.refuse(f"may call {function.__name__}")
            return
        self.wait("", vars(function))
        if home == "minigrad":
            self._look_into_method(function)
            return
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
            if name == "__class__" and content(name, cell):  # for super(), which makes no object of it
                self._look_into_class(cell.cell_contents)
            else:
                self.keep("", partial(content, name, cell), partial(hold_again, name, cell))
        if home is not None:
            return
        names = names_of(function.__code__)
        if names.draws and function.__name__ not in MAKING:  # weights are drawn where a cell is made, and that was before
            self.refuse(f"may draw random numbers that never come again, in {function.__name__}")
        self._names |= names.every
        self._stored |= names.stored
        known = ChainMap(*map(content, function.__code__.co_freevars, cells), space, vars(builtins))
        others = {name for name in names.told_apart if not isinstance(known.get(name), type)}
        self.tells_apart |= bool(others or TELLING & names.every)
        now = lambda: {name: space[name] for name in names.globals.intersection(space)}  # noqa: E731
        self.keep("", now, partial(reset, space.__setitem__, space.__delitem__, now))
        built_in = vars(builtins)
        self.wait("", {name: built_in[name] for name in names.globals.difference(space) if name in built_in})
        for name in names.imported:
            self._import(name)
        self.keep(f"{function.__name__}.", vars(function).copy, partial(refill, dict, vars(function)))
        self.wait("a default ", dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {}))

    def _look_into_method(self, function: FunctionType) -> None:
        """Look at what a function of minigrad's calls that may be the user's: methods of a derived class, and functions that
        were put in the place of others."""
        names, space = names_of(function.__code__), function.__globals__
        if "." in function.__qualname__:
            self._names |= names.read - NOT_HEARD
        found = {name: space[name] for name in names.globals.intersection(space)}
        self.wait("", {name: f for name, f in found.items() if type(f) is FunctionType and home_of_function(f) is None})

    def _import(self, name: str) -> None:
        if name not in sys.modules:
            self.refuse(f"imports {name or 'a module'}")
            return
        self.wait("", {part: sys.modules[part] for part in (name, name.partition(".")[0])})

    def _look_into_module(self, module: ModuleType) -> None:
        home = home_of(module)
        if type(module) is not ModuleType:
            self.wait("", {type(module).__name__: type(module)})
        self._spaces.append((f"{module.__name__}.", vars(module), set()))
        if home == "" or (home and is_refused(home, module)):
            self.refuse(f"may use {module.__name__}")
        elif home is not None:
            self._allowed.append(module)
            self._names.add(module.__name__.rpartition(".")[2])
        else:
            self._note_attributes(f"{module.__name__}.", module)
            self.wait("", {"__getattr__": vars(module).get("__getattr__")})

    def _look_into_class(self, kind: type) -> None:
        """Look at a class as its objects see it, with the classes that it is derived from."""
        if kind in self._classes:
            return
        self._classes.add(kind)
        home = home_of_class(kind)
        if home == "" or (home and is_refused(home, kind)):
            self.refuse(f"may use a {kind.__name__}")
        elif home is not None:
            self._allowed += [] if is_of_c(kind) else [kind]
        elif is_of_c(kind):
            self.refuse(f"may use {kind.__name__}, which is not written in Python")
        else:
            path, meta = f"{kind.__name__}.", type(kind)
            self._note_attributes(path, kind)
            self._spaces.append((path, vars(kind), set()))
            self._names |= {
                name for name, value in vars(kind).items() if name.startswith("__") and type(value) not in SIMPLE
            }.difference(MAKING, REFUSED_ANYWHERE)
            for base in kind.__bases__:
                self._look_into_class(base)
            if meta is not type and meta is not ABCMeta:
                self.wait(path, {"__class__": meta})
                if home_of_class(meta):  # an enumeration, whose members are looked up by code that is not looked into
                    self.wait(path, vars(kind))

    def _wait_for_making(self, kind: type) -> None:
        """Look at what is called where objects of a class are made: not where they are there already."""
        if "__class__" in self._names or kind is type:
            for _, _, known in self._spaces:
                known.difference_update(MAKING)
            self._names.update(MAKING)
        for base in kind.__mro__:
            if home_of_class(base) is None:
                self.wait(f"{base.__name__}.", {name: vars(base)[name] for name in MAKING if name in vars(base)})

    def _look_into_object(self, path: str, value: Any) -> None:
        kind = type(value)
        base = kind if kind is cached_property else layout(kind)
        look = contents_of(base)
        if look is None:
            self.refuse(f"may use {path or 'it'}, a {kind.__name__}")
            return
        look(self, path, value, base)
        space = _attributes_of(value)
        if base is cached_property:
            return
        if is_of_c(kind):
            if space is not None:
                self.keep(f"{path}.", space.copy, partial(refill, dict, space))
            return
        if kind is Tensor or kind is Parameter:
            self.keep_state(f"the name of {path}", partial(_name_of, value), partial(setattr, value, "name"))
            return
        if kind not in self._classes:
            self._look_into_class(kind)
            ours = [base for base in kind.__mro__ if home_of_class(base) == "minigrad"]
            self._spaces += [(f"{base.__name__}.", vars(base), set()) for base in ours]
        prefix = f"{path}." if path else ""
        if space is not None:
            self._note(prefix, space.copy, partial(reset, space.__setitem__, space.__delitem__, space.copy))
            self._spaces.append((prefix, space, set()))
            if any(home_of_class(base) not in (None, "minigrad", "builtins", "abc", "typing") for base in kind.__mro__):
                self.wait(prefix, space)  # for code that is not looked into, and names them
        slots = _slots_of(kind)
        if slots:
            now, write, delete = partial(in_slots, value, slots), object.__setattr__, object.__delattr__
            self.keep(prefix, now, partial(reset, partial(write, value), partial(delete, value), now))

    def _look_up_names(self) -> None:
        """Look at what the names in the code may lead to, as far as that has not been done."""
        if "random" in self._names and id(GLOBAL) not in self._seen:
            self._look_at("", GLOBAL)
        for name in REFUSED_ANYWHERE & self._names:
            self.refuse(f"may use {name}")
        for name in self._stored:
            if name.startswith("__") or (name in FORM and any(isinstance(value, np.ndarray) for value in self._seen.values())):
                self.refuse(f"may set {name}")
        if "pop" in self._names and any(isinstance(value, set) for value in self._seen.values()):
            self.refuse("may pop from a set, and which element that is nobody can put back")
        for path, space, known in self._spaces:
            is_open = self._names & ANYTHING and not any(space is vars(allowed) for allowed in self._allowed)
            names = set(space) if is_open else self._names.intersection(space)
            self.wait(path, {name: space[name] for name in names - known})
            known |= names

    # ---------------------------------------------------------------- what is noted of it

    def keep(self, path: str, now: Callable[[], Mapping[Any, Any]], put_back: Callable[[Any], None]) -> None:
        """Note values by their names, and look at them later."""
        self.wait(path, self._note(path, now, put_back))

    def keep_state(self, path: str, now: Callable[[], Any], put_back: Callable[[Any], None]) -> None:
        """Note a state, which is compared as a whole."""
        self.kept.append(state_of(path, now, put_back))

    def keep_unwritten(self, value: Any) -> None:
        """See to it that nobody writes to a large array."""
        self.large.append(value)

    def wait(self, path: str, values: Mapping[Any, Any]) -> None:
        """Look at values later."""
        self._waiting += [(f"{path}{name}", value) for name, value in values.items() if type(value) not in SIMPLE]

    def keys(self, values: Iterable[Any]) -> None:
        """Say that these are looked up by what they are: tensors are told apart."""
        self.tells_apart |= any(isinstance(value, Tensor) for value in values)

    @property
    def asks_classes(self) -> bool:
        """Whether the code asks an object for its class."""
        return "__class__" in self._names

    def reaches(self, values: Iterable[Any]) -> bool:
        """Whether one of these was met."""
        return any(id(value) in self._seen for value in values)

    def hear(self, names: set[str]) -> None:
        """Take these, too, for names in the code."""
        self._names |= names

    def refuse(self, why: str) -> None:
        """Say that the code may do what cannot be undone."""
        self.lasting = self.lasting or why

    def _note(self, path: str, now: Callable[[], Mapping[Any, Any]], put_back: Callable[[Any], None]) -> Mapping[Any, Any]:
        """Note values by their names."""
        self.kept.append(Snapshot(path, then := now(), now, put_back))
        return then

    def _note_attributes(self, path: str, owner: Any) -> None:
        """Note the attributes of a class or a module."""
        now = lambda: dict(vars(owner))  # noqa: E731
        self._note(path, now, partial(reset, partial(setattr, owner), partial(delattr, owner), now))


def _name_of(tensor: Tensor) -> str | None:
    node = tensor._node
    return None if node is None else node.name


def _attributes_of(value: Any) -> dict[str, Any] | None:
    """The attributes of an object, as they are stored."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes if type(attributes) is dict else None


def _slots_of(kind: type) -> dict[str, MemberDescriptorType]:
    """The slots of an object, by name, but those that allowed packages know of."""
    classes = [base for base in kind.__mro__ if home_of_class(base) is None]
    return {name: slot for base in classes for name, slot in vars(base).items() if type(slot) is MemberDescriptorType}
