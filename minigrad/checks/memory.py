"""Updates with a memory of squares (Adagrad, RMSprop, Adam): made to be proportional to the gradients, which are read so.

From an empty memory the first update is the sign of the gradient. Beside a memory that is large already, the square of one more
gradient is nothing, and the update is the gradient times a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigrad.guard import Array

if TYPE_CHECKING:
    from minigrad.checks.problem import Leaf

__all__ = ["LARGE", "memories", "only_signs"]

LARGE = 1e8
"""What stands in the memory of squares."""
ORDER = (re.compile(r"^_?s(?=d|_|[A-Z])|sq|second|rms|ada|cache|mem"), re.compile(r"^_?v(?=d|_|[A-Z])|vel"))
"""What says that a memory is one of squares, and not of gradients, where there are both: s beside v, v beside m."""


def only_signs(steps: Iterable[Array]) -> bool:
    """Whether nearly all entries of every step have the same size."""
    sizes = [np.abs(step[step != 0]) for step in steps if step.size > 2]
    sizes = [size for size in sizes if size.size > 2]
    return bool(sizes) and all(np.mean(np.abs(size - np.median(size)) < 0.01 * np.median(size)) > 0.8 for size in sizes)


def memories(leaves: Sequence[Leaf], unread: Iterable[str], moved: Mapping[str, Array]) -> frozenset[str]:
    """The names of the arrays that hold squares: zeros that the forward pass does not read, shaped as those that move."""
    paths = frozenset(unread)
    empty = [leaf for leaf in leaves if leaf.path in paths and not leaf.store and not leaf.value.any()]
    found = [leaf.name for leaf in empty if leaf.value.shape in {step.shape for step in moved.values()}]
    weights = "|".join(re.escape(name.rsplit(".", 1)[-1]) for name in moved)
    of_weight = re.compile(rf"{ORDER[1].pattern}|^_?v_?(?:{weights})$")  # vb, of b, is no word that begins with v
    for mark in (ORDER[0], of_weight):
        marked = [name for name in found if mark.search(name.rsplit(".", 1)[-1])]
        if marked and len(marked) < len(found):
            return frozenset(marked)
    return frozenset(found)
