"""Every method of a Tensor is the function of its name: the same values as NumPy's, the same recorded operation, gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, gradcheck
from minigrad.methods import ArrayMethods

A = np.array([[0.5, 2.0, 1.5], [1.0, 0.25, 3.0]])


def softmax(a: Any, axis: Any = -1) -> Any:
    e = np.exp(a)
    return e / e.sum(axis=axis, keepdims=True)


METHODS: dict[str, list[tuple[Callable[[Any], Any], Callable[[Any], Any]]]] = {
    "sum": [(lambda t: t.sum(), np.sum), (lambda t: t.sum(axis=1, keepdims=True), lambda a: a.sum(1, keepdims=True))],
    "mean": [(lambda t: t.mean(), np.mean), (lambda t: t.mean(0), lambda a: a.mean(0))],
    "prod": [(lambda t: t.prod(), np.prod), (lambda t: t.prod(axis=1, keepdims=True), lambda a: a.prod(1, keepdims=True))],
    "norm": [
        (lambda t: t.norm(), np.linalg.norm),
        (lambda t: t.norm("fro"), np.linalg.norm),
        (lambda t: t.norm(1, axis=0), lambda a: np.linalg.norm(a, 1, axis=0)),
    ],
    "gather": [(lambda t: t.gather(1, [[2, 2], [0, 1]]), lambda a: np.array([[a[0, 2], a[0, 2]], [a[1, 0], a[1, 1]]]))],
    "var": [(lambda t: t.var(), np.var), (lambda t: t.var(axis=1, ddof=1), lambda a: a.var(1, ddof=1))],
    "std": [(lambda t: t.std(), np.std), (lambda t: t.std(1, 1, True), lambda a: a.std(1, ddof=1, keepdims=True))],
    "max": [(lambda t: t.max(), np.max), (lambda t: t.max(axis=0), lambda a: a.max(0))],
    "min": [(lambda t: t.min(), np.min), (lambda t: t.min(axis=1, keepdims=True), lambda a: a.min(1, keepdims=True))],
    "argmax": [(lambda t: t.argmax(), np.argmax), (lambda t: t.argmax(axis=1), lambda a: a.argmax(1))],
    "argmin": [(lambda t: t.argmin(), np.argmin), (lambda t: t.argmin(axis=0), lambda a: a.argmin(0))],
    "any": [(lambda t: (t > 2).any(), lambda a: (a > 2).any()), (lambda t: (t > 2).any(1), lambda a: (a > 2).any(1))],
    "all": [(lambda t: (t > 0).all(), lambda a: (a > 0).all()), (lambda t: (t > 1).all(0), lambda a: (a > 1).all(0))],
    "logsumexp": [(lambda t: t.logsumexp(1), lambda a: np.log(np.exp(a).sum(1)))],
    "cumsum": [(lambda t: t.cumsum(), np.cumsum), (lambda t: t.cumsum(axis=1), lambda a: a.cumsum(1))],
    "reshape": [
        (lambda t: t.reshape(3, 2), lambda a: a.reshape(3, 2)),
        (lambda t: t.reshape((3, -1)), lambda a: a.reshape(3, -1)),
        (lambda t: t.reshape(6), np.ravel),
    ],
    "view": [(lambda t: t.view(3, 2), lambda a: a.reshape(3, 2)), (lambda t: t.view((-1,)), np.ravel)],
    "ravel": [(lambda t: t.ravel(), np.ravel)],
    "flatten": [(lambda t: t.flatten(), np.ravel)],
    "transpose": [
        (lambda t: t.transpose(), np.transpose),
        (lambda t: t.transpose(1, 0), np.transpose),
        (lambda t: t.transpose((0, 1)), np.array),
    ],
    "permute": [(lambda t: t.permute(1, 0), np.transpose)],
    "moveaxis": [(lambda t: t.moveaxis(0, -1), np.transpose)],
    "swapaxes": [(lambda t: t.swapaxes(0, 1), np.transpose)],
    "squeeze": [(lambda t: t[:, :1].squeeze(1), lambda a: a[:, 0]), (lambda t: t[:1].squeeze(), lambda a: a[0])],
    "expand_dims": [
        (lambda t: t.expand_dims(1), lambda a: a[:, None]),
        (lambda t: t.expand_dims((0, -1)), lambda a: a[None, ..., None]),
    ],
    "unsqueeze": [(lambda t: t.unsqueeze(0), lambda a: a[None]), (lambda t: t.unsqueeze(-1), lambda a: a[..., None])],
    "broadcast_to": [(lambda t: t.broadcast_to((2, 2, 3)), lambda a: np.stack([a, a]))],
    "flip": [(lambda t: t.flip(), lambda a: a[::-1, ::-1]), (lambda t: t.flip(1), lambda a: a[:, ::-1])],
    "pad": [
        (lambda t: t.pad(1), lambda a: np.pad(a, 1)),
        (lambda t: t.pad(((0, 1), (2, 0)), constant_values=7.0), lambda a: np.pad(a, ((0, 1), (2, 0)), constant_values=7.0)),
    ],
    "tile": [(lambda t: t.tile((2, 1)), lambda a: np.tile(a, (2, 1)))],
    "repeat": [
        (lambda t: t.repeat(2), lambda a: a.repeat(2)),
        (lambda t: t.repeat([1, 0, 2], 1), lambda a: a.repeat([1, 0, 2], 1)),
    ],
    "take": [(lambda t: t.take([0, 5]), lambda a: a.take([0, 5])), (lambda t: t.take([2, 2], 1), lambda a: a.take([2, 2], 1))],
    "take_along_axis": [
        (lambda t: t.take_along_axis([[2], [0]]), lambda a: np.array([[a[0, 2]], [a[1, 0]]])),
        (lambda t: t.take_along_axis([[1, 0, 1]], 0), lambda a: np.array([[a[1, 0], a[0, 1], a[1, 2]]])),
    ],
    "split": [(lambda t: t.split(3, 1)[2], lambda a: a[:, 2:]), (lambda t: t.split([1])[0], lambda a: a[:1])],
    "unbind": [(lambda t: t.unbind()[1], lambda a: a[1]), (lambda t: t.unbind(1)[0], lambda a: a[:, 0])],
    "astype": [(lambda t: t.astype(np.float64), np.array)],
    "copy": [(lambda t: t.copy(), np.array)],
    "clone": [(lambda t: t.clone(), np.array)],
    "dot": [(lambda t: t.dot([1.0, 2.0, 3.0]), lambda a: a @ [1.0, 2.0, 3.0])],
    "matmul": [(lambda t: t.matmul(A.T), lambda a: a @ A.T)],
    "outer": [(lambda t: t[0].outer([1.0, 2.0]), lambda a: np.outer(a[0], [1.0, 2.0]))],
    "maximum": [(lambda t: t.maximum(1.2), lambda a: np.maximum(a, 1.2))],
    "minimum": [(lambda t: t.minimum(A[:, ::-1] + 0.1), lambda a: np.minimum(a, A[:, ::-1] + 0.1))],
    "where": [(lambda t: t.where(A > 1.2, -1.0), lambda a: np.where(A > 1.2, a, -1.0))],
    "abs": [(lambda t: (t - 1.2).abs(), lambda a: np.abs(a - 1.2))],
    "clip": [(lambda t: t.clip(0.7, 1.7), lambda a: a.clip(0.7, 1.7)), (lambda t: t.clip(max=1.7), lambda a: a.clip(max=1.7))],
    "exp": [(lambda t: t.exp(), np.exp)],
    "expm1": [(lambda t: t.expm1(), np.expm1)],
    "log": [(lambda t: t.log(), np.log)],
    "log1p": [(lambda t: t.log1p(), np.log1p)],
    "sin": [(lambda t: t.sin(), np.sin)],
    "cos": [(lambda t: t.cos(), np.cos)],
    "sqrt": [(lambda t: t.sqrt(), np.sqrt)],
    "square": [(lambda t: t.square(), np.square)],
    "tanh": [(lambda t: t.tanh(), np.tanh)],
    "sigmoid": [(lambda t: t.sigmoid(), lambda a: 1 / (1 + np.exp(-a)))],
    "relu": [(lambda t: (t - 1.2).relu(), lambda a: np.maximum(a - 1.2, 0))],
    "softplus": [(lambda t: t.softplus(), lambda a: np.log1p(np.exp(a)))],
    "softmax": [(lambda t: t.softmax(), softmax), (lambda t: t.softmax(axis=0), lambda a: softmax(a, 0))],
    "log_softmax": [(lambda t: t.log_softmax(0), lambda a: np.log(softmax(a, 0)))],
}
WITHOUT_GRADIENT = {"argmax", "argmin", "any", "all"}


def test_the_table_has_every_method() -> None:
    public = {name for name in vars(ArrayMethods) if not name.startswith("_")}
    assert set(METHODS) == public


@pytest.mark.parametrize("name", METHODS)
def test_a_method_gives_numpys_values_and_the_right_gradient(name: str) -> None:
    for ours, numpys in METHODS[name]:
        x = Tensor(A, requires_grad=True)
        y, expected = ours(x), np.asarray(numpys(A))
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14, atol=1e-15)
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        assert y.requires_grad == (name not in WITHOUT_GRADIENT)
        if y.requires_grad:
            assert gradcheck(ours, x, full=True)


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda t: (t > 1) & (t < 2), (A > 1) & (A < 2)),
        (lambda t: True & (t > 1), A > 1),
        (lambda t: (t > 1) | (t < 0.5), (A > 1) | (A < 0.5)),
        (lambda t: (A > 1) | (t < 0.5), (A > 1) | (A < 0.5)),
        (lambda t: True | (t > 1), np.ones((2, 3), bool)),
        (lambda t: (t > 1) ^ (t < 2), (A > 1) ^ (A < 2)),
        (lambda t: True ^ (t > 1), A <= 1),
        (lambda t: ~(t > 1), A <= 1),
    ],
)
def test_masks_combine_with_and_or_xor_and_not(ours: Any, numpys: Any) -> None:
    mask = ours(mg.Tensor(A))
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask.numpy(), numpys)


def test_a_tensor_in_an_f_string_without_a_format_is_its_text() -> None:
    t = Tensor([1.0, 2.0], name="x")
    assert f"{t}" == str(t) == repr(t)
