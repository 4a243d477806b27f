"""What arrives at a loop from above, or is in its numbers, may be infinite, not a number, minus zero or huge: numbers, signs of
zeros and warnings are those of the plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_cases import plainly
from loops_oracle import assert_same, by_hand, seen
from minigrad.models import unroll
from one_step_cells import B, D, H, Of, Step, T, new, random

from minigrad import Parameter, Tensor, exp, grad, maximum, relu, scan, sigmoid, where

STEPS: dict[str, Step] = {
    "a product of the input": lambda c, x, h: x @ c.W.T,
    "products": lambda c, x, h: relu(x @ c.W.T + h @ c.U.T),
    "tanh": new,
    "a gate": lambda c, x, h: sigmoid(h @ c.U.T) * h,
    "element by element": lambda c, x, h: h * c.b,
    "exp": lambda c, x, h: exp(h * 0.1),
    "sums": lambda c, x, h: x[:, :1] + h,
    "choices": lambda c, x, h: where(x[:, :1] > 0, h, maximum(c.b, x[:, :1])),
}
ARRIVING: dict[str, Any] = {
    "ones": (1.0, {}), "infinity": (np.inf, {}), "one infinity": (1.0, {5: np.inf}),
    "both infinities": (1.0, {5: np.inf, 6: -np.inf}),
    "NaN": (1.0, {5: np.nan}), "zero": (0.0, {}), "minus zero": (-0.0, {}), "infinity among zeros": (0.0, {5: np.inf}),
    "the largest": (np.finfo(float).max, {}), "the smallest": (np.finfo(float).tiny, {}),
}  # fmt: skip


@pytest.mark.sampled(2)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("arriving", ARRIVING)
@pytest.mark.parametrize("inside", [None, np.inf, np.nan, np.finfo(float).max])
@pytest.mark.parametrize(("where_to", "quiet"), [("hs", "ignore"), ("final", "ignore"), ("final", "warn")])
def test_what_arrives_is_sent_on_as_by_the_plain_loop(
    step: str, arriving: str, inside: float | None, where_to: str, quiet: Any
) -> None:
    number, others = ARRIVING[arriving]

    def run(loop: Any) -> dict[str, Any]:
        start = Tensor(np.full((B, H), 0.1), requires_grad=True)
        rows = random(T, B, D)
        if inside is not None:
            rows[2, 0, 0] = inside
        cell, xs = Of(STEPS[step], start), Tensor(rows, requires_grad=True)
        with np.errstate(all=quiet):
            hs, final = loop(cell, xs)
        y = hs if where_to == "hs" else final[0] if isinstance(final, list) else final
        g = np.full(y.shape, number)
        for place, other in others.items():
            g.flat[place] = other
        y.backward(g)
        leaves = {**dict(cell.named_parameters()), "x": xs, "start": start}
        found = {"hs": hs.numpy()} | {name: leaf.grad for name, leaf in leaves.items()}
        return found | {f"{k} has −0": np.signbit(v) & (v == 0) for k, v in found.items() if v is not None}

    assert_same(seen(lambda: run(unroll)), seen(lambda: run(by_hand)))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("arriving", ARRIVING)
@pytest.mark.parametrize("where_to", ["hs", "final"])
@pytest.mark.parametrize("option", [{"truncated": 2}, {"reverse": True}, {"truncated": 1, "reverse": True}])
def test_what_arrives_is_sent_on_as_by_the_plain_loop_where_windows_end_one_by_one(
    step: str, arriving: str, where_to: str, option: dict[str, Any]
) -> None:
    number, others = ARRIVING[arriving]

    def run() -> dict[str, Any]:
        start = Tensor(np.full((B, H), 0.1), requires_grad=True)
        cell, xs = Of(STEPS[step], start), Tensor(random(T, B, D), requires_grad=True)
        with np.errstate(all="ignore"):
            hs, final = unroll(cell, xs, lengths=[T, T - 2], **option)
            y = hs if where_to == "hs" else final
            g = np.full(y.shape, number)
            for place, other in others.items():
                g.flat[place] = other
            y.backward(g)
        leaves = {**dict(cell.named_parameters()), "x": xs, "start": start}
        return {"hs": hs.numpy()} | {name: leaf.grad for name, leaf in leaves.items()}

    found = seen(run)
    with plainly():
        assert_same(found, seen(run))


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("arriving", [1.0, 0.0])
def test_a_step_that_no_gradient_gets_to_adds_nothing_to_a_weight_though_it_is_not_finite(
    number: float, create_graph: bool, arriving: float
) -> None:
    w, xs = Parameter(np.array([[2.0]])), np.array([[[1.0]], [[number]], [[3.0]]])
    last, _ = scan(lambda h, x: (x @ w, None), np.zeros((1, 1)), xs)
    (g,) = grad((last * arriving).sum(), [w], create_graph=create_graph)
    assert g.tolist() == [[3.0 * arriving]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_overflows_in_the_plain_loop_overflows_where_factors_are_multiplied_ahead(dtype: Any) -> None:
    start = Tensor(np.ones((1, 1), dtype), requires_grad=True)
    last, _ = scan(lambda h, x: (exp(h * dtype(0.1)), None), start, length=1)
    with pytest.warns(RuntimeWarning, match="overflow"):
        last.backward(np.full((1, 1), np.finfo(dtype).max))
    assert start.grad.tolist() == [[np.inf]]
