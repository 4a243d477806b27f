"""The loss that a backward pass takes the gradient of, where no gradient arrives from outside: its own, or the sum of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.checks.narrowing import factor
from minigrad.errors import ArgumentError

if TYPE_CHECKING:
    from minigrad.checks.adapter import Adapter, Traces
    from minigrad.checks.chain import Chain
    from minigrad.checks.returned import Answer

__all__ = ["STEPS", "losses", "losses_beside", "of_the_sum", "ones_like", "sizes"]

STEPS = "the number of steps"

LOSS = re.compile(
    r"^(?:(?:total|sum|mean|avg|average|batch|overall|data|smooth|seq|train|epoch|final|running|current|new)_?)?"
    r"(?:loss(?:es)?|costs?|errors?|nll|mse|ce|cross_?entropy|objective|[LJE])(?:$|_|[A-Z0-9])"
)
"""What a forward pass calls the loss that it returns."""


def losses(traces: Traces, plan: Mapping[str, tuple[str, Any]]) -> list[str]:
    """The outputs that a backward pass takes the gradient of if it is given none from outside: the loss.

    That is what is called so; otherwise every number, or array of one entry if there is none, but for those that the backward
    pass wants as they are, such as a predicted probability.

    Raises:
        ArgumentError: there is none; the message asks for it.
    """
    single = [name for name, lines in traces.outputs.items() if not isinstance(lines, list) and lines.value.size == 1]
    single = [name for name in single if not traces.outputs[name].value.ndim] or single  # a state may be of one unit
    called = [name for name in traces.outputs if LOSS.match(name)]
    wanted = {what[0] if kind == "part" else what for kind, what in plan.values() if kind != "value"}
    found = [name for name in called if name in single] or [name for name in single if name not in wanted] or single or called
    if not found:
        raise ArgumentError(
            f"check_backward: of which loss does the backward pass take the gradient? It is given no gradient from outside, "
            f"and the forward pass returns {', '.join(traces.outputs)}, none of which is a single number. Give a forward pass "
            "that returns the loss too, as an array and not float(loss) (a few lines around yours will do), or say which "
            "parameter is the gradient of what: upstream={'dh': 'h'}"
        )
    return found


def losses_beside(traces: Traces, given: Collection[str]) -> list[str]:
    """The outputs that are called losses, beside those whose gradients are ``given``."""
    single = {name for name, lines in traces.outputs.items() if not isinstance(lines, list) and lines.value.size == 1}
    return [name for name in traces.outputs if LOSS.match(name) and name in single and name not in given]


def ones_like(lines: Any) -> Any:
    """The gradient of the sum of all entries of an output."""
    return [np.ones(line.value.shape) for line in lines] if isinstance(lines, list) else np.ones(lines.value.shape)


def of_the_sum(answer: Answer, chain: Chain, adapter: Adapter) -> tuple[int, str | None]:
    """How many times the loss it is that the gradients are those of, with what is said of it: the sum for the mean.

    Known by a gradient that is so many times what it should be, where none is as it should be.
    """
    factors = [
        factor(np.ravel(answer.gradients[name]), np.ravel(right), 1e-6)
        for name, right in chain.right.items()
        if right.any() and answer.gradients[name].size == right.size
    ]
    known = sizes(chain, adapter)
    found = {round(c) for c in factors if c is not None and abs(c - round(c)) <= 1e-6 * abs(c)} & {*known} - {1}
    if len(found) != 1 or any(c is not None and abs(c - 1) <= 1e-6 for c in factors):
        return 1, None
    (times,) = found
    said = f"all gradients are multiplied by {times}, {known[times]}: right for the sum, where this loss is the mean"
    return times, said


def sizes(chain: Chain, adapter: Adapter) -> dict[int, str]:
    """Numbers that gradients are divided by or multiplied with, with what they are."""
    found: dict[int, str] = {}
    if chain.steps > 1:
        found[chain.steps] = STEPS
    for name, value in adapter.arguments.items():
        if isinstance(value, list | tuple) and len(value) > 1:
            found.setdefault(len(value), f"the length of {name}")
    for leaf in adapter.leaves:  # of a sequence whose last entry is only what is to be predicted
        for axis in (k for k, size in enumerate(leaf.value.shape) if size == chain.steps + 1 and leaf.value.ndim == 3):
            found.setdefault(chain.steps + 1, f"the length of axis {axis} of {leaf.name}")
    shapes = [array.shape for seeds in chain.seeds.values() for _, array in seeds]
    shapes += [line.value.shape for line in chain.lines if line.op == "matmul"]
    for shape in shapes:
        for axis, size in enumerate(shape):
            found.setdefault(size, f"the length of axis {axis} of an output")
        if shape:
            found.setdefault(int(np.prod(shape)), "the number of entries of an output")
    for size in list(found):
        if chain.steps > 1:
            found.setdefault(size * chain.steps, f"{found[size]} times {STEPS}")
    return found
