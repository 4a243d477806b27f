"""The search from the first line on that gives no gradient: corrected so that it gives one, the lines behind it become right.

So mistakes that hide each other are found one after the other, though no gradient that is returned is right before the last.
"""

from __future__ import annotations

import ast
import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from minigrad.checks.located.candidates import of_statements, unpacked_otherwise
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.frontier import PART, WHOLE, Seen, looked_at, target_of
from minigrad.checks.located.state import State
from minigrad.checks.located.trying import switchable
from minigrad.checks.located.written import running_as
from minigrad.checks.trial import Trial

if TYPE_CHECKING:
    from minigrad.checks.located.search import Search

__all__ = ["guided"]

DEPTH = 4
BEAM = 3
STATES = 12
"""So many states are gone on from, the best first."""
FIRST = 5
"""So many lines that give no whole gradient are looked at."""
CHUNKS = (0, 60, 600)
"""How many corrections are put into one program: the likeliest by themselves, since they are often enough."""
COMPARED = 20
"""Of so many corrections it is seen which lines they make right."""


def guided(search: Search, start: State, patient: bool = False) -> list[State]:
    """Corrections with which all is right; none if this does not lead to any.

    Unless ``patient``, what is likeliest to be better is followed at once, and the rest not looked at.
    """
    waiting: list[tuple[Any, int, State]] = [((), 0, start)]
    for number in itertools.count(1):
        if not waiting or number > STATES or search.late():
            return []
        _, _, state = heapq.heappop(waiting)
        done, further = _advanced(search, state, patient)
        if done:
            return done
        if len(state.edits) < DEPTH - 1:
            for k, (key, following) in enumerate(sorted(further, key=lambda entry: entry[0])[:BEAM]):
                heapq.heappush(waiting, (key, number * BEAM + k, following))
    return []


def _advanced(search: Search, state: State, patient: bool) -> tuple[list[State], list[tuple[Any, State]]]:
    """The states that one more correction leads to: those with which all is right, and those with which more is."""
    functions = list(state.functions.values())
    with running_as(state.codes()):
        right = [search.right_of(trial) or frozenset() for trial in search.trials]
        shortest = next((k for k, trial in enumerate(search.trials) if len(right[k]) < len(trial.given)), None)
        if shortest is None:
            return [state], []
        seen = search.watched(functions, search.trials[-1])
    lines = looked_at(functions, seen, search.truths)
    trial, kept = search.trials[shortest], right[shortest]
    open_lines = [line for line in lines if line.clean and line.known < WHOLE]
    first = sorted(open_lines, key=_is_collected)[:FIRST]
    further: list[tuple[Any, State]] = []
    for number, group in enumerate(_groups(first, lines)):
        done, better = _tried(search, state, seen, group, trial, kept, patient)
        if done:
            return done, []
        for gained, rank, edit in better[:COMPARED]:
            if search.late():
                break
            following = state.with_edit(edit)
            wrong = _wrong(search, following)
            if wrong < _missing(lines) or -gained > len(kept):
                further.append(((gained, wrong, rank), following))
        if further and (number or not patient):
            break
    return [], further


def _is_collected(line: Seen) -> bool:
    """Whether the line adds a part of a gradient to the others, as it should."""
    return line.known == PART and isinstance(line.statement, ast.AugAssign)


def _groups(first: list[Seen], lines: Sequence[Seen]) -> Iterator[list[Seen]]:
    """The lines in which to look, one group after the other.

    The first that gives no gradient, with those that write to the same place; those that give one, but perhaps that of
    something else, since several that give none need it; the others that give none.
    """
    places = {line.statement: (line.function, target_of(line.function, line.statement)) for line in lines}
    same = [x for x in lines if first and x not in first[:1] and places[x.statement] == places[first[0].statement]]
    needed = Counter((line.function, name) for line in first for name in set(line.reads))
    yield [*first[:1], *same]
    yield [x for x in lines if x not in first and x not in same and needed[places[x.statement]] > 1]
    rest = [x for x in first[1:] if x not in same]
    yield rest[:2]
    yield rest[2:]


def _tried(
    search: Search, state: State, seen: Any, lines: Sequence[Seen], trial: Trial, kept: frozenset[str], patient: bool
) -> tuple[list[State], list[tuple[int, float, Edit]]]:
    """What comes of all that may be tried in some lines: the states in which all is right, and what may be better."""
    statements = {line.statement for line in lines}
    edits = [e for function in state.functions.values() for e in of_statements(function) if e.statement in statements]
    for function in state.functions.values():
        edits += unpacked_otherwise(function, [line.statement for line in lines if line.function is function])
    edits = sorted([*edits, *search.corrections(state, seen, lines)], key=lambda edit: edit.rank)
    done: list[State] = []
    better: list[tuple[int, float, Edit]] = []
    for begin, end in zip(CHUNKS, (*CHUNKS[1:], len(edits)), strict=True):
        chunk = edits[begin:end]
        with switchable(list(state.functions.values()), chunk) as switch:
            for number, edit in enumerate(chunk):
                if search.late() or (done and edit.rank > done[0].edits[-1].rank + 0.3):
                    break
                switch(number)
                now = search.right_of(trial)
                if now is None or not now >= kept:
                    continue
                if len(now) == len(trial.given) and all(search.whole(other) for other in search.trials):
                    done.append(state.with_edit(edit))
                elif now > kept or edit.hit or edit.kind:
                    better.append((-len(now), edit.rank, edit))
        if done or search.late() or end >= len(edits) or (not patient and any(edit.hit == 1 for _, _, edit in better)):
            break
    better.sort(key=lambda entry: entry[:2])
    return [other for other in done[:8] if search.is_right(other)], better


def _wrong(search: Search, state: State) -> int:
    """How much of the lines gives no gradient where the functions run as they are now."""
    functions = list(state.functions.values())
    with running_as(state.codes()):
        seen = search.watched(functions, search.trials[-1])
    return _missing(looked_at(functions, seen, search.truths))


def _missing(lines: Sequence[Seen]) -> int:
    return sum(WHOLE - line.known for line in lines)
