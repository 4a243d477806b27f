"""NumPy's promotion for arrays; numbers, Python's and NumPy's, change no dtype; a gradient has its variable's."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import DTypeError
from minigrad.graph import Operation

FLOATS = (np.float16, np.float32, np.float64)
BINARY: list[tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = [
    (mg.add, np.add),
    (mg.subtract, np.subtract),
    (mg.multiply, np.multiply),
    (mg.divide, np.divide),
    (mg.power, np.power),
    (mg.maximum, np.maximum),
    (mg.minimum, np.minimum),
    (mg.logaddexp, np.logaddexp),
    (mg.matmul, np.matmul),
    (mg.dot, np.dot),
    (mg.outer, np.outer),
    (lambda a, b: mg.concatenate([a, b]), lambda a, b: np.concatenate([a, b])),
    (lambda a, b: mg.stack([a, b]), lambda a, b: np.stack([a, b])),
    (lambda a, b: mg.where([True, False, True], a, b), lambda a, b: np.where([True, False, True], a, b)),
    (lambda a, b: mg.einsum("i,i->", a, b), lambda a, b: np.einsum("i,i->", a, b)),
    (lambda a, b: mg.clip(a, b, b), lambda a, b: np.clip(a, b, b)),
    (mg.mse_loss, lambda a, b: np.square(a - b).mean()),
    (mg.binary_cross_entropy_with_logits, lambda a, b: a.sum() + b.sum()),
]


@pytest.mark.parametrize(("first", "second"), list(itertools.product(FLOATS, repeat=2)))
def test_mixed_precisions_promote_as_in_numpy_and_gradients_come_back_in_the_variables(first: Any, second: Any) -> None:
    for ours, numpys in BINARY:
        a, b = np.array([0.5, 0.25, 1.0], first), np.array([0.5, 0.75, 0.125], second)
        x, y = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
        z = ours(x, y)
        assert z.dtype == numpys(a, b).dtype
        z.backward(np.ones(z.shape))
        assert x.grad is not None
        assert y.grad is not None
        assert (x.grad.dtype, y.grad.dtype) == (first, second)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("number", [2, 0.5, True, np.float64(0.5), np.float32(0.5), np.int64(2), np.bool_(True)])
def test_numbers_never_change_a_dtype(dtype: Any, number: Any) -> None:
    for function in (mg.add, mg.subtract, mg.multiply, mg.divide, mg.maximum, mg.minimum, mg.logaddexp, mg.power):
        for call in (lambda x, f=function: f(x, number), lambda x, f=function: f(number, x)):
            x = Tensor(np.array([0.5, 1.5], dtype), requires_grad=True)
            y = call(x)
            (g,) = mg.grad(y.sum(), x, create_graph=True)
            assert y.dtype == g.dtype == dtype
    x = Tensor(np.array([0.5, 1.5], dtype))
    assert mg.clip(x, 0, number).dtype == mg.einsum("i,->i", x, number).dtype == dtype
    assert mg.where(x > 1, x, number).dtype == mg.where(x > 1, number, x).dtype == dtype
    assert (number * x).dtype == (x / number).dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_function_of_one_tensor_keeps_its_precision(dtype: Any) -> None:
    functions: list[Callable[[Any], Any]] = [mg.exp, mg.expm1, mg.log, mg.log1p, mg.sqrt, mg.sin, mg.cos, mg.tanh, mg.sigmoid]
    functions += [mg.softplus, mg.relu, mg.absolute, mg.square, mg.negative, mg.softmax, mg.log_softmax, mg.logsumexp, mg.sum]
    functions += [mg.mean, mg.var, mg.std, mg.max, mg.min, mg.cumsum, mg.ravel, mg.transpose, mg.flip, mg.copy]
    functions += [lambda x: x**2, lambda x: x**0.5, lambda x: mg.pad(x, 1), lambda x: mg.repeat(x, 2), lambda x: mg.tile(x, 2)]
    functions += [lambda x: mg.dropout(x, 0.3, rng=1), lambda x: mg.clip(x, 0.3, None), lambda x: mg.cross_entropy(x, 1)]
    for function in functions:
        x = Tensor(np.array([0.5, 0.25, 1.5], dtype), requires_grad=True)
        y = function(x)
        (g,) = mg.grad(y.sum(), x, create_graph=True)
        assert y.dtype == g.dtype == dtype


def test_integer_targets_do_not_upcast_a_prediction() -> None:
    x = Tensor(np.array([0.5, 0.25], np.float32), requires_grad=True)
    assert mg.mse_loss(x, np.array([0, 1])).dtype == np.float32
    assert mg.binary_cross_entropy_with_logits(x, np.array([False, True])).dtype == np.float32


def test_integers_become_floats_where_numpy_makes_them() -> None:
    whole = Tensor([1, 2, 3])
    assert (whole + 1).dtype == (whole * whole).dtype == mg.sum(whole).dtype == np.int64
    assert (whole / 2).dtype == mg.exp(whole).dtype == mg.mean(whole).dtype == mg.sigmoid(whole).dtype == np.float64
    assert mg.softmax(whole).dtype == mg.logsumexp(whole).dtype == np.float64


def test_astype_brings_the_gradient_back_in_the_old_precision() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (x.astype(np.float32) * np.float32(3)).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float64
    assert x.grad.tolist() == [3, 3]
    with pytest.raises(DTypeError, match=r"int64 has no gradient; use \.detach\(\)"):
        x.astype(np.int64)
    assert x.detach().astype(np.int64).tolist() == [1, 2]


def test_strided_and_stretched_arrays_are_taken_as_they_are() -> None:
    base = np.arange(24.0).reshape(2, 3, 4)
    views = (base.transpose(2, 0, 1), base[:, ::-1, ::2], np.broadcast_to(base[:1], base.shape), np.asfortranarray(base))
    for view in views:
        x = Tensor(view, requires_grad=True)
        (mg.tanh(x) * view).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad, view * (1 - np.tanh(view) ** 2), rtol=1e-14, atol=1e-14)


ON_ARRAYS: dict[str, Callable[[Any, Any], Any]] = {
    "astype": lambda a, b: mg.astype(a, np.float64),
    "broadcast_to": lambda a, b: mg.broadcast_to(a, (2, 2)),
    "cat": lambda a, b: mg.cat([a, b]),
    "clip": lambda a, b: mg.clip(a, 0.0, 1.0),
    "compare": lambda a, b: mg.compare(np.less, a, b),
    "concatenate": lambda a, b: mg.concatenate([a, b]),
    "cross_entropy": lambda a, b: mg.cross_entropy(a, [0, 1]),
    "dropout": lambda a, b: mg.dropout(a, training=False),
    "einsum": lambda a, b: mg.einsum("ij->ij", a),
    "embedding": lambda a, b: mg.embedding([0, 1], a),
    "expand_dims": lambda a, b: mg.expand_dims(a, 0),
    "gather": lambda a, b: mg.gather(a, 0, [[0, 1], [1, 0]]),
    "getitem": lambda a, b: mg.getitem(a, ...),
    "hstack": lambda a, b: mg.hstack([a]),
    "moveaxis": lambda a, b: mg.moveaxis(a, 0, 1),
    "pad": lambda a, b: mg.pad(a, 0),
    "repeat": lambda a, b: mg.repeat(a, 1, 0),
    "reshape": lambda a, b: mg.reshape(a, (4,)),
    "split": lambda a, b: mg.split(a, 1),
    "stack": lambda a, b: mg.stack([a]),
    "swapaxes": lambda a, b: mg.swapaxes(a, 0, 1),
    "take": lambda a, b: mg.take(a, [0, 1], 0),
    "take_along_axis": lambda a, b: mg.take_along_axis(a, [0, 1], None),
    "tile": lambda a, b: mg.tile(a, 1),
    "vstack": lambda a, b: mg.vstack([a]),
    "where": lambda a, b: mg.where([[True], [False]], a, b),
}
OF_TWO = [mg.add, mg.subtract, mg.multiply, mg.divide, mg.power, mg.maximum, mg.minimum, mg.logaddexp, mg.matmul, mg.dot]
OF_TWO += [mg.vdot, mg.outer, mg.mse_loss, mg.binary_cross_entropy_with_logits]


@pytest.mark.parametrize("name", mg.ops.__all__)
def test_plain_arrays_are_taken_too_and_the_result_does_not_share_their_memory(name: str) -> None:
    a, b = np.array([[0.5, 0.25], [0.75, 0.125]]), np.array([[0.1, 0.2], [0.3, 0.4]])
    function = getattr(mg, name)
    special = ON_ARRAYS.get(function.__name__)
    result = special(a, b) if special is not None else function(a, b) if function in OF_TWO else function(a)
    for part in result if isinstance(result, list) else [result]:
        assert isinstance(part, Tensor)
        assert part.node is None
        assert not np.shares_memory(part.data, a)
        assert not np.shares_memory(part.data, b)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_power_of_a_number_sends_back_what_has_the_dtype_of_the_exponent(dtype: Any) -> None:
    power = 2 ** Tensor(np.ones(3, dtype), requires_grad=True)
    operation = power.node
    assert isinstance(operation, Operation)
    _, sent = operation.vjp(np.ones(3, dtype), *operation.needed())
    assert sent.dtype == dtype
