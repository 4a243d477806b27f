"""Pytrees: tuples, NamedTuples, lists and dicts, one in another, with tensors or arrays at the ends.

A state of an LSTM is a pytree, and so are the parameters of a model and whatever a function takes or returns. None is the
empty pytree. Only the containers are looked into; what stands at an end is any other object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minigrad.errors import ArgumentError

__all__ = ["alike", "ends", "like", "mapped", "named_ends", "paths", "rebuilt"]


def named_ends(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every end with the path that leads to it, in order.

    >>> list(named_ends({"W": 1, "state": (2, [3])}))
    [("['W']", 1), ("['state'][0]", 2), ("['state'][1][0]", 3)]
    """
    for key, part in _parts(tree):
        if _is_container(part):
            yield from named_ends(part, path + key)
        else:
            yield path + key, part


def ends(tree: Any) -> list[Any]:
    """Every end, in order.

    Raises:
        ArgumentError: the pytree holds itself.

    >>> ends((1, {"b": 2, "a": None}, [3]))
    [1, 2, 3]
    """
    return [end for _, end in _named_ends_of(tree)]


def paths(tree: Any) -> list[str]:
    """The path that leads to every end of a tuple with ``tree`` in it, in order.

    Raises:
        ArgumentError: the pytree holds itself.

    >>> paths(7), paths({"W": 1})
    (['[0]'], ["[0]['W']"])
    """
    return [path for path, _ in _named_ends_of(tree)]


def _named_ends_of(tree: Any) -> list[tuple[str, Any]]:
    try:
        return list(named_ends((tree,)))
    except RecursionError:
        raise ArgumentError("expected nested tuples, lists and dicts that end somewhere, got one that holds itself") from None


def like(template: Any, tree: Any, where: str) -> list[Any]:
    """The ends of ``tree``, which must have the structure of ``template``, in the order of the template's.

    Raises:
        ArgumentError: the structures differ; the message says where.
    """
    if not _is_container(template):
        if _is_container(tree):
            raise ArgumentError(f"{where}: expected one value, got {_described(tree)}")
        return [tree]
    if _described(tree) != _described(template):
        raise ArgumentError(f"{where}: expected {_described(template)}, got {_described(tree)}{_difference(template, tree)}")
    if isinstance(template, dict):
        return [end for key, part in template.items() for end in like(part, tree[key], f"{where}[{key!r}]")]
    pairs = zip(_parts(template), _parts(tree), strict=True)
    return [end for (key, part), (_, other) in pairs for end in like(part, other, where + key)]


def alike(tree: Any, template: Any) -> bool:
    """Whether two pytrees have the same structure, down to the types of their containers and the order of keys.

    >>> alike((1, [2]), (3, [4])), alike((1, 2), [1, 2]), alike((1,), 2), alike(1, [2])
    (True, False, False, False)
    """
    if not (_is_container(tree) or _is_container(template)):
        return True
    if type(tree) is not type(template) or _described(tree) != _described(template):
        return False
    if isinstance(tree, dict) and list(tree) != list(template):
        return False
    return all(
        alike(part, other) for (_, part), (_, other) in zip(_parts(tree), _parts(template), strict=True)
    )


def rebuilt(template: Any, values: Sequence[Any]) -> Any:
    """The pytree that has the structure of ``template`` and the ``values``, in order, at its ends.

    >>> rebuilt({"W": 0, "state": (0, [0])}, "abc")
    {'W': 'a', 'state': ('b', ['c'])}
    """
    return _filled(template, iter(values))


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The pytree with ``function`` applied to each end.

    >>> mapped(abs, (-1, [-2, None]))
    (1, [2, None])
    """
    return rebuilt(tree, [function(end) for end in ends(tree)])


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


def _parts(tree: Any) -> list[tuple[str, Any]]:
    """What a container directly holds, each with how one gets there."""
    if isinstance(tree, dict):
        return [(f"[{key!r}]", part) for key, part in tree.items()]
    names = getattr(tree, "_fields", None)
    if names is not None:
        return [(f".{name}", part) for name, part in zip(names, tree, strict=True)]
    return [] if tree is None else [(f"[{i}]", part) for i, part in enumerate(tree)]


def _described(tree: Any) -> str:
    """The kind of a container and what tells it from others of its kind."""
    if tree is None:
        return "None"
    if isinstance(tree, dict):
        return f"a dict with the keys {', '.join(sorted(map(str, tree))) or '(none)'}"
    if isinstance(tree, tuple | list):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"one {type(tree).__name__}"


def _difference(template: Any, tree: Any) -> str:
    """Which keys of two dicts are missing or not wanted."""
    if not (isinstance(template, dict) and isinstance(tree, dict)):
        return ""
    missing = ", ".join(str(key) for key in template if key not in tree)
    unknown = ", ".join(str(key) for key in tree if key not in template)
    return f"{'; missing: ' * bool(missing)}{missing}{'; unknown: ' * bool(unknown)}{unknown}"
