"""Function: a backward pass of one's own is used, checked, and refused where it does not fit."""

from typing import Any

import numpy as np
import pytest
from minigrad.models import LSTM, LSTMState, unroll

import minigrad as mg
from minigrad import Function, Tensor, compare_gradients, gradcheck, gradgradcheck
from minigrad.errors import (
    ArgumentError,
    ConversionError,
    DTypeError,
    GradientMismatchError,
    GraphError,
    MutationError,
    ShapeError,
)

RNG = np.random.default_rng(0)


def leaves(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [Tensor(RNG.standard_normal(shape), requires_grad=True) for shape in shapes]


def affine_forward(x, W, b):
    return x @ W.T + b, (x, W)


def affine_backward(dout, cache):
    x, W = cache
    return dout @ W, dout.T @ x, dout.sum(axis=0)


affine = Function(affine_forward, affine_backward)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_forward(x, c, h, W_x, W_h, b):
    a_i, a_f, a_g, a_o = np.split(x @ W_x.T + h @ W_h.T + b, 4, axis=1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    new = f * c + i * g
    return new, o * np.tanh(new), (x, c, h, W_x, W_h, i, f, g, o, new)


def lstm_backward(dc, dh, cache):
    x, c, h, W_x, W_h, i, f, g, o, new = cache
    t = np.tanh(new)
    dc = dc + dh * o * (1 - t * t)
    slopes = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)
    da = np.concatenate(slopes, axis=1)
    return da @ W_x, dc * f, da @ W_h, da.T @ x, da.T @ h, da.sum(axis=0)


lstm_step = Function(lstm_forward, lstm_backward, name="my LSTM step")


class Mine:
    """A cell whose step is the Function, with the weights of one of minigrad's."""

    def __init__(self, cell: LSTM) -> None:
        self.weights = [Tensor(p.numpy(), requires_grad=True) for p in (cell.W_x, cell.W_h, cell.b)]

    def initial_state(self, batch: int) -> LSTMState:
        return LSTMState(Tensor(np.zeros((batch, 4))), Tensor(np.zeros((batch, 4))))

    def step(self, x: Tensor, state: LSTMState) -> LSTMState:
        return LSTMState(*lstm_step(x, *state, *self.weights))


def test_its_result_and_its_gradients_are_those_of_the_two_functions() -> None:
    x, W, b = leaves((5, 3), (2, 3), (2,))
    g = RNG.standard_normal((5, 2))
    y = affine(x, W, b)
    y.backward(g)
    for leaf, paper in zip((x, W, b), affine_backward(g, (x.numpy(), W.numpy())), strict=True):
        np.testing.assert_array_equal(leaf.grad, paper)
    assert y.node is not None
    assert (y.node.label, y.node.shape) == ("affine_forward", (5, 2))


def test_several_results_are_a_tuple_and_one_that_is_not_used_sends_zeros() -> None:
    inputs = leaves((2, 3), (2, 4), (2, 4), (16, 3), (16, 4), (16,))
    c, h = lstm_step(*inputs)
    assert c.shape == h.shape == (2, 4)
    assert gradcheck(lstm_step, inputs)
    assert gradcheck(lambda *given: lstm_step(*given)[1], inputs)


def test_a_step_of_ones_own_over_time_has_the_gradients_of_the_cell() -> None:
    cell, xs = LSTM(3, 4, seed=0), RNG.standard_normal((6, 2, 3))
    mine = Mine(cell)
    for one in (cell, mine):
        hs, (c, _) = unroll(one, xs)
        ((hs * hs).sum() + c.sum()).backward()
    ours = {name: parameter.grad for name, parameter in cell.named_parameters()}
    theirs = dict(zip(ours, (weight.grad for weight in mine.weights), strict=True))
    assert compare_gradients(ours, theirs).agree


def test_what_is_made_of_numpys_functions_can_be_differentiated_twice() -> None:
    assert gradgradcheck(affine, leaves((5, 3), (2, 3), (2,)))
    assert gradgradcheck(lstm_step, leaves((2, 3), (2, 4), (2, 4), (16, 3), (16, 4), (16,)))
    (x,) = leaves((3,))
    cube = Function(lambda x: (x**3, x), lambda g, x: 3 * x**2 * g)
    np.testing.assert_allclose(mg.hessian(lambda x: cube(x).sum(), x).numpy(), np.diag(6 * x.numpy()))


def test_other_code_is_refused_a_second_time_and_says_why() -> None:
    def forward(x):
        out = np.zeros(len(x))
        for k in range(len(x)):
            out[k : k + 1] = x[k : k + 1] ** 2
        return out, x

    def vjp(g, x):
        dx = np.zeros(x.shape)
        dx[:] = 2 * g * x
        return dx

    (x,) = leaves((3,))
    square = Function(forward, vjp, name="my square")
    assert gradcheck(square, x)
    with pytest.raises(ConversionError) as caught:
        mg.grad(square(x).sum(), x, create_graph=True)
    assert "recorded backward pass of 'my square'" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda dout, cache: (dout @ cache[1], dout.T @ cache[0], dout.sum(axis=0) / 2),
        lambda dout, cache: (dout @ cache[1], dout.T @ cache[0] * 1.001, dout.sum(axis=0)),
        lambda dout, cache: (-dout @ cache[1], dout.T @ cache[0], dout.sum(axis=0)),
        lambda dout, cache: (None, dout.T @ cache[0], dout.sum(axis=0)),
    ],
)
def test_gradcheck_finds_a_mistake_in_it(wrong: Any) -> None:
    with pytest.raises(GradientMismatchError, match="autograd says"):
        gradcheck(Function(affine_forward, wrong), leaves((5, 3), (2, 3), (2,)))


def test_options_go_to_forward_by_name_and_none_is_no_gradient() -> None:
    def forward(numbers, table, scale=1.0):
        return table[numbers] * scale, (numbers, table.shape, scale)

    def vjp(g, saved):
        numbers, shape, scale = saved
        dtable = np.zeros(shape)
        np.add.at(dtable, numbers, g * scale)
        return None, dtable

    (table,) = leaves((4, 2))
    lookup = Function(forward, vjp)
    y = lookup(np.array([1, 1, 3]), table, scale=3.0)
    y.sum().backward()
    np.testing.assert_array_equal(table.grad, [[0, 0], [6, 6], [0, 0], [3, 3]])


def test_nothing_is_recorded_without_need() -> None:
    x, W, b = leaves((5, 3), (2, 3), (2,))
    with mg.no_grad():
        assert affine(x, W, b).node is None
    assert affine(x.numpy(), W.numpy(), b.numpy()).node is None
    assert not affine(x.detach(), W.detach(), b.detach()).requires_grad


def test_forward_cannot_change_its_inputs_and_vjp_owns_its_gradient() -> None:
    def writing(x):
        x += 1.0
        return x, None

    with pytest.raises(ValueError, match="read-only"):
        Function(writing, lambda g, _: g)(*leaves((3,)))

    def greedy(g, _):
        g *= 10.0
        return g

    (x,) = leaves((3,))
    y = x * 1.0
    (Function(lambda x: (x * 1.0, None), greedy)(y) + y).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 11.0))


def test_what_it_was_given_is_not_changed_before_backward() -> None:
    x, W, b = leaves((5, 3), (2, 3), (2,))
    y = affine(x, W, b)
    with pytest.raises(MutationError, match="needed for the derivative of 'affine_forward'"):
        W.data[0, 0] = 7.0
    y.sum().backward()
    W.data[0, 0] = 7.0


def test_what_is_saved_is_released_by_backward_and_a_second_one_says_so() -> None:
    x, W, b = leaves((5, 3), (2, 3), (2,))
    y = affine(x, W, b).sum()
    y.backward()
    with pytest.raises(GraphError, match="already released"):
        y.backward()


def test_a_forward_that_does_not_say_what_it_saves_is_refused() -> None:
    for returned, got in ((np.ones(3), "ndarray"), ((np.ones(3),), "a tuple of 1")):
        with pytest.raises(DTypeError, match=rf"expected forward to return its result and what vjp needs.*; got {got}"):
            Function(lambda x, returned=returned: returned, lambda g, _: g)(*leaves((3,)))
    for returned, got in ((np.arange(3), "an array of dtype int64"), ("abc", "str"), ([1.0], "list")):
        with pytest.raises(DTypeError, match=rf"expected forward to return floating-point arrays, .*; got {got}"):
            Function(lambda x, returned=returned: (returned, None), lambda g, _: g)(*leaves((3,)))
    with pytest.raises(DTypeError, match="expected results of one dtype, got float64, float32"):
        Function(lambda x: (x, x.astype(np.float32), None), lambda *_: None)(*leaves((3,)))


@pytest.mark.parametrize(
    ("returned", "kind", "words"),
    [
        ((np.ones((5, 3)), np.ones((2, 3))), GraphError, "one gradient for each of 3 inputs .*, got 2"),
        (np.ones((5, 3)), GraphError, "got 1"),
        ((None, None, np.ones((5, 2))), ShapeError, r"input 2 has the shape \(2,\), its gradient \(5, 2\); sum it over"),
        ((None, np.ones((3, 2)), None), ShapeError, r"input 1 has the shape \(2, 3\), its gradient \(3, 2\)"),
        ((None, None, np.array(["a", "b"])), DTypeError, "input 2: expected real numbers, got <U1"),
    ],
)
def test_gradients_that_do_not_fit_the_inputs_are_refused(returned: Any, kind: type[Exception], words: str) -> None:
    x, W, b = leaves((5, 3), (2, 3), (2,))
    y = Function(affine_forward, lambda g, saved: returned)(x, W, b)
    with pytest.raises(kind, match=rf"the vjp of 'affine_forward'.*{words}"):
        y.sum().backward()
    assert x.grad is W.grad is b.grad is None


def test_a_subclass_in_pytorchs_way_is_answered_with_ours() -> None:
    with pytest.raises(ArgumentError, match=r"Square: a Function is not subclassed.* Function\(forward, vjp\), where forward"):

        class Square(Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return x * x


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(DTypeError, match="Function: expected forward to be a function, got 3"):
        Function(3, affine_backward)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="Function: expected vjp to be a function, got None"):
        Function(affine_forward, None)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="affine_forward: expected a Tensor"):
        affine("x", *leaves((2, 3), (2,)))
