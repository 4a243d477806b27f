"""Native loops have the results, gradients, errors and warnings of the loops that NumPy runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, Pass, assert_close, bits, both_directions, each_kind, every_cell, pair, starts
from loops_formulas import Case as Sizes
from loops_formulas import OfFormula, StepByStep, found, weights
from loops_oracle import assert_same, seen, trained, twice_differentiated, unrecorded
from minigrad.models import unroll
from minigrad.models.cells import GRU, LSTM, RNN
from natively import natively, why_not

import minigrad as mg
from minigrad import Tensor, no_grad, scan

SHAPES = [(3, 0), (1, 1), (5, 2), (65, 3), (130, 1)]


@pytest.fixture(autouse=True)
def native_code() -> Iterator[None]:
    with natively():
        yield


def in_numpy(name: str, **options: Any) -> Pass:
    """A pass of a cell by NumPy."""
    mg.native(False)
    try:
        made = Pass(pair(name)[0], **options)
        made.gradients(retain_graph=True)
    finally:
        mg.native()
    return made


@every_cell
def test_results_and_gradients_of_every_cell_are_those_of_numpy(name: str) -> None:
    cell, _ = pair(name)
    assert why_not(unroll, cell, np.ones((2, 2, D))) == ""
    for (T, B), reverse in itertools.product(SHAPES, (False, True)):
        one, other = Pass(cell, T, B, reverse=reverse), in_numpy(name, T=T, B=B, reverse=reverse)
        assert_close(one.results(), other.results(), 1e-12)
        found, expected = one.gradients(), {leaf: value.grad for leaf, value in other.leaves().items()}
        assert_close(found, expected, 1e-12)


@each_kind
def test_so_they_are_after_a_thousand_steps(name: str) -> None:
    one, other = Pass(pair(name)[0], T=1000, B=3), in_numpy(name, T=1000, B=3)
    assert_close(one.results(), other.results(), 1e-12)
    assert_close(one.gradients(), {leaf: value.grad for leaf, value in other.leaves().items()}, 1e-12)


@pytest.mark.parametrize(("kind", "options"), [(RNN, {}), (GRU, {"reset": "after"}), (LSTM, {})], ids=["rnn", "gru", "lstm"])
def test_so_they_are_in_float32(kind: Any, options: dict[str, Any]) -> None:
    cell = kind(D, H, dtype=np.float32, seed=0, **options)
    for T, B in SHAPES:
        xs = Tensor(weights(T, B, D).astype(np.float32), requires_grad=True)
        leaves = dict(cell.named_parameters()) | {"xs": xs}
        results = []
        for native in (True, False):
            mg.native(native)
            for leaf in leaves.values():
                leaf.grad = None
            results.append(trained(unroll, cell, xs, leaves))
        assert results[0]["hs"].dtype == np.float32
        assert_same(*results, 2e-5)


@each_kind
@both_directions
def test_a_loop_that_is_not_recorded_has_the_same_bits(name: str, reverse: bool) -> None:
    cell, _ = pair(name)
    for T, B in SHAPES:
        xs, start = Tensor(weights(T, B, D), requires_grad=True), starts(cell, B)
        recorded, _ = unroll(cell, xs, start, reverse=reverse)
        with no_grad():
            plain, _ = unroll(cell, xs, start, reverse=reverse)
        assert bits({"hs": recorded.numpy()}) == bits({"hs": plain.numpy()})


@pytest.mark.parametrize("name", ["rnn", "lstm"])
@pytest.mark.parametrize(
    "options",
    [{"lengths": [5, 0, 2]}, {"mask": [[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]]}, {"truncated": 2},
     {"lengths": [5, 3, 2], "truncated": 1}],
    ids=["lengths", "mask", "truncated", "lengths, truncated"],
)  # fmt: skip
@both_directions
def test_masks_and_truncation_are_those_of_numpy(name: str, options: dict[str, Any], reverse: bool) -> None:
    cell, _ = pair(name)
    options = {key: np.array(value, bool) if key == "mask" else value for key, value in options.items()}
    xs = weights(5, 3, D)
    if "lengths" in options:
        xs[options["lengths"][2] :, 2] = np.nan
    results = []
    for native in (True, False):
        mg.native(native)
        leaf = Tensor(xs, requires_grad=True)
        leaves = dict(cell.named_parameters()) | {"xs": leaf}
        for each in leaves.values():
            each.grad = None
        results.append(trained(unroll, cell, leaf, leaves, reverse=reverse, **options))
    assert_same(*results, 1e-12)


@pytest.mark.parametrize("watched", [False, True], ids=["", "while anomalies are looked for"])
def test_native_code_projects_all_inputs_at_once_by_itself_and_the_graph_shows_each_projection(watched: bool) -> None:
    cell, products, results = LSTM(D, H, seed=0), [], []
    for native in (True, False):
        mg.native(native)
        leaf = Tensor(weights(5, 3, D), requires_grad=True)
        leaves = dict(cell.named_parameters()) | {"xs": leaf}
        for each in leaves.values():
            each.grad = None
        with mg.detect_anomaly() if watched else nullcontext():
            results.append(trained(unroll, cell, leaf, leaves, hoist=True))
            hs, _ = unroll(cell, leaf, hoist=True)
        products.append(sum(node.label == "matmul" for node in mg.walk(hs)))
    assert products == [5 + (1 if watched else 5), 5 + 1]
    assert_same(*results, 1e-12)


@each_kind
def test_second_derivatives_are_those_of_numpy(name: str) -> None:
    cell, _ = pair(name)
    results = []
    for native in (True, False):
        mg.native(native)
        xs = Tensor(weights(4, 2, D), requires_grad=True)
        for parameter in cell.parameters():
            parameter.grad = None
        results.append(twice_differentiated(unroll, cell, xs, dict(cell.named_parameters()) | {"xs": xs}))
    assert_same(*results, 1e-12)


# ---------------------------------------------------------------- random formulas


def _every_function(cell: OfFormula, x: Tensor, h: Tensor) -> Tensor:
    a = x @ cell.A.T + h @ cell.P.T
    y = mg.exp(-mg.abs(a)) + mg.log(1 + h * h) + mg.sqrt(1 + a**2) / (2 + mg.cos(h)) - mg.expm1(-(h**2))
    y = y + 0.1 * mg.softplus(a) - 0.1 * mg.logaddexp(h, a)
    return mg.tanh(mg.tanh(y * 0.3) * mg.relu(a) + mg.log1p(a * a) * mg.sin(h)) + 0.5 * mg.clip(h, -0.5, 0.5)


def _choices(cell: OfFormula, x: Tensor, h: Tensor) -> Tensor:
    a = x @ cell.A.T
    kept = mg.where((h > 0) & (a < 1), mg.tanh(a), mg.maximum(h, a * 0.1) - mg.minimum(h, cell.w))
    return 0.5 * kept + np.sign(h) * 0.1 + np.floor(a) * 0.01 + mg.sigmoid(h)[:, :1]


def _joins(cell: OfFormula, x: Tensor, h: Tensor) -> Tensor:
    n, both = cell.H, mg.concatenate([h, mg.tanh(x @ cell.A.T)], axis=1)
    return mg.tanh(both @ cell.V.T) * mg.sigmoid(both)[:, n // 2 : n // 2 + n] + 0.1 * both[:, :n]


def _parts_of_joins(cell: OfFormula, x: Tensor, h: Tensor) -> Tensor:
    n, a = cell.H, x @ cell.A.T + h @ cell.P.T
    both = mg.concatenate([h * mg.tanh(a), mg.sigmoid(a), a], axis=1)
    return both[:, :n] + both[:, n : 2 * n] * 0.5 - mg.tanh(both[:, 2 * n :])


def _products_of_products(cell: OfFormula, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = cell.gates(mg.tanh(x), mg.tanh(h @ cell.P.T) * (mg.sigmoid(c) @ cell.P))
    c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g) + (c * h) @ cell.P.T
    return c, mg.sigmoid(o) * mg.tanh(c @ cell.P) + 0.25 * h


def _normalised(cell: OfFormula, x: Tensor, h: Tensor) -> Tensor:
    a = x @ cell.A.T + h @ cell.P.T
    m = a.mean(axis=-1, keepdims=True)
    v = ((a - m) ** 2).mean(axis=-1, keepdims=True)
    return mg.tanh((a - m) / mg.sqrt(v + 0.1) * cell.w) * 0.9 + 0.1 * h / (1 + (h * h).sum(axis=1, keepdims=True))


FORMULAS = {
    "functions": (_every_function, ("h",)),
    "choices": (_choices, ("h",)),
    "sums over columns": (_normalised, ("h",)),
    "joins": (_joins, ("h",)),
    "parts of joins": (_parts_of_joins, ("h",)),
    "products of products": (_products_of_products, ("c", "h")),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_of_every_kind_are_those_of_steps_one_by_one(name: str) -> None:
    formula, names = FORMULAS[name]
    random = np.random.default_rng(0)
    xs = np.ones((2, 2, 3))
    assert why_not(unroll, OfFormula(formula, 4, names), xs) == ""
    for number in range(12):
        T, B, width = int(random.integers(1, 12)), int(random.integers(1, 6)), 2 * int(random.integers(1, 20))
        case = Sizes(T, B, width, reverse=bool(number % 2))
        _, expected = found(StepByStep(formula, width, names), case)
        was_loop, values = found(OfFormula(formula, width, names), case)
        assert was_loop
        # The last bit of the weights changes products of products by 1e-11: a sum in another order moves them further.
        assert_close(values, expected, 1e-10 if name == "products of products" else 1e-11)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_a_carry_and_outputs_of_any_shape_are_those_of_numpy(shape: tuple[int, ...]) -> None:
    xs, start = Tensor(weights(6, *shape), requires_grad=True), Tensor(weights(*shape, seed=1), requires_grad=True)

    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Any]:
        new = mg.tanh(h + x)
        return new, {"product": new * x, "old": h}

    assert why_not(scan, step, start, xs) == ""
    gradients = []
    for native in (True, False):
        mg.native(native)
        last, ys = scan(step, start, xs)
        loss = (ys["product"] * ys["old"]).sum() + last.sum()
        gradients.append([loss.numpy(), *[g.numpy() for g in mg.grad(loss, [xs, start])]])
    for one, other in zip(*gradients, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_rows_of_a_table_that_are_looked_up_are_those_of_numpy() -> None:
    table = Tensor(weights(7, 4), requires_grad=True)
    ids = np.array([[0, 3], [6, 6], [2, 0]])

    def step(h: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
        h = mg.tanh(h + table[i])
        return h, h

    assert why_not(scan, step, np.zeros((2, 4)), ids) == ""
    gradients = []
    for native in (True, False):
        mg.native(native)
        gradients.append(mg.grad((scan(step, np.zeros((2, 4)), ids)[1] ** 2).sum(), [table])[0].numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-12)


# ---------------------------------------------------------------- numbers that overflow or are not defined


BAD = {
    "exp overflows": lambda h, x: mg.exp(x * 1000.0) * 1e-3 + h,
    "exp overflows, unseen": lambda h, x: h / (1.0 + mg.exp(x * 1000.0)),
    "division by zero": lambda h, x: h + 1.0 / (x - 1.0),
    "log of a negative number": lambda h, x: h + mg.log(-x),
    "the state grows": lambda h, x: (h + 1.0) * 1e200 * x,
    "nothing": lambda h, x: mg.sigmoid(-1000.0 * x) + mg.tanh(1000.0 * x) + h,
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("value", [1.0, np.inf, np.nan], ids=str)
def test_errors_and_warnings_are_those_of_numpy(name: str, value: float) -> None:
    def run() -> dict[str, Any]:
        xs = Tensor(np.full((4, 2, 3), value), requires_grad=True)
        last, hs = scan(lambda h, x: ((h := BAD[name](h, x)), h), Tensor(np.ones((2, 3)), requires_grad=True), xs)
        (hs.sum() + last.sum()).backward()
        return {"hs": hs.numpy(), "dxs": xs.grad}

    results = []
    for native in (True, False):
        mg.native(native)
        results.append(seen(run))
    assert_same(*results)


def test_a_gradient_that_overflows_warns_as_in_numpy() -> None:
    def run() -> dict[str, Any]:
        start = Tensor(np.full((2, 3), 1e-200), requires_grad=True)
        last, _ = scan(lambda h, x: (h * 1e100 * x, None), start, np.ones((3, 2, 3)))
        (last * 1e200).sum().backward()
        return {"gradient": start.grad}

    results = []
    for native in (True, False):
        mg.native(native)
        results.append(seen(run))
    assert_same(*results)


def test_zero_and_minus_zero_are_two_numbers() -> None:
    with natively():
        _, ys = mg.scan(lambda h, x: (h + x, (x * 0.0, x * -0.0)), 0.0, np.ones(2))
    assert [bool(np.signbit(y.numpy()[0])) for y in ys] == [False, True]


def test_a_nan_beyond_an_examples_length_changes_nothing() -> None:
    cell = LSTM(D, H, seed=0)
    xs = weights(5, 2, D)
    clean = unrecorded(unroll, cell, xs, {}, lengths=[5, 2])
    xs[2:, 1] = np.nan
    assert_same(unrecorded(unroll, cell, xs, {}, lengths=[5, 2]), clean)
    assert not np.isnan(clean["hs"]).any()


# ---------------------------------------------------------------- curves


def _exact(function: str, x: Any) -> Any:
    wide = x.astype(np.longdouble)
    return {"exp": np.exp, "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}[function](wide)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs numbers that are longer than float64")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", ["exp", "tanh", "sigmoid"])
def test_curves_are_right_to_two_and_a_half_units_in_the_last_place(function: str, dtype: Any) -> None:
    random = np.random.default_rng(0)
    spread = 80 if dtype is np.float32 else 700
    x = np.concatenate([scale * random.standard_normal(20_000) for scale in (1e-6, 0.1, 1.0, 8.0, spread / 5)])
    x = np.clip(x, -spread, spread).astype(dtype)[:, None]
    _, y = scan(lambda h, x: (h, getattr(mg, function)(x)), np.zeros((1, 1), dtype), x[:, None])
    exact = _exact(function, x[:, None])
    unit = np.spacing(np.abs(exact).astype(dtype)).astype(np.longdouble)
    normal = np.abs(exact) >= np.finfo(dtype).tiny
    assert (np.abs(y.numpy() - exact) / unit)[normal].max() <= 2.5


def test_curves_end_where_they_should() -> None:
    ends = np.array([0.0, -0.0, 1000.0, -1000.0, 40.0, -40.0])
    for dtype in (np.float32, np.float64):
        x = ends.astype(dtype)[:, None, None]
        zero = np.zeros((1, 1), dtype)
        assert scan(lambda h, x: (h, mg.tanh(x)), zero, x)[1].numpy()[:, 0, 0].tolist() == [0, 0, 1, -1, 1, -1]
        y = scan(lambda h, x: (h, mg.sigmoid(x)), zero, x)[1].numpy()[:, 0, 0]
        assert y[:4].tolist() == [0.5, 0.5, 1.0, 0.0]
        assert math.copysign(1, y[2]) == 1
        np.testing.assert_allclose(y[4:], [1.0, math.exp(-40)], rtol=1e-6)


def test_a_scan_in_a_scan_whose_rows_are_taken_one_by_one_is_left_to_numpy() -> None:
    xs = np.arange(6.0).reshape(2, 3)
    total, rows = mg.scan(lambda c, row: mg.scan(lambda d, x: (d + x, d), c, row), Tensor(0.0), xs)
    assert total.item() == 15.0
    assert rows.tolist() == [[0, 0, 1], [3, 6, 10]]
