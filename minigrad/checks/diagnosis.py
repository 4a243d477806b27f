"""What is wrong with a backward pass: the search's explanations, held against other problems and other lengths.

What is named must hold on every problem; what cannot be named is narrowed down.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from minigrad.checks.change import Change
from minigrad.checks.effects import EFFECTS
from minigrad.checks.equality import equal
from minigrad.checks.finding import Finding
from minigrad.checks.located import located, so_far
from minigrad.checks.mistakes.steps import step_changes
from minigrad.checks.naming import Explanation, search
from minigrad.checks.narrowing import narrowed, on_the_way_out
from minigrad.checks.run import Run, affected
from minigrad.checks.trial import Trial, agree, rescaled, reshape_gradients, right_ones, sizes_of
from minigrad.checks.truncation import truncated_after
from minigrad.guard import Array
from minigrad.reporting import reporting

__all__ = ["diagnosed"]

LOCATED = 2
"""How many times as long the user's lines are looked through as changes of the derivation are tried."""
AT_LAST = 12
"""The same as long as each correction of a line makes more gradients right."""


def diagnosed(
    trials: list[Trial], longer: list[Trial], others: list[Trial], rtol: float, deadline: float
) -> tuple[list[Finding], str | None]:
    """What is wrong: findings, or what is done by convention.

    First the user's lines are looked through for those that make all right when they are written otherwise.

    What is wrong at the shortest length is looked for there, and must hold at the others too. If there is more wrong between
    steps, the search goes on at the longest, from what was found. It ends at ``deadline``, by the process's clock.
    """
    first = trials[0]
    said = _truncated(trials, longer, rtol)
    if said is not None:
        return [], said
    soon, at_last = share(deadline, 2, LOCATED), share(deadline, 2, AT_LAST)
    lines = located(sorted([*others, *trials, *longer], key=lambda trial: trial.steps), rtol, soon, at_last)
    if lines:
        return lines, None
    telling = [trial for trial in longer if _tells(trial, rtol)]
    if telling and not _tells(first, rtol):  # what is wrong is 0 in a loop that runs no step, or one: longer ones tell more
        trials, longer, first = telling, [], telling[0]
    best = _explained(first, trials[1:], rtol, share(deadline, 2 if longer else 1), others=longer)
    if longer and not (_whole(best, first) and all(_holds(t, best.changes, frozenset(t.given), rtol) for t in longer)):
        starts = list(itertools.islice(itertools.product(*([c, *best.synonyms.get(c, ())] for c in best.changes)), 4))
        at_lengths = {trial.steps: trial for trial in (longer[0], longer[-1])}.values()
        tasks = [(trial, start) for trial in at_lengths for start in dict.fromkeys([*starts, ()])]
        first, best = longer[-1], Explanation((), right_ones(longer[-1], rtol))
        for number, (trial, start) in enumerate(tasks):
            if time.process_time() > deadline:
                break
            same = [other for other in (*trials, *longer) if other.steps > 1 and other is not trial]
            found = _explained(trial, same, rtol, share(deadline, len(tasks) - number), start)
            best = max(best, found, key=lambda e: (len(e.explained), -len(e.changes)))
            if _whole(best, trial) and all(_holds(t, best.changes, frozenset(t.given), rtol) for t in longer):
                break
    best = _as_far_as_shown(_needed(best, first, rtol), first, rtol)
    explained = _whole(best, first) and len(best.changes) == 1
    if not explained and first.own_loss and not any(first.given[name].any() for name in right_ones(first, rtol)):
        lines, said = _of_the_sum([*others, *trials, *longer], rtol, deadline)
        if lines:
            return lines, said
    if not _whole(best, first) and len(best.explained - right_ones(first, rtol)) < len(best.changes):
        best = Explanation((), right_ones(first, rtol))  # more changes than gradients that they explain: anything can be hit so
    if not best.changes:
        first, best = trials[0], Explanation((), right_ones(trials[0], rtol))  # where the fewest gradients are wrong
    everywhere = [*trials, *longer]
    swapped = _returned(first, Explanation((), right_ones(first, rtol)), rtol, everywhere)
    if len(best.changes) > len(swapped[0]) and not swapped[1]:
        return swapped[0], None
    out, left = _returned(first, best, rtol, everywhere)
    findings = [_finding(first, change, best, rtol) for change in best.changes] + out
    unused = [name for name in left if not first.chain.live[first.chain.wanted[name].number]]
    findings += [_unused(first.answer.called[name], name) for name in unused]
    left = {name: g for name, g in left.items() if name not in unused}
    if left:
        fine = sorted(right_ones(first, rtol))
        lines_so_far = so_far([*trials, *longer][-1])
        findings.append(narrowed(left, first.chain.right, first.answer.called, fine, first.steps, rtol, lines_so_far))
    if not findings:  # the longest has no gradient of what is wrong at the shortest
        trial, fine = trials[0], sorted(right_ones(trials[0], rtol))
        wrong = {name: g for name, g in trial.given.items() if name not in fine}
        findings.append(narrowed(wrong, trial.chain.right, trial.answer.called, fine, trial.steps, rtol, so_far(trial)))
    return findings, None


def misshapen(
    known: list[Finding], trials: list[Trial], longer: list[Trial], rtol: float, deadline: float
) -> list[Finding]:
    """What is wrong where gradients have shapes that do not fit: lines that make all right; else the shapes, and the rest."""
    called = {label for finding in known for label in finding.gradients}
    whole = [trial._replace(answer=trial.answer._replace(gradients=dict(trial.given))) for trial in (*trials, *longer)]
    for trial in (*trials, *longer):
        reshape_gradients(trial)
        for name in [name for name in trial.given if trial.answer.called.get(name, f"d{name}") in called]:
            del trial.given[name]
    is_right = agree(trials[0], rtol)
    if not is_right or not all(finding.kind for finding in known):
        lines = located(sorted(whole, key=lambda trial: trial.steps), rtol, share(deadline, 2, LOCATED))
        if lines:
            return lines
    return [*known, *([] if is_right else diagnosed(trials, longer, [], rtol, deadline)[0])]


def _of_the_sum(trials: list[Trial], rtol: float, deadline: float) -> tuple[list[Finding], str | None]:
    """Lines that make all right, up to what the loss is divided by; and what is said of that: the sum for the mean."""
    known = [sizes_of(trial) for trial in trials]
    for what in dict.fromkeys(known[-1].values()):
        counts = [
            next((n for n, called in sizes.items() if called == what), 1 if trial.steps == 1 else 0)
            for trial, sizes in zip(trials, known, strict=True)
        ]
        if min(counts) < 1 or max(counts) < 2 or any(trial.summed for trial in trials):
            continue
        said = f"all gradients are multiplied by {what}: right for the sum, where this loss is the mean"
        scaled = [rescaled(trial, times, said) for trial, times in zip(trials, counts, strict=True)]
        lines = located(sorted(scaled, key=lambda trial: trial.steps), rtol, share(deadline, 2))
        if lines:
            return lines, said
    return [], None


def _needed(explanation: Explanation, trial: Trial, rtol: float) -> Explanation:
    """The explanation without the changes that explain nothing in a trial: another length has shown that they are not it."""
    changes = explanation.changes
    names = frozenset(name for name in trial.given if _holds(trial, changes, frozenset({name}), rtol))
    for change in changes:
        rest = tuple(other for other in changes if other is not change)
        if _holds(trial, rest, names, rtol):
            changes = rest
    return Explanation(changes, names, explanation.synonyms)


def _as_far_as_shown(explanation: Explanation, trial: Trial, rtol: float) -> Explanation:
    """The explanation, where a mistake that is said to be made everywhere is said of the places alone at which it shows."""
    telling = explanation.explained - right_ones(trial, rtol)
    shown = 0
    for name in trial.given:
        shown |= 1 << trial.chain.wanted[name].number
    explained = unexplained = 0
    for name in telling:
        explained |= 1 << trial.chain.wanted[name].number
    for name in trial.given.keys() - explanation.explained:
        unexplained |= 1 << trial.chain.wanted[name].number
    for change in explanation.changes:  # what is said of each of several gradients, of those alone of which it is true
        every = change.fields.get("each", ())
        true = [one for one in every if not affected(trial.chain, one) & unexplained]
        if len(true) < len(every):
            changes = tuple(c for other in explanation.changes for c in (true if other is change else [other]))
            explanation = Explanation(changes, explanation.explained, explanation.synonyms)
    for change in explanation.changes:
        members = [member for member in change.fields.get("members", ()) if affected(trial.chain, member) & shown]
        some = [member for member in members if affected(trial.chain, member) & explained]
        changes = tuple(c for other in explanation.changes for c in (some if other is change else [other]))
        if len(some) < len(members) and _holds(trial, changes, explanation.explained, rtol):
            explanation = Explanation(changes, explanation.explained, explanation.synonyms)
    return explanation


def _tells(trial: Trial, rtol: float) -> bool:
    """Whether something that is wrong is not merely 0."""
    fine = right_ones(trial, rtol)
    return any(g.any() for name, g in trial.given.items() if name not in fine)


def share(deadline: float, parts: int, first: float = 1) -> float:
    """When the first of so many parts of the time that is left ends, which are equal or the first so many times as long."""
    now = time.process_time()
    return now + (deadline - now) * first / (parts - 1 + first)


def _truncated(trials: list[Trial], longer: list[Trial], rtol: float) -> str | None:
    """What is said of a backward pass that goes back a few steps only, by convention; None if it does not."""
    everything = [*trials, *longer]
    chain, words = everything[-1].chain, everything[-1].words
    for change in step_changes(chain, words):
        if change.kind == "truncated" and all(_holds(trial, [change], frozenset(trial.given), rtol) for trial in everything):
            return change.words
    return truncated_after(everything, rtol)


def _whole(explanation: Explanation, trial: Trial) -> bool:
    return len(explanation.explained) == len(trial.given)


def _explained(
    trial: Trial,
    same: list[Trial],
    rtol: float,
    deadline: float,
    start: tuple[Change, ...] = (),
    others: Sequence[Trial] = (),
) -> Explanation:
    """The best explanation that holds on the ``same`` kind of problems too, with synonyms that do; on ``others`` if it can."""
    fallback: Explanation | None = None
    if time.process_time() < deadline:
        for explanation in search(trial.chain, trial.words, trial.given, rtol, deadline, start, trial.bound)[:20]:
            options = [[change, *explanation.synonyms.get(change, ())] for change in explanation.changes]
            for changes in itertools.islice(itertools.product(*options), 64):
                if not all(_holds(other, changes, explanation.explained, rtol) for other in same):
                    continue
                everywhere = all(_holds(other, changes, frozenset(other.given), rtol) for other in others)
                if everywhere or fallback is None:
                    checks = [*same, *(others if everywhere else ())]
                    found = Explanation(changes, explanation.explained, _synonyms(changes, options, explanation, checks, rtol))
                    if everywhere:
                        return found
                    fallback = found
    return fallback or Explanation((), right_ones(trial, rtol))


def _synonyms(
    changes: tuple[Change, ...], options: list[list[Change]], explanation: Explanation, checks: list[Trial], rtol: float
) -> dict[Change, list[Change]]:
    """For each change, the others that give the same numbers in all problems."""
    return {
        change: [
            other
            for other in among
            if other is not change
            and other.words != change.words
            and all(_holds(t, [other if c is change else c for c in changes], explanation.explained, rtol) for t in checks)
        ]
        for change, among in zip(changes, options, strict=True)
    }


def _returned(
    trial: Trial, explanation: Explanation, rtol: float, everywhere: Sequence[Trial]
) -> tuple[list[Finding], dict[str, Array]]:
    """What went wrong on the way out, after the changes of an explanation, and what is still not explained.

    A gradient is said to be 0 only if it is ``everywhere``: of one step, it may be that what is wrong is 0 at the last.
    """
    run = Run(trial.chain, explanation.changes)
    results = {name: run.gradient(trial.chain.wanted[name]) for name in trial.given}
    open_names = {name: g for name, g in trial.given.items() if not trial.fits(name, results[name], rtol)}
    nonzero = {name for other in everywhere for name, g in other.given.items() if g.any()}
    telling = {name: g for name, g in open_names.items() if g.any() or name not in nonzero}
    out = on_the_way_out(telling, results, trial.answer.called, sizes_of(trial), rtol)
    settled = {label for finding in out for label in finding.gradients}
    return out, {name: g for name, g in open_names.items() if trial.answer.called.get(name, f"d{name}") not in settled}


def _holds(trial: Trial, changes: Sequence[Change], names: frozenset[str], rtol: float) -> bool:
    """Whether changes give the user's numbers on another problem too, as far as it has those: x of a step that it has not."""
    run = Run(trial.chain, changes)
    with reporting(all="ignore"):
        return all(trial.fits(name, run.gradient(trial.chain.wanted[name]), rtol) for name in names & trial.given.keys())


def _unused(called: str, name: str) -> Finding:
    return Finding(
        "gradient of what is not used",
        f"nothing that the forward pass returns depends on {name}, so {called} is 0 in every entry",
        effect=f"{name} is moved, to no effect; what is used in its place may lack this gradient",
        gradients=(called,),
    )


def _finding(trial: Trial, change: Change, explanation: Explanation, rtol: float) -> Finding:
    line = change.fields["line"]
    source = trial.words.source(change.fields.get("user", line))
    formula = trial.words.derivation(line)
    alone = Run(trial.chain, (change,))
    touched = [
        trial.answer.called.get(name, f"d{name}")
        for name in trial.given
        if not equal(alone.gradient(trial.chain.wanted[name]), trial.chain.right[name], rtol)
    ]
    synonyms = tuple(
        dict.fromkeys(other.words for other in explanation.synonyms.get(change, [])[:3] if other.words != change.words)
    )
    return Finding(
        change.kind,
        change.words,
        f"in {trial.words.gradient(line)}" + (f", from {source}" if source else ""),
        EFFECTS.get(change.kind, ""),
        formula,
        synonyms,
        tuple(touched),
    )
