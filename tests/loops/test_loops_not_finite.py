"""Where numbers are not finite a loop sends its gradients step by step: what one example spoils is no other's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, pair
from loops_formulas import weights
from minigrad.models import unroll
from minigrad.models.cells import RNN

from minigrad import Tensor, scan

pytestmark = pytest.mark.usefixtures("runner")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_tensor_that_is_given_to_a_loop_several_times_is_sent_its_gradient_once(bad: float) -> None:
    def gradient(number: float) -> Any:
        start, xs = Tensor(np.full(3, 0.3), requires_grad=True), np.ones((4, 3))
        xs[2, 0] = number
        with np.errstate(all="ignore"):
            (a, b), _ = scan(lambda c, x: ((c[0] * 0.5 + x * start, c[1] * c[0]), None), (start, start), xs)
            ((a * a).sum() + b.sum()).backward()
        return start.grad

    np.testing.assert_allclose(gradient(bad)[1:], gradient(1.0)[1:], 1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_state_with_which_two_loops_above_each_other_begin_is_sent_each_part_once(bad: float) -> None:
    def gradient(number: float) -> Any:
        cells = [pair("rnn")[0], RNN(H, H, seed=2)]
        start, y = Tensor(np.full((2, H), 0.3), requires_grad=True), weights(5, 2, D)
        y[2, 0, 0] = number
        with np.errstate(all="ignore"):
            for cell in cells:
                y, _ = unroll(cell, y, start)
            (y * y).sum().backward()
        return start.grad

    np.testing.assert_allclose(gradient(bad)[1], gradient(1.0)[1], 1e-14)


def test_a_loop_with_several_outputs_sends_what_each_of_them_is_sent() -> None:
    def gradient(number: float) -> Any:
        start, xs = Tensor(np.full(3, 0.3), requires_grad=True), np.ones((4, 3))
        xs[2, 0] = number
        with np.errstate(all="ignore"):
            _, (ys, zs) = scan(lambda c, x: (c * 0.5 + x, (c * 2.0, c * x)), start, xs)
            ((ys * ys).sum() + 3.0 * zs.sum()).backward()
        return start.grad

    np.testing.assert_allclose(gradient(np.nan)[1:], gradient(1.0)[1:], 1e-14)
