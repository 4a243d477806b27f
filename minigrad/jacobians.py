"""Whole matrices of derivatives: the Jacobian row by row, the Hessian as the Jacobian of the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import ops, pytree
from minigrad.errors import ShapeError
from minigrad.tensor import Tensor, unrecorded
from minigrad.transforms import along, arguments, evaluated, fitted, recorded, reverse, vjp

__all__ = ["hessian", "hvp", "jacobian"]


def jacobian(function: Callable[..., Any], *primals: Any, create_graph: bool | None = None) -> Any:
    """∂yᵢ/∂xⱼ for every entry i of what ``function`` returns and every entry j of ``primals``.

    Each entry of the value takes one backward pass; the function is evaluated once.

    Args:
        function: takes Tensors in the places of ``primals`` and returns a Tensor, or a pytree of them.
        primals: Tensors or arrays of floating-point numbers, or pytrees of them; several also in one tuple.
        create_graph: make the result differentiable. By default it is so inside another transform.

    Returns:
        For a value y and one primal x a Tensor of shape y.shape + x.shape. With several primals, or pytrees of them, that
        many Tensors in the same structure; for a pytree of values, a pytree of all that.

    Raises:
        DTypeError: a primal is not made of floating-point numbers, or the function returns something else than Tensors.
        ArgumentError: the function takes another number of arguments.

    >>> jacobian(lambda x: x * x, np.array([1.0, 2.0])).numpy()
    array([[2., 0.],
           [0., 4.]])
    """
    keep = recorded(create_graph)
    primals = fitted(function, primals, "jacobian")
    result, outputs, variables = evaluated(function, primals, "jacobian")
    pull = reverse(outputs, variables, "jacobian")
    blocks = []
    for y in outputs:
        rows: list[list[Tensor]] = []
        for index in np.ndindex(y.shape):
            one = np.zeros(y.shape, y.dtype)
            one[index] = 1
            rows.append(pull([(y, one)] if y.requires_grad else [], keep)[0])
        of_each = [_stacked([row[k] for row in rows], y, x) for k, x in enumerate(variables)]
        nested = pytree.rebuilt(primals, of_each)
        blocks.append(nested[0] if len(primals) == 1 else nested)
    return pytree.rebuilt(result, blocks)


def _stacked(rows: list[Tensor], y: Tensor, x: Tensor) -> Tensor:
    """One row for each entry of ``y`` as a Tensor of shape y.shape + x.shape."""
    if not rows:
        return unrecorded(np.zeros(y.shape + x.shape, x.dtype))
    return ops.reshape(ops.stack(rows), y.shape + x.shape)


def hessian(function: Callable[..., Tensor], *primals: Any, create_graph: bool | None = None) -> Any:
    """∂²y/∂xᵢ∂xⱼ of a function that returns one number: the Jacobian of its gradient.

    Args:
        function: takes Tensors in the places of ``primals`` and returns a Tensor with one entry.
        primals: Tensors or arrays of floating-point numbers, or pytrees of them; several also in one tuple.
        create_graph: make the result differentiable. By default it is so inside another transform.

    Returns:
        For one primal x a Tensor of shape x.shape + x.shape; for several a tuple of tuples, entry [a][b] of shape
        a.shape + b.shape.

    Raises:
        ShapeError: the function returns several numbers.
        DTypeError, ArgumentError: as for `jacobian`.

    >>> hessian(lambda x: x[0] * x[0] * x[1], np.array([3.0, 5.0])).numpy()
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    primals = fitted(function, primals, "hessian")
    return jacobian(_gradient(function, "hessian"), *primals, create_graph=create_graph)


def hvp(function: Callable[..., Tensor], primals: Any, tangents: Any, create_graph: bool | None = None) -> Any:
    """The product of the Hessian with a direction, H v, for the price of a few backward passes.

    Args:
        function: takes Tensors in the places of ``primals`` and returns a Tensor with one entry.
        primals: a tuple with one entry for each argument, or the only argument.
        tangents: the direction v, with the same structure and shapes.
        create_graph: make the result differentiable. By default it is so inside another transform.

    Returns:
        H v in the structure of ``primals``.

    Raises:
        ShapeError: the function returns several numbers, or a direction does not fit its primal.
        ArgumentError: the structures of ``primals`` and ``tangents`` differ.
        DTypeError: as for `vjp`.

    >>> hvp(lambda x: (x**3.0).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0])).numpy()
    array([  6., 120.])
    """
    given = fitted(function, arguments(primals), "hvp")
    v = pytree.rebuilt(given, along(given, tangents, "hvp"))
    _, pullback = vjp(_gradient(function, "hvp"), *given, create_graph=create_graph)
    products = pullback(v[0] if len(given) == 1 else v)
    return products[0] if len(given) == 1 else products


def _gradient(function: Callable[..., Tensor], where: str) -> Callable[..., Any]:
    """The gradient of a function that returns one number, as a function of the same arguments."""

    def gradient(*variables: Any) -> Any:
        y, pullback = vjp(function, *variables)
        if not isinstance(y, Tensor) or math.prod(y.shape) != 1:
            got = f"a Tensor of shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__
            raise ShapeError(f"{where}: expected a function that returns one number, got {got}; reduce it, as with .sum()")
        gradients = pullback()
        return gradients[0] if len(variables) == 1 else gradients

    return gradient
