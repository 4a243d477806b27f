"""Truncated backpropagation through time: the state is carried over the windows, its history is not."""

from typing import Any

import numpy as np
import pytest
from by_hand_cases import BY_NAME, as_tuple, make_case, worst
from cell_cases import CLASSES, cell_of
from differences import weighted
from minigrad.models.cells import LSTM, LSTMState, make_cell
from minigrad.models.layers import RecurrentLayers, detached, unroll
from minigrad.models.states import parts_of, with_parts

from minigrad import Tensor, walk
from minigrad.errors import ArgumentError

T, B, D, H = 7, 2, 3, 4
every_window = pytest.mark.parametrize("k", [1, 2, 3, 7, 100])


@pytest.mark.parametrize("variant", BY_NAME)
@every_window
def test_gradients_are_the_hand_derived_ones_of_the_windows_each_begun_with_the_carried_state(variant: str, k: int) -> None:
    case = make_case(BY_NAME[variant], T, B, D, H, "every step", seed=1)
    cell = cell_of(case.variant, D, H)
    cell.load_by_gate(case.params)
    xs = Tensor(case.xs, requires_grad=True)
    hs, _ = unroll(cell, xs, with_parts(cell.initial_state(B), as_tuple(case.state)), truncated=k)
    (hs * case.d_hs).sum().backward()

    module, state = case.variant.module, case.state
    by_hand: dict[str, Any] = {name: np.zeros_like(value) for name, value in case.params.items()}
    d_xs = []
    for start in range(0, T, k):
        window = slice(start, start + k)
        trace = module.forward(case.params, case.xs[window], state, **case.variant.options)
        gradients = module.backward(case.params, trace, case.d_hs[window])
        by_hand = {name: by_hand[name] + gradient for name, gradient in gradients.params.items()}
        d_xs.append(gradients.xs)
        state = trace.state
    expected = by_hand | {"xs": np.concatenate(d_xs)}
    difference, leaf = worst(cell.by_gate(grad=True) | {"xs": xs.grad}, expected)
    assert difference < 1e-12, leaf


@pytest.mark.parametrize("name", CLASSES)
@every_window
@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_it_is_unrolling_window_by_window_and_detaching_between(name: str, k: int, hoist: bool, reverse: bool) -> None:
    cell = make_cell(name, D, H, seed=2)
    xs = np.random.default_rng(3).normal(size=(T, B, D))
    hs, final = unroll(cell, xs, hoist=hoist, truncated=k, reverse=reverse)
    weighted(hs).backward()
    at_once = cell.by_gate(grad=True)

    cell.zero_grad()
    weights = np.random.default_rng(1).normal(size=hs.shape)                        # those of `weighted`
    order = np.arange(T)[::-1] if reverse else np.arange(T)
    state: Any = None
    for start in range(0, T, k):
        steps = order[start : start + k]
        part, state = unroll(cell, xs[steps], state)
        (part * weights[steps]).sum().backward()
        state = detached(state)
    assert worst(at_once, cell.by_gate(grad=True))[0] < 1e-12
    for got, expected in zip(parts_of(final), parts_of(state), strict=True):
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-12)


@every_window
def test_no_number_of_the_forward_pass_changes(k: int) -> None:
    cell = LSTM(D, H, seed=4)
    xs = np.random.default_rng(5).normal(size=(T, B, D))
    np.testing.assert_array_equal(unroll(cell, xs, truncated=k)[0].numpy(), unroll(cell, xs)[0].numpy())


def test_the_first_window_alone_reaches_the_initial_state() -> None:
    cell = LSTM(D, H, seed=6)
    start = LSTMState(*(Tensor(np.ones((B, H)), requires_grad=True) for _ in "ch"))
    hs, _ = unroll(cell, np.ones((T, B, D)), start, truncated=3)
    hs[3:].sum().backward(retain_graph=True)
    assert start[0].grad is None or not start[0].grad.any()
    hs[:3].sum().backward()
    assert start[0].grad.all()


def test_in_the_graph_a_window_begins_with_the_carried_state_as_a_leaf_of_its_own_time() -> None:
    for reverse, cuts in ((False, [0, 3, 6]), (True, [8, 5, 2])):
        hs, _ = unroll(LSTM(D, H, seed=6), np.ones((T, B, D)), truncated=3, reverse=reverse)
        begun = sorted((node.name, node.time) for node in walk(hs) if node.is_leaf and node.name in ("c", "h"))
        assert begun == sorted((name, time) for name in "ch" for time in cuts)
        assert not any(node.requires_grad for node in walk(hs) if node.is_leaf and node.name in ("c", "h"))


def test_layers_truncate_every_layer_and_direction() -> None:
    layers = RecurrentLayers("gru", D, H, num_layers=2, bidirectional=True, seed=7)
    xs = np.random.default_rng(8).normal(size=(4, B, D))
    weighted(layers(xs, truncated=4)[0]).backward()
    whole = {name: p.grad for name, p in layers.named_parameters()}
    layers.zero_grad()
    weighted(layers(xs, truncated=2)[0]).backward()
    for name, parameter in layers.named_parameters():
        assert np.abs(parameter.grad - whole[name]).max() > 1e-6, name


@pytest.mark.parametrize("k", [0, -1, 2.0, "3", True])
def test_a_window_that_is_no_count_is_refused(k: Any) -> None:
    with pytest.raises(ArgumentError, match=f"unroll lstm: truncated must be an integer ≥ 1, got {k!r}"):
        unroll(LSTM(D, H), np.ones((T, B, D)), truncated=k)
