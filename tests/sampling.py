"""Which of many cases are run where all would take too long: the same ones in every run."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations

EXHAUSTIVE = bool(os.environ.get("EXHAUSTIVE"))
"""Whether every case is run, as ``make test-exhaustive`` does."""


def covering(cases: Sequence[Mapping[str, Hashable]], n: int) -> list[int]:
    """Of cases, each a value for every parameter, so many that every n values that meet in a case meet in one of these.

    Greedy: next comes the first of the cases in which most of what is missing meets.

    >>> covering([{"x": x, "y": y} for x in "abc" for y in "de"], 1)
    [0, 3, 4]
    """
    meeting = [set(combinations(case.items(), min(n, len(case)))) for case in cases]
    missing: set[tuple[tuple[str, Hashable], ...]] = set().union(*meeting)
    chosen = []
    waiting = [(-len(met), place) for place, met in enumerate(meeting)]
    heapify(waiting)
    while missing:
        _, place = heappop(waiting)
        now = (-len(meeting[place] & missing), place)
        if waiting and now > waiting[0]:  # what it was worth before others were chosen
            heappush(waiting, now)
            continue
        chosen.append(place)
        missing -= meeting[place]
    return sorted(chosen)
