"""What a picture is called that was given no title: what runs over time, and for how many steps."""

from __future__ import annotations

from collections.abc import Iterable

from .diagram import Diagram
from .diagram.cells import NAMES
from .diagram.numbering import band_of

__all__ = ["default_title"]


def default_title(diagram: Diagram) -> str:
    """What runs over time, and for how many steps: "LSTM, 2 layers, T = 5"; of a piece of a longer sequence its ends."""
    if not diagram.steps:
        return ""
    scopes = dict.fromkeys(item.head.scope for item in diagram.items if 0 <= item.place < diagram.after)
    ends = []
    for lap in dict.fromkeys(step.lap for step in diagram.steps if not step.between):
        steps = [step for step in diagram.steps if step.lap == lap and not step.between]
        ends.append((steps[0].time, steps[-1].last or steps[-1].time))
    if all(first == 1 for first, _ in ends):
        return ", ".join([*_models(scopes), "T = " + " + ".join(str(last) for _, last in ends)])
    return ", ".join([*_models(scopes), *(f"t = {first} … {last}" if first < last else f"t = {first}" for first, last in ends)])


def _models(scopes: Iterable[tuple[str, ...]]) -> list[str]:
    """The cells by their usual names, then the parts that have names of their own, layers and directions counted."""
    bands = {band_of(scope) for scope in scopes}
    layers, directions = {layer for layer, _ in bands if layer}, {direction for _, direction in bands if direction}
    names = dict.fromkeys(name for scope in scopes for name in scope)
    told = [NAMES[name] for name in names if name in NAMES]
    told += [name for name in names if name not in NAMES and band_of((name,)) == (0, 0)]
    told += [f"{len(layers)} layers"] if len(layers) > 1 else []
    return told + (["both directions"] if len(directions) > 1 else [])
