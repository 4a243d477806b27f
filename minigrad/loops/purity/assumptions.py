"""What a trace assumes: that all which the methods of an object read beside their arguments is as it was.

Compared before a step that was traced is used again (torch.compile calls such things guards). A trace holds as long as the
code that was traced would do the same. So everything that this code can look at is noted once, and compared by identity at
each look-up: the functions that it can reach, their code, defaults and closures, globals, the attributes of the object and of
its classes. The code has a name for all that it looks at. Where a name leads to something that can change without being
replaced (a list, an array, another object), or where names may be made up (`getattr`, `eval`), nothing is known, and a step
is traced anew at each call.
"""

from __future__ import annotations

import builtins
import itertools
from abc import get_cache_token
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter, call, is_, itemgetter
from types import BuiltinFunctionType, CellType, FunctionType, GetSetDescriptorType, ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from minigrad.elsewhere import NamesElsewhere
from minigrad.loops.purity.allowlist import home_of_class, home_of_function
from minigrad.loops.purity.names import names_of
from minigrad.module import Parameter
from minigrad.tensor import Tensor

__all__ = ["Assumptions", "Unknown"]

KNOWN: Final = {"minigrad", "numpy", "builtins", "math", "operator", "typing", "typing_extensions", "abc", "collections"}
"""The packages whose functions and classes are what they are."""

ANYTHING: Final = {
    "getattr", "vars", "dir", "globals", "locals", "eval", "exec", "compile", "open", "input", "attrgetter", "methodcaller",
    "hasattr", "__dict__", "__getattribute__", "format", "format_map",
    "__name__", "__qualname__", "__module__", "__doc__", "__match_args__",
}  # fmt: skip
"""What may read something that there is no name for, or what a function or a class has beside its attributes."""

CONSTANTS: Final = {
    type(None), bool, int, float, complex, str, bytes, type(...), range, Tensor, Parameter, GetSetDescriptorType,
}  # fmt: skip
"""What changes only by being replaced; or, as the values of a parameter do, without anybody having to know."""

COPYING: Final = {"__copy__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__"}
"""Methods that only code calls in which names are made up."""

SHOWING: Final = {"__repr__": {"repr", "str", "ascii"}, "__str__": {"repr", "str"}, "__format__": {"repr"}}
"""Methods that Python calls where the code has one of these names; f-strings and ``%`` are noted as ``repr``."""

CALLED: Final = SHOWING | {name: {"type", "__class__"} for name in ("__init__", "__new__", "__init_subclass__")}
"""Those and, of the object, others: it is there already, so none is made where the code does not ask for its class."""

PARTS: Final = "__code__", "__defaults__", "__kwdefaults__"
BASES: Final = attrgetter("__mro__")
HAS_NONE: Final = type(vars(builtins).keys()).isdisjoint

ARITHMETIC: Final = [vars(kind).values() for kind in Parameter.__mro__[:-1] if kind is not NamesElsewhere]
"""The methods and operators of tensors and of parameters, as they are at any time."""

ELSEWHERE: Final = vars(NamesElsewhere)
"""The names that they do not have: of these, only what is read counts."""


class Unknown(Exception):
    """Something that may be read, and may change without being replaced."""


class Assumptions:
    """What some methods of an object read, as it is now: a trace of them assumes that it stays so.

    Args:
        owner: the object.
        methods: the names of the methods.

    Raises:
        Unknown: it cannot be known.
    """

    __slots__ = (
        "_absent", "_are_same", "_classes", "_derived", "_dicts", "_kind", "_kinds", "_names", "_of_classes", "_then",
    )  # fmt: skip

    def __init__(self, owner: Any, methods: Iterable[str]) -> None:
        code = _Code(owner, methods)
        self._kind, self._kinds, modules = type(owner), list(map(vars, code.kinds)), list(map(vars, code.modules))
        self._derived = [kind for kind in (Parameter, *code.kinds) if kind not in self._kind.__mro__[1:]]
        self._classes = _looked_up([(names, code.attributes) for names in (*self._kinds, ELSEWHERE)])
        self._dicts = code.dicts
        """Where no name may come or go, beside the attributes of the object and its classes."""
        read = [*[(names, code.attributes) for names in modules], *[(names, set(names)) for names in code.dicts]]
        looked_at = [(vars(owner), code.attributes), *read, *code.spaces.values()]
        kept = [(function, *PARTS) for function in code.functions] + [(cell, "cell_contents") for cell in code.cells]
        spaces = [*code.spaces.values(), *[(vars(module), code.attributes) for module in code.own_modules]]
        self._absent = [(names.keys(), absent) for names, read in spaces if (absent := read.difference(names))]
        """The globals that are not there, since they are built in, and the attributes that modules of users do not have."""
        self._names = self._names_now(owner)
        self._then, self._are_same = _looked_at(looked_at, kept)
        self._of_classes = self._of_classes_now()

    def _names_now(self, owner: Any) -> list[Any]:
        return [get_cache_token(), list(vars(owner)), *map(list, self._dicts)]

    def _of_classes_now(self) -> tuple[list[Any], list[Any]]:
        """What is compared as it is, or by its own rules, and what by identity."""
        names = [len(ELSEWHERE), *map(BASES, self._derived), *map(list, self._kinds), *map(list, ARITHMETIC)]
        return names, list(itertools.chain.from_iterable(itertools.starmap(call, self._classes)))

    def hold(self, owner: Any) -> bool:
        """Whether all of it is still the same."""
        try:
            return (
                type(owner) is self._kind
                and self._names_now(owner) == self._names
                and self._are_same(vars(owner), *self._then)
                and all(itertools.starmap(HAS_NONE, self._absent))
                and self._classes_hold()
            )
        except (KeyError, ValueError):  # a global, or what a closure held, is gone
            return False

    def _classes_hold(self) -> bool:
        names, values = self._of_classes_now()
        return names == self._of_classes[0] and all(map(is_, values, self._of_classes[1]))


Space: TypeAlias = Mapping[str, Any]
Same: TypeAlias = Callable[..., bool]


def _looked_at(spaces: Sequence[tuple[Space, set[str]]], kept: Sequence[tuple[Any, ...]]) -> tuple[list[Any], Same]:
    """What some names lead to, in namespaces and as attributes of objects; and a function that tells whether it is the same.

    It is handed the first namespace, which may be another each time, and what was found.
    """
    names = [sorted(read.intersection(space)) for space, read in spaces]
    paths = [f"place{k}[{name!r}]" for k, read in enumerate(names) for name in read]
    paths += [f"place{k}.{name}" for k, (_, *parts) in enumerate(kept, len(spaces)) for name in parts]
    found = [space[name] for (space, _), read in zip(spaces, names, strict=True) for name in read]
    found += [getattr(holder, name) for holder, *parts in kept for name in parts]
    (own, *others) = [f"place{k}" for k in range(len(spaces) + len(kept))]
    places = [*[space for space, _ in spaces[1:]], *[holder for holder, *_ in kept]]
    return found, _comparing(own, tuple(others), tuple(paths))(*places)


@lru_cache(maxsize=256)
def _comparing(own: str, others: tuple[str, ...], paths: tuple[str, ...]) -> Callable[..., Same]:
    """What makes that function, for code of this kind: Python compares names that are written down in a third of the time."""
    same = [f"{path} is was{k}" for k, path in enumerate(paths)]
    was = [f"was{k}" for k in range(len(paths))]
    compared = f"lambda {', '.join([own, *was])}: {' and '.join(same) or True}"
    made: Callable[..., Same] = eval(f"lambda {', '.join(others)}: {compared}")
    return made


def _looked_up(spaces: Iterable[tuple[Mapping[str, Any], set[str]]]) -> list[tuple[Callable[[Any], Any], Mapping[str, Any]]]:
    """For each namespace in which some names are read, what looks them up."""
    found = [(_picker(read.intersection(names)), names) for names, read in spaces]
    return [(pick, names) for pick, names in found if pick(names)]


def _picker(names: Iterable[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """What looks up so many names at once, as a tuple."""
    wanted = sorted(names)
    return itemgetter(*wanted, wanted[0]) if wanted else lambda names: ()  # of a single name, it would be no tuple


class _Code:
    """The functions that some methods of an object reach, and the names in their code."""

    def __init__(self, owner: Any, methods: Iterable[str]) -> None:
        self.owner = owner
        self.attributes = set(methods)
        """The names of attributes that are read of anything."""
        self.own = set[str]()
        """Those that are read by code of others than `minigrad.models`."""
        self.functions: dict[FunctionType, None] = {}
        self.kinds: dict[type, None] = {}
        self.modules: dict[ModuleType, None] = {}
        self.dicts: list[dict[str, Any]] = []
        self.cells: list[CellType] = []
        self.spaces: dict[int, tuple[Mapping[str, Any], set[str]]] = {}
        """The globals of functions, and which of their names are read."""
        if not hasattr(owner, "__dict__") or isinstance(owner, tuple):
            raise Unknown("an object that holds more than attributes")
        self._add_class(type(owner))
        seen: set[tuple[str, int]] = set()
        while True:
            found = [(name, value) for name, value in self._found() if (name, id(value)) not in seen]
            if not found:
                break
            for name, value in found:
                seen.add((name, id(value)))
                self._add(value, name)

    @property
    def own_modules(self) -> list[ModuleType]:
        """The modules that are not known."""
        return [module for module in self.modules if not _is_known(module.__name__)]

    def _found(self) -> list[tuple[str, Any]]:
        """What the names that are known by now lead to."""
        spaces = [(vars(self.owner), self.attributes)]
        spaces += [(vars(module), self.attributes) for module in self.own_modules]
        spaces += self.spaces.values()
        spaces += [(vars(kind), self.attributes | self._methods(kind)) for kind in self.kinds]
        values = [(name, names[name]) for names, read in spaces for name in list(read) if name in names]
        return values + [pair for function in self.functions for pair in _kept_by(function)]

    def _methods(self, kind: type) -> set[str]:
        """The methods of a class that Python calls without a name in the code."""
        found = {name for name, value in vars(kind).items() if name.startswith("__") and _is_method(value)} - COPYING
        called = CALLED if kind in type(self.owner).__mro__ else SHOWING
        return {name for name in found if name not in called or not self.own.isdisjoint(called[name])}

    def _add(self, value: Any, name: str = "") -> None:
        """Follow a value that may be read, under this name."""
        if isinstance(value, BuiltinFunctionType | type) and value.__name__ != name:
            self._hear({value.__name__})
        if type(value) in CONSTANTS or isinstance(value, np.generic | np.dtype):
            return
        if type(value) in (tuple, frozenset):
            for part in value:
                self._add(part)
        elif type(value) is dict and all(type(name) is str for name in value):
            if not any(value is known for known in self.dicts):
                self.dicts.append(value)
                for part in value.values():
                    self._add(part)
        elif isinstance(value, staticmethod | classmethod):
            self._add(value.__func__)
        elif isinstance(value, property):
            self._add(value.fget)
        elif isinstance(value, ModuleType):
            if "__getattr__" in vars(value) and not _is_known(value.__name__):
                raise Unknown("a module that makes up its attributes")
            self.modules[value] = None
        elif isinstance(value, type):
            self._add_class(value)
            if value in type(self.owner).__mro__[:-1] and not _is_of_models(value):
                self._hear({"__class__"})
        elif isinstance(value, FunctionType):
            if not _is_known(value.__module__) or home_of_function(value) is None:
                self._add_function(value)
        elif not isinstance(value, np.ufunc | type(np.dot)) and not _is_known_function(value):
            raise Unknown(f"a {type(value).__name__}")

    def _hear(self, names: Iterable[str]) -> None:
        """Take these for names in the code of others than `minigrad.models`."""
        self.own.update(names)
        if not ANYTHING.isdisjoint(self.own):
            raise Unknown("attributes whose names are made up")

    def _add_class(self, kind: type) -> None:
        for base in kind.__mro__:
            if _is_known(base.__module__) and home_of_class(base) is not None:
                continue
            holds_more = base.__basicsize__ > Plain.__basicsize__ and not issubclass(base, tuple)
            if holds_more or not _is_known(type(base).__module__):
                raise Unknown(f"what a {base.__name__} holds beside its attributes")
            self.kinds[base] = None

    def _add_function(self, function: FunctionType) -> None:
        self.functions[function] = None
        for values in (vars(function), function.__kwdefaults__):
            if values:
                self._add(values)
        self.cells += function.__closure__ or ()
        names = names_of(function.__code__)
        if names.is_changing:
            raise Unknown("what a function imports, or sets")
        if not _is_of_models(function):
            self._hear(names.read)
        self.attributes |= names.read
        for space in (function.__globals__, vars(builtins)):
            self.spaces.setdefault(id(space), (space, set()))[1].update(names.globals)


class Plain:
    """A class whose objects hold their attributes, and nothing beside."""


def _kept_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function keeps: defaults, and the contents of its closure."""
    yield from [("", default) for default in function.__defaults__ or ()]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            if name != "__class__":  # for super(), which makes no object of it
                yield name, cell.cell_contents
        except ValueError:
            raise Unknown("an empty closure") from None


def _is_known_function(value: Any) -> bool:
    """Whether a value is a function of C in a module, or in a class, that is known."""
    if not isinstance(value, BuiltinFunctionType):
        return False
    home = value.__self__
    if isinstance(home, ModuleType):
        return _is_known(home.__name__)
    return home is None or (isinstance(home, type) and _is_known(home.__module__))


def _is_method(value: Any) -> bool:
    return callable(value) or hasattr(value, "__get__")


def _is_of_models(value: Any) -> bool:
    """Whether a function or class is one of `minigrad.models`, whose code is read as a user's is, and known to be honest."""
    return (value.__module__ or "").startswith("minigrad.models.")


def _is_known(module: str | None) -> bool:
    """Whether a module is one whose functions and classes are taken for what they are: those of `minigrad.models` are read."""
    name = module or ""
    return name.partition(".")[0] in KNOWN and not f"{name}.".startswith("minigrad.models.")
