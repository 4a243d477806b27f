"""`check_backward`: is a backward pass derived by hand the derivative of its forward pass, and if not, what is wrong with it?

The user's own forward pass is the specification: it is run on stand-ins for arrays and so written down line by line, with
minigrad's derivative of every line. Nothing is known here of any particular cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks.adapter import Adapter, Answer, Problem
from minigrad.checks.chain import Chain, Change, Run
from minigrad.checks.comparison import Comparison, compare_gradients
from minigrad.checks.conventions import convention
from minigrad.checks.effects import EFFECTS
from minigrad.checks.naming import Explanation, equal, search
from minigrad.checks.narrowing import narrowed, on_the_way_out
from minigrad.checks.report import Finding, Report, Stage
from minigrad.checks.sequences import lengths, unrolled
from minigrad.checks.words import Words
from minigrad.errors import ArgumentError, BackwardError, MinigradError
from minigrad.guard import Array

__all__ = ["assert_backward_correct", "check_backward"]

SMALL = 1e-3
"""What gradients from outside are multiplied by where they would be clipped."""
PROBLEMS = 2
"""So many random problems: what is right in one by accident is wrong in the other."""


class Trial(NamedTuple):
    """One random problem: the chain rule over the user's forward pass, and what his backward pass says."""

    chain: Chain
    words: Words
    answer: Answer
    problem: Problem
    steps: int

    @property
    def given(self) -> dict[str, Array]:
        """The user's gradients."""
        return self.answer.gradients


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: Any,
    *,
    T: int | None = None,
    outputs: Sequence[str] | None = None,
    upstream: Mapping[str, str] | None = None,
    returns: Mapping[str, str] | Sequence[str | None] | None = None,
    rtol: float = 1e-6,
    seed: int = 0,
    as_given: bool = False,
    seconds: float = 8.0,
) -> Report:
    """Hold a backward pass that was derived by hand to the forward pass that it belongs to, and name what is wrong with it.

    Both stay as they are, plain NumPy in whatever layout: examples in columns or in rows, weights apart, side by side or
    stacked in any order. Which returned value is the gradient of what is told by the names (``dWf``, ``dW_f``, ``grad_Wf``,
    ``"da_prev"`` in a dict), and so is what the backward pass wants: gradients of outputs, caches, arguments.

    The check goes from shapes to one step, then to 2 and to all steps if the forward pass is a loop over time, and stops
    at the first stage that fails. Then it looks for the mistake: which changes of the right derivation give exactly these
    numbers? What it names is equal within ``rtol`` on two random problems; what it cannot name it narrows down.

    Args:
        forward: a function of arrays (or of nests or objects that hold them), or a method.
        backward: a function that returns gradients (or stores them as attributes of the object whose method it is).
        arguments: an example of the arguments of ``forward``, in order or by name. Only shapes matter: values are drawn
            anew, except of integers and of arrays of zeros and ones.
        T: ``forward`` is one step, and ``backward`` goes through a sequence of T steps, whose caches it gets in a list.
        outputs: the names of what ``forward`` returns, where its source does not tell.
        upstream: {parameter of ``backward``: the output whose gradient it is}, where names do not tell.
        returns: of what each returned value is the gradient, in order (None for what is none), or by name.
        rtol: the largest difference, relative to the largest entry of each gradient.
        seed: of the random problems.
        as_given: use the values of the example instead.
        seconds: of processor time for the search; 0 only says what differs.

    Returns:
        A report: printed, it is for a person; ``passed``, ``named`` and ``findings`` are for a program.

    Raises:
        ArgumentError: it cannot be told what is the gradient of what, or the forward pass cannot be followed: the
            message asks, and says how to answer.

    >>> def step(x, h_prev, W, U, b):
    ...     h = np.tanh(W @ x + U @ h_prev + b)
    ...     return h, (x, h_prev, h, W, U)
    >>> def step_backward(dh, cache):
    ...     x, h_prev, h, W, U = cache
    ...     dz = dh * (1 - h)
    ...     return W.T @ dz, U.T @ dz, dz @ x.T, dz @ h_prev.T, dz.sum(axis=1, keepdims=True)
    >>> example = [np.ones(shape) for shape in ((3, 4), (5, 4), (5, 3), (5, 5), (5, 1))]
    >>> report = check_backward(step, step_backward, example, outputs=("h", "cache"), returns=("x", "h_prev", "W", "U", "b"))
    >>> report.passed, report.named, report.findings[0].missing
    (False, True, 'the derivative of tanh in dh_pre is without the square: 1 - h')
    """
    called = getattr(forward, "__name__", "forward"), getattr(backward, "__name__", "backward")
    if T is None:
        adapter = Adapter(forward, backward, arguments, outputs, upstream, returns)
    else:
        adapter = _of_steps(forward, backward, arguments, T, upstream, returns)
    example = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
    adapter.learn_names(example)
    example = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
    plan = adapter.plan(example)
    stages: list[Stage] = []
    notes: list[str] = []
    said: str | None = None
    trials: list[Trial] = []
    scale = 1.0
    sized = lengths(adapter, example)
    _others(sized[-1:], plan, seed, as_given, scale)  # the longest first: it shows what is a state
    for number, (label, at_length) in enumerate(sized):
        try:
            trials = [_trial(at_length, plan, seed + k, as_given, scale) for k in range(PROBLEMS)]
            bound = _bound(trials[0], rtol)
            if bound is not None:
                notes.append(f"gradients are clipped to ±{bound:g} inside the backward pass: checked with smaller ones")
                scale *= SMALL
                trials = [_trial(at_length, plan, seed + k, as_given, scale) for k in range(PROBLEMS)]
        except UserError as error:
            if number < len(sized) - 1:
                continue
            return Report(called, [*stages, Stage("runs", False, str(error))], notes=tuple(notes))
        label = label or ("one step" if trials[0].steps == 1 else "all steps")
        known: list[Finding] = []
        if not stages:
            known = _shapes(trials[0], stages, notes, rtol)
            if not known:
                _behaviour(at_length, plan, trials[0], stages, notes)
        for trial in trials:
            _reshaped(trial)
        if known:
            longer = [] if _agree(trials[0], rtol) else _others(sized[number + 1 :], plan, seed, as_given, scale)
            further = [] if _agree(trials[0], rtol) else _diagnosed(trials, longer, rtol, seconds)[0]
            return Report(called, stages, None, (*known, *further), tuple(notes))
        if _agree(trials[0], rtol):
            stages.append(Stage(label, True))
            continue
        said = _convention(trials[0], rtol)
        if said is None:
            longer = _others(sized[number + 1 :], plan, seed, as_given, scale)
            findings, said = _diagnosed(trials, longer, rtol, seconds)
            if findings:
                stages.append(Stage(label, False, _differing(trials[0], rtol)))
                return Report(called, stages, _comparison(trials[0], rtol), tuple(findings), tuple(notes))
        stages.append(Stage(label, True, "by convention"))
    notes += [said] if said else []
    return Report(called, stages, _comparison(trials[0], rtol), (), tuple(notes))


def _of_steps(
    step: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: Any,
    T: int,
    upstream: Mapping[str, str] | None,
    returns: Mapping[str, str] | Sequence[str | None] | None,
) -> Adapter:
    """The adapter of a backward pass through T steps, in the layout in which it runs and its gradients have shapes that fit."""
    problems: list[str] = []
    for sequence, example in unrolled(step, arguments, T):
        adapter = Adapter(sequence, backward, example, None, upstream, returns)
        try:
            traces = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
            trial = _trial(adapter, adapter.plan(traces), 0, False)
        except (UserError, MinigradError) as error:
            problems.append(str(error))
            continue
        if all(_squeezed(g.shape) == _squeezed(trial.chain.right[name].shape) for name, g in trial.given.items()):
            return adapter
        problems.append("the shapes of the gradients do not fit")
    raise ArgumentError(
        f"check_backward: T={T}: {getattr(backward, '__name__', 'the backward pass')} runs in none of the usual layouts (time "
        "on the last axis, the second, or the first; a list of caches, or that with x beside it): "
        f"{problems[0]}. Give a forward pass of the whole sequence instead of T"
    )


def assert_backward_correct(forward: Callable[..., Any], backward: Callable[..., Any], arguments: Any, **options: Any) -> None:
    """`check_backward` for tests: nothing if the backward pass is right, and an error with the report if it is not.

    Raises:
        BackwardError: an AssertionError; pytest shows the report alone, without a line of minigrad's own code.

    >>> def square(x):
    ...     return x * x
    >>> def square_backward(dout, x):
    ...     return 2 * x
    >>> assert_backward_correct(square, square_backward, [np.ones(3)], returns=("x",))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    minigrad.errors.BackwardError: square_backward is WRONG, for square
    ...
    """
    __tracebackhide__ = True
    report = check_backward(forward, backward, arguments, **options)
    if not report.passed:
        raise BackwardError(str(report)) from None


class UserError(Exception):
    """The user's own code raised an error."""


def _trial(adapter: Adapter, plan: dict[str, tuple[str, Any]], seed: int, as_given: bool, scale: float = 1.0) -> Trial:
    values = adapter.values(seed, as_given)
    traces = adapter.traced(values)
    problem = adapter.problem(values, traces, seed, scale)
    answer = _run(lambda: adapter.answer(plan, problem), adapter.backward)
    given = {what for kind, what in plan.values() if kind == "upstream"}
    seeds: dict[int, list[tuple[str, Array]]] = {}
    receives = given or {name for name, lines in traces.outputs.items() if _is_scalar(lines)}
    for name in receives:
        lines, arrays = traces.outputs[name], problem.upstream[name]
        for line, array in zip(lines, arrays, strict=True) if isinstance(lines, list) else [(lines, arrays)]:
            seeds.setdefault(line.number, []).append((name, array))
    wanted = {name: traces.arguments[name] for name in answer.gradients}
    chain = Chain(traces.tape.lines, seeds, wanted, adapter.states)
    words = Words(chain, answer.called, {what: name for name, (kind, what) in plan.items() if kind == "upstream"})
    return Trial(chain, words, answer, problem, chain.steps)


def _is_scalar(lines: Any) -> bool:
    return not isinstance(lines, list) and lines.value.size == 1


def _run(call: Callable[[], Any], function: Any) -> Any:
    """What the user's code returns; its errors with the line that raised them."""
    try:
        with np.errstate(all="ignore"):
            return call()
    except MinigradError:
        raise
    except Exception as error:
        trace = error.__traceback__
        place = ""
        while trace is not None:
            code = trace.tb_frame.f_code
            if code is getattr(function, "__code__", None):
                place = f" (line {trace.tb_lineno} of {code.co_name})"
            trace = trace.tb_next
        raise UserError(f"{getattr(function, '__name__', 'backward')} raises {type(error).__name__}: {error}{place}") from error


# -------------------------------------------------------------------- stages


def _shapes(first: Trial, stages: list[Stage], notes: list[str], rtol: float) -> list[Finding]:
    """The stage of shapes; harmless differences are noted."""
    findings: list[Finding] = []
    for name in list(first.given):
        right = first.chain.right[name]
        called, shape = first.answer.called.get(name, f"d{name}"), first.given[name].shape
        if shape == right.shape:
            continue
        if _squeezed(shape) == _squeezed(right.shape):
            notes.append(f"{called} has the shape {shape}, {name} has {right.shape}: compared as if they were the same")
            continue
        findings.append(_misshapen(first, name, called, rtol))
    said = "; ".join(f"{f.gradients[0]}" for f in findings)
    stages.append(Stage("shapes", not findings, said))
    return findings


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _reshaped(trial: Trial) -> None:
    """Give gradients that differ by axes of length 1, or are transposed, the shape of their arguments; drop all others."""
    for name, given in list(trial.given.items()):
        shape = trial.chain.right[name].shape
        if _squeezed(given.shape) == _squeezed(shape):
            trial.given[name] = given.reshape(shape)
        elif given.shape == shape[::-1]:
            trial.given[name] = given.T
        else:
            del trial.given[name]


def _bound(trial: Trial, rtol: float) -> float | None:
    """What gradients that arrive from outside made the user's clip his own to; None if he does not."""
    if not trial.given or _agree(trial, rtol) or all(trial.chain.lines[k].value.size == 1 for k in trial.chain.seeds):
        return None
    bound = max(float(np.abs(given).max(initial=0.0)) for given in trial.given.values())
    hits = sum(int((np.abs(given) == bound).sum()) for given in trial.given.values())
    return bound if hits > 1 and bound and np.isfinite(bound) else None


def _convention(trial: Trial, rtol: float) -> str | None:
    """What is done by convention. Where the forward pass has a loss of its own, its mean or sum is none."""
    said = convention(trial.given, trial.chain.right, trial.problem.values, _sizes(trial), rtol)
    own_loss = all(trial.chain.lines[number].value.size == 1 for number in trial.chain.seeds)
    return None if said is not None and own_loss and "divided by" in said else said


def _others(
    sized: Sequence[tuple[str, Adapter]], plan: dict[str, tuple[str, Any]], seed: int, as_given: bool, scale: float
) -> list[Trial]:
    """The same problem at other lengths, as far as it runs."""
    found: list[Trial] = []
    for _, at_length in sized:
        try:
            trial = _trial(at_length, plan, seed, as_given, scale)
        except UserError:
            continue
        _reshaped(trial)
        found.append(trial)
    return found


def _misshapen(trial: Trial, name: str, called: str, rtol: float) -> Finding:
    given, right = trial.given[name], trial.chain.right[name]
    wanted = f"{called} has the shape {given.shape}, but {name} has {right.shape}"
    if given.shape == right.shape[::-1]:
        return Finding(
            "transposed",
            f"{called} is transposed: it has the shape {given.shape}, {name} has {right.shape}",
            "",
            f"it cannot be subtracted from {name}",
            f"{called} = {called}.T",
            (),
            (called,),
        )
    line = trial.chain.wanted[name]
    for user, _ in trial.chain.users[line.number]:
        g = trial.chain.base.cotangent(user, None)
        if g is None:
            continue
        if equal(given, g, rtol):
            return Finding(
                "not summed",
                f"{called} is not summed over the examples: {wanted}",
                trial.words.derivation(line),
                f"it cannot be subtracted from {name}, or broadcasts and is added {given.size // max(right.size, 1)} times",
                "",
                (),
                (called,),
            )
        for axis in range(g.ndim):
            if equal(given.ravel(), g.sum(axis=axis).ravel(), rtol):
                return Finding(
                    "summed over the wrong axis",
                    f"{called} is summed over axis {axis}, the wrong one: {wanted}",
                    trial.words.derivation(line),
                    f"each example has a gradient instead of each entry of {name}",
                    "",
                    (),
                    (called,),
                )
        if given.size == 1 and equal(given.ravel(), g.sum().reshape(1), rtol):
            return Finding(
                "summed over the wrong axis",
                f"{called} is summed over all axes: {wanted}",
                trial.words.derivation(line),
                f"all entries of {name} get the same gradient",
                "",
                (),
                (called,),
            )
    return Finding("", wanted, trial.words.derivation(line), "", "", (), (called,))


def _behaviour(adapter: Adapter, plan: dict[str, tuple[str, Any]], trial: Trial, stages: list[Stage], notes: list[str]) -> None:
    """Whether two calls agree, and what the backward pass changes that is not its own."""
    changed: dict[str, None] = {}
    again = _run(
        lambda: adapter.answer(plan, trial.problem, lambda kind, name: changed.setdefault(f"{kind} {name}")), adapter.backward
    )
    agree = all(
        name in again.gradients and np.array_equal(np.ravel(again.gradients[name]), np.ravel(trial.given[name]), equal_nan=True)
        for name in trial.given
    )
    if any(leaf.name in trial.given for leaf in adapter.leaves if f"argument {leaf.name}" in changed):
        notes.append("the backward pass updates the weights itself: the gradients are what it subtracts at the rate 1")
    elif changed:
        notes.append(f"the backward pass changes {', '.join(changed)} in place: a second call would see the changed values")
    stages.append(Stage("two calls agree", agree, "" if agree else "the second call returns something else: is it random?"))
    missing = [name for name in (leaf.name for leaf in adapter.leaves) if name not in trial.given]
    reached = {line.name for line in trial.chain.lines if line.op == "argument" and trial.chain.live[line.number]}
    missing = [name for name in missing if name in reached]
    if missing:
        notes.append(f"no gradient of {', '.join(missing)} is returned, so none was compared")


def _agree(trial: Trial, rtol: float) -> bool:
    return all(equal(given, trial.chain.right[name], rtol) for name, given in trial.given.items())


def _differing(trial: Trial, rtol: float) -> str:
    wrong = [trial.answer.called.get(n, n) for n, g in trial.given.items() if not equal(g, trial.chain.right[n], rtol)]
    return f"{', '.join(wrong)} {'differs' if len(wrong) == 1 else 'differ'}"


def _comparison(trial: Trial, rtol: float) -> Comparison:
    return compare_gradients(trial.chain.right, dict(trial.given), names=("autograd", "yours"), rtol=rtol)


def _sizes(trial: Trial) -> dict[int, str]:
    """Numbers that gradients are divided by, with what they are."""
    found: dict[int, str] = {}
    if trial.steps > 1:
        found[trial.steps] = "the number of steps"
    shapes = [array.shape for seeds in trial.chain.seeds.values() for _, array in seeds]
    shapes += [line.value.shape for line in trial.chain.lines if line.op == "matmul"]
    for shape in shapes:
        for axis, size in enumerate(shape):
            found.setdefault(size, f"the length of axis {axis} of an output")
        if shape:
            found.setdefault(int(np.prod(shape)), "the number of entries of an output")
    for size in list(found):
        if trial.steps > 1:
            found.setdefault(size * trial.steps, f"{found[size]} times the number of steps")
    return found


# -------------------------------------------------------------------- the mistakes


def _diagnosed(trials: list[Trial], longer: list[Trial], rtol: float, seconds: float) -> tuple[list[Finding], str | None]:
    """What is wrong: findings, or what is done by convention.

    What is wrong at the shortest length is looked for there, and must hold at the others too. If there is more wrong between
    steps, the search goes on at the longest, from what was found.
    """
    first = trials[0]
    best = _explained(first, trials[1:], rtol, seconds, others=longer)
    if longer and not (_whole(best, first) and all(_holds(t, best.changes, frozenset(t.given), rtol) for t in longer)):
        starts = list(itertools.islice(itertools.product(*([c, *best.synonyms.get(c, ())] for c in best.changes)), 4))
        found = [Explanation((), _right(longer[-1], rtol))]
        for start in dict.fromkeys([*starts, ()]):
            same = [trial for trial in (*trials, *longer[:-1]) if trial.steps > 1]
            found.append(_explained(longer[-1], same, rtol, seconds / 2, start))
            if _whole(found[-1], longer[-1]):
                break
        first, best = longer[-1], max(found, key=lambda e: (len(e.explained), -len(e.changes)))
    if best.changes and all(change.kind == "truncated" for change in best.changes) and _whole(best, first):
        return [], "; ".join(change.words for change in best.changes)
    swapped = _returned(first, Explanation((), _right(first, rtol)), rtol)
    if len(best.changes) > len(swapped[0]) and not swapped[1]:
        return swapped[0], None
    out, left = _returned(first, best, rtol)
    findings = [_finding(first, change, best, rtol) for change in best.changes] + out
    if left:
        fine = sorted(_right(first, rtol))
        findings.append(narrowed(left, first.chain.right, first.answer.called, fine, first.steps, rtol))
    return findings, None


def _whole(explanation: Explanation, trial: Trial) -> bool:
    return len(explanation.explained) == len(trial.given)


def _right(trial: Trial, rtol: float) -> frozenset[str]:
    return frozenset(name for name, given in trial.given.items() if equal(given, trial.chain.right[name], rtol))


def _explained(
    trial: Trial,
    same: list[Trial],
    rtol: float,
    seconds: float,
    start: tuple[Change, ...] = (),
    others: Sequence[Trial] = (),
) -> Explanation:
    """The best explanation that holds on the ``same`` kind of problems too, with synonyms that do; on ``others`` if it can."""
    fallback: Explanation | None = None
    if seconds > 0:
        for explanation in search(trial.chain, trial.words, trial.given, rtol, seconds, start)[:20]:
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
    return fallback or Explanation((), _right(trial, rtol))


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


def _returned(trial: Trial, explanation: Explanation, rtol: float) -> tuple[list[Finding], dict[str, Array]]:
    """What went wrong on the way out, after the changes of an explanation, and what is still not explained."""
    run = Run(trial.chain, explanation.changes)
    results = {name: run.gradient(trial.chain.wanted[name]) for name in trial.given}
    open_names = {name: g for name, g in trial.given.items() if not equal(g, results[name], rtol)}
    out = on_the_way_out(open_names, results, trial.answer.called, _sizes(trial), rtol)
    settled = {label for finding in out for label in finding.gradients}
    return out, {name: g for name, g in open_names.items() if trial.answer.called.get(name, f"d{name}") not in settled}


def _holds(trial: Trial, changes: Sequence[Change], names: frozenset[str], rtol: float) -> bool:
    """Whether changes give the user's numbers on another problem too."""
    run = Run(trial.chain, changes)
    with np.errstate(all="ignore"):
        return all(equal(trial.given[name], run.gradient(trial.chain.wanted[name]), rtol) for name in names)


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
