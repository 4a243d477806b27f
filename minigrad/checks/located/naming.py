"""What is said of a correction: the line as it is written, the line as it should be, and what kind of mistake that is."""

from __future__ import annotations

import ast
import contextlib
import itertools
import math
import time
from collections.abc import Mapping, Sequence

from minigrad.checks import names
from minigrad.checks.effects import EFFECTS
from minigrad.checks.finding import Finding
from minigrad.checks.located.edit import WRAPS
from minigrad.checks.located.functions import editable
from minigrad.checks.located.guided import odd_lines
from minigrad.checks.located.kinds import IN_ORDER, kind_of
from minigrad.checks.located.lines import Line, corrected_by, lines_between
from minigrad.checks.located.running import FAILURES, gradients_of, quietly
from minigrad.checks.located.search import Search, kept_meanwhile
from minigrad.checks.located.state import State
from minigrad.checks.located.unkept import NOT_KEPT, Unkept
from minigrad.checks.located.written import Written, running_as
from minigrad.checks.narrowing import factor
from minigrad.checks.trial import Trial, sizes_of
from minigrad.guard import Array

__all__ = ["located"]

MOST = 12
"""So many lines are said to be wrong at most."""
ODD = 0.5
"""What counts against a correction for each line that gives another gradient than its name says even then."""
EVERY = 4
"""Of so many lines it is tried whether some of them would do."""


def located(trials: Sequence[Trial], rtol: float, deadline: float, at_last: float = -math.inf) -> list[Finding]:
    """The mistakes, each as a line that is wrong and what it should be; empty if they were not found.

    Args:
        trials: the shortest first; among the longest at least two.
        rtol: how equal is equal.
        deadline: when to stop, by the process's clock.
        at_last: the same as long as each correction makes more gradients right.
    """
    if time.process_time() > deadline:
        return []
    with quietly(trials[0]), contextlib.ExitStack() as meanwhile:
        search, longest = Search(trials, rtol, deadline, at_last), trials[-1]
        try:
            originals = editable(trials[0])
            search.unkept = meanwhile.enter_context(kept_meanwhile(search, longest, originals))
            originals, states = search.run(originals)
        except FAILURES:
            return []  # his code does what cannot be tried in passing
        options: list[tuple[tuple[float, ...], State, list[Line]]] = []
        for state in states:
            lines = _but_means(search, originals, _least(search, originals, _lines(originals, state)))
            if lines and len(lines) <= MOST:
                cost = sum(edit.rank for edit in state.edits) + sum(map(_awkward, lines))
                cost += ODD * odd_lines(search, state) if len(states) > 1 else 0
                options.append(
                    ((len(lines), round(cost, 1), sum(len(line.new) - len(line.old) for line in lines)), state, lines)
                )
        if not options:
            return []
        options.sort(key=lambda option: option[0])
        _, state, lines = options[0]
        different = {_pair(other): other for _, _, other in reversed(options)}  # one line may come of several corrections
        others = [different[text] for text in reversed(different) if text != _pair(lines)]
        found = [*_not_kept(search.unkept, lines), *_findings(search, originals, state, lines, others[:2])]
        return [_as_shown(search.unkept, finding) for finding in found]


def _not_kept(unkept: Unkept, lines: Sequence[Line]) -> list[Finding]:
    """What the forward pass has to keep so that these lines can be as they should be."""
    found = []
    for name in unkept.read_in(" ".join(line.new for line in lines)):
        where, text = unkept.where(name), unkept.values[name].text
        what = "that of each step is kept nowhere" if name in unkept.by_step else "it is kept nowhere"
        said = f"the backward pass needs {text} as it is in the forward pass, {where.partition(', ')[0]}, and {what}"
        found.append(Finding(NOT_KEPT, said, where, EFFECTS[NOT_KEPT], unkept.line(name)))
    return found


def _as_shown(unkept: Unkept, finding: Finding) -> Finding:
    """The finding in the user's words, where it speaks of what is not kept."""
    missing, right = unkept.shown(finding.missing), unkept.shown(finding.right)
    return finding._replace(missing=missing, right=right, synonyms=tuple(map(unkept.shown, finding.synonyms)))


def _awkward(line: Line) -> float:
    """What counts against a line: mistakes are seldom made where values are only handed on, but for one gradient as another."""
    statement, new = line.statement, line.trees[1]
    if isinstance(statement, ast.Return):
        return 0.3
    if isinstance(statement, ast.Assign | ast.AugAssign) and _is_odd(statement, new):
        return 1.0
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    stored = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    gradients = [name for name in stored if names.is_gradient(name)]
    if gradients and isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
        return -0.1  # do = dh
    return 0.2 if stored and not gradients else 0.0


def _is_odd(old: ast.Assign | ast.AugAssign, new: ast.AST | None) -> bool:
    """Whether nobody writes so: ``b -= -lr * db``, or ``dz = dh`` in the place of what computes dz."""
    if isinstance(new, ast.AugAssign):
        return isinstance(new.value, ast.UnaryOp) or ast.unparse(new.value).startswith("-")
    computed = isinstance(old.value, ast.BinOp | ast.Call)
    return computed and isinstance(new, ast.Assign) and isinstance(new.value, ast.Name) and isinstance(new.targets[0], ast.Name)


def _lines(originals: Sequence[Written], state: State) -> list[Line]:
    found: list[Line] = []
    for original in originals:
        now = state.functions[original.function]
        lines = [] if now is original else lines_between(original, now)
        if lines is None or any(not line.old and not line.new for line in lines):
            return []
        found += lines
    return found


def _state(originals: Sequence[Written], lines: Sequence[Line]) -> State:
    changed = corrected_by(lines)
    return State({original.function: changed.get(original, original) for original in originals})


def _least(search: Search, originals: Sequence[Written], lines: Sequence[Line]) -> list[Line]:
    """As few of these lines as make all right if they are corrected; none if all of them do not."""
    if not search.is_right(_state(originals, lines)):
        return []
    if len(lines) > EVERY:
        fewer = ([*lines[:k], *lines[k + 1 :]] for k in range(len(lines)))
        return next((least for some in fewer if (least := _least(search, originals, some))), list(lines))
    some_of = itertools.chain.from_iterable(itertools.combinations(lines, size) for size in range(1, len(lines)))
    return list(next((some for some in some_of if search.is_right(_state(originals, some))), lines))


def _but_means(search: Search, originals: Sequence[Written], lines: list[Line]) -> list[Line]:
    """The lines but for those that undo a mean: without them all gradients are the same part of the right ones."""
    fewer = [[line for line in lines if not _divides(line)], *([*lines[:k], *lines[k + 1 :]] for k in range(len(lines)))]
    for rest in fewer:
        if rest and len(rest) < len(lines):
            with running_as(_state(originals, rest).codes()):
                if all(_are_means(gradients_of(trial) or {}, trial) for trial in search.trials):
                    return rest
    return lines


def _divides(line: Line) -> bool:
    return not line.new and isinstance(line.statement, ast.AugAssign) and isinstance(line.statement.op, ast.Div)


def _are_means(found: Mapping[str, Array], trial: Trial) -> bool:
    """Whether all gradients are right but for what they are divided by: the number of examples, of steps, or of both."""
    right = trial.chain.right
    parts = [factor(g, right[name], 1e-6) for name, g in found.items() if right[name].any()]
    known = [c for c in parts if c is not None]
    same = len(known) == len(parts) and len(found) == len(trial.given) and max(known, default=1) - min(known, default=1) <= 1e-6
    sizes = [1, *sizes_of(trial)]
    return same and all(any(abs(c * m * n - 1) <= 1e-5 for m in sizes for n in sizes) for c in known[:1])


def _findings(
    search: Search, originals: Sequence[Written], state: State, lines: list[Line], others: list[list[Line]]
) -> list[Finding]:
    """One finding for each line; for lines with the same mistake one."""
    said: dict[tuple[str, str], list[Line]] = {}
    wraps = any(edit.kind == WRAPS for edit in state.edits)
    texts = {(line.old, line.new) for line in lines}
    for line in lines:
        hint = _hint(state, line)
        exchanged = hint != IN_ORDER or (line.new, line.old) in texts
        stands = search.unkept.stands_for(line.old, line.new)
        said.setdefault((NOT_KEPT, stands) if stands else kind_of(line, hint if exchanged else "", wraps), []).append(line)
    trial = search.trials[-1]
    found = []
    for (kind, missing), here in said.items():
        rest = [line for line in lines if line not in here]
        with running_as(_state(originals, rest).codes()):
            given = gradients_of(trial) or {}
        wrong = [
            trial.answer.called.get(n, f"d{n}") for n in trial.given if n not in given or not search.fits(trial, n, given[n])
        ]
        synonyms = (
            tuple(_pair(other) for other in others if len(said) == 1 and [line.number for line in other] == [here[0].number])
            if len(here) == 1
            else ()
        )
        where = "; ".join(f"line {line.number}, {line.old or 'behind ' + _behind(line)}" for line in here)
        right = "; ".join(line.new or "(nothing: the line goes)" for line in here)
        found.append(Finding(kind, missing, where, EFFECTS.get(kind, ""), right, synonyms, tuple(wrong)))
    return found


def _hint(state: State, line: Line) -> str:
    """What kind of mistake the correction is known to be that a line comes of."""
    for edit in state.edits:
        texts = [text for _, text in edit.places]
        if edit.kind and (len(state.edits) == 1 or any(text in line.new if line.new else text == "pass" for text in texts)):
            return edit.kind
    return ""


def _behind(line: Line) -> str:
    return line.function.segment(line.statement).splitlines()[0]


def _pair(lines: list[Line]) -> str:
    return "; ".join(f"line {line.number}, {line.new or 'left out'}" for line in lines)
