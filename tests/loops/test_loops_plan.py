"""How many calls a step is made of: a guard against losing what makes a loop fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_formulas import OfFormula, assert_program_right, weights
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN
from minigrad.models.layers import unroll

from minigrad import Parameter, Tensor, concatenate, scan, sigmoid, tanh, where
from minigrad.loops import compile as compiling
from minigrad.loops.activity import stretches_of
from minigrad.loops.backend import Executable, transposed
from minigrad.loops.kernels import kernels

CALLS: dict[str, tuple[type[Any], dict[str, Any], int, int]] = {
    "rnn": (RNN, {}, 3, 3),
    "rnn without a bias": (RNN, {"bias": False}, 3, 3),
    "gated rnn": (GatedRNN, {}, 13, 8),
    "gru, reset before": (GRU, {}, 20, 12),
    "gru, reset after": (GRU, {"reset": "after"}, 14, 5),
    "lstm": (LSTM, {}, 16, 7),
    "lstm with peepholes": (LSTM, {"peepholes": True}, 26, 9),
    "lstm, coupled": (LSTM, {"coupled": True}, 17, 7),
    "lstm without the output's tanh": (LSTM, {"output_tanh": False}, 15, 7),
}
"""Cells, with the number of calls of one step forward and of one step backward."""


def executables(monkeypatch: pytest.MonkeyPatch, cell: Any, D: int = 3) -> tuple[Executable, Executable, Executable]:
    """Those of a cell: forward, for inference, and backward."""
    monkeypatch.setattr(compiling, "structures", {})
    unroll(cell, Tensor(weights(3, 2, D), requires_grad=True))
    (form,) = compiling.structures.values()
    (known,) = form._compiled.values()
    back = known.over(stretches_of(3, 3, None, False)).pullbacks((len(known.program.carry),))[0].executable
    return known.forward(quiet=False), form.compiled(frozenset()).forward(quiet=False), back


@pytest.mark.parametrize("name", CALLS)
def test_a_step_of_a_cell_makes_no_more_calls_than_it_needs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, options, forward, backward = CALLS[name]
    first, inference, back = executables(monkeypatch, kind(3, 4, **options))
    assert [len(first.body), len(inference.body), len(back.body)] == [forward, forward, backward]


@pytest.mark.parametrize("name", CALLS)
def test_products_with_the_input_are_made_once_for_all_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, options, *_ = CALLS[name]
    first, _, back = executables(monkeypatch, kind(3, 4, **options))
    recurrent = {"gru, reset before": 3, "gated rnn": 2}.get(name, 1)
    assert [sum(call.function is np.ndarray.dot for call in executable.body) for executable in (first, back)] == [recurrent] * 2
    assert len(first.prologue) > 0 == len(first.epilogue)


def test_the_same_with_gates_side_by_side_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(k: Any, x: Tensor, h: Tensor) -> Tensor:
        i, f, g, o = [tanh(a) for a in k.gates(x, h)]
        return i * h + f * h + g * o

    def by_turns(k: Any, x: Tensor, h: Tensor) -> Tensor:
        i, f, g, o = [curve(a) for curve, a in zip((tanh, sigmoid) * 2, k.gates(x, h), strict=True)]
        return i * h + f * h + g * o

    first, _, back = executables(monkeypatch, OfFormula(alike, 4))
    assert len(first.body) == 9  # the product and two sums, the curves, three products, two sums
    assert len(executables(monkeypatch, OfFormula(by_turns, 4))[0].body) > len(first.body) + 6
    assert len(back.body) <= 8


def test_operations_are_not_done_together_before_their_operands_are_there() -> None:
    H = 3
    U = Parameter(weights(2 * H, H))

    def step(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
        (x,), (h,) = rows, states
        a = h @ U.T + concatenate([x, -x], axis=1)
        i, f = a[:, :H], a[:, H:]
        first = i * h
        return [tanh(first - f) * sigmoid(first * f)]

    def each_from_the_last(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
        (x,), (h,) = rows, states
        joined = concatenate([p := tanh(h * x), q := tanh(p), tanh(q)], axis=1)
        return [joined[:, :H] * joined[:, H : 2 * H] - joined[:, 2 * H :]]

    for function in (step, each_from_the_last):
        for kept in ((), range(3)):
            assert_program_right(function, [weights(7, 2, H)], [weights(2, H)], kept)


def test_a_number_that_only_pictures_are_told_makes_no_new_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "structures", {})
    h = Tensor([0.5], requires_grad=True)
    for number in (2.0, 3.0):
        factor = Tensor([number])
        scan(lambda h, x, factor=factor: (h * factor + x, h), h, np.ones((3, 1)))
    (form,) = compiling.structures.values()
    assert [line.op.number for line in form.program.lines if line.op.label == "mul"] == [2.0]


def test_a_large_matrix_is_transposed_once_a_run_as_it_is_then() -> None:
    """The runner copies it where the steps pay for that: the numbers are those of a scan, and of the weights at each call."""
    W = Parameter(weights(96, 96) / 10)
    xs = Tensor(weights(30, 2, 96))

    def step(h: Any, x: Any) -> Any:
        h = tanh(h @ W.T + x)
        return h, h

    for scale in (1.0, 0.5):
        W.data = weights(96, 96) / 10 * scale
        _, hs = scan(step, np.zeros((2, 96)), xs)
        h = np.zeros((2, 96))
        for t, x in enumerate(xs.numpy()):
            h = np.tanh(h @ W.numpy().T + x)
            np.testing.assert_allclose(hs.numpy()[t], h, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("T", "rows", "copied"), [(20, 128, True), (19, 128, False), (20, 127, False)])
def test_a_matrix_is_copied_only_where_that_pays(T: int, rows: int, copied: bool) -> None:
    assert transposed(np.ones((rows, 64)), T).flags.c_contiguous is copied


@pytest.mark.parametrize("place", ["a place of its own", "the place of a", "the place of b"])
@pytest.mark.parametrize("dtype", [bool, int])
def test_a_choice_is_right_wherever_its_result_lies(place: str, dtype: Any) -> None:
    condition = np.array([[1], [0]]).astype(dtype)
    a, b = np.array([[1.0, np.nan], [np.inf, 2.0]]), np.array([[3.0, np.inf], [-0.0, np.nan]])
    expected = np.where(condition, a, b)
    y = {"the place of a": a, "the place of b": b}.get(place, np.empty((2, 2)))
    op = where(Tensor(np.ones((2, 1))) > 0, Tensor(a, requires_grad=True), Tensor(b)).node
    ((kernel, operands),) = kernels(op, 3, quiet=False)
    kernel(*map((a, b, condition).__getitem__, operands), y)
    np.testing.assert_array_equal(y, expected)
    assert np.signbit(y[1, 0])
