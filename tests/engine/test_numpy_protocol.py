"""NumPy's functions on Tensors: they record, or they refuse and name the nearest thing that works; nothing is lost."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import ArgumentError, ConversionError
from minigrad.graph import Operation
from minigrad.ops import protocol
from minigrad.ops.nearest import INSTEAD

RNG = np.random.default_rng(3)
X, Y = RNG.uniform(0.2, 0.9, (3, 4)), RNG.uniform(0.2, 0.9, (3, 4))
PICKED = np.array([[0, 2], [1, 1], [3, 0]])


def source(function: Callable[..., Any]) -> str:
    """What a lambda says, as the name of a test."""
    return inspect.getsource(function).partition(": ")[2].strip().rstrip(",")


RECORDED: list[Callable[[Any, Any], Any]] = [
    lambda x, y: np.add(x, y),
    lambda x, y: np.subtract(x, y),
    lambda x, y: np.multiply(x, y),
    lambda x, y: np.divide(x, y),
    lambda x, y: np.true_divide(x, y),
    lambda x, y: np.power(x, y),
    lambda x, y: np.maximum(x, y),
    lambda x, y: np.minimum(x, y),
    lambda x, y: np.logaddexp(x, y),
    lambda x, y: np.negative(x) + np.positive(y),
    lambda x, y: np.abs(x) + np.absolute(y),
    lambda x, y: np.exp(x) + np.expm1(y),
    lambda x, y: np.log(x) + np.log1p(y),
    lambda x, y: np.sqrt(x) + np.square(y),
    lambda x, y: np.sin(x) + np.cos(y),
    lambda x, y: np.tanh(x, out=None, where=True) + y,
    lambda x, y: np.matmul(x, y.T),
    lambda x, y: np.dot(x, y.T),
    lambda x, y: np.dot(a=x, b=y.T, out=None),
    lambda x, y: np.vdot(x, y),
    lambda x, y: np.outer(x[0], y[1]),
    lambda x, y: np.einsum("ij,kj->ik", x, y),
    lambda x, y: np.einsum("ij,kj->ik", x, y, optimize=True),
    lambda x, y: np.where(PICKED[:, :1] > 0, x, y),
    lambda x, y: np.where(x > y, x, 0.0),
    lambda x, y: np.clip(x, 0.3, 0.8) + np.clip(y, a_min=None, a_max=0.5),
    lambda x, y: np.clip(x, y, None),
    lambda x, y: np.sum(x) + np.sum(y, 0) + np.sum(a=x, axis=0),
    lambda x, y: np.sum(x, axis=(0, 1), keepdims=True) + y,
    lambda x, y: np.sum(x, 1, None, None, True) + y,
    lambda x, y: np.mean(x, axis=-1, keepdims=True, dtype=None) + np.mean(y),
    lambda x, y: np.var(x, axis=0, ddof=1) + np.std(y, 0, None, None, 1),
    lambda x, y: np.prod(x, axis=1) + np.linalg.norm(y, axis=1),
    lambda x, y: np.max(x, axis=1) + np.amax(y, axis=1),
    lambda x, y: np.min(x, 0) + np.amin(y, 0, keepdims=True),
    lambda x, y: np.cumsum(x, axis=1) + np.cumsum(y).reshape(3, 4),
    lambda x, y: np.reshape(x, (4, 3)) + np.reshape(y, (4, 3), order="C"),
    lambda x, y: np.ravel(x) + np.ravel(y, order="C"),
    lambda x, y: np.transpose(x) + np.transpose(y, axes=(1, 0)),
    lambda x, y: np.swapaxes(x, 0, 1) + np.moveaxis(y, 0, -1),
    lambda x, y: np.squeeze(np.expand_dims(x, (0, 2)), axis=2) + y,
    lambda x, y: np.broadcast_to(x, (2, 3, 4)) + np.broadcast_to(array=y, shape=(2, 3, 4), subok=False),
    lambda x, y: np.concatenate([x, y], axis=-1),
    lambda x, y: np.concatenate((x, Y), axis=0) * np.concatenate((X, y)),
    lambda x, y: np.concatenate([x, y], axis=None),
    lambda x, y: np.stack([x, y], axis=1),
    lambda x, y: np.vstack([x, y[0]]),
    lambda x, y: np.hstack((x, y)),
    lambda x, y: np.split(x, 2, axis=1)[0] + np.split(y, [1, 3], axis=1)[1],
    lambda x, y: np.unstack(x)[2] + np.unstack(y, axis=0)[1] if hasattr(np, "unstack") else x[2] + y[1],
    lambda x, y: np.flip(x) + np.flip(y, axis=0),
    lambda x, y: np.pad(x, ((1, 0), (0, 2))) + np.pad(y, [(0, 1), (2, 0)], mode="constant", constant_values=0.5),
    lambda x, y: np.repeat(x, 2, axis=0) + np.tile(y, (2, 1)),
    lambda x, y: np.take(x, [0, 0, -1], axis=1) + np.take(y, [1, 2, 3], axis=1, mode="raise"),
    lambda x, y: np.take_along_axis(x, PICKED, axis=1) + np.take_along_axis(y, PICKED, 1),
    lambda x, y: np.copy(x) + y.copy(),
    lambda x, y: np.add.reduce(x) + np.add.reduce(y, axis=0),
    lambda x, y: np.maximum.reduce(x, axis=1, keepdims=True) + np.minimum.reduce(y, axis=None),
    lambda x, y: np.add.accumulate(x) + np.add.accumulate(y, axis=1),
    lambda x, y: X @ y.T + x @ Y.T,
    lambda x, y: X + y - Y * x / (X + y),
    lambda x, y: 2.0**x - np.float64(3.0) * y + np.float32(2) / x,
    lambda x, y: x**2 + abs(-y) + (+x),
]


@pytest.mark.parametrize("function", RECORDED, ids=source)
def test_numpys_functions_record_under_numpys_argument_names(function: Callable[[Any, Any], Any]) -> None:
    x, y = Tensor(X, requires_grad=True), Tensor(Y, requires_grad=True)
    z, expected = function(x, y), function(X, Y)
    assert isinstance(z, Tensor)
    assert isinstance(z.node, Operation)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-14)
    assert mg.gradcheck(lambda x, y: function(x, y) * 1.0, [x, y])


def test_every_function_in_the_table_is_called_here() -> None:
    called = set(re.findall(r"np\.(?:linalg\.)?(\w+)\(", Path(__file__).read_text(encoding="utf-8")))
    assert not {function.__name__ for function in (*protocol._UFUNCS, *protocol._FUNCTIONS)} - called


WITHOUT_GRADIENT: list[Callable[[Any], Any]] = [
    lambda x: np.equal(x, 0.5),
    lambda x: np.not_equal(x, 0.5),
    lambda x: np.less(x, 0.5),
    lambda x: np.less_equal(x, Y),
    lambda x: np.bitwise_and(x < Y, x > 0.6),
    lambda x: np.bitwise_or(x < Y, x > 0.6),
    lambda x: np.bitwise_xor(x < Y, x > 0.6),
    lambda x: np.greater(Y, x),
    lambda x: np.greater_equal(x, 0.5),
    lambda x: np.logical_and(x > 0.3, x < 0.6),
    lambda x: np.logical_or(x > 0.3, x < 0.6),
    lambda x: np.logical_xor(x > 0.3, x < 0.6),
    lambda x: np.logical_not(x > 0.3),
    lambda x: np.isnan(x),
    lambda x: np.isinf(x),
    lambda x: np.isfinite(x),
    lambda x: np.signbit(x),
    lambda x: np.sign(x - 0.5),
    lambda x: np.floor(x * 3),
    lambda x: np.ceil(x * 3),
    lambda x: np.trunc(x * 3),
    lambda x: np.rint(x * 3),
    lambda x: np.round(x, 1),
    lambda x: np.around(x, decimals=1),
    lambda x: np.argmax(x, axis=1),
    lambda x: np.argmin(x),
    lambda x: np.argsort(x, axis=-1),
    lambda x: np.any(x > 0.5, axis=0),
    lambda x: np.all(x > 0.5),
    lambda x: np.count_nonzero(x > 0.5, axis=0),
    lambda x: np.isclose(x, Y),
    lambda x: np.zeros_like(x),
    lambda x: np.ones_like(x, dtype=np.float32),
    lambda x: np.full_like(x, 3.0),
]


@pytest.mark.parametrize("function", WITHOUT_GRADIENT, ids=source)
def test_functions_that_have_no_gradient_give_plain_tensors(function: Callable[[Any], Any]) -> None:
    result, expected = function(Tensor(X, requires_grad=True)), function(X)
    assert isinstance(result, Tensor)
    assert result.node is None
    assert not result.requires_grad
    assert result.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(result.numpy(), expected)


def test_questions_about_a_tensor_are_answered_in_plain_python() -> None:
    x = Tensor(X, requires_grad=True)
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 0)) == ((3, 4), 2, 12, 3)
    assert np.allclose(x, X)
    assert np.array_equal(x, X)
    assert not np.array_equal(x, Y)


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: np.linalg.svd(x), r"np\.linalg\.svd: not recorded for tensors; compute it from the functions of minigrad"),
    (lambda x: np.cumprod(x), r"np\.cumprod: .* write np\.exp\(np\.cumsum\(np\.log\(x\)\)\)"),
    (lambda x: np.nanmax(x), r"np\.nanmax: .* the nearest that is: np\.max;"),
    (lambda x: np.linalg.matmul(x, x.T), r"np\.linalg\.matmul: .* the nearest that is: np\.matmul;"),
    (lambda x: np.fft.fft(x), r"np\.fft\.fft: .* compute it from the functions of minigrad, or use t\.numpy\(\)"),
    (lambda x: np.add.outer(x, x), r"np\.add\.outer: .* write x\[:, None\] \+ y"),
    (lambda x: np.add.at(np.ones(3), [0], x[0, 0]), r"np\.add\.at: .* write y\[i\]"),
    (lambda x: np.arctan2(x, x), r"np\.arctan2: .* compute it"),
    (lambda x: np.modf(x), r"np\.modf: .* compute it"),
    (lambda x: np.ones(3) // x[0, :3], r"np\.floor_divide: .* write np\.floor\(x / y\)"),
    (lambda x: np.sum(x, dtype=np.float32), r"np\.sum: the argument dtype= is not supported .*\.astype"),
    (lambda x: np.sum(x, 0, np.float32), r"np\.sum: the argument dtype= is not supported"),
    (lambda x: np.sum(x, where=X > 0.5), r"np\.sum: the argument where= is not supported .* np\.where"),
    (lambda x: np.max(x, initial=0.0), r"np\.max: the argument initial= is not supported .* np\.maximum"),
    (lambda x: np.var(x, mean=0.5), r"np\.var: the argument mean= is not supported"),
    (lambda x: np.tanh(x, dtype=np.float32), r"np\.tanh: the argument dtype= is not supported"),
    (lambda x: np.tanh(x, where=X > 0.5), r"np\.tanh: the argument where= is not supported"),
    (lambda x: np.add.reduce(x, dtype=np.float32), r"np\.sum: the argument dtype= is not supported"),
    (lambda x: np.reshape(x, (4, 3), order="F"), r"np\.reshape: the argument order= is not supported"),
    (lambda x: np.take(x, [9], mode="wrap"), r"np\.take: the argument mode= is not supported"),
    (lambda x: np.einsum("ij->i", x, dtype=np.float32), r"np\.einsum: the argument dtype= is not supported"),
    (lambda x: np.concatenate([x, x], dtype=np.float32), r"np\.concatenate: the argument dtype= is not supported"),
    (lambda x: np.tanh(x, out=np.ones((3, 4))), r"np\.tanh: a tensor cannot be written into an existing array"),
    (lambda x: np.sum(x, out=np.ones(())), r"np\.sum: a tensor cannot be written into an existing array"),
    (lambda x: np.stack([x, x], out=np.ones((2, 3, 4))), r"np\.stack: a tensor cannot be written"),
    (lambda x: np.ones((3, 4)).__iadd__(x), r"np\.add: .*in-place operator on an ndarray"),
    (lambda x: np.ones((3, 4)).__imul__(x), r"np\.multiply: .*in-place operator on an ndarray"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_what_is_not_recorded_is_refused_and_says_what_to_write(function: Callable[[Any], Any], message: str) -> None:
    for x in (Tensor(X, requires_grad=True), Tensor(X)):
        with pytest.raises(ConversionError, match=message) as caught:
            function(x)
        assert isinstance(caught.value, TypeError)
        assert len(str(caught.value)) < 250


def test_a_condition_alone_is_refused_with_the_way_to_its_places() -> None:
    with pytest.raises(ArgumentError, match=r"np\.nonzero\(t\.numpy\(\)\)"):
        np.where(Tensor(X) > 0.5)


@pytest.mark.parametrize("function", [lambda x: np.argsort(x, axis=7), lambda x: np.isclose(x, "a")], ids=source)
def test_bad_arguments_of_functions_without_gradient_are_refused_by_name(function: Callable[[Any], Any]) -> None:
    with pytest.raises(ArgumentError, match=r"np\.(argsort|isclose): not defined for these arguments"):
        function(Tensor(X))


FIVE, SIX = np.array([0.3, 0.9, 0.1, 0.7, 0.5]), np.array([1.0, 2.0, 4.0, 3.0, 2.0])
SQUARE = np.arange(25.0).reshape(5, 5) % 7
CALLS: dict[str, Callable[[Any], Any]] = {
    "np.add.at": lambda f: SIX[[0, 1]],
    "np.add.reduceat": lambda f: f(FIVE, [0, 2]),
    "np.array_split": lambda f: f(FIVE, [2]),
    "np.average": lambda f: f(FIVE, weights=SIX),
    "np.broadcast_arrays": lambda f: f(FIVE, np.ones((2, 5)))[0],
    "np.column_stack": lambda f: f([FIVE, SIX]),
    "np.append": lambda f: f(FIVE, SIX),
    "np.arccosh": lambda f: f(SIX),
    "np.dstack": lambda f: f([SQUARE, SQUARE.T]),
    "np.heaviside": lambda f: f(FIVE, 1.0),
    "np.ldexp": lambda f: f(FIVE, SIX.astype(int)),
    "np.matvec": lambda f: f(SQUARE, FIVE),
    "np.multiply.reduce": lambda f: f(FIVE),
    "np.roll": lambda f: f(FIVE, 1),
    "np.select": lambda f: f([FIVE > 0.4], [FIVE], SIX),
    "np.tensordot": lambda f: f(SQUARE, SQUARE.T, axes=1),
    "np.vecmat": lambda f: f(FIVE, SQUARE),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_the_advice_works_and_says_the_same(name: str) -> None:
    function: Any = np
    for part in name.split(".")[1:]:
        if not hasattr(function, part):
            pytest.skip(f"this NumPy has no {name}")
        function = getattr(function, part)
    expression = INSTEAD[name].partition(" (indexing")[0]
    x = SIX if name == "np.arccosh" else FIVE
    known = {"x": x, "y": SIX, "A": SQUARE, "B": SQUARE.T, "w": SIX}
    tensors = {letter: Tensor(array, requires_grad=True) for letter, array in known.items()}
    found = eval(expression, {"np": np, "n": 5, "i": [0, 1], "c": FIVE > 0.4, **tensors})
    arguments = [array for letter, array in known.items() if re.search(rf"\b{letter}\b", expression)]
    expected = CALLS[name](function) if name in CALLS else function(*arguments)
    for ours, theirs in zip(_parts(found), _parts(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


def _parts(result: Any) -> list[Any]:
    many = result if isinstance(result, list | tuple) else [result]
    return [part.numpy() if isinstance(part, Tensor) else part for part in many]
