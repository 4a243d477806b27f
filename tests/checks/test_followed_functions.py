"""The forward pass is followed through functions that minigrad makes of others: values and derivatives are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad.checks.adapter import Adapter
from minigrad.checks.chain import Chain

twist = np.vectorize(lambda v: v * v if v > 0 else -3 * v)
square_root = math.sqrt

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tensordot, a product of matrices": lambda x: np.tensordot(x, x.T, axes=1),
    "tensordot over two axes": lambda x: np.tensordot(x, x * x),
    "tensordot over the first axes": lambda x: np.tensordot(x, x, axes=([0], [0])),
    "tensordot over none": lambda x: np.tensordot(x[0], x[1], 0),
    "inner of vectors": lambda x: np.inner(x[0], x[1]),
    "inner of matrices": lambda x: np.inner(x, x * x),
    "diag of a vector": lambda x: np.diag(x[0], 1) @ np.ones((4, 2)),
    "diag of a matrix": lambda x: np.diag(x, -1),
    "diagflat": lambda x: np.diagflat(x) @ np.ones((12, 2)),
    "trace": lambda x: np.trace(x @ x.T),
    "diff": lambda x: np.diff(x * x, axis=0),
    "average": lambda x: np.average(x * x, axis=1),
    "average with weights": lambda x: np.average(x * x, axis=1, weights=[1.0, 2.0, 3.0]),
    "roll": lambda x: np.roll(x, 2, axis=1) * x,
    "roll of all entries": lambda x: np.roll(x, -1) * x,
    "insert": lambda x: np.insert(x, 0, 1.0, axis=1) ** 2,
    "delete": lambda x: np.delete(x, 1, axis=0) ** 2,
    "fliplr": lambda x: np.fliplr(x) * x,
    "flipud": lambda x: np.flipud(x) * x,
    "dstack": lambda x: np.dstack([x, x * x]),
    "nan_to_num": lambda x: np.nan_to_num(x) ** 2,
    "heaviside": lambda x: x * np.heaviside(x, 0.0),
    "sinh and cosh": lambda x: np.sinh(x) * np.cosh(x),
    "log2, log10, exp2": lambda x: np.log2(np.exp(x)) + np.log10(np.exp2(x)),
    "arctan and arcsinh": lambda x: np.arctan(x) * np.arcsinh(x),
    "arcsin, arccos and arctanh": lambda x: np.arcsin(x) * np.arccos(x) * np.arctanh(x),
    "tan and cbrt": lambda x: np.tan(x) * np.cbrt(x + 1),
    "fabs, fmax, fmin, float_power": lambda x: np.fmax(x, 0.1) * np.fmin(x, 0.2) * np.float_power(np.fabs(x) + 1, 1.5),
    "triu and tril": lambda x: np.triu(x) @ np.tril(x.T, -1),
    "np.real": lambda x: np.real(x) * x,
    "piecewise": lambda x: np.piecewise(x, [x > 0, x < -0.1], [lambda v: v * v, 2.0, lambda v: 3 * v]) * x,
    "select": lambda x: np.select([x > 0, x < -0.1], [x * x, 2 * x], 5.0) * x,
    "what is an array": lambda x: x * x if isinstance(x, np.ndarray) and not isinstance(x[0].shape, np.ndarray) else -x,
    "hypot": lambda x: np.hypot(x, x + 2),
    "multiply.outer": lambda x: np.multiply.outer(x[0], x[1]),
    "columns first": lambda x: x.reshape(2, 6, order="F") * np.arange(12.0).reshape(2, 6),
    "item": lambda x: x * np.sum(x * x).item(),
    "item at a place": lambda x: x * x.item(2) * x.item((1, 1)),
    "real and conj": lambda x: x.conj().real * x,
    "vectorize": lambda x: twist(x) * x,
    "the module math": lambda x: x * math.exp(x[0, 0]) * math.tanh(x[2, 2]) * math.pow(2.0, x[0, 1]),
    "a logarithm to a base": lambda x: x * math.log(3 + x[1, 1] ** 2, 2),
    "a function out of math": lambda x: x * square_root(1 + x[0, 0] ** 2) * math.floor(2.5),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_followed_with_its_derivative(name: str) -> None:
    def forward(x: Any) -> Any:
        return FUNCTIONS[name](x)

    def backward(dout: Any, x: Any) -> Any:
        return dout

    x = arrays(x=(4, 3))["x"]
    traces = Adapter(forward, backward, (x,), None, None, ("x",)).traced({"x": x})
    (line,) = traces.outputs.values()
    assert np.allclose(line.value, forward(x), rtol=1e-14, atol=0)
    upstream = np.random.default_rng(4).standard_normal(line.value.shape)
    g = Chain(traces.tape.lines, {line.number: [("out", upstream)]}, {"x": traces.arguments["x"]}).right["x"]
    direction = np.random.default_rng(5).standard_normal(x.shape)
    step = 1e-6
    slope = np.sum((forward(x + step * direction) - forward(x - step * direction)) * upstream) / (2 * step)
    assert np.isclose(np.sum(g * direction), slope, rtol=1e-7)


@pytest.mark.parametrize(
    "spelt_out",
    [
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(z) / (np.exp(z) + 1),
        lambda z: 0.5 * np.tanh(0.5 * z) + 0.5,
        lambda z: (1 + np.tanh(z / 2)) / 2,
    ],
)
def test_a_sigmoid_that_is_spelt_out_is_seen_as_one(spelt_out: Callable[[Any], Any]) -> None:
    x = arrays(x=(3, 4))["x"]
    (line,) = Adapter(spelt_out, lambda dy: dy, (x,), None, None, ("z",)).traced({"z": x}).outputs.values()
    assert line.op == "sigmoid"
