"""Axes that look exchanged: what is added to the message about a shape that does not fit, if two axes in each other's
place are all that is wrong with it."""

from __future__ import annotations

import itertools

__all__ = ["exchanged", "misplaced"]


def exchanged(what: str, got: tuple[int, ...], expected: tuple[int | None, ...]) -> str:
    """A half-sentence that says which two axes look exchanged, or nothing.

    Args:
        what: the name of the array.
        got: its shape.
        expected: the shape it should have, None where any length will do.

    >>> exchanged("targets", (2, 5), (5, 2))
    '; axes 0 and 1 look exchanged, as in data whose batch comes first: pass targets.swapaxes(0, 1)'
    >>> exchanged("targets", (2, 5), (2, 4)), exchanged("targets", (2, 5), (None, 5))
    ('', '')
    """
    if len(got) != len(expected) or fits(got, expected):
        return ""
    for i, j in itertools.combinations(range(len(got)), 2):
        turned = list(got)
        turned[i], turned[j] = got[j], got[i]
        if fits(tuple(turned), expected):
            batch = ", as in data whose batch comes first" if (i, j) == (0, 1) else ""
            return f"; axes {i} and {j} look exchanged{batch}: pass {what}.swapaxes({i}, {j})"
    return ""


def misplaced(what: str, got: tuple[int, ...], others: tuple[int, ...]) -> str:
    """A half-sentence that says which of three or more axes looks as if it should come last, or nothing.

    Args:
        what: the name of the array.
        got: its shape.
        others: the lengths of all axes but the one that should come last.

    >>> misplaced("logits", (2, 7, 5), (2, 5))
    '; axis 1 looks like the one that comes last: pass np.moveaxis(logits, 1, -1)'
    """
    axes = [axis for axis in range(len(got) - 1) if got[:axis] + got[axis + 1 :] == others and len(got) > 2]
    return f"; axis {axes[0]} looks like the one that comes last: pass np.moveaxis({what}, {axes[0]}, -1)" if axes else ""


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether a shape is the one expected."""
    return len(shape) == len(expected) and all(b is None or a == b for a, b in zip(shape, expected, strict=True))
