"""Mistakes with what is joined, cut apart and stretched: gates in one matrix, states beside inputs, biases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change
from minigrad.checks.mistakes.places import Spot, scaled
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words

__all__ = ["part_changes", "permutations", "stretched_changes"]


def part_changes(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """Parts of an array taken in the wrong order."""
    user, position = spot.user, spot.position
    of = words.gradient(spot.operand)
    if user.op == "concatenate" and len(user.operands) > 1:
        sizes = [o.value.shape for o in user.operands]
        for other in range(len(sizes)):
            if other != position and sizes[other] == sizes[position]:
                yield change(
                    "parts in the wrong order",
                    f"{of} is {words.name(user.operands[other])}'s part of {words.gradient(user)}",
                    lambda run, user, k, g, c, other=other: user.vjp(g)[other],
                    3,
                )
        yield change(
            "parts in the wrong order",
            f"{of} is cut out of {words.gradient(user)} as if the parts were joined in reverse order",
            lambda run, user, k, g, c: _reversed_part(user, k, g),
            3,
            None,
            (user.op,),
            "joined parts are taken apart in reverse order",
        )
    if user.op == "write" and position == 1:
        yield change(
            "parts in the wrong order",
            f"{of} is cut out of {words.gradient(user)} as if the parts were joined in reverse order",
            lambda run, user, k, g, c: _reversed_write(run, user, g),
            3,
            None,
            (user.op,),
            "joined parts are taken apart in reverse order",
        )


def permutations(chain: Chain, words: Words) -> Iterator[Change]:
    """Parts that were cut out of one array (gates out of one product), put back in another order."""
    cut: dict[Site, dict[Site, Line]] = {}
    for line in chain.lines:
        if line.op in ("getitem", "split") and chain.live[line.number] and line.time <= 1:
            cut.setdefault(line.operands[0].site, {})[line.site] = line
    for parts in cut.values():
        alike: dict[tuple[int, ...], list[Line]] = {}
        for part in parts.values():
            alike.setdefault(part.value.shape, []).append(part)
        for group in alike.values():
            if not 2 <= len(group) <= 4:
                continue
            sites = [part.site for part in group]
            for order in itertools.permutations(range(len(group))):
                moved = [k for k, other in enumerate(order) if k != other]
                if not moved:
                    continue
                places = {sites[k]: sites[order[k]] for k in moved}
                shown = ", ".join(
                    f"{words.gradient(group[k])} is put where {words.gradient(group[order[k]])} belongs" for k in moved
                )
                yield Change(
                    frozenset((site, 0) for site in places),
                    lambda run, user, k, g, c, places=places: _sibling_share(run, user, places[user.site], g),
                    "parts in the wrong order",
                    shown,
                    simple=2 + len(moved) // 3,
                    fields={"line": group[moved[0]]},
                )


def _reversed_part(user: Line, position: int, g: Any) -> Any:
    shapes = [o.value.shape for o in user.operands]
    axis = next((a for a in range(g.ndim) if sum(s[a] for s in shapes) == g.shape[a]), 0)
    start = sum(s[axis] for s in shapes[position + 1 :])
    index = (slice(None),) * axis + (slice(start, start + shapes[position][axis]),)
    return g[index]


def _reversed_write(run: Run, user: Line, g: Any) -> Any:
    """The part at the other end, where an array was filled with two parts along one axis."""
    shape, whole = user.operands[1].value.shape, user.value.shape
    if len(shape) != len(whole):
        return None
    axis = next((a for a in range(len(whole)) if shape[a] != whole[a]), None)
    if axis is None:
        return None
    head = _starts_at_zero(user.index, axis)
    cut = slice(whole[axis] - shape[axis], None) if head else slice(shape[axis])
    return g[(slice(None),) * axis + (cut,)]


def _starts_at_zero(index: Any, axis: int) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    part = parts[axis] if axis < len(parts) else slice(None)
    return isinstance(part, slice) and part.start in (None, 0)


def _sibling_share(run: Run, user: Line, site: Site, g: Any) -> Any:
    sibling = run.chain.at[site].get(user.time)
    return None if sibling is None else sibling.vjp(g)[0]


def stretched_changes(words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """A sum over the axes along which an operand such as a bias was stretched, done otherwise."""
    user, operand = spot.user, spot.operand
    if user.op not in ("add", "sub", "mul") or operand.value.shape == user.value.shape or not operand.value.size:
        return
    number = user.value.size // operand.value.size
    of = words.gradient(operand)
    if number > 1:
        yield change(
            "averaged instead of summed",
            f"{of} is the mean over the {number} examples, not the sum",
            lambda run, user, k, g, c: scaled(user.vjp(g)[k], 1 / number),
            1,
            None,
            (number,),
            f"the gradient of every bias is the mean over the {number} examples, not the sum",
        )
        for which, said in ((0, "first"), (-1, "last")):
            yield change(
                "one example only",
                f"{of} has only the {said} example",
                lambda run, user, k, g, c, which=which: _one(user.vjp(g)[k], g, user.operands[k].value.shape, which),
                4,
            )


def _one(right: Any, g: Any, shape: tuple[int, ...], which: int) -> Any:
    extra = g.ndim - len(shape)
    for axis in range(g.ndim):
        if axis < extra or (shape[axis - extra] == 1 and g.shape[axis] != 1):
            chosen = np.zeros(g.shape)
            index = (slice(None),) * axis + (slice(None, 1) if which == 0 else slice(-1, None),)
            chosen[index] = g[index]
            g = chosen
    return g
