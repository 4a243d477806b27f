"""The check that the family's gradient tests rest on catches what it is there to catch."""

import numpy as np
import pytest
from differences import along, assert_gradients, weighted

from minigrad import Tensor, tanh

LEAF = np.array([[0.3, -0.7], [0.2, 0.9]])


def leaf() -> Tensor:
    return Tensor(LEAF, requires_grad=True)


@pytest.mark.parametrize("every_entry", [True, False])
def test_right_gradients_pass_and_the_leaf_is_left_as_it_was(every_entry: bool) -> None:
    x = leaf()
    assert_gradients(lambda: weighted(tanh(x) * x), {"x": x}, every_entry=every_entry, tolerance=1e-9)
    np.testing.assert_array_equal(x.data, LEAF)


@pytest.mark.parametrize("every_entry", [True, False])
@pytest.mark.parametrize(
    "mistaken",
    [
        lambda x: tanh(x) * x.detach(),                                   # a path that the gradient misses
        lambda x: tanh(x) + 1e-6 * x.detach(),                            # a small one
        lambda x: tanh(x)[:1] + 0.0 * x[:1] + x.detach()[1:],             # entries that it misses
    ],
)
def test_planted_mistakes_are_caught_and_the_leaf_named(mistaken: object, every_entry: bool) -> None:
    x = leaf()
    with pytest.raises(AssertionError, match="x: off by"):
        assert_gradients(lambda: weighted(mistaken(x)), {"x": x}, every_entry=every_entry, tolerance=1e-8)


def test_a_leaf_that_gets_no_gradient_is_named() -> None:
    x, unused = leaf(), leaf()
    with pytest.raises(AssertionError, match="unused has no gradient"):
        assert_gradients(lambda: weighted(tanh(x)), {"unused": unused}, every_entry=True, tolerance=1e-8)


def test_five_points_differentiate_a_polynomial_of_degree_4_exactly() -> None:
    x = Tensor(np.array([2.0]), requires_grad=True)
    assert along(lambda: (x**4).sum(), x, np.array([1.0])) == pytest.approx(32.0, rel=1e-10)
