"""What changes of the chain rule have in common: the edge, the lines and values around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Context, Edge
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words

__all__ = ["Spot", "factors", "line_of", "logistic", "multiplied", "scaled", "seed_of", "times_value", "values", "where"]


class Spot:
    """An edge with everything that changes of it need: the user and the operand at the last time."""

    def __init__(self, chain: Chain, edge: Edge) -> None:
        self.edge = edge
        times = chain.at[edge[0]]
        self.user = times[max(times)]
        self.position: int = edge[1]
        self.operand = self.user.operands[self.position]


def where(chain: Chain, words: Words, context: Context) -> str:
    """Where a mistake is, if it is in one copy of a term only."""
    line = line_of(chain, context)
    return f", in {words.gradient(line)} alone" if line is not None else ""


def line_of(chain: Chain, context: Context) -> Line | None:
    """The line that a context is for."""
    if context is None:
        return None
    times = chain.at.get(context)
    if times:
        return times[max(times)]
    return next((line for line in chain.lines if line.site == context), None)


def scaled(term: Any, factor: float) -> Any:
    """``factor`` times a term, or no term."""
    return None if term is None else factor * term


def times_value(g: Any, value: Any, curve: Callable[[Any], Any] = lambda v: v) -> Any:
    """``g`` times a function of a value; 0 where there is no value."""
    return g * 0 if value is None else g * curve(value)


def logistic(x: Any) -> Any:
    """σ of every entry."""
    return 1 / (1 + np.exp(-x))


def values(chain: Chain, shape: tuple[int, ...]) -> list[Site]:
    """Places whose values a person could take by mistake: of this shape, with a name, from an activation, or put out."""
    cached: dict[tuple[int, ...], list[Site]] = chain.__dict__.setdefault("values", {})
    if shape not in cached:
        found: list[Site] = []
        for line in chain.lines:
            if line.value.shape != shape or line.site in found or line.op == "constant" or not chain.live[line.number]:
                continue
            users = [user for user, _ in chain.users[line.number]]
            if (
                line.names
                or line.op in ACTIVATIONS
                or any(user.op in ACTIVATIONS for user in users)
                or line.op in ("sub", "argument")
                or line.number in chain.seeds
            ):
                found.append(line.site)
        cached[shape] = found
    return cached[shape]


def factors(chain: Chain, words: Words, shape: tuple[int, ...]) -> list[tuple[str, tuple[Site, Callable[[Any], Any]]]]:
    """What a gradient could be multiplied by without cause: values, and derivatives of activations."""
    found: list[tuple[str, tuple[Site, Callable[[Any], Any]]]] = []
    for site in values(chain, shape):
        line = line_of(chain, site)
        assert line is not None
        name = words.name(line)
        found.append((name, (site, lambda v: v)))
        if line.op == "tanh":
            found.append((f"(1 - {name}**2)", (site, lambda v: 1 - v * v)))
        if line.op == "sigmoid":
            found.append((f"{name} * (1 - {name})", (site, lambda v: v * (1 - v))))
            found.append((f"(1 - {name})", (site, lambda v: 1 - v)))
    return found


def multiplied(run: Run, user: Line, g: Any, factor: tuple[Site, Callable[[Any], Any]]) -> Any:
    """``g`` times a value that has nothing to do with it."""
    value = run.chain.value(factor[0], user.time)
    return None if value is None else g * factor[1](value)


def seed_of(run: Run, name: str) -> Any:
    """The gradient that arrives from outside for an output."""
    return next(seed for seeds in run.chain.seeds.values() for called, seed in seeds if called == name)
