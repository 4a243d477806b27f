"""A gradient that is never sent is None, not zero: with lengths, windows and hooks as step by step."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np
import pytest
from minigrad.models import unroll

from minigrad import Module, Parameter, Tensor, tanh
from minigrad.errors import GraphError, MutationError
from minigrad.loops.activity import Stretch, stretches_of

pytestmark = pytest.mark.usefixtures("runner")

XS = np.random.default_rng(0).standard_normal((5, 2, 3))

STEPS: dict[str, Any] = {
    "c passes through": lambda W, V, x, c, h: (c, tanh(x + h @ W)),
    "c passes through and is read": lambda W, V, x, c, h: (c, tanh(x + h @ W + c)),
    "c forgets": lambda W, V, x, c, h: (x @ V, tanh(x + h @ W)),
    "c is the h before": lambda W, V, x, c, h: (h, tanh(x + h @ W)),
    "a step back": lambda W, V, x, c, h: (h, tanh(x + c @ W)),
    "h forgets": lambda W, V, x, c, h: (c * 2.0, tanh(x @ W)),
    "two recurrences": lambda W, V, x, c, h: (tanh(x + c @ V), tanh(x + h @ W)),
}


class Pair(Module):
    """Two parts of a state."""

    formula: Any

    def __init__(self) -> None:
        self.W, self.V = (Parameter(np.random.default_rng(k).standard_normal((3, 3)) / 2) for k in (1, 2))

    def initial_state(self, batch: int) -> Any:
        return tuple(Tensor(np.random.default_rng(k).standard_normal((batch, 3)), requires_grad=True) for k in (3, 4))

    def step(self, x: Tensor, state: Any) -> Any:
        return type(self).formula(self.W, self.V, x, *state)


def cells(step: str) -> list[Any]:
    """One that is run step by step, and one that is compiled."""
    return [type("Pairs", (Pair,), {"formula": staticmethod(STEPS[step]), "pure_step": pure})() for pure in (False, True)]


LOSSES: dict[str, Any] = {
    "hs": lambda hs, c, h: hs.sum(),
    "c": lambda hs, c, h: (c * c).sum(),
    "h": lambda hs, c, h: (h * h).sum(),
    "all": lambda hs, c, h: hs.sum() + (c * c).sum() + (h * h).sum(),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("lengths", [None, [5, 3], [3, 3], [5, 0], [1, 2]], ids=str)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("loss", LOSSES)
def test_what_no_gradient_gets_to_is_none_as_step_by_step(loss: str, step: str, lengths: list[int] | None) -> None:
    for reverse, truncated in itertools.product((False, True), (None, 2)):
        found = []
        for cell in cells(step):
            state = cell.initial_state(2)
            hs, (c, h) = unroll(cell, XS, state, lengths=lengths, reverse=reverse, truncated=truncated)
            try:
                LOSSES[loss](hs, c, h).backward()
            except GraphError as error:
                found.append(str(error))
                continue
            found.append([each.grad for each in (*state, cell.W, cell.V)])
        plain, compiled = found
        if isinstance(plain, str):
            assert compiled == plain
            continue
        assert [each is None for each in plain] == [each is None for each in compiled], (loss, reverse, truncated)
        for one, other in zip(plain, compiled, strict=True):
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_no_example_takes_passes_nothing_on(step: str) -> None:
    found = []
    for cell in cells(step):
        state = cell.initial_state(2)
        hs, _ = unroll(cell, XS[:2], state, mask=[[False, False], [True, True]])
        hs.sum().backward()
        found.append([each.grad is None for each in (*state, cell.W, cell.V)])
    assert found[0] == found[1]


def test_a_hook_on_a_last_state_leaves_the_other_recurrence_what_it_needs() -> None:
    for cell in cells("two recurrences"):
        seen: list[Any] = []
        _, (c, h) = unroll(cell, XS)
        h.register_hook(seen.append)
        (h * h).sum().backward()
        assert cell.W.grad is not None
        assert cell.V.grad is None
        cell.W.data[...] = 3.0  # no derivative needs it any more
        expected = unroll(cells("two recurrences")[0], XS)[1][0].numpy()
        np.testing.assert_allclose(c.numpy(), expected)
        (c * c).sum().backward()
        assert cell.V.grad is not None
        assert len(seen) == 1
        with pytest.raises(GraphError, match="already released"):
            (h * h).sum().backward()


def test_what_the_other_recurrence_of_a_state_needs_cannot_be_written_to_with_any_effect() -> None:
    found = []
    for cell in cells("two recurrences"):
        _, (c, h) = unroll(cell, XS)
        (h * h).sum().backward()
        with contextlib.suppress(MutationError):
            cell.V.data[...] = 3.0
        (c * c).sum().backward()
        found.append(cell.V.grad)
    np.testing.assert_allclose(*found)


def test_steps_that_are_alike_stand_together() -> None:
    mask = np.array([[1, 1], [1, 1], [1, 0], [0, 0]], bool)[:, :, None]
    assert stretches_of(4, 4, mask, False) == (Stretch(2, True, False), Stretch(1, None, False), Stretch(1, False, False))
    assert stretches_of(4, 4, mask, True) == (Stretch(1, False, False), Stretch(1, None, False), Stretch(2, True, False))
    assert stretches_of(4, 1, mask, False)[1:] == (Stretch(1, True, True), Stretch(1, None, True), Stretch(1, False, True))
    assert stretches_of(4, 9, None, False) == (Stretch(4, None, False),)
    assert stretches_of(5, 2, None, True) == (Stretch(2, None, False), Stretch(2, None, True), Stretch(1, None, True))
