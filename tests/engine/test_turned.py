"""The transposed weights that a loop copies once: the same numbers, as long as they are the weights' numbers."""

import numpy as np
import pytest
from minigrad.models import unroll

import minigrad as mg
from minigrad import Tensor, optim, scan, turned
from minigrad.errors import MutationError, ShapeError
from minigrad.scope import state
from minigrad.turned import weights_turned

H, B, T = 96, 3, 6
assert turned.LEAST <= H * H <= turned.MOST


class Plain:
    """A cell of somebody's own, run step by step."""

    def __init__(self, rng):
        self.W = Tensor(rng.uniform(-0.2, 0.2, (H, H)), requires_grad=True)
        self.V = Tensor(rng.uniform(-0.2, 0.2, (H, H)), requires_grad=True)

    def initial_state(self, batch):
        return Tensor(np.zeros((batch, H)))

    def step(self, x, h):
        return mg.tanh(x @ self.V.T + h @ self.W.T)


def product(x, W):
    """x times the transpose of W, by NumPy, from numbers that nobody else holds."""
    return x @ np.array(W._array).T


def assert_products(x, W, times=4):
    """Several products in a row are those of the weight as it is now."""
    for _ in range(times):
        np.testing.assert_allclose((x @ W.T).numpy(), product(x, W), rtol=1e-12, atol=1e-12)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def weight(rng):
    return Tensor(rng.standard_normal((H, H)), requires_grad=True, name="W")


def test_the_third_product_in_a_loop_makes_one_copy_and_the_loop_takes_it_along(rng, weight):
    x = rng.standard_normal((B, H))
    with weights_turned():
        for uses in range(1, 6):
            np.testing.assert_allclose((x @ weight.T).numpy(), product(x, weight), rtol=1e-12, atol=1e-12)
            copies = [copy.flags.c_contiguous for copy in state.turned.copies.values()]
            assert copies == ([True] if uses >= turned.USES else [])
    assert state.turned is None


def test_a_copy_is_made_of_nothing_but_the_transpose_of_a_whole_weight_of_some_size(rng):
    wide = Tensor(rng.standard_normal((2 * H, H)), requires_grad=True)
    small = Tensor(rng.standard_normal((8, H)), requires_grad=True)
    x = rng.standard_normal((B, H))
    with weights_turned():
        for _ in range(5):
            np.testing.assert_allclose((x @ wide[:H].T).numpy(), x @ wide.numpy()[:H].T, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose((x @ wide[::2].T).numpy(), x @ wide.numpy()[::2].T, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose((x @ small.T).numpy(), x @ small.numpy().T, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose((x[:, :8] @ small).numpy(), x[:, :8] @ small.numpy(), rtol=1e-12, atol=1e-12)
            assert (x[:1] @ wide.T).shape == (1, 2 * H)
        assert not state.turned.copies


def test_a_square_weight_and_its_transpose_are_not_taken_for_each_other(rng, weight):
    x = rng.standard_normal((B, H))
    with weights_turned():
        for _ in range(5):
            np.testing.assert_allclose((x @ weight.T).numpy(), product(x, weight), rtol=1e-12, atol=1e-12)
            for itself in (weight, weight.T.T):
                np.testing.assert_allclose((x @ itself).numpy(), x @ weight.numpy(), rtol=1e-12, atol=1e-12)


WRITES = {
    "an operator in place": lambda W: W.__iadd__(1.0),
    "an entry": lambda W: W.data.__setitem__((0, slice(None)), 7.0),
    "an operator on the data": lambda W: W.data.__imul__(-2.0),
    "out=": lambda W: np.add(W.data, 1.0, out=W.data),
    "new data": lambda W: setattr(W, "data", 3 * W.numpy()),
    "an update": lambda W: update(W),
}


def update(W):
    W.grad = np.ones((H, H))
    optim.SGD([W], lr=0.5).step()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_weight_that_is_changed_inside_a_loop_is_read_as_it_then_is(rng, weight, write):
    x, before = rng.standard_normal((B, H)), weight.numpy()
    with weights_turned(), mg.no_grad():
        assert_products(x, weight)
        with weights_turned():  # a loop in the loop
            write(weight)
            assert np.abs(weight.numpy() - before).max() > 0.1
            assert_products(x, weight)
        assert_products(x, weight)


def test_a_weight_that_a_recorded_step_needs_refuses_to_be_changed_as_ever(rng, weight):
    h = Tensor(rng.standard_normal((B, H)), requires_grad=True)
    with weights_turned():
        for _ in range(4):
            h = h @ weight.T
        with pytest.raises(MutationError, match="'matmul'"):
            weight.data[0, 0] = 1.0


def test_what_cannot_be_multiplied_is_refused_in_a_loop_as_outside(weight):
    with weights_turned():
        for wrong in (3.0, np.ones(5), np.ones((2, 5)), Tensor(1.0)):
            with pytest.raises(ShapeError, match="matmul: expected"):
                wrong @ weight.T


def test_an_error_in_a_loop_leaves_no_copies_behind(rng):
    cell = Plain(rng)
    cell.step = lambda x, h: h @ cell.W.T @ np.ones(3)
    with pytest.raises(ShapeError):
        unroll(cell, rng.standard_normal((T, B, H)))
    assert state.turned is None


def test_unroll_step_by_step_is_the_python_loop_in_values_gradients_and_their_derivatives(rng):
    cell, xs = Plain(rng), rng.standard_normal((T, B, H))

    def looped():
        h, hs = cell.initial_state(B), []
        for x in xs:
            h = cell.step(x, h)
            hs.append(h)
        return mg.stack(hs)

    def of(hs):
        grads = mg.grad((hs * hs).sum(), [cell.W, cell.V], create_graph=True)
        return [hs, *grads, *mg.grad(sum((g * g).sum() for g in grads), [cell.W, cell.V])]

    for found, expected in zip(of(unroll(cell, xs)[0]), of(looped()), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_scan_step_by_step_reads_a_weight_that_its_function_changes(rng, weight):
    x = rng.standard_normal((B, H))
    with mg.no_grad():
        expected = np.stack([product(x, weight) + t * x.sum(axis=1, keepdims=True) for t in range(1, T + 1)])

    def step(carry, x):
        if carry.item() >= 0:  # a value that is read: every step is run as it is written
            weight.data += 1.0
        return carry + 1.0, x @ weight.T

    with mg.no_grad():
        _, ys = scan(step, Tensor(0.0), np.stack([x] * T))
    np.testing.assert_allclose(ys.numpy(), expected, rtol=1e-9, atol=1e-9)
