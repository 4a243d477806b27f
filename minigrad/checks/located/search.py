"""The search for the corrections that make a backward pass right: tried by running it."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from minigrad.checks import names
from minigrad.checks.clock import Clock
from minigrad.checks.equality import clipped, equal
from minigrad.checks.located.candidates import SLOPE, at_places, everywhere, kept_elsewhere, longer, of_statements
from minigrad.checks.located.derived import handed_back
from minigrad.checks.located.edit import Edit, bracketed
from minigrad.checks.located.frontier import PART, UNKNOWN, Seen, looked_at
from minigrad.checks.located.functions import formulas, is_pure, passing
from minigrad.checks.located.guided import guided
from minigrad.checks.located.influence import influence
from minigrad.checks.located.lines import lines_between
from minigrad.checks.located.made import where_made
from minigrad.checks.located.phrases import Phrase, held, parsed, phrases
from minigrad.checks.located.places import Place, places_of
from minigrad.checks.located.pool import AtHand
from minigrad.checks.located.running import gradients_of
from minigrad.checks.located.state import State
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.truths import Truths
from minigrad.checks.located.trying import switchable
from minigrad.checks.located.unkept import Unkept, keeping
from minigrad.checks.located.watching import EARLY, Visit, watched
from minigrad.checks.located.written import Written, running_as
from minigrad.checks.trial import Trial
from minigrad.guard import Array

__all__ = ["Search", "kept_meanwhile"]

DEPTH = 4
BEAM = 3
BEHIND = 0.6
"""What it costs beside to correct a line that computes with what is wrong already."""
BOTH, AT_ONCE = 30, 10
"""So many corrections of a line are tried together with another, and so many at a time."""


class Search:
    """The search on some trials, shortest first."""

    def __init__(self, trials: Sequence[Trial], rtol: float, deadline: float, at_last: float = -math.inf) -> None:
        self.trials, self.rtol = trials, rtol
        self.is_over, self.is_over_at_last = Clock(deadline).late, Clock(max(deadline, at_last)).late
        self.gaining = False  # whether each correction makes more gradients right
        self.truths = Truths(trials[-1])
        self.formulas = formulas(trials[0].adapter.users())
        self.known: dict[Written, list[Phrase]] = {}
        self.unkept = Unkept()
        self.fruitless: set[tuple[str, ...]] = set()  # the texts of functions for which one more edit makes nothing right

    def late(self) -> bool:
        """Whether to stop: later, as long as each correction makes more gradients right."""
        return self.is_over() and (not self.gaining or self.is_over_at_last())

    def is_right(self, state: State, trials: Sequence[Trial] | None = None) -> bool:
        """Whether all is right with the corrections, in all trials."""
        try:
            codes = state.codes()
        except (SyntaxError, StopIteration):
            return False
        with running_as(codes):
            return all(self.whole(trial) for trial in (self.trials if trials is None else trials))

    def whole(self, trial: Trial) -> bool:
        """Whether all is right in a trial, where the backward pass runs as it is now."""
        right = self.right_of(trial)
        return right is not None and len(right) == len(trial.given)

    def fits(self, trial: Trial, name: str, g: Array) -> bool:
        """Whether a gradient is right, up to clipping."""
        return equal(g, clipped(trial.chain.right[name], trial.bound, g), self.rtol)

    def right_of(self, trial: Trial) -> frozenset[str] | None:
        """The gradients that are right where the backward pass runs as it is now; None if it fails."""
        found = gradients_of(trial)
        return None if found is None else frozenset(n for n, g in found.items() if self.fits(trial, n, g))

    def is_idle(self, trial: Trial) -> bool:
        """Whether most gradients are 0 where the backward pass runs as it is now."""
        computed = [bool(g.any()) for g in (gradients_of(trial) or {}).values()]
        return 2 * sum(computed) < len(computed)

    def watched(self, functions: Sequence[Written], trial: Trial, last: bool = True) -> dict[ast.stmt, list[Visit]]:
        """The variables before each statement where the backward pass runs as it is now."""
        return watched(functions, lambda: gradients_of(trial), bool(trial.answer.moved), last, trial.adapter.globals)

    def run(self, originals: list[Written]) -> tuple[list[Written], list[State]]:
        """The functions as they are; and corrections with which all is right, none if there are none."""
        start = State({function.function: function for function in originals})
        if (kept := self.kept_otherwise(originals)) is not None:
            done = guided(self, start, at_most=1)[0]  # one line of the backward pass is likelier
            return ([*originals, *kept[0]], [kept[1]]) if not done else (originals, done)
        done, best = guided(self, start)
        for _ in range(DEPTH):
            if done or not best.edits or self.late():
                break
            done, further = self.extended(best)  # what is wrong at the last steps alone is no line that gives no gradient
            best = min(further, key=lambda entry: entry[0], default=(None, start))[1]
        done = done or guided(self, start, patient=True)[0]
        if done and sum(max(len(edit.places), 1) for edit in done[0].edits) > 1:
            done = self.extended(start, self.shared(originals, done[0]))[0] or done  # one correction is likelier than several
        if done or self.late():
            return originals, done
        waiting = [start]
        for _ in range(DEPTH):
            following: list[tuple[Any, State]] = []
            for state in waiting:
                done, further = self.extended(state)
                if done:
                    return originals, done
                following += further
                if self.late():
                    return originals, []
            following.sort(key=lambda entry: entry[0])
            waiting = [state for _, state in following[:BEAM]]
            if not waiting:
                break
        return originals, []

    def kept_otherwise(self, originals: Sequence[Written]) -> tuple[list[Written], State] | None:
        """Lines of the forward pass that keep something for the backward pass: of another moment all would be right."""
        functions = passing(self.trials[0], originals)
        start = State({function.function: function for function in (*originals, *functions)})
        for function in functions:
            for edit in kept_elsewhere(function):
                if not self.late() and self.is_right(other := start.with_edit(edit)):
                    return functions, other
        return None

    def shared(self, originals: Sequence[Written], done: State) -> set[ast.stmt]:
        """Where one correction could stand for several: one of them, or what they all read is written or handed on there."""
        lines = [line for f in originals for line in lines_between(f, done.functions[f.function]) or ()]
        named = [{n.id for n in ast.walk(line.statement) if isinstance(n, ast.Name)} for line in lines]
        made_of = [
            set[str]().union(*(_made_of(line.function, n) for n in each)) for line, each in zip(lines, named, strict=True)
        ]
        read, behind = (set.intersection(*sets) if lines else set[str]() for sets in (named, made_of))
        read |= {name for name in behind if names.is_gradient(name)}
        inside = {line.function.tree.name for line in lines}
        found = {line.statement for line in lines}
        for function in originals:
            for statement, _ in all_statements(function.tree):
                nodes = [n for n in ast.walk(statement) if isinstance(n, ast.Name | ast.Attribute)]
                stored = any(isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.id in read for n in nodes)
                called = any((n.id if isinstance(n, ast.Name) else n.attr) in inside for n in nodes)
                if stored or called or isinstance(statement, ast.For):
                    found.add(statement)
        return found

    def extended(self, state: State, only: set[ast.stmt] | None = None) -> tuple[list[State], list[tuple[Any, State]]]:
        """The states that one more edit, ``only`` in some statements, leads to: where all is right, and where more is."""
        code = tuple(function.text for function in state.functions.values())
        if only is None and code in self.fruitless:
            return [], []
        functions = list(state.functions.values())
        with running_as(state.codes()):
            before = [self.right_of(trial) or frozenset() for trial in self.trials]
            shortest = next(k for k, trial in enumerate(self.trials) if len(before[k]) < len(trial.given))
            seen = [self.watched(functions, self.trials[-1])]
            if shortest:
                seen.append(self.watched(functions, self.trials[shortest - 1]))
        self.better: list[tuple[Any, Edit]] = []
        self.tried = 0
        for edits in self.edits(state, seen, shortest, before, only):
            self.tried += len(edits)
            done = self.tried_out(functions, edits, shortest, before[shortest])
            found = [state.with_edit(where_made(self, state, edit, self.trials[shortest])) for edit in done[:8]]
            finished = [other for other in found if self.is_right(other)]
            if finished or self.late():
                return finished, []
        self.better.sort(key=lambda entry: entry[0])
        if only is None and not self.better:
            self.fruitless.add(code)
        return [], [(key, state.with_edit(edit)) for key, edit in self.better[:BEAM]]

    def tried_out(self, functions: list[Written], edits: list[Edit], shortest: int, kept: frozenset[str]) -> list[Edit]:
        """Those of the edits with which all is right, the likeliest first; what is better with others is noted."""
        done: list[Edit] = []
        trial = self.trials[shortest]
        with switchable(functions, edits) as switch:
            for number, edit in enumerate(edits):
                if self.late() or (done and edit.rank > min(e.rank for e in done) + 0.3):
                    break
                switch(number)
                right = self.right_of(trial)
                if right is None or not right > kept:
                    continue
                counts = [0]
                if len(right) == len(trial.given):
                    counts = [len(self.right_of(t) or ()) for t in self.trials]
                    if all(count == len(t.given) for count, t in zip(counts, self.trials, strict=True)):
                        done.append(edit)
                        continue
                self.better.append(((-len(right), -sum(counts), edit.rank), edit))
        return sorted(done, key=lambda edit: edit.rank)

    def edits(
        self,
        state: State,
        seen: list[dict[Any, list[Visit]]],
        shortest: int,
        before: list[frozenset[str]],
        only: set[ast.stmt] | None = None,
    ) -> Iterator[list[Edit]]:
        """What may be tried, in groups, the likeliest first: statements, and expressions that no right gradient depends on."""
        functions = list(state.functions.values())
        clean = {line.statement: line.clean or EARLY for line in looked_at(functions, seen[0], self.truths)}
        visited = {statement: visits for statement, visits in seen[0].items() if only is None or statement in only}
        places = [place for inside in self.places(state, visited).values() for place in inside]
        reached_from = influence(functions, places, self.trials[shortest])
        still = influence(functions, places, self.trials[shortest - 1]) if shortest else {}
        right = before[shortest]
        wrong = set(self.trials[shortest].given) - right
        found: list[Edit] = []
        for everything, fixed in itertools.product((True, False) if only is None else (True,), (False, True)):
            if everything and fixed:
                whole = [edit for function in functions for edit in of_statements(function)]
                found += [edit for edit in whole if only is None or edit.statement in only]
            statements: dict[Any, list[Place]] = {}
            for place in places:
                reached = reached_from.get(place.outlet, [])
                suspect = any(each and not each & right for each in reached)
                if suspect and (set().union(*reached) >= wrong, any(still.get(place.outlet, []))) == (everything, fixed):
                    statements.setdefault(place.statement, []).append(place)
            for statement, here in statements.items():
                if self.late():
                    return
                unchanged = seen[1].get(statement, [])[-1:] if fixed else []
                known, early = self.phrases(here[0].function, state, seen[0][statement][0]), clean.get(statement, EARLY)
                found += at_places(here, seen[0][statement], unchanged, known, self.truths, early, False, self.late)
            yield sorted([*found, *everywhere(found)], key=lambda edit: edit.rank)
            found = []

    def places(self, state: State, seen: dict[Any, list[Visit]]) -> dict[ast.stmt, list[Place]]:
        """The expressions in each statement that ran, function by function."""
        found = {}
        for function in state.functions.values():
            ran = next((seen[statement][0] for statement, _ in all_statements(function.tree) if statement in seen), None)
            pure = is_pure(function, state.functions, self.formulas, ran)
            for statement, _ in all_statements(function.tree):
                if statement in seen:
                    found[statement] = list(places_of(function, statement, seen[statement][0], pure))
        return found

    def phrases(self, function: Written, state: State, visit: Visit) -> list[Phrase]:
        """What is at hand in a function, as far as it can be computed beside; ``visit``: its variables somewhere in it."""
        if function not in self.known:
            self.known[function] = self.at_hand(function, state, visit)
        return self.known[function]

    def at_hand(self, function: Written, state: State, visit: Visit) -> list[Phrase]:
        """The same, anew."""
        pure = is_pure(function, state.functions, self.formulas, visit)
        here = (*self.unkept.phrases(function), *held(function, visit), *phrases(function, self.truths.kinked))
        found = {phrase.text: phrase for phrase in here}
        return [
            phrase
            for phrase in found.values()
            if all(pure(call) for call in ast.walk(parsed(phrase.text)) if isinstance(call, ast.Call))
        ]

    def corrections(self, state: State, seen: dict[Any, list[Visit]], lines: Sequence[Seen]) -> list[Edit]:
        """What may be tried in some lines."""
        places = self.places(state, {line.statement: seen[line.statement] for line in lines})
        found: list[Edit] = []
        for line in lines:
            if here := places.get(line.statement):
                known = self.phrases(line.function, state, seen[line.statement][0])
                visits, anew = seen[line.statement], line.known == UNKNOWN or line.odd or _is_half(line)
                zero = line.known == UNKNOWN and not line.made and line.clean > 1  # at the last step: what is wrong, perhaps
                for early in (line.clean or 1, 1) if zero else (line.clean or 1,):
                    edits = at_places(here, visits, [], known, self.truths, early, True, self.late, anew)
                    found += edits if line.clean else (edit._replace(cost=edit.cost + BEHIND) for edit in edits)
        return [*found, *everywhere(found)]

    def twice(self, state: State, line: Seen, visits: list[Visit]) -> Iterator[list[Edit]]:
        """Two corrections in one line that give a gradient together: some at a time, of what changes least first."""
        once, remembered = self.corrections(state, {line.statement: visits}, [line]), dict[Any, AtHand]()
        likely = sorted((e for e in once if e.cost <= 1 and len(e.places) == 1), key=lambda e: (e.rank, abs(longer(e))))
        for begin in range(0, min(len(likely), BOTH), AT_ONCE):
            texts: dict[str, Edit] = {}
            for edit in likely[begin : begin + AT_ONCE]:
                for both in () if self.late() else self._beside(state, line, visits, edit, remembered):
                    ((_, text),) = both.places
                    if text not in texts or texts[text].cost > both.cost:
                        texts[text] = both
            yield [*texts.values()]

    def _beside(
        self, state: State, line: Seen, visits: list[Visit], edit: Edit, remembered: dict[Any, AtHand]
    ) -> Iterator[Edit]:
        """One correction of a line together with another, with which the line gives a gradient."""
        number = next(k for k, (each, _) in enumerate(all_statements(line.function.tree)) if each is line.statement)
        changed = edit.applied()
        statement = next(each for k, (each, _) in enumerate(all_statements(changed.tree)) if k == number)
        pure = is_pure(changed, state.functions, self.formulas)
        here = list(places_of(changed, statement, visits[0], pure))
        known = self.phrases(line.function, state, visits[0])
        if not here:
            return
        for other in at_places(here, visits, [], known, self.truths, line.clean, True, self.late, remembered=remembered):
            if other.hit == 1 and other.cost <= 1.3 + SLOPE and len(other.places) == 1:
                text = changed.segment(statement, bracketed(changed, other.places))
                yield Edit(line.function, line.statement, [(line.statement, text)], edit.cost + other.cost, hit=1.0)

    def handed_back(self, state: State, seen: dict[Any, list[Visit]]) -> list[Edit]:
        """Lines that may be missing at the ends of loops."""
        found: list[Edit] = []
        for function in state.functions.values():
            for statement, _ in all_statements(function.tree):
                visits = seen.get(statement.body[-1], []) if isinstance(statement, ast.For) else []
                if visits and isinstance(statement, ast.For) and not self.late():
                    known = self.phrases(function, state, visits[0])
                    at_hand = AtHand(function, known, visits, len(visits))
                    found += handed_back(function, statement, at_hand, self.truths.chain)
        return found


def kept_meanwhile(
    search: Search, trial: Trial, originals: Sequence[Written]
) -> AbstractContextManager[Unkept]:
    """While it lasts, the forward pass keeps what is not at hand for these functions of the backward pass."""
    state = State({function.function: function for function in originals})
    return keeping(
        trial,
        originals,
        lambda: gradients_of(trial),
        lambda: search.watched(originals, trial),
        lambda function, visit: search.at_hand(function, state, visit),
    )


def _is_half(line: Seen) -> bool:
    """Whether a line has a part of a gradient, where perhaps the whole should be: more than one term may be missing."""
    return line.known == PART and isinstance(line.statement, ast.Assign)


def _made_of(function: Written, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """A variable, and all that it is computed from in a function, however far behind."""
    found = {name}
    for statement in function.statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            read = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            for other in read - seen - found:
                found |= _made_of(function, other, seen | found)
    return found
