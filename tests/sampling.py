"""Which of many cases are run where all would take too long: the same ones in every run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations

EXHAUSTIVE = bool(os.environ.get("EXHAUSTIVE"))
"""Whether every case is run, as ``make test-exhaustive`` does."""


def covering(cases: Sequence[Mapping[str, Hashable]], n: int) -> list[int]:
    """Of cases, each a value for every parameter, so many that every n values that meet in a case meet in one of these.

    Greedy: next comes a case in which most of what is missing meets; of those, one whose values were chosen least often.

    >>> covering([{"x": x, "y": y} for x in "abcd" for y in "ef"], 1)  # e, f, e, f
    [0, 3, 4, 7]
    """
    meeting = [set(combinations(case.items(), min(n, len(case)))) for case in cases]
    missing: set[tuple[tuple[str, Hashable], ...]] = set().union(*meeting)
    chosen: list[int] = []
    often: Counter[tuple[str, Hashable]] = Counter()
    waiting = [(-len(met), 0, place) for place, met in enumerate(meeting)]
    heapify(waiting)
    while missing:
        place = heappop(waiting)[-1]
        now = (-len(meeting[place] & missing), sum(often[value] for value in cases[place].items()), place)
        if waiting and now > waiting[0]:  # it was worth more before others were chosen
            heappush(waiting, now)
            continue
        chosen.append(place)
        missing -= meeting[place]
        often.update(cases[place].items())
    return sorted(chosen)
