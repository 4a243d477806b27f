"""Module and Parameter: what a model is made of, and the names its parameters go by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, ValuesView
from types import FunctionType, MappingProxyType, MemberDescriptorType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad.atomic import set_all
from minigrad.errors import ArgumentError, MinigradError
from minigrad.flags import flag
from minigrad.graph import Leaf
from minigrad.guard import Array
from minigrad.recording import plain
from minigrad.scope import end_trace
from minigrad.tensor import Tensor, forget_gradients

__all__ = ["Module", "Parameter", "is_parameter", "parts_of"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_CONTAINERS = (list, tuple, dict, deque, MappingProxyType, ValuesView)
_UNORDERED = (set, frozenset)
_PLAIN = (NoneType, str, int, float, slice, np.ndarray, np.generic, type, ModuleType, FunctionType)
"""What holds no parameters."""

_CODE = {FunctionType, property, classmethod, staticmethod, str, bool, int, NoneType}
"""What classes are mostly made of, and is no parameter of an instance."""


class Parameter(Tensor):
    """A tensor that is trained: a leaf that needs a gradient.

    >>> Parameter([0.0, 0.0], name="b_h")
    Tensor([0., 0.], shape=(2,), dtype=float64, requires_grad=True, name='b_h')
    """

    __slots__ = ()

    def __init__(self, data: npt.ArrayLike, dtype: npt.DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, requires_grad=True, dtype=dtype, name=name)
        if isinstance(self._node, Leaf):
            self._node.role = "parameter"


def attributes_of(owner: object) -> dict[str, Any]:
    """What an object holds, by name: its own attributes, those in slots, and those of its class that are data."""
    own = getattr(owner, "__dict__", None)
    found = dict(own) if isinstance(own, dict) else {}
    for kind in type(owner).__mro__[:-1]:
        for name, value in vars(kind).items():
            if type(value) in _CODE or name in found or name.startswith("__"):
                continue
            if isinstance(value, MemberDescriptorType):
                if hasattr(owner, name):
                    found[name] = getattr(owner, name)
            elif not hasattr(value, "__get__"):
                found[name] = value
    return found


def parts_of(owner: object) -> Iterator[tuple[str, Any]]:
    """Everything that belongs to an object, with its path, such as ``"cell.W_hh"``: parameters, modules, other objects.

    Looked through are modules, lists, tuples, dicts and objects of any class, each once; for a parameter that is reached
    twice the first path counts. What is found in one place of the program is a part of it wherever it lies.

    Raises:
        ArgumentError: two parts have one path; or a set holds a parameter or a module, and a set has no order.

    >>> from types import SimpleNamespace
    >>> parts = parts_of(SimpleNamespace(W=Parameter([2.0]), rest=[1, SimpleNamespace(b=Parameter([3.0]))]))
    >>> [path for path, part in parts if is_parameter(part)]
    ['W', 'rest.1.b']
    """
    seen = {id(owner): owner}
    paths: set[str] = set()
    stack: list[tuple[str, Any]] = []

    def look_into(inner: Iterable[tuple[Any, Any]], prefix: str) -> None:
        stack.extend(reversed([(f"{prefix}{name}", part) for name, part in inner if not isinstance(part, _PLAIN)]))

    look_into(attributes_of(owner).items(), "")
    while stack:
        path, value = stack.pop()
        if id(value) in seen:
            if isinstance(value, np.random.Generator):
                yield path, value
            continue
        seen[id(value)] = value
        if isinstance(value, _UNORDERED):
            if any(isinstance(entry, Tensor | Module) for entry in value):
                raise ArgumentError(f"{path} is a {type(value).__name__}, whose order is not fixed; keep parameters in a list")
        elif isinstance(value, _CONTAINERS):
            look_into(value.items() if isinstance(value, Mapping) else enumerate(value), f"{path}.")
        else:
            if isinstance(value, Tensor | Module) and path in paths:
                raise ArgumentError(f"two parts have the path {path!r}; one of them would be neither saved nor loaded")
            paths.add(path)
            yield path, value
            if not isinstance(value, Tensor):
                look_into(attributes_of(value).items(), f"{path}.")


def is_parameter(part: object) -> bool:
    """Whether a part is trained and saved: a Parameter, or another tensor that you made and that needs a gradient.

    It remains one while it is frozen, its ``requires_grad`` having been switched off.

    >>> W = Tensor([2.0], requires_grad=True)
    >>> W.requires_grad = False
    >>> is_parameter(W), is_parameter(Tensor([2.0]))
    (True, False)
    """
    if isinstance(part, Parameter):
        return True
    return isinstance(part, Tensor) and part.is_leaf and (part.requires_grad or part.is_frozen)


class Computing(Protocol[P, R_co]):
    """What has a method ``forward``."""

    def forward(self, *inputs: P.args, **options: P.kwargs) -> R_co:
        """Compute."""


class Calling(Protocol):
    """What type checkers are told of a call: it takes what ``forward`` takes, and returns what it returns."""

    @overload
    def __get__(self, module: Computing[P, R], kind: type | None = None) -> Callable[P, R]: ...

    @overload
    def __get__(self, module: Module, kind: type | None = None) -> Callable[..., Any]: ...


class Module:
    """A part of a model. Parameters and modules assigned to its attributes belong to it.

    So do those inside of lists, tuples, dicts and objects that are no modules, such as a cell with methods of its own, and
    those of its class; a plain ``Tensor(…, requires_grad=True)`` is a parameter too. Calling a module calls its `forward`.

    >>> class Affine(Module):
    ...     def __init__(self):
    ...         self.W = Parameter([[2.0, 0.0]])
    ...         self.b = Parameter([1.0])
    ...     def forward(self, x):
    ...         return x @ self.W.T + self.b
    >>> sorted(Affine().state_dict())
    ['W', 'b']
    >>> Affine()(np.ones((3, 2))).shape
    (3, 1)
    """

    training: bool = True

    if TYPE_CHECKING:
        __call__: Calling
    else:

        def __call__(self, *inputs: Any, **options: Any) -> Any:
            """What `forward` returns for the same arguments."""
            forward = getattr(self, "forward", None)
            if forward is None:
                raise ArgumentError(f"{type(self).__name__} was called, and it has no method forward; define forward(self, …)")
            return forward(*inputs, **options)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter once, with its path, such as ``"cell.W_hh"``, in the order of assignment; see `parts_of`."""
        return ((path, part) for path, part in parts_of(self) if is_parameter(part))

    def parameters(self) -> list[Tensor]:
        """Every parameter once."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, whose path is empty, and all modules in it, each once, with their paths."""
        yield "", self
        yield from ((path, part) for path, part in parts_of(self) if isinstance(part, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all modules in it, each once."""
        return (module for _, module in self.named_modules())

    def zero_grad(self) -> None:
        """Forget the gradients collected so far (each ``grad`` becomes None)."""
        forget_gradients(self.parameters())

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all in it to training behaviour; returns itself."""
        mode = flag(mode, "train: mode")
        set_all([(module, "training", mode) for module in self.modules()])
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
            raise ArgumentError(f"load_state_dict: expected the arrays by name that state_dict() returned, got {state!r}")
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
        end_trace("load_state_dict")
        set_all([(parameter, "_array", arrays[name]) for name, parameter in own.items()])

    @override
    def __repr__(self) -> str:
        parameters = ", ".join(f"{name} {p.shape}" for name, p in self.named_parameters())
        return f"{type(self).__name__}({parameters})"
