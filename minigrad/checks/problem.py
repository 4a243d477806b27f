"""The arguments of a forward pass: the arrays in them, and other values of the same shapes that hide no mistake.

With weights of 10⁻³, an initial state of 0 or a single example, many mistakes cannot be seen. So the arrays are replaced
by random ones of about 0.5. Kept as they are: integers (token ids, labels), arrays of zeros and ones such as one-hot vectors
and masks, plain numbers, and attributes that are gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks.names import is_gradient
from minigrad.guard import Array
from minigrad.tensor import Tensor

__all__ = ["Leaf", "generic", "leaves", "mapped"]


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


def mapped(value: Any, change: Callable[[str, Array, bool], Any], path: str = "", attribute: bool = False) -> Any:
    """``value`` with every array of real numbers replaced by ``change(path, array, whether it is an attribute)``.

    Tuples, lists, dicts and objects with attributes are looked into and copied; nothing of the original is changed.
    """
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return change(path, value, attribute) if value.dtype.kind == "f" else value.copy()
    if isinstance(value, dict):
        return type(value)() | {k: mapped(part, change, f"{path}.{k}", attribute) for k, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(p, change, f"{path}.{k}", attribute) for k, p in zip(value._fields, value, strict=True)))
    if isinstance(value, list | tuple):
        return type(value)(mapped(part, change, f"{path}[{k}]", attribute) for k, part in enumerate(value))
    if hasattr(value, "__dict__") and not isinstance(
        value, type | ModuleType | FunctionType | MethodType | BuiltinFunctionType
    ):
        other = copy.copy(value)
        for name, part in vars(value).items():
            other.__dict__[name] = mapped(part, change, f"{path}.{name}", True)
        return other
    return value


def leaves(arguments: dict[str, Any]) -> list[Leaf]:
    """All arrays of real numbers, each with a name of its own: the last part of its path, or as much as is needed."""
    found: list[tuple[str, Array, bool, bool]] = []

    def noted(path: str, array: Array, attribute: bool) -> Array:
        store = attribute and _is_gradient_store(path)
        found.append((path, array, store or _is_kept(array), store))
        return array

    for name, value in arguments.items():
        mapped(value, noted, name)
    short = [path.rsplit(".", 1)[-1] for path, *_ in found]
    return [
        Leaf(name if short.count(name) == 1 else path, path, array, kept, store)
        for name, (path, array, kept, store) in zip(short, found, strict=True)
    ]


def _is_gradient_store(path: str) -> bool:
    return any(is_gradient(part) or part.startswith(("grads[", "gradients[", "grad[")) for part in path.split(".")[1:])


def _is_kept(array: Array) -> bool:
    """Whether it holds zeros and ones (not of one kind alone), or distributions."""
    if array.size < 2:
        return array.ndim == 0
    return bool(np.isin(array, (0.0, 1.0)).all() and array.min() != array.max())


def generic(leaf: Leaf, rng: np.random.Generator) -> Array:
    """Random values of the same shape and about 0.5; the leaf's own if it is kept."""
    return np.array(leaf.value, float) if leaf.kept else rng.standard_normal(leaf.value.shape) * 0.5
