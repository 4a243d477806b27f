"""`check_backward`: is a backward pass derived by hand the derivative of its forward pass, and if not, what is wrong with it?

The user's own forward pass is the specification: it is run on stand-ins for arrays and so written down line by line, with
minigrad's derivative of every line. Nothing is known here of any particular cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.arguments import count, real
from minigrad.checks.adapter import Adapter
from minigrad.checks.behaviour import stage_of_behaviour
from minigrad.checks.conventions import clipped_to, convention, is_added
from minigrad.checks.diagnosis import diagnosed, misshapen
from minigrad.checks.equality import equal
from minigrad.checks.finding import Finding
from minigrad.checks.located.penalties import penalised, penalties
from minigrad.checks.narrowing import factor
from minigrad.checks.of_steps import of_steps
from minigrad.checks.planning import plan_of
from minigrad.checks.raised import running_again
from minigrad.checks.report import Report, Stage
from minigrad.checks.sequences import lengths
from minigrad.checks.shapes import stage_of_shapes
from minigrad.checks.trial import (
    Trial,
    UserError,
    agree,
    as_returned,
    averaged,
    compared,
    differing,
    other_lengths,
    reshape_gradients,
    sizes_of,
    trial_of,
    undivided,
    unscaled,
)
from minigrad.errors import ArgumentError, BackwardError, DTypeError
from minigrad.flags import flag

__all__ = ["assert_backward_correct", "check_backward"]

SMALL = 1e-3
"""What gradients from outside are multiplied by where they would be clipped."""


PROBLEMS = 2
"""So many random problems: what is right in one by accident is wrong in the other."""


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: Any,
    *,
    T: int | None = None,
    outputs: Sequence[str] | None = None,
    upstream: Mapping[str, Any] | None = None,
    returns: Mapping[str, str] | Sequence[str | None] | None = None,
    rtol: float = 1e-6,
    seed: int = 0,
    as_given: bool = False,
    seconds: float = 12.0,
) -> Report:
    """Hold a backward pass that was derived by hand to the forward pass that it belongs to, and name what is wrong with it.

    Both stay as they are, plain NumPy in whatever layout: examples in columns or in rows, weights apart, side by side or
    stacked in any order. Which returned value is the gradient of what is told by the names (``dWf``, ``dW_f``, ``grad_Wf``,
    ``"da_prev"`` in a dict), and so is what the backward pass wants: gradients of outputs, caches, arguments.

    The check goes from shapes to one step, then to 2 and to all steps if the forward pass is a loop over time, and stops
    at the first stage that fails. Then it looks for the mistake: which changes of the right derivation give exactly these
    numbers? What it names is equal within ``rtol`` on two random problems; what it cannot name it narrows down.

    Args:
        forward: a function of arrays (or of pytrees or objects that hold them), or a method.
        backward: a function that returns gradients (or stores them as attributes of the object whose method it is).
        arguments: an example of the arguments of ``forward``, in order or by name. Only shapes matter: values are drawn
            anew, except of integers and of arrays of zeros and ones.
        T: ``forward`` is one step, and ``backward`` goes through a sequence of T steps, whose caches it gets in a list.
        outputs: the names of what ``forward`` returns, where its source does not tell.
        upstream: {parameter of ``backward``: the output whose gradient it is, or what else it wants: an output or an argument
            itself, or a value such as 10}, where names do not tell. With ``{"delta": "h", "state": "h"}``, ``state`` is the
            output itself, and so is ``h``.
        returns: of what each returned value is the gradient, in order (None for what is none), or by name.
        rtol: the largest difference, relative to the largest entry of each gradient.
        seed: of the random problems.
        as_given: use the values of the example instead.
        seconds: of processor time for all of it; with 0 it only says what differs.

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
    >>> report.passed, report.named, report.findings[0].right
    (False, True, 'dz = dh * (1 - h**2)')
    """
    for what, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise DTypeError(f"check_backward: expected a function as {what}, got {function!r:.60}")
    count(seed, "check_backward: seed")
    flag(as_given, "check_backward: as_given")
    real(rtol, "check_backward: rtol", 0)
    real(seconds, "check_backward: seconds", 0)
    deadline = time.process_time() + seconds
    called = getattr(forward, "__name__", "forward"), getattr(backward, "__name__", "backward")
    if T is None:
        adapter = Adapter(forward, backward, arguments, outputs, upstream, returns)
    else:
        adapter = of_steps(forward, backward, arguments, T, upstream, returns)
    example = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
    adapter.learn_names(example)
    example = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
    plan = plan_of(adapter, example)
    stages: list[Stage] = []
    notes: list[str] = []
    said: str | None = None
    uncompared: tuple[str, ...] = ()
    trials: list[Trial] = []
    shorter: list[Trial] = []
    scale = 1.0
    sized = lengths(adapter, example)
    longest = as_returned(sized[-1][1], plan, seed, as_given, scale)  # the longest first: it shows what is a state
    if longest is None and sized[-1][1] is not adapter:  # it goes through the steps of the example, whatever it is given
        sized = [("", adapter)]
        longest = as_returned(adapter, plan, seed, as_given, scale)
    if longest is not None and is_added(longest.given, longest.chain.right, longest.answer.called, rtol):
        notes.append("the negative of the gradients is returned, right for what is added to the weights")
        for _, at_length in sized:
            at_length.added = True
        longest = as_returned(sized[-1][1], plan, seed, as_given, scale)
    if sized[-1][1].rereads:
        notes.append("weights are updated before they are used for the last time: at larger rates what comes after is wrong")
    for number, (label, at_length) in enumerate(sized):
        try:
            trials = [trial_of(at_length, plan, seed + k, as_given, scale) for k in range(PROBLEMS)]
            if _may_be_clipped(trials[0], rtol):
                smaller = [trial_of(at_length, plan, seed + k, as_given, scale * SMALL) for k in range(PROBLEMS)]
                bounded = _bounded(trials[0], smaller[0])
                if bounded is not None:
                    notes.append(f"gradients are {bounded} inside the backward pass: checked with smaller ones")
                    scale, trials = scale * SMALL, smaller
        except ArgumentError:
            if number < len(sized) - 1 and longest is not None:
                continue  # of one step, it may be that nothing is computed at all
            raise
        except UserError as error:
            if number < len(sized) - 1:
                continue
            stages.append(Stage("runs", False, str(error)))
            line = running_again(at_length, error, partial(trial_of, at_length, plan, seed, as_given, scale), rtol)
            left = deadline - time.process_time()
            if line is None or left <= 0:
                return Report(called, stages, notes=tuple(notes))
            with line.taken():
                rest = check_backward(
                    forward, backward, arguments, T=T, outputs=outputs, upstream=upstream, returns=returns, rtol=rtol,
                    seed=seed, as_given=as_given, seconds=left,
                )  # fmt: skip
            return Report(called, [*stages, *rest.stages], rest.comparison, line.findings(rest), (*notes, *rest.notes))
        label = label or ("one step" if trials[0].steps == 1 else "all steps")
        known: list[Finding] = []
        if not stages:
            known = stage_of_shapes(trials[0], longest, stages, notes, rtol)
            if not known:
                uncompared = stage_of_behaviour(at_length, plan, trials[0], stages, notes)
        if known:
            others = [as_returned(adapter, plan, seed, as_given, scale) for _, adapter in sized[number + 1 :]]
            findings = misshapen(known, trials, [trial for trial in others if trial is not None], rtol, deadline)
            return Report(called, stages, None, tuple(findings), tuple(notes))
        for trial in trials:
            reshape_gradients(trial)
        if agree(trials[0], rtol):
            stages.append(Stage(label, True, "by convention" if trials[0].summed else ""))
            shorter.append(trials[0])
            continue
        said = _convention(trials[0], rtol)
        if said is None:
            longer = other_lengths(sized[number + 1 :], plan, seed, as_given, scale)
            again = other_lengths(sized[-1:] if longer else (), plan, seed + 1, as_given, scale)
            alone = [undivided(trial, rtol) for trial in (*trials, *longer)]
            like = next((trial for trial in alone if trial.averaged), None)
            alone = [trial if trial.averaged else undivided(trial, rtol, like) for trial in alone]
            trials, longer = alone[: len(trials)], alone[len(trials) :]
            again = [unscaled(undivided(trial, rtol, like)) for trial in again]
            trials, longer = [unscaled(trial) for trial in trials], [unscaled(trial) for trial in longer]
            added = penalties(trials[0])
            if added:
                notes += list(dict.fromkeys(text for _, text in added.values()))
                trials, longer, again = ([penalised(trial, added) for trial in some] for some in (trials, longer, again))
            findings, said = diagnosed(trials, longer, [*shorter, *again], rtol, deadline)
            if findings:
                own = bool(trials[0].averaged) and trials[0].own_loss  # of a loss that is his, the mean is another
                findings = [averaged(trials[0]), *findings] if own else findings
                if longest is None and number < len(sized) - 1:
                    findings = [*findings, *_raised(partial(trial_of, adapter, plan, seed, as_given, scale))]
                norm = next((f"gradients are scaled together to the norm {t.norm:g}" for t in trials if t.norm), None)
                notes += [text for text in ("" if own else trials[0].summed, norm, said) if text]
                stages.append(Stage(label, False, differing(trials[0], rtol)))
                if time.process_time() > deadline and seconds and not all(finding.kind for finding in findings):
                    notes.append(f"the search for the mistake was ended after {seconds:g} seconds")
                return Report(called, stages, compared(trials[0], rtol), tuple(findings), tuple(notes))
        stages.append(Stage(label, True, "by convention"))
    notes += [said for said in (trials[0].summed, said) if said]
    return Report(called, stages, compared(trials[0], rtol), (), tuple(notes), uncompared)


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


def _raised(run: Callable[[], Any]) -> list[Finding]:
    """What is said of a backward pass that was looked at with fewer steps than it is given, and raises an error with those."""
    try:
        run()
    except UserError as error:
        return [Finding("", f"with all steps of the example, {error}: what is said above is of fewer steps")]
    return []


def _may_be_clipped(trial: Trial, rtol: float) -> bool:
    """Whether something is wrong with gradients that come of others from outside, which can be made smaller."""
    return bool(trial.given) and not agree(trial, rtol) and not trial.own_loss


def _bounded(trial: Trial, smaller: Trial) -> str | None:
    """How the user keeps his gradients small, if he does: known by what comes of smaller ones from outside."""
    grown = {name: smaller.given[name] / SMALL for name in trial.given}
    bent = [name for name, g in trial.given.items() if not equal(g, grown[name], 1e-4)]
    if not bent or not all(np.isfinite(trial.given[name]).all() for name in bent):
        return None
    if all(equal(trial.given[name], smaller.given[name], 1e-4) for name in bent):
        return None  # it does not depend on what arrives from outside
    faster = trial.rate / smaller.rate
    largest = max(float(np.abs(trial.given[name]).max()) for name in bent) * faster
    if all(equal(trial.given[name] * faster, np.clip(grown[name], -largest, largest), 1e-4) for name in bent):
        return f"clipped to ±{largest:.6g}"
    factors = [factor(trial.given[name] * faster, grown[name], 1e-4) or 0.0 for name in bent]
    if min(factors) > 0 and max(factors) < 1 and max(factors) - min(factors) <= 1e-4:
        norm = float(np.sqrt(sum((trial.given[name] ** 2).sum() for name in bent))) * faster
        return f"scaled to the norm {norm:.6g}"
    return None


def _convention(trial: Trial, rtol: float) -> str | None:
    """What is done by convention. Where the forward pass has a loss of its own, its mean or sum is none."""
    if trial.bound is not None and all(trial.fits(name, trial.chain.right[name], rtol) for name in trial.given):
        return clipped_to(trial.bound)
    if trial.answer.moved and not trial.own_loss and _uphill(trial, rtol):
        return (
            "the weights are moved along the gradient, not against it: right if what arrives from outside is the target less "
            "the output"
        )
    said = convention(trial.given, trial.chain.right, trial.problem.values, sizes_of(trial), rtol, trial.answer.called)
    return None if said is not None and trial.own_loss and "divided by" in said else said


def _uphill(trial: Trial, rtol: float) -> bool:
    """Whether all weights that the backward pass moves go the other way, and all that it returns is right."""
    right = trial.chain.right
    return all(
        trial.fits(name, -right[name] if name in trial.answer.moved else right[name], rtol) for name in trial.given
    )
