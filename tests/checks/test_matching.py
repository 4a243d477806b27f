"""check_backward: which returned value is the gradient of what, which parameter wants what, and what is a convention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward, errors


def step(x: Any, h_t_minus_1: Any, W: Any, U: Any, b: Any) -> Any:
    return np.tanh(x @ W + h_t_minus_1 @ U + b)


EXAMPLE = arrays(x=(4, 3), h_t_minus_1=(4, 5), W=(3, 5), U=(5, 5), b=(5,))


def test_a_state_of_the_step_before_may_be_called_t_minus_1() -> None:
    def backward(dh_t: Any, h_t: Any, x: Any, h_t_minus_1: Any, W: Any, U: Any) -> Any:
        da = dh_t * (1 - h_t**2)
        d_h_minus_1 = da @ U
        return {"dx": da @ W.T, "dW": x.T @ da, "dU": h_t_minus_1.T @ da, "d_h_minus_1": d_h_minus_1}

    report = check_backward(step, backward, EXAMPLE, outputs=("h_t",))
    assert [finding.kind for finding in report.findings] == ["not transposed"]


def test_what_is_left_over_is_not_taken_for_a_bias_because_it_has_its_shape() -> None:
    def forward(xs: Any, W: Any, U: Any, b: Any) -> Any:
        hs = [np.zeros(5)]
        for x in xs:
            hs.append(np.tanh(x @ W + hs[-1] @ U + b))
        h = hs[-1]
        return h, hs

    def backward(dh: Any, hs: Any, xs: Any, W: Any, U: Any) -> Any:
        dW, dU = np.zeros_like(W), np.zeros_like(U)
        for t in reversed(range(len(xs))):
            da = dh * (1 - hs[t + 1] ** 2)
            dW += np.outer(xs[t], da)
            dU += np.outer(hs[t], da)
            dh = U @ da
        return dW, dU, dh

    report = check_backward(forward, backward, arrays(xs=(6, 3), W=(3, 5), U=(5, 5), b=(5,)), outputs=("h", "hs"))
    assert report.passed, report


def test_the_gradient_of_a_value_in_between_is_not_taken_for_that_of_an_argument_of_its_shape() -> None:
    def forward(x: Any, h: Any, W: Any, U: Any) -> Any:
        z = x @ W + h @ U
        return np.tanh(z)

    def backward(dout: Any, x: Any, h: Any, W: Any, U: Any) -> Any:
        dz = dout * (1 - np.tanh(x @ W + h @ U) ** 2)
        dx, dW, dU = dz @ W.T, x.T @ dz, h.T @ dz
        return dx, dW, dU, dz

    assert check_backward(forward, backward, arrays(x=(4, 3), h=(4, 5), W=(3, 5), U=(5, 5))).passed


class Layer:
    """A recurrent layer that updates its weights and returns the gradient of its input, under a name of its own."""

    def __init__(self, carried: bool) -> None:
        self.W, self.U = arrays(W=(3, 5), U=(5, 5)).values()
        self.learning_rate, self.carried = 0.1, carried

    def forward(self, X: Any) -> Any:
        self.X, self.hs = X, [np.zeros((X.shape[0], 5))]
        for t in range(X.shape[1]):
            self.hs.append(np.tanh(X[:, t] @ self.W + self.hs[-1] @ self.U))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dout: Any) -> Any:
        accum_grad_next, dW, dU = np.zeros_like(self.X), np.zeros_like(self.W), np.zeros_like(self.U)
        later = np.zeros_like(self.hs[0])
        for t in reversed(range(self.X.shape[1])):
            da = (dout[:, t] + later) * (1 - self.hs[t + 1] ** 2)
            own = dout[:, t] * (1 - self.hs[t + 1] ** 2)
            accum_grad_next[:, t] = (da if self.carried else own) @ self.W.T
            dW += self.X[:, t].T @ da
            dU += self.hs[t].T @ da
            later = da @ self.U.T
        self.W -= self.learning_rate * dW
        self.U -= self.learning_rate * dU
        return accum_grad_next


@pytest.mark.parametrize("carried", [True, False])
def test_the_gradient_that_a_layer_hands_on_is_compared_whatever_it_is_called(carried: bool) -> None:
    layer = Layer(carried)
    report = check_backward(layer.forward, layer.backward, (np.ones((4, 6, 3)),))
    assert report.passed == carried, report
    assert not any("no gradient of X" in note for note in report.notes)


def test_a_g_in_front_of_a_capital_says_that_it_is_a_gradient() -> None:
    def forward(X: Any, W: Any) -> Any:
        return np.tanh(X @ W)

    def backward(gY: Any, X: Any, W: Any, Y: Any) -> Any:
        gZ = gY * (1 - Y**2)
        gX, gW = gZ @ W.T, X.T @ gZ
        return gX, gW

    assert check_backward(forward, backward, arrays(X=(4, 3), W=(3, 2)), outputs=("Y",)).passed


def head(x: Any, h_prev: Any, W: Any, U: Any, V: Any) -> Any:
    h_next = np.tanh(x @ W + h_prev @ U)
    y = h_next @ V
    return y, h_next


HEAD = arrays(x=(4, 3), h_prev=(4, 5), W=(3, 5), U=(5, 5), V=(5, 2))


def test_a_parameter_that_is_called_as_an_output_is_that_output_and_not_its_gradient() -> None:
    def backward(dy: Any, h: Any, x: Any, h_prev: Any, V: Any) -> Any:
        da = dy @ V.T * (1 - h**2)
        return {"dV": h.T @ dy, "dW": x.T @ da, "dU": h_prev.T @ da}

    assert check_backward(head, backward, HEAD, upstream={"h": "h_next"}).passed


def test_a_parameter_that_is_no_value_of_the_forward_pass_can_be_given_one() -> None:
    def backward(dy: Any, h_next: Any, x: Any, h_prev: Any, V: Any, strength: Any) -> Any:
        da = dy @ V.T * (1 - h_next**2) * strength
        return {"dV": h_next.T @ dy, "dW": x.T @ da, "dU": h_prev.T @ da}

    with pytest.raises(errors.ArgumentError, match="what is 'strength'"):
        check_backward(head, backward, HEAD)
    assert check_backward(head, backward, HEAD, upstream={"strength": 1.0}).passed
    assert not check_backward(head, backward, HEAD, upstream={"strength": 2.0}).passed


def product(x: Any, W: Any) -> Any:
    return x @ W


def product_backward(dout: Any, x: Any, W: Any) -> Any:
    return dout @ W.T, x.T @ dout


@pytest.mark.parametrize("returns", [("x", "weights"), {"dw": "W", "dx": "x"}])
def test_declared_names_that_are_names_of_nothing_are_refused(returns: Any) -> None:
    with pytest.raises(errors.ArgumentError, match="returns: what is"):
        check_backward(product, product_backward, arrays(x=(4, 3), W=(3, 2)), returns=returns)


class Outer:
    """A model with a layer in it."""

    def __init__(self) -> None:
        self.inner, self.outer = Inner(3, 5), Inner(5, 2)

    def forward(self, x: Any) -> Any:
        self.x, self.h = x, np.tanh(x @ self.inner.W)
        return self.h @ self.outer.W

    def backward(self, dout: Any) -> Any:
        dh = dout @ self.outer.W.T * (1 - self.h**2)
        return self.x.T @ dh, self.h.T @ dout


class Inner:
    """A layer with its weights."""

    def __init__(self, n: int, m: int) -> None:
        self.W = np.ones((n, m))


def test_an_array_inside_of_an_object_is_declared_by_the_end_of_its_path() -> None:
    model = Outer()
    assert check_backward(model.forward, model.backward, (np.ones((4, 3)),), returns=("inner.W", "outer.W")).passed


@pytest.mark.parametrize(
    ("names", "passes"), [(("delta_W", "delta_x"), True), (("W_update", "x_update"), True), (("dW", "dx"), False)]
)
def test_the_negative_of_all_gradients_is_a_convention_if_it_is_called_an_update(names: tuple[str, str], passes: bool) -> None:
    def backward(dout: Any, x: Any, W: Any) -> Any:
        return {names[0]: -x.T @ dout, names[1]: -dout @ W.T}

    report = check_backward(product, backward, arrays(x=(4, 3), W=(3, 2)))
    assert report.passed == passes
    assert passes == any("added to the weights" in note for note in report.notes)


def test_each_gradient_may_be_scaled_to_a_norm_of_its_own() -> None:
    def forward(x: Any, W: Any, U: Any, y: Any) -> Any:
        return np.sum((np.tanh(x @ W) @ U - y) ** 2)

    def backward(x: Any, W: Any, U: Any, y: Any) -> Any:
        h = np.tanh(x @ W)
        dy = 2 * (h @ U - y)
        grads = [x.T @ (dy @ U.T * (1 - h**2)), h.T @ dy]
        return dict(zip(("dW", "dU"), (g * min(1.0, 0.5 / np.linalg.norm(g)) for g in grads), strict=True))

    report = check_backward(forward, backward, arrays(x=(4, 3), W=(3, 5), U=(5, 2), y=(4, 2)))
    assert report.passed, report
    assert any("each of them to the norm 0.5" in note for note in report.notes)


def test_a_loop_whose_first_step_is_a_case_of_its_own_is_checked_at_the_usual_lengths() -> None:
    def forward(x: Any, h0: Any, W: Any, U: Any) -> Any:
        h = np.zeros((x.shape[0], x.shape[1], 5))
        for t in range(x.shape[1]):
            if t == 0:
                h[:, t] = np.tanh(x[:, t] @ W + h0 @ U)
            else:
                h[:, t] = np.tanh(x[:, t] @ W + h[:, t - 1] @ U)
        return h

    def backward(dh: Any, h: Any, x: Any, h0: Any, W: Any, U: Any) -> Any:
        grads = {"dx": np.zeros_like(x), "dW": np.zeros_like(W), "dU": np.zeros_like(U)}
        later = np.zeros_like(h0)
        for t in reversed(range(x.shape[1])):
            da = (dh[:, t] + later) * (1 - h[:, t] ** 2)
            grads["dx"][:, t] = da @ W.T
            grads["dW"] += x[:, t].T @ da
            grads["dU"] += (h[:, t - 1] if t else h0).T @ da
            later = da @ U.T
        return grads | {"dh0": later}

    report = check_backward(forward, backward, arrays(x=(4, 6, 3), h0=(4, 5), W=(3, 5), U=(5, 5)))
    assert report.passed, report
    assert [stage.name for stage in report.stages][2:] == ["T = 1", "T = 2", "T = 4"]


def test_arrays_of_whole_numbers_have_a_method_dot_that_is_followed() -> None:
    def forward(x: Any, W: Any) -> Any:
        return np.array([[1, 0, 2], [0, 1, 1]]).T.dot(W) * x.dot(W).sum()

    def backward(dout: Any, x: Any, W: Any) -> Any:
        M = np.array([[1, 0, 2], [0, 1, 1]]).T
        return {"dW": M.T @ dout * x.dot(W).sum() + np.sum(dout * (M @ W)) * x.sum(axis=0)[:, None] * np.ones(W.shape)}

    assert check_backward(forward, backward, (np.array([[1, 2], [0, 1], [3, 1]]), np.ones((2, 4)))).passed


class Updating:
    """A product that updates its weights at a rate that it is given."""

    def __init__(self) -> None:
        self.W = np.ones((3, 2))

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W

    def backward(self, dout: Any, learning_rate: float = 0.1) -> None:
        self.W -= learning_rate * (self.x.T @ dout)


def test_a_rate_that_is_declared_is_still_the_rate() -> None:
    layer = Updating()
    report = check_backward(layer.forward, layer.backward, (np.ones((4, 3)),), upstream={"learning_rate": 1.0})
    assert report.passed, report


def test_a_declared_gradient_keeps_the_name_that_the_code_has_for_it() -> None:
    def backward(dout: Any, x: Any, W: Any) -> Any:
        for_x, for_W = dout @ W.T, 3 * x.T @ dout
        return for_x, for_W

    report = check_backward(product, backward, arrays(x=(4, 3), W=(3, 2)), returns=("x", "W"))
    assert "FAILS one step: for_W differs" in str(report)


def test_a_returned_product_is_not_called_as_what_is_multiplied_last() -> None:
    def backward(dh: Any, h: Any, x: Any, h_t_minus_1: Any, W: Any, U: Any) -> Any:
        da = dh * (1 - h)
        return da.dot(W.T), da.dot(U.T), x.T.dot(da), h_t_minus_1.T.dot(da), da.sum(0)

    report = check_backward(step, backward, EXAMPLE, outputs=("h",), returns=("x", "h_t_minus_1", "W", "U", "b"))
    assert "FAILS one step: x, h_t_minus_1, W, U, b differ" in str(report)
