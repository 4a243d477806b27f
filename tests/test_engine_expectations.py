"""What someone who comes from NumPy or PyTorch expects of the engine, and would otherwise find out the hard way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import ArgumentError, DTypeError, MinigradError, ShapeError

V = Tensor([1.0, 2.0, 3.0], requires_grad=True)
FUNCTION: Any = 3


def test_a_hook_is_removed_by_remove_as_in_pytorch_and_twice_does_nothing() -> None:
    x, seen = Tensor([1.0], requires_grad=True), []
    handle = x.register_hook(seen.append)
    (x * 2.0).backward()
    handle.remove()
    handle.remove()
    (x * 2.0).backward()
    np.testing.assert_array_equal(seen, [[2.0]])


def test_masks_are_joined_and_inverted_by_operators() -> None:
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    inside = (x > 1.0) & (x < 3.0)
    assert inside.tolist() == [False, True, False]
    assert (~inside).tolist() == [True, False, True]
    assert (inside | [True, False, False]).tolist() == [True, True, False]
    assert (np.array([True, True, False]) ^ inside).tolist() == [True, False, False]
    assert [(flag & inside).tolist() for flag in (True, False)] == [[False, True, False], [False] * 3]
    assert ([True, False, False] | inside).tolist() == [True, True, False]
    assert ([True, True, False] ^ inside).tolist() == [True, False, False]
    assert (~Tensor([0, 5])).tolist() == [-1, -6]
    x[~inside].sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, 0.0, 1.0])
    with pytest.raises(DTypeError, match="bitwise_and: not defined for float64"):
        x & x


def test_a_mean_of_losses_near_the_largest_number_is_exact_and_gives_no_warning() -> None:
    x = Tensor([[1e308, 0.0], [1e308, 0.0]], requires_grad=True)
    loss = mg.cross_entropy(x, [1, 1])
    assert loss.item() == 1e308
    loss.backward()
    np.testing.assert_array_equal(x.grad, [[0.5, -0.5]] * 2)
    assert mg.binary_cross_entropy_with_logits(Tensor([1e308, -1e308]), [0.0, 1.0]).item() == 1e308


def test_softplus_and_logaddexp_warn_of_nothing_at_the_extremes() -> None:
    assert mg.logaddexp(Tensor([1e308]), Tensor([-1e308])).tolist() == [1e308]
    np.testing.assert_array_equal(mg.softplus(Tensor([np.nan, np.inf, -np.inf])).numpy(), [np.nan, np.inf, 0.0])


@pytest.mark.parametrize("subscripts", ["ii->i", "ii", "ij,kk->ij", "ii,ij->j", "iji->j", "...ii->...i", "ijij->ji"])
def test_einsum_takes_diagonals(subscripts: str) -> None:
    rng = np.random.default_rng(0)
    terms = subscripts.split("->")[0].split(",")
    arrays = [rng.standard_normal((2,) * (4 if "..." in term else len(term))) for term in terms]
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    np.testing.assert_allclose(mg.einsum(subscripts, *tensors).numpy(), np.einsum(subscripts, *arrays), rtol=1e-14)
    assert mg.gradcheck(lambda *given: mg.einsum(subscripts, *given), tensors)
    assert mg.gradgradcheck(lambda *given: mg.einsum(subscripts, *given) ** 2.0, tensors)


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        (lambda: mg.detect_anomaly(lambda x: x), ArgumentError, "detect_anomaly: expected infinity .* write @detect_anomaly()"),
        (lambda: mg.grad(FUNCTION, V), DTypeError, "grad: expected Tensors, got int"),
        (lambda: mg.grad(V.sum(), None), DTypeError, "grad: expected Tensors, got NoneType"),
        (lambda: mg.edge_gradients(FUNCTION), DTypeError, "edge_gradients: expected Tensors, got int"),
        (lambda: mg.vjp(FUNCTION, V), DTypeError, "vjp: expected a function first, got 3"),
        (lambda: mg.jacobian(FUNCTION, V), DTypeError, "jacobian: expected a function first, got 3"),
        (lambda: mg.scan(FUNCTION, 0.0, V), DTypeError, "scan: expected a function first, got 3"),
        (lambda: mg.gradcheck(FUNCTION, V), DTypeError, "gradcheck: expected a function first, got 3"),
        (lambda: mg.gradcheck(mg.exp, np.ones(3)), DTypeError, "gradcheck: expected input 0 to be a Tensor .* got ndarray"),
        (lambda: mg.gradgradcheck(mg.exp, [V, None]), DTypeError, "gradgradcheck: expected input 1 .* got NoneType"),
        (lambda: mg.gradgradcheck(mg.exp, Tensor([1.0])), DTypeError, "gradgradcheck: no input has requires_grad=True"),
        (lambda: mg.gradcheck(mg.exp, V, eps=0.0), ArgumentError, "gradcheck: expected a step eps > 0, got 0.0"),
        (lambda: mg.reshape(V, (-2, 3)), ShapeError, r"reshape: expected lengths ≥ 0, or −1 .* got \(-2, 3\)"),
        (lambda: V.reshape(-3), ShapeError, "reshape: expected lengths ≥ 0"),
        (lambda: Tensor([1, [2, 3]]), ShapeError, r"Tensor: expected .* got \[1, \[2, 3\]\], whose parts differ"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(bad: Callable[[], Any], kind: type[MinigradError], message: str) -> None:
    with pytest.raises(kind, match=message):
        bad()
