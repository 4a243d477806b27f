"""In which order the backward sweep reaches what is in a picture."""

from __future__ import annotations

from .diagram.items import Diagram, Item
from .diagram.numbering import band_of
from .diagram.places import BEFORE

__all__ = ["Stages", "group_of"]

DIRECTIONS = ("", "forward", "backward")


class Stages:
    """The stages of the sweep: what comes after all steps, then each step of each layer and direction, newest first.

    Attributes:
        labels: what each stage is called, in the order of the sweep.
        of_item: for each item the number of its stage; None for what stands before all steps.
        of_column: for each column the stage at which the sweep first comes to it.
    """

    def __init__(self, diagram: Diagram) -> None:
        self.labels: list[str] = []
        self.of_item: list[int | None] = [None] * len(diagram.items)
        number: dict[object, int] = {}
        newest_first = sorted(
            diagram.items, key=lambda item: max([vertex.serial for vertex in item.nodes]), reverse=True
        )
        for item in newest_first:
            if item.place == BEFORE or item.role == "input":
                continue
            key = (item.place, "" if item.place == diagram.after else band_of(item.head.scope))
            if key not in number:
                number[key] = len(self.labels)
                self.labels.append(_label(diagram, item))
            self.of_item[item.index] = number[key]
        for link in diagram.links:
            source, target = diagram.items[link.source], self.of_item[link.target]
            if (source.role == "input" or source.initial) and target is not None:
                self.of_item[link.source] = max(target, self.of_item[link.source] or 0)
        self.of_column: dict[int, int] = {}
        for item in diagram.items:
            stage = self.of_item[item.index]
            if stage is not None:
                self.of_column[item.place] = min(stage, self.of_column.get(item.place, stage))


ARROWS = {"forward": "→", "backward": "←"}
"""How directions are written where the backward sweep is told of: "backward has reached backward" says little."""


def _label(diagram: Diagram, item: Item) -> str:
    if item.place == diagram.after:
        return "after the steps" if diagram.steps else "all"
    step = diagram.steps[item.place]
    group = " ".join(ARROWS.get(word, word) for word in group_of(diagram, item).split(" "))
    group = f"direction {group}" if group in ARROWS.values() else group
    if step.between:
        return "between the steps"
    time = f"t = {step.time}" if step.last is None else f"t = {step.last} … {step.time}"
    return f"{group}, {time}" if group else time


def group_of(diagram: Diagram, item: Item) -> str:
    """The part of the model that an item belongs to: "encoder", "layer 2 backward"; empty where there is one."""
    layer, direction = band_of(item.head.scope)
    outer = item.head.scope[:1] if diagram.lap_names else ()
    named = [*outer, *([f"layer {layer}"] if layer else []), *([DIRECTIONS[direction]] if direction else [])]
    return " ".join(dict.fromkeys(named))
