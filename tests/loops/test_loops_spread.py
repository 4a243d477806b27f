"""Variances, sums over letters, running sums and stacks are lines of a compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_formulas import D, OfFormula
from minigrad.models import unroll

import minigrad as mg
from minigrad import Tensor

T, B, H = 5, 2, 4
FORMULAS: dict[str, Any] = {
    "var": lambda cell, x, h: mg.tanh((x @ cell.A.T) * (h.var(axis=1, keepdims=True) + 0.1) ** -0.5),
    "std": lambda cell, x, h: mg.tanh(x @ cell.A.T + h / (np.std(h + x @ cell.C.T, axis=1, ddof=1, keepdims=True) + 0.1)),
    "einsum": lambda cell, x, h: mg.tanh(np.einsum("bd,hd->bh", x, cell.A) + np.einsum("bi,ji->bj", h, cell.P)),
    "cumsum": lambda cell, x, h: mg.tanh(np.cumsum(x @ cell.A.T + h, axis=1)),
    "stack": lambda cell, x, h: mg.stack([x @ cell.A.T, mg.tanh(h @ cell.P.T)], axis=1).mean(axis=1),
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_the_compiled_loop_gives_what_the_single_steps_give(formula: Any) -> None:
    cell = OfFormula(formula, H)
    xs = Tensor(np.random.default_rng(0).normal(size=(T, B, D)), requires_grad=True)
    (report,) = mg.explain_loop(unroll, cell, xs)
    assert report.is_compiled, report
    hs, last = unroll(cell, xs)
    h, outputs = cell.initial_state(B), []
    for x in xs:
        h = cell.step(x, h)
        outputs.append(h)
    single = mg.stack(outputs)
    np.testing.assert_array_equal(hs.numpy(), single.numpy())
    used = [xs, *(parameter for parameter in cell.parameters() if any(node is parameter.node for node in mg.walk(single)))]
    found = mg.grad((hs * hs).sum() + last.sum(), used)
    expected = mg.grad((single * single).sum() + h.sum(), used)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-15)
