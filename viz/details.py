"""How much of a computation a picture shows: which detail, how many steps, on what size of page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minigrad.errors import ArgumentError

from .diagram import Diagram
from .diagram.cells import closed
from .diagram.numbering import band_of
from .diagram.shortening import shortened, thinned

__all__ = ["DETAILS", "SIZES", "Detail", "chosen", "detailed", "steps_of"]

DETAILS = ("operations", "gates", "cells", "strip", "heat bar")
"""From every recorded operation to one line for all of time."""

SIZES: dict[str, tuple[float, float]] = {"slide": (1037.0, 585.0), "page": (1250.0, 1650.0), "wide": (3200.0, 1800.0)}
"""The largest width and height, in points, of a picture that is readable there: placed on a slide of 13.3 × 7.5 inches
its names are set in at least 12 points."""

STEPS_SHOWN = {"operations": 6, "gates": 6, "cells": 12}
KEPT = {"operations": 2, "gates": 2, "cells": 4}
"""How many steps are shown whole, and how many at either end where there are more."""

MOST_CELLS_OPEN = 2
"""How many cells above one another a step may have to be shown gate by gate, if nothing is asked for."""

MOST_BOXES, MOST_IN_ONE_PLACE, KEPT_OF_A_CROWD = 12_000, 400, 20
MOST_WITHOUT_STEPS, KEPT_WITHOUT_STEPS = 90, 10
"""How many boxes a picture shows that knows no steps, unless all of them are asked for; how many at either end of more."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What is shown: one of `DETAILS`, how many steps are kept at either end (0: all), and which step is open."""

    name: str
    kept: int = 0
    opened: int | None = None


def detailed(diagram: Diagram, detail: Detail, notes: list[str]) -> Diagram:
    """What a diagram shows at a detail; what had to be left out is told in ``notes``. The items given are changed."""
    if detail.name == "cells":
        steps = enumerate(diagram.steps)
        diagram = closed(diagram, {c for c, step in steps if step.time == detail.opened and not step.between})
    if detail.kept:
        diagram = shortened(diagram, detail.kept, detail.opened)
    elif len(diagram.items) > MOST_BOXES:
        notes.append(f"folded: {len(diagram.items)} boxes are more than a picture of {MOST_BOXES} can hold")
        diagram = shortened(diagram, KEPT["gates"])
    boxes = len(diagram.items)
    most, kept = MOST_IN_ONE_PLACE, KEPT_OF_A_CROWD
    if detail.kept and not diagram.steps:
        most, kept = MOST_WITHOUT_STEPS, KEPT_WITHOUT_STEPS
    diagram = thinned(diagram, most, kept)
    if len(diagram.items) < boxes:
        notes.append(
            f"folded: more than {most} boxes in one place; mark the steps of a loop with time_step(t), "
            "which gives each a column of its own"
        )
    return diagram


def steps_of(diagram: Diagram) -> int:
    """The number of steps of the longest lap."""
    steps = [step for step in diagram.steps if not step.between]
    return max((sum(step.lap == lap for step in steps) for lap in {step.lap for step in steps}), default=0)


def chosen(diagram: Diagram, detail: str | None, fold: bool | int | None, opened: int | None) -> Iterator[Detail]:
    """What to try, the best first: each shows less than the one before."""
    T = steps_of(diagram)
    names = [detail] if detail is not None else ["cells"] if opened is not None or _is_tall(diagram) else ["gates", "cells"]
    for name in names:
        wanted = fold is True or (fold is None and (STEPS_SHOWN[name] < T or (T == 0 and name != "operations")))
        kept = KEPT[name] if wanted else int(fold or 0)
        yield Detail(name, kept, opened)
        fewer = range(kept - 1 if kept else min(KEPT[name], (T - 1) // 2), 0, -1) if fold is None or fold is True else ()
        yield from (Detail(name, k, opened) for k in fewer)


def _is_tall(diagram: Diagram) -> bool:
    """Whether a step has so many cells above one another that they are better closed."""
    cells: dict[int, set[tuple[int, int]]] = {}
    for item in diagram.items:
        if 0 <= item.place < diagram.after and item.role == "state":
            cells.setdefault(item.place, set()).add(band_of(item.head.scope))
    return max(map(len, cells.values()), default=0) > MOST_CELLS_OPEN


def checked(name: str, given: object, known: Sequence[str]) -> None:
    """Raise ArgumentError unless ``given`` is None or one of the names that are known."""
    if given is not None and not (isinstance(given, str) and given in known):
        listed = ", ".join(map(repr, known))
        raise ArgumentError(f"draw: {name} must be one of {listed}, or left out; got {given!r:.60}")
