"""Function: an operation with a derivative of one's own, such as a backward pass that was derived on paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from minigrad.arguments import text
from minigrad.errors import ArgumentError, ConversionError, DTypeError, GraphError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.guard import Array
from minigrad.recording import operand, record
from minigrad.scope import reading, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["Function"]


class Function:
    """An operation made of a forward and a backward pass on plain NumPy arrays.

        y_1, …, saved = forward(x_1, …, x_n)
        x̄_1, …, x̄_n  = vjp(ȳ_1, …, saved)                x̄ = ∂L/∂x, of the shape of x

    The two are called with arrays, so they are what one writes without minigrad: ``saved`` is whatever ``vjp`` needs, in any
    form. The Function is then called with Tensors, as every other operation is; `gradcheck` holds it to finite differences,
    and `compare_gradients` to what minigrad derives by itself.

    In a recorded backward pass (``create_graph``, second derivatives) both are called with Tensors instead, so that what
    they do is recorded. Code made of NumPy functions that minigrad knows can be differentiated again; other code is refused.

    Args:
        forward: takes the inputs, read-only arrays, and returns a tuple: the result (or several results), and last what
            ``vjp`` needs. Options are handed to it by their names.
        vjp: takes the gradient of the result (or of each), arrays of its own, and last what was saved; returns one gradient
            for each input, as an array or, of several, a tuple; None for an input without one.
        name: what graphs, pictures and messages call it; that of ``forward`` by default.

    Raises:
        DTypeError: from the constructor, ``forward`` or ``vjp`` is no function. From a call, an input is not made of real
            numbers, or ``forward`` does not return a tuple of floating-point arrays and what to save.
        GraphError: from a backward pass, ``vjp`` returns another number of gradients than there are inputs.
        ShapeError: from a backward pass, a gradient does not have the shape of its input.

    >>> def affine_forward(x, W, b):
    ...     return x @ W.T + b, (x, W)
    >>> def affine_backward(dout, cache):
    ...     x, W = cache
    ...     return dout @ W, dout.T @ x, dout.sum(axis=0)
    >>> affine = Function(affine_forward, affine_backward, name="affine")
    >>> x, W, b = (Tensor(np.ones(shape), requires_grad=True) for shape in ((5, 3), (2, 3), (2,)))
    >>> y = affine(x, W, b)
    >>> y.node
    <affine (5, 2) float64>
    >>> y.sum().backward()
    >>> b.grad
    array([5., 5.])
    >>> from minigrad import gradcheck
    >>> gradcheck(affine, (x, W, b))
    True
    """

    def __init__(self, forward: Callable[..., Any], vjp: Callable[..., Any], name: str | None = None) -> None:
        for what, function in (("forward", forward), ("vjp", vjp)):
            if not callable(function):
                raise DTypeError(f"Function: expected {what} to be a function, got {function!r:.60}")
        self.forward, self.vjp = forward, vjp
        self.name = getattr(forward, "__name__", "function") if name is None else text(name, "Function: name")
        named = {"__slots__": (), "label": self.name, "symbol": self.name, "function": self}
        self._kind: type[Custom] = type("Custom", (Custom,), named)

    @override
    def __init_subclass__(cls) -> None:
        raise ArgumentError(
            f"{cls.__name__}: a Function is not subclassed, as PyTorch's is, but made of two functions: Function(forward, "
            "vjp), where forward(x, …) returns (y, saved) and vjp(g, saved) returns a gradient for each input"
        )

    @override
    def __repr__(self) -> str:
        return f"Function({self.name})"

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The result of ``forward``, a Tensor, or a tuple of them if there are several."""
        operands = [operand(value, self.name) for value in inputs]
        for one in operands:
            if isinstance(one, Tensor):
                reading(one, self.name)
        wanted = state.recording and any(one._wants for one in operands)
        kept = [one.lend(self._kind) if wanted else one._array for one in operands]
        results, saved = self.computed([read_only(value) for value in kept], options)
        shapes = [result.shape for result in results]
        y = results[0] if len(results) == 1 else np.concatenate([result.ravel() for result in results])
        if not wanted:
            packed = unrecorded(y)
        else:
            node = self._kind()
            node.options, node.shapes = options, shapes
            packed = record(node, y, tuple(one._node for one in operands), (*kept, saved))
        return packed if len(results) == 1 else unpacked(packed, shapes)

    def computed(self, inputs: Sequence[Any], options: dict[str, Any]) -> tuple[list[Array], Any]:
        """The results of ``forward``, checked, and what it saved."""
        returned = self.forward(*inputs, **options)
        if not isinstance(returned, tuple) or len(returned) < 2:
            got = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
            raise DTypeError(
                f"{self.name}: expected forward to return its result and what vjp needs, as in return y, (x, W); got {got}"
            )
        results = []
        for value in returned[:-1]:
            result = np.asarray(value) if isinstance(value, np.ndarray | np.generic | float) else value
            if not isinstance(result, np.ndarray) or result.dtype.kind != "f":
                got = f"an array of dtype {result.dtype}" if isinstance(result, np.ndarray) else type(value).__name__
                raise DTypeError(
                    f"{self.name}: expected forward to return floating-point arrays, and last what vjp needs; got {got}"
                )
            results.append(result)
        if len({result.dtype for result in results}) > 1:
            listed = ", ".join(str(result.dtype) for result in results)
            raise DTypeError(f"{self.name}: expected results of one dtype, got {listed}")
        return results, returned[-1]


class Custom(Operation):
    """(y_1, …) = f(x_1, …), several results as one row;  ∂L/∂x as `Function.vjp` says. Saved: the inputs, and what it kept."""

    __slots__ = ("options", "shapes")
    function: ClassVar[Function]
    options: dict[str, Any]
    shapes: list[tuple[int, ...]]

    @override
    def lifted(self, lift: Callable[[Any, Any], Any]) -> Sequence[Any]:
        *inputs, saved = self.needed()
        return *(lift(value, source) for value, source in zip(inputs, self.inputs, strict=True)), saved

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        *inputs, kept = saved
        several = len(self.shapes) > 1
        if isinstance(g, Tensor):
            kept = self._recorded_anew(inputs)
        else:
            g = np.array(g)
        upstream = unpacked(g, self.shapes) if several else (g,)
        returned = self.function.vjp(*upstream, kept)
        gradients = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
        if len(gradients) != len(inputs):
            raise GraphError(
                f"backward: the vjp of {self.described()} must return one gradient for each of {len(inputs)} inputs (None "
                f"where there is none), got {len(gradients)}"
            )
        return [self._checked(k, part, value) for k, (part, value) in enumerate(zip(gradients, inputs, strict=True))]

    def _recorded_anew(self, inputs: Sequence[Any]) -> Any:
        """What ``forward`` saves when it is run on Tensors."""
        try:
            return self.function.forward(*inputs, **self.options)[-1]
        except ConversionError as error:
            error.add_note(
                f"in the recorded backward pass of {self.described()}, which runs its forward and its vjp on Tensors: only "
                "what is made of NumPy functions that minigrad records can be differentiated a second time"
            )
            raise

    def _checked(self, k: int, contribution: Any, value: Any) -> Any:
        if contribution is None:
            return None
        contribution = contribution if isinstance(contribution, Tensor) else np.asarray(contribution)
        if contribution.dtype.kind not in "fiub":
            raise DTypeError(
                f"backward: the vjp of {self.described()}: input {k}: expected real numbers, got {contribution.dtype}"
            )
        if contribution.shape != np.shape(value):
            raise ShapeError(
                f"backward: the vjp of {self.described()}: input {k} has the shape {np.shape(value)}, its gradient "
                f"{contribution.shape}; sum it over the axes along which the input was stretched"
            )
        return contribution


def read_only(value: Any) -> Any:
    """A view of an array that cannot be written to; a number as it is."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def unpacked(row: Any, shapes: Sequence[tuple[int, ...]]) -> tuple[Any, ...]:
    """The parts of one row (array or Tensor), each in its shape."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + int(np.prod(shape))
        parts.append(row[start:stop].reshape(shape))
        start = stop
    return tuple(parts)
