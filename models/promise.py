"""What may be compiled: the promise that a step is pure, and what a promise covers.

A pure step depends on its arguments, on parameters and on constants alone, and does nothing but return its result: the same
at every time. Nobody can see that from outside, so a class says it, ``pure_step = True``, and is then checked as far as that
can be (`minigrad.loops.execute`). The cells of minigrad say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from weakref import ref

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, no_grad, stack
from minigrad.errors import MinigradError
from minigrad.loops import CannotCompile, Memory, without_effects
from minigrad.loops.purity.assumptions import Assumptions, Unknown
from minigrad.loops.trace import Trace
from minigrad.reporting import reporting

from .recurrent import Cell
from .states import parts_of

__all__ = ["ADVANCING", "can_hoist", "known_of", "memory_of", "why_not"]

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
            return None if kind is type(cell) else _mixed_in(type(cell), kind)
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


def can_hoist(cell: Any, xs: Tensor | Sequence[Tensor]) -> bool:
    """Whether `recur` of `project` is the step of a cell that promises a pure one, so that all may be projected at once.

    A ``project`` that is not minigrad's own is tried on a few rows (B, D): it must do nothing else, see no values, and make of
    several rows (…, B, D) what it makes of each.
    """
    if Cell not in type(cell).__mro__ or type(cell).step is not Cell.step:
        return False
    if type(cell).project.__module__.startswith("minigrad."):
        return True
    try:
        with no_grad(), reporting(all="ignore"):
            rows = _rows_like(xs if isinstance(xs, Tensor) else stack(xs))
            together, *each = [without_effects(cell, ADVANCING, _projected, cell, x) for x in (rows, *rows)]
            for x in (rows, rows[0]):
                Trace(lambda _, given: ([], parts_of(cell.project(given[0]))), [], [x], [None])
    except (CannotCompile, MinigradError, ValueError):
        return False
    return all(_are_alike(whole, parts) for whole, *parts in zip(together, *each, strict=True))


def _rows_like(xs: Tensor) -> npt.NDArray[Any]:
    """A few rows as xs has them, of which no two are alike in their values or their size: numbers that nobody has chosen, or of
    whole numbers, which may be indices, some that are there. They are as many as nothing else in their shape."""
    shape = xs.shape[1:]
    k = next(k for k in range(3, 9) if k not in shape)
    if xs.dtype.kind == "f":
        numbers = np.random.default_rng(0).standard_normal((k, *shape))
        return (numbers * 4.0 ** np.arange(-1, k - 1).reshape(k, *[1] * len(shape))).astype(xs.dtype)
    found = np.unique(xs.numpy(), axis=0)
    if len(found) == 1:
        raise CannotCompile("all rows are alike")
    return np.resize(found, (k, *shape))


def _projected(cell: Any, x: Any) -> list[Any]:
    return [part.numpy() for part in parts_of(cell.project(Tensor(x)))]


def _are_alike(whole: Any, parts: Sequence[Any]) -> bool:
    """Whether a projection of several rows consists of those of each."""
    rows = np.stack(parts)
    return np.shape(whole) == rows.shape and np.allclose(rows, whole, equal_nan=True)


class Known:
    """What is known of one cell: a token that tells its steps from those of others, and the steps that were traced."""

    __slots__ = ("changes", "memories", "token")

    def __init__(self) -> None:
        self.token = object()
        self.memories: dict[str, tuple[Assumptions, dict[Any, Memory]] | None] = {}
        """For each method what it read when its steps were traced, and those steps; None where that cannot be known."""
        self.changes = 0
        """How often something that a step reads had changed."""


MOST_CHANGES: Final = 32
"""A cell that changes more often than this is traced at each call."""

cells: dict[int, tuple[ref[Any], Known]] = {}
"""What is known of each cell, by `id` (cells may compare equal): not part of the cell, so neither copied nor saved with it."""


def known_of(cell: Any) -> Known:
    """What is known of a cell as long as it lives; nothing where that cannot be told."""
    found, key = cells.get(id(cell)), id(cell)
    if found is None:  # the reference takes it out of there when the cell dies, before another can have its id
        try:
            found = cells[key] = ref(cell, lambda _: cells.pop(key, None)), Known()
        except TypeError:
            return Known()
    return found[1]


def memory_of(cell: Any, known: Known, method: str, state: Any, inputs: Any) -> Memory | None:
    """The steps of a cell that were traced for states and inputs of such kinds, if they would be traced the same now.

    None where that cannot be known.
    """
    kinds = kind_of(state), kind_of(inputs)
    if None in kinds or known.changes > MOST_CHANGES:
        return None
    found = known.memories.get(method)
    if found is None and method in known.memories:
        return None
    if found is None or not found[0].hold(cell):
        known.changes += found is not None
        try:
            found = Assumptions(cell, (method, "state_names")), {}
        except Unknown:
            found = None
        known.memories[method] = found
    return None if found is None else found[1].setdefault(kinds, {})


def kind_of(state: Any) -> type | None:
    """What tells states that have the same parts from each other; None where that is more than their class."""
    if isinstance(state, Tensor):
        return Tensor
    return type(state) if isinstance(state, tuple) and not [part for part in state if not isinstance(part, Tensor)] else None
