"""The names that the values of a step have in its code: those of the local variables that hold them.

While a step is traced, Python tells the observer about every line of the step's own function; what is then in a variable
for the first time gets the variable's name, unless it has been named otherwise.
"""

from __future__ import annotations

import functools
import inspect
import sys
from types import CodeType, FrameType, TracebackType
from typing import Any

from minigrad.graph import Leaf, Node, Operation
from minigrad.tensor import Tensor

__all__ = ["Observer"]


class Observer:
    """A context in which the variables of a step's function name what they hold.

    Args:
        cell_or_step: the cell or the function. The cells of minigrad.models name their values themselves.
    """

    def __init__(self, cell_or_step: Any) -> None:
        self.code = _code_of(cell_or_step)
        self.leaves: dict[Node, str] = {}
        """For the inputs and the parts of the old state, the last variable that held one."""
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
        return self._looked if frame.f_code is self.code else None

    def _looked(self, frame: FrameType, event: str, argument: Any) -> Any:
        for name, value in frame.f_locals.items():
            node = value._node if isinstance(value, Tensor) else None
            if isinstance(node, Leaf):
                self.leaves[node] = name
            elif isinstance(node, Operation) and node.name is None:
                node.name = name
        return self._looked


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
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
