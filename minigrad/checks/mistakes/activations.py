"""Mistakes in the derivative of an activation: of tanh, of a sigmoid, of a softmax with its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change
from minigrad.checks.mistakes.places import Spot, line_of, logistic, times_value, values
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line
from minigrad.checks.words import Words

__all__ = ["CURVES", "SQUASHED", "activation_changes"]

SQUASHED: dict[str, list[tuple[str, str, Callable[[Any, Any], Any]]]] = {
    "tanh": [
        ("missing", "1", lambda x, y: 1.0),
        ("doubled", "(1 - {y}**2)**2", lambda x, y: (1 - y * y) ** 2),
        ("of the already activated value", "1 - tanh({y})**2", lambda x, y: 1 - np.tanh(y) ** 2),
        (
            "of the wrong quantity: what is before the tanh in the place of what comes after",
            "1 - {x}**2",
            lambda x, y: 1 - x * x,
        ),
        ("without the square", "1 - {y}", lambda x, y: 1 - y),
        ("with the square in the wrong place", "(1 - {y})**2", lambda x, y: (1 - y) ** 2),
        ("without 1 −", "{y}**2", lambda x, y: y * y),
        ("with a plus", "1 + {y}**2", lambda x, y: 1 + y * y),
        ("with the wrong sign", "{y}**2 - 1", lambda x, y: y * y - 1),
        ("of a sigmoid", "{y} * (1 - {y})", lambda x, y: y * (1 - y)),
        ("of a sigmoid", "sigmoid({x}) * (1 - sigmoid({x}))", lambda x, y: logistic(x) * (1 - logistic(x))),
        (
            "of a sigmoid, of the already activated value",
            "sigmoid({y}) * (1 - sigmoid({y}))",
            lambda x, y: logistic(y) * (1 - logistic(y)),
        ),
        ("replaced by the value itself", "{y}", lambda x, y: y),
        ("without the square", "1 - {x}", lambda x, y: 1 - x),
        ("with a square root", "sqrt(1 - {y}**2)", lambda x, y: np.sqrt(1 - y * y)),
        ("of a relu", "{y} > 0", lambda x, y: (y > 0) * 1.0),
        ("with a 2", "1 - 2 * {y}", lambda x, y: 1 - 2 * y),
        ("of the square", "1 - {y}**4", lambda x, y: 1 - y**4),
    ],
    "sigmoid": [
        ("missing", "1", lambda x, y: 1.0),
        ("doubled", "({y} * (1 - {y}))**2", lambda x, y: (y * (1 - y)) ** 2),
        ("of the already activated value", "sigmoid({y}) * (1 - sigmoid({y}))", lambda x, y: logistic(y) * (1 - logistic(y))),
        (
            "of the wrong quantity: what is before the sigmoid in the place of what comes after",
            "{x} * (1 - {x})",
            lambda x, y: x * (1 - x),
        ),
        ("of a tanh", "1 - {y}**2", lambda x, y: 1 - y * y),
        ("of a tanh", "1 - tanh({x})**2", lambda x, y: 1 - np.tanh(x) ** 2),
        ("of a tanh, of the already activated value", "1 - tanh({y})**2", lambda x, y: 1 - np.tanh(y) ** 2),
        ("without 1 − y", "{y}", lambda x, y: y),
        ("without y", "1 - {y}", lambda x, y: 1 - y),
        ("squared instead of y (1 − y)", "{y}**2", lambda x, y: y * y),
        ("with the square in the wrong place", "(1 - {y})**2", lambda x, y: (1 - y) ** 2),
        ("with a square", "{y} * (1 - {y}**2)", lambda x, y: y * (1 - y * y)),
        ("with a square", "{y} * (1 - {y})**2", lambda x, y: y * (1 - y) ** 2),
        ("with a square", "{y}**2 * (1 - {y})", lambda x, y: y * y * (1 - y)),
        ("with a plus", "{y} * (1 + {y})", lambda x, y: y * (1 + y)),
        ("with the wrong sign", "{y} * ({y} - 1)", lambda x, y: y * (y - 1)),
        ("with y and x exchanged", "{x} * (1 - {y})", lambda x, y: x * (1 - y)),
        ("with y and x exchanged", "{y} * (1 - {x})", lambda x, y: y * (1 - x)),
        ("of a tanh, of what is before the sigmoid", "1 - {x}**2", lambda x, y: 1 - x * x),
    ],
    "relu": [
        ("missing", "1", lambda x, y: 1.0),
        ("replaced by the value itself", "{y}", lambda x, y: y),
        ("inverted", "{x} < 0", lambda x, y: (x < 0) * 1.0),
        ("of a tanh", "1 - {y}**2", lambda x, y: 1 - y * y),
        ("of a sigmoid", "{y} * (1 - {y})", lambda x, y: y * (1 - y)),
    ],
}


CURVES: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {
    "tanh": [("1 - {v}**2", lambda v: 1 - v * v), ("1 - tanh({v})**2", lambda v: 1 - np.tanh(v) ** 2)],
    "sigmoid": [("{v} * (1 - {v})", lambda v: v * (1 - v)), ("sigmoid'({v})", lambda v: logistic(v) * (1 - logistic(v)))],
}


def activation_changes(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """The derivative of an activation, taken wrongly."""
    user = spot.user
    x, y = words.name(spot.operand), words.name(user)
    tight_x, tight_y = (f"({t})" if " " in t else t for t in (x, y))
    of = words.gradient(spot.operand)
    for rank, (said, formula, factor) in enumerate(SQUASHED.get(user.op, ())):
        shown = formula.format(x=tight_x, y=tight_y)
        reading = said if said == "missing" else f"{said}: {formula.format(x='x', y='y')}"
        said = f"the derivative of {user.op} in {of} is {said}" + ("" if said == "missing" else f": {shown}")
        yield change(
            "activation derivative",
            said,
            lambda run, user, k, g, c, factor=factor: g * factor(user.operands[0].value, user.value),
            2 if rank < 6 else 3,
            None,
            (user.op, rank),
            f"the derivative of every {user.op} is {reading}",
        )
    if user.op in SQUASHED and chain.looped(user):
        for which, said in ((chain.steps, "last"), (1, "first")):
            yield change(
                "activation derivative",
                f"the derivative of {user.op} in {of} is that of the {said} step at every step",
                lambda run, user, k, g, c, which=which: _of_step(run, user, k, g, which),
                3,
                None,
                (user.op, "step", which),
                f"the derivative of every {user.op} is that of the {said} step at every step",
            )
    if user.op == "softmax":
        yield from _softmax(words, spot, change)
    for value in values(chain, user.value.shape):
        if value in (user.site, spot.operand.site):
            continue
        name = words.name(line_of(chain, value))  # type: ignore[arg-type]
        if user.op == "sigmoid":
            for formula, mixed in (
                ("{y} * (1 - {v})", lambda v, y: y * (1 - v)),
                ("{v} * (1 - {y})", lambda v, y: v * (1 - y)),
            ):
                yield change(
                    "activation derivative",
                    f"the derivative of sigmoid in {of} is taken of two quantities: {formula.format(v=name, y=tight_y)}",
                    lambda run, user, k, g, c, mixed=mixed, value=value: times_value(
                        g, run.chain.value(value, user.time), partial(mixed, y=user.value)
                    ),
                    4,
                )
        for formula, curve in CURVES.get(user.op, ()):
            yield change(
                "activation derivative",
                f"the derivative of {user.op} in {of} is taken of the wrong quantity: {formula.format(v=name)}, not of {y}",
                lambda run, user, k, g, c, curve=curve, value=value: times_value(g, run.chain.value(value, user.time), curve),
                4,
            )


def _of_step(run: Run, user: Line, position: int, g: Any, time: int) -> Any:
    """The term with the derivative of another step."""
    other = run.chain.at[user.site].get(min(time, run.chain.steps))
    return None if other is None else other.vjp(g)[position]


def _softmax(words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    of, y = words.gradient(spot.operand), words.name(spot.user)
    options: list[tuple[str, Callable[[Any, Any, Any], Any]]] = [
        ("is missing", lambda g, y, right: g),
        (f"is that of a sigmoid: {y} * (1 - {y}), without the other entries", lambda g, y, right: g * y * (1 - y)),
        (f"is {y} alone: the label is not subtracted", lambda g, y, right: _label(g, y, right)[0] * y),
        (
            "has the sign of the label wrong: y + label",
            lambda g, y, right: _label(g, y, right)[0] * (y + _label(g, y, right)[1]),
        ),
        ("is applied twice", lambda g, y, right: right * y * (1 - y)),
        ("is not divided by the number of entries", lambda g, y, right: right / _label(g, y, right)[0]),
        (
            "is that of a sigmoid, of the error: e * (1 - e)",
            lambda g, y, right: (lambda s, e: s * e * (1 - e))(_label(g, y, right)[0], right / _label(g, y, right)[0]),
        ),
        ("is only the label's", lambda g, y, right: -_label(g, y, right)[0] * _label(g, y, right)[1]),
    ]
    for said, term in options:
        yield change(
            "softmax derivative",
            f"the derivative of softmax with its loss in {of} {said}",
            lambda run, user, k, g, c, term=term: term(g, user.value, user.vjp(g)[0]),
            3,
        )


def _label(g: Any, y: Any, right: Any) -> tuple[float, Any]:
    """The s and the label in right = s (y − label), where the loss is the cross-entropy of y."""
    hit = (g != 0) * 1.0
    scale = -float((g * y).sum()) / max(float(hit.sum()), 1.0)
    return (scale or 1.0), hit
