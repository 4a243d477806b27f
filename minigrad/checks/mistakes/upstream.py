"""The gradient of another quantity in the place of the right one, and mistakes with what arrives from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change, Context, Edge
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.mistakes.places import Spot, factors, multiplied, seed_of, where
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words

__all__ = ["seed_changes", "upstream_changes"]


def seed_changes(chain: Chain, words: Words, edge: Edge, context: Context) -> Iterator[Change]:
    """What arrives from outside, left out or taken wrongly."""
    name = words.seeds.get(edge[1], f"d{edge[1]}")
    place = where(chain, words, context)
    line = next(chain.lines[number] for number, seeds in chain.seeds.items() if any(edge[1] == n for n, _ in seeds))
    about = {"line": line}
    yield Change(
        frozenset({edge}),
        lambda run, user, k, g, c: None,
        "path missing",
        f"{name}, the gradient that arrives from outside, is left out{place}",
        context,
        simple=2 + (context is not None),
        fields=about,
    )
    for other, arrived in ((n, a) for seeds in chain.seeds.values() for n, a in seeds):
        if other != edge[1] and arrived.shape == line.value.shape:
            shown = words.seeds.get(other, f"d{other}")
            yield Change(
                frozenset({edge}),
                lambda run, user, k, g, c, other=other: seed_of(run, other),
                "wrong upstream gradient",
                f"{shown} stands in the place of {name}{place}",
                context,
                simple=3 + (context is not None),
                fields=about,
            )
    yield from _shifted_seed(chain, name, edge, context, place, about)
    for said, by in factors(chain, words, line.value.shape):
        yield Change(
            frozenset({edge}),
            lambda run, user, k, g, c, by=by: multiplied(run, user, g, by),
            "factor too many",
            f"{name} is multiplied by {said}, which belongs elsewhere{place}",
            context,
            simple=5 + (context is not None),
            fields=about,
        )
    for factor, kind in ((2.0, "counted twice"), (-1.0, "sign")):
        yield Change(
            frozenset({edge}),
            lambda run, user, k, g, c, factor=factor: factor * g,
            kind,
            f"{name} is {'counted twice' if factor == 2 else 'subtracted instead of added'}{place}",
            context,
            simple=4 + (context is not None),
            fields=about,
        )


def _shifted_seed(chain: Chain, name: str, edge: Edge, context: Context, place: str, about: dict[str, Any]) -> Iterator[Change]:
    """Gradients of outputs at all steps, taken at other steps."""
    seed = next(arrived for seeds in chain.seeds.values() for n, arrived in seeds if n == edge[1])
    axes = [axis for axis, size in enumerate(seed.shape) if size == chain.steps > 1]
    ways: list[tuple[str, Callable[[Any, int], Any]]] = [
        ("is read in reverse order of time", np.flip),
        ("is read one step too late", lambda g, axis: _moved(g, axis, 1)),
        ("is read one step too early", lambda g, axis: _moved(g, axis, -1)),
        ("is read at the last step only, for every step", lambda g, axis: np.take(g, [-1] * g.shape[axis], axis)),
        ("is read at the first step only, for every step", lambda g, axis: np.take(g, [0] * g.shape[axis], axis)),
        ("is added up over all steps, for every step", lambda g, axis: g.sum(axis=axis, keepdims=True) + 0 * g),
        ("is used at the last step only", lambda g, axis: _only(g, axis, -1)),
    ]
    for axis in axes[-1:]:
        for said, way in ways:
            yield Change(
                frozenset({edge}),
                lambda run, user, k, g, c, way=way, axis=axis: way(g, axis),
                "upstream of the wrong step",
                f"{name} {said}{place}",
                context,
                simple=3,
                fields=about,
            )


def _moved(g: Any, axis: int, by: int) -> Any:
    """``g`` shifted along an axis, zeros coming in."""
    moved = np.roll(g, -by, axis)
    return _only(moved, axis, -1 if by > 0 else 0, keep=False)


def _only(g: Any, axis: int, where: int, keep: bool = True) -> Any:
    mask = np.zeros(g.shape[axis]) if keep else np.ones(g.shape[axis])
    mask[where] = 1.0 if keep else 0.0
    return g * mask.reshape([-1 if a == axis else 1 for a in range(g.ndim)])


def upstream_changes(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """The gradient of another quantity of the same shape in the place of the user's."""
    user = spot.user
    right, of = words.gradient(user), words.gradient(spot.operand)
    if user.op == "add" and spot.operand.value.shape == user.value.shape:
        return
    below = chain.below[spot.operand.number]
    seen: set[Site] = set()
    for line in chain.lines:
        if line.value.shape != user.value.shape or line is user or line.site in seen or not chain.live[line.number]:
            continue
        if (
            line.op == "constant"
            or below >> line.number & 1
            or (line.time != user.time and chain.looped(line) == chain.looped(user))
        ):
            continue
        if not (line.names or line.op in ACTIVATIONS or line.site in chain.roots):
            continue
        seen.add(line.site)
        yield change(
            "wrong upstream gradient",
            f"{words.gradient(line)} stands in the place of {right} in {of}",
            lambda run, user, k, g, c, site=line.site: _from_other(run, user, k, site, c),
            3,
        )
    if chain.steps == 1:
        for number, seeds in chain.seeds.items():
            for name, _ in seeds:
                if chain.lines[number].value.shape == user.value.shape:
                    shown = words.seeds.get(name, f"d{name}")
                    yield change(
                        "wrong upstream gradient",
                        f"{shown} stands in the place of {right} in {of}",
                        lambda run, user, k, g, c, name=name: user.vjp(seed_of(run, name))[k],
                        3,
                    )


def _from_other(run: Run, user: Line, position: int, site: Site, context: Context) -> Any:
    times = run.chain.at[site]
    other = times.get(user.time) or (next(iter(times.values())) if len(times) == 1 else None)
    g = None if other is None else run.cotangent(other, context)
    return None if g is None else user.vjp(g)[position]
