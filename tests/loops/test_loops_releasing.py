"""What a backward pass to some targets alone releases, and what may be written to after it, is what the single steps say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import is_compiled, plainly
from loops_oracle import assert_same, loss_of, results_of, seen
from minigrad.models import LSTM, unroll
from one_step_cells import B, Of, Step, random

from minigrad import Parameter, Tensor, grad, sigmoid, tanh, walk
from minigrad.errors import GraphError, MutationError

pytestmark = [pytest.mark.usefixtures("runner"), pytest.mark.few_natively]

H = 4

STEPS: dict[str, Step] = {
    "two recurrences": lambda c, x, s: (tanh(s[0] @ c.V.T + x), tanh(s[1] @ c.U.T + x)),
    "delayed": lambda c, x, s: (x @ c.W.T, tanh(s[0] + s[1] @ c.U.T)),
    "fanned": lambda c, x, s: (s[1] @ c.U.T, tanh(s[1] @ c.V.T + x)),
    "gated": lambda c, x, s: (a := s[0] * sigmoid(s[1] @ c.U.T) + tanh(x * c.b), sigmoid(x @ c.W.T + s[1] @ c.V.T) * tanh(a)),
    "handed on": lambda c, x, s: (s[1], tanh(s[0] * c.b + x @ c.W.T)),
    "places exchanged": lambda c, x, s: (s[1], s[0]),
    "x as it is": lambda c, x, s: (x, tanh(s[0] * s[1] * c.b)),
    "turned": lambda c, x, s: (s[0][:, ::-1] * c.b, tanh(s[1] + x)[:, ::-1]),
    "rows of weights": lambda c, x, s: (s[0] * c.U[0], s[1] + x * c.V[1]),
    "a view of x": lambda c, x, s: (x[:, ::-1], tanh(s[1] + s[0] * c.b)),
}
OF_WEIGHTS: dict[str, Step] = {"a weight": lambda c, x, s: (c.U[:2], tanh(s[1] + s[0] * c.b + x))}
OPTIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "one step": (1, {}),
    "several steps": (4, {}),
    "windows": (5, {"truncated": 2}),
    "one step at a time": (3, {"truncated": 1, "reverse": True}),
    "lengths": (4, {"lengths": [1, 3]}),
    "lengths, windows": (4, {"lengths": [4, 2], "truncated": 1}),
}
WHERE_A_PART_IS_OF_A_WINDOW = {
    "handed on": ("windows", "one step at a time"),
    "x as it is": ("lengths, windows",),
    "a view of x": ("lengths, windows",),
}
"""Where a part of the last state has lost its history, and the compiled loop shares no memory with what it was."""

LEAVES = ("U", "V", "W", "b", "xs", "h 0", "h 1")


def both(run: Callable[[], dict[str, Any]]) -> None:
    found = seen(run)
    with plainly():
        assert_same(found, seen(run))


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (GraphError, MutationError) as error:
        return type(error).__name__


class Session:
    """One loop, passed and written to."""

    def __init__(self, step: str, option: str, wants: bool) -> None:
        T, options = OPTIONS[option]
        h = tuple(Tensor(random(B, H) + k, requires_grad=wants) for k in range(2))
        xs = Tensor(random(T, B, H), requires_grad=wants)
        cell = Of((STEPS | OF_WEIGHTS)[step], h, W=Parameter(random(H, H)), V=Parameter(random(H, H)))
        self.leaves = {"xs": xs, "h 0": h[0], "h 1": h[1], **dict(cell.named_parameters())}
        self.results = results_of(unroll(cell, xs, **options))

    def passed(self, result: str, *targets: str, **options: bool) -> Any:
        wanted = [self.leaves[name] for name in targets if self.leaves[name].requires_grad]
        if result not in self.results or not self.results[result].requires_grad or not wanted:
            return None
        loss = loss_of(self.results, [result])
        return outcome(lambda: np.concatenate([g.numpy().ravel() for g in grad(loss, wanted, **options)]))

    def written(self, name: str) -> Any:
        tensor = self.leaves.get(name, self.results.get(name))
        return None if tensor is None else outcome(lambda: tensor.data.__setitem__(..., tensor.numpy() * 1.25))

    def numbers(self) -> dict[str, Any]:
        return {name: result.numpy() for name, result in self.results.items()}


def listed(**found: Any) -> dict[str, Any]:
    """What was found, by names."""
    return {f"{what} {k}": value for what, values in found.items() for k, value in enumerate(values)}


@pytest.mark.parametrize("wants", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("step", STEPS)
def test_a_pass_to_some_targets_releases_what_leads_there(step: str, option: str, wants: bool) -> None:
    pairs = (("hs", "final 0"), ("final 0", "final 1"), ("final 1", "hs"), ("hs", "hs"))
    for k, first in enumerate(LEAVES):
        for result, then in (pairs[k % 4], pairs[(k + 1) % 4]):

            def run(first: str = first, result: str = result, then: str = then) -> dict[str, Any]:
                session = Session(step, option, wants)
                passes = [session.passed(result, first), *[session.passed(then, name) for name in LEAVES]]
                return listed(passes=passes) | {"rest": session.passed(result, *LEAVES)}

            both(run)


@pytest.mark.parametrize("wants", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("step", STEPS)
def test_after_a_pass_to_some_targets_may_be_written_to_what_is_not_needed(step: str, option: str, wants: bool) -> None:
    for result, target in (("final 0", "U"), ("hs", "b"), ("final 1", "V"), ("hs", "h 0"), ("final 0", "xs")):

        def run(result: str = result, target: str = target) -> dict[str, Any]:
            session = Session(step, option, wants)
            passes, writes = [session.passed(result, target)], []
            for name in (*LEAVES, "hs", "final 0", "final 1"):
                if option not in WHERE_A_PART_IS_OF_A_WINDOW.get(step, ()):
                    writes.append(session.written(name))
            then = session.numbers()
            passes += [session.passed(name, *LEAVES) for name in ("final 1", "final 0", "hs")]
            return listed(passes=passes, writes=writes) | then

        both(run)


@pytest.mark.parametrize("dropped", ["hs", "final 0", "final 1"])
@pytest.mark.parametrize("step", STEPS)
def test_results_that_nobody_has_any_more_keep_nothing(step: str, dropped: str) -> None:
    def run() -> dict[str, Any]:
        session = Session(step, "several steps", True)
        del session.results[dropped]
        passes = [session.passed(result, *LEAVES) for result in list(session.results)[:1]]
        return listed(passes=passes, writes=[session.written(name) for name in LEAVES])

    both(run)


@pytest.mark.parametrize("how", ["a hook", "twice", "a second derivative"])
@pytest.mark.parametrize("target", LEAVES)
@pytest.mark.parametrize("step", STEPS)
def test_what_was_released_at_once_is_released_in_single_steps_too(step: str, target: str, how: str) -> None:
    def run() -> dict[str, Any]:
        session = Session(step, "windows", True)
        before = [session.passed("hs", target)]
        if how == "a hook":
            for name in ("final 0", "final 1"):
                passes = session.passed(name, "b", retain_graph=True)
                if session.results[name].requires_grad and isinstance(passes, np.ndarray):
                    session.results[name].register_hook(lambda g: g * 0.5)
        second = how == "a second derivative"
        passes = [session.passed("final 1", "U", create_graph=second), session.passed("final 0", "V", "xs")]
        return listed(passes=before + passes + [session.passed("final 1", *LEAVES)])

    both(run)


def test_an_overflow_on_the_way_to_what_nobody_asked_for_is_not_seen() -> None:
    def run() -> dict[str, Any]:
        xs = Tensor(np.full((3, B, H), 1e-200), requires_grad=True)
        cell = Of(lambda c, x, h: h * 0.5 + x * c.U[0] * 1e200 * 1e200, Tensor(np.zeros((B, H))))
        hs, _ = unroll(cell, xs)
        return {"d": grad((hs * 1e-100).sum(), cell.U)[0].numpy()}

    both(run)


# ---------------------------------------------------------------- a last state that is a part of something else


@pytest.mark.parametrize("option", ["one step", "several steps", "windows", "one step at a time", "lengths"])
@pytest.mark.parametrize("step", ["x as it is", "a view of x", "a weight", "places exchanged"])
def test_a_last_state_that_is_a_part_of_an_operand_shows_what_is_written_there(step: str, option: str) -> None:
    def run() -> dict[str, Any]:
        session = Session(step, option, False)
        return listed(writes=[session.written(name) for name in ("xs", "h 0", "h 1", "U", "final 0")]) | session.numbers()

    both(run)


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("wants", [False, True])
def test_steps_of_no_example_are_zeros_behind_the_others_in_what_is_shown(step: str, wants: bool) -> None:
    def run() -> dict[str, Any]:
        session = Session(step, "lengths", wants)
        nodes = sorted(f"{node!r} of {len(node.inputs)}" for node in walk(session.results["hs"]))
        passes = [session.passed("hs", "b", "xs", create_graph=True), session.passed("hs", *LEAVES)]
        return {"nodes": nodes} | listed(passes=passes)

    both(run)


@pytest.mark.parametrize("option", ["windows", "lengths, windows"])
def test_a_state_that_lost_its_history_is_called_what_its_cell_calls_it(option: str) -> None:
    def run() -> dict[str, Any]:
        T, options = OPTIONS[option]
        xs = Tensor(random(T, B, H), requires_grad=True)
        for cell in (LSTM(H, H, seed=0), Of(lambda c, x, h: tanh(x @ c.U + h).named("mine"), Tensor(random(B, H)))):
            _, final = unroll(cell, xs, **options)
        return {"nodes": sorted(f"{node!r}" for node in walk(final))}

    both(run)


def test_the_loops_are_compiled() -> None:
    for step in STEPS:
        for option in OPTIONS:
            assert is_compiled(Session(step, option, True).results["hs"]), (step, option)
