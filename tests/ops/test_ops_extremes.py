"""At ±1e3, ±1e308 and ±∞: exact to the last digits, and no warning, forward, backward and backward again.

The references are computed with 400 decimal digits. Warnings are errors in this test run, and NumPy is told to raise.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import minigrad as mg
from minigrad import Tensor

MODERATE = [-700.0, -40.0, -20.0, -1.0, -1e-9, 0.0, 1e-300, 1e-9, 0.3, 1.0, 20.0, 40.0, 700.0]
VAST = [-np.inf, -1e308, -1e3, 1e3, 1e308, np.inf]


@pytest.fixture(autouse=True)
def floating_point_errors_raise() -> Iterator[None]:
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        yield


def exactly(function: Callable[[Decimal], Decimal], x: float) -> float:
    with localcontext() as context:
        context.prec = 400
        context.Emin, context.Emax = -999999, 999999
        return float(function(Decimal(x)))


def sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


REFERENCES: dict[str, tuple[Callable[[Any], Tensor], list[Callable[[Decimal], Decimal]]]] = {
    "sigmoid": (
        mg.sigmoid,
        [sigmoid, lambda x: sigmoid(x) * sigmoid(-x), lambda x: sigmoid(x) * sigmoid(-x) * (1 - 2 * sigmoid(x))],
    ),
    "softplus": (mg.softplus, [lambda x: (1 + x.exp()).ln(), sigmoid, lambda x: sigmoid(x) * sigmoid(-x)]),
    "logaddexp": (
        lambda x: mg.logaddexp(x, 1.0),
        [lambda x: (x.exp() + Decimal(1).exp()).ln(), lambda x: sigmoid(x - 1), lambda x: sigmoid(x - 1) * sigmoid(1 - x)],
    ),
    "log_softmax": (
        lambda x: mg.log_softmax(mg.stack([x, Tensor(0.0)]))[0],
        [lambda x: -(1 + (-x).exp()).ln(), lambda x: sigmoid(-x), lambda x: -sigmoid(x) * sigmoid(-x)],
    ),
    "logsumexp": (
        lambda x: mg.logsumexp(mg.stack([x, Tensor(0.0), Tensor(1.0)])),
        [
            lambda x: (x.exp() + 1 + Decimal(1).exp()).ln(),
            lambda x: sigmoid(x - (1 + Decimal(1).exp()).ln()),
            lambda x: sigmoid(x - (1 + Decimal(1).exp()).ln()) * sigmoid((1 + Decimal(1).exp()).ln() - x),
        ],
    ),
    "softmax": (
        lambda x: mg.softmax(mg.stack([x, Tensor(0.0)]))[0],
        [sigmoid, lambda x: sigmoid(x) * sigmoid(-x), lambda x: sigmoid(x) * sigmoid(-x) * (1 - 2 * sigmoid(x))],
    ),
    "cross_entropy": (
        lambda x: mg.cross_entropy(mg.stack([x, Tensor(0.0)]), 0),
        [lambda x: (1 + (-x).exp()).ln(), lambda x: -sigmoid(-x), lambda x: sigmoid(x) * sigmoid(-x)],
    ),
    "binary_cross_entropy_with_logits": (
        lambda x: mg.binary_cross_entropy_with_logits(x, np.array(0.25)),
        [
            lambda x: (1 + (-x).exp()).ln() / 4 + (1 + x.exp()).ln() * 3 / 4,
            lambda x: sigmoid(x) - Decimal("0.25"),
            lambda x: sigmoid(x) * sigmoid(-x),
        ],
    ),
}


def three_orders(function: Callable[[Any], Tensor], x: float) -> list[float]:
    leaf = Tensor(x, requires_grad=True)
    y = function(leaf)
    (first,) = mg.grad(y, leaf, create_graph=True)
    (second,) = mg.grad(first, leaf)
    return [y.item(), first.item(), second.item()]


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("x", MODERATE)
def test_values_and_two_derivatives_are_exact(name: str, x: float) -> None:
    function, references = REFERENCES[name]
    for found, reference in zip(three_orders(function, x), references, strict=True):
        expected = exactly(reference, x)
        assert abs(found - expected) <= 4e-16 * max(abs(expected), 1), (found, expected)


@pytest.mark.parametrize("x", MODERATE)
@pytest.mark.parametrize("name", ["sigmoid", "softplus", "logaddexp"])
def test_small_values_keep_their_digits(name: str, x: float) -> None:
    function, references = REFERENCES[name]
    expected = exactly(references[0], x)
    assert function(Tensor(x)).item() == pytest.approx(expected, rel=1e-15, abs=0)


LIMITS: dict[str, list[list[float]]] = {
    # for −∞, −1e308, −1e3, 1e3, 1e308, ∞: the value, the first and the second derivative
    "sigmoid": [[0, 0, 0]] * 3 + [[1, 0, 0]] * 3,
    "softplus": [[0, 0, 0]] * 3 + [[x, 1, 0] for x in (1e3, 1e308, np.inf)],
    "logaddexp": [[1, 0, 0]] * 3 + [[x, 1, 0] for x in (1e3, 1e308, np.inf)],
    "log_softmax": [[x, 1, 0] for x in (-np.inf, -1e308, -1e3)] + [[0, 0, 0]] * 3,
    "logsumexp": [[np.log1p(np.e), 0, 0]] * 3 + [[x, 1, 0] for x in (1e3, 1e308, np.inf)],
    "softmax": [[0, 0, 0]] * 3 + [[1, 0, 0]] * 3,
    "cross_entropy": [[x, -1, 0] for x in (np.inf, 1e308, 1e3)] + [[0, 0, 0]] * 3,
    "binary_cross_entropy_with_logits": [[x / 4, -0.25, 0] for x in (np.inf, 1e308, 1e3)]
    + [[x * 0.75, 0.75, 0] for x in (1e3, 1e308, np.inf)],
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_are_reached_without_a_warning(name: str) -> None:
    for x, expected in zip(VAST, LIMITS[name], strict=True):
        assert three_orders(REFERENCES[name][0], x) == pytest.approx(expected, rel=1e-15), x


def both_orders(function: Callable[[Any], Tensor], scores: Sequence[float]) -> list[NDArray[Any]]:
    leaf = Tensor(np.array(scores), requires_grad=True)
    y = function(leaf)
    upstream = np.arange(1.0, y.size + 1).reshape(y.shape)
    (first,) = mg.grad(y, leaf, create_graph=True, grad_outputs=upstream)
    (second,) = mg.grad(first, leaf, grad_outputs=np.arange(1.0, first.size + 1))
    return [y.numpy(), first.numpy(), second.numpy()]


@pytest.mark.parametrize("scale", [1e3, 1e308, np.inf])
def test_one_score_far_above_the_rest_takes_all(scale: float) -> None:
    scores = [0.0, scale, -scale]
    np.testing.assert_array_equal(both_orders(mg.softmax, scores), [[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    y, first, second = both_orders(mg.log_softmax, scores)
    np.testing.assert_array_equal(y, [-scale, 0, -np.inf if scale > 1e3 else -2e3])
    np.testing.assert_array_equal([first, second], [[1, 2 - 6, 3], [0, 0, 0]])
    y, first, second = both_orders(mg.logsumexp, scores)
    assert y == scale
    np.testing.assert_array_equal([first, second], [[0, 1, 0], [0, 0, 0]])
    y, first, second = both_orders(lambda x: mg.cross_entropy(x, 1), scores)
    assert y == 0
    np.testing.assert_array_equal([first, second], np.zeros((2, 3)))


def test_scores_of_minus_infinity_are_left_out() -> None:
    without = both_orders(lambda x: mg.log_softmax(x[[0, 2]]), [0.5, 9.0, -1.0])
    with_them = both_orders(lambda x: mg.log_softmax(x)[[0, 2]], [0.5, -np.inf, -1.0])
    for one, other in zip(without, with_them, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-15, atol=1e-16)


def test_equal_scores_share_however_large_they_are() -> None:
    for scale in (1e3, -1e3, 1e308, -1e308):
        np.testing.assert_allclose(both_orders(mg.softmax, [scale, scale])[0], [0.5, 0.5], rtol=1e-15)
        np.testing.assert_allclose(both_orders(mg.logsumexp, [scale, scale])[1], [0.5, 0.5], rtol=1e-15)


def test_where_there_is_no_limit_the_result_is_nan() -> None:
    for scores in ([np.inf, np.inf, 0.0], [-np.inf, -np.inf, -np.inf]):
        assert np.isnan(mg.softmax(Tensor(scores)).numpy()).all()
        assert np.isnan(mg.log_softmax(Tensor(scores)).numpy()).all()
    assert mg.logsumexp(Tensor([np.inf, np.inf])).item() == np.inf
    assert mg.logsumexp(Tensor([-np.inf, -np.inf])).item() == -np.inf


def test_a_certain_and_right_prediction_costs_nothing() -> None:
    logits = Tensor([np.inf, -np.inf, 1e308, -1e308], requires_grad=True)
    loss = mg.binary_cross_entropy_with_logits(logits, [1.0, 0.0, 1.0, 0.0], "sum")
    assert loss.item() == 0
    loss.backward()
    np.testing.assert_array_equal(logits.grad, np.zeros(4))


def test_tanh_and_relu_are_flat_far_out() -> None:
    assert three_orders(mg.tanh, 1e308) == [1, 0, 0]
    assert three_orders(mg.tanh, -np.inf) == [-1, 0, 0]
    assert three_orders(mg.relu, -1e308) == [0, 0, 0]
    assert three_orders(mg.relu, np.inf) == [np.inf, 1, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_smaller_precisions_do_not_overflow_either(dtype: Any) -> None:
    largest = np.finfo(dtype).max
    for function in (mg.sigmoid, mg.softplus, mg.softmax, mg.log_softmax, mg.logsumexp):
        x = Tensor(np.array([largest, 0, -largest], dtype), requires_grad=True)
        y = function(x)
        (g,) = mg.grad(y.sum(), x, create_graph=True)
        (second,) = mg.grad((g * np.array(0.5, dtype)).sum(), x)
        assert y.dtype == g.dtype == second.dtype == dtype
        assert np.isfinite(g.numpy()).all()
        assert np.isfinite(second.numpy()).all()


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
def test_targets_have_their_gradient_where_the_logits_need_none(reduction: str) -> None:
    logits = np.array([-2.0, 0.5, 3.0])
    targets = Tensor([0.25, 0.5, 1.0], requires_grad=True)
    mg.binary_cross_entropy_with_logits(logits, targets, reduction).sum().backward()
    np.testing.assert_allclose(targets.grad, -logits / (3 if reduction == "mean" else 1), rtol=1e-15)
    scores = Tensor(logits, requires_grad=True)
    mg.binary_cross_entropy_with_logits(scores, targets.numpy(), reduction).sum().backward()
    expected = (1 / (1 + np.exp(-logits)) - targets.numpy()) / (3 if reduction == "mean" else 1)
    np.testing.assert_allclose(scores.grad, expected, rtol=1e-14)
