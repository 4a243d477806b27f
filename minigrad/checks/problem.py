"""The arguments of a forward pass: the arrays in them, and other values of the same shapes that hide no mistake.

With weights of 10⁻³, an initial state of 0 or a single example, many mistakes cannot be seen. So the arrays are replaced
by random ones of about 0.5. Kept as they are: integers (token ids, labels), arrays of zeros and ones such as one-hot vectors
and masks, plain numbers, and attributes that are gradients.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Collection
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks.names import is_gradient
from minigrad.errors import ArgumentError
from minigrad.guard import Array, entering
from minigrad.tensor import Tensor

__all__ = ["GLOBALS", "GRADIENT", "NO_DATA", "Leaf", "each_array", "generic", "leaves", "mapped"]

GLOBALS = "global variables"
"""Under which arrays that are global variables stand among the arguments."""


class Leaf(NamedTuple):
    """An array of real numbers among the arguments.

    Attributes:
        name, path, value: what it is called, where it is, and what the example has there.
        kept: whether it is kept as it is.
        store: whether gradients are put there, so that it has none itself.
    """

    name: str
    path: str
    value: Array
    kept: bool
    store: bool


def mapped(
    value: Any,
    change: Callable[[str, Array, bool], Any],
    path: str = "",
    attribute: bool = False,
    known: dict[int, tuple[Any, Any]] | None = None,
    others: Callable[[Array], Any] = np.copy,
) -> Any:
    """``value`` with every array of real numbers replaced by ``change(path, array, whether it is an attribute)``.

    Tuples, lists, dicts and objects with attributes are looked into and copied; nothing of the original is changed. What is
    reached by two ways inside objects, such as ``self.W`` that is also in ``self.weights``, is one and the same in the copy
    too; ``known`` holds what has been copied already, with its copy. ``others`` says what arrays of other numbers become.
    """
    known = {} if known is None else known
    if id(value) in known:
        return known[id(value)][1]
    if isinstance(value, np.ndarray | Tensor):
        array: Array = value.numpy() if isinstance(value, Tensor) else value
        entering(array, f"check_backward: {path.lstrip('.') or 'an argument'}")
        other: Any = change(path, array, attribute) if array.dtype.kind == "f" else others(array)
        if attribute:
            known[id(value)] = value, other
        return other

    def of(part: Any, name: str, attribute: bool = attribute) -> Any:
        return mapped(part, change, f"{path}{name}", attribute, known, others)

    def remembered(other: Any) -> Any:
        if attribute:
            known[id(value)] = value, other
        return other

    if isinstance(value, dict):
        other = remembered(copy.copy(value))
        for key, part in value.items():
            other[key] = of(part, f".{key}")
        return other
    if isinstance(value, tuple):
        parts = [of(part, f"[{k}]") for k, part in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        other = remembered(copy.copy(value))
        other[:] = [of(part, f"[{k}]") for k, part in enumerate(value)]
        return other
    if hasattr(value, "__dict__") and not isinstance(value, NO_DATA):
        other = copy.copy(value)
        known[id(value)] = value, other
        for name, part in vars(value).items():
            other.__dict__[name] = of(part, f".{name}", True)
        return other
    return value


def each_array(
    arguments: dict[str, Any], change: Callable[[str, Array, bool], Any], others: Callable[[Array], Any] = np.copy
) -> dict[str, Any]:
    """The arguments with every array of real numbers replaced, as `mapped` does it; of global variables, as of attributes."""
    known: dict[int, tuple[Any, Any]] = {}
    return {name: mapped(value, change, name, name == GLOBALS, known, others) for name, value in arguments.items()}


NO_DATA = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, np.random.Generator, np.random.RandomState)
"""Objects with attributes that hold no weights."""

GRADIENT = re.compile(r"^(?:d|grads?|gradients?|deriv(?:ative)?|diff|delta)$", re.IGNORECASE)
"""What an object calls the gradient of the array that it holds beside."""


def leaves(arguments: dict[str, Any], unread: Collection[str] = ()) -> list[Leaf]:
    """All arrays of real numbers, each with a name of its own: the last part of its path, or as much as is needed.

    Args:
        arguments: of the forward pass, by name.
        unread: the paths of those that it does not read, such as the moments of an optimiser; they give way to others.
    """
    found: dict[str, tuple[Array, bool]] = {}

    def noted(path: str, array: Array, attribute: bool) -> Array:
        found[path] = array, attribute
        return array

    try:
        each_array(arguments, noted)
    except RecursionError:
        raise ArgumentError("check_backward: expected arrays or nests of them, got a nest that holds itself") from None
    owned = _owned(found)
    short = {path: owned.get(path, path).rsplit(".", 1)[-1] for path in found}
    read, all_of_them = (Counter(name for path, name in short.items() if path not in left_out) for left_out in (unread, ()))
    return [
        Leaf(_distinct(path, short[path], all_of_them if path in unread else read), path, array, kept, store)
        for path, (array, attribute) in found.items()
        for store in [attribute and path not in owned and _is_gradient_store(path, found)]
        for kept in [store or _is_kept(array) or _is_moment(array, path, unread)]
    ]


def _distinct(path: str, short: str, count: Counter[str]) -> str:
    """The short name if it is the only one; otherwise the path, as far as it is needed."""
    longer = path.removeprefix(f"{GLOBALS}.")
    return short if count[short] == 1 else longer if longer != short else path


def _owned(found: dict[str, tuple[Array, bool]]) -> dict[str, str]:
    """For the array of an object that also holds its gradient, such as ``p.W.value`` beside ``p.W.grad``: what owns both."""
    owners: dict[str, str] = {}
    for path, (array, attribute) in found.items():
        owner, _, last = path.rpartition(".")
        if attribute and GRADIENT.match(last):
            beside = [
                other
                for other, (it, _) in found.items()
                if other.rpartition(".")[0] == owner
                and it.shape == array.shape
                and not is_gradient(other.rpartition(".")[2])
                and not GRADIENT.match(other.rpartition(".")[2])
            ]
            if beside and owner.count("."):
                owners[beside[0]] = owner
    return owners


def _is_gradient_store(path: str, found: dict[str, tuple[Array, bool]]) -> bool:
    parts = path.removeprefix(f"{GLOBALS}.").split(".")
    parts = parts if path.startswith(f"{GLOBALS}.") else parts[1:]
    return any(is_gradient(part) or GRADIENT.match(part.partition("[")[0]) for part in parts)


def _is_moment(array: Array, path: str, unread: Collection[str]) -> bool:
    """Whether the array is what an object keeps for the updates of its weights, and begins with zeros."""
    return path in unread and "." in path and not array.any()


def _is_kept(array: Array) -> bool:
    """Whether it holds zeros and ones (not of one kind alone), or distributions."""
    if array.size < 2:
        return array.ndim == 0
    return bool(np.isin(array, (0.0, 1.0)).all() and array.min() != array.max())


def generic(leaf: Leaf, rng: np.random.Generator) -> Array:
    """Random values of the same shape and about 0.5; zeros where gradients are put; the leaf's own if it is kept."""
    if leaf.store:
        return np.zeros(leaf.value.shape)
    return np.array(leaf.value, float) if leaf.kept else rng.standard_normal(leaf.value.shape) * 0.5
