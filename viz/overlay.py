"""How strong the gradient is on every line, and how much of a parameter's gradient comes from each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.gradients import ArrayAccumulator

from .diagram.items import Diagram
from .diagram.places import BEFORE
from .diagram.vertices import Vertex

__all__ = ["Overlay", "norm", "send_back"]


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


def send_back(
    vertices: Sequence[Vertex],
    seeds: Mapping[Vertex, Any],
    on_edge: Callable[[Vertex, int, Any], None],
    on_vertex: Callable[[Vertex, Any], None],
) -> None:
    """One backward pass through the vertices of a picture (inputs first), which changes nothing.

    Args:
        vertices: all of them.
        seeds: the gradients to start from.
        on_edge: called with (vertex, input number, gradient sent there) for every edge that a gradient flows along.
        on_vertex: called with every vertex that a gradient reaches and the whole of it.
    """
    sums = ArrayAccumulator()
    reached: set[Vertex] = set(seeds)
    for vertex, g in seeds.items():
        sums.send(vertex, g)  # type: ignore[arg-type]
    for vertex in reversed(vertices):
        if vertex not in reached:
            continue
        g = sums.take(vertex)  # type: ignore[arg-type]
        on_vertex(vertex, g)
        for slot, (source, share) in enumerate(zip(vertex.inputs, vertex.shares(g, sums), strict=True)):
            if share is not None and source is not None and source.requires_grad:
                on_edge(vertex, slot, sums.whole(source, share))  # type: ignore[arg-type]
                sums.send(source, share)  # type: ignore[arg-type]
                reached.add(source)


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
    """The gradients of one picture, from one backward pass that changes nothing.

    Attributes:
        of_link: for each link the norm of the gradient it sends back to its source; None where none is sent.
        of_item: for each item the norm of the gradient with respect to it.
        share: for (parameter, place), both by number, the norm of what this step contributes to the gradient of the
            parameter; a folded stretch of steps counts as one. What is computed from parameters once for all steps is
            divided among them too, by sending each step's part back by itself. Of a parameter that is used in steps and
            also after them, the place after the steps has a share as well.
        share_arrays: the contributions themselves, if asked for.
        seed: the norm of the gradient that the pass began with: 1 for a loss.
    """

    def __init__(self, diagram: Diagram, seeds: Mapping[Vertex, Any], keep_shares: bool = False) -> None:
        self.of_link: list[float | None] = [None] * len(diagram.links)
        self.of_item: dict[int, float] = {}
        self.share: dict[tuple[int, int], float] = {}
        self.share_arrays: dict[tuple[int, int], Any] = {}
        self.seed = max((norm(g) for g in seeds.values()), default=1.0)
        self._keep_shares = keep_shares
        self._diagram = diagram
        self._lines = Gathering(self._line_done)
        self._uses = Gathering(self._use_done)
        self._number = {item.head: item.index for item in diagram.items}
        self._place = {vertex: item.place for item in diagram.items for vertex in item.nodes if not item.initial}
        self._before = [vertex for vertex in diagram.vertices if self._place.get(vertex) == BEFORE]
        self._in_steps: set[int] = set()
        self._waiting: dict[tuple[int, int], Any] = {}
        self._keys = self._set_keys()

        def note(vertex: Vertex, slot: int, share: Any) -> None:
            for gathering, key in self._keys.get((vertex, slot), ()):
                gathering.add(key, share)

        send_back(diagram.vertices, seeds, note, self._reached)
        for gathering in (self._lines, self._uses):
            gathering.finish()
        for (number, place), array in self._waiting.items():
            if place < diagram.after or number in self._in_steps:
                self.share[number, place] = norm(array)
                if keep_shares:
                    self.share_arrays[number, place] = array

    def _set_keys(self) -> dict[tuple[Vertex, int], list[tuple[Gathering, Hashable]]]:
        """For every edge the sums that its gradient belongs to."""
        diagram = self._diagram
        keys: dict[tuple[Vertex, int], list[tuple[Gathering, Hashable]]] = {}
        for k, link in enumerate(diagram.links):
            for vertex, slot in link.edges:
                keys.setdefault((vertex, slot), []).append((self._lines, (k, vertex.inputs[slot])))
        for vertex in diagram.vertices:
            place = self._place.get(vertex, BEFORE)
            if place == BEFORE:
                continue
            for slot, source in enumerate(vertex.inputs):
                if source is not None and self._place.get(source) == BEFORE:
                    keys.setdefault((vertex, slot), []).append((self._uses, (source, place)))
        for (vertex, slot), sums in keys.items():
            source = vertex.inputs[slot]
            if source is not None and source.requires_grad:
                for gathering, key in sums:
                    gathering.expect(key)
        return keys

    def _reached(self, vertex: Vertex, g: Any) -> None:
        if vertex in self._number:
            self.of_item[self._number[vertex]] = norm(g)

    def _line_done(self, key: tuple[int, Vertex], total: Any) -> None:
        k = key[0]
        self.of_link[k] = math.hypot(self.of_link[k] or 0.0, norm(total))

    def _use_done(self, key: tuple[Vertex, int], total: Any) -> None:
        """A step has used what comes from before all steps: a parameter, a part of one, or something computed of some."""
        source, place = key

        def arrived(vertex: Vertex, g: Any) -> None:
            if vertex.is_leaf and vertex in self._number:
                number = self._number[vertex]
                if place < self._diagram.after:
                    self._in_steps.add(number)
                known = self._waiting.get((number, place))
                self._waiting[number, place] = np.array(g) if known is None else known + g

        if source.is_leaf:
            arrived(source, total)
        else:
            send_back([v for v in self._before if v.serial <= source.serial], {source: total}, lambda *edge: None, arrived)
