"""Tensor: an array and how it was made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minigrad.atomic import set_all
from minigrad.backward import backward
from minigrad.elsewhere import NamesElsewhere
from minigrad.errors import DTypeError, GraphError, ShapeError
from minigrad.flags import flag
from minigrad.graph import Leaf, Node, Operation
from minigrad.guard import Array
from minigrad.hooks import Removal, Watch
from minigrad.methods import ArrayMethods
from minigrad.operators import Operators
from minigrad.python_object import PythonObject
from minigrad.registry import operations
from minigrad.scope import end_trace, reading, state
from minigrad.values import numbers_of

__all__ = ["Tensor", "forget_gradients", "unrecorded"]


class Tensor(Operators, ArrayMethods, PythonObject, NamesElsewhere):
    """A NumPy array together with the record of how it was computed.

    Args:
        data: numbers, nested lists of numbers, or an array; always copied. Lists of Python floats give float64, lists
            of integers int64, an array keeps its dtype.
        requires_grad: whether gradients with respect to this tensor are wanted (floating-point data only).
        dtype: the dtype to convert to, None to keep it. Operations keep float16, float32 and float64 as they are. float16
            ends at 65 504: beyond that results are infinite, of which NumPy warns and `detect_anomaly` names the first.
        name: what pictures and messages call it, such as ``"W_hh"``.

    Raises:
        DTypeError: ``data`` is not made of real numbers or booleans, or ``requires_grad`` is asked of integers.
        ShapeError: ``data`` is a ragged list.
        ArgumentError: ``requires_grad`` is neither True nor False.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ()

    def __init__(
        self,
        data: npt.ArrayLike | Tensor,
        requires_grad: bool = False,
        dtype: npt.DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        array = numbers_of(data, dtype)
        if requires_grad is not False:
            requires_grad = flag(requires_grad, "requires_grad")
        if requires_grad and array.dtype.kind != "f":
            raise _needs_floats(array.dtype)
        self._array = array
        self._wants = requires_grad
        self._node = None
        if requires_grad or name is not None:
            self._node = Leaf(array.shape, array.dtype, requires_grad, _checked_name(name))

    # ---------------------------------------------------------------- its place in the graph

    @property
    def node(self) -> Node | None:
        """The tensor's node in the recorded graph; None for an anonymous constant."""
        reading(self, "node")
        node = self._node
        is_anonymous = node is None or (type(node) is Leaf and node.name is None and not node.requires_grad)
        return None if node is None or is_anonymous else node.written_out()

    @property
    def name(self) -> str | None:
        """What pictures and messages call it, or None."""
        reading(self, "name")
        return None if self._node is None else self._node.name

    @name.setter
    def name(self, name: str | None) -> None:
        checked = _checked_name(name)
        if self._node is None:
            self._node = Leaf(self.shape, self.dtype, False)
        self._node.name = checked

    def named(self, name: str) -> Self:
        """Give the tensor, and its node in the graph, a name; returns the tensor itself.

        Under ``no_grad`` a result has no place in any graph and stays nameless, which costs nothing.
        """
        node = self._node
        if node is not None and type(name) is str:
            node.name = name
        elif node is None and state.recording and type(name) is str:
            array = self._array
            self._node = Leaf(array.shape, array.dtype, False, name)
        elif node is not None or state.recording:
            self.name = name
        return self

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on a tensor that is not the result of an operation."""
        reading(self, "requires_grad")
        return self._wants

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        end_trace("setting requires_grad")
        wanted = flag(wanted, "requires_grad")
        if isinstance(self._node, Operation):
            if wanted:
                return
            raise GraphError(
                f"requires_grad: cannot be switched off on a result (of {self._node.label!r}); use .detach()"
            )
        if wanted and self.dtype.kind != "f":
            raise _needs_floats(self.dtype)
        if wanted == self._wants:
            return
        node = self._node
        if wanted and self._array.base is not None:
            self._array = self._array.copy()  # a leaf owns its array
        if isinstance(node, Leaf) and node.thawed is not None:
            leaf = node.thawed
            leaf.name = node.name
        else:
            leaf = Leaf(self.shape, self.dtype, wanted, self.name)
        leaf.requires_grad = wanted
        leaf.role = None if node is None else node.role
        if isinstance(node, Leaf) and not wanted:
            node.requires_grad = False
            leaf.thawed = node
        self._node = leaf
        self._wants = wanted

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad``; returns the tensor itself, as in PyTorch."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_frozen(self) -> bool:
        """Whether it needed gradients and ``requires_grad`` has been switched off; it can be switched on again."""
        reading(self, "is_frozen")
        return isinstance(self._node, Leaf) and self._node.thawed is not None

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user rather than by a recorded operation."""
        reading(self, "is_leaf")
        return not isinstance(self._node, Operation)

    @property
    def grad(self) -> Array | None:
        """The gradient that backward passes have collected: an array of the tensor's shape and dtype, or None.

        It is the tensor's own: nothing else refers to it, and it can be written to. Assigning None clears it.
        """
        end_trace("grad")
        keeper = self._keeper()
        if keeper is None and self._wants and self._node is not None:
            warnings.warn(
                f"grad: this tensor is a result (of {self._node.label!r}), whose gradient no backward pass keeps, and is None; "
                "call retain_grad() on it before backward()",
                stacklevel=2,
            )
        collected: Array | None = None if keeper is None else keeper.grad
        return collected

    @grad.setter
    def grad(self, value: npt.ArrayLike | None) -> None:
        if state.tracer is not None:
            end_trace("setting grad")
        node = self._node
        keeper = node if type(node) is Leaf and node.thawed is None else self._keeper()
        if value is None:
            if keeper is not None:
                keeper.grad = None
            return
        if keeper is None or not self._wants or not self.is_leaf:
            raise GraphError("grad: only a tensor with requires_grad=True that is not a result has a gradient to set")
        value = numbers_of(value, where="grad")
        if value.shape != self.shape or value.dtype.kind != "f":
            raise ShapeError(f"grad: expected floating-point values of shape {self.shape}, got {value.dtype} {value.shape}")
        keeper.grad = value.astype(self.dtype)

    def _keeper(self) -> Leaf | Watch | None:
        """Where the gradient is kept, if anywhere."""
        if isinstance(self._node, Leaf):
            return self._node.thawed or self._node
        return None if self._node is None else self._node.watch

    def detach(self) -> Tensor:
        """The same values without their history: gradients stop here. They are shared, not copied, and read-only."""
        reading(self, "detach()")
        return unrecorded(self._array.view())

    # ---------------------------------------------------------------- gradients

    def backward(self, gradient: npt.ArrayLike | Tensor | None = None, retain_graph: bool = False) -> None:
        """Add to every leaf's ``grad`` the gradient of this tensor with respect to that leaf.

        Args:
            gradient: the upstream gradient, of this tensor's shape; may be left out for a tensor with one entry (it is
                then 1).
            retain_graph: keep what the graph saved, so that a further backward pass can go through it.

        Raises:
            GraphError: nothing was recorded, the tensor has several entries and no ``gradient`` is given, or the graph
                was released by an earlier backward pass.
            ShapeError, DTypeError: ``gradient`` does not fit this tensor.
            ArgumentError: ``retain_graph`` is neither True nor False.

        After an error no gradient has changed.

        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> (w * 3.0).backward([1.0, 10.0])
        >>> w.grad
        array([ 3., 30.])
        """
        if retain_graph is not False:
            retain_graph = flag(retain_graph, "backward: retain_graph")
        backward(self, gradient, retain_graph)

    def register_hook(self, hook: Callable[[Any], Any]) -> Removal:
        """Call ``hook(gradient)`` whenever a backward pass has this tensor's whole gradient: the sum over all consumers.

        What the hook returns, unless it is None, goes on in its place and is what the next hook sees. Hooks are called
        in the order in which they were registered. The gradient is a read-only array that the hook may keep, or a Tensor
        when the backward pass is itself recorded (``grad`` with ``create_graph``). An error in a hook ends the backward
        pass, and no gradient changes.

        Returns:
            What removes the hook, by ``remove()`` as in PyTorch, or by being called itself.

        Raises:
            GraphError: the tensor needs no gradient.
            DTypeError: ``hook`` cannot be called. During backward: it returned something that is not made of real numbers.
            ShapeError: during backward: it returned a gradient of another shape.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> h = x * 2.0
        >>> remove = h.register_hook(lambda g: g * 10.0)
        >>> h.sum().backward()
        >>> x.grad
        array([20., 20.])
        """
        if not callable(hook):
            raise DTypeError(f"register_hook: expected a function of the gradient, got {hook!r}")
        return self._watch("register_hook").add(hook)

    def retain_grad(self) -> None:
        """Keep this intermediate result's gradient in ``grad`` too when ``backward`` goes through it, after its hooks.

        Raises:
            GraphError: the tensor needs no gradient.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> h = x * 2.0
        >>> h.retain_grad()
        >>> (h * h).sum().backward()
        >>> h.grad
        array([4., 8.])
        """
        self._watch("retain_grad").keep = True

    def _watch(self, what: str) -> Watch:
        end_trace(what)
        if self._node is None or not self._wants:
            raise GraphError(f"{what}: no gradient ever reaches a tensor that does not require one")
        self._node = self._node.watched()
        if self._node.watch is None:
            self._node.watch = Watch()
        return self._node.watch

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied, deep-copied and pickled alike: values, gradient, name and wish for gradients, and whatever attributes a
        subclass has; no hooks and no history."""
        if isinstance(self._node, Operation):
            raise GraphError(
                f"copy: a result (of {self._node.label!r}) cannot be copied, pickled or plotted with its history; use "
                ".detach() for a tensor with its values, or .numpy() for an array of them"
            )
        attributes = getattr(self, "__dict__", None)
        wants = self._wants or self.is_frozen
        return _rebuilt, (type(self), self.numpy(), wants, self.name, self.grad, self.is_frozen), attributes

    @property
    def T(self) -> Tensor:
        """The transpose: all axes in reverse order."""
        return operations.shape.reversed_axes(self)


def unrecorded(data: Any) -> Tensor:
    """A tensor around ``data``, which is not copied, without a place in the graph."""
    result: Tensor = object.__new__(Tensor)
    result._array = data if type(data) is np.ndarray else np.asarray(data)
    result._node = None
    result._wants = False
    return result


for part in (Operators, ArrayMethods, PythonObject):
    for method in vars(part).values():
        if isinstance(method, FunctionType):
            method.__qualname__ = f"Tensor.{method.__name__}"  # what Python says of a wrong call is about the class people know


def forget_gradients(tensors: Iterable[Tensor]) -> None:
    """Clear the gradient of each, in one call that no interrupt can divide."""
    end_trace("setting grad")
    keepers = [keeper for tensor in tensors if (keeper := tensor._keeper()) is not None]
    set_all([(keeper, "grad", None) for keeper in keepers])


def _checked_name(name: Any) -> str | None:
    if name is not None and not isinstance(name, str):
        raise DTypeError(f"name: expected a string or None, got {name!r}")
    return name


def _needs_floats(dtype: np.dtype[Any]) -> DTypeError:
    return DTypeError(
        f"requires_grad: only floating-point tensors have gradients, got dtype {dtype}; write 1.0 for 1, or pass "
        "dtype=np.float64"
    )


def _rebuilt(
    kind: type[Tensor], data: Array, requires_grad: bool, name: str | None, grad: Array | None, frozen: bool
) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, data, requires_grad, name=name)
    if requires_grad:
        tensor.grad = grad
    if frozen:
        tensor.requires_grad = False
    return tensor
