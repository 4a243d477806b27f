"""grad, vjp, jvp, jacobian, hessian, hvp: every order agrees with finite differences and with the other ways to get it."""

from typing import NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import Parameter, Tensor, grad, hessian, hvp, is_recording, jacobian, jvp, no_grad, time_step, vjp
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError

RNG = np.random.default_rng(0)
W0, X0, B0 = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal(2)


def mixed(W, x, b):
    """(3, 4), (4, 2), (2,) → (3, 2), smooth, with something of everything."""
    h = mg.tanh(W @ x + b)
    parts = mg.split(mg.concatenate([h, mg.sigmoid(h) * h], axis=1), 2, axis=1)
    return mg.softmax(parts[0] * 2.0 - parts[1]) + mg.exp(-(h**2.0)) / (1.0 + h.reshape(2, 3).T * h) + h[[0, 0, 2]] * W[:, :2]


def number(W, x, b):
    return (mixed(W, x, b) * np.arange(6.0).reshape(3, 2)).sum()


def values(tree):
    return [values(part) for part in tree] if isinstance(tree, tuple | list) else tree.numpy()


def differences(function, arrays, position, eps=1e-6):
    """∂function/∂arrays[position] by central differences, of shape y.shape + x.shape; function maps arrays to an array."""
    x = arrays[position]
    columns = []
    for index in np.ndindex(x.shape):
        pair = []
        for step in (eps, -eps):
            moved = [a.copy() for a in arrays]
            moved[position][index] += step
            pair.append(function(*moved))
        columns.append((pair[0] - pair[1]) / (2 * eps))
    y_shape = function(*arrays).shape
    return np.stack(columns, axis=-1).reshape(y_shape + x.shape) if columns else np.zeros(y_shape + x.shape)


def plain(function):
    """A function of Tensors as one of arrays."""
    return lambda *arrays: np.asarray(function(*[Tensor(a) for a in arrays]).numpy())


# ---------------------------------------------------------------- agreement


@pytest.mark.parametrize("position", range(3))
def test_the_jacobian_agrees_with_differences(position):
    blocks = jacobian(mixed, W0, X0, B0)
    expected = differences(plain(mixed), [W0, X0, B0], position)
    np.testing.assert_allclose(blocks[position].numpy(), expected, atol=1e-8)


def test_vjp_is_the_transposed_jacobian():
    g = RNG.standard_normal((3, 2))
    y, pullback = vjp(mixed, W0, X0, B0)
    np.testing.assert_array_equal(y.numpy(), plain(mixed)(W0, X0, B0))
    for product, block in zip(pullback(g), jacobian(mixed, W0, X0, B0), strict=True):
        np.testing.assert_allclose(product.numpy(), np.tensordot(g, block.numpy(), 2), rtol=1e-12, atol=1e-13)


def test_jvp_is_the_jacobian_times_the_direction():
    directions = tuple(RNG.standard_normal(a.shape) for a in (W0, X0, B0))
    y, dy = jvp(mixed, (W0, X0, B0), directions)
    np.testing.assert_array_equal(y.numpy(), plain(mixed)(W0, X0, B0))
    expected = sum(
        np.tensordot(block.numpy(), v, v.ndim) for block, v in zip(jacobian(mixed, W0, X0, B0), directions, strict=True)
    )
    np.testing.assert_allclose(dy.numpy(), expected, rtol=1e-12, atol=1e-13)


def test_jvp_and_vjp_are_transposes_of_each_other():
    v, g = RNG.standard_normal(W0.shape), RNG.standard_normal((3, 2))
    _, dy = jvp(lambda W: mixed(W, X0, B0), W0, v)
    (dW,) = vjp(lambda W: mixed(W, X0, B0), W0)[1](g)
    np.testing.assert_allclose((dy.numpy() * g).sum(), (dW.numpy() * v).sum(), rtol=1e-13)


def test_the_hessian_agrees_with_differences_of_the_gradient_and_is_symmetric():
    H = hessian(number, W0, X0, B0)
    arrays = [W0, X0, B0]
    for i in range(3):
        def gradient(*given, i=i):
            return vjp(number, *given)[1]()[i].numpy()

        for j in range(3):
            np.testing.assert_allclose(H[i][j].numpy(), differences(gradient, arrays, j), atol=1e-7)
            size = arrays[i].size, arrays[j].size
            np.testing.assert_allclose(
                H[i][j].numpy().reshape(size), H[j][i].numpy().reshape(size[::-1]).T, rtol=1e-10, atol=1e-12
            )


def test_hvp_is_the_hessian_times_the_direction():
    directions = tuple(RNG.standard_normal(a.shape) for a in (W0, X0, B0))
    products = hvp(number, (W0, X0, B0), directions)
    H = hessian(number, W0, X0, B0)
    for i, product in enumerate(products):
        expected = sum(np.tensordot(H[i][j].numpy(), v, v.ndim) for j, v in enumerate(directions))
        np.testing.assert_allclose(product.numpy(), expected, rtol=1e-11, atol=1e-12)


def test_hvp_agrees_with_forward_over_reverse():
    v = RNG.standard_normal(X0.shape)

    def gradient(x):
        return vjp(lambda x: number(W0, x, B0), x)[1]()[0]

    forward_over_reverse = jvp(gradient, X0, v)[1]
    np.testing.assert_allclose(
        hvp(lambda x: number(W0, x, B0), X0, v).numpy(), forward_over_reverse.numpy(), rtol=1e-12, atol=1e-13
    )


def test_the_third_derivative_agrees_with_differences_of_the_hessian():
    def f(x):
        return (mg.tanh(x * x[[1, 2, 0]]) * mg.exp(x)).sum()

    x = np.array([0.3, -0.7, 0.2])
    third = jacobian(lambda x: hessian(f, x), x)
    expected = differences(lambda x: hessian(f, x).numpy(), [x], 0)
    np.testing.assert_allclose(third.numpy(), expected, atol=1e-7)
    for axes in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        np.testing.assert_allclose(third.numpy(), third.numpy().transpose(axes), atol=1e-12)


def test_derivatives_of_every_order_of_one_function_by_every_way():
    x = np.array(0.4)

    def f(x):
        return mg.sigmoid(x) * mg.exp(x)

    def by_jvp(function):
        return lambda x: jvp(function, x, np.array(1.0), create_graph=True)[1]

    def by_vjp(function):
        return lambda x: vjp(function, x, create_graph=True)[1]()[0]

    def by_grad(function):
        def derivative(x):
            if not x.requires_grad:
                x = Tensor(x.numpy(), requires_grad=True)
            return grad(function(x), x, create_graph=True)[0]

        return derivative

    def by_jacobian(function):
        return lambda x: jacobian(function, x, create_graph=True)

    s = 1 / (1 + np.exp(-0.4))
    e = np.exp(0.4)
    d = s * (1 - s)
    d2 = d * (1 - 2 * s)
    d3 = d2 * (1 - 2 * s) - 2 * d * d
    exact = [s * e, (d + s) * e, (d2 + 2 * d + s) * e, (d3 + 3 * d2 + 3 * d + s) * e]
    ways = (by_jvp, by_vjp, by_grad, by_jacobian)
    for first in ways:
        np.testing.assert_allclose(first(f)(Tensor(x)).item(), exact[1], rtol=1e-13)
        for second in ways:
            np.testing.assert_allclose(second(first(f))(Tensor(x)).item(), exact[2], rtol=1e-13)
            for third in ways:
                np.testing.assert_allclose(third(second(first(f)))(Tensor(x)).item(), exact[3], rtol=1e-12)


def test_the_jacobian_of_a_state_with_respect_to_an_earlier_one_is_the_product_of_the_steps():
    W = RNG.standard_normal((3, 3))

    def step(h):
        return mg.tanh(h @ W.T)

    def three(h):
        return step(step(step(h)))

    h, product = RNG.standard_normal(3), np.eye(3)
    whole = jacobian(three, h)
    for _ in range(3):
        product = jacobian(step, h).numpy() @ product
        h = step(Tensor(h)).numpy()
    np.testing.assert_allclose(whole.numpy(), product, rtol=1e-12)


# ---------------------------------------------------------------- pytrees


class Pair(NamedTuple):
    c: object
    h: object


def test_nests_of_arguments_and_values_keep_their_structure():
    def f(parameters, state):
        c, h = state
        new = mg.tanh(parameters["W"] @ h + c)
        return {"state": Pair(c * 2.0, new), "outputs": [new.sum(), (c,)], "none": None}

    parameters = {"W": W0[:, :3], "unused": B0}
    state = Pair(RNG.standard_normal(3), RNG.standard_normal(3))
    y, pullback = vjp(f, parameters, state)
    assert type(y["state"]) is Pair
    g = {"none": None, "outputs": [1.0, (np.ones(3),)], "state": Pair(np.ones(3), np.zeros(3))}
    d_parameters, d_state = pullback(g)
    assert set(d_parameters) == {"W", "unused"}
    assert type(d_state) is Pair
    np.testing.assert_array_equal(d_parameters["unused"].numpy(), np.zeros(2))
    np.testing.assert_allclose(d_state.c.numpy(), 3 + 1 - y["state"].h.numpy() ** 2)
    J = jacobian(f, parameters, state)
    np.testing.assert_allclose(J["outputs"][0][0]["W"].numpy(), np.outer(1 - y["state"].h.numpy() ** 2, state.h))
    assert J["none"] is None
    assert J["state"].c[1].c.numpy().tolist() == (2 * np.eye(3)).tolist()
    tangents = ({"unused": B0, "W": np.zeros((3, 3))}, Pair(np.ones(3), np.zeros(3)))
    _, dy = jvp(f, (parameters, state), tangents)
    np.testing.assert_allclose(dy["state"].c.numpy(), np.full(3, 2.0))
    np.testing.assert_allclose(dy["state"].h.numpy(), 1 - y["state"].h.numpy() ** 2)


def test_a_structure_that_does_not_fit_is_refused_with_the_place():
    y, pullback = vjp(lambda x: {"a": x * 1.0, "b": (x * 2.0, x)}, B0)
    assert set(y) == {"a", "b"}
    with pytest.raises(ArgumentError, match=r"pullback: expected a dict with the keys .*, got None"):
        pullback()
    with pytest.raises(ArgumentError, match=r"pullback\['b'\]: expected a tuple of 2, got a list of 2"):
        pullback({"a": B0, "b": [B0, B0]})
    with pytest.raises(ArgumentError, match=r"pullback\['a'\]: expected one value, got a tuple of 1"):
        pullback({"a": (B0,), "b": (B0, B0)})
    with pytest.raises(ArgumentError, match=r"pullback: expected a dict with the keys .*, got one ndarray"):
        pullback(B0)
    with pytest.raises(ArgumentError, match=r"jvp: tangents: expected a tuple of 2, got a tuple of 1"):
        jvp(lambda x, y: x * y, (B0, B0), (B0,))


# ---------------------------------------------------------------- edges of the domain


def test_functions_of_nothing_and_of_empty_arrays():
    empty = np.zeros((0, 3))
    assert jacobian(lambda x: x * 2.0, empty).shape == (0, 3, 0, 3)
    assert jacobian(lambda x: x.sum(axis=0), empty).numpy().tolist() == np.zeros((3, 0, 3)).tolist()
    assert hessian(lambda x: x.sum(), empty).shape == (0, 3, 0, 3)
    assert jvp(lambda x: x.sum(axis=0), empty, empty)[1].numpy().tolist() == [0.0, 0.0, 0.0]
    assert jacobian(lambda x: x[:0], B0).shape == (0, 2)


def test_a_value_that_does_not_depend_on_an_argument_has_the_derivative_0():
    constant = Tensor([1.0, 2.0])
    for f in (lambda x: constant * 1.0, lambda x: x.detach() * 2.0, lambda x: mg.stack([x.sum() * 0.0, x.detach()[0]])):
        assert not jacobian(f, B0).numpy().any()
        assert not vjp(f, B0)[1](np.ones(2))[0].numpy().any()
        assert not jvp(f, B0, B0)[1].numpy().any()
    assert not hessian(lambda x: x.sum(), B0).numpy().any()
    assert not hvp(lambda x: constant.sum(), B0, B0).numpy().any()


def test_the_argument_itself_as_the_value():
    np.testing.assert_array_equal(jacobian(lambda x: x, B0).numpy(), np.eye(2))
    y, pullback = vjp(lambda x: (x, x), B0)
    np.testing.assert_array_equal(pullback((np.ones(2), np.ones(2)))[0].numpy(), [2.0, 2.0])
    assert [part.numpy().tolist() for part in y] == [B0.tolist()] * 2
    np.testing.assert_array_equal(jvp(lambda x: x, B0, np.ones(2))[1].numpy(), np.ones(2))


def test_0_d_arguments_and_values():
    assert jacobian(lambda x: x * x, 3.0).numpy() == 6.0
    assert hessian(lambda x: x**3.0, np.array(2.0)).numpy() == 12.0
    assert jvp(lambda x: x * x, 3.0, 1.0)[1].item() == 6.0
    assert vjp(lambda x: x * x, 3.0)[1](2)[0].item() == 12.0


def test_one_argument_used_as_several():
    y, (dx, dw) = (lambda pair: (pair[0], pair[1]()))(vjp(lambda x, w: (x * w).sum(), B0, B0))
    assert y.shape == ()
    np.testing.assert_array_equal(dx.numpy(), B0)
    assert not np.shares_memory(dx.data, dw.data)


def test_float32_stays_float32():
    x = B0.astype(np.float32)
    assert jacobian(lambda x: mg.tanh(x) * 2.0, x).dtype == np.float32
    assert hessian(lambda x: (x**3.0).sum(), x).dtype == np.float32
    assert jvp(lambda x: x * x, x, B0)[1].dtype == np.float32


# ---------------------------------------------------------------- what is recorded, and what is left alone


def test_at_the_outermost_level_results_are_plain_numbers_even_of_parameters():
    w = Parameter(B0, name="w")
    y, pullback = vjp(lambda w: w * w, w)
    tensors = [y, *pullback(np.ones(2)), *jvp(lambda w: w * w, w, B0), jacobian(lambda w: w * w, w)]
    tensors += [hessian(lambda w: (w**3.0).sum(), w), hvp(lambda w: (w**3.0).sum(), w, B0)]
    for tensor in tensors:
        assert tensor.node is None
        np.asarray(tensor)
    assert w.grad is None


def test_create_graph_makes_every_result_differentiable_with_respect_to_the_parameter():
    w = Parameter(B0)
    y, pullback = vjp(lambda w: w**3.0, w, create_graph=True)
    results = {
        "value": (y, 3 * B0**2),
        "vjp": (pullback(np.ones(2))[0], 6 * B0),
        "jvp": (jvp(lambda w: w**3.0, w, np.ones(2), create_graph=True)[1], 6 * B0),
        "jacobian": (jacobian(lambda w: w**3.0, w, create_graph=True), 6 * B0),
        "hessian": (hessian(lambda w: (w**4.0).sum(), w, create_graph=True), 24 * B0),
        "hvp": (hvp(lambda w: (w**4.0).sum(), w, np.ones(2), create_graph=True), 24 * B0),
    }
    for name, (result, expected) in results.items():
        w.grad = None
        result.sum().backward(retain_graph=True)
        np.testing.assert_allclose(w.grad, expected, rtol=1e-13, err_msg=name)


def test_a_pullback_is_differentiable_with_respect_to_its_argument():
    g = Tensor([1.0, 2.0], requires_grad=True)
    _, pullback = vjp(lambda x: x * x, B0, create_graph=True)
    pullback(g)[0].sum().backward()
    np.testing.assert_allclose(g.grad, 2 * B0)


def test_a_pullback_can_be_called_again_and_again():
    _, pullback = vjp(lambda x: mg.tanh(x) * x, B0)
    first = [pullback(g)[0].numpy() for g in (np.array([1.0, 0.0]), np.array([0.0, 1.0]))]
    np.testing.assert_allclose(sum(first), pullback(np.ones(2))[0].numpy(), rtol=1e-15)


def test_transforms_do_not_touch_grad_hooks_or_graphs_of_their_arguments():
    x, calls = Tensor(B0, requires_grad=True), []
    h = mg.tanh(x)
    h.register_hook(calls.append)
    x.register_hook(calls.append)
    for transform in (
        lambda: vjp(lambda h: h * h, h)[1](np.ones(2)),
        lambda: jacobian(lambda h: h * h, h),
        lambda: hessian(lambda h: (h * h).sum(), h),
        lambda: jvp(lambda h: h * h, h, B0),
    ):
        transform()
        assert x.grad is None
        assert calls == []
    h.sum().backward()
    assert len(calls) == 2


def test_parameters_that_the_function_closes_over_are_constants_for_a_transform():
    W = Parameter(W0)
    J = jacobian(lambda x: W @ x, X0[:, 0])
    np.testing.assert_array_equal(J.numpy(), W0)
    assert W.grad is None
    through = jacobian(lambda x: W @ x, X0[:, 0], create_graph=True)
    through.sum().backward()
    np.testing.assert_array_equal(W.grad, np.ones((3, 4)))


def test_transforms_record_what_they_need_under_no_grad_and_leave_the_state_as_it_was():
    with no_grad(), time_step(3):
        assert jacobian(lambda x: x * x, B0).numpy().tolist() == np.diag(2 * B0).tolist()
        assert not is_recording()
        assert mg.current_place().time == 3
    with pytest.raises(ZeroDivisionError):
        jacobian(lambda x: 1 / 0, B0)
    assert is_recording()
    assert jacobian(lambda x: x * x, B0).node is None


def test_grad_inside_a_transform_is_differentiable_without_being_asked():
    J = jacobian(lambda x: grad((x**3.0).sum(), x)[0], B0)
    np.testing.assert_allclose(J.numpy(), np.diag(6 * B0), rtol=1e-13)
    (plain_gradient,) = grad((Tensor(B0, requires_grad=True) ** 3.0).sum(), x := Tensor(B0, requires_grad=True))
    assert plain_gradient.numpy().tolist() == [0.0, 0.0]
    assert not plain_gradient.requires_grad
    assert x.grad is None


# ---------------------------------------------------------------- refused


def test_what_is_not_floating_point_is_refused_by_name():
    for value in (np.arange(3), Tensor([1, 2]), np.array([True])):
        with pytest.raises(DTypeError, match="only floating-point tensors have gradients"):
            vjp(lambda x: x, value)
    for value in ("abc", 3, {1.0}):
        with pytest.raises(DTypeError, match="jacobian: expected Tensors or arrays, got"):
            jacobian(lambda x: x, value)


@pytest.mark.parametrize("returned", [np.ones(2), 1.0, "abc", [1.0]], ids=str)
def test_a_function_that_returns_no_tensors_is_refused(returned):
    for transform in (lambda f: vjp(f, B0), lambda f: jacobian(f, B0), lambda f: jvp(f, B0, B0)):
        with pytest.raises(DTypeError, match="expected the function to return Tensors, got"):
            transform(lambda x: returned)


def test_a_gradient_or_tangent_of_the_wrong_shape_or_kind_is_refused():
    _, pullback = vjp(lambda x: x * 2.0, B0)
    with pytest.raises(ShapeError, match=r"vjp: expected an upstream gradient of shape \(2,\), got \(3,\)"):
        pullback(np.ones(3))
    with pytest.raises(GraphError, match=r"vjp: a tensor of shape \(2,\) has 2 entries"):
        pullback()
    with pytest.raises(DTypeError, match="vjp: expected an upstream gradient of floating-point numbers"):
        pullback(np.ones(2, int))
    with pytest.raises(ShapeError, match=r"jvp: the tangent must have the shape \(2,\) of its primal, got \(3,\)"):
        jvp(lambda x: x * 2.0, B0, np.ones(3))
    with pytest.raises(ShapeError, match=r"jvp: the tangent \[1\]\['a'\] must have the shape \(\) of its primal, got \(2,\)"):
        jvp(lambda x, y: x * 2.0, (B0, {"a": 1.0}), (B0, {"a": B0}))


@pytest.mark.parametrize("f", [lambda x: x * 2.0, lambda x: (x.sum(), x.sum()), lambda x: {"a": x.sum()}])
def test_a_hessian_of_several_numbers_is_refused(f):
    for transform in (lambda: hessian(f, B0), lambda: hvp(f, B0, B0)):
        with pytest.raises(ShapeError, match="expected a function that returns one number, got"):
            transform()


def test_grad_refuses_what_it_cannot_differentiate():
    x = Tensor(B0, requires_grad=True)
    y = (x * x).sum()
    with pytest.raises(GraphError, match=r"grad: the input .* does not require a gradient"):
        grad(y, Tensor(B0))
    with pytest.raises(GraphError, match="grad: nothing was recorded for this tensor"):
        grad(Tensor(1.0), x)
    with pytest.raises(DTypeError, match="grad: expected Tensors, got ndarray"):
        grad(y, [np.ones(2)])
    with pytest.raises(ArgumentError, match="grad: expected one gradient for each of 1 outputs, got 2"):
        grad(y, x, grad_outputs=[1.0, 2.0])
    with pytest.raises(GraphError, match=r"grad: a tensor of shape \(2,\) has 2 entries"):
        grad(x * 2.0, x)


def test_grad_takes_upstream_gradients_one_for_each_output():
    x = Tensor(B0, requires_grad=True)
    first, second = x * 2.0, (x * x).sum()
    (dx,) = grad([first, second], x, grad_outputs=[np.ones(2), None], retain_graph=True)
    np.testing.assert_allclose(dx.numpy(), 2 + 2 * B0)
    np.testing.assert_array_equal(grad(first, x, grad_outputs=np.ones(2))[0].numpy(), [2.0, 2.0])
