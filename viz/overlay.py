"""How strong the gradient is on every line, and how much of a parameter's gradient comes from each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from minigrad.gradients import ArrayAccumulator, whole
from minigrad.graph import OUTPUT
from minigrad.loops.written import computed
from minigrad.reporting import within

from .diagram.items import Diagram
from .diagram.places import BEFORE
from .diagram.vertices import Saved, Vertex
from .numbers import FEW, summary
from .sums import Sum

__all__ = ["Overlay", "norm", "send_back"]


def norm(array: Any) -> float:
    """The Euclidean norm of all entries together, without overflow; NaN if any entry is NaN.

    >>> norm(np.array([[3e300, 4e300]])) == 5e300
    True
    """
    flat = np.asarray(array).ravel()
    if flat.size < FEW:
        length = math.hypot(*flat.tolist())
        return length if length < math.inf else float(np.max(np.abs(flat)))
    flat = np.asarray(flat, dtype=np.float64)
    squared = float(within({"over": "ignore", "under": "ignore", "invalid": "ignore"}, np.dot, flat, flat))
    if 1e-280 < squared < 1e280:
        return math.sqrt(squared)
    largest = float(np.max(np.abs(flat))) if flat.size else 0.0
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = flat / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))


def send_back(
    vertices: Sequence[Vertex],
    seeds: Mapping[Vertex, Any],
    on_edge: Callable[[Vertex, int, Any], None] | None = None,
    on_vertex: Callable[[Vertex, Any, Saved], None] | None = None,
) -> None:
    """One backward pass through the vertices of a picture (inputs first), which changes nothing.

    Args:
        vertices: all of them.
        seeds: the gradients to start from.
        on_edge: called with (vertex, input number, gradient sent there) for every edge that a gradient flows along.
        on_vertex: called with every vertex that a gradient reaches, the whole of it, and what the vertex saved.
    """
    sums: Any = ArrayAccumulator()
    reached: set[Vertex] = set(seeds)
    for vertex, g in seeds.items():
        sums.send(vertex, g)
    for vertex in reversed(vertices):
        if vertex not in reached:
            continue
        g, saved = sums.sum(vertex), vertex.kept()
        if on_vertex is not None:
            on_vertex(vertex, g, saved)
        contributions = vertex.contributions(g, saved)
        for position, (source, contribution) in enumerate(zip(vertex.inputs, contributions, strict=True)):
            if contribution is not None and source is not None and source.requires_grad:
                if on_edge is not None:
                    on_edge(vertex, position, whole(contribution, cast(Any, source)))
                sums.send(source, contribution)
                reached.add(source)


class Overlay:
    """The gradients of one picture, from one backward pass that changes nothing.

    Args:
        diagram: the picture.
        seeds: the gradients to start from.
        keep_shares: whether to keep the arrays of the shares.
        known: values that are at hand although no operation has kept them, such as that of the loss.

    Attributes:
        of_link: for each link the norm of the gradient it sends back to its source; None where none is sent.
        of_item: for each item the norm of the gradient with respect to it.
        share: for (parameter, place), both by number, the norm of what this step contributes to the gradient of the
            parameter; a folded stretch of steps counts as one. What is computed from parameters once for all steps is
            divided among them too, by sending each step's part back by itself. Of a parameter that is used in steps and
            also after them, the place after the steps has a share as well.
        share_arrays: the contributions themselves, if asked for.
        seed: the norm of the gradient that the pass began with: 1 for a loss.
        values: for each item, in words, its value and its gradient, as far as they were kept.
        origin: the item where a number that is not finite first appeared, and what there is to say about it, with
            ``{where}`` for the place; None if all are finite.
    """

    def __init__(
        self,
        diagram: Diagram,
        seeds: Mapping[Vertex, Any],
        keep_shares: bool = False,
        known: Mapping[Vertex, Any] = MappingProxyType({}),
    ) -> None:
        self.of_link: list[float | None] = [None] * len(diagram.links)
        self.of_item: dict[int, float] = {}
        self.share: dict[tuple[int, int], float] = {}
        self.share_arrays: dict[tuple[int, int], Any] = {}
        self.seed = max((norm(g) for g in seeds.values()), default=1.0)
        self._keep_shares = keep_shares
        self._diagram = diagram
        self._number = {item.head: item.index for item in diagram.items}
        self._place = {vertex: item.place for item in diagram.items for vertex in item.nodes if not item.initial}
        self._before = [vertex for vertex in diagram.vertices if self._place.get(vertex) == BEFORE]
        self._in_steps: set[int] = set()
        self._waiting: dict[tuple[int, int, Vertex], Any] = {}
        self._leaf = {v: item.index for item in diagram.items for v in item.nodes if v.is_leaf}
        self.values: dict[int, tuple[str, ...]] = {}
        self._value: dict[Vertex, Any] = dict(known)
        sums = self._sums()

        def note(vertex: Vertex, slot: int, share: Any) -> None:
            for total in sums.get((vertex, slot), ()):
                total.add(share)

        send_back(diagram.vertices, seeds, note, self._reached)
        for total in dict.fromkeys(total for totals in sums.values() for total in totals):
            total.finish()
        for (number, place, _), array in self._waiting.items():
            if place < diagram.after or number in self._in_steps:
                self.share[number, place] = math.hypot(self.share.get((number, place), 0.0), norm(array))
                if keep_shares:
                    self.share_arrays[number, place] = array
        all_finite = all(math.isfinite(m) for m in (*self.of_item.values(), *self.of_link) if m is not None)
        self.origin = None if all_finite else self._origin(seeds)
        self._describe_values()

    def _sums(self) -> dict[tuple[Vertex, int], list[Sum]]:
        """For every edge its sums: of what a link carries of a source, of what a place uses of a source before all steps."""
        sums: dict[tuple[Vertex, int], list[Sum]] = {}
        of_use: dict[tuple[Vertex, int], Sum] = {}
        for k, link in enumerate(self._diagram.links):
            of_source: dict[Vertex, Sum] = {}
            for vertex, slot in link.edges:
                source = vertex.inputs[slot]
                if source is not None and source.requires_grad:
                    if source not in of_source:
                        of_source[source] = Sum(partial(self._line_done, k))
                    of_source[source].missing += 1
                    sums.setdefault((vertex, slot), []).append(of_source[source])
        for vertex in self._diagram.vertices:
            place = self._place.get(vertex, BEFORE)
            for slot, source in enumerate(vertex.inputs if place != BEFORE else ()):
                if source is not None and source.requires_grad and self._place.get(source) == BEFORE:
                    if (source, place) not in of_use:
                        of_use[source, place] = Sum(partial(self._use_done, source, place))
                    of_use[source, place].missing += 1
                    sums.setdefault((vertex, slot), []).append(of_use[source, place])
        return sums

    def _reached(self, vertex: Vertex, g: Any, saved: Saved) -> None:
        number = self._number.get(vertex)
        if number is not None:
            self.of_item[number] = norm(g)
            self.values[number] = (f"gradient: {summary(g)}",)
        keeps = vertex.operation.keeps if vertex.operation is not None else ()
        for value, kept in zip(saved, keeps, strict=False):
            if value is None:
                continue
            owner: Vertex | None = vertex
            if kept == OUTPUT:
                is_row = bool(vertex.rowwise)
            elif 0 <= kept < len(vertex.inputs):
                owner, is_row = vertex.inputs[kept], bool(vertex.rowwise) and vertex.rowwise[kept]
            else:
                continue
            while owner is not None and owner not in self._value:
                self._value[owner] = value[0] if is_row else value
                owner = owner.handed_on

    def _describe_values(self) -> None:
        for vertex in self._diagram.vertices:
            told = [v for v in (vertex, *vertex.inputs) if v in self._number and v not in self._value]
            known = computed(vertex.node) if told and vertex.is_whole else ()
            for owner, value in zip((vertex, *vertex.inputs), known, strict=False):
                if owner is not None and owner.shape == np.shape(value):
                    self._value.setdefault(owner, value)
        for vertex, number in self._number.items():
            if vertex in self._value:
                self.values[number] = (f"value: {summary(self._value[vertex])}", *self.values.get(number, ()))

    def _origin(self, seeds: Mapping[Vertex, Any]) -> tuple[int, str] | None:
        """Where a number that is not finite first appeared, going forward; else where a gradient did, going back."""
        item_of = {vertex: item.index for item in self._diagram.items for vertex in item.nodes}
        for vertex in self._diagram.vertices:
            value = self._value.get(vertex)
            if value is not None and not np.all(np.isfinite(value)):
                what = "NaN" if np.isnan(value).any() else "infinity"
                return item_of[vertex], f"{what} first appeared {{where}}: {summary(value)}"
        first: list[Vertex] = []

        def note(vertex: Vertex, slot: int, share: Any) -> None:
            if not first and not np.all(np.isfinite(share)):
                first.append(vertex)

        send_back(self._diagram.vertices, seeds, note)
        return (item_of[first[0]], "what is not finite in the gradient first appeared {where}") if first else None

    def _line_done(self, k: int, total: Any) -> None:
        self.of_link[k] = math.hypot(self.of_link[k] or 0.0, norm(total))

    def _use_done(self, source: Vertex, place: int, total: Any) -> None:
        """A step has used what comes from before all steps: a parameter, a part of one, or something computed of some."""

        def arrived(vertex: Vertex, g: Any, saved: Saved = ()) -> None:
            if vertex in self._leaf:
                number = self._leaf[vertex]
                if place < self._diagram.after:
                    self._in_steps.add(number)
                known = self._waiting.get((number, place, vertex))
                self._waiting[number, place, vertex] = np.array(g) if known is None else known + g

        if source.is_leaf:
            arrived(source, total)
        else:
            send_back([v for v in self._before if v.serial <= source.serial], {source: total}, on_vertex=arrived)
