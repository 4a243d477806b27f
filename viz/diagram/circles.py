"""Directed graphs: an order in which each vertex comes after its sources, and the circles that forbid one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

__all__ = ["components", "sources_first"]

V = TypeVar("V", bound=Hashable)


def sources_first(successors: Mapping[int, set[int]]) -> list[int]:
    """The vertices, each after all that lead to it, else the smallest first; those that a circle leads to are left out.

    >>> sources_first({1: {2}, 2: set(), 3: {1}}), sources_first({1: {2}, 2: {3}, 3: {2}})
    ([3, 1, 2], [1])
    """
    missing = dict.fromkeys(successors, 0)
    for users in successors.values():
        for user in users:
            missing[user] += 1
    ready = [vertex for vertex, count in missing.items() if not count]
    heapify(ready)
    ordered: list[int] = []
    while ready:
        vertex = heappop(ready)
        ordered.append(vertex)
        for user in successors[vertex]:
            missing[user] -= 1
            if not missing[user]:
                heappush(ready, user)
    return ordered


def components(successors: Mapping[V, Sequence[V]]) -> list[list[V]]:
    """The strongly connected components (Tarjan 1972), each after all that lead to it. Iterative.

    >>> components({1: [2], 2: [3], 3: [2, 4], 4: []})
    [[1], [3, 2], [4]]
    """
    index: dict[V, int] = {}
    lowest: dict[V, int] = {}
    waiting: list[V] = []
    is_waiting: set[V] = set()
    found: list[list[V]] = []
    for start in successors:
        if start in index:
            continue
        stack = [(start, iter(successors[start]))]
        index[start] = lowest[start] = len(index)
        waiting.append(start)
        is_waiting.add(start)
        while stack:
            vertex, rest = stack[-1]
            for user in rest:
                if user not in index:
                    index[user] = lowest[user] = len(index)
                    waiting.append(user)
                    is_waiting.add(user)
                    stack.append((user, iter(successors[user])))
                    break
                if user in is_waiting:
                    lowest[vertex] = min(lowest[vertex], index[user])
            else:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[vertex])
                if lowest[vertex] == index[vertex]:
                    component: list[V] = []
                    while not component or component[-1] != vertex:
                        component.append(waiting.pop())
                        is_waiting.discard(component[-1])
                    found.append(component)
    return found[::-1]
