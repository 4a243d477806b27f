"""Conventions: gradients that differ from the derivative of the loss, and are meant to.

The mean over the examples or steps where the loss is a sum, clipping, a penalty on the weights: nobody who does this is
wrong, so it is recognised and said.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from minigrad.checks.equality import NORMS, equal
from minigrad.checks.names import is_parameter
from minigrad.checks.narrowing import factor
from minigrad.guard import Array

__all__ = ["clipped_to", "common_part", "convention", "divided", "is_added", "scaled_together"]


NEARLY = 1e-5
"""How close to the norm gradients are that are multiplied by norm / (their norm + 1e-6)."""
UPDATE = re.compile(r"^(?:delta|update|step)s?_?|_?(?:delta|update|step)s?$", re.IGNORECASE)
"""What is to be added to the weights is called so."""


def convention(
    given: dict[str, Array],
    right: dict[str, Array],
    values: dict[str, Array],
    sizes: dict[int, str],
    rtol: float,
    called: dict[str, str],
) -> str | None:
    """What is done by convention, if that explains all gradients; None if not.

    Args:
        given, right: the user's gradients and autograd's.
        values: those of the arguments.
        sizes: the number of examples, of steps, and so on, with what they are.
        called: what the user calls each gradient.
    """
    wrong = [name for name in given if not equal(given[name], right[name], rtol)]
    case = _Case(wrong, given, right, values, sizes, rtol, called)
    checks = (_mean, _clipped, _scaled_to_norm, _penalty, _to_be_added)
    return next((said for check in checks if (said := check(case))), None)


def clipped_to(bound: float) -> str:
    """What is said of gradients that are clipped."""
    return f"gradients are clipped to ±{bound:g} inside the backward pass; a check of gradients wants them unclipped"


class _Case(NamedTuple):
    """The gradients that are to be explained, and what they can be explained with."""

    wrong: list[str]
    given: dict[str, Array]
    right: dict[str, Array]
    values: dict[str, Array]
    sizes: dict[int, str]
    rtol: float
    called: dict[str, str]

    def factors(self) -> list[float] | None:
        """For each wrong gradient the c for which it is c times the right one; None if there is none for one of them."""
        found = [factor(self.given[name], self.right[name], self.rtol) for name in self.wrong]
        return None if None in found else [c for c in found if c is not None]


def _mean(case: _Case) -> str | None:
    factors = case.factors()
    if not factors or max(factors) - min(factors) > case.rtol * abs(max(factors)):
        return None
    c, wrong, given, right = factors[0], case.wrong, case.given, case.right
    for size, what in case.sizes.items():
        if size > 1 and abs(c / size - 1) <= case.rtol and set(wrong) == {name for name in given if right[name].any()}:
            return f"all gradients are multiplied by {size}, {what}: right for the sum, where this loss is the mean"
        if size < 2 or abs(c * size - 1) > case.rtol:
            continue
        shared = {name for name in given if size not in right[name].shape}
        weights = {name for name in given if is_parameter(name) and right[name].any()}
        if set(wrong) in (set(given), weights) or (set(wrong) == shared and any(right[name].ndim > 1 for name in wrong)):
            whose = "all gradients are" if set(wrong) == set(given) else "the gradients of the parameters are"
            return f"{whose} divided by {size}, {what}: right for a loss that is the mean"
    return None


def divided(
    given: dict[str, Array], right: dict[str, Array], sizes: dict[int, str], rtol: float
) -> tuple[frozenset[str], int, str] | None:
    """The weights whose gradients are all divided by the number of examples, or of steps, where others are wrong besides.

    Known by two that are right but for that, where no weight's gradient is right as it is; with the number, and what is said.
    Biases alone, which are averaged by mistake, tell nothing of the others.
    """
    weights = [name for name in given if is_parameter(name) and right[name].any() and given[name].shape == right[name].shape]
    factors = {name: c for name in weights if (c := factor(given[name], right[name], rtol)) is not None}
    known = [*factors.values()]
    if all(given[name].size in given[name].shape for name in factors):
        return None
    if len(known) < 2 or max(known) - min(known) > rtol * abs(max(known)):
        return None
    for size, what in sizes.items():
        if size > 1 and abs(known[0] * size - 1) <= rtol:
            said = f"the gradients of the parameters are divided by {size}, {what}: right for a loss that is the mean"
            return frozenset(weights), size, said
    return None


def _clipped(case: _Case) -> str | None:
    wrong, given = case.wrong, case.given
    bound = max(float(np.abs(given[name]).max(initial=0.0)) for name in wrong)
    if not bound or not math.isfinite(bound) or sum(int((np.abs(given[n]) >= bound).sum()) for n in wrong) < 2:
        return None
    if all(equal(given[name], np.clip(case.right[name], -bound, bound), case.rtol) for name in wrong):
        return clipped_to(bound)
    return None


def _scaled_to_norm(case: _Case) -> str | None:
    c = case.factors()
    if not c or not all(0 < one < 1 for one in c):
        return None
    sizes = [math.sqrt(float((case.given[name] ** 2).sum())) for name in case.wrong]
    for norm in NORMS:
        of_all = len(c) > 1 and max(c) - min(c) <= 1e-7 and abs(math.hypot(*sizes) - norm) <= NEARLY * norm
        of_each = all(abs(size - norm) <= 1e-6 * norm for size in sizes)
        if of_all or of_each:
            each = "" if of_all else "each of them "
            return (
                f"gradients are scaled, {each}to the norm {norm:g}, inside the backward pass; a check of gradients wants them "
                "unclipped"
            )
    return None


def common_part(given: dict[str, Array], right: dict[str, Array]) -> float | None:
    """The number that a third of the gradients at least, and two, are multiplied by; of several, that of most."""
    known = [c for name, g in given.items() if (c := factor(g, right[name], 1e-6) if g.shape == right[name].shape else None)]
    agreeing = [sum(abs(c - other) <= 1e-6 * abs(c) for other in known) for c in known]
    most = max(agreeing, default=0)
    computed = sum(bool(right[name].any()) for name in given)
    return known[agreeing.index(most)] if most > 1 and 3 * most >= computed else None


def scaled_together(given: dict[str, Array], right: dict[str, Array]) -> tuple[float, float] | None:
    """(the number, the norm) where gradients are scaled together to a norm, most of them the same part of the right ones."""
    c = common_part(given, right)
    size = math.sqrt(sum(float((g * g).sum()) for g in given.values()))
    norm = next((norm for norm in NORMS if abs(size - norm) <= NEARLY * norm), None)
    return (c, norm) if c is not None and 0 < c < 1 - NEARLY and norm is not None else None


def _penalty(case: _Case) -> str | None:
    wrong, given, values = case.wrong, case.given, case.values
    strengths = [factor(given[name] - case.right[name], values[name], 1e-5) for name in wrong]
    if not strengths or any(s is None for s in strengths) or any(values[name].ndim < 2 for name in wrong):
        return None
    found = [s for s in strengths if s is not None]
    if max(found) - min(found) > 1e-6 * abs(max(found)) or not (len(wrong) > 1 or len(given) == 1):
        return None
    return f"{found[0]:.4g} times the weights is added to their gradients: an L2 penalty that the forward pass does not have"


def is_added(given: dict[str, Array], right: dict[str, Array], called: dict[str, str], rtol: float) -> bool:
    """Whether some gradients are negative because they are added to the weights, though others are wrong."""
    if not given or not all(UPDATE.search(called.get(name, name)) for name in given):
        return False
    moving = [name for name in given if right[name].any()]
    negative = [name for name in moving if equal(given[name], -right[name], rtol)]
    return 0 < len(negative) < len(moving) and not any(equal(given[name], right[name], rtol) for name in moving)


def _to_be_added(case: _Case) -> str | None:
    """The negative gradients, where their names say that they are what is added to the weights."""
    c = case.factors()
    if not c or any(abs(one + 1) > case.rtol for one in c) or not all(UPDATE.search(case.called.get(n, n)) for n in case.wrong):
        return None
    if any(case.right[name].any() for name in case.given if name not in case.wrong):
        return None
    named = ", ".join(case.called[name] for name in case.wrong)
    return f"{named}: the negative of the gradient, right for what is added to the weights"
