"""Which value that a backward pass returns is the gradient of which argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter, name_of
from minigrad.checks.containers import flat, is_array
from minigrad.errors import ArgumentError
from minigrad.guard import Array

__all__ = ["Answer", "matched", "returned_by_name"]


class Answer(NamedTuple):
    """What the user's backward pass returned for a problem: by the name of the quantity it is the gradient of.

    Attributes:
        gradients: the matched ones, by the name of the argument.
        called: how the user calls each of them.
        others: what was returned beside, by the user's names.
    """

    gradients: dict[str, Array]
    called: dict[str, str]
    others: dict[str, Any]


def returned_by_name(adapter: Adapter, result: Any) -> dict[str, Any]:
    """What was returned, by the user's names."""
    if result is None:
        return {}
    if isinstance(result, dict):
        return flat(result)
    parts = list(result) if isinstance(result, tuple | list) else [result]
    called: Sequence[str | None] | None = names.returned_names(adapter.backward)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        called = result._fields
    if adapter.declared_returns is not None and not isinstance(adapter.declared_returns, Mapping):
        called = list(adapter.declared_returns)
        if len(called) != len(parts):
            raise ArgumentError(
                f"check_backward: returns names {len(called)} values, but {name_of(adapter.backward)} returns {len(parts)}"
            )
    if called is None or len(called) != len(parts):
        called = [None] * len(parts)
    found: dict[str, Any] = {}
    for k, (name, part) in enumerate(zip(called, parts, strict=True)):
        if isinstance(part, dict):
            found |= {key: value for key, value in flat(part).items() if key not in found}
        elif isinstance(part, tuple):
            found |= {f"{name or f'result {k}'}[{j}]": value for j, value in enumerate(part)}
        else:
            label = name or (f"result {k}" if len(parts) > 1 else "result")
            found[label if label not in found else f"{label} ({k})"] = part
    return found


def matched(adapter: Adapter, found: dict[str, Any]) -> Answer:
    """Which returned value is the gradient of which argument."""
    known = {leaf.name for leaf in adapter.leaves}
    arrays = {
        name: np.asarray(value, float)
        for name, value in found.items()
        if is_array(value)
        and (names.is_gradient(name) or name in known or name.startswith("result") or adapter.declared_returns)
    }
    others = {name: value for name, value in found.items() if name not in arrays}
    shapes = {leaf.name: leaf.value.shape for leaf in adapter.leaves if not leaf.store}
    pairs: dict[str, str] = {}
    if isinstance(adapter.declared_returns, Mapping):
        for name, what in adapter.declared_returns.items():
            if what not in shapes:
                raise ArgumentError(f"check_backward: returns: expected one of the arguments {sorted(shapes)}, got {what!r}")
            if name in arrays:
                pairs[name] = what
    elif adapter.declared_returns is not None:
        pairs = {name: name for name in arrays if name in shapes}

    def fits(short: str, what: str) -> bool:
        return sorted(arrays[shorts[short]].shape) == sorted(shapes[what])

    open_names = [name for name in arrays if name not in pairs]
    shorts = {names.stem(name): name for name in open_names}
    free = [name for name in shapes if name not in pairs.values()]
    for short, what in names.match(shorts, free, fits).items():
        pairs[shorts[short]] = what
    open_names = [name for name in arrays if name not in pairs]
    free = [name for name in shapes if name not in pairs.values()]
    for name in open_names:
        candidates = [what for what in free if shapes[what] == arrays[name].shape]
        rivals = [other for other in open_names if arrays[other].shape == arrays[name].shape]
        if len(candidates) == 1 and len(rivals) == 1 and (names.is_gradient(name) or name.startswith("result")):
            pairs[name] = candidates[0]
    if not pairs:
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing that is an array"
        expected = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ArgumentError(
            f"check_backward: of what is each value that {name_of(adapter.backward)} returns the gradient? It returned "
            f"{shown}; the arguments are {expected}. Say so: returns=('x', 'h_prev', …), in the "
            "order of the returned values, with None for what is no gradient, or returns={'its name': 'the argument'}"
        )
    ambiguous = [name for name in arrays if name not in pairs and name.startswith("result") and arrays[name].ndim]
    if ambiguous and any(sorted(shapes[w]) == sorted(arrays[a].shape) for a in ambiguous for w in free):
        raise ArgumentError(
            f"check_backward: of what is {', '.join(ambiguous)} of {name_of(adapter.backward)} the gradient? Say so: "
            f"returns=(…), one name for each returned value, of {sorted(shapes)}, None for what is no gradient"
        )
    others |= {name: value for name, value in arrays.items() if name not in pairs}
    return Answer({what: arrays[name] for name, what in pairs.items()}, {what: n for n, what in pairs.items()}, others)
