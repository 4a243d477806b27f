"""A transposed weight is recorded as part of the product, and only where it really is transposed."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, gradcheck, gradgradcheck, walk

SEEN_AS: dict[str, tuple[Any, bool]] = {
    "W.T": (lambda W: W.T, True),
    "transpose(W)": (lambda W: mg.transpose(W), True),
    "transpose(W, (1, 0))": (lambda W: mg.transpose(W, (1, 0)), True),
    "transpose(W, (0, 1))": (lambda W: mg.transpose(W, (0, 1)), False),
    "swapaxes(W, 0, 1)": (lambda W: mg.swapaxes(W, 0, 1), True),
    "swapaxes(W, 1, 1)": (lambda W: mg.swapaxes(W, 1, 1), False),
    "W.T.T": (lambda W: W.T.T, False),
}


@pytest.mark.parametrize(("seen", "transposed"), SEEN_AS.values(), ids=SEEN_AS)
def test_a_square_weight_gets_its_own_gradient_however_it_is_turned(seen: Any, transposed: bool) -> None:
    rng = np.random.default_rng(0)
    W = Tensor(rng.standard_normal((3, 3)), requires_grad=True)
    x, g = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    (x @ seen(W)).backward(g)
    np.testing.assert_allclose(W.grad, g.T @ x if transposed else x.T @ g, rtol=1e-13)
    for shape in ((3,), (2, 3), (4, 2, 3)):
        inputs = [Tensor(rng.standard_normal(shape), requires_grad=True), W]
        assert gradcheck(lambda a, W: a @ seen(W), inputs, full=True)
        assert gradgradcheck(lambda a, W: a @ seen(W), inputs)


def test_a_product_with_a_transposed_weight_is_one_node_on_the_weight_itself() -> None:
    W = Tensor(np.eye(3), requires_grad=True, name="W")
    y = np.ones((2, 3)) @ W.T
    assert [node.label for node in walk(y)] == ["leaf", "matmul"]
    assert y.node is not None
    assert y.node.inputs == (None, W.node)


def test_a_transposed_batch_of_matrices_is_not_taken_for_a_transposed_weight() -> None:
    rng = np.random.default_rng(1)
    a, b = (Tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((2, 3, 4), (2, 3, 4)))
    assert gradcheck(lambda a, b: a @ mg.swapaxes(b, 1, 2), [a, b], full=True)
    assert gradcheck(lambda a, b: mg.transpose(a, (0, 2, 1)) @ b, [a, b], full=True)
