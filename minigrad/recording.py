"""How an operation meets the graph: what it is given becomes operands, what it computed a Tensor with a place there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

from minigrad.errors import DTypeError
from minigrad.graph import Leaf, Node, Operation, next_serial
from minigrad.guard import Array, array_of
from minigrad.scope import reading, state
from minigrad.tensor import Tensor

__all__ = ["Constant", "for_one_kind", "given", "operand", "plain", "record"]

F = TypeVar("F", bound=Callable[..., Any])

ndarray = np.ndarray
_new = object.__new__


class Constant:
    """An operand that is not a tensor: a Python number, which never changes a dtype, or an array."""

    __slots__ = ("_array",)

    _node = None
    _wants = False

    def __init__(self, data: Any) -> None:
        self._array = data

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array, () of a number."""
        return np.shape(self._array)

    def lend(self, borrower: type[Operation]) -> Any:
        """The number, or a copy of the array: the caller may change it between forward and backward."""
        return self._array.copy() if isinstance(self._array, np.ndarray) else self._array


def operand(value: Any, where: str) -> Tensor | Constant:
    """``value`` as something an operation can compute with.

    Numbers, Python's and NumPy's scalars alike, never change the dtype of the tensor they meet; arrays follow NumPy's
    promotion.

    Raises:
        DTypeError: ``value`` is not made of real numbers or booleans.
        ShapeError: it is a ragged list.
    """
    kind = type(value)
    if kind is float or kind is int:
        return Constant(value)
    if isinstance(value, (Tensor, Constant)):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (float, int)):
        return Constant(value)
    if isinstance(value, np.ndarray | list | tuple):
        array = plain(value, where)
        if array.dtype.kind in "fiub":
            return Constant(array)
        value = array
    got = f"an array of dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise DTypeError(f"{where}: expected a Tensor, a real number or an array of real numbers, got {got}")


def plain(value: Any, where: str) -> Array:
    """``value`` (a Tensor, an array, a number or nested lists of numbers) as a bare array, without its history.

    Raises:
        DTypeError: a subclass of ndarray with a meaning of its own.
        ShapeError: the lists are not evenly nested.
    """
    if isinstance(value, Tensor):
        reading(value, where)
        return np.asarray(value._array)
    return array_of(value, where)


def record(
    node: Operation,
    data: Any,
    inputs: tuple[Node | None, ...],
    saved: tuple[Any, ...],
    operands: Sequence[Tensor | Constant | None] | None = None,
) -> Tensor:
    """The result of an operation, with its place in the graph.

    Args:
        node: the operation, fresh.
        data: what it computed.
        inputs: the nodes of its operands.
        saved: what its derivative needs, described by the operation's ``keeps``.
        operands: all that it read, if its result follows from that alone: so a loop with it in it can be traced.
    """
    if type(data) is not ndarray:
        data = np.asarray(data)
    node.sources = inputs
    node.saved = saved
    node.shape = data.shape
    node.dtype = data.dtype
    node.place = place = state.place
    node.name = None
    node.watch = None
    node.serial = next_serial()
    result: Tensor = _new(Tensor)
    result._array = data
    result._node = node
    result._wants = True
    if place[2] is not None:
        _observed(node, result, operands)
    return result


def for_one_kind(function: F) -> F:
    """A copy of a function, to be called for one kind of operation alone: such as `record` for sums.

    Python fits the instructions of a function to the kinds of objects that it meets, as long as there is but one: an attribute
    is then set in a quarter of the time. Worth it for what a network does at every step.
    """
    made: Any = function
    return cast(F, FunctionType(made.__code__.replace(), made.__globals__, made.__name__, made.__defaults__, made.__closure__))


def _observed(node: Operation, result: Tensor, operands: Sequence[Tensor | Constant | None] | None) -> None:
    """Show a new operation to whoever watches: the detector of anomalies, or the tracer of a loop."""
    if state.detector is not None:
        state.detector.look_at(node, result._array)
    if state.tracer is not None:
        state.tracer.note(node, result, operands)


def given(array: Array, name: str, role: str) -> Tensor:
    """A constant around an array, which is not copied, with a name and what it is to its model."""
    result: Tensor = _new(Tensor)
    result._array = array
    result._node = node = Leaf(array.shape, array.dtype, False, name)
    result._wants = False
    node.role = role
    return result
