"""The search from the first line on that gives no gradient: corrected so that it gives one, the lines behind it become right.

So mistakes that hide each other are found one after the other, though no gradient that is returned is right before the last.
"""

from __future__ import annotations

import ast
import heapq
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from minigrad.checks.located.candidates import of_statements, unpacked_otherwise
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.frontier import UNKNOWN, WHOLE, Seen, looked_at
from minigrad.checks.located.groups import calls_of, first_of, groups, in_order, is_collected, known_groups
from minigrad.checks.located.kinds import IN_ORDER
from minigrad.checks.located.made import where_made
from minigrad.checks.located.missing import at_the_first_step, missing_lines
from minigrad.checks.located.repeated import repeated
from minigrad.checks.located.state import State
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.trying import switchable
from minigrad.checks.located.watching import EARLY
from minigrad.checks.located.written import Written, running_as
from minigrad.checks.trial import Trial

if TYPE_CHECKING:
    from minigrad.checks.located.search import Search

__all__ = ["guided", "odd_lines"]

DEPTH = 10
BEAM = 3
STATES, FRUITLESS = 24, 12
"""So many states are gone on from, the best first; and so many since more gradients were right."""
TURNS = 3
"""Every third time it is gone on from the state with the fewest corrections."""
OTHERS = 3
"""So many more where lines have to be written anew: perhaps less would do."""
FEW, MANY = 60, 600
"""How many corrections are put into one program: the likeliest by themselves, since they are often enough."""
STEPS = (ast.For, ast.If)
"""What says at which steps something is done: there is little to try, and much depends on it."""
ADDED = "overwritten, not accumulated"
TURNED = "loop in the wrong direction"
ANEW = 3
"""So many lines more a line that is written anew has to make right."""
REPEATED = 3
"""So many of the likeliest are made in other lines too, where the same stands there."""
COMPARED = 12
"""Of so many corrections it is seen which lines they make right."""


def guided(
    search: Search, start: State, patient: bool = False, at_most: int = DEPTH
) -> tuple[list[State], State]:
    """Corrections, ``at_most`` so many, with which all is right, none if there are none; and those with which most is.

    Unless ``patient``, what is likeliest to be better is followed at once, and the rest not looked at.
    """
    waiting: list[tuple[Any, int, State]] = [((), 0, start)]
    best: tuple[Any, int, State] = ((0,), 1, start)
    found, last, tried, gaining = list[State](), STATES, 0, False
    for number in itertools.count(1):
        if not waiting or tried > min(last, STATES if patient else best[1] + FRUITLESS) or search.late():
            break
        if number % TURNS or gaining:
            key, _, state = heapq.heappop(waiting)
        else:  # what was corrected first may have been right, and another correction needed beside it
            key, _, state = waiting.pop(min(range(len(waiting)), key=lambda k: (len(waiting[k][2].edits), waiting[k][:2])))
            heapq.heapify(waiting)
        anew = [edit for edit in found[0].edits if edit.anew] if found else []
        if found and (len(state.edits) >= len(found[0].edits) or any(edit in anew for edit in state.edits)):
            continue
        tried += 1
        done, further = _advanced(search, state, patient)
        plain = [other for other in done if not any(edit.anew for edit in other.edits)]
        if plain or (done and len(done[0].edits) == 1):
            return plain or done, (plain or done)[0]
        if done and not found:  # what is written anew can make up for a line that was corrected to something else
            found, last = done, tried + OTHERS
        gaining = search.gaining = bool(key and further) and min(entry[0] for entry in further)[0] < key[0]
        for k, (key, following) in enumerate(sorted(further, key=lambda entry: entry[0])[:BEAM]):
            if key[0] < best[0][0]:
                best = key, tried, following
            if len(state.edits) < at_most - 1:
                heapq.heappush(waiting, (key, number * BEAM + k, following))
    return found, found[0] if found else best[2]


def _advanced(search: Search, state: State, patient: bool) -> tuple[list[State], list[tuple[Any, State]]]:
    """The states that one more correction leads to: those with which all is right, and those with which more is."""
    functions = list(state.functions.values())
    with running_as(state.codes()):
        right = [search.right_of(trial) or frozenset() for trial in search.trials]
        shortest = next((k for k, trial in enumerate(search.trials) if len(right[k]) < len(trial.given)), None)
        if shortest is None:
            return [state], []
        seen = search.watched(functions, search.trials[-1])
        trial, kept = search.trials[shortest], right[shortest]
        idle = _idle_loops(search, functions, trial) if not kept else []
    lines = looked_at(functions, seen, search.truths)
    settled = {trial.answer.called.get(name, f"d{name}") for name in kept}
    first, further = first_of(in_order(lines, settled)), list[tuple[Any, State]]()
    missing = [*missing_lines(search, state, seen), *at_the_first_step(search, state, seen), *search.handed_back(state, seen)]
    lost = any(line.known == UNKNOWN and not line.misnamed for line in first)
    if kept and not lost:  # what is wrong is no line that gives no gradient: only what wrong gradients depend on is looked at
        done = _tried(search, state, seen, [], trial, kept, True, None, missing)[0] if missing else []
        done, more = (done, []) if done else search.extended(state)
        if done or more or search.late():
            return done, [((gained, _missing(lines), rank), following) for (gained, _, rank), following in more]
    calls = calls_of(state, seen)
    chosen = [idle] if idle else groups(first, lines, calls) if lost else known_groups(first, lines, calls)
    for number, group in enumerate(chosen):
        others = None if number or idle else (lambda edit: bool(edit.after) or isinstance(edit.statement, STEPS) or not lost)
        added = () if number or idle else missing
        done, better = _tried(search, state, seen, group, trial, kept, patient or not lost, others, added)
        several = [] if done else [*repeated([edit for _, _, edit in better[:REPEATED]])]
        several += [] if done or number else [e for function in functions for e in search.unkept.wherever(function, seen)]
        if several:
            done, further_ones = _tried(search, state, seen, (), trial, kept, True, None, several)
            better = sorted([*better, *further_ones], key=lambda entry: entry[:2])
        wrong_line = next((line for line in group if line.known == UNKNOWN), None) if patient and lost and not number else None
        both = search.twice(state, wrong_line, seen[wrong_line.statement]) if wrong_line is not None else iter([])
        while not done and (some := next(both, None)) is not None:
            done, twice = _tried(search, state, seen, (), trial, kept, True, None, some)
            better = sorted([*better, *twice], key=lambda entry: entry[:2])
        if done:
            same = {other.edits[-1].statement for other in done if other.edits[-1].kind}
            again = [line for line in lines if line.statement in same and line not in group]  # perhaps less is to be changed
            return done + (_tried(search, state, seen, again, trial, kept, True, None)[0] if again else []), []
        most = _missing(lines) + bool(idle)  # a loop that runs at last has no better lines yet
        nothing = {line.statement for line in first if line.known == UNKNOWN and not line.made}
        for (gained, wrong, rank), following in _compared(search, state, better, trial, nothing):
            turned = following.edits[-1].kind == TURNED  # then lines are looked at in other steps: fewer wrong ones say nothing
            if (wrong < most and not turned) or -gained > len(kept):
                further.append(((gained, wrong, rank), following))
        if further and (number or not patient):
            break
    return [], further


def _compared(
    search: Search, state: State, better: Sequence[tuple[int, float, Edit]], trial: Trial, nothing: Collection[ast.stmt]
) -> Iterator[tuple[tuple[int, float, float], State]]:
    """What the likeliest corrections lead to, with how many gradients are right then, and how much of the lines is not.

    Lines that give ``nothing`` are wrong for certain: there is no harm in writing them anew.
    """
    compared = 0
    for gained, rank, edit in better:
        if search.late() or compared == COMPARED or (compared >= BEAM and gained > better[0][0]):
            break
        following = state.with_edit(where_made(search, state, edit, trial))
        wrong = _wrong(search, following)
        compared += math.isfinite(wrong)
        yield (gained, wrong + ANEW * (edit.anew and edit.statement not in nothing), rank), following


def _idle_loops(search: Search, functions: Sequence[Written], trial: Trial) -> list[Seen]:
    """The loops of which no step is done, where hardly anything is computed: before they are, no other line matters."""
    if not search.is_idle(trial):
        return []
    seen = search.watched(functions, trial, last=False)
    loops = [(f, s) for f in functions for s in f.statements if isinstance(s, ast.For) and s in seen and s.body[0] not in seen]
    return [Seen(function, loop, WHOLE, EARLY, ()) for function, loop in loops]


def _tried(
    search: Search,
    state: State,
    seen: Any,
    lines: Sequence[Seen],
    trial: Trial,
    kept: frozenset[str],
    patient: bool,
    others: Callable[[Edit], bool] | None,
    missing: Sequence[Edit] = (),
) -> tuple[list[State], list[tuple[int, float, Edit]]]:
    """What comes of all that may be tried in some lines: the states in which all is right, and what may be better.

    Other statements, too, are written otherwise as a whole, if ``others`` says so; and lines that are ``missing`` are put in.
    """
    statements = {line.statement for line in lines}
    edits = [e for function in state.functions.values() for e in of_statements(function)]
    edits = [e for e in edits if e.statement in statements or (others is not None and others(e))]
    edits += missing
    for function in state.functions.values():
        read = [x.statement for x in lines if x.function is function and not isinstance(x.statement, STEPS)]
        edits += unpacked_otherwise(function, read)
    edits += [edit for edit in search.corrections(state, seen, lines) if not _is_of_last_step(edit)]
    edits.sort(key=lambda edit: edit.rank)
    some = [*edits[:FEW], *(e for e in edits[FEW:] if _is_likely(e))]
    likely = sorted(some, key=lambda edit: edit.rank)
    chosen = set(map(id, some))
    edits = [*likely, *(edit for edit in edits if id(edit) not in chosen)]
    done: list[Edit] = []
    better: list[tuple[int, float, Edit]] = []
    for begin, end in itertools.pairwise((0, len(likely), MANY, max(len(edits), MANY))):
        chunk = edits[begin:end]
        with switchable(list(state.functions.values()), chunk) as switch:
            for number, edit in enumerate(chunk):
                if search.late() or (done and edit.rank > done[0].rank + 0.3):
                    break
                switch(number)
                now = search.right_of(trial)
                if now is None or not now >= kept:
                    continue
                if len(now) == len(trial.given) and all(search.whole(other) for other in search.trials):
                    done.append(edit)
                elif now > kept or edit.hit or edit.kind:
                    better.append((-len(now), edit.rank, edit))
        if done or search.late() or end >= len(edits) or (not patient and any(edit.hit == 1 for _, _, edit in better)):
            break
    better.sort(key=lambda entry: entry[:2])
    found = [state.with_edit(where_made(search, state, edit, trial)) for edit in done[:8]]
    return [other for other in found if search.is_right(other)], better


def _is_likely(edit: Edit) -> bool:
    """Whether an edit is tried early whatever it costs: it gives a gradient, has another name in a place, or is one of few."""
    renamed = all(isinstance(node, ast.Name) and text.isidentifier() for node, text in edit.places) and bool(edit.places)
    exchanged = len(edit.places) == 2 and edit.kind in (IN_ORDER, "parts in the wrong order")
    elsewhere = edit.kind == "wrong accumulator" and isinstance(edit.statement, ast.AugAssign)
    few = edit.less or exchanged or elsewhere or isinstance(edit.statement, STEPS) or edit.kind == ADDED
    return edit.hit == 1 or few or renamed


def _is_of_last_step(edit: Edit) -> bool:
    """Whether something is multiplied, behind a loop, that the loop's last step has left over: nobody means that."""
    products = [n for _, text in edit.places for n in ast.walk(ast.parse(text)) if isinstance(n, ast.BinOp)]
    products = [n for n in products if isinstance(n.op, ast.MatMult | ast.Mult)]
    if not products:
        return False
    left = _left_over(edit.function, edit.statement)
    inside = left - {n.id for n in ast.walk(edit.statement) if isinstance(n, ast.Name)}
    return any(isinstance(n, ast.Name) and n.id in inside for product in products for n in ast.walk(product))


@lru_cache(maxsize=256)
def _left_over(function: Written, at: ast.stmt) -> frozenset[str]:
    """The names that loops before a statement have left over, but for those that a loop around it gives other values."""
    inside: set[str] = set()
    for statement, _ in all_statements(function.tree):
        if statement is at:
            break
        if isinstance(statement, ast.For):
            nodes = list(ast.walk(statement))
            stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            inside = inside - stored if any(node is at for node in nodes) else inside | stored
    return frozenset(inside)


def odd_lines(search: Search, state: State) -> int:
    """How many lines give a gradient that another line gives already, or that another name is of."""
    functions = list(state.functions.values())
    with running_as(state.codes()):
        seen = search.watched(functions, search.trials[-1], last=False)
    lines = looked_at(functions, seen, search.truths)
    marks = [f"{line.mark:.9e}" for line in lines if line.known and line.mark]
    return sum(line.odd for line in lines) + len(marks) - len(set(marks))


def _wrong(search: Search, state: State) -> float:
    """How much of the lines gives no gradient where the functions run as they are now; infinite if they do not."""
    functions = list(state.functions.values())
    with running_as(state.codes()):
        if search.right_of(search.trials[-1]) is None:
            return math.inf
        seen = search.watched(functions, search.trials[-1], last=False)
    return _missing(looked_at(functions, seen, search.truths))


def _missing(lines: Sequence[Seen]) -> int:
    """How much of the lines gives no gradient, or one that another line gives already."""
    marks = [f"{line.mark:.9e}" for line in lines if line.known and line.mark]
    return sum(WHOLE - line.known for line in lines if not is_collected(line)) + len(marks) - len(set(marks))
