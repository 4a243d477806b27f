"""A bias is added in the memory of the product that was just computed; nothing else can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from minigrad.models.recurrent import affine

from minigrad import Tensor, no_grad
from minigrad.ops.arithmetic import add, add_to


def product_and_bias(dtype: Any = np.float64, of_bias: Any = None, learnt: bool = True) -> tuple[Tensor, Tensor]:
    x = Tensor(np.arange(12.0).reshape(2, 2, 3), dtype=dtype)
    W = Tensor(np.linspace(-1, 1, 12).reshape(4, 3), requires_grad=learnt, dtype=dtype)
    return x @ W.T, Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=learnt, dtype=of_bias or dtype)


@pytest.mark.parametrize("learnt", [True, False])
def test_the_sum_is_that_of_add_in_the_memory_of_the_product(learnt: bool) -> None:
    a, b = product_and_bias(learnt=learnt)
    expected = add(a, b)
    found = add_to(a, b)
    assert np.shares_memory(found.data, a.data)
    assert np.array_equal(found.numpy(), expected.numpy())
    assert found.requires_grad == expected.requires_grad == learnt


def test_under_no_grad_nothing_is_recorded() -> None:
    with no_grad():
        a, b = product_and_bias()
        found = add_to(a, b)
    assert found.node is None
    assert np.shares_memory(found.data, a.data)


def test_the_gradients_and_the_graph_are_those_of_add() -> None:
    gradients, labels = [], []
    for function in (add, add_to):
        a, b = product_and_bias()
        y = function(a, b)
        (y * y).sum().backward()
        gradients.append(b.grad)
        labels.append([node.label for node in y.node.inputs] + [y.node.label])
    assert np.array_equal(*gradients)
    assert labels[0] == labels[1] == ["matmul", "leaf", "add"]


@pytest.mark.parametrize("of_bias", [np.float32, np.float64])
def test_a_sum_of_another_dtype_is_an_ordinary_one(of_bias: Any) -> None:
    a, b = product_and_bias(np.float32 if of_bias is np.float64 else np.float64, of_bias)
    found = add_to(a, b)
    assert found.dtype == np.float64
    assert not np.shares_memory(found.data, a.data)


def test_a_sum_of_another_shape_is_an_ordinary_one() -> None:
    a = Tensor(np.ones((2, 1))) * 2.0
    assert add_to(a, Tensor([1.0, 2.0])).shape == (2, 2)
    assert a.tolist() == [[2.0], [2.0]]
    vector = Tensor([1.0, 2.0]) * 1.0
    assert add_to(vector, Tensor([1.0, 2.0])).tolist() == [2.0, 4.0]
    assert vector.tolist() == [1.0, 2.0]


def test_what_an_affine_map_is_given_is_not_changed() -> None:
    x, W, b = Tensor(np.ones((2, 3))), Tensor(np.ones((4, 3)), requires_grad=True), Tensor(np.ones(4), requires_grad=True)
    y = affine(x, W, b)
    assert y.tolist() == [[4.0] * 4] * 2
    assert (x.numpy() == 1).all()
    assert (W.numpy() == 1).all()
    assert b.tolist() == [1.0] * 4
