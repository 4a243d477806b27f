"""What someone who comes from NumPy or PyTorch expects of the engine, and would otherwise find out the hard way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import ArgumentError, ConversionError, DTypeError, MinigradError, MutationError, ShapeError

REDUCTIONS = ["sum", "mean", "max", "min", "var", "std", "logsumexp", "argmax", "argmin", "cumsum"]
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
        (lambda: mg.grad(V.sum(), None), ArgumentError, r"grad: expected the inputs to differentiate by as well"),
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
        (lambda: V.sum(axis=True), ArgumentError, "sum: expected an integer axis, got True"),
        (lambda: V.sum(keepdims="no"), ArgumentError, "sum: keepdims: expected True or False, got 'no'"),
        (lambda: V.mean(keepdims="no"), ArgumentError, "mean: keepdims: expected True or False"),
        (lambda: V.std(keepdims="no"), ArgumentError, "std: keepdims: expected True or False"),
        (lambda: V.max(keepdims=2), ArgumentError, "max: keepdims: expected True or False, got 2"),
        (lambda: V.argmax(keepdims="no"), ArgumentError, "argmax: keepdims: expected True or False"),
        (lambda: V.logsumexp(keepdims="no"), ArgumentError, "logsumexp: keepdims: expected True or False"),
        (lambda: Tensor([1.0], requires_grad="yes"), ArgumentError, "requires_grad: expected True or False, got 'yes'"),
        (lambda: V.requires_grad_("yes"), ArgumentError, "requires_grad: expected True or False, got 'yes'"),
        (lambda: V.sum().backward(retain_graph="x"), ArgumentError, "backward: retain_graph: expected True or False"),
        (lambda: mg.grad(V.sum(), V, retain_graph="x"), ArgumentError, "grad: retain_graph: expected True or False"),
        (lambda: mg.grad(V.sum(), V, create_graph="x"), ArgumentError, "create_graph: expected True or False, got 'x'"),
        (lambda: mg.jacobian(mg.exp, V, create_graph="x"), ArgumentError, "create_graph: expected True or False"),
        (lambda: mg.grad([], V), ArgumentError, r"grad: expected at least one Tensor, got \[\]"),
        (lambda: mg.grad(V.sum(), ()), ArgumentError, r"grad: expected at least one Tensor, got \(\)"),
        (lambda: mg.vjp(lambda x: None, V), DTypeError, "vjp: expected the function to return Tensors, got None"),
        (lambda: V.astype(None), DTypeError, "astype: expected a dtype such as np.float32, got None"),
        (lambda: mg.reshape(V, None), ShapeError, "reshape: expected a shape, got None"),
        (lambda: V.std(ddof=-1), ArgumentError, "std: expected ddof ≥ 0 and below 3, the number of entries, got -1"),
        (lambda: Tensor([1, [2, 3]]), ShapeError, r"Tensor: expected .* got \[1, \[2, 3\]\], whose parts differ"),
        (lambda: V.backward("a"), DTypeError, "^backward: gradient: expected real numbers, got str"),
        (lambda: V.backward([1, [2]]), ShapeError, r"^backward: gradient: expected numbers or .* got \[1, \[2\]\]"),
        (lambda: V.backward([1j, 2j, 3j]), DTypeError, "^backward: gradient: expected real numbers, got complex ones"),
        (lambda: mg.grad(V, V, grad_outputs="a"), DTypeError, "^grad: gradient: expected real numbers, got str"),
        (lambda: setattr(V, "grad", "a"), DTypeError, "^grad: expected real numbers, got str"),
        (lambda: setattr(V, "data", ["a", "b", "c"]), ShapeError, r"^data: expected numbers or evenly nested lists"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(bad: Callable[[], Any], kind: type[MinigradError], message: str) -> None:
    with pytest.raises(kind, match=message):
        bad()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_sigmoid_keeps_its_lower_tail_in_every_precision(dtype: Any) -> None:
    x = np.array([-np.inf, -1000, -10, -5, 0, 5, 1000, np.inf], dtype)
    y = mg.sigmoid(Tensor(x)).numpy()
    assert y.dtype == dtype
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)
    assert (y[0], y[1]) == (0.0, 0.0)
    tail = Tensor(np.array([-20.0], np.float32), requires_grad=True)
    log = mg.log(mg.sigmoid(tail))
    log.backward()
    np.testing.assert_allclose(log.numpy(), [-20.0], rtol=1e-6)
    np.testing.assert_allclose(tail.grad, [1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "function"),
    [
        (lambda t: t.moveaxis(0, -1), lambda a: np.moveaxis(a, 0, -1)),
        (lambda t: t.expand_dims(1), lambda a: np.expand_dims(a, 1)),
        (lambda t: t.unsqueeze(-1), lambda a: np.expand_dims(a, -1)),
        (lambda t: t.broadcast_to((4, 2, 3)), lambda a: np.broadcast_to(a, (4, 2, 3))),
        (lambda t: t.flip(1), lambda a: np.flip(a, 1)),
        (lambda t: t.pad(1, constant_values=2.0), lambda a: np.pad(a, 1, constant_values=2.0)),
        (lambda t: t.tile(2), lambda a: np.tile(a, 2)),
        (lambda t: t.take_along_axis([[0], [2]], 1), lambda a: np.take_along_axis(a, np.array([[0], [2]]), 1)),
        (lambda t: t.log1p(), np.log1p),
        (lambda t: t.expm1(), np.expm1),
        (lambda t: t.sin(), np.sin),
        (lambda t: t.cos(), np.cos),
        (lambda t: t.matmul(t.T), lambda a: a @ a.T),
        (lambda t: t.outer([1.0, 2.0]), lambda a: np.outer(a, [1.0, 2.0])),
        (lambda t: t.maximum(0.5), lambda a: np.maximum(a, 0.5)),
        (lambda t: t.minimum(0.5), lambda a: np.minimum(a, 0.5)),
        (lambda t: t.where(t.detach() > 0.5, -1.0), lambda a: np.where(a > 0.5, a, -1.0)),
        (lambda t: t.clone(), np.copy),
        (lambda t: t.view(3, 2), lambda a: a.reshape(3, 2)),
        (lambda t: t.view(-1), np.ravel),
        (lambda t: t.permute(1, 0), np.transpose),
    ],
)
def test_methods_are_numpys_functions_and_pytorchs_habits(
    method: Callable[[Any], Tensor], function: Callable[[Any], Any]
) -> None:
    array = np.random.default_rng(0).uniform(0.1, 0.9, (2, 3))
    t = Tensor(array, requires_grad=True)
    np.testing.assert_array_equal(method(t).numpy(), function(array))
    assert mg.gradcheck(method, [t])


def test_a_tensor_answers_to_pytorchs_questions() -> None:
    t = Tensor([[1.0, 2.0, 3.0]])
    assert (t.numel(), t.dim()) == (3, 2)
    assert t.requires_grad_() is t
    assert t.requires_grad
    assert not t.requires_grad_(False).requires_grad


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: V % 2, r"%: not recorded for tensors; write x - y \* np.floor\(x / y\)"),
        (lambda: 2 % V, "%: not recorded"),
        (lambda: V // 2, r"//: not recorded for tensors; write np.floor\(x / y\)"),
        (lambda: 2 // V, "//: not recorded"),
        (lambda: divmod(V, 2), r"divmod: not recorded for tensors; write np.floor\(x / y\), x - y"),
        (lambda: round(V), r"round: not recorded for tensors; write np.round\(x\)"),
        (lambda: round(V, 2), "round: not recorded"),
    ],
)
def test_an_operator_that_is_not_recorded_names_what_is(bad: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        bad()


@pytest.mark.parametrize("axis", [0, -1, None])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_single_number_is_reduced_along_axis_0_as_in_numpy_and_pytorch(name: str, axis: int | None) -> None:
    x = Tensor(3.0, requires_grad=True)
    y = getattr(mg, name)(x, axis)
    expected = 0.0 if name in ("var", "std", "argmax", "argmin") else 3.0
    assert (y.shape, y.item()) == ((1,) if name == "cumsum" else (), expected)
    if y.requires_grad:
        y.sum().backward()
        assert x.grad == (0.0 if name in ("var", "std") else 1.0)


@pytest.mark.parametrize("axis", [0, -1, None])
def test_the_softmax_of_a_single_number_is_1(axis: int | None) -> None:
    for function, value in ((mg.softmax, 1.0), (mg.log_softmax, 0.0)):
        x = Tensor(3.0, requires_grad=True)
        y = function(x, axis)
        y.backward()
        assert (y.shape, y.item()) == ((), value)
        assert x.grad == 0.0


@pytest.mark.parametrize("shape", [(100, 100, 10), (3, 3, 3), (20, 1), (5, 5, 5), (2, 2, 2, 2), (10, 2), (4, 4, 1)])
def test_the_repr_is_short(shape: tuple[int, ...]) -> None:
    assert repr(Tensor(np.zeros(shape))).count("\n") < 12


def test_no_grad_and_enable_grad_decorate_also_without_parentheses() -> None:
    decorate: Any = mg.no_grad
    again: Any = mg.enable_grad

    @decorate
    def value(x: Tensor) -> Tensor:
        """Twice x."""
        return x * 2.0

    @decorate
    def values(x: Tensor) -> Any:
        yield x * 2.0

    assert not value(V).requires_grad
    assert not next(values(V)).requires_grad
    assert (value.__name__, value.__doc__) == ("value", "Twice x.")
    assert (V * 2.0).requires_grad
    with mg.no_grad():
        assert again(lambda x: x * 2.0)(V).requires_grad
        assert not (V * 2.0).requires_grad
    for setting in (decorate, again):
        with pytest.raises(ArgumentError, match=r"_grad: expected no argument, or a function to decorate, got 3"):
            setting(3)


def test_primals_of_a_function_of_several_arguments_may_stand_in_one_tuple() -> None:
    a, b = np.array([1.0, 2.0]), np.array([3.0, 5.0])

    def f(x: Tensor, y: Tensor) -> Tensor:
        return (x * x * y).sum()

    for one, several in (
        (mg.jacobian(f, (a, b)), mg.jacobian(f, a, b)),
        (mg.hessian(f, (a, b))[0], mg.hessian(f, a, b)[0]),
        (mg.hessian(f, [a, b])[1], mg.hessian(f, a, b)[1]),
        (mg.vjp(f, (a, b))[1](), mg.vjp(f, a, b)[1]()),
    ):
        assert len(one) == len(several) == 2
        for ours, theirs in zip(one, several, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert mg.jvp(f, (a, b), (a, b))[1].item() == 3 * (a * a * b).sum()
    da, db = mg.jacobian(lambda pair: (pair[0] * pair[1]).sum(), (a, b))
    np.testing.assert_array_equal([da.numpy(), db.numpy()], [b, a])


@pytest.mark.parametrize(
    "call",
    [
        lambda f: mg.vjp(f, V),
        lambda f: mg.jacobian(f, V),
        lambda f: mg.hessian(f, V),
        lambda f: mg.jvp(f, V, V),
        lambda f: mg.hvp(f, V, V),
        lambda f: mg.vjp(f, V, V, V),
        lambda f: mg.jacobian(f, (V, V, V)),
        lambda f: mg.jvp(f, (V, V, V), (V, V, V)),
    ],
)
def test_a_wrong_number_of_primals_is_refused_with_the_functions_signature(call: Callable[[Any], Any]) -> None:
    with pytest.raises(ArgumentError, match=r": expected one primal for each argument .* takes \(W, x\), got [13]; write"):
        call(lambda W, x: (W * x).sum())


def test_an_array_that_a_product_with_a_transpose_needs_is_said_to_be_needed_by_the_product() -> None:
    W, h = Tensor(np.ones((3, 2)), requires_grad=True, name="W"), Tensor(np.ones((4, 2)), requires_grad=True)
    y = h @ W.T
    with pytest.raises(MutationError, match="array of 'W' is needed for the derivative of 'matmul'"):
        W.data -= 0.1
    assert y.requires_grad
