"""`check_backward`: is a backward pass derived by hand the derivative of its forward pass, and if not, what is wrong with it?

The user's own forward pass is the specification: it is run on stand-ins for arrays and so written down line by line, with
minigrad's derivative of every line. Nothing is known here of any particular cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks.adapter import Adapter, Answer, Problem, Traces
from minigrad.checks.chain import Chain
from minigrad.checks.comparison import Comparison, compare_gradients
from minigrad.checks.conventions import convention
from minigrad.checks.naming import named
from minigrad.checks.report import Finding, Report, Stage
from minigrad.checks.sequences import Length, lengths
from minigrad.errors import ArgumentError, BackwardCheckError, ShapeError
from minigrad.guard import Array

__all__ = ["assert_backward_correct", "check_backward"]

PROBLEMS = 2
"""So many random problems: what is right in one by accident is wrong in the other."""


class Trial(NamedTuple):
    """One problem: the chain rule over the user's forward pass, and what his backward pass says."""

    chain: Chain
    answer: Answer
    problem: Problem
    traces: Traces


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
    name_mistakes: bool = True,
) -> Report:
    """Hold a backward pass that was derived by hand to the forward pass that it belongs to.

    Both stay as they are, plain NumPy in whatever layout: examples in columns or in rows, weights apart, side by side or
    stacked in any order. Which returned value is the gradient of what is told by the names (``dWf``, ``dW_f``, ``grad_Wf``,
    ``"da_prev"`` in a dict), and so is what the backward pass wants: gradients of outputs, caches, arguments.

    The check goes from shapes over side effects to one step, then to 2 and to all steps if the forward pass is a loop over
    time, and stops at the first stage that fails. Then it looks for the mistake: which change of the right derivation gives
    exactly these numbers? What it names is equal within ``rtol`` on two random problems; what it cannot name it
    narrows down.

    Args:
        forward: a function of arrays (or of nests or objects that hold them), or a method.
        backward: a function that returns gradients (or stores them as attributes of the object whose method it is).
        arguments: an example of the arguments of ``forward``, in order or by name. Only shapes matter: values are drawn
            anew, except of integers and of arrays of zeros and ones.
        T: ``forward`` is one step and ``backward`` goes through a whole sequence of T steps.
        outputs: the names of what ``forward`` returns, where its source does not tell.
        upstream: {parameter of ``backward``: the output whose gradient it is}, where names do not tell.
        returns: of what each returned value is the gradient, in order (None for what is none), or by name.
        rtol: the largest difference, relative to the largest entry of each gradient.
        seed: of the random problems.
        as_given: use the values of the example instead.
        name_mistakes: look for the mistake; False only says what differs.

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
    >>> shapes = (3, 4), (5, 4), (5, 3), (5, 5), (5, 1)
    >>> report = check_backward(step, step_backward, [np.ones(s) for s in shapes], returns=("x", "h_prev", "W", "U", "b"))
    >>> report.passed, report.named, report.findings[0].kind
    (False, True, 'activation derivative')
    """
    adapter = Adapter(forward, backward, arguments, outputs, upstream, returns)
    label = getattr(forward, "__name__", "forward"), getattr(backward, "__name__", "backward")
    stages: list[Stage] = []
    notes: list[str] = []
    try:
        example = adapter.traced({leaf.name: np.array(leaf.value, float) for leaf in adapter.leaves})
        plan = adapter.plan(example)
        for length in lengths(adapter, example, T):
            trials = [_trial(length, plan, seed + k, as_given) for k in range(PROBLEMS)]
            if not stages:
                stages += _first_stages(length.adapter, plan, trials[0], notes)
                if not stages[-1].passed:
                    return Report(label, stages, None, _shape_findings(trials[0]), tuple(notes))
            report = _compared(length, trials, rtol, label, stages, notes, name_mistakes)
            if report is not None:
                return report
    except _Refusal as refusal:
        raise ArgumentError(str(refusal)) from None
    return Report(label, stages, _comparison(trials[0], rtol), (), tuple(dict.fromkeys(notes)))
