"""How often the computation passed over time: an encoder and its decoder are two laps, the directions of a layer one.

A scope (an encoder, a layer) runs in a later lap than another if it uses, at some step, what the other made at later
steps only: the decoder's first step uses the encoder's last. Scopes that use each other run in the same lap.
"""

from __future__ import annotations

from collections.abc import Iterable

from .circles import components
from .vertices import Vertex

__all__ = ["Laps", "Scope"]

Scope = tuple[str, ...]
Span = tuple[int, int]


class Laps:
    """The laps of a computation.

    Attributes:
        of_scope: the number of the lap of each scope that has steps.
        made_by: for each vertex outside of steps, the scopes whose steps it was computed from, each with the first and the
            last of these steps.
    """

    def __init__(self, vertices: list[Vertex]) -> None:
        self.made_by: dict[Vertex, dict[Scope, Span]] = {}
        self._direction: dict[Scope, int] = {}
        self._set_made_by(vertices)
        before: dict[Scope, set[Scope]] = {}
        beside: dict[Scope, set[Scope]] = {}
        for vertex in vertices:
            if vertex.is_leaf or vertex.time is None:
                continue
            if vertex.scope not in before:
                before[vertex.scope], beside[vertex.scope] = set(), set()
            for scope, span in self._sources(vertex):
                if scope != vertex.scope:
                    (before if self._is_later(scope, span, vertex) else beside)[vertex.scope].add(scope)
        self.of_scope = _longest_ways(before, beside)

    def direction(self, scope: Scope, sign: int = 1) -> int:
        """In which direction of time a scope runs, times ``sign``; what tells nothing by itself is told by its name."""
        found = self._direction.get(scope, 0)
        forward = found > 0 or (found == 0 and "backward" not in scope)
        return sign if forward else -sign

    def _set_made_by(self, vertices: list[Vertex]) -> None:
        for vertex in vertices:
            if vertex.is_leaf:
                continue
            if vertex.time is None:
                spans: dict[Scope, Span] = {}
                for scope, (first, last) in self._sources(vertex):
                    low, high = spans.get(scope, (first, last))
                    spans[scope] = (min(low, first), max(high, last))
                self.made_by[vertex] = spans
            for source in vertex.inputs:
                if source is None or source.is_leaf or source.scope != vertex.scope:
                    continue
                if source.time is not None and vertex.time is not None and source.time != vertex.time:
                    forward = 1 if source.time < vertex.time else -1
                    self._direction[vertex.scope] = self._direction.get(vertex.scope, 0) + forward

    def _sources(self, vertex: Vertex) -> Iterable[tuple[Scope, Span]]:
        for source in vertex.inputs:
            if source is None or source.is_leaf:
                continue
            if source.time is not None:
                yield source.scope, (source.time, source.time)
            else:
                yield from self.made_by[source].items()

    def _is_later(self, scope: Scope, span: Span, vertex: Vertex) -> bool:
        """Whether a vertex uses what ``scope`` made at steps that come after its own."""
        if "decoder" in vertex.scope and "encoder" in scope:
            return True
        time = vertex.time or 0
        return span[0] < time if self._direction.get(vertex.scope, 0) < 0 else span[1] > time


def _longest_ways(before: dict[Scope, set[Scope]], beside: dict[Scope, set[Scope]]) -> dict[Scope, int]:
    users: dict[Scope, list[Scope]] = {scope: [] for scope in before}
    later: set[Scope] = set()
    """Scopes that a later lap uses."""
    for table in (before, beside):
        for scope, sources in table.items():
            for source in sorted(sources & users.keys()):
                users[source].append(scope)
                if table is before:
                    later.add(source)
    lap: dict[Scope, int] = {}
    for component in components(users):
        members = set(component)
        earlier = [lap[s] + 1 for scope in component for s in before[scope] - members]
        equal = [lap[s] for scope in component for s in beside[scope] - members]
        number = max([0, *earlier, *equal])
        lap.update(dict.fromkeys(component, number))
    for scope in lap:
        if not before[scope] and not beside[scope] and scope not in later and users[scope]:
            lap[scope] = min(lap[user] for user in users[scope])
    return lap
