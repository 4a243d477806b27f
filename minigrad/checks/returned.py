"""Which value that a backward pass returns is the gradient of which argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter, name_of
from minigrad.checks.containers import flat, is_array
from minigrad.checks.listed import of_a_list
from minigrad.errors import ArgumentError
from minigrad.guard import Array

__all__ = ["Answer", "matched", "returned_by_name"]


LARGEST = 1e4
"""What changes by more than this, for a rate of 1, was set and not moved, if its name does not say that it is a weight."""
MODERATE = 100.0
"""The same beside weights that are moved, where gradients are returned: it may be a state that the next call begins with."""


class Answer(NamedTuple):
    """What the user's backward pass returned for a problem: by the name of the quantity it is the gradient of.

    Attributes:
        gradients: the matched ones, by the name of the argument.
        called: how the user calls each of them.
        others: what was returned beside, by the user's names.
        moved: those that were not returned, but subtracted from the arguments.
        beside: what was subtracted from arguments whose gradients are taken from where they were stored.
    """

    gradients: dict[str, Array]
    called: dict[str, str]
    others: dict[str, Any]
    moved: tuple[str, ...] = ()
    beside: Mapping[str, Array] = {}


class Returned(NamedTuple):
    """What was returned, by the user's names; what is in lists and dicts, one by one.

    Attributes:
        values: all of it.
        keyed: the names that are keys of a dict of gradients, whatever they are called.
        called: what the user's code calls those whose names were declared.
    """

    values: dict[str, Any]
    keyed: frozenset[str] = frozenset()
    called: Mapping[str, str] = {}


def returned_by_name(adapter: Adapter, result: Any) -> Returned:
    """What was returned, by the user's names."""
    if result is None:
        return Returned({})
    if isinstance(result, dict):
        return Returned(flat(result), frozenset(flat(result)))
    parts = list(result) if isinstance(result, tuple | list) else [result]
    writer = adapter.writer_of(adapter.backward) if len(parts) > 1 else adapter.backward
    called: Sequence[str | None] = names.returned_names(writer) or []
    inside = names.names_inside(writer)
    if len(called) == 1 and len(inside[0]) == len(parts) > 1:
        called, inside = inside[0], []  # return grads, where grads = [dW, db]
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        called = result._fields
    declared = adapter.declared_returns
    if declared is not None and not isinstance(declared, Mapping):
        values = _declared(adapter, parts, declared)
        written = {n: name for n, name in zip(declared, called, strict=False) if isinstance(n, str) and name}
        as_written = len(called) == len(parts) == len(declared)
        return Returned(values, called={_leaf(adapter, n): name for n, name in written.items()} if as_written else {})
    if declared is None and (listed := of_a_list(adapter, result)) is not None:
        return Returned(dict(zip(listed, parts, strict=True)), called=listed)
    found: dict[str, Any] = {}
    keyed: set[str] = set()
    for k, part in enumerate(parts):
        name = called[k] if len(called) == len(parts) else None
        if isinstance(part, dict):
            found |= {key: value for key, value in flat(part).items() if key not in found}
            keyed |= set(flat(part))
        elif isinstance(part, tuple | list) and not is_array(part):
            known = inside[k] if len(inside) == len(parts) and len(inside[k]) == len(part) else [None] * len(part)
            found |= {known[j] or _of_part(name, k, j): value for j, value in enumerate(part)}
        else:
            label = name or (f"result {k}" if len(parts) > 1 else "result")
            found[label if label not in found else f"{label} ({k})"] = part
    if adapter.does_both:  # what is called as an argument is its new value there
        found = {name: part for name, part in found.items() if name in keyed or names.is_gradient(name.partition("[")[0])}
    return Returned(found, frozenset(keyed))


def _of_part(name: str | None, k: int, j: int) -> str:
    """What the part j of the value k is called: grads[0] is the gradient of params[0]."""
    return f"{name or f'result {k}'}[{j}]"


def _declared(adapter: Adapter, parts: list[Any], declared: Sequence[Any]) -> dict[str, Any]:
    """The returned values by declared names, which may be in lists as the values are, or one after the other."""
    groups = [given if isinstance(given, tuple | list) else _members(adapter, given) for given in declared]
    flat_names = [name for group in groups for name in group]
    values = parts
    if len(flat_names) != len(parts):
        values = [value for part in parts for value in (part if isinstance(part, tuple | list) else [part])]
    if len(flat_names) != len(values):
        raise ArgumentError(
            f"check_backward: returns names {len(flat_names)} values, but {name_of(adapter.backward)} returns {len(parts)}"
            + (f", with {len(values)} in them" if len(values) != len(parts) else "")
        )
    return {_leaf(adapter, name): value for name, value in zip(flat_names, values, strict=True) if name is not None}


def _members(adapter: Adapter, name: Any) -> list[Any]:
    """The name, or those of what is in the list that it stands for: W[0], W[1]."""
    called = [leaf.name for leaf in adapter.leaves]
    return [name] if name is None or name in called else [c for c in called if c.startswith(f"{name}[")] or [name]


def _leaf(adapter: Adapter, name: str) -> str:
    """The argument that a declared name means: ``layer.W`` is ``self.layer.W`` if that is the only one of this end."""
    called = {leaf.name for leaf in adapter.leaves}
    ends = [leaf.name for leaf in adapter.leaves if f".{leaf.path}".endswith(f".{name}")]
    return ends[0] if name not in called and len(ends) == 1 else name


def matched(adapter: Adapter, returned: Returned, stored: dict[str, tuple[str, Array]], steps: dict[str, Array]) -> Answer:
    """Which value is the gradient of which argument.

    Args:
        adapter: of the backward pass.
        returned: what was returned.
        stored: what was put into objects or global variables, by the leaf, with the user's name.
        steps: what was subtracted from arguments, by the leaf.
    """
    known = {leaf.path: leaf.name for leaf in adapter.trained()}
    arrays = {
        name: np.asarray(value, float)
        for name, value in returned.values.items()
        if is_array(value)
        and (
            names.says_gradient(name)
            or name in known
            or name in known.values()
            or name in returned.keyed
            or name.startswith("result")
            or adapter.declared_returns
        )
    }
    others = {name: value for name, value in returned.values.items() if name not in arrays}
    every = {leaf.name: leaf.value.shape for leaf in adapter.leaves if not leaf.store}
    shapes = {name: shape for name, shape in every.items() if name in known.values()}
    pairs = {name: known[name] for name in arrays if name in known} | _declared_pairs(adapter, arrays, every)

    def fits(short: str, what: str) -> bool:
        return sorted(arrays[shorts[short]].shape) == sorted(shapes[what])

    open_names = [name for name in arrays if name not in pairs]
    shorts = {names.stem(name): name for name in open_names}
    free = [name for name in shapes if name not in pairs.values()]
    for short, what in names.match(shorts, free, fits).items():
        pairs[shorts[short]] = what
    open_names = [name for name in arrays if name not in pairs]
    free = [name for name in shapes if name not in pairs.values() and name not in stored]
    for name in open_names:
        candidates = [what for what in free if shapes[what] == arrays[name].shape]
        rivals = [other for other in open_names if arrays[other].shape == arrays[name].shape]
        if len(candidates) == 1 and len(rivals) == 1 and _by_shape(adapter, name, candidates[0]):
            pairs[name] = candidates[0]
    _refuse_unknown(adapter, returned, pairs, stored, shapes)
    elsewhere = {what: pair for what, pair in stored.items() if what not in pairs.values()}
    elsewhere = {what: pair for what, pair in elsewhere.items() if what not in adapter.by_moves & steps.keys()}
    others_too = bool(pairs or elsewhere)
    moved = tuple(what for what in steps if what not in pairs.values() and what not in elsewhere)
    if others_too or any(names.is_parameter(name) for name in moved):
        owner_of = {leaf.name: leaf.path.rpartition(".")[0] for leaf in adapter.leaves}
        owners = {owner_of[name] for name in moved if names.is_parameter(name)} - {""}
        most = {name: MODERATE * (owner_of[name] in owners) if others_too else LARGEST for name in moved}
        moved = tuple(n for n in moved if names.is_parameter(n) or np.abs(steps[n]).max() < most[n])
    if not pairs and not elsewhere and not moved:
        raise _unknown(adapter, arrays, shapes)
    ambiguous = [name for name in arrays if name not in pairs and name.startswith("result") and arrays[name].ndim]
    if ambiguous and any(sorted(shapes[w]) == sorted(arrays[a].shape) for a in ambiguous for w in free):
        raise ArgumentError(
            f"check_backward: of what is {', '.join(ambiguous)} of {name_of(adapter.backward)} the gradient? Say so: "
            f"returns=(…), one name for each returned value, of {sorted(shapes)}, None for what is no gradient"
        )
    gradients = {what: arrays[name] for name, what in pairs.items()} | {what: array for what, (_, array) in elsewhere.items()}
    called = {what: returned.called.get(name, name) for name, what in pairs.items()}
    called |= {what: name for what, (name, _) in elsewhere.items()}
    others |= {name: value for name, value in arrays.items() if name not in pairs}
    beside = {what: steps[what] for what in elsewhere if what in steps and steps[what].any()}
    called |= {what: stored[what][0] if what in stored else f"d{what}" for what in moved}
    return Answer(gradients | {what: steps[what] for what in moved}, called, others, moved, beside)


def _by_shape(adapter: Adapter, name: str, what: str) -> bool:
    """Whether an array may be the gradient of the only argument of its shape, where names do not tell.

    Not if its name says otherwise: ``dz`` where the forward pass computes a ``z``, ``dh`` where only a bias is left.
    """
    short = names.stem(name)
    if name.startswith("result"):
        return True
    if short == name:
        return not names.is_parameter(what)
    return short not in adapter.inner and names.is_parameter(short) == names.is_parameter(what)


def _refuse_unknown(
    adapter: Adapter, returned: Returned, pairs: dict[str, str], stored: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Names that were declared must be names of something."""
    declared = adapter.declared_returns
    if declared is None:
        return
    if isinstance(declared, Mapping):
        unknown = [name for name, what in declared.items() if name not in returned.values and what not in stored]
        known = f"{name_of(adapter.backward)} returns {', '.join(returned.values) or 'nothing'}"
    else:
        unknown = [name for name in returned.values if name not in pairs]
        known = f"the arguments are {', '.join(sorted(shapes))}"
    if unknown:
        raise ArgumentError(f"check_backward: returns: what is {', '.join(map(repr, unknown))}? {known[0].upper()}{known[1:]}")


def _declared_pairs(adapter: Adapter, arrays: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Which returned value is the gradient of which argument, as far as it is declared."""
    if not isinstance(adapter.declared_returns, Mapping):
        return {} if adapter.declared_returns is None else {name: name for name in arrays if name in shapes}
    declared = {name: _leaf(adapter, what) for name, what in adapter.declared_returns.items()}
    for what in declared.values():
        if what not in shapes:
            raise ArgumentError(f"check_backward: returns: expected one of the arguments {sorted(shapes)}, got {what!r}")
    return {name: what for name, what in declared.items() if name in arrays}


def _unknown(adapter: Adapter, arrays: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> ArgumentError:
    shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing that is an array"
    expected = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    return ArgumentError(
        f"check_backward: of what is each value that {name_of(adapter.backward)} returns the gradient? It returned "
        f"{shown}; the arguments are {expected}. Say so: returns=('x', 'h_prev', …), in the "
        "order of the returned values, with None for what is no gradient, or returns={'its name': 'the argument'}"
    )
