"""Checks of gradients: autograd against finite differences, and any two sources against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import graph
from minigrad.errors import DTypeError, GradientMismatchError
from minigrad.gradients import ArraySums
from minigrad.guard import Array
from minigrad.scope import no_grad
from minigrad.tensor import Tensor, seed

__all__ = ["gradcheck", "numerical_gradient"]


def numerical_gradient(function: Callable[[], float], array: Array, eps: float = 1e-6) -> Array:
    """(f(a + ε) − f(a − ε)) / 2ε for each entry of ``array``, which ``function`` reads and which is put back.

    Args:
        function: computes a number from ``array``.
        array: float64 and writable.
        eps: the step ε.
    """
    gradient = np.empty_like(array)
    for index in np.ndindex(*array.shape):
        found = array[index]
        array[index] = found + eps
        above = function()
        array[index] = found - eps
        below = function()
        array[index] = found
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed_value: int = 0,
) -> bool:
    """Compare autograd's gradient of ``function(*inputs)`` with central differences, for every entry of every input.

    An output with several entries is weighted with random numbers first, so that no two errors can cancel by symmetry.

    Args:
        function: takes the tensors and returns one Tensor.
        inputs: float64 tensors; those with ``requires_grad`` are checked.
        eps: the step of the differences.
        atol, rtol: |autograd − numerical| ≤ atol + rtol · |numerical| is demanded.
        seed_value: seed of the random weights.

    Returns:
        True.

    Raises:
        GradientMismatchError: naming the worst entry and both numbers.
        DTypeError: an input is not float64, in which differences say nothing.

    >>> x = Tensor([0.3, -0.7], requires_grad=True)
    >>> gradcheck(lambda x: (x * x).sum(), x)
    True
    """
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [(number, tensor) for number, tensor in enumerate(tensors) if tensor.requires_grad]
    if not checked:
        raise DTypeError("gradcheck: no input has requires_grad=True, so there is nothing to check")
    for number, tensor in checked:
        if tensor.dtype != np.float64:
            raise DTypeError(f"gradcheck: input {number} is {tensor.dtype}; finite differences need float64")
    leaves = [Tensor(t.numpy(), requires_grad=t.requires_grad, name=t.name) for t in tensors]
    output = function(*leaves)
    weights = np.random.default_rng(seed_value).standard_normal(output.shape)
    found, _ = graph.sweep([seed(output, weights, "gradcheck")], ArraySums())
    for number, _tensor in checked:
        leaf = leaves[number]
        if leaf.node is None:
            continue
        claimed = np.array(found.get(leaf.node, np.zeros(leaf.shape)))
        values = [t.numpy() for t in tensors]

        def weighted(values: list[Array] = values) -> float:
            with no_grad():
                return float((function(*[Tensor(v) for v in values]).numpy() * weights).sum())

        numerical = numerical_gradient(weighted, values[number], eps)
        excess = np.abs(claimed - numerical) - (atol + rtol * np.abs(numerical))
        if not (excess <= 0).all():
            worst: Any = np.unravel_index(int(np.argmax(np.where(np.isnan(excess), np.inf, excess))), excess.shape)
            place = tuple(int(i) for i in worst)
            name = f" ({leaf.name})" if leaf.name else ""
            raise GradientMismatchError(
                f"gradcheck: input {number}{name}, entry {place}: autograd says {claimed[place]!r}, central differences "
                f"say {numerical[place]!r}; {int((~(excess <= 0)).sum())} of {excess.size} entries differ by more than "
                f"{atol} + {rtol} · |numerical|"
            )
    return True
