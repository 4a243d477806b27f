"""The narrowest true statement about gradients that no change of the derivation explains, and what can be wrong on the way out.

A gradient that was computed rightly can still be returned in another's place, transposed, or with a factor. What is said
here is said of the numbers, and holds of every entry.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minigrad.checks.equality import equal
from minigrad.checks.finding import Finding
from minigrad.guard import Array

__all__ = ["factor", "narrowed", "on_the_way_out"]

Gradients = dict[str, Array]


def on_the_way_out(
    given: Gradients, right: Gradients, called: dict[str, str], sizes: dict[int, str], rtol: float
) -> list[Finding]:
    """Findings about gradients that are those of the derivation, but not where or as they should be.

    Args:
        given: the user's gradients that are not explained.
        right: all gradients of the derivation (with the mistakes that were found before).
        called: what the user calls each gradient.
        sizes: numbers that a gradient can be divided by by mistake, with what they are.
    """
    findings: list[Finding] = []
    open_names = set(given)

    def label(name: str) -> str:
        return called.get(name, f"d{name}")

    def found(names: Iterable[str], kind: str, missing: str, effect: str, correct: str = "") -> None:
        names = tuple(names)
        open_names.difference_update(names)
        findings.append(Finding(kind, missing, "", effect, correct, (), tuple(label(name) for name in names)))

    for name in sorted(open_names):
        if not given[name].any() and right[name].any():
            found(
                [name],
                "is zero",
                f"{label(name)} is 0 in every entry, as if it were never computed, or never added to",
                f"{name} is never trained by it; where it is a state's gradient, nothing goes further back in time",
            )
    for name in sorted(open_names):
        others = [o for o in right if o != name and equal(given[name], right[o], rtol)] if name in open_names else []
        for other in others[:1]:
            if other in open_names and equal(given[other], right[name], rtol):
                found(
                    [name, other],
                    "gradients exchanged",
                    f"{label(name)} and {label(other)} are exchanged",
                    f"{name} and {other} are each moved along the other's gradient",
                    f"{label(name)}, {label(other)} = {label(other)}, {label(name)}",
                )
            else:
                found(
                    [name],
                    "wrong accumulator",
                    f"your {label(name)} is the gradient of {other}: {label(other)} is in its place",
                    f"{name} is moved along the gradient of {other}",
                )
    for name in sorted(open_names):
        if given[name].ndim == 2 and equal(given[name], right[name].T, rtol):
            found(
                [name],
                "transposed",
                f"{label(name)} is transposed",
                f"every entry of {name} gets another's gradient",
                f"{label(name)} = {label(name)}.T",
            )
    for name in sorted(open_names):
        for axis in range(given[name].ndim):
            if given[name].shape[axis] > 1 and equal(given[name], np.flip(right[name], axis), rtol):
                found(
                    [name],
                    "in reverse order",
                    f"{label(name)} is in reverse order along axis {axis}",
                    "the first step gets the gradient of the last",
                )
                break
    factors: dict[tuple[str, float], list[str]] = {}
    for name in sorted(open_names):
        c = factor(given[name], right[name], rtol)
        words = None if c is None else factor_words(c, sizes)
        if c is not None and words is not None:
            factors.setdefault((words, round(c, 12)), []).append(name)
    for (words, c), names in factors.items():
        shown = ", ".join(label(name) for name in names)
        found(
            names,
            "sign" if c == -1 else "factor",
            f"{shown} {'is' if len(names) == 1 else 'are'} {words}",
            "the step goes uphill" if c < 0 else f"{', '.join(names)} learns {abs(c):.3g} times as fast as it should",
        )
    for name in sorted(open_names):
        for other in right:
            if (
                other != name
                and right[other].shape == given[name].shape
                and equal(given[name], right[name] + right[other], rtol)
            ):
                found(
                    [name],
                    "wrong accumulator",
                    f"{label(other)} is added to {label(name)}",
                    f"{name} is moved along the gradient of {other} as well",
                )
                break
    return findings


def factor(given: Array, right: Array, rtol: float) -> float | None:
    """The c for which given = c · right throughout, if there is one."""
    norm = float((right * right).sum())
    if norm == 0 or right.size < 2 or not np.isfinite(given).all():
        return None
    c = float((given * right).sum()) / norm
    return c if c and equal(given, c * right, rtol) else None


def factor_words(c: float, sizes: dict[int, str]) -> str | None:
    """What a factor means; None if it is not one that a person would get wrong."""
    known: dict[float, str] = {-1.0: "has the wrong sign", 2.0: "twice what it should be", 0.5: "half of what it should be"}
    for size, what in sizes.items():
        if size > 1:
            known.setdefault(1 / size, f"divided by {size}, {what}")
            known.setdefault(-1 / size, f"divided by {size}, {what}, with the wrong sign")
            known.setdefault(float(size), f"multiplied by {size}, {what}")
    for value, words in known.items():
        if abs(c - value) <= 1e-6 * abs(value):
            return words.replace("has the wrong sign", "of the wrong sign") if value == -1 else words
    return None


def narrowed(
    given: Gradients,
    right: Gradients,
    called: dict[str, str],
    fine: list[str],
    steps: int,
    rtol: float,
    so_far: tuple[str, str] = ("", ""),
) -> Finding:
    """What is true of gradients that could not be explained; ``so_far``: what is true of the lines, and where."""

    def label(name: str) -> str:
        return called.get(name, f"d{name}")

    facts: list[str] = []
    for name in sorted(given):
        fact = _about(given[name], right[name], steps, rtol)
        if fact:
            facts.append(f"{label(name)} {fact}")
    shown = ", ".join(label(name) for name in sorted(given))
    beside = f"; {', '.join(label(name) for name in fine)} {'is' if len(fine) == 1 else 'are'} right" if fine else ""
    text = f"{shown} {'is' if len(given) == 1 else 'are'} wrong{beside}"
    text = ": ".join([text, "; ".join(facts)]) if facts else text
    text = "; ".join([text, so_far[0]]) if so_far[0] else text
    return Finding("", text, so_far[1], gradients=tuple(label(name) for name in sorted(given)))


def _about(given: Array, right: Array, steps: int, rtol: float) -> str:
    if not np.isfinite(given).all():
        return f"has {int((~np.isfinite(given)).sum())} entries that are NaN or infinite"
    c = factor(given, right, rtol)
    if c is not None:
        return f"is {c:.6g} times what it should be"
    largest = max(float(np.abs(right).max()), 1e-300)
    good = np.abs(given - right) <= rtol * largest
    for axis in range(given.ndim):
        if given.ndim < 2 and axis:
            break
        along = good.all(axis=tuple(a for a in range(given.ndim) if a != axis))
        count, size = int(along.sum()), len(along)
        if 0 < count < size and size > 1:
            places = np.flatnonzero(along)
            if places[-1] - places[0] + 1 != count:
                continue
            if size == steps and steps > 1:
                return f"is right for {_steps(int(places[0]) + 1, int(places[-1]) + 1, steps)}, wrong at every other step"
            what = "rows" if axis == 0 and given.ndim == 2 else "columns" if axis == 1 else "entries"
            return f"is right in {what} {places[0]}–{places[-1]}"
    return ""


def _steps(first: int, last: int, steps: int) -> str:
    if first == last:
        return "t = T" if first == steps else f"t = {first}"
    return f"t = {first} to {'T' if last == steps else last}"
