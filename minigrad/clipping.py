"""Gradient clipping: the cure for gradients that explode over many time steps, with PyTorch's formulas and names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import numpy as np

from minigrad.arguments import real, several
from minigrad.atomic import set_all_items
from minigrad.errors import ArgumentError, DTypeError, NonFiniteGradientError
from minigrad.flags import flag
from minigrad.guard import Array
from minigrad.reporting import raising, within
from minigrad.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = True,
) -> float:
    """Shrink all gradients by one factor, so that together their norm is at most ``max_norm`` (torch's formula).

        total = ‖(‖g_1‖, ‖g_2‖, …)‖,    g ← g · min(1, max_norm / (total + 1e-6))

    Unlike in torch, a norm that is not finite is an error unless told otherwise: NaN as a factor spoils every weight.

    Args:
        parameters: tensors; those without a gradient do not count.
        max_norm: the largest norm allowed.
        norm_type: which p-norm; ``math.inf`` for the largest absolute entry.
        error_if_nonfinite: whether a NaN or infinite norm is refused.

    Returns:
        The norm before clipping; 0.0 when there is no gradient at all.

    Raises:
        NonFiniteGradientError: naming the parameters whose gradients are not finite; no gradient has been changed.
        ArgumentError: ``max_norm`` is negative or NaN, ``norm_type`` is not positive, ``error_if_nonfinite`` is no switch, or
            there is not one parameter.
        DTypeError: ``parameters`` holds something else than tensors.

    >>> theta = Tensor([3.0, 4.0], requires_grad=True)
    >>> (theta * [3.0, 4.0]).sum().backward()
    >>> clip_grad_norm_([theta], max_norm=1.0)
    5.0
    >>> theta.grad.round(5)
    array([0.6, 0.8])
    """
    given, gradients = _with_gradient(parameters, "clip_grad_norm_")
    max_norm, norm_type = real(max_norm, "clip_grad_norm_: max_norm", 0), real(norm_type, "clip_grad_norm_: norm_type", 0)
    if not norm_type:
        raise ArgumentError("clip_grad_norm_: norm_type: expected a number above 0, got 0")
    total = _norm(gradients, norm_type)
    if flag(error_if_nonfinite, "clip_grad_norm_: error_if_nonfinite") and not math.isfinite(total):
        raise _not_finite("clip_grad_norm_", given)
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:
        calm = {"invalid": "ignore"}  # 0 · ∞ in a gradient that was allowed not to be finite
        set_all_items([(g, ..., within(calm, np.multiply, g, factor)) for g in gradients])
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Move every entry of every gradient into −clip_value … clip_value.

    Raises:
        NonFiniteGradientError: naming the parameters whose gradients are not finite; no gradient has been changed.
        ArgumentError: ``clip_value`` is negative or NaN, or there is not one parameter.
        DTypeError: ``parameters`` holds something else than tensors.

    >>> theta = Tensor([3.0, -0.5], requires_grad=True)
    >>> (theta * theta).sum().backward()
    >>> clip_grad_value_(theta, 2.0)
    >>> theta.grad
    array([ 2., -1.])
    """
    given, gradients = _with_gradient(parameters, "clip_grad_value_")
    clip_value = real(clip_value, "clip_grad_value_: clip_value", 0)
    if not all(np.isfinite(g).all() for g in gradients):
        raise _not_finite("clip_grad_value_", given)
    set_all_items([(g, ..., np.clip(g, -clip_value, clip_value)) for g in gradients])


def _with_gradient(parameters: Tensor | Iterable[Tensor], where: str) -> tuple[list[Tensor], list[Array]]:
    """All tensors, and the gradients there are."""
    expected = "a tensor, or a list of them such as model.parameters()"
    tensors = [parameters] if isinstance(parameters, Tensor) else several(parameters, where, expected)
    if not tensors:
        raise ArgumentError(f"{where}: expected {expected}, got none of them; a generator has some only when it is first read")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise DTypeError(f"{where}: expected {expected}, got {tensor!r:.60} in it")
    return tensors, [g for tensor in tensors if (g := tensor.grad) is not None]


SAFE: Final = 1e-20, 1e30
"""Between these no square of a number that counts in their sum has underflowed, and none has overflowed."""


def _norm(gradients: Sequence[Array], p: float) -> float:
    """(Σ |g|^p)^(1/p), with the largest |g| taken out first so that no power overflows, where a sum of squares is not safe."""
    if p == 2 and {g.dtype.char for g in gradients} <= {"f", "d"}:
        with suppress(FloatingPointError):
            squares = raising(_squares, gradients)
            if SAFE[0] < squares < SAFE[1]:
                return math.sqrt(squares)
    peak = float(np.max([np.abs(g).max(initial=0) for g in gradients], initial=0))
    if p == math.inf or peak == 0 or not math.isfinite(peak):
        return peak
    powers = math.fsum(float(((np.abs(g) / peak) ** p).sum()) for g in gradients)
    return peak * float(powers ** (1 / p))


def _squares(gradients: Sequence[Array]) -> float:
    return math.fsum([float(row.dot(row)) for row in map(np.ravel, gradients)])


def _not_finite(where: str, tensors: Sequence[Tensor]) -> NonFiniteGradientError:
    names = [f"{number}" if tensor.name is None else f"{number} ({tensor.name})" for number, tensor in enumerate(tensors)]
    gradients = {name: tensor.grad for name, tensor in zip(names, tensors, strict=True)}
    spoilt = {name: g for name, g in gradients.items() if g is not None and not np.isfinite(g).all()}
    listed = ", ".join(
        f"{name} ({np.count_nonzero(~np.isfinite(g))} of {g.size} entries NaN or infinite)" for name, g in spoilt.items()
    )
    what = f"the gradients of these parameters are not finite: {listed}" if spoilt else "the norm of the gradients overflows"
    return NonFiniteGradientError(
        f"{where}: {what}. They exploded; clip to a smaller norm from "
        "the first update on, lower the learning rate or shorten the sequences"
    )
