"""Module and Parameter: what a model is made of, and the names its parameters go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt
from typing_extensions import override

from minigrad.errors import ArgumentError, MinigradError
from minigrad.graph import set_all
from minigrad.guard import Array
from minigrad.tensor import Tensor, plain

__all__ = ["Module", "Parameter", "children_of"]


class Parameter(Tensor):
    """A tensor that is trained: a leaf that needs a gradient.

    >>> Parameter([0.0, 0.0], name="b_h")
    Tensor([0., 0.], shape=(2,), dtype=float64, requires_grad=True, name='b_h')
    """

    __slots__ = ()

    def __init__(self, data: npt.ArrayLike, dtype: npt.DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, requires_grad=True, dtype=dtype, name=name)


def children_of(owner: object) -> Iterator[tuple[str, Any]]:
    """The parameters and modules among the attributes of any object, also in lists and dicts, with their paths.

    >>> from types import SimpleNamespace
    >>> [name for name, _ in children_of(SimpleNamespace(W=Parameter([2.0]), rest=[1, Parameter([3.0])]))]
    ['W', 'rest.1']
    """
    stack = list(reversed(getattr(owner, "__dict__", {}).items()))
    while stack:
        name, value = stack.pop()
        if isinstance(value, Parameter | Module):
            yield name, value
        elif isinstance(value, list | tuple):
            stack.extend((f"{name}.{i}", part) for i, part in reversed(list(enumerate(value))))
        elif isinstance(value, dict):
            stack.extend((f"{name}.{key}", part) for key, part in reversed(value.items()))


class Module:
    """A part of a model. Parameters and modules assigned to its attributes (also in lists and dicts) belong to it.

    >>> class Affine(Module):
    ...     def __init__(self):
    ...         self.W = Parameter([[2.0, 0.0]])
    ...         self.b = Parameter([1.0])
    >>> sorted(Affine().state_dict())
    ['W', 'b']
    """

    training: bool = True

    def _children(self) -> Iterator[tuple[str, Any]]:
        return children_of(self)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its path, such as ``"cell.W_hh"``, in the order of assignment."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, value = stack.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Module):
                prefix = f"{path}." if path else ""
                stack.extend((prefix + name, child) for name, child in reversed(list(value._children())))
            else:
                yield path, value

    def parameters(self) -> list[Parameter]:
        """Every parameter once."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, whose path is empty, and all modules in it, each once, with their paths."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            path, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            prefix = f"{path}." if path else ""
            inner = [(prefix + name, child) for name, child in module._children() if isinstance(child, Module)]
            stack.extend(reversed(inner))

    def modules(self) -> Iterator[Module]:
        """This module and all modules in it, each once."""
        return (module for _, module in self.named_modules())

    def zero_grad(self) -> None:
        """Forget the gradients collected so far (each ``grad`` becomes None)."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all in it to training behaviour; returns itself."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to evaluation behaviour: no dropout; returns itself."""
        return self.train(False)

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter's values under its path."""
        return {name: parameter.numpy() for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Give every parameter the values under its path.

        Raises:
            ArgumentError: keys are missing or unknown, shapes differ, or something is no array of numbers; all problems are
                listed and nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise ArgumentError(f"load_state_dict: expected arrays by the paths of parameters, got {state!r:.60}")
        own = dict(self.named_parameters())
        problems = [f"missing: {name}" for name in own if name not in state]
        problems += [f"unknown: {name}" for name in state if name not in own]
        values = {}
        for name in own.keys() & state.keys():
            try:
                values[name] = plain(state[name], name)
            except MinigradError as problem:
                problems.append(str(problem))
                continue
            if values[name].shape != own[name].shape:
                problems.append(f"{name}: expected shape {own[name].shape}, got {values[name].shape}")
            elif values[name].dtype.kind not in "fiu":
                problems.append(f"{name}: expected numbers, got dtype {values[name].dtype}")
        if problems:
            raise ArgumentError("load_state_dict: nothing was loaded; " + "; ".join(sorted(problems)))
        arrays = {name: np.array(values[name], own[name].dtype) for name in own}
        set_all([(parameter, "_array", arrays[name]) for name, parameter in own.items()])

    @override
    def __repr__(self) -> str:
        parameters = ", ".join(f"{name} {p.shape}" for name, p in self.named_parameters())
        return f"{type(self).__name__}({parameters})"
