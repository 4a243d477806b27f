"""The names that the values of a step have in its code: those of the local variables that hold them.

While a step is traced, Python tells the observer about every line of the step's own function; what is then in a variable
for the first time gets the variable's name, unless it has been named otherwise. A function that the step calls names what it
computes if it returns several values, or if it is the step of a class above: it is then a step itself, and not an activation.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

import numpy as np

from minigrad import pytree
from minigrad.graph import Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.tensor import Tensor

__all__ = ["Observer"]


class Observer:
    """A context in which the variables of a step's function name what they hold.

    Args:
        cell_or_step: the cell or the function. The cells of minigrad.models name their values themselves.
    """

    def __init__(self, cell_or_step: Any) -> None:
        self.code = _code_of(cell_or_step)
        self.above = {_code(vars(base).get("step")) for base in type(cell_or_step).__mro__} - {None}
        """The steps of the classes above."""
        self.leaves: dict[Node, str] = {}
        """For the inputs and the parts of the old state, the last variable that held one."""
        self.arrays: dict[str, Array] = {}
        """The arrays that the variables of the step held."""
        self._found: Any = None

    def __enter__(self) -> Observer:
        self._found = sys.gettrace()
        if self.code is not None:
            sys.settrace(self._called)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.code is not None:
            sys.settrace(self._found)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is self.code:
            return self._looked
        if str(frame.f_globals.get("__name__", "")).split(".")[0] in ("minigrad", "numpy"):
            return None
        given = dict(_held(frame))
        return functools.partial(self._looked_below, dict.fromkeys(given), {n: k for n, k in given.items() if _is_leaf(n)})

    def _looked(self, frame: FrameType, event: str, argument: Any) -> Any:
        for node, name in _held(frame):
            if isinstance(node, Leaf):
                self.leaves[node] = name
            elif node.name is None:
                node.name = name
        self.arrays |= {name: value for name, value in frame.f_locals.items() if isinstance(value, np.ndarray)}
        return self._looked

    def _looked_below(
        self, given: dict[Node, None], found: dict[Node, str], frame: FrameType, event: str, argument: Any
    ) -> Any:
        """What a function that the step calls has in its variables, but for what it was given, is named when it returns."""
        for node, name in _held(frame):
            if node not in given:
                found.setdefault(node, name)
        if event == "return" and (frame.f_code in self.above or _are_several(argument)):
            for node, name in found.items():
                if isinstance(node, Leaf):
                    self.leaves.setdefault(node, name)
                elif node.name is None:
                    node.name = name
        return functools.partial(self._looked_below, given, found)


def _held(frame: FrameType) -> Iterator[tuple[Node, str]]:
    """The nodes of the Tensors in the variables of a function."""
    for name, value in frame.f_locals.items():
        node = value._node if isinstance(value, Tensor) else None
        if isinstance(node, Leaf | Operation):
            yield node, name


def _is_leaf(node: Node) -> bool:
    return isinstance(node, Leaf)


def _are_several(value: Any) -> bool:
    """Whether a function returned a container of several Tensors."""
    return isinstance(value, tuple | list | dict) and sum(isinstance(end, Tensor) for end in pytree.ends(value)) > 1


def _code_of(cell_or_step: Any) -> CodeType | None:
    """The code of the step; None of a step that is one of minigrad's own, or not written in Python."""
    step = getattr(cell_or_step, "step", cell_or_step)
    while isinstance(step, functools.partial):
        step = step.func
    function = inspect.unwrap(step)
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__code__"):
        function = vars(type(function)).get("__call__")
    if str(getattr(function, "__module__", "")).startswith("minigrad."):
        return None
    return _code(function)


def _code(function: Any) -> CodeType | None:
    """The code of a function, if it is one that is written in Python."""
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
