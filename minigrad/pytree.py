"""Nests: tuples, NamedTuples, lists and dicts, one in another, with tensors or arrays at the ends.

A state of an LSTM is a nest, and so are the parameters of a model and whatever a function takes or returns. None is the
empty nest. Only the containers are looked into; what stands at an end is any other object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minigrad.errors import ArgumentError

__all__ = ["alike", "ends", "like", "mapped", "named_ends", "rebuilt"]


def named_ends(nest: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every end with the path that leads to it, in order.

    >>> list(named_ends({"W": 1, "state": (2, [3])}))
    [("['W']", 1), ("['state'][0]", 2), ("['state'][1][0]", 3)]
    """
    for key, part in _parts(nest):
        if _is_container(part):
            yield from named_ends(part, path + key)
        else:
            yield path + key, part


def ends(nest: Any) -> list[Any]:
    """Every end, in order.

    Raises:
        ArgumentError: the nest holds itself.

    >>> ends((1, {"b": 2, "a": None}, [3]))
    [1, 2, 3]
    """
    try:
        return [end for _, end in named_ends((nest,))]
    except RecursionError:
        raise ArgumentError("expected nested tuples, lists and dicts that end somewhere, got one that holds itself") from None


def like(template: Any, nest: Any, where: str) -> list[Any]:
    """The ends of ``nest``, which must have the structure of ``template``, in the order of the template's.

    Raises:
        ArgumentError: the structures differ; the message says where.
    """
    if not _is_container(template):
        if _is_container(nest):
            raise ArgumentError(f"{where}: expected one value, got {_described(nest)}")
        return [nest]
    if _described(nest) != _described(template):
        raise ArgumentError(f"{where}: expected {_described(template)}, got {_described(nest)}{_difference(template, nest)}")
    if isinstance(template, dict):
        return [end for key, part in template.items() for end in like(part, nest[key], f"{where}[{key!r}]")]
    pairs = zip(_parts(template), _parts(nest), strict=True)
    return [end for (key, part), (_, other) in pairs for end in like(part, other, where + key)]


def alike(nest: Any, template: Any) -> bool:
    """Whether two nests have the same structure, down to the types of their containers and the order of keys.

    >>> alike((1, [2]), (3, [4])), alike((1, 2), [1, 2]), alike((1,), 2), alike(1, [2])
    (True, False, False, False)
    """
    if not (_is_container(nest) or _is_container(template)):
        return True
    if type(nest) is not type(template) or _described(nest) != _described(template):
        return False
    if isinstance(nest, dict) and list(nest) != list(template):
        return False
    return all(
        alike(part, other) for (_, part), (_, other) in zip(_parts(nest), _parts(template), strict=True)
    )


def rebuilt(template: Any, values: Sequence[Any]) -> Any:
    """The nest that has the structure of ``template`` and the ``values``, in order, at its ends.

    >>> rebuilt({"W": 0, "state": (0, [0])}, "abc")
    {'W': 'a', 'state': ('b', ['c'])}
    """
    return _filled(template, iter(values))


def mapped(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with ``function`` applied to each end.

    >>> mapped(abs, (-1, [-2, None]))
    (1, [2, None])
    """
    return rebuilt(nest, [function(end) for end in ends(nest)])


def _filled(template: Any, values: Iterator[Any]) -> Any:
    if template is None:
        return None
    if isinstance(template, dict):
        return {key: _filled(part, values) for key, part in template.items()}
    if isinstance(template, list):
        return [_filled(part, values) for part in template]
    if isinstance(template, tuple):
        parts = [_filled(part, values) for part in template]
        return type(template)(*parts) if hasattr(template, "_fields") else tuple(parts)
    return next(values)


def _is_container(value: Any) -> bool:
    return value is None or isinstance(value, tuple | list | dict)


def _parts(nest: Any) -> list[tuple[str, Any]]:
    """What a container directly holds, each with how one gets there."""
    if isinstance(nest, dict):
        return [(f"[{key!r}]", part) for key, part in nest.items()]
    names = getattr(nest, "_fields", None)
    if names is not None:
        return [(f".{name}", part) for name, part in zip(names, nest, strict=True)]
    return [] if nest is None else [(f"[{i}]", part) for i, part in enumerate(nest)]


def _described(nest: Any) -> str:
    """The kind of a container and what tells it from others of its kind."""
    if nest is None:
        return "None"
    if isinstance(nest, dict):
        return f"a dict with the keys {', '.join(sorted(map(str, nest))) or '(none)'}"
    if isinstance(nest, tuple | list):
        return f"a {type(nest).__name__} of {len(nest)}"
    return f"one {type(nest).__name__}"


def _difference(template: Any, nest: Any) -> str:
    """Which keys of two dicts are missing or not wanted."""
    if not (isinstance(template, dict) and isinstance(nest, dict)):
        return ""
    missing = ", ".join(str(key) for key in template if key not in nest)
    unknown = ", ".join(str(key) for key in nest if key not in template)
    return f"{'; missing: ' * bool(missing)}{missing}{'; unknown: ' * bool(unknown)}{unknown}"
