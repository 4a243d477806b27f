"""One random problem: the chain rule over the user's forward pass, and what his backward pass says about it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks.adapter import Adapter, Problem, Traces, name_of
from minigrad.checks.answer import answer_of
from minigrad.checks.chain import Chain
from minigrad.checks.comparison import Comparison, compare_gradients
from minigrad.checks.conventions import divided, scaled_together
from minigrad.checks.equality import clipped, equal
from minigrad.checks.finding import Finding
from minigrad.checks.losses import STEPS, losses, losses_beside, of_the_sum, ones_like, sizes
from minigrad.checks.memory import memories, only_signs
from minigrad.checks.narrowing import factor
from minigrad.checks.returned import Answer
from minigrad.checks.words import Words
from minigrad.errors import ArgumentError, MinigradError
from minigrad.guard import Array
from minigrad.reporting import reporting

__all__ = [
    "Trial", "UserError", "agree", "as_returned", "averaged", "compared", "differing", "fitted", "other_lengths", "rescaled",
    "reshape_gradients", "right_ones", "running", "sizes_of", "squeezed", "trial_of", "undivided", "unscaled",
]  # fmt: skip


class Trial(NamedTuple):
    """One random problem: the chain rule over the user's forward pass, and what his backward pass says.

    Attributes:
        summed: what is said of gradients of the sum of what the loss is the mean of, or the other way round.
        averaged: the weights whose gradients the backward pass divides by so many ``examples``, which is no mistake.
        norm: what the backward pass scales all gradients to together, which is none either.
    """

    chain: Chain
    words: Words
    answer: Answer
    problem: Problem
    adapter: Adapter
    plan: dict[str, tuple[str, Any]]
    steps: int
    rate: float = 1.0
    bound: float | None = None
    summed: str | None = None
    averaged: frozenset[str] = frozenset()
    examples: int = 1
    norm: float | None = None

    @property
    def own_loss(self) -> bool:
        """Whether the gradients are those of a loss that the forward pass returns, and none arrives from outside."""
        return not any(kind == "upstream" for kind, _ in self.plan.values())

    def fits(self, name: str, g: Array, rtol: float) -> bool:
        """Whether a gradient is the user's, up to clipping."""
        return equal(self.given[name], clipped(g, self.bound, self.given[name]), rtol)

    def rounded(self, name: str, g: Array) -> Array:
        """A gradient; the right one if it differs from that by no more than the steps that it was told by are rounded."""
        right = self.chain.right[name]
        if name not in self.answer.moved or g.shape != right.shape:
            return g
        step = self.problem.rate / self.adapter.shrinking * self.rate
        return right if np.abs(g - right).max(initial=0.0) <= _rounding(self.problem.values[name], step) else g

    @property
    def given(self) -> dict[str, Array]:
        """The user's gradients."""
        return self.answer.gradients


class UserError(Exception):
    """The user's own code raised an error."""


def trial_of(adapter: Adapter, plan: dict[str, tuple[str, Any]], seed: int, as_given: bool, scale: float = 1.0) -> Trial:
    """A random problem, and what the backward pass says about it.

    Raises:
        UserError: the backward pass raises an error.
    """
    values = adapter.values(seed, as_given)
    traces = adapter.traced(values)
    problem = adapter.problem(values, traces, seed, scale)
    answer = running(lambda: answer_of(adapter, plan, problem), adapter.backward)
    moved = {name: answer.gradients[name] for name in answer.moved}
    if not adapter.memory and only_signs(moved.values()):
        adapter.memory = memories(adapter.leaves, adapter.unread, moved)
        if adapter.memory or not adapter.by_variables:
            adapter.by_variables = not adapter.memory
            return trial_of(adapter, plan, seed, as_given, scale)
    if moved:
        problem, answer = _finer(adapter, plan, problem, answer)
        _refuse_signs(adapter, answer)
        moved = {name: answer.gradients[name] for name in answer.moved}
    given = {what for kind, what in plan.values() if kind == "upstream"}
    wanted = {name: traces.arguments[name] for name in answer.gradients}
    seeds = _seeds(given or losses(traces, plan), given, traces, problem)
    chain = Chain(traces.tape.lines, seeds, wanted, adapter.states)
    unreached = [name for name, line in wanted.items() if not chain.live[line.number] and answer.gradients[name].any()]
    if given and unreached and (own := losses_beside(traces, given)):  # a step: its loss, and what later steps send back
        both = _seeds([*given, *own], given, traces, problem)
        with_own = Chain(traces.tape.lines, both, wanted, adapter.states)
        if any(with_own.live[wanted[name].number] for name in unreached):
            seeds, chain = both, with_own
    if _is_of_one_step(answer, chain) or _is_moved_otherwise(answer):
        adapter.by_moves |= answer.beside.keys()
        return trial_of(adapter, plan, seed, as_given, scale)
    times, summed = (1, None) if given else of_the_sum(answer, chain, adapter)
    if summed:
        seeds = {number: [(name, array * times) for name, array in pairs] for number, pairs in seeds.items()}
        chain = Chain(traces.tape.lines, seeds, wanted, adapter.states)
    rate = _rate(moved, chain.right, 1 if adapter.memory else 2, problem.rate)
    written = None if adapter.is_rate_set or adapter.written_rate is None else adapter.written_rate / problem.rate
    if rate is not None and not (written and _is_too_much_by(rate / written, answer, chain)):
        adapter.rates.append(rate)
    elif adapter.rates and moved:
        rate = adapter.rates[-1]  # the same at every length
    elif written:
        rate = written
    for name in answer.moved if rate is not None else ():
        answer.gradients[name] = answer.gradients[name] / rate
    words = Words(chain, answer.called, {what: name for name, (kind, what) in plan.items() if kind == "upstream"})
    bound = _bound(answer.gradients, chain)
    trial = Trial(chain, words, answer, problem, adapter, plan, chain.steps, rate or 1.0, bound, summed)
    answer.gradients.update({name: trial.rounded(name, answer.gradients[name]) for name in answer.moved})
    return trial


def averaged(trial: Trial) -> Finding:
    """The finding that weights' gradients are divided by the number of examples, where the loss is not."""
    called = tuple(trial.answer.called.get(name, f"d{name}") for name in trial.given if name in trial.averaged)
    what = sizes_of(trial)[trial.examples]
    said = f"{', '.join(called)} are divided by {trial.examples}, {what}"
    return Finding("factor", f"{said}: right for a loss that is the mean, and this one is the sum", gradients=called)


def undivided(trial: Trial, rtol: float, like: Trial | None = None) -> Trial:
    """The same with the gradients of weights as they are before they are divided by the number of examples, if they are.

    Unless nothing else is wrong, which is said of the whole. What is seen ``like`` that in another trial holds here too.
    """
    sizes = sizes_of(trial)
    found = divided(trial.given, trial.chain.right, sizes, rtol)
    if found is None and like is not None and like.averaged:
        by_steps = sizes_of(like)[like.examples] == STEPS
        number = next((n for n, what in sizes.items() if (what == STEPS if by_steps else n == like.examples)), 1)
        found = (like.averaged, number, like.summed or "") if number > 1 else None
    if found is None:
        return trial
    weights, examples, said = found
    right = trial.chain.right
    if all(equal(g * examples if name in weights else g, right[name], rtol) for name, g in trial.given.items()):
        return trial
    for name in weights & trial.given.keys():
        trial.given[name] = trial.given[name] * examples
    return trial._replace(averaged=weights, examples=examples, summed=said)


def unscaled(trial: Trial) -> Trial:
    """The same with gradients as they are before they are scaled together to a norm, if they are."""
    found = None if trial.answer.moved else scaled_together(trial.given, trial.chain.right)
    if found is None:
        return trial
    for name in trial.given:
        trial.given[name] = trial.given[name] / found[0]
    return trial._replace(norm=found[1])


def _seeds(
    outputs: Iterable[str], given: Collection[str], traces: Traces, problem: Problem
) -> dict[int, list[tuple[str, Array]]]:
    """What arrives at the lines of these outputs: what is ``given`` from outside, 1 at a loss."""
    seeds: dict[int, list[tuple[str, Array]]] = {}
    for name in outputs:
        lines = traces.outputs[name]
        arrays = problem.upstream[name] if name in given else ones_like(lines)
        for line, array in zip(lines, arrays, strict=True) if isinstance(lines, list) else [(lines, arrays)]:
            seeds.setdefault(line.number, []).append((name, array))
    return seeds


def rescaled(trial: Trial, times: int, said: str) -> Trial:
    """The same beside the gradients of so many times the loss: of the sum, where the loss is the mean."""
    seeds = {number: [(name, array * times) for name, array in pairs] for number, pairs in trial.chain.seeds.items()}
    chain = Chain(trial.chain.lines, seeds, trial.chain.wanted, trial.adapter.states)
    upstream = {what: name for name, (kind, what) in trial.plan.items() if kind == "upstream"}
    return trial._replace(chain=chain, words=Words(chain, trial.answer.called, upstream), summed=said)


def _is_of_one_step(answer: Answer, chain: Chain) -> bool:
    """Whether what is stored is each step's share alone: a weight is moved by its gradient, and that is not what is stored."""
    return any(
        factor(step, chain.right[name], 1e-5) is not None and factor(answer.gradients[name], chain.right[name], 1e-5) is None
        for name, step in answer.beside.items()
        if step.shape == answer.gradients[name].shape == chain.right[name].shape and chain.right[name].any()
    )


def _is_too_much_by(times: float, answer: Answer, chain: Chain) -> bool:
    """Whether what is returned beside the steps is as many times what it should be: that is no rate."""
    beside = {name: g for name, g in answer.gradients.items() if name not in answer.moved and chain.right[name].any()}
    factors = [factor(g, chain.right[name], 1e-6) for name, g in beside.items() if g.shape == chain.right[name].shape]
    return abs(times - 1) > 1e-5 and any(c is not None and abs(c - times) <= 1e-5 * times for c in factors)


def _is_moved_otherwise(answer: Answer) -> bool:
    """Whether some weights are moved by the gradients that are stored, and others by something else than theirs."""
    alike = [equal(step, answer.gradients[name], 1e-6) for name, step in answer.beside.items()]
    return any(alike) and not all(alike)


def _finer(adapter: Adapter, plan: dict[str, tuple[str, Any]], problem: Problem, answer: Answer) -> tuple[Problem, Answer]:
    """The same from larger steps of the weights, with less rounding, unless the backward pass reads what it has moved."""
    slower, faster = (problem._replace(rate=problem.rate * factor) for factor in (2**12, 2**13))
    half, quick = (running(functools.partial(answer_of, adapter, plan, each), adapter.backward) for each in (slower, faster))
    for name in answer.moved:
        rounding = _rounding(problem.values[name], slower.rate / adapter.shrinking)
        other, found = (each.gradients.get(name, np.zeros(0)) for each in (half, quick))
        if not other.shape == found.shape == answer.gradients[name].shape or not np.allclose(other, found, 1e-8, rounding):
            twice = other.shape == found.shape and np.allclose(other, 2 * found, 1e-6, rounding)
            adapter.rereads |= other.shape == found.shape and not twice
            adapter.is_rate_set &= not twice
            return problem, answer
    returned = [(g, quick.gradients.get(name, g)) for name, g in answer.gradients.items() if name not in answer.moved]
    if any(g.shape == other.shape and not np.allclose(g, other, 1e-8, 1e-12) for g, other in returned):
        return problem, answer  # dh_prev is computed from weights that are moved already
    same = {name: g for name, g in quick.gradients.items() if name in answer.gradients}  # a state that was set is not moved
    return faster, quick._replace(gradients=same, moved=answer.moved)


def _rounding(weights: Array, rate: float) -> float:
    """How well a gradient is known by a step of weights at a rate."""
    return 8 * float(np.finfo(float).eps) * float(np.abs(weights).max(initial=1.0)) / rate


def _refuse_signs(adapter: Adapter, answer: Answer) -> None:
    """Refuse steps of an optimiser that divides by the size of the gradients: nothing but their signs can be told from them."""
    sizes = np.concatenate([np.abs(answer.gradients[name]).ravel() for name in answer.moved])
    sizes = sizes[sizes > 0]
    if len(sizes) > MANY and np.quantile(sizes, 0.95) <= 1.01 * np.quantile(sizes, 0.05):
        raise ArgumentError(
            f"check_backward: {name_of(adapter.backward)} updates the weights by steps of one size, as Adagrad, RMSprop and "
            "Adam take at first, which show no more of the gradients than their signs; let it return the gradients, or "
            "store them (self.dW), before the update"
        )


MANY = 8
"""So many entries of gradients are not of one size by accident."""


def _rate(moved: dict[str, Array], right: dict[str, Array], least: int, tried: float) -> float | None:
    """The rate at which weights are updated, where it could not be set: the factor that most of the steps have in common.

    Where none is of the rate that was set, two that agree are enough. So many at ``least``; one is enough where the rule is
    known to multiply by a number, or where the rate is a round one: beside what was ``tried``, no other factor is.
    """
    factors = [factor(step, right[name], 1e-6) for name, step in moved.items() if right[name].any()]
    known = [abs(c) for c in factors if c is not None and abs(abs(c) - 1) > 1e-5]
    known = [c for c in known if abs(float(f"{c * tried:.1g}") - c * tried) <= 1e-6 * c * tried] or known
    common = max(known, key=lambda c: sum(abs(c - other) <= 1e-5 * c for other in known), default=None)
    agreeing = sum(abs(common - other) <= 1e-5 * common for other in known) if common is not None else 0
    as_set = sum(c is not None and abs(abs(c) - 1) <= 1e-5 for c in factors)
    if as_set >= max(agreeing, 1):
        return None  # one weight is moved without it
    if common is not None and abs(float(f"{common * tried:.1g}") - common * tried) <= 1e-6 * common * tried:
        return common
    most = agreeing * 2 >= len(factors) or (agreeing > 1 and not as_set)
    if agreeing < 1 or len(known) < least or (least > 1 and not most):
        return None
    return common


def _bound(given: dict[str, Array], chain: Chain) -> float | None:
    """What the user clips gradients to, if several entries reach exactly that, or it is a round number."""
    largest = [float(np.abs(g).max(initial=0.0)) for g in given.values()]
    reached = [float(np.abs(right).max(initial=0.0)) for right in chain.right.values()]
    for bound in sorted(set(largest), key=lambda value: -sum(abs(value - other) <= 1e-7 * value for other in largest)):
        hits = sum(int((np.abs(np.abs(g) - bound) <= 1e-7 * bound).sum()) for g in given.values())
        is_round = any(abs(bound - known) <= 1e-7 * known for known in ROUND)
        if bound and np.isfinite(bound) and (hits > 1 or is_round) and max(reached) > bound:
            return bound if hits < sum(g.size for g in given.values()) else None
    return None


ROUND = (0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 50.0, 100.0)
"""What gradients are usually clipped to."""


def running(call: Callable[[], Any], function: Any) -> Any:
    """What the user's code returns; its errors with the line that raised them."""
    try:
        with reporting(all="ignore"):
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


def other_lengths(
    sized: Sequence[tuple[str, Adapter]], plan: dict[str, tuple[str, Any]], seed: int, as_given: bool, scale: float
) -> list[Trial]:
    """The same problem at other lengths, as far as it runs."""
    found = [as_returned(at_length, plan, seed, as_given, scale) for _, at_length in sized]
    for trial in found:
        if trial is not None:
            reshape_gradients(trial)
    return [trial for trial in found if trial is not None]


def as_returned(adapter: Adapter, plan: dict[str, tuple[str, Any]], seed: int, as_given: bool, scale: float) -> Trial | None:
    """A random problem, with gradients in the shapes in which they are returned; None where the backward pass fails."""
    try:
        return trial_of(adapter, plan, seed, as_given, scale)
    except UserError:
        return None


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without axes of length 1."""
    return tuple(n for n in shape if n != 1)


def reshape_gradients(trial: Trial) -> None:
    """Give gradients that differ by axes of length 1, or are transposed, the shape of their arguments; drop all others."""
    for name, given in list(trial.given.items()):
        shaped = fitted(given, trial.chain.right[name].shape)
        if shaped is None:
            del trial.given[name]
        else:
            trial.given[name] = shaped


def fitted(given: Array, shape: tuple[int, ...]) -> Array | None:
    """A gradient in the shape of its argument, if it differs by axes of length 1 or is transposed; None if by more."""
    if squeezed(given.shape) == squeezed(shape):
        return given.reshape(shape)
    return given.T if given.shape == shape[::-1] else None


def agree(trial: Trial, rtol: float) -> bool:
    """Whether all gradients are right."""
    return all(equal(given, trial.chain.right[name], rtol) for name, given in trial.given.items())


def differing(trial: Trial, rtol: float) -> str:
    """Which gradients are wrong."""
    wrong = [trial.answer.called.get(n, n) for n, g in trial.given.items() if not equal(g, trial.chain.right[n], rtol)]
    return f"{', '.join(wrong)} {'differs' if len(wrong) == 1 else 'differ'}"


def compared(trial: Trial, rtol: float) -> Comparison:
    """All gradients beside those of autograd."""
    return compare_gradients(trial.chain.right, dict(trial.given), names=("autograd", "yours"), rtol=rtol)


def sizes_of(trial: Trial) -> dict[int, str]:
    """Numbers that gradients are divided by, with what they are."""
    return sizes(trial.chain, trial.adapter)


def right_ones(trial: Trial, rtol: float) -> frozenset[str]:
    """The names of the gradients that are right."""
    return frozenset(name for name in trial.given if trial.fits(name, trial.chain.right[name], rtol))
