"""Mistakes in loops that are known: each of these tests fails now, and says so when it no longer does."""

from __future__ import annotations

from typing import Any

import pytest
from rolling_cases import assert_close
from rolling_formulas import CASES, Case, OfFormula, StepByStep, assert_right, weights
from test_rolling_layout import halves

from minigrad import Tensor, concatenate, sigmoid, tanh
from models.layers import unroll

MISTAKES = pytest.mark.xfail(strict=True, reason="a mistake in minigrad.rolling.layout or recording")


@MISTAKES
@pytest.mark.parametrize("case", CASES[2:4])
def test_gates_of_the_input_alone_that_multiply_one_state_may_be_joined(case: Case) -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        return tanh(concatenate([h * sigmoid(x @ k.A.T), h * tanh(x @ k.C.T)], axis=1) @ k.V.T)

    assert_right(step, case, is_rolled=None)


@MISTAKES
@pytest.mark.parametrize("case", CASES[:4])
def test_parts_of_parts_may_be_cut_out(case: Case) -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        (i, f), (g, o) = [halves(-half) for half in halves(k.all_gates(x, h))]
        return sigmoid(i) * h + tanh(f) * sigmoid(g) - o

    assert_right(step, case, is_rolled=None)


@MISTAKES
def test_an_input_of_one_column_is_not_taken_for_one_of_all_columns() -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        i, f = halves(x + h @ k.U[: 2 * k.H].T)
        return sigmoid(i) * tanh(f)

    cells = [kind(step, 2) for kind in (OfFormula, StepByStep)]
    for width in (4, 1):
        found, expected = [unroll(cell, weights(5, 3, width))[0].numpy() for cell in cells]
        assert_close({"hs": found}, {"hs": expected})
