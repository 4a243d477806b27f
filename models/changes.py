"""What a step has done to its cell: seen, said, and undone, so that the plain loop that follows finds the cell as it was."""

from __future__ import annotations

import pickle
from collections import deque
from typing import Any, TypeAlias

import numpy as np

from minigrad.module import Module

__all__ = ["attributes_of", "put_back"]

Attributes: TypeAlias = list[tuple[str, Any, Any]]
"""Dicts, lists, sets and generators of random numbers, each with what it is called and what was in it."""


def attributes_of(cell: Any) -> Attributes:
    """The attributes of a cell and of its modules as they are now, and what is in the containers among them."""
    found: Attributes = []
    owners, seen = [("", cell)], {id(cell)}
    while owners:
        path, owner = owners.pop()
        attributes = getattr(owner, "__dict__", None)
        if type(attributes) is not dict:
            continue
        found.append((path, attributes, attributes.copy()))
        for name, value in attributes.items():
            if type(value) in (list, dict, set, deque):
                found.append((f"{path}{name}", value, value.copy()))
            elif isinstance(value, np.random.Generator):
                found.append((f"{path}{name}", value, value.bit_generator.state))
            elif isinstance(value, Module) and id(value) not in seen:
                seen.add(id(value))
                owners.append((f"{path}{name}.", value))
    return found


def put_back(before: Attributes) -> str | None:
    """Undo what a step has done to the attributes of its cell; what that was, or None.

    >>> from minigrad.models import RNN
    >>> cell = RNN(3, 4)
    >>> before = attributes_of(cell)
    >>> cell.count = 1
    >>> put_back(before), hasattr(cell, "count")
    ('its attribute count', False)
    """
    changed = None
    for path, owner, then in before:
        if isinstance(owner, np.random.Generator):
            if pickle.dumps(owner.bit_generator.state) != pickle.dumps(then):
                owner.bit_generator.state = then
                changed = f"the state of {path}"
            continue
        now, known = _identities(owner), _identities(then)
        if now == known:
            continue
        is_container = path and not path.endswith(".")
        changed = f"what is in {path}" if is_container else f"its attribute {path}{dict(set(now) ^ set(known)).popitem()[0]}"
        owner.clear()
        (owner.extend if hasattr(owner, "extend") else owner.update)(then)
    return changed


def _identities(container: Any) -> list[tuple[Any, Any]]:
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    return [(key, value if type(value) in (int, float, str) else id(value)) for key, value in pairs]
