"""How strong the gradient is on every line, and how much of a parameter's gradient comes from each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from minigrad.gradients import ArraySums
from minigrad.graph import Node, Operation, sweep, walk

from .diagram.items import Diagram
from .diagram.places import BEFORE

__all__ = ["Overlay", "norm"]

MOST_STEPS_PULLED_BACK = 64


def norm(array: Any) -> float:
    """The Euclidean norm of all entries together, without overflow; NaN if any entry is NaN.

    >>> norm(np.array([[3e300, 4e300]])) == 5e300
    True
    """
    flat = np.asarray(array, dtype=np.float64).ravel()
    largest = float(np.max(np.abs(flat))) if flat.size else 0.0
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    if 1e-140 < largest < 1e140:
        return math.sqrt(float(np.dot(flat, flat)))
    scaled = flat / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))


class Gathering:
    """Adds up arrays under a key and hands over the sum as soon as the expected number has come."""

    def __init__(self, done: Callable[[Any, Any], None]) -> None:
        self._done = done
        self._missing: dict[Hashable, int] = {}
        self._sums: dict[Hashable, Any] = {}

    def expect(self, key: Hashable) -> None:
        """Announce one more array for ``key``."""
        self._missing[key] = self._missing.get(key, 0) + 1

    def add(self, key: Hashable, array: Any) -> None:
        """Add ``array``, which the caller may change afterwards, to the sum of ``key``."""
        self._missing[key] -= 1
        if key in self._sums:
            array = self._sums.pop(key) + array
        elif self._missing[key]:
            array = np.array(array)
        if self._missing[key]:
            self._sums[key] = array
        else:
            self._done(key, array)

    def finish(self) -> None:
        """Hand over the sums to which fewer arrays came than announced."""
        for key, total in self._sums.items():
            self._done(key, total)
        self._sums.clear()


class Overlay:
    """The gradients of one picture, from one backward sweep that changes nothing.

    Attributes:
        of_link: for each link the norm of the gradient it sends back to its source; None where none is sent.
        of_item: for each item the norm of the gradient with respect to it.
        share: for (parameter, step), both by number, the norm of what this step contributes to the gradient of the
            parameter. What is computed once for all steps (a hoisted projection) is divided among them too, up to 64
            steps, by sending each step's part back by itself.
        share_arrays: the contributions themselves, if asked for.
    """

    def __init__(self, diagram: Diagram, seeds: Sequence[tuple[Node, Any]], keep_shares: bool = False) -> None:
        self.of_link: list[float | None] = [None] * len(diagram.links)
        self.of_item: dict[int, float] = {}
        self.share: dict[tuple[int, int], float] = {}
        self.share_arrays: dict[tuple[int, int], Any] = {}
        self._keep_shares = keep_shares
        self._diagram = diagram
        self._lines = Gathering(self._line_done)
        self._heads = Gathering(self._head_done)
        self._uses = Gathering(self._use_done)
        self._number = {item.head: item.index for item in diagram.items}
        self._in_parts = self._leaves_used_in_parts()
        keys = self._keys()
        for node, g in seeds:
            if node in self._number:
                self._heads.expect(self._number[node])
                self._heads.add(self._number[node], g)

        def note(operation: Operation, slot: int, share: Any) -> None:
            for gathering, key in keys[operation, slot]:
                gathering.add(key, share)

        sweep(seeds, ArraySums(), on_edge=note)
        for gathering in (self._lines, self._heads, self._uses):
            gathering.finish()

    def _keys(self) -> dict[tuple[Node, int], list[tuple[Gathering, Hashable]]]:
        """For every input of an operation the sums that its gradient belongs to."""
        diagram = self._diagram
        keys: dict[tuple[Node, int], list[tuple[Gathering, Hashable]]] = {}
        for item in diagram.items:
            for node in item.nodes:
                for slot, source in enumerate(node.inputs):
                    head = self._number.get(source) if source is not None else None
                    keys[node, slot] = [] if head is None else [(self._heads, head)]
        for k, link in enumerate(diagram.links):
            origin, place = diagram.items[link.source], diagram.items[link.target].place
            divided = origin.place == BEFORE and not origin.initial and 0 <= place < diagram.after
            for node, slot in link.edges:
                keys[node, slot].append((self._lines, (k, node.inputs[slot])))
                if divided:
                    keys[node, slot].append((self._uses, (node.inputs[slot], place)))
        for (node, slot), sums in keys.items():
            source_node = node.inputs[slot]
            if source_node is not None and source_node.requires_grad:
                for gathering, key in sums:
                    gathering.expect(key)
        return keys

    def _leaves_used_in_parts(self) -> set[int]:
        """The leaves that reach the steps in more than one way, so that a step's share has several summands."""
        diagram = self._diagram
        sources = {
            node.inputs[slot]
            for link in diagram.links
            if diagram.items[link.source].place == BEFORE and 0 <= diagram.items[link.target].place < diagram.after
            for node, slot in link.edges
        }
        ways: dict[int, int] = {}
        for source in sources:
            for node in walk(source):
                if node.is_leaf and node in self._number:
                    ways[self._number[node]] = ways.get(self._number[node], 0) + 1
        return {number for number, count in ways.items() if count > 1}

    def _line_done(self, key: tuple[int, Node], total: Any) -> None:
        k = key[0]
        self.of_link[k] = math.hypot(self.of_link[k] or 0.0, norm(total))

    def _head_done(self, key: int, total: Any) -> None:
        self.of_item[key] = norm(total)

    def _use_done(self, key: tuple[Node, int], total: Any) -> None:
        """A step has used what comes from before all steps: a parameter, a part of one, or something hoisted."""
        source, step = key
        if source.is_leaf:
            self._add_share(source, step, total)
        elif self._diagram.after <= MOST_STEPS_PULLED_BACK:
            found, _ = sweep([(source, total)], ArraySums())
            for leaf in sorted(found, key=lambda node: node.serial):
                self._add_share(leaf, step, found[leaf])

    def _add_share(self, leaf: Node, step: int, array: Any) -> None:
        if leaf not in self._number:
            return
        key = (self._number[leaf], step)
        if self._keep_shares or key[0] in self._in_parts:
            array = self.share_arrays[key] + array if key in self.share_arrays else np.array(array)
            self.share_arrays[key] = array
        self.share[key] = norm(array)
