"""What each operation does at its kinks, ties and poles: the choices that the documentation states."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor


def gradients(function: Callable[..., Tensor], *values: Any) -> list[Any]:
    leaves = [Tensor(np.array(value, np.float64), requires_grad=True) for value in values]
    y = function(*leaves)
    y.backward(np.ones(y.shape))
    return [leaf.grad.tolist() for leaf in leaves if leaf.grad is not None]


def test_the_slope_of_the_absolute_value_at_0_is_0() -> None:
    assert gradients(abs, [-2.0, -0.0, 0.0, 3.0]) == [[-1, 0, 0, 1]]


def test_the_slope_of_relu_at_0_is_0() -> None:
    assert gradients(mg.relu, [-2.0, -0.0, 0.0, 3.0]) == [[0, 0, 0, 1]]


@pytest.mark.parametrize(("function", "of_first"), [(mg.maximum, [0, 0.5, 1]), (mg.minimum, [1, 0.5, 0])])
def test_equal_operands_of_maximum_and_minimum_share_the_gradient(function: Any, of_first: list[float]) -> None:
    first, second = gradients(function, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert first == of_first
    assert second == [1 - share for share in of_first]
    assert gradients(lambda x: function(x, 2.0), [1.0, 2.0, 3.0]) == [of_first]


def test_an_operand_compared_with_itself_keeps_its_whole_gradient() -> None:
    assert gradients(lambda x: mg.maximum(x, x), [1.0, -2.0]) == [[1, 1]]


def test_clip_passes_the_gradient_at_its_bounds_as_inside() -> None:
    assert gradients(lambda x: mg.clip(x, -1.0, 1.0), [-1.5, -1.0, 0.0, 1.0, 1.5]) == [[0, 1, 1, 1, 0]]


def test_clip_gives_a_bound_the_gradient_where_it_took_effect() -> None:
    x, low, high = gradients(mg.clip, [-2.0, -1.0, 0.0, 1.0, 2.0, 0.0], [-1.0] * 5 + [3.0], [1.0] * 5 + [2.0])
    assert x == [0, 1, 1, 1, 0, 0]
    assert low == [1, 0, 0, 0, 0, 0]
    assert high == [0, 0, 0, 0, 1, 1]


def test_entries_that_attain_the_maximum_share_equally_in_any_order() -> None:
    assert gradients(mg.max, [3.0, 1.0, 3.0, 3.0]) == [[1 / 3, 0, 1 / 3, 1 / 3]]
    assert gradients(lambda x: mg.min(x, axis=1), [[0.0, 0.0], [1.0, 2.0]]) == [[[0.5, 0.5], [1, 0]]]
    assert gradients(lambda x: mg.max(x, axis=(0, 1)), [[5.0, 5.0], [5.0, 5.0]]) == [[[0.25, 0.25], [0.25, 0.25]]]


def test_a_nan_that_is_the_maximum_gets_the_gradient() -> None:
    assert gradients(mg.max, [1.0, np.nan, 3.0]) == [[0, 1, 0]]


@pytest.mark.parametrize("function", [abs, mg.relu, mg.max, lambda x: mg.clip(x, 0.0, 1.0), lambda x: mg.maximum(x, 0.5)])
def test_functions_that_are_straight_between_kinks_have_second_derivative_0(function: Any) -> None:
    x = Tensor([-0.7, 0.3, 0.9], requires_grad=True)
    (first,) = mg.grad(function(x).sum(), x, create_graph=True)
    (second,) = mg.grad((first * first).sum(), x)
    np.testing.assert_array_equal(second.numpy(), np.zeros(3))


@pytest.mark.parametrize(
    "function",
    [
        abs,
        mg.relu,
        lambda x: mg.clip(x, 0.0, 1.0),
        lambda x: mg.maximum(x, 0.5),
        lambda x: mg.where(x > 0, x, 0.0),
        lambda x: mg.where(x <= 0, 0.0, x),
    ],
)
@pytest.mark.parametrize("upstream", [np.inf, np.nan])
def test_where_the_slope_is_0_nothing_from_upstream_gets_through(function: Any, upstream: float) -> None:
    x = Tensor([0.0 if function is abs else -1.0, 0.75], requires_grad=True)
    function(x).backward([upstream, 1.0])
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad, [0, 1])


def test_where_keeps_the_branch_not_taken_out_of_backward() -> None:
    x = Tensor([-1.0, 4.0], requires_grad=True)
    safe = mg.where(x > 0, x, 1.0)
    mg.where(x > 0, mg.sqrt(safe), 0.0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0.25]


def test_powers_at_0_are_those_of_the_formula() -> None:
    assert gradients(lambda x: x**2, 0.0) == [0]
    assert gradients(lambda x: x**1, 0.0) == [1]
    assert gradients(lambda x: x**0, 0.0) == [0]
    assert gradients(lambda x: x**3, -2.0) == [12]
    assert gradients(lambda x: x**-1, -2.0) == [-0.25]
    assert gradients(lambda x: x**0.5, 0.0) == [np.inf]


def test_second_derivatives_of_powers_at_0() -> None:
    for power, expected in ((0, 0.0), (1, 0.0), (2, 2.0), (3, 0.0), (4, 0.0)):
        x = Tensor(0.0, requires_grad=True)
        (first,) = mg.grad(x**power, x, create_graph=True)
        assert mg.grad(first, x)[0].item() == expected


def test_anything_to_the_power_0_is_1_and_flat() -> None:
    bases, exponents = [-2.0, 0.0, 1e-320, 3.0, np.inf], [0.0] * 5
    a, b = Tensor(bases, requires_grad=True), Tensor(exponents, requires_grad=True)
    y = a**b
    assert y.tolist() == [1] * 5
    assert mg.grad(y.sum(), a)[0].tolist() == [0] * 5


def test_the_exponents_gradient_at_base_0_is_the_limit_from_the_right() -> None:
    a, b = Tensor([0.0, 0.0, 0.0, -2.0], requires_grad=True), Tensor([2.0, 0.0, -1.0, 2.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        y = a**b
    (db,) = mg.grad(y.sum(), b)
    np.testing.assert_array_equal(db.numpy(), [0, 0, -np.inf, np.nan])


def test_the_mixed_derivative_of_a_power_at_exponent_0_is_1_over_the_base() -> None:
    a, b = Tensor(4.0, requires_grad=True), Tensor(np.zeros(()), requires_grad=True)
    (da,) = mg.grad(a**b, a, create_graph=True)
    assert mg.grad(da, b)[0].item() == 0.25


@pytest.mark.parametrize(("function", "at"), [(mg.sqrt, 0.0), (lambda x: x**0.5, 0.0)])
def test_an_infinite_slope_comes_without_a_warning(function: Any, at: float) -> None:
    x = Tensor(at, requires_grad=True)
    (first,) = mg.grad(function(x), x, create_graph=True)
    assert first.item() == np.inf
    assert mg.grad(first, x)[0].item() == -np.inf


def test_poles_give_numpys_warning_forward_and_none_backward() -> None:
    x = Tensor([0.0], requires_grad=True)
    for function, slope in ((mg.log, np.inf), (lambda x: 1 / x, -np.inf), (lambda x: x**-1, -np.inf)):
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            y = function(x)
        assert mg.grad(y, x)[0].item() == slope


def test_the_standard_deviation_of_equal_numbers_has_gradient_0() -> None:
    assert gradients(lambda x: mg.std(x, axis=1), [[2.0, 2.0], [1.0, 3.0]]) == [[[0, 0], [-0.5, 0.5]]]
    x = Tensor([2.0, 2.0], requires_grad=True)
    (first,) = mg.grad(mg.std(x), x, create_graph=True)
    assert mg.grad(first.sum(), x)[0].tolist() == [0, 0]


def test_entries_taken_several_times_get_the_sum_of_their_gradients() -> None:
    assert gradients(lambda x: x[[0, 0, 2, 0]], [1.0, 2.0, 3.0]) == [[3, 0, 1]]
    assert gradients(lambda x: mg.take(x, [[2, 2], [2, -3]]), [1.0, 2.0, 3.0]) == [[1, 0, 3]]
    assert gradients(lambda x: mg.embedding([1, 1, 1], x), [[1.0], [2.0]]) == [[[0], [3]]]
    assert gradients(lambda x: mg.take_along_axis(x, [[0, 0, 0]], 1), [[1.0, 2.0]]) == [[[3, 0]]]
