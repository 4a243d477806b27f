"""Other values in the place of an operand: another quantity, another step, the wrong end of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.chain import Chain
from minigrad.checks.mistakes.places import line_of, values
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words
from minigrad.guard import Array

__all__ = ["ARRANGING", "other_ends", "replacements"]

ARRANGING = frozenset(
    {"concatenate", "write", "transpose", "getitem", "reshape", "split", "stack", "copy", "expand_dims", "squeeze"}
)
"""Operations that put entries elsewhere: a wrong operand inside them is a wrong entry of the result."""


def _bases(line: Line, depth: int = 5) -> list[Line]:
    """The lines of which the entries of ``line`` are, itself first."""
    if line.op not in ARRANGING or not depth:
        return [line]
    return [line, *(base for operand in line.operands for base in _bases(operand, depth - 1) if base.op != "constant")]


def _with(line: Line, changed: dict[Site, Array], depth: int = 5) -> Array:
    """The value of ``line`` if the entries that come from one place were others."""
    if line.site in changed:
        return changed[line.site]
    if line.op not in ARRANGING or not depth:
        return line.value
    return line.compute(*(_with(operand, changed, depth - 1) for operand in line.operands))


def replacements(chain: Chain, words: Words, operand: Line) -> Iterator[tuple[str, Callable[..., Any], str, int, Any]]:
    """What can stand in the place of an operand: (what is said, its value for (run, user, operand), kind, how simple)."""
    for base in _bases(operand):
        name = words.name(base)
        for value in values(chain, base.value.shape):
            if value == base.site:
                continue
            other = line_of(chain, value)
            assert other is not None
            if words.name(other) == name:  # said below to be of another step
                continue
            state = chain.states.get(base.site, base.site) in (
                chain.states.get(value),
                chain.initial.get(value, base).site,
                value,
            )
            kind = "operand of the wrong step" if base.op == "constant" or _akin(chain, base, other) else "wrong factor"
            yield (
                f"{words.name(other)} stands in the place of {name}",
                lambda run, user, at, value=value, base=base: _swapped(run, user, at, base, value, 0),
                kind,
                3 if not state else 2,
                (base.site, value),
            )
        if base.op in ("concatenate", "write") and len(_pieces(base)) == 2:
            yield (
                f"{name} is joined in the wrong order",
                lambda run, user, at, base=base: _rejoined(run, user, at, base),
                "parts in the wrong order",
                3,
                ("joined", len(_pieces(base))),
            )
        is_state = (chain.steps > 1 and base.site in chain.states) or base.site in chain.carried
        if is_state or chain.looped(base):
            shifts = (
                ((-1, "two steps before"), (1, "the same step"))
                if is_state
                else ((-1, "the step before"), (1, "the next step"))
            )
            for shift, said in shifts:
                yield (
                    f"{name} of {said} stands in the place of that of {'the step before' if is_state else 'the same step'}",
                    lambda run, user, at, base=base, shift=shift: _swapped(run, user, at, base, None, shift),
                    "operand of the wrong step",
                    3,
                    (base.site, shift),
                )
            for which, said in (("last", "the last step"), ("first", "the initial state" if is_state else "the first step")):
                yield (
                    f"{name} of {said} stands in the place of that of every step",
                    lambda run, user, at, base=base, which=which: _of_one(run, user, at, base, which == "last"),
                    "operand of the wrong step",
                    3,
                    (base.site, which),
                )
        if is_state:
            yield (
                f"{name} at the first step is that of the last step: the index −1 wraps round",
                lambda run, user, at, base=base: _wrapped(run, user, at, base),
                "index −1 wraps round",
                2,
                (base.site, "wrapped"),
            )
            yield (
                f"{name} at the first step is taken as 0, not as the initial state",
                lambda run, user, at, base=base: _zeroed(run, user, at, base),
                "initial state left out",
                2,
                (base.site, "zero"),
            )


def other_ends(chain: Chain, words: Words, operand: Line) -> Iterator[tuple[str, Callable[..., Any], str, int, Any]]:
    """For what is used after the loop, such as the last state: that of another step."""
    for base in _bases(operand):
        if chain.looped(base):
            for number, said in ((0, "first"), (-2, "last but one"), (-1, "last")):
                yield (
                    f"{words.name(base)} of the {said} step stands in the place of that of step {base.time}",
                    lambda run, user, at, base=base, number=number: _of_step(run, user, at, base, number),
                    "operand of the wrong step",
                    3,
                    (base.site, "step", number),
                )


def _of_step(run: Run, user: Line, operand: Line, base: Line, number: int) -> Array | None:
    here = _site_at(run, operand, base)
    value = run.chain.value(base.site, max(run.chain.steps + 1 + number if number < 0 else 1, 1))
    return None if here is None or value is None else _with(operand, {here.site: value})


def _pieces(line: Line) -> list[Line]:
    """What an array was joined of, in order."""
    if line.op == "concatenate":
        return list(line.operands)
    base, part = line.operands
    return [*(_pieces(base) if base.op == "write" else []), part]


def _rejoined(run: Run, user: Line, operand: Line, base: Line) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    pieces = [piece.value for piece in _pieces(here)]
    if len(pieces) != 2:
        return None
    first, second = pieces
    axis = next((a for a in range(first.ndim) if first.shape[a] + second.shape[a] == here.value.shape[a]), None)
    return None if axis is None else _with(operand, {here.site: np.concatenate([second, first], axis)})


def _akin(chain: Chain, a: Line, b: Line) -> bool:
    """Whether both are the same state at two times, as far as names or the loop tell."""
    if chain.carried.get(a.site) == b.site or chain.carried.get(b.site) == a.site:
        return True
    return any(names.unmarked(x) == names.unmarked(y) for x in a.names for y in b.names)


def _site_at(run: Run, operand: Line, base: Line) -> Line | None:
    """The line that ``base`` is at the time of another use."""
    found = _bases(operand)
    for line in found:
        if (
            line.site == base.site
            or run.chain.carried.get(line.site) == base.site
            or run.chain.carried.get(base.site) == line.site
        ):
            return line
    return None


def _swapped(run: Run, user: Line, operand: Line, base: Line, value: Site | None, shift: int) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    if value is None:
        state = run.chain.carried.get(here.site, here.site)
        other = run.chain.value(state, here.time + shift)
        if other is None:
            other = np.zeros(here.value.shape)
    else:
        other = run.chain.value(value, user.time)
    return None if other is None else _with(operand, {here.site: other})


def _wrapped(run: Run, user: Line, operand: Line, base: Line) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    if user.time != 1:
        return operand.value
    state = run.chain.carried.get(here.site, here.site)
    last = run.chain.value(state, run.chain.steps)
    return None if last is None else _with(operand, {here.site: last})


def _of_one(run: Run, user: Line, operand: Line, base: Line, last: bool) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    chain = run.chain
    state = chain.carried.get(here.site, here.site)
    is_state = state in chain.initial
    time = chain.steps if last else 0 if is_state else 1
    value = chain.value(state, time)
    return None if value is None else _with(operand, {here.site: value})


def _zeroed(run: Run, user: Line, operand: Line, base: Line) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    return operand.value if user.time != 1 else _with(operand, {here.site: np.zeros(here.value.shape)})
