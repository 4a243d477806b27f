"""What may be compiled: the promise that a step is pure, and what a promise covers.

A pure step depends on its arguments, on parameters and on constants alone, and does nothing but return its result: the same
at every time. Nobody can see that from outside, so a class says it, ``pure_step = True``, and is then checked as far as that
can be (`minigrad.loops.execute`). The cells of minigrad say it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from operator import attrgetter, methodcaller
from types import FunctionType
from typing import Any, Final
from weakref import ref

from minigrad.loops import Memory
from minigrad.module import Parameter

from .recurrent import Cell

__all__ = ["ADVANCING", "can_hoist", "memory_of", "token_of", "why_not"]

ADVANCING: Final = ("step", "project", "recur")
"""The methods that compute a step."""

PROMISING: Final = (*ADVANCING, "pure_step")


def why_not(cell: Any) -> str | None:
    """Why the steps of a cell are run one by one; None if its class promises that they are pure.

    A promise holds for the class that makes it, and for classes derived from it that override none of ``step``,
    ``project`` and ``recur``.

    >>> from minigrad.models import RNN
    >>> class Halved(RNN):
    ...     def step(self, x, h):
    ...         return super().step(x, h) * 0.5
    >>> why_not(RNN(3, 4)), why_not(Halved(3, 4))
    (None, 'Halved overrides step, and does not promise pure_step = True')
    """
    attributes = getattr(cell, "__dict__", {})
    for name in PROMISING:
        if name in attributes:
            return f"its {name} was replaced on the object; promises are made by classes"
    for kind in type(cell).__mro__:
        promised = kind.__dict__.get("pure_step")
        if promised is True:
            return _mixed_in(type(cell), kind)
        if promised is not None:
            return f"{kind.__name__} says pure_step = {promised!r}"
        for name in ADVANCING:
            if name in kind.__dict__:
                return f"{kind.__name__} overrides {name}, and does not promise pure_step = True"
    return f"{type(cell).__name__} does not promise pure_step = True"


def _mixed_in(cell: type, promising: type) -> str | None:
    """Why a promise may not hold: a class stands behind the one that makes it, which that one does not know of, and the
    ``super()`` of the one gets to the other's step."""
    unknown = [kind for kind in cell.__mro__[cell.__mro__.index(promising) :] if kind not in promising.__mro__]
    for kind in unknown:
        for name in ADVANCING:
            if name in kind.__dict__ and kind.__dict__.get("pure_step") is not True:
                return f"{kind.__name__}, behind {promising.__name__}, overrides {name}, and does not promise pure_step = True"
    return None


def can_hoist(cell: Any) -> bool:
    """Whether `recur` of `project` is known to be the step, so that all steps may be projected at once."""
    return isinstance(cell, Cell) and type(cell).step is Cell.step and why_not(cell) is None


CODE: Final = attrgetter("__code__")


tokens: dict[int, tuple[ref[Any], object]] = {}
"""For each cell, by `id`, what tells its steps from those of others."""


def token_of(cell: Any) -> object:
    """What stands for a cell as long as it lives; always new where that cannot be known."""
    known, key = tokens.get(id(cell)), id(cell)
    if known is None or known[0]() is not cell:
        try:
            known = tokens[key] = ref(cell, lambda _: tokens.pop(key, None)), object()
        except TypeError:
            return object()
    return known[1]


class Snapshot:
    """What the step of one of minigrad's own cells reads, as it is now: attributes, methods, their code and globals."""

    __slots__ = ("_dicts", "_functions", "_globals", "_then", "_values")

    def __init__(self, cell: Cell[Any]) -> None:
        kinds = [kind for kind in type(cell).__mro__ if kind.__module__.startswith(__package__ or "")]
        self._dicts: list[Any] = [vars(cell), *map(vars, kinds)]
        self._functions = list(dict.fromkeys(_functions(kinds)))
        self._globals = [
            (function.__globals__, name)
            for function in self._functions
            for name in function.__code__.co_names
            if name in function.__globals__
        ]
        self._values = self._now()
        self._then = list(map(id, self._values))

    def _now(self) -> list[Any]:
        attributes = itertools.chain.from_iterable(map(methodcaller("values"), self._dicts))
        return [*attributes, *map(CODE, self._functions), *[names.get(name) for names, name in self._globals]]

    def holds(self) -> bool:
        """Whether all of it is still the same."""
        return list(map(id, self._now())) == self._then


def _functions(kinds: list[type]) -> Iterator[FunctionType]:
    for kind in kinds:
        for value in vars(kind).values():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(function, FunctionType):
                yield function


remembered: dict[int, tuple[ref[Any], Snapshot, dict[str, Memory]]] = {}
"""For each cell, by `id` (cells may compare equal), what it then was, and the steps that were traced: not part of the cell,
so that they are neither copied nor saved with it."""


def memory_of(cell: Any, method: str) -> Memory | None:
    """The traced steps of a cell of minigrad's own; none where an attribute may change without being replaced."""
    if not type(cell).__module__.startswith(f"{__package__}.cells"):
        return None
    known = remembered.get(id(cell))
    if known is None or known[0]() is not cell or not known[1].holds():
        if not all(map(_is_constant, vars(cell).items())):
            return None
        key = id(cell)
        known = remembered[key] = ref(cell, lambda _: remembered.pop(key, None)), Snapshot(cell), {}
    return known[2].setdefault(method, {})


def _is_constant(attribute: tuple[str, Any]) -> bool:
    """Whether an attribute can only change by being replaced, or is a parameter, whose values are looked up at every run."""
    name, value = attribute
    plain = value is None or isinstance(value, Parameter | str | int | float)
    return plain or name == "blocks" or (isinstance(value, tuple) and all(isinstance(entry, str) for entry in value))
