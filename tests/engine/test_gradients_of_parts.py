"""Gradients of an array that was cut into parts, in every mixture of ways, and what many cuts of one weight cost."""

import itertools
import tracemalloc

import numpy as np
import pytest

from minigrad import Tensor, split, tanh, unbind

CUTS = {
    "split in 3": lambda x: split(x, 3),
    "split at 1": lambda x: split(x, [1]),
    "split at 0 and 1": lambda x: split(x, [0, 1]),
    "split of columns": lambda x: split(x, 2, axis=1),
    "unbind": unbind,
    "unbind of columns": lambda x: unbind(x, axis=1),
    "indices": lambda x: [x[0], x[1:], x[:, 1]],
    "whole": lambda x: [x],
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations_with_replacement(CUTS, 2)))
def test_any_choice_of_parts_cut_in_two_ways_gets_its_gradients(first: str, second: str) -> None:
    numbers = np.arange(6.0).reshape(3, 2)
    parts = len(CUTS[first](Tensor(numbers))) + len(CUTS[second](Tensor(numbers)))
    for chosen in itertools.product([False, True], repeat=parts):
        x = Tensor(numbers, requires_grad=True)
        used = [(k + 1.0, part) for k, part in enumerate([*CUTS[first](x), *CUTS[second](x)]) if chosen[k]]
        if used:
            sum((weight * part.sum() for weight, part in used), Tensor(0.0)).backward()
            expected = sum((weight * np.isin(numbers, part.data) for weight, part in used), np.zeros((3, 2)))
            np.testing.assert_array_equal(x.grad, expected)


def test_a_weight_split_at_every_step_costs_backward_no_memory_per_step() -> None:
    W = Tensor(np.eye(3 * 64, 64), requires_grad=True)

    def peak(steps: int) -> int:
        h = Tensor(np.ones((1, 64)))
        for _ in range(steps):
            a, b, c = split(W, 3)
            h = tanh(h @ a.T + h @ b.T + h @ c.T)
        tracemalloc.start()
        h.sum().backward()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(100) < peak(10) + 10 * W.data.nbytes
