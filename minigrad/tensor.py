"""Tensor: an array and how it was made."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import graph
from minigrad.backward import commit, sweep_arrays
from minigrad.errors import ArgumentError, ConversionError, DTypeError, GraphError, MutationError, ShapeError
from minigrad.flags import flag
from minigrad.gradients import own
from minigrad.graph import Leaf, Node, Operation
from minigrad.guard import Array, GuardedArray, array_of, entering, refuse_if_needed
from minigrad.hooks import Removal, Watch
from minigrad.methods import ArrayMethods
from minigrad.operators import Operators
from minigrad.registry import operations
from minigrad.scope import end_trace, state

__all__ = ["Constant", "Tensor", "given", "operand", "plain", "record", "unrecorded"]

ndarray = np.ndarray
_new = object.__new__
_next_serial = graph.next_serial


class Tensor(Operators, ArrayMethods):
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

    __slots__ = ("__weakref__", "_array", "_guard", "_node", "_wants")

    _array: Array
    _node: Node | None
    _wants: bool
    _guard: weakref.ref[GuardedArray]

    def __init__(
        self,
        data: npt.ArrayLike | Tensor,
        requires_grad: bool = False,
        dtype: npt.DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        array = _numbers(data, dtype)
        if requires_grad is not False:
            requires_grad = flag(requires_grad, "requires_grad")
        if requires_grad and array.dtype.kind != "f":
            raise _needs_floats(array.dtype)
        self._array = array
        self._wants = requires_grad
        self._node = None
        if requires_grad or name is not None:
            self._node = Leaf(array.shape, array.dtype, requires_grad, _checked_name(name))

    # ---------------------------------------------------------------- what it holds

    @property
    def data(self) -> Array:
        """The values, as a NumPy array that can be written to unless a recorded operation still needs them.

        Assigning an array of the same shape replaces the values (converted to the tensor's dtype); operations that were
        recorded before keep the old ones.

        Raises:
            MutationError: on writing to the array while it is needed; the message says by which operation.
        """
        reading(self, "data")
        root = self._guarded()
        if root is None:
            root = GuardedArray.over(self)
            self._guard = weakref.ref(root)
        return root.view()

    @data.setter
    def data(self, values: npt.ArrayLike) -> None:
        end_trace("writing to data")
        if isinstance(values, GuardedArray) and _same_memory(values, self._array):
            return
        if isinstance(self._node, Operation):
            raise MutationError(
                f"data: this tensor is the result of {self._node.described()}; only a tensor you made can get new values. "
                "Make a new Tensor from the values instead"
            )
        array = _numbers(values, self.dtype, "data")
        if array.shape != self.shape:
            raise ShapeError(f"data: expected values of shape {self.shape}, got {array.shape}")
        self._array = array

    def _guarded(self) -> GuardedArray | None:
        """The root of the guarded views of the array, if any of them is alive."""
        guard = getattr(self, "_guard", None)
        root = None if guard is None else guard()
        return root if root is not None and root.base is self._array else None

    @property
    def node(self) -> Node | None:
        """The tensor's node in the recorded graph; None for an anonymous constant."""
        reading(self, "node")
        return None if self._node is None else self._node.written_out()

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self._array.dtype

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._array.size

    def numel(self) -> int:
        """PyTorch's name for ``size``."""
        return self.size

    def dim(self) -> int:
        """PyTorch's name for ``ndim``."""
        return self.ndim

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
        collected: Array | None = None if keeper is None else keeper.grad
        return collected

    @grad.setter
    def grad(self, value: npt.ArrayLike | None) -> None:
        end_trace("setting grad")
        keeper = self._keeper()
        if value is None:
            if keeper is not None:
                keeper.grad = None
            return
        if keeper is None or not self._wants or not self.is_leaf:
            raise GraphError("grad: only a tensor with requires_grad=True that is not a result has a gradient to set")
        value = _numbers(value, None, "grad")
        if value.shape != self.shape or value.dtype.kind != "f":
            raise ShapeError(f"grad: expected floating-point values of shape {self.shape}, got {value.dtype} {value.shape}")
        keeper.grad = value.astype(self.dtype)

    def _keeper(self) -> Leaf | Watch | None:
        """Where the gradient is kept, if anywhere."""
        if isinstance(self._node, Leaf):
            return self._node.thawed or self._node
        return None if self._node is None else self._node.watch

    def item(self) -> Any:
        """The only entry, as a Python number.

        Raises:
            ShapeError: there is not exactly one entry.
        """
        if self.size != 1:
            raise ShapeError(f"item: expected exactly one entry, got shape {self.shape}; use .numpy() for all of them")
        reading(self, "item()")
        return self._array.item()

    def numpy(self) -> Array:
        """The values as a new NumPy array, cut off from the graph."""
        reading(self, "numpy()")
        return np.array(self._array)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        reading(self, "tolist()")
        return self._array.tolist()

    def detach(self) -> Tensor:
        """The same values without their history: gradients stop here. They are shared, not copied, and read-only."""
        reading(self, "detach()")
        return unrecorded(self._array.view())

    # ---------------------------------------------------------------- arrays that recorded operations keep

    def lend(self, borrower: type[Operation]) -> Any:
        """The values for a recorded operation to keep; the tensor refuses writes as long as the operation needs them.

        A view of memory that is not the tensor's own (of a caller's array, or made under ``no_grad``) is copied.
        """
        node, data = self._node, self._array
        return data if data.base is None or (node is not None and not node.is_leaf) else data.copy()

    def _allow_write(self) -> None:
        """Raise MutationError if the array must not change: an operation needs it, or it is not this tensor's alone."""
        node = self._node
        known = 2 if self._guarded() is None else 3  # this tensor, the argument of the next call, and the guard
        if sys.getrefcount(self._array) > known:
            what = f"the array of {self.name!r}" if self.name else "this array"
            if isinstance(node, Operation):
                refuse_if_needed(self._array, what)
            else:
                refuse_if_needed(self._array, what, "assign a new array: t.data = values")
        if isinstance(node, Operation) and node.saved is not None:
            raise MutationError(
                f"data: this array is the result of {node.described()}, and the graph it is part of has not been released. "
                "Call backward() first, or work on a copy: t.numpy()"
            )
        if self._array.base is not None and sys.getrefcount(self._array.base) > 2:  # the view and the argument
            raise MutationError(
                "data: this array is shared with another tensor (a detached one or a view), so it is read-only. Write to "
                "the original, or work on a copy: t.numpy()"
            )

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
        node, g = seed(self, gradient, "backward")
        if state.detector is None:
            found, passed = sweep_arrays(node, g)
        else:
            sums, found, passed = state.detector.array_accumulator(), {}, []
            for reached, arrived in graph.sweep([(node.written_out(), g)], sums, graph.INPUTS):
                if isinstance(reached, Operation):
                    passed.append(reached)
                if reached.is_leaf or reached.watch is not None:
                    found[reached] = own(arrived)
        commit(found, () if retain_graph else passed)

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

    # ---------------------------------------------------------------- as a Python object

    @override
    def __repr__(self) -> str:
        reading(self, "repr()")
        node, facts = self.node, [f"shape={self.shape}", f"dtype={self.dtype}"]
        if isinstance(node, Operation):
            facts.append(f"op={node.label}")
            if node.time is not None:
                facts.append(f"time={node.time}")
        elif self._wants:
            facts.append("requires_grad=True")
        if self.name is not None:
            facts.append(f"name={self.name!r}")
        return f"Tensor({_shown(self._array)}, {', '.join(facts)})"

    @override
    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self.size != 1:
            raise ShapeError(
                f"format: {spec!r} is for one number, got a tensor of shape {self.shape}; reduce it first, or format the "
                "entries of t.tolist()"
            )
        reading(self, "format()")
        return format(self._array.item(), spec)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ShapeError("len: a tensor of shape () has no length; use .item() for its value")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise ShapeError("iteration: a tensor of shape () cannot be iterated over; use .item() for its value")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"bool: a tensor of shape {self.shape} is neither true nor false; use np.any(t.data) or np.all(t.data)"
            )
        reading(self, "bool()")
        return bool(self._array.item())

    def __contains__(self, value: Any) -> bool:
        reading(self, "in")
        equal = self == value
        return isinstance(equal, Tensor) and bool(equal._array.any())

    def __float__(self) -> float:
        self._refuse_conversion(
            "float()",
            "use .item() to read the value; if this was out[t] = y, collect the y in a list and use minigrad.stack(list); for "
            "a function of the math module take minigrad's own",
        )
        return float(self.item())

    def __int__(self) -> int:
        self._refuse_conversion("int()", "use .item() to read the value")
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DTypeError(f"index: expected an integer tensor, got dtype {self.dtype}")
        return int(self.item())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        self._refuse_conversion(
            "conversion to a NumPy array",
            "if this was out[t] = h, collect the h in a list and use minigrad.stack(list); to read the values, use "
            "t.numpy() or t.detach()",
        )
        if copy is False:
            raise ArgumentError("conversion to a NumPy array: it is always a copy; t.data shows the values without one")
        return np.array(self._array, dtype=dtype)

    def _refuse_conversion(self, what: str, advice: str) -> None:
        reading(self, what)
        if self._wants:
            raise ConversionError(f"{what}: this tensor needs a gradient, which would be lost here; {advice}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied, deep-copied and pickled alike: values, gradient, name and wish for gradients, and whatever attributes a
        subclass has; no hooks and no history."""
        if isinstance(self._node, Operation):
            raise GraphError(
                f"copy: a result (of {self._node.label!r}) cannot be copied, pickled or plotted with its history; use "
                ".detach() for a tensor with its values, or .numpy() for an array of them"
            )
        attributes = getattr(self, "__dict__", None)
        return _rebuilt, (type(self), self.numpy(), self._wants, self.name, self.grad), attributes

    # ---------------------------------------------------------------- operators that change a leaf, and the transpose

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(operations.add, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(operations.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(operations.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(operations.divide, other)

    def __ipow__(self, other: Any) -> Any:
        return self._in_place(operations.power, other)

    def _in_place(self, function: Callable[[Any, Any], Tensor], other: Any) -> Tensor:
        """``t += x``: a new, recorded tensor under the old name; only a leaf under ``no_grad`` is really changed."""
        if not self._wants or isinstance(self._node, Operation):
            return function(self, other)
        if state.recording:
            raise MutationError(
                "in-place operator: this leaf needs a gradient and recording is on. To update a parameter, do it under "
                "no_grad(); to compute with it, write t = t + x"
            )
        self._allow_write()
        result = function(self, other)
        if result.shape != self.shape:
            raise ShapeError(f"in-place operator: expected a result of shape {self.shape}, got {result.shape}")
        self._array[...] = result._array
        return self

    @property
    def T(self) -> Tensor:
        """The transpose: all axes in reverse order."""
        return operations.shape.reversed_axes(self)


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
    node.serial = _next_serial()
    result: Tensor = _new(Tensor)
    result._array = data
    result._node = node
    result._wants = True
    if place[2] is not None:
        _observed(node, result, operands)
    return result


def _observed(node: Operation, result: Tensor, operands: Sequence[Tensor | Constant | None] | None) -> None:
    """Show a new operation to whoever watches: the detector of anomalies, or the tracer of a loop."""
    if state.detector is not None:
        state.detector.look_at(node, result._array)
    if state.tracer is not None:
        state.tracer.note(node, result, operands)


def reading(tensor: Tensor, what: str) -> None:
    """Say that Python is about to see the values of ``tensor``: a trace that they belong to ends here."""
    if state.tracer is not None:
        state.tracer.read(tensor, what)


def unrecorded(data: Any) -> Tensor:
    """A tensor around ``data``, which is not copied, without a place in the graph."""
    result: Tensor = _new(Tensor)
    result._array = data if type(data) is ndarray else np.asarray(data)
    result._node = None
    result._wants = False
    return result


def given(array: Array, name: str, role: str) -> Tensor:
    """A constant around an array, which is not copied, with a name and what it is to its model."""
    result, node = unrecorded(array), Leaf(array.shape, array.dtype, False, name)
    node.role = role
    result._node = node
    return result


def seed(output: Tensor, gradient: Any, where: str) -> tuple[Node, Array]:
    """The node of ``output`` and the gradient a backward pass starts with there, checked."""
    end_trace(where)
    if output._node is None or not output._wants:
        raise GraphError(
            f"{where}: nothing was recorded for this tensor: no tensor it was computed from has requires_grad=True, "
            "or it was computed under no_grad(), or by a transform without create_graph=True"
        )
    if gradient is None:
        if output.size != 1:
            raise GraphError(
                f"{where}: a tensor of shape {output.shape} has {output.size} entries; reduce it to one number with "
                ".sum() or .mean(), or pass the upstream gradient of that shape"
            )
        return output._node, np.full(output.shape, 1, output.dtype) if output.shape else np.array(1, output.dtype)
    values = np.array(gradient._array) if isinstance(gradient, Tensor) else _numbers(gradient, None, f"{where}: gradient")
    if values.dtype.kind != "f" and not (isinstance(gradient, int | float) and values.dtype.kind in "iu"):
        raise DTypeError(f"{where}: expected an upstream gradient of floating-point numbers, got dtype {values.dtype}")
    if values.shape != output.shape:
        raise ShapeError(f"{where}: expected an upstream gradient of shape {output.shape}, got {values.shape}")
    return output._node, values.astype(output.dtype)


def _numbers(data: Any, dtype: npt.DTypeLike | None, where: str = "Tensor") -> Array:
    """A new array of real numbers or booleans; ``where`` begins the message of an error."""
    if isinstance(data, Tensor):
        data._refuse_conversion("Tensor()", "use .detach() to start a new history from its values")
        data = data._array
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):  # ValueError: a name that is no text
        wanted = np.dtype(object)
    if wanted is not None and wanted.kind not in "fiub":
        raise DTypeError(f"{where}: expected a dtype of real numbers, got {dtype!r}")
    try:
        array = np.array(entering(data, "Tensor"), dtype=wanted)
    except (ConversionError, DTypeError):
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(
            f"{where}: expected numbers or evenly nested lists of numbers, got {_without_layout(data, error)}"
        ) from None
    if array.dtype.kind not in "fiub":
        if array.dtype.kind == "c":
            raise DTypeError(f"{where}: expected real numbers, got complex ones; pass the real and imaginary parts separately")
        raise DTypeError(f"{where}: expected real numbers, got {type(data).__name__} (dtype {array.dtype})")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _without_layout(data: Any, error: Exception) -> str:
    """What ``data`` is, in words of our own where NumPy speaks of arrays, elements and sequences."""
    if isinstance(data, list | tuple):
        return f"{data!r:.60}, whose parts differ in shape or kind"
    return f"{type(data).__name__} ({error})"


def _checked_name(name: Any) -> str | None:
    if name is not None and not isinstance(name, str):
        raise DTypeError(f"name: expected a string or None, got {name!r}")
    return name


def _shown(array: Array) -> str:
    """The values in a few lines: long axes are cut, and what would still be many lines is shown as one row of entries."""
    rows = math.prod(array.shape[:-1])
    if math.prod(min(length, 5) for length in array.shape[:-1]) > 10:
        first, last = array.flat[:2], array.flat[-2:]
        return f"[{', '.join(map(str, first.tolist()))}, ..., {', '.join(map(str, last.tolist()))}]"
    return np.array2string(
        array, threshold=20 if rows <= 10 else 0, edgeitems=2, precision=4, max_line_width=88, separator=", ", prefix="Tensor("
    )


def _needs_floats(dtype: np.dtype[Any]) -> DTypeError:
    return DTypeError(
        f"requires_grad: only floating-point tensors have gradients, got dtype {dtype}; write 1.0 for 1, or pass "
        "dtype=np.float64"
    )


def _same_memory(view: Array, array: Array) -> bool:
    """Whether the view shows the whole array, as it is."""
    here, there = view.__array_interface__, array.__array_interface__
    return view.strides == array.strides and all(here[key] == there[key] for key in ("shape", "typestr")) and (
        here["data"][0] == there["data"][0]
    )


def _rebuilt(kind: type[Tensor], data: Array, requires_grad: bool, name: str | None, grad: Array | None) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, data, requires_grad, name=name)
    if requires_grad:
        tensor.grad = grad
    return tensor

