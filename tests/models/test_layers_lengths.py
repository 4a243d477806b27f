"""Sequences of different lengths, and reading in reverse: each example is as if it were alone and cut to its length."""

from typing import Any

import numpy as np
import pytest
from cell_cases import CLASSES
from differences import assert_gradients, leaves_of, weighted
from minigrad.models.cells import LSTM, RNN, LSTMState, make_cell
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of, with_parts
from own_cells import Leaky, Queue, WithMemory

from minigrad import Tensor, walk
from minigrad.errors import ArgumentError, ShapeError

T, B, D = 6, 5, 2
LENGTHS = np.array([3, 0, 5, 1, 3])
"""Unsorted, one example without any step, and no example that reaches step 6."""

CELLS: dict[str, Any] = {name: lambda name=name: make_cell(name, D, 3, seed=0) for name in CLASSES}
CELLS |= {"lstm coupled with peepholes": lambda: LSTM(D, 3, coupled=True, peepholes=True, seed=0)}
CELLS |= {cell.__name__: cell for cell in (Leaky, WithMemory, Queue)}
every_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
both_directions = pytest.mark.parametrize("reverse", [False, True])
garbage = pytest.mark.parametrize("padding", [0.0, 1e300, np.nan, np.inf, -np.inf])


def can_hoist(cell: Any) -> list[bool]:
    return [False, True] if hasattr(cell, "project") else [False]


def padded(padding: float, rng: np.random.Generator) -> np.ndarray:
    xs = rng.normal(size=(T, B, D))
    for b, length in enumerate(LENGTHS):
        xs[length:, b] = padding
    return xs


def random_state(cell: Any, rng: np.random.Generator) -> Any:
    template = cell.initial_state(B)
    parts = [Tensor(rng.normal(size=part.shape), requires_grad=True) for part in parts_of(template)]
    return with_parts(template, parts)


def row(state: Any, b: int) -> Any:
    return with_parts(state, [Tensor(part.numpy()[b : b + 1], requires_grad=True) for part in parts_of(state)])


@every_cell
@both_directions
@garbage
def test_each_example_is_computed_and_differentiated_as_if_it_were_alone(make: Any, reverse: bool, padding: float) -> None:
    cell, rng = make(), np.random.default_rng(1)
    xs, state = Tensor(padded(padding, rng), requires_grad=True), random_state(cell, rng)
    upstream = rng.normal(size=(T, B, 3))
    for hoist in can_hoist(cell):
        xs.grad = None
        for part in parts_of(state):
            part.grad = None
        hs, final = unroll(cell, xs, state, hoist, lengths=LENGTHS, reverse=reverse)
        sent = [rng.normal(size=part.shape) for part in parts_of(final)]
        loss = (hs * upstream).sum()
        for part, d in zip(parts_of(final), sent, strict=True):
            loss = loss + (part * d).sum()
        loss.backward()
        for b, length in enumerate(LENGTHS):
            own = Tensor(xs.numpy()[:length, b : b + 1], requires_grad=True)
            start = row(state, b)
            alone, end = unroll(cell, own, start, reverse=reverse)
            loss = (alone * upstream[:length, b : b + 1]).sum()
            for part, d in zip(parts_of(end), sent, strict=True):
                loss = loss + (part * d[b : b + 1]).sum()
            loss.backward()
            np.testing.assert_allclose(hs.numpy()[:length, b], alone.numpy()[:, 0], rtol=1e-13, atol=1e-15)
            np.testing.assert_array_equal(hs.numpy()[length:, b], 0.0)
            np.testing.assert_array_equal(xs.grad[length:, b], 0.0)
            if length:
                np.testing.assert_allclose(xs.grad[:length, b], own.grad[:, 0], rtol=1e-12, atol=1e-15)
            for got, expected in zip(parts_of(final), parts_of(end), strict=True):
                np.testing.assert_allclose(got.numpy()[b], expected.numpy()[0], rtol=1e-13, atol=1e-15)
            for got, expected in zip(parts_of(state), parts_of(start), strict=True):
                np.testing.assert_allclose(got.grad[b], expected.grad[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", CLASSES)
@both_directions
@garbage
def test_garbage_in_the_padding_leaves_every_parameters_gradient_finite_and_the_same(
    name: str, reverse: bool, padding: float
) -> None:
    grads = []
    for filling in (0.0, padding):
        cell = make_cell(name, D, 3, seed=0)
        xs = padded(filling, np.random.default_rng(1))
        weighted(unroll(cell, xs, lengths=LENGTHS, reverse=reverse, hoist=True)[0]).backward()
        grads.append(cell.by_gate(grad=True))
    for gate, gradient in grads[0].items():
        np.testing.assert_array_equal(gradient, grads[1][gate])


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", CLASSES)
@both_directions
def test_gradients_with_lengths_are_those_of_central_differences(name: str, reverse: bool) -> None:
    cell, rng = make_cell(name, D, 3, seed=2), np.random.default_rng(3)
    xs, state = Tensor(padded(7.0, rng), requires_grad=True), random_state(cell, rng)

    def loss() -> Tensor:
        hs, final = unroll(cell, xs, state, lengths=LENGTHS, reverse=reverse)
        return weighted(hs, *parts_of(final))

    starts = {f"{n}_0": part for n, part in zip(cell.state_names, parts_of(state), strict=True)}
    assert_gradients(loss, leaves_of(cell, xs=xs, **starts), every_entry=True, tolerance=1e-8)


@every_cell
def test_reverse_is_the_sequence_turned_round(make: Any) -> None:
    cell, rng = make(), np.random.default_rng(4)
    xs = rng.normal(size=(T, B, D))
    state = random_state(cell, rng)
    backward, first = unroll(cell, xs, state, reverse=True)
    forward, last = unroll(cell, xs[::-1], state)
    np.testing.assert_array_equal(backward.numpy(), forward.numpy()[::-1])
    for a, b in zip(parts_of(first), parts_of(last), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_in_reverse_every_operation_keeps_the_time_of_its_input_and_the_initial_state_stands_after_the_last() -> None:
    hs, _ = unroll(RNN(D, 3), np.ones((4, 2, D)), reverse=True)
    h = {node.time: node for node in walk(hs) if node.name == "h"}
    assert sorted(h) == [1, 2, 3, 4, 5]
    assert h[5].is_leaf
    for t in range(1, 5):
        assert h[t + 1] in walk(h[t])
        assert h[t] not in walk(h[t + 1])


def test_full_lengths_leave_the_very_graph_of_no_lengths() -> None:
    cell, xs = RNN(D, 3), np.ones((4, 2, D))
    labels = [[node.label for node in walk(unroll(cell, xs, lengths=lengths)[0])] for lengths in (None, [4, 4])]
    assert labels[0] == labels[1]


@pytest.mark.parametrize("hoist", [False, True])
def test_lengths_with_no_steps_or_no_examples_are_defined(hoist: bool) -> None:
    cell = LSTM(D, 3, seed=0)
    hs, (c, _) = unroll(cell, np.ones((0, 2, D)), LSTMState(np.ones((2, 3)), np.ones((2, 3))), hoist, lengths=[0, 0])
    assert hs.shape == (0, 2, 3)
    np.testing.assert_array_equal(c.numpy(), np.ones((2, 3)))
    hs, (c, _) = unroll(cell, np.ones((4, 0, D)), hoist=hoist, lengths=[])
    assert (hs.shape, c.shape) == ((4, 0, 3), (0, 3))
    hs, (c, _) = unroll(cell, np.full((4, 2, D), np.nan), LSTMState(np.ones((2, 3)), np.ones((2, 3))), hoist, lengths=[0, 0])
    np.testing.assert_array_equal(hs.numpy(), np.zeros((4, 2, 3)))
    np.testing.assert_array_equal(c.numpy(), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([4, 7, 1], ArgumentError, r"unroll rnn: lengths must be from 0 to T = 6, got 7 for example 1"),
        ([4, 6, -1], ArgumentError, r"unroll rnn: lengths must be from 0 to T = 6, got -1 for example 2"),
        ([4.0, 6.0, 1.0], ArgumentError, r"unroll rnn: lengths must be integers, got dtype float64"),
        ([True, False, True], ArgumentError, r"unroll rnn: lengths must be integers, got dtype bool"),
        ([4, 6], ShapeError, r"unroll rnn: lengths must be \(B,\) = \(3,\), one for each example, got \(2,\)"),
        (6, ShapeError, r"unroll rnn: lengths must be \(B,\) = \(3,\), one for each example, got \(\)"),
        (["a", "b", "c"], ArgumentError, r"unroll rnn: lengths must be integers, got dtype <U1"),
    ],
)
def test_lengths_that_are_none_are_refused(lengths: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        unroll(RNN(D, 3), np.ones((6, 3, D)), lengths=lengths)


def test_lengths_may_be_a_tensor_of_integers() -> None:
    cell, xs = RNN(D, 3, seed=0), np.ones((4, 2, D))
    got = unroll(cell, xs, lengths=Tensor(np.array([2, 4])))[0]
    np.testing.assert_array_equal(got.numpy(), unroll(cell, xs, lengths=[2, 4])[0].numpy())


@both_directions
def test_a_cut_input_is_still_drawn_as_x(reverse: bool) -> None:
    for xs in (np.ones((T, B, D)), Tensor(np.ones((T, B, D)), requires_grad=True)):
        hs, _ = unroll(RNN(D, 3, seed=0), xs, lengths=LENGTHS, reverse=reverse)
        named = {node.time for node in walk(hs) if node.name == "x" and node.time is not None}
        assert named == {1, 2, 3, 4, 5}
