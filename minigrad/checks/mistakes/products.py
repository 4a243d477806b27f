"""Mistakes in the derivative of a product, of entries and of matrices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change, Context
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.mistakes.operands import other_ends, replacements
from minigrad.checks.mistakes.places import Spot, line_of, logistic, times_value, values
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words, tight

__all__ = ["matmul_changes", "product_changes"]


def product_changes(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """The other factor of a product of entries, taken wrongly."""
    user, position = spot.user, spot.position
    of = words.gradient(spot.operand)
    if len(user.operands) != 2 or user.operands[0] is user.operands[1]:
        return
    other = user.operands[1 - position]
    name, own = words.name(other), words.name(spot.operand)
    yield change("factor missing", f"the factor {name} is missing in {of}", lambda run, user, k, g, c: g, 2)
    after = [(next_user, k) for next_user, k in chain.users[user.number] if chain.live[next_user.number]]
    if len(after) == 1 and after[0][0].op == "matmul" and after[0][0].value.shape == other.value.shape:
        yield change(
            "operator precedence",
            f"the factor {name} of {of} is multiplied before the product with the weights, not after it",
            lambda run, user, k, g, c: _multiplied_before(run, user, k, c),
            3,
        )
    for line in _gradients_of(chain, other):
        yield change(
            "wrong factor",
            f"{words.gradient(line)}, a gradient, stands in the place of {name} in {of}",
            lambda run, user, k, g, c, site=line.site: times_value(g, _gradient(run, site, user)),
            4,
        )
    yield change(
        "factor doubled",
        f"the factor {name} is there twice in {of}",
        lambda run, user, k, g, c: g * user.operands[1 - k].value ** 2,
        3,
    )
    yield change(
        "wrong factor",
        f"{own} stands in the place of {name} in {of}",
        lambda run, user, k, g, c: g * user.operands[k].value,
        2,
    )
    yield change(
        "1 − z for z",
        f"1 - {tight(name)} stands in the place of {name} in {of}",
        lambda run, user, k, g, c: g * (1 - user.operands[1 - k].value),
        3,
    )
    for function, formula in (
        (np.tanh, "tanh({})"),
        (logistic, "sigmoid({})"),
        (lambda v: 1 - v * v, "(1 - {}**2)"),
        (lambda v: v * (1 - v), "{0} * (1 - {0})"),
    ):
        yield change(
            "wrong factor",
            f"{formula.format(tight(name))} stands in the place of {name} in {of}",
            lambda run, user, k, g, c, function=function: g * function(user.operands[1 - k].value),
            4,
        )
    for said, replaced, kind, simple, key in replacements(chain, words, other):
        yield change(
            kind,
            f"{said} in {of}",
            lambda run, user, k, g, c, replaced=replaced: times_value(g, replaced(run, user, user.operands[1 - k])),
            simple,
            None,
            ("mul", *key),
            f"{said} in every product of entries",
        )


def matmul_changes(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """The other factor of a matrix product, taken wrongly."""
    user, position = spot.user, spot.position
    of = words.gradient(spot.operand)
    if len(user.operands) != 2:
        return
    other = user.operands[1 - position]
    name = words.name(other)
    square = other.value.ndim == 2 and other.value.shape[0] == other.value.shape[1]
    if square:
        yield change(
            "not transposed",
            f"{name} is not transposed in {of}",
            lambda run, user, k, g, c: _matmul_share(user, k, g, user.operands[1 - k].value.T),
            1,
            None,
            ("T", other.value.shape),
            "the weights are not transposed",
        )
    shape = spot.operand.value.shape
    if shape == user.value.shape:
        yield change(
            "factor missing", f"the product with {name} is missing in {of}", lambda run, user, k, g, c: g, 3, None,
            ("matmul", shape), "the product with the weights is missing in what goes further back",
        )  # fmt: skip
    for line in _gradients_of(chain, other):
        yield change(
            "wrong factor",
            f"{words.gradient(line)}, a gradient, stands in the place of {name} in {of}",
            lambda run, user, k, g, c, site=line.site: _matmul_share(user, k, g, _gradient(run, site, user)),
            4,
        )
    ends = () if chain.looped(user) else other_ends(chain, words, other)
    for said, replaced, kind, simple, key in itertools.chain(replacements(chain, words, other), ends):
        yield change(
            kind,
            f"{said} in {of}",
            lambda run, user, k, g, c, replaced=replaced: _matmul_share(user, k, g, replaced(run, user, user.operands[1 - k])),
            simple,
            None,
            ("matmul", *key),
            f"{said} in the gradients of all weights",
        )
    if square:
        for value in values(chain, other.value.shape):
            weights = line_of(chain, value)
            if weights is not None and value != other.site:
                yield change(
                    "wrong factor",
                    f"{words.name(weights)}, not transposed, stands in the place of {name} in {of}",
                    lambda run, user, k, g, c, value=value: _matmul_share(
                        user, k, g, _transposed(run.chain.value(value, user.time))
                    ),
                    5,
                )


def _multiplied_before(run: Run, user: Line, position: int, context: Context) -> Any:
    """The other factor times the gradient of the matrix product that the product goes into, and only then back through that."""
    product, k = next((line, k) for line, k in run.chain.users[user.number] if run.chain.live[line.number])
    g = run.cotangent(product, context)
    return None if g is None else product.vjp(g * user.operands[1 - position].value)[k]


def _gradients_of(chain: Chain, line: Line) -> list[Line]:
    """What has a gradient that could be taken for the value: the line itself, and what goes into its activation."""
    if line.op in ("argument", "constant") and line.site not in chain.carried and chain.steps > 1:
        return []
    return [other for other in (line, *(line.operands if line.op in ACTIVATIONS else ())) if chain.live[other.number]]


def _gradient(run: Run, site: Site, user: Line) -> Any:
    """The gradient of a line at the time of a user; of a state's initial value, for its first user."""
    times = run.chain.at.get(site, {})
    found: Line | None = times.get(user.time - 1 if site in run.chain.initial else user.time)
    only = next(iter(times.values())) if len(times) == 1 else None
    other = found or run.chain.initial.get(site) or only
    return None if other is None else run.cotangent(other, None)


def _transposed(value: Any) -> Any:
    return None if value is None else value.T


def _matmul_share(user: Line, position: int, g: Any, other: Any) -> Any:
    """The term of a matrix product if its other operand were ``other``."""
    if other is None:
        return None
    values = [other, other]
    values[position] = user.operands[position].value
    return user.at(values)(g)[position]
