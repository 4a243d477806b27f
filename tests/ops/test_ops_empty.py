"""Tensors without entries and tensors without axes: every operation is defined or says why not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import ArgumentError

ENTRYWISE = [mg.exp, mg.expm1, mg.log, mg.log1p, mg.sqrt, mg.sin, mg.cos, mg.tanh, mg.sigmoid, mg.softplus, mg.relu]
ENTRYWISE += [mg.absolute, mg.square, mg.negative, mg.softmax, mg.log_softmax, mg.copy, mg.flip]


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("function", ENTRYWISE)
def test_no_entries_give_no_entries_and_an_empty_gradient(function: Any, shape: tuple[int, ...]) -> None:
    x = Tensor(np.zeros(shape), requires_grad=True)
    y = function(x)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape


def test_the_sum_of_nothing_is_0_and_its_logarithm_minus_infinity() -> None:
    nothing = Tensor(np.zeros((0, 3)), requires_grad=True)
    assert nothing.sum().item() == 0
    assert nothing.sum(axis=0).tolist() == [0, 0, 0]
    assert mg.logsumexp(nothing, axis=0).tolist() == [-np.inf] * 3
    assert mg.logsumexp(nothing).item() == -np.inf


@pytest.mark.parametrize("name", ["mean", "var", "std", "max", "min", "argmax", "argmin"])
def test_what_nothing_does_not_have_is_refused(name: str) -> None:
    function = getattr(mg, name)
    for shape, axis in (((0,), None), ((0, 3), None), ((0, 3), 0), ((2, 0), 1)):
        with pytest.raises(ArgumentError, match=f"{name}: expected at least one entry"):
            function(Tensor(np.zeros(shape)), axis)
    assert function(Tensor(np.zeros((0, 3))), 1).shape == (0,)


@pytest.mark.parametrize(
    ("name", "ddof"), [("var", 3), ("std", 3), ("var", 5), ("var", True), ("var", "1"), ("std", np.nan), ("var", -1)]
)
def test_a_variance_needs_more_entries_than_ddof(name: str, ddof: Any) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: expected ddof ≥ 0 and below 3, the number of entries, got"):
        getattr(mg, name)(Tensor([1.0, 2.0, 3.0]), ddof=ddof)


def test_a_mean_loss_of_nothing_is_refused_and_a_sum_is_0() -> None:
    empty = Tensor(np.zeros((0, 3)), requires_grad=True)
    for call in (
        lambda r: mg.cross_entropy(empty, np.zeros(0, int), r),
        lambda r: mg.mse_loss(empty, empty, r),
        lambda r: mg.binary_cross_entropy_with_logits(empty, empty, r),
    ):
        with pytest.raises(ArgumentError, match="to average over"):
            call("mean")
        assert call("sum").item() == 0
        assert call("none").size == 0


@pytest.mark.parametrize(
    ("function", "value", "slope"),
    [
        (lambda x: x.sum(), 2, 1),
        (lambda x: x.mean(), 2, 1),
        (lambda x: x.max(), 2, 1),
        (lambda x: mg.var(x), 0, 0),
        (lambda x: mg.logsumexp(x), 2, 1),
        (lambda x: x.reshape(1)[0], 2, 1),
        (lambda x: x.T, 2, 1),
        (lambda x: mg.transpose(x, ()), 2, 1),
        (lambda x: mg.squeeze(x), 2, 1),
        (lambda x: mg.flip(x), 2, 1),
        (lambda x: mg.cumsum(x)[0], 2, 1),
        (lambda x: mg.softmax(mg.expand_dims(x, 0))[0], 1, 0),
        (lambda x: x[...], 2, 1),
        (lambda x: x[()], 2, 1),
        (lambda x: x[None, None][0, 0], 2, 1),
        (lambda x: mg.broadcast_to(x, (3,))[1], 2, 1),
        (lambda x: mg.stack([x, x])[1], 2, 1),
        (lambda x: mg.repeat(x, 2)[1], 2, 1),
        (lambda x: mg.tile(x, 2)[1], 2, 1),
        (lambda x: mg.pad(x, 3), 2, 1),
        (lambda x: mg.outer(x, x)[0, 0], 4, 4),
        (lambda x: mg.dot(x, 3.0), 6, 3),
        (lambda x: mg.where(True, x, 0.0), 2, 1),
        (lambda x: mg.take(x, [0, 0])[1], 2, 1),
        (lambda x: mg.mse_loss(x, 0.0), 4, 4),
        (lambda x: x / x, 1, 0),
        (lambda x: x**x, 4, 4 * (np.log(2) + 1)),
    ],
)
def test_a_tensor_without_axes_is_a_number_everywhere(function: Callable[[Tensor], Tensor], value: float, slope: float) -> None:
    x = Tensor(2.0, requires_grad=True)
    y = function(x)
    assert y.shape == ()
    assert y.item() == pytest.approx(value)
    (g,) = mg.grad(y, x, create_graph=True)
    assert g.shape == ()
    assert g.item() == pytest.approx(slope)


def test_second_derivatives_of_numbers_see_the_results_history() -> None:
    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    (first,) = mg.grad(a / b, b, create_graph=True)
    assert mg.grad(first, b)[0].item() == pytest.approx(2 * 2 / 27)
    (first,) = mg.grad(a**b, b, create_graph=True)
    assert mg.grad(first, b)[0].item() == pytest.approx(8 * np.log(2) ** 2)


@pytest.mark.parametrize(
    ("left", "right"),
    [((0, 3), (3, 4)), ((2, 3), (3, 0)), ((2, 0), (0, 4)), ((5, 2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((5, 2, 3), (3, 0))],
)
def test_products_over_and_of_nothing(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = Tensor(np.ones(left), requires_grad=True), Tensor(np.ones(right), requires_grad=True)
    y = a @ b
    np.testing.assert_array_equal(y.numpy(), np.ones(left) @ np.ones(right))
    y.sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.shape, b.grad.shape) == (left, right)


def test_parts_and_joins_of_nothing() -> None:
    nothing = Tensor(np.zeros((0, 3)), requires_grad=True)
    assert mg.unbind(nothing) == []
    assert [part.shape for part in mg.split(nothing, 3, axis=1)] == [(0, 1)] * 3
    assert mg.concatenate([nothing, np.ones((2, 3))]).shape == (2, 3)
    assert mg.embedding(np.zeros((0,), int), np.ones((2, 3))).shape == (0, 3)
    assert nothing[[]].shape == (0, 3)
    assert mg.repeat(nothing, 2, axis=0).shape == mg.tile(nothing, (2, 1)).shape == (0, 3)


def test_an_empty_list_is_no_index_and_no_label_whatever_numpy_takes_it_for() -> None:
    nothing = Tensor(np.zeros((0, 3)))
    assert mg.embedding([], np.ones((2, 3))).shape == mg.take(np.ones((2, 3)), [], axis=0).shape == (0, 3)
    assert mg.repeat(nothing, [], axis=0).shape == (0, 3)
    assert mg.cross_entropy(nothing, [], "sum").item() == 0


def test_a_tensor_is_a_sequence_of_its_parts() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    joined = mg.concatenate(x)
    assert joined.tolist() == mg.stack(x).reshape(4).tolist() == [1, 2, 3, 4]
    joined[3].backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0], [0, 1]]
