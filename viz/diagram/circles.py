"""Which vertices of a directed graph lie on a circle together: its strongly connected components (Tarjan 1972)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["components"]

V = TypeVar("V", bound=Hashable)


def components(successors: Mapping[V, Sequence[V]]) -> list[list[V]]:
    """The components, each after all that lead to it. Iterative.

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
