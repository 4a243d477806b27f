"""Gradients by time of compiled loops: the same as from the single steps, without writing them out."""

import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
from minigrad.models import GRU, LSTM, RNN, GatedRNN, RecurrentLayers, unroll

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import seed
from minigrad.bptt import by_time
from minigrad.bptt.by_loop import Measured, measured_by_loop

T, B, D, H = 6, 2, 3, 4
XS = np.random.default_rng(0).normal(size=(T, B, D))
CELLS: dict[str, Any] = {
    "rnn": lambda: RNN(D, H, seed=1),
    "rnn, concatenated": lambda: RNN(D, H, form="concatenated", seed=1),
    "gated rnn": lambda: GatedRNN(D, H, seed=1),
    "gru, before": lambda: GRU(D, H, seed=1),
    "gru, after": lambda: GRU(D, H, reset="after", seed=1),
    "lstm": lambda: LSTM(D, H, seed=1),
    "lstm, peepholes": lambda: LSTM(D, H, peepholes=True, seed=1),
}
HOLES = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [1, 0]], bool)
WAYS: list[dict[str, Any]] = [
    {},
    {"hoist": True},
    {"reverse": True},
    {"truncated": 2},
    {"hoist": True, "truncated": 4},
    {"lengths": [6, 3]},
    {"lengths": [2, 5], "reverse": True, "hoist": True},
    {"mask": HOLES},
    {"mask": HOLES, "reverse": True},
]


def loss_of(hs: Tensor, last: Any = None) -> Tensor:
    loss = (hs * np.random.default_rng(7).normal(size=hs.shape) + hs * hs).sum()
    return loss if last is None else loss + mg.pytree.ends(last)[0].sum()


def assert_same(loss: Tensor) -> None:
    """Measured by the loop, and from the single steps."""
    node, g = seed(loss, None, "test")
    measured, expected = measured_by_loop(node, g), by_time._written_out(node.written_out(), g)
    assert measured is not None, "the loop was not used"
    compare(measured, expected)


def compare(measured: Measured, expected: Measured) -> None:
    assert measured.times == expected.times
    assert measured.values.keys() == expected.values.keys()
    assert measured.contributions.keys() == expected.contributions.keys()
    for found, right in ((measured.values, expected.values), (measured.contributions, expected.contributions)):
        for label in right:  # type: ignore[attr-defined]
            np.testing.assert_allclose(found[label], right[label], rtol=1e-10, atol=1e-14, err_msg=str(label))  # type: ignore[index]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_of_every_cell_and_way_of_unrolling(make: Any, way: dict[str, Any]) -> None:
    assert_same(loss_of(*unroll(make(), XS, **way)))


def special() -> Iterator[Any]:
    several: list[dict[str, Any]] = [
        {"num_layers": 2},
        {"bidirectional": True},
        {"learn_initial_state": True},
        {"num_layers": 2, "dropout": 0.5},
    ]
    for options in several:
        layers = RecurrentLayers("gru", D, H, seed=0, **options)
        yield pytest.param(loss_of(layers(XS)[0]), id=str(options))
    table = Tensor(np.random.default_rng(1).normal(size=(5, D)), requires_grad=True, name="E")
    ids = np.array([[0, 1], [1, 1], [4, 0], [2, 2], [3, 1], [0, 0]])
    yield pytest.param(loss_of(unroll(RNN(D, H, seed=0), mg.embedding(ids, table))[0]), id="an embedding")
    given = Tensor(XS, requires_grad=True, name="xs")
    yield pytest.param(loss_of(unroll(LSTM(D, H, seed=0), given)[0][2:]), id="inputs that want a gradient")
    _, state = unroll(GRU(D, H, seed=0), XS)
    yield pytest.param(loss_of(unroll(GRU(D, H, seed=1), XS[:4], state)[0]), id="an encoder and a decoder")
    yield pytest.param(loss_of(unroll(GRU(D, H, seed=1), np.repeat(XS[:, :1], 3, axis=1))[0]), id="equal examples")


@pytest.mark.parametrize("loss", list(special()))
def test_of_everything_around_a_loop(loss: Tensor) -> None:
    assert_same(loss)


def test_of_terms_that_cancel_the_digits_are_kept() -> None:
    cell = RNN(D, H, seed=0)
    hs, _ = unroll(cell, np.repeat(XS[:, :1], 2, axis=1))
    sign = np.array([1.0, -1.0 + 1e-9])[:, None]
    assert_same((hs * sign).sum())


def test_a_loop_in_python_is_measured_step_by_step() -> None:
    cell, h = GRU(D, H, seed=0), Tensor(np.zeros((B, H)))
    with mg.scope("gru"):
        for t in range(1, T + 1):
            with mg.time_step(t):
                h = cell.step(Tensor(XS[t - 1]), h)
    by_hand = mg.gradient_by_time((h * h).sum())
    _, last = unroll(cell, XS)
    by_loop = mg.gradient_by_time((last * last).sum())
    for name in by_loop.values:
        np.testing.assert_allclose(by_hand.values[name], by_loop.values[name], rtol=1e-11)
    for name in by_loop.contributions:
        np.testing.assert_allclose(by_hand.contributions[name], by_loop.contributions[name], rtol=1e-11)


@pytest.mark.parametrize("lengths", [None, [10_000, 700]], ids=["all steps", "lengths"])
def test_ten_thousand_steps_are_not_written_out(lengths: Any) -> None:
    cell = LSTM(D, H, seed=0)
    hs, _ = unroll(cell, np.random.default_rng(0).normal(size=(10_000, 2, D)), lengths=lengths)
    loss = (hs * hs).sum()
    started = time.process_time()
    with mock.patch.object(by_time, "_written_out", side_effect=AssertionError("written out")):
        table = mg.gradient_by_time(loss)
    assert time.process_time() - started < 1
    assert table.contributions["W_h"].shape == (10_000,)
    loss.backward()
    assert np.isfinite(table.values["c"]).all()


def test_a_watched_state_does_not_change_the_table() -> None:
    cell = LSTM(D, H, seed=0)
    expected = mg.gradient_by_time(loss_of(*unroll(cell, XS)))
    hs, last = unroll(cell, XS)
    last.h.retain_grad()
    table = mg.gradient_by_time(loss_of(hs, last))
    for name in expected.values:
        np.testing.assert_allclose(table.values[name], expected.values[name], rtol=1e-11)


def test_parameters_of_one_name_are_numbered_in_the_order_in_which_they_were_made() -> None:
    layers = RecurrentLayers([RNN(D, H, seed=1), RNN(H, H, seed=2)])
    hs, _ = layers(XS)
    found = mg.gradient_by_time((hs * hs).sum())
    with mock.patch.object(by_time, "measured_by_loop", return_value=None):
        expected = mg.gradient_by_time((hs * hs).sum())
    assert list(found.contributions) == list(expected.contributions)
    assert "W_hx (2)" in found.contributions
    for name, sizes in expected.contributions.items():
        np.testing.assert_allclose(found.contributions[name], sizes, err_msg=name)
